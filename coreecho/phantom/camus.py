"""The phantom written in CAMUS's NIfTI release, so that the same loader reads both (section 3, data sets; Table 4).

    database_nifti/patient0001/   Info_2CH.cfg  Info_4CH.cfg
                                  patient0001_4CH_{ED,ES,half_sequence}{,_gt}.nii.gz ...
    database_nifti/               truth.csv  phantom.json            what only a synthetic set can have
    database_split/               subgroup_{training,validation,testing}.txt
    listSubGroups/                subGroup{1..10}_{training,validation,testing}.txt

The two-chamber view has its Info file, with the patient's EF and a grade of its own, but no pictures: nothing of the
paper uses them.
"""

from __future__ import annotations

import gzip
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coreecho.errors import DataError, SettingsError
from coreecho.phantom.camus_case import ACQUISITIONS, SHARES, CamusCase, sample_patient
from coreecho.phantom.heart import Points
from coreecho.phantom.outlines import draw_masks
from coreecho.phantom.ultrasound import render
from coreecho.phantom.writing import TRUTH_FILE, describe, fill, holds, numbers, refuse_other, spread, write_marker
from coreecho.phantom_settings import CamusPhantomSettings
from coreecho.settings_text import to_dict

CAMUS_VERSION: int = 1
"""Version of this generator, raised by hand whenever the same settings give other files."""
DATA_FOLDER = "database_nifti"
"""Folder of the patients, the data set's root for its reader."""
LISTS_FOLDER = "listSubGroups"
"""Folder of the ten folds' lists."""
FOLDS = 10


def camus_fingerprint(settings: CamusPhantomSettings) -> str:
    """SHA-256 (hex) over settings, ranges of acquisition and generator version: what decides the phantom's content."""
    return str(_description(settings)["fingerprint"])


def _description(settings: CamusPhantomSettings) -> dict[str, Any]:
    ranges = {quality: to_dict(acquisition) for quality, acquisition in ACQUISITIONS.items()}
    return describe(settings, ranges, CAMUS_VERSION)


def camus_is_complete(folder: Path, settings: CamusPhantomSettings) -> bool:
    """Whether ``folder`` holds this very phantom with all its files."""
    root = folder / DATA_FOLDER
    sequences = list(root.glob("patient*/patient*_4CH_half_sequence*.nii.gz"))
    lists = list((folder / LISTS_FOLDER).glob("*.txt"))
    whole = len(sequences) == 2 * settings.patients and len(lists) == 3 * FOLDS and (root / TRUTH_FILE).is_file()
    return holds(root, camus_fingerprint(settings)) and whole


def write_camus(
    folder: Path, settings: CamusPhantomSettings, *, workers: int | None = None, progress: bool = True
) -> Path:
    """Write the phantom described by ``settings`` into ``folder``, unless it is there already; return ``folder``.

    The files are made in a sibling folder that takes its name only when all is written. The content depends on the
    settings alone, not on ``workers`` (processes; as many as there are processors when none is given).

    Raises:
        SettingsError: ``settings`` ask for fewer patients than folds, or for sequences without two frames.
        DataError: ``folder`` holds something else, or nibabel is not installed.
    """
    folder = Path(folder)
    if camus_is_complete(folder, settings):
        return folder
    refuse_other(folder, camus_fingerprint(settings))
    if settings.patients < FOLDS or not 2 <= settings.min_frames <= settings.max_frames:
        raise SettingsError(
            f"A phantom of {settings.patients} patients of {settings.min_frames} to {settings.max_frames} frames "
            f"cannot be made. Ask for at least {FOLDS} patients, and min_frames from 2 to max_frames."
        )

    def make(partial_folder: Path) -> None:
        root = partial_folder / DATA_FOLDER
        root.mkdir()
        job = partial(_write_patient, root, settings)
        cases = spread(job, settings.patients, workers=workers, progress=progress, unit="patient")
        _write_lists(partial_folder, settings, cases)
        _truth(settings, cases).to_csv(root / TRUTH_FILE, index=False)
        write_marker(root, _description(settings))

    return fill(folder, camus_fingerprint(settings), partial(camus_is_complete, folder, settings), make)


def draw_patient(case: CamusCase, rng: np.random.Generator, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures and labels of a patient's sequence, each (T, H, W), in the order in which they are stored."""
    heart, view, width = case.heart, case.view, case.width
    video = render(rng, heart, case.beat, view, size=size, frames=case.frames, fps=case.fps, width=width)  # (T, H, W)

    def pixels(points: Points, number: int) -> Points:
        placed = view.pixels(view.place(points, heart, number / case.fps), heart, size)
        placed[:, 0] += 0.5 * (width - size)
        return placed

    return video, draw_masks(heart, case.contraction, pixels, (size, width))


def _write_patient(root: Path, settings: CamusPhantomSettings, index: int) -> CamusCase:
    case, rng = sample_patient(settings, index)
    video, masks = draw_patient(case, rng, settings.size)
    folder, spacing = root / case.name, 10.0 * case.view.pixel_size(case.heart, settings.size)
    folder.mkdir()
    first, last = ("ES", "ED") if case.reverse else ("ED", "ES")
    for ending, values in (("", video), ("_gt", masks)):
        for part, picture in (("half_sequence", values), (first, values[0]), (last, values[-1])):
            _write_nifti(folder / f"{case.name}_4CH_{part}{ending}.nii.gz", picture, spacing)
    frames, count = (case.frames, 1) if case.reverse else (1, case.frames), case.frames
    for view, quality in (("2CH", case.other_quality), ("4CH", case.quality)):
        lines = {"ED": frames[0], "ES": frames[1], "NbFrame": count, "Sex": case.sex, "Age": case.age}
        lines |= {"ImageQuality": quality, "EF": case.listed_ef, "FrameRate": f"{case.fps:.1f}"}
        text = "".join(f"{key}: {value}\n" for key, value in lines.items())
        (folder / f"Info_{view}.cfg").write_text(text, encoding="utf-8")
    return case


def _write_nifti(path: Path, values: NDArray[np.uint8], spacing: float) -> None:
    """Writes one picture (H, W) or several (T, H, W), pixels of ``spacing`` mm, as NIfTI has them: x first."""
    try:
        import nibabel
    except ImportError as error:
        raise DataError(f"{path.name}: writing NIfTI needs nibabel; run: pip install 'coreecho[volume]'") from error
    image: Any = nibabel.nifti1.Nifti1Image(values.T, np.diag([spacing, spacing, 1.0, 1.0]))  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"synthetic: a phantom, not a heart"
    path.write_bytes(gzip.compress(image.to_bytes(), 6, mtime=0))


def deal_folds(cases: list[CamusCase], seed: int) -> list[list[str]]:
    """Test sets of the ten folds: each has its share of every quality and of low, middle and high EF."""
    order = np.random.default_rng(seed).permutation(len(cases))
    rank = {quality: number for number, quality in enumerate(SHARES)}
    group = {
        case.name: (rank[case.quality], int(case.listed_ef > 45) + int(case.listed_ef >= 55), order[number])
        for number, case in enumerate(cases)
    }
    dealt = sorted(group, key=lambda name: group[name])
    return [sorted(dealt[fold::FOLDS]) for fold in range(FOLDS)]


def _write_lists(folder: Path, settings: CamusPhantomSettings, cases: list[CamusCase]) -> None:
    """The ten folds, in each of which the next fold's test set validates; and one split by number."""
    names, tests = [case.name for case in cases], deal_folds(cases, settings.seed)
    for place in (LISTS_FOLDER, "database_split"):
        (folder / place).mkdir()
    for fold in range(FOLDS):
        stem = folder / LISTS_FOLDER / f"subGroup{fold + 1}"
        _write_split(stem, names, tests[(fold + 1) % FOLDS], tests[fold])
    tenth = len(names) // FOLDS
    _write_split(folder / "database_split" / "subgroup", names, names[-2 * tenth : -tenth], names[-tenth:])


def _write_split(stem: Path, names: list[str], validation: list[str], testing: list[str]) -> None:
    training = [name for name in names if name not in {*validation, *testing}]
    for part, members in (("training", training), ("validation", validation), ("testing", testing)):
        path = stem.with_name(f"{stem.name}_{part}.txt")
        path.write_text("".join(f"{name}\n" for name in members), encoding="utf-8")


def _truth(settings: CamusPhantomSettings, cases: list[CamusCase]) -> pd.DataFrame:
    rows = [
        {
            "FileName": case.name,
            "EF": case.heart.ejection_fraction,
            "ESV": case.heart.volume(1.0),
            "EDV": case.heart.volume(0.0),
            "ListedEF": case.listed_ef,
            "Quality": case.quality,
            "Reverse": case.reverse,
            "Frames": case.frames,
            "FPS": case.fps,
            "PixelSize": case.view.pixel_size(case.heart, settings.size),
            **numbers(case.heart, case.beat, case.view),
        }
        for case in cases
    ]
    return pd.DataFrame(rows)
