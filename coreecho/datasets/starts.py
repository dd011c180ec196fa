"""The published test starts of EchoNet-Dynamic, three a video, from the user's own copy (section 3; gaps B).

They were released as a Python pickle, a format that can run any program when it is loaded the usual way. Here it is
read as data (`coreecho.datasets.pickled`): nothing in it is ever imported or called. A CSV file does as well, with the
columns ``FileName,start0,start1,start2``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from coreecho.datasets.pickled import parse_pickle
from coreecho.errors import DataError

Starts = dict[str, tuple[int, ...]]
"""Video -> the first frames of its clips."""
CLIPS = 3
_NAMES = ("test_start_indexes.csv", "test_start_indexes.pkl")
_MAX_BYTES = 16 * 1024**2


def find_starts(folder: Path) -> Path | None:
    """The file with the published starts in the user's folder of lists, if there is one; CSV before pickle."""
    return next((folder / name for name in _NAMES if (folder / name).is_file()), None)


def read_starts(path: Path) -> Starts:
    """Reads and checks a file of test starts.

    Args:
        path: a ``.csv`` file, or a pickle of a dictionary name -> three whole numbers (lists or NumPy arrays).

    Returns:
        video (without suffix) -> three start frames.

    Raises:
        DataError: unreadable, or a video without three distinct start frames of 0 or more; the message names it.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; it is the published list of test starts, CSV or pickle")
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path}: larger than {_MAX_BYTES // 1024**2} MB, so not a list of test starts")
    pairs = _csv_pairs(path) if path.suffix.lower() == ".csv" else _pickle_pairs(path)
    found: Starts = {}
    for name, values in pairs:
        starts = _three(values)
        stem = name.strip()[:-4] if name.strip().lower().endswith(".avi") else name.strip()
        if not stem or starts is None:
            raise DataError(f"{path}: {name[:80]!r} has starts {_told(values)}; three different frames are needed")
        if stem in found:
            raise DataError(f"{path}: {stem:.80} is listed twice; each video must have one row")
        found[stem] = starts
    if not found:
        raise DataError(f"{path}: names no video; copy the file again")
    return found


def starts_for(videos: Iterable[str], starts: Mapping[str, tuple[int, ...]], path: Path) -> Starts:
    """The starts of exactly these videos, whatever the case of their names; other videos of the list are left out.

    Raises:
        DataError: the list lacks some of them; the message names the file and the first few.
    """
    folded = {name.casefold(): value for name, value in starts.items()}
    wanted = list(videos)
    missing = [name for name in wanted if name.casefold() not in folded]
    if missing:
        more = ", ..." if len(missing) > 5 else ""
        raise DataError(
            f"{path}: no starts for {len(missing)} of {len(wanted)} test videos ({', '.join(missing[:5])}{more}); "
            "use the list of this data set, or remove the file to have starts drawn"
        )
    return {name: folded[name.casefold()] for name in wanted}


def _told(values: Any) -> str:
    """The start of what a value looks like; a number of many thousand digits cannot be shown."""
    try:
        return f"{values!r:.60}"
    except (ValueError, RecursionError):
        return "that are no frames"


def _three(values: Any) -> tuple[int, ...] | None:
    if not isinstance(values, list | tuple) or len(values) != CLIPS:
        return None
    if not all(type(value) is int and 0 <= value < 10**6 for value in values) or len(set(values)) != CLIPS:
        return None
    return tuple(values)


def _csv_pairs(path: Path) -> list[tuple[str, list[int | str]]]:
    columns = ["filename", *(f"start{number}" for number in range(CLIPS))]
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error):
        raise DataError(f"{path}: not a readable CSV file; copy it again") from None
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if header != columns:
        raise DataError(f"{path}: its first line must read FileName,start0,start1,start2")
    return [(row[0], [_whole(cell) for cell in row[1:]]) for row in rows[1:]]


def _whole(text: str) -> int | str:
    return int(text) if text.strip().isdecimal() and len(text) < 10 else text


def _pickle_pairs(path: Path) -> list[tuple[str, Any]]:
    content = parse_pickle(path)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise DataError(f"{path}: holds no dictionary from video names to start frames")
    return list(content.items())
