"""A `Run` -> its record, training it first where it is missing: keys, data, locks, resume.

    from coreecho import runs
    records = runs.ensure(experiments.table1_runs(), get_profile("demo"))

`ensure` is idempotent: a run whose record exists is not trained again, a killed one goes on after its last finished
epoch, and two processes that ask for the same run train it once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock
from tqdm import tqdm

from coreecho import checkpoints, phantom
from coreecho.datasets import Dataset, read_echonet
from coreecho.errors import DataError, SettingsError
from coreecho.evaluation import average_clips, regression_metrics
from coreecho.files import default_data_root, default_runs_dir
from coreecho.model import CoReEcho, R2Plus1D, build_model
from coreecho.provenance import provenance
from coreecho.records import RECORD, Record, list_records, read_record, run_key, write_record
from coreecho.scoring import published_starts, score
from coreecho.settings import Profile, Run
from coreecho.trainer import Trainer, make_accelerator
from coreecho.trainstate import tensorboard_writer
from coreecho.video.packing import attach_pack

MODEL = "model.safetensors"
PHANTOM = "phantom"
"""What numbers on synthetic hearts are labelled with wherever they are shown."""
ECHONET_FPS = 50.0
"""Frame rate of 79 % of EchoNet-Dynamic's videos."""
PAPER_FOLDERS = {"echonet": "echonet"}
"""Folder of each data set under the paper profile's data root."""
K400_FILE = {"uniformer": "uniformer_small_k400_16x8.pth", "r2plus1d": "r2plus1d_18-91a641e6.pth"}
"""Published Kinetics-400 weights under ``weights/`` of the paper profile's data root, by backbone."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where runs find their data, keep their records, and on what they compute."""

    data_root: Path | None = None
    """Paper profile: the folder with ``echonet/ weights/ lists/``; else where phantoms are made (default: data/)."""
    runs_dir: Path | None = None
    """Records and checkpoints (default: runs/ of the project)."""
    device: str = "auto"
    """auto, cpu or cuda."""
    workers: int = 0
    """Loader processes."""
    skip_bad: bool = False
    """Leave unusable rows of a list out instead of refusing it; part of the data's fingerprint."""
    untraced: Literal["drop", "keep"] = "drop"
    """Whether listed videos without tracings are left out, the paper's rule, or used (one's own data)."""
    folds: str | None = None
    """Which fold numbers are training, validation and test, such as 0-7/8/9, where a list has numbers."""
    pack: Path | None = None
    """Packed store of the data set (default: the one in or beside its folder, if any); never part of the key."""


def ensure(
    specs: Sequence[Run], profile: Profile, place: Place | None = None, *, tensorboard: bool = False
) -> list[Record]:
    """The records of ``specs``, in order; missing ones are trained, one after another.

    Args:
        specs: what is wanted.
        profile: at which scale.
        place: data, records, device; the project's own folders by default.
        tensorboard: also write each epoch's losses and errors as TensorBoard scalars into the run's folder.

    Raises:
        CoReEchoError: data or weights are missing (said before any training), or a run failed.
    """
    place = place or Place()
    need = {spec: find(spec, profile, place) for spec in specs}
    missing = [spec for spec, record in need.items() if record is None]
    if missing:
        check_inputs(missing, profile, place)
    for spec in tqdm(missing, desc=f"{profile.name} runs", unit="run", disable=None):
        need[spec] = train(spec, profile, place, tensorboard=tensorboard)
    return [record for record in (need[spec] for spec in specs) if record is not None]


def find(run: Run, profile: Profile, place: Place) -> Record | None:
    """The record of ``run`` at exactly this profile, if it exists; no data is needed to look.

    Real data: any fingerprint will do, since the data may be elsewhere; several are refused.
    """
    runs_dir = place.runs_dir or default_runs_dir()
    if profile.phantom is not None:
        folder = runs_dir / profile.name / f"{run.slug}-{run_key(run, profile, phantom.fingerprint(profile.phantom))}"
        return read_record(folder) if (folder / RECORD).exists() else None
    found = [
        record
        for record in list_records(runs_dir, profile.name)
        if record.key == run_key(run, profile, record.data["fingerprint"])
    ]
    if len(found) > 1:
        raise SettingsError(
            f"{run.slug} was run on {len(found)} versions of its data; keep one of "
            + ", ".join(record.folder.name for record in found)
        )
    return found[0] if found else None


def check_inputs(specs: Sequence[Run], profile: Profile, place: Place) -> None:
    """Says before any training what the runs need and do not have.

    Raises:
        DataError: the data root, a data set's folder or a weight file is missing.
        SettingsError: the device asked for does not exist.
    """
    if place.device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("there is no CUDA device here; use --device auto or cpu")
    if profile.phantom is not None:
        return
    if place.data_root is None:
        raise DataError(f"profile {profile.name!r} trains on real data: give --data-root, the folder with echonet/")
    wanted = {place.data_root / PAPER_FOLDERS[spec.dataset] for spec in specs}
    wanted |= {path for spec in specs if (path := _k400_path(spec, profile, place)) is not None}
    missing = sorted(str(path) for path in wanted if not path.exists())
    if missing:
        raise DataError(f"missing under {place.data_root}: {', '.join(missing)}; see 'Reproduce' in the book")


def _k400_path(run: Run, profile: Profile, place: Place) -> Path | None:
    if run.init != "k400" or profile.k400 == "none" or place.data_root is None:
        return None
    return place.data_root / "weights" / K400_FILE[profile.recipe(run).backbone]


def load_data(run: Run, profile: Profile, place: Place) -> tuple[Dataset, dict[str, Any]]:
    """The data of a run, the phantom being made where it is missing, and what its record says of it."""
    if profile.phantom is None:
        assert place.data_root is not None
        folder = place.data_root / PAPER_FOLDERS[run.dataset]
        data = read_echonet(folder, skip_bad=place.skip_bad, untraced=place.untraced, folds=place.folds)
        # A phantom in the place of hearts stays a phantom wherever its numbers are shown.
        label = PHANTOM if (data.root / "phantom.json").exists() else "EchoNet-Dynamic"
        fingerprint = data.fingerprint()
    else:
        fingerprint, label = phantom.fingerprint(profile.phantom), PHANTOM
        root = (place.data_root or default_data_root()) / f"phantom-{run.dataset}-{fingerprint[:8]}"
        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{root}.lock"):
            if not phantom.is_complete(root, profile.phantom):
                phantom.write_echonet(root, profile.phantom)
        data = read_echonet(root)
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


def train(run: Run, profile: Profile, place: Place, *, tensorboard: bool = False) -> Record:
    """Trains and scores one run under a lock, or returns the record that another process wrote meanwhile."""
    data, about = load_data(run, profile, place)
    key = run_key(run, profile, about["fingerprint"])
    folder = (place.runs_dir or default_runs_dir()) / profile.name / f"{run.slug}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if (folder / RECORD).exists():
            return read_record(folder)
        recipe, clip = profile.recipe(run), profile.clip_settings(run)
        data.split("test")  # an empty one is named now, not after hours of training
        starts = published_starts(data, clip, place.data_root) if profile.phantom is None else None
        if profile.phantom is None:
            about["starts"] = "published" if starts else "drawn"
        accelerator = make_accelerator(recipe, place.device)
        model = initial_model(run, profile, place, data.mean_label)
        trainer = Trainer(
            model,
            data.split("train"),
            data.split("val"),
            run,
            recipe,
            clip,
            folder,
            key=key,
            accelerator=accelerator,
            workers=place.workers,
            on_epoch=tensorboard_writer(folder) if tensorboard else None,
        )
        history = trainer.fit()
        predictions = score(model, data, run, profile, accelerator.device, place.workers, starts)
        metrics = {
            str(protocol): dataclasses.asdict(regression_metrics(means["label"], means["prediction"]))
            for protocol, table in predictions.groupby("protocol")
            for means in [average_clips(table)]
        }
        origin = provenance(accelerator.device)
        about_model = {
            "training_data": f"{about['label']}, {profile.name} profile",
            "fps": data_fps(profile),
            "provenance": {"run": run.slug, "key": key, **origin},
        }
        checkpoints.save(model, folder / MODEL, about_model)
        record = Record(folder, key, run, profile, about, history, metrics, origin)
        write_record(record, predictions)
    return read_record(folder)


def initial_model(run: Run, profile: Profile, place: Place, mean_label: float) -> CoReEcho:
    """The network of ``run`` before its first step: random weights from its seed, or K400 weights from their file."""
    torch.manual_seed(run.seed)
    recipe = profile.recipe(run)
    model = build_model(profile.encoder, recipe, mean_label, clip=profile.clip_settings(run))
    path = _k400_path(run, profile, place)
    if path is not None:
        _load_kinetics(model, path)
    return model


def _load_kinetics(model: CoReEcho, path: Path) -> None:
    if isinstance(model.encoder, R2Plus1D):
        checkpoints.load_r2plus1d(model.encoder, path)
    else:
        checkpoints.load_k400(model.encoder, path)


def data_fps(profile: Profile) -> float:
    """Frame rate of the training videos: the phantom's, or EchoNet-Dynamic's usual 50."""
    return profile.phantom.fps if profile.phantom is not None else ECHONET_FPS
