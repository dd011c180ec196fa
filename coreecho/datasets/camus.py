"""CAMUS: the NIfTI release (500 patients) and the older mhd/raw one, apical four-chamber view (section 3; gaps D).

A patient's folder holds ``Info_4CH.cfg`` (``Key: value`` lines) and the sequence between end-diastole and
end-systole. The label is the patient's EF, the quality group that of the four-chamber view. Where end-systole comes
first, the study is marked for turning round. Nothing is decoded here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from coreecho.datasets.camus_folds import Folds, contiguous_folds, listed_folds, single_split
from coreecho.datasets.camus_info import NO_EF, QUALITIES, end_frames, number, problem_of, read_info
from coreecho.datasets.folders import Entries, entries, find_below
from coreecho.datasets.study import SPLITS, Dataset, Study, refusal
from coreecho.errors import DataError

FoldRule = Literal["official", "contiguous", "single"]
"""The ten published lists; ten blocks of the sorted names (the released code); the one split shipped with NIfTI."""
_SEQUENCES = ("_4CH_half_sequence.nii.gz", "_4CH_half_sequence.nii", "_4CH_half_sequence.mhd", "_4CH_sequence.mhd")
_MASKS = tuple(end.replace("sequence", "sequence_gt") for end in _SEQUENCES)
_PATIENT = re.compile(r"patient\d+")


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
    root: str | Path,
    *,
    fold: int,
    folds: FoldRule = "official",
    lists: str | Path | None = None,
    skip_bad: bool = False,
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
    root = Path(root)
    found = scan_camus(root)
    names = [patient.id for patient in found.patients]
    parts = camus_folds(found, root, folds, Path(lists) if lists else None)
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


def scan_camus(root: str | Path) -> CamusFolder:
    """Reads every patient's ``Info_4CH.cfg`` below ``root`` and looks for the sequence that belongs to it.

    Raises:
        DataError: no patients below ``root``, or several data sets.
    """
    groups = find_below(Path(root), holds_patients)
    if not groups:
        raise DataError(
            f"{root}: holds no folder patient0001, patient0002, ... (four levels deep); give CAMUS's folder"
        )
    named = [group for group in groups if group.name.lower() in ("training", "testing")]
    if len(groups) > 1 and (named != groups or len({group.parent for group in groups}) > 1):
        raise DataError(f"{root}: several data sets below it ({', '.join(map(str, groups[:3]))}); name one")
    patients = []
    for group in groups:
        folders = entries(group)[0]
        names = [name for name in folders if _PATIENT.fullmatch(name)]
        patients += [_patient(folders, name, f"{group.name.lower()}/{name}" if named else name) for name in names]
    older = any(patient.path is not None and patient.path.suffix.lower() == ".mhd" for patient in patients)
    without = {patient.id for patient in patients if patient.problem == NO_EF and patient.id.startswith("testing/")}
    return CamusFolder(
        root=groups[0].parent if named else groups[0],
        release="mhd/raw" if older else "NIfTI",
        patients=tuple(patient for patient in patients if patient.id not in without),
        without_ef=tuple(sorted(without)),
    )


def _patient(folders: Entries, stem: str, name: str) -> Patient:
    """The patient whose folder is called ``stem``, under the name that stands in the lists."""
    try:
        folder = folders.one(stem)
        assert folder is not None
        files = entries(folder)[1]
        path, mask = _first(files, folder.name, _SEQUENCES), _first(files, folder.name, _MASKS)
        first, second = files.one("Info_4CH.cfg"), files.one("Info_2CH.cfg")
        info, other = ({} if file is None else read_info(file) for file in (first, second))
    except DataError as error:
        return Patient(id=name, problem=str(error))
    if first is None:
        return Patient(id=name, path=path, problem="Info_4CH.cfg is missing")
    ef, frames = number(info.get("ef", info.get("lvef", ""))), end_frames(info)
    patient = Patient(
        id=name,
        problem=problem_of(info, other, path),
        path=path,
        mask=mask,
        ef=ef,
        quality=info.get("imagequality", "").capitalize(),
        other_quality=other.get("imagequality", "").capitalize(),
        fps=number(info.get("framerate", "")),
    )
    if frames is None:
        return patient
    ed, es = frames
    ends = (min(ed, es) - 1, max(ed, es) - 1)
    return Patient(**{**vars(patient), "frames": ends, "reverse": es < ed})


def _first(files: Entries, stem: str, ends: Sequence[str]) -> Path | None:
    """The first of a patient's files with one of these ends to its name."""
    return next(filter(None, (files.one(stem + end) for end in ends)), None)
