"""The pretext task's folder: ``motions.csv`` (FileName, Motion, Split) and ``Videos/*.avi``.

It takes the place of Kinetics-400 where the published weights are not used; a label is the number of a motion.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from coreecho.datasets.folders import Entries, by_stem, files_below, find_below, pick, several
from coreecho.datasets.lists import read_list, stems
from coreecho.datasets.study import SPLITS, Dataset, Study, refusal
from coreecho.errors import DataError
from coreecho.phantom.moving_shapes import MOTIONS

LIST_FILE = "motions.csv"
COLUMNS = ("FileName", "Motion", "Split")


def read_motions(root: str | Path) -> Dataset:
    """Reads the list of a folder of moving shapes; no video is opened.

    Args:
        root: the folder that holds ``motions.csv``, or one above it.

    Returns:
        All listed videos in list order; a label is its motion's place in `MOTIONS`, as a float.

    Raises:
        DataError: the folder, a column, a row or a video is not what the format says; the message names it.
    """
    roots = find_below(Path(root), _holds_list)
    if len(roots) > 1:
        raise DataError(f"{root}: several data sets below it ({', '.join(map(str, roots[:3]))}); name one")
    if not roots:
        raise DataError(f"{root}: holds no {LIST_FILE} (looked four levels deep); give the moving shapes' folder")
    path = roots[0] / LIST_FILE
    table = _read_list(path)
    alike = by_stem(files_below(roots[0], ".avi", depth=1))
    given = zip(table["id"], table["FileName"].str.strip(), strict=True)
    files = {name: pick(alike.get(name.lower(), []), file) for name, file in given}
    without = [name for name, file in files.items() if file is None]
    if without:
        told = {name: several(alike[name.lower()]) if name.lower() in alike else "no such video" for name in without}
        raise refusal(path, told)
    studies = tuple(
        Study(id=name, path=file, label=float(MOTIONS.index(motion)), split=split)
        for (name, file), motion, given in zip(files.items(), table["Motion"], table["Split"], strict=True)
        if file is not None
        for split in SPLITS
        if split == given
    )
    return Dataset(name="motions", root=roots[0], studies=studies, task="motion")


def _holds_list(folders: Entries, files: Entries) -> bool:
    return LIST_FILE in files


def _read_list(path: Path) -> pd.DataFrame:
    """The list with names without suffix, and motions and splits in lower case, all of them known ones."""
    table = read_list(path, COLUMNS)
    table["id"] = stems(table["FileName"])
    repeated = table["id"].str.lower().duplicated()
    if repeated.any():
        raise DataError(f"{path}: {table['id'][repeated].iloc[0]:.80} is listed twice; each video must have one row")
    for column, known in (("Motion", MOTIONS), ("Split", SPLITS)):
        given = table[column].str.strip().str.lower()
        unknown = ~given.isin(known)
        if unknown.any():
            row, value = int(unknown.to_numpy().argmax()) + 2, table[column][unknown].iloc[0]
            raise DataError(f"{path}: row {row}: {column} is {value[:40]!r}; it must be one of {', '.join(known)}")
        table[column] = given
    return table


__all__ = ["MOTIONS", "read_motions"]
