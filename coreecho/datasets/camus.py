"""CAMUS: the NIfTI release (500 patients) and the older mhd/raw one, apical four-chamber view (section 3; gaps D).

A patient's folder holds ``Info_4CH.cfg`` (``Key: value`` lines) and the sequence between end-diastole and
end-systole. The label is the patient's EF, the quality group that of the four-chamber view. Where end-systole comes
first, the study is marked for turning round. Nothing is decoded here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from coreecho.datasets.camus_folds import Folds, contiguous_folds, listed_folds, single_split
from coreecho.datasets.folders import Entries, entries, find_below
from coreecho.datasets.study import SPLITS, Dataset, Study, refusal
from coreecho.errors import DataError

QUALITIES = ("Good", "Medium", "Poor")
FoldRule = Literal["official", "contiguous", "single"]
"""The ten published lists; ten blocks of the sorted names (the released code); the one split shipped with NIfTI."""
NO_EF = "no EF"
"""Why the older release's ``testing/`` patients cannot be used: their EF was never published."""
_SEQUENCES = ("_4ch_half_sequence.nii.gz", "_4ch_half_sequence.nii", "_4ch_half_sequence.mhd", "_4ch_sequence.mhd")
_PATIENT = re.compile(r"patient\d+")
_CFG_BYTES = 65536


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What one patient's folder says; ``problem`` tells why it cannot be used, or nothing."""

    id: str
    problem: str = ""
    path: Path | None = None
    mask: Path | None = None
    ef: float | None = None
    quality: str = ""
    other_quality: str = ""
    """Quality of the two-chamber view, for comparison only."""
    frames: tuple[int, int] = (0, 0)
    reverse: bool = False
    fps: float | None = None


@dataclass(frozen=True, kw_only=True)
class CamusFolder:
    """A CAMUS folder as found: its release, its patients in the order of their names."""

    root: Path
    release: Literal["NIfTI", "mhd/raw"]
    patients: tuple[Patient, ...]
    without_ef: tuple[str, ...] = field(default=())
    """Patients of the older release's ``testing/``, who have no EF and are of no use for regression."""


def read_camus(
    root: Path, *, fold: int, folds: FoldRule = "official", lists: Path | None = None, skip_bad: bool = False
) -> Dataset:
    """Reads the four-chamber studies of a CAMUS folder, with the splits of one fold.

    Args:
        root: the folder with ``patient0001/`` and so on (or ``training/`` and ``testing/``), or one above it.
        fold: number of the fold, from 0.
        folds: ``official`` needs the user's copy of ``subGroup1_training.txt`` to ``subGroup10_testing.txt``;
            ``contiguous`` cuts the sorted names into ten blocks and has no validation set; ``single`` is
            ``database_split/``.
        lists: folder with the lists; by default they are looked for in and around ``root``.
        skip_bad: leave out patients that cannot be used instead of refusing the folder; this changes the fingerprint.

    Returns:
        The usable studies in the order of their names; label EF in percent.

    Raises:
        DataError: not a CAMUS folder, an unusable patient, or lists that are not what folds must be.
    """
    found = scan_camus(root)
    names = [patient.id for patient in found.patients]
    parts = camus_folds(found, root, folds, lists)
    if not 0 <= fold < len(parts):
        raise DataError(f"{found.root}: there is no fold {fold}; folds are numbered 0 to {len(parts) - 1}")
    listed = set().union(*parts[fold].values())
    problems = {patient.id: patient.problem for patient in found.patients if patient.problem}
    problems |= dict.fromkeys(sorted(listed - set(names)), "named in the fold lists but not in the folder")
    if problems and not skip_bad:
        raise refusal(found.root, problems)
    studies = tuple(_study(patient, fold, parts) for patient in found.patients if not patient.problem)
    dropped = {NO_EF: found.without_ef, "unusable": tuple(sorted(problems))}
    return Dataset(
        name="camus",
        root=found.root,
        studies=studies,
        dropped={reason: tuple(names) for reason, names in dropped.items() if names},
        rule=f"folds={folds}",
    )


def camus_folds(found: CamusFolder, root: Path, folds: FoldRule, lists: Path | None = None) -> Folds:
    """The folds of the patients of a folder, by rule.

    Raises:
        DataError: the lists are missing or not what folds must be.
    """
    names = [patient.id for patient in found.patients]
    if folds == "contiguous":
        return contiguous_folds(names)
    if found.release == "mhd/raw":
        raise DataError(f"{found.root}: the fold lists number the patients of the NIfTI release; use folds=contiguous")
    places = [lists] if lists else [found.root, found.root.parent, root, root.resolve().parent]
    return listed_folds(places, names) if folds == "official" else single_split(places, names)


def _study(patient: Patient, fold: int, parts: Folds) -> Study:
    assert patient.path is not None
    assert patient.ef is not None
    return Study(
        id=patient.id,
        path=patient.path,
        label=patient.ef,
        split=next(split for split in SPLITS if patient.id in parts[fold][split]),
        fold=next((number for number, part in enumerate(parts) if patient.id in part["test"]), None),
        quality=patient.quality,
        quality_patient=max(filter(None, (patient.quality, patient.other_quality)), key=QUALITIES.index, default=None),
        frames=patient.frames,
        reverse=patient.reverse,
        fps=patient.fps,
        mask=patient.mask,
    )


def holds_patients(folders: Entries, files: Entries) -> bool:
    """Whether a folder's sub-folders are CAMUS patients."""
    return any(_PATIENT.fullmatch(name) for name in folders)


def scan_camus(root: Path) -> CamusFolder:
    """Reads every patient's ``Info_4CH.cfg`` below ``root`` and looks for the sequence that belongs to it.

    Raises:
        DataError: no patients below ``root``, or several data sets.
    """
    groups = find_below(root, holds_patients)
    if not groups:
        raise DataError(
            f"{root}: holds no folder patient0001, patient0002, ... (four levels deep); give CAMUS's folder"
        )
    named = [group for group in groups if group.name.lower() in ("training", "testing")]
    if len(groups) > 1 and (named != groups or len({group.parent for group in groups}) > 1):
        raise DataError(f"{root}: several data sets below it ({', '.join(map(str, groups[:3]))}); name one")
    patients = [
        _patient(folder, f"{group.name.lower()}/{name}" if named else name)
        for group in groups
        for name, folder in entries(group)[0].items()
        if _PATIENT.fullmatch(name)
    ]
    older = any(patient.path is not None and patient.path.suffix.lower() == ".mhd" for patient in patients)
    without = {patient.id for patient in patients if patient.problem == NO_EF and patient.id.startswith("testing/")}
    return CamusFolder(
        root=groups[0].parent if named else groups[0],
        release="mhd/raw" if older else "NIfTI",
        patients=tuple(patient for patient in patients if patient.id not in without),
        without_ef=tuple(sorted(without)),
    )


def _patient(folder: Path, name: str) -> Patient:
    files = entries(folder)[1]
    stem = folder.name.lower()
    path = next((files[stem + end] for end in _SEQUENCES if stem + end in files), None)
    mask = next((files[stem + end] for end in _mask_names() if stem + end in files), None)
    if "info_4ch.cfg" not in files:
        return Patient(id=name, path=path, problem="Info_4CH.cfg is missing")
    info = read_info(files["info_4ch.cfg"])
    other = read_info(files["info_2ch.cfg"]) if "info_2ch.cfg" in files else {}
    ef, frames = _number(info.get("ef", info.get("lvef", ""))), _end_frames(info)
    patient = Patient(
        id=name,
        problem=_problem(info, other, path),
        path=path,
        mask=mask,
        ef=ef,
        quality=info.get("imagequality", "").capitalize(),
        other_quality=other.get("imagequality", "").capitalize(),
        fps=_number(info.get("framerate", "")),
    )
    if frames is None:
        return patient
    ed, es = frames
    ends = (min(ed, es) - 1, max(ed, es) - 1)
    return Patient(**{**vars(patient), "frames": ends, "reverse": es < ed})


def _mask_names() -> list[str]:
    return [end.replace("sequence", "sequence_gt") for end in _SEQUENCES]


def read_info(path: Path) -> dict[str, str]:
    """The ``Key: value`` lines of a patient's file by lower-case key; any line ends, blank lines and order."""
    with path.open("rb") as file:
        text = file.read(_CFG_BYTES).decode("utf-8-sig", errors="replace")
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip().lower(): value.strip() for key, colon, value in pairs if colon}


def _problem(info: dict[str, str], other: dict[str, str], path: Path | None) -> str:
    """Why a patient cannot be used, in words, or nothing."""
    key = "ef" if "ef" in info else "lvef"
    if key not in info:
        return NO_EF
    ef = _number(info[key])
    if ef is None:
        return f"EF is {info[key]!r}, not a number"
    if not 0 <= ef <= 100 or 0 < ef < 1:
        return f"EF {ef:g} cannot be an ejection fraction in percent"
    if key in other and _number(other[key]) != ef:
        return f"EF is {info[key]} in Info_4CH.cfg and {other[key]} in Info_2CH.cfg"
    if path is None:
        return "the four-chamber sequence is missing"
    if _end_frames(info) is None:
        found = ", ".join(f"{name} {info.get(name.lower(), 'missing')}" for name in ("ED", "ES", "NbFrame"))
        return f"{found}: not two frames of one sequence"
    quality = info.get("imagequality", "")
    return "" if quality.capitalize() in QUALITIES else f"ImageQuality is {quality!r}, not Good, Medium or Poor"


def _end_frames(info: dict[str, str]) -> tuple[int, int] | None:
    """End-diastolic and end-systolic frame, counted from 1 as in the file."""
    texts = [info.get(key, "") for key in ("ed", "es")]
    if not all(text.isdecimal() and len(text) < 7 for text in texts):
        return None
    ed, es = map(int, texts)
    count = _number(info.get("nbframe", "")) or math.inf
    return (ed, es) if ed != es and min(ed, es) >= 1 and max(ed, es) <= count else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
