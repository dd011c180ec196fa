"""Where runs find their data: the real data sets under one folder, or a phantom that is made where it is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock

from coreecho import phantom
from coreecho.datasets import Dataset, read_camus, read_echonet, read_hmcqu, read_motions
from coreecho.errors import SettingsError
from coreecho.files import default_data_root, writable_folder
from coreecho.machine import Machine
from coreecho.settings import Profile, Run
from coreecho.video.packing import attach_pack

PHANTOM = "phantom"
"""What numbers on synthetic hearts are labelled with wherever they are shown."""
MOVING_SHAPES = "moving shapes"
"""What the pretext task's numbers are labelled with."""
SYNTHETIC = (PHANTOM, MOVING_SHAPES)
"""Labels of data that this package makes."""
ECHONET_FPS = 50.0
"""Frame rate of 79 % of EchoNet-Dynamic's videos."""
PAPER_FOLDERS = {"echonet": "echonet", "camus": "camus", "hmcqu": "hmcqu"}
"""Folder of each data set under the paper profile's data root."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where runs find their data, keep their records, and on what they compute; a folder may be given as text too."""

    data_root: Path | None = None
    """Paper profile: folder with ``echonet/ camus/ hmcqu/ weights/ lists/``; else of phantoms (default: data/)."""
    runs_dir: Path | None = None
    """Records and checkpoints (default: runs/ of the project)."""
    device: str = "auto"
    """auto, cpu or cuda."""
    machine: Machine = field(default_factory=Machine)
    """Loader processes, compiler and saved memory of trainings; never part of the key."""
    skip_bad: bool = False
    """Leave unusable rows of a list out instead of refusing it; part of the data's fingerprint."""
    untraced: Literal["drop", "keep"] = "drop"
    """Whether listed videos without tracings are left out, the paper's rule, or used (one's own data)."""
    folds: str | None = None
    """Which fold numbers are training, validation and test, such as 0-7/8/9, where a list has numbers."""
    pack: Path | None = None
    """Packed store of the data set (default: the one in or beside its folder, if any); never part of the key."""

    def __post_init__(self) -> None:
        """Text in place of a folder becomes one."""
        for name in ("data_root", "runs_dir", "pack"):
            given = getattr(self, name)
            object.__setattr__(self, name, None if given is None else Path(given))


def compute_device(name: str) -> torch.device:
    """The device called auto (a GPU where there is one), cpu or cuda.

    Raises:
        SettingsError: cuda was asked for and is not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError("there is no CUDA device here; use --device auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def load_data(run: Run, profile: Profile, place: Place) -> tuple[Dataset, dict[str, Any]]:
    """The data of a run, the phantom being made where it is missing, and what its record says of it.

    Raises:
        DataError: they are not there or not usable.
        SettingsError: the run names no fold of a data set that is cut into folds, or one that does not exist.
    """
    if run.dataset in ("camus", "hmcqu") and run.fold is None:
        raise SettingsError(f"{run.slug} names no fold; {run.dataset} is cut into folds 0, 1, ...")
    settings = profile.phantom_of(run)
    if settings is None:
        assert place.data_root is not None
        data = _read(place.data_root / PAPER_FOLDERS[run.dataset], run, profile, place)
        # A phantom in the place of hearts stays a phantom wherever its numbers are shown.
        label = PHANTOM if (data.root / "phantom.json").exists() else _label(run, place)
        fingerprint = data.fingerprint()
    else:
        fingerprint, label = phantom.fingerprint(settings), MOVING_SHAPES if run.dataset == "motions" else PHANTOM
        root = (place.data_root or default_data_root()) / f"phantom-{run.dataset}-{fingerprint[:8]}"
        with FileLock(f"{writable_folder(root.parent) / root.name}.lock"):
            if not phantom.is_complete(root, settings):
                phantom.write_phantom(root, settings)
        data = _read(root, run, profile, Place())
    data = attach_pack(data, place.pack)
    counts = {split: sum(study.split == split for study in data.studies) for split in ("train", "val", "test")}
    dropped = {reason: len(names) for reason, names in data.dropped.items()}
    return data, {
        "name": data.name,
        "label": label,
        "fingerprint": fingerprint,
        "files": data.fingerprint(),
        "counts": counts,
        "dropped": dropped,
    }


def _read(folder: Path, run: Run, profile: Profile, place: Place) -> Dataset:
    """One fold of the data set in ``folder``, by the profile's choice of folds."""
    if run.dataset == "motions":
        return read_motions(folder)
    if run.dataset == "echonet":
        return read_echonet(folder, skip_bad=place.skip_bad, untraced=place.untraced, folds=place.folds)
    transfer, fold = profile.transfer(run), run.fold
    assert transfer is not None
    assert fold is not None
    if run.dataset == "camus":
        if transfer.folds == "stratified":
            raise SettingsError("CAMUS has the folds official and contiguous; set camus.folds to one of them")
        return read_camus(folder, fold=fold, folds=transfer.folds, skip_bad=place.skip_bad)
    if transfer.folds != "stratified":
        raise SettingsError(f"HMC-QU's folds are drawn, not {transfer.folds}; set hmcqu.folds to stratified")
    lists = None if place.data_root is None else place.data_root / "lists" / f"hmcqu-folds-{transfer.fold_seed}.json"
    return read_hmcqu(folder, fold=fold, fold_seed=transfer.fold_seed, skip_bad=place.skip_bad, folds_file=lists)


def _label(run: Run, place: Place) -> str:
    """What numbers on real videos are labelled with."""
    if run.dataset != "echonet":
        return {"camus": "CAMUS", "hmcqu": "HMC-QU"}[run.dataset]
    if place.untraced == "keep":
        return "own data"
    return "EchoNet-Pediatric" if place.folds else "EchoNet-Dynamic"


def data_fps(run: Run, profile: Profile) -> float | None:
    """Frame rate of the training videos: the phantom's, or EchoNet-Dynamic's usual 50; none for whole sequences."""
    if profile.clip_settings(run).resample:
        return None
    settings = profile.phantom_of(run)
    return ECHONET_FPS if settings is None else getattr(settings, "fps", None)
