"""HMC-QU: myocardial infarction or not, from one cardiac cycle (section 3; gaps E).

Both layouts are read: ``A4C.xlsx``, ``A2C.xlsx`` with ``HMC-QU/A4C/*.avi``, and the older ``HMC_QU.xlsx`` with
``HMC-QU Echos/*.avi``. A view counts as infarcted when any of its six wall segments is marked MI; labels are per view.
No fold list was published, so folds are made here by the one rule that fits all published figures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from coreecho.datasets.folders import Entries, entries, files_below, find_below
from coreecho.datasets.hmcqu_sheet import Row, name_key, read_sheet
from coreecho.datasets.study import Dataset, Study, refusal
from coreecho.errors import DataError
from coreecho.files import replace_file

View = Literal["A4C", "A2C"]
VIEWS: tuple[View, ...] = ("A4C", "A2C")
FOLDS = 5
BOOKS: Mapping[View, tuple[str, ...]] = {"A4C": ("A4C.xlsx", "HMC_QU.xlsx", "HMC-QU.xlsx"), "A2C": ("A2C.xlsx",)}
"""Names of the workbooks; the older release has only the second one."""


@dataclass(frozen=True)
class HmcquFolder:
    """One view of an HMC-QU folder as found, before anything is left out."""

    root: Path
    book: Path
    rows: tuple[Row, ...]
    videos: Mapping[str, Path]
    """By `name_key`; all of the view, listed or not."""
    masks: Mapping[str, Path]

    @property
    def problems(self) -> dict[str, str]:
        """Rows that cannot be used and why."""
        missing = {
            row.name: f"row {row.line}: no such video" for row in self.rows if name_key(row.name) not in self.videos
        }
        return missing | {row.name: row.problem for row in self.rows if row.problem}


def read_hmcqu(
    root: str | Path,
    *,
    view: View = "A4C",
    fold: int,
    fold_seed: int = 0,
    masked_only: bool = True,
    skip_bad: bool = False,
    folds_file: str | Path | None = None,
) -> Dataset:
    """Reads one view of an HMC-QU folder, with the splits of one of its five folds (no validation set).

    Args:
        root: the folder with the workbooks, or one above it.
        view: A4C (the paper's) or A2C.
        fold: number of the fold, from 0 to 4.
        fold_seed: seed of the shuffle before each class is cut into five.
        masked_only: keep only the echos with an outlined wall (109 of 162, those of the published figures); A2C's
            workbook says nothing of masks, and all its echos are kept.
        skip_bad: leave out rows that cannot be used instead of refusing the folder; this changes the fingerprint.
        folds_file: JSON file with the folds: read where it exists, written where it does not.

    Returns:
        The usable studies in the workbook's order; label 1 for an infarction and 0 for none.

    Raises:
        DataError: not an HMC-QU folder, an unusable row, or a fold or fold file that does not fit.
    """
    found = scan_hmcqu(root, view)
    if found.problems and not skip_bad:
        raise refusal(found.book, found.problems)
    if not 0 <= fold < FOLDS:
        raise DataError(f"{found.root}: there is no fold {fold}; folds are numbered 0 to {FOLDS - 1}")
    dropped = _left_out(found, masked_only)
    left_out = {name for names in dropped.values() for name in names}
    rows = [row for row in found.rows if row.name not in left_out]
    drawn = Path(folds_file) if folds_file else None
    tested = _tested({row.name: row.infarct for row in rows}, view, fold_seed, drawn)
    return Dataset(
        name="hmcqu",
        root=found.root,
        studies=tuple(_study(found, row, tested[row.name], fold) for row in rows),
        dropped=dropped,
        task="mi",
        rule=f"view={view}, masked_only={masked_only}",
    )


def _left_out(found: HmcquFolder, masked_only: bool) -> dict[str, tuple[str, ...]]:
    """Names of the echos that are not used, by reason."""
    unmasked = tuple(row.name for row in found.rows if masked_only and row.masked is False)
    dropped = {"no mask": unmasked, "unusable": tuple(found.problems)}
    return {reason: names for reason, names in dropped.items() if names}


def _study(found: HmcquFolder, row: Row, tested: int, fold: int) -> Study:
    """One echo as fold ``fold`` uses it; ``tested`` is the fold that tests on it."""
    key = name_key(row.name)
    return Study(
        id=row.name,
        path=found.videos[key],
        label=float(row.infarct),
        split="test" if tested == fold else "train",
        fold=tested,
        frames=row.frames,
        mask=found.masks.get(key) if row.masked else None,
    )


def _tested(labels: Mapping[str, bool], view: View, seed: int, file: Path | None) -> dict[str, int]:
    """The number of the fold that tests on each echo; the folds are drawn, or those of a file."""
    folds = stratified_folds(labels, seed) if file is None else _stored(file, view, labels, seed)
    return {name: number for number, names in enumerate(folds) for name in names}


def stratified_folds(labels: Mapping[str, bool], seed: int, count: int = FOLDS) -> list[list[str]]:
    """Test sets of ``count`` folds: each class is shuffled and cut on its own, a remainder going to the first folds.

    With 72 infarcted and 37 other echos this gives 23, 23, 21, 21 and 21, the only sizes that fit the published
    sensitivities, specificities and accuracies at once (Table 5; gaps E).
    """
    rng = np.random.default_rng(seed)
    folds: list[list[str]] = [[] for _ in range(count)]
    for infarct in (True, False):
        names = sorted(name for name, label in labels.items() if label is infarct)
        for fold, part in zip(folds, np.array_split(rng.permutation(len(names)), count), strict=True):
            fold.extend(names[index] for index in part)
    return [sorted(fold) for fold in folds]


def _stored(path: Path, view: View, labels: Mapping[str, bool], seed: int) -> list[list[str]]:
    """The folds in a JSON file, which is written first where it does not exist."""
    if not path.exists():
        told = {"data": f"HMC-QU {view}", "rule": "each class cut on its own", "seed": seed}
        text = json.dumps({**told, "folds": stratified_folds(labels, seed)}, indent=1)
        replace_file(path, lambda partial: partial.write_text(text + "\n", encoding="utf-8"))
    try:
        folds = json.loads(path.read_text(encoding="utf-8"))["folds"]
        names = [name for fold in folds for name in fold]
        good = len(folds) == FOLDS and sorted(names) == sorted(labels)
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); change its permissions or remove it") from None
    if not good:
        raise DataError(
            f"{path}: not five folds in which each of the {len(labels)} echos is named once; remove it to remake it"
        )
    return [list(fold) for fold in folds]


def holds_workbook(folders: Entries, files: Entries) -> bool:
    """Whether a folder holds one of HMC-QU's workbooks."""
    return any(book.lower() in files for books in BOOKS.values() for book in books)


def scan_hmcqu(root: str | Path, view: View = "A4C") -> HmcquFolder:
    """Reads the workbook of a view below ``root`` and finds the videos and masks it speaks of.

    Raises:
        DataError: no workbook of that view, several data sets, an echo named twice or with two files.
    """
    roots = find_below(Path(root), holds_workbook)
    if len(roots) > 1:
        raise DataError(f"{root}: several data sets below it ({', '.join(map(str, roots[:3]))}); name one")
    files = entries(roots[0])[1] if roots else Entries()
    try:
        book = next(filter(None, (files.one(name) for name in BOOKS[view])), None)
    except DataError as error:
        raise DataError(f"{roots[0]}: {error}") from None
    if book is None:
        raise DataError(f"{root}: holds no {view}.xlsx (looked four levels deep); give HMC-QU's folder")
    rows = tuple(read_sheet(book))
    keys = [name_key(row.name) for row in rows]
    repeated = [row.name for row, key in zip(rows, keys, strict=True) if keys.count(key) > 1]
    if repeated:
        raise DataError(f"{book}: {repeated[0]:.80} is listed twice; each echo must have one row")
    videos = files_below(book.parent, ".avi")
    ours = [path for path in videos if path.parent.name.upper() == view]
    masks = [path for path in files_below(book.parent, ".mat") if path.name.lower().startswith("mask_")]
    return HmcquFolder(book.parent, book, rows, _by_key(ours or videos), _by_key(masks, before="mask_"))


def _by_key(paths: Sequence[Path], before: str = "") -> dict[str, Path]:
    """Files by `name_key` of their name, without its suffix and without what stands ``before`` the echo's name."""
    found: dict[str, Path] = {}
    for path in paths:
        key = name_key(path.stem[len(before) :])
        if key in found:
            raise DataError(f"{path.parent}: {path.name} is there twice, also as {found[key]}; remove one of them")
        found[key] = path
    return found
