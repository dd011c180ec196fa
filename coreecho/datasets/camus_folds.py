"""CAMUS's folds: the published lists, taken from the user's own copy and checked, or blocks of sorted names (gaps D).

The ten official folds are ``subGroup1_training.txt`` to ``subGroup10_testing.txt``, one patient a line; the NIfTI
release ships one more split of its own as ``database_split/subgroup_training.txt`` and so on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from coreecho.datasets.folders import entries
from coreecho.datasets.study import SPLITS, Split
from coreecho.errors import DataError

Folds = list[dict[Split, frozenset[str]]]
"""By fold, counted from 0: the patients of each split."""
BLOCKS = 10
_LIST = re.compile(r"sub_?group(\d*)_(training|validation|testing)\.txt")
_PARTS: Mapping[str, Split] = {"training": "train", "validation": "val", "testing": "test"}
_LIST_FOLDERS = ("lists", "database_split", "listsubgroups", "subgroups_camus", "subgroups")


def contiguous_folds(names: Sequence[str]) -> Folds:
    """Ten blocks of the sorted names, each the test set of one fold (50 of 500); there is no validation set."""
    blocks = [frozenset(map(str, block)) for block in np.array_split(sorted(names), BLOCKS)]
    return [{"train": frozenset(names) - block, "val": frozenset(), "test": block} for block in blocks]


def listed_folds(places: Sequence[Path], names: Sequence[str]) -> Folds:
    """The numbered lists, checked: splits of a fold are disjoint and cover all, test sets partition the patients.

    Args:
        places: folders in and below which the lists are looked for, the first hit counts.
        names: the patients on disk.

    Raises:
        DataError: there are none, or they are not what folds must be; the message names the file.
    """
    found = _find(places, numbered=True)
    if not found:
        single = " (subgroup_training.txt is one split, not ten folds)" if _find(places, numbered=False) else ""
        raise DataError(
            f"{places[0]}: the fold lists subGroup1_training.txt to subGroup10_testing.txt are not there{single}; "
            "put them into lists/, or use folds=contiguous"
        )
    numbers = sorted({number for number, _ in found})
    if numbers != list(range(1, len(numbers) + 1)):
        raise DataError(f"{_folder(found)}: lists of fold {_first_gap(numbers)} are missing; found {numbers}")
    folds = [_read_fold(found, number, names) for number in numbers]
    tested: dict[str, int] = {}
    for number, fold in enumerate(folds, start=1):
        for name in sorted(fold["test"]):
            if name in tested:
                raise DataError(f"{_folder(found)}: {name} is in the test sets of folds {tested[name]} and {number}")
            tested[name] = number
    never = sorted(set(names) - tested.keys())
    if never:
        raise DataError(f"{_folder(found)}: {len(never)} patients are in no fold's test set ({', '.join(never[:5])})")
    return folds


def single_split(places: Sequence[Path], names: Sequence[str]) -> Folds:
    """The one split of ``database_split/`` as a fold 0, checked like the others.

    Raises:
        DataError: it is not there, or its parts overlap or do not cover the patients.
    """
    found = _find(places, numbered=False)
    if not found:
        raise DataError(f"{places[0]}: holds no subgroup_training.txt, subgroup_validation.txt, subgroup_testing.txt")
    return [_read_fold(found, 0, names)]


_Found = dict[tuple[int, Split], Path]


def _find(places: Sequence[Path], numbered: bool) -> _Found:
    """(fold number, split) -> list file; number 0 for the lists without one."""
    for place in places:
        if not place.is_dir():
            raise DataError(f"{place}: no such folder; give the one with the fold lists")
        folders = [place, *(path for name, path in entries(place)[0].items() if name in _LIST_FOLDERS)]
        found = {part: path for folder in folders for part, path in _lists(folder, numbered)}
        if found:
            return found
    return {}


def _lists(folder: Path, numbered: bool) -> Iterator[tuple[tuple[int, Split], Path]]:
    """The lists in one folder, with the number of the fold and its split."""
    files = entries(folder)[1]
    for name in files:
        match = _LIST.fullmatch(name)
        if match is None or bool(match[1]) != numbered:
            continue
        try:
            path = files.one(name.replace("subgroup", "subGroup") if numbered else name)
        except DataError as error:
            raise DataError(f"{folder}: {error}") from None
        assert path is not None
        yield (int(match[1] or 0), _PARTS[match[2]]), path


def _read_fold(found: _Found, number: int, names: Sequence[str]) -> dict[Split, frozenset[str]]:
    fold: dict[Split, frozenset[str]] = {}
    known, seen = set(names), set[str]()
    for split in SPLITS:
        if (number, split) not in found:
            raise DataError(f"{_folder(found)}: the {split} list of fold {number or 'database_split'} is missing")
        fold[split] = _read_list(found[number, split])
        both = sorted(seen & fold[split])
        if both:
            raise DataError(f"{found[number, split]}: {both[0]} is in another list of the fold too; mend the lists")
        seen |= fold[split]
    left = sorted(known - seen)
    if left:
        raise DataError(
            f"{found[number, 'train']}: {len(left)} patients are in no list of this fold ({', '.join(left[:5])})"
        )
    return fold


def _read_list(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); copy the list again") from None
    names = []
    for number, line in enumerate(lines, start=1):
        match = re.fullmatch(r"patient0*(\d{1,6})", line.strip().lower())
        if match:
            names.append(f"patient{int(match[1]):04d}")
        elif line.strip():
            raise DataError(f"{path}: line {number} is {line.strip()[:40]!r}, not a patient such as patient0001")
    if len(set(names)) < len(names):
        raise DataError(f"{path}: a patient is named twice; copy the list again")
    return frozenset(names)


def _folder(found: _Found) -> Path:
    return next(iter(found.values())).parent


def _first_gap(numbers: Sequence[int]) -> int:
    return next(number for number in range(1, len(numbers) + 2) if number not in numbers)
