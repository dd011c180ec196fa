"""EchoNet-Dynamic's folder: ``FileList.csv``, ``VolumeTracings.csv`` and ``Videos/*.avi``.

The phantom writes the same layout, so both are read by this module. A video is used when it is listed, exists, and has
tracings on at least two frames (the rule behind the paper's 1,276 test videos); untraced ones are dropped and counted,
anything else that is wrong with a row is an error, since it would silently change the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from coreecho.datasets.folders import by_stem, contents, pick, several
from coreecho.datasets.lists import read_list, stems
from coreecho.datasets.pediatric import FoldRule, assign_folds
from coreecho.datasets.study import SPLITS, Dataset, Split, Study, refusal
from coreecho.errors import DataError

LIST_FILE, TRACING_FILE, VIDEO_FOLDER = "FileList.csv", "VolumeTracings.csv", "Videos"
_LIST_COLUMNS = ("FileName", "EF", "Split")
_VOLUME_TOLERANCE = 0.05
"""EF points by which the listed EF may differ from 100(EDV-ESV)/EDV; the real list agrees to 1e-7."""


def read_echonet(
    root: str | Path,
    *,
    skip_bad: bool = False,
    untraced: Literal["drop", "keep"] = "drop",
    folds: FoldRule | None = None,
) -> Dataset:
    """Reads the lists of an EchoNet-Dynamic folder, real or phantom, or one's own in that form; no video is opened.

    Args:
        root: the folder that holds ``FileList.csv``, or one above it (doubled unzip folders).
        skip_bad: drop rows whose video is missing or whose label is unusable instead of refusing the folder. The
            dropped rows change the data set's fingerprint, and so the key of every run on it.
        untraced: ``keep`` uses every listed video, traced or not (one's own data have no tracings); this enters the
            fingerprint.
        folds: which fold numbers are which split, where the list has numbers (EchoNet-Pediatric): text such as
            ``0-7/8/9`` (training, validation, test) or a mapping from number to split.

    Returns:
        The usable studies in list order, and the dropped ones by reason (untraced, missing, bad label).

    Raises:
        DataError: the folder, a file, a column or a row is not what the format says; the message names it.
    """
    return select(scan_echonet(root, folds), skip_bad=skip_bad, untraced=untraced)


def select(found: EchonetFolder, *, skip_bad: bool = False, untraced: Literal["drop", "keep"] = "drop") -> Dataset:
    """The usable studies of a folder that was read already; see `read_echonet`."""
    if found.traced is None and untraced == "drop":
        raise DataError(
            f"{found.root / TRACING_FILE}: no such file; the paper uses traced videos only. Put it beside {LIST_FILE}, "
            "or use every listed video with --untraced keep"
        )
    without = set(found.untraced) if untraced == "drop" else set()
    missing = set(found.missing) - without
    bad = {row.id: row.problem for row in found.rows if row.problem and row.id not in without}
    unclear = {name: told for name, told in found.unclear.items() if name not in without}
    if (missing or bad or unclear) and not skip_bad:
        absent = dict.fromkeys(sorted(missing - bad.keys()), "no such video")
        raise refusal(found.root / LIST_FILE, bad | absent | unclear)
    left_out = without | missing | bad.keys() | unclear.keys()
    studies = tuple(
        Study(id=row.id, path=found.files[row.id.lower()], label=row.ef, split=row.split)
        for row in found.rows
        if row.id not in left_out
    )
    dropped = {"untraced": sorted(without), "missing": sorted(missing), "bad label": sorted(bad)}
    dropped["several files"] = sorted(unclear)
    return Dataset(
        name="echonet",
        root=found.root,
        studies=studies,
        dropped={reason: tuple(names) for reason, names in dropped.items() if names},
        rule="untraced=keep" if untraced == "keep" else "",
    )


@dataclass(frozen=True)
class EchonetFolder:
    """A folder's lists and videos as found, before anything is left out."""

    root: Path
    rows: tuple[Row, ...]
    files: Mapping[str, Path]
    """Lower-case stem -> video, listed or not; of several that differ in case only, the one that the list names."""
    unclear: Mapping[str, str]
    """Listed videos with several files of which none can be chosen, and which those are."""
    traced: Mapping[str, int] | None
    """Lower-case stem -> number of traced frames; none without a file of tracings."""

    @property
    def untraced(self) -> list[str]:
        """Listed videos with tracings on fewer than two frames."""
        traced = self.traced or {}
        return [row.id for row in self.rows if traced.get(row.id.lower(), 0) < 2]

    @property
    def missing(self) -> list[str]:
        """Listed videos without a file."""
        return [row.id for row in self.rows if row.id.lower() not in self.files]


def scan_echonet(root: str | Path, folds: FoldRule | None = None) -> EchonetFolder:
    """The lists and files of the folder at or below ``root``.

    Raises:
        DataError: as `read_echonet`, but for rows that cannot be used.
    """
    root = find_root(Path(root))
    rows = _read_list(root, folds)
    alike = by_stem(_videos(root))
    files = {stem: paths[-1] for stem, paths in alike.items()}
    unclear = {}
    for row in rows:
        stem = row.id.lower()
        chosen = pick(alike.get(stem, []), row.file)
        if chosen is not None:
            files[stem] = chosen
        elif stem in alike:
            unclear[row.id] = several(alike[stem])
    traced = _traced_frames(root) if (root / TRACING_FILE).is_file() else None
    return EchonetFolder(root, tuple(rows), files, unclear, traced)


def find_root(folder: Path) -> Path:
    """The folder at or up to three levels below ``folder`` that holds the list file.

    Raises:
        DataError: there is none, or there are several; the message says what was looked for and found.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the one that holds {LIST_FILE} and {VIDEO_FOLDER}/")
    for depth in range(4):
        found = sorted(path.parent for path in folder.glob("*/" * depth + LIST_FILE))
        if len(found) > 1:
            raise DataError(f"{folder}: several data sets below it ({', '.join(map(str, found[:3]))}); name one")
        if found:
            return found[0]
    raise DataError(f"{folder}: holds no {LIST_FILE} (looked three levels deep); give EchoNet-Dynamic's folder")


def _videos(root: Path) -> list[Path]:
    """The videos in ``Videos/``, or in the root itself where they lie beside the lists."""
    for folder in (root / VIDEO_FOLDER, root):
        found = [path for path in contents(folder) if path.suffix.lower() == ".avi"] if folder.is_dir() else []
        if found:
            return found
    raise DataError(f"{root}: no .avi file in {VIDEO_FOLDER}/ or beside {LIST_FILE}; unpack the videos there")


class Row(NamedTuple):
    """A row of the list: ``file`` as it stands there; ``problem`` says what is wrong with its label, or nothing."""

    id: str
    file: str
    ef: float
    split: Split
    problem: str
    size: str
    """Width x height by the list, or nothing where it does not say."""


def _read_list(root: Path, folds: FoldRule | None) -> list[Row]:
    path = root / LIST_FILE
    table = read_list(path, _LIST_COLUMNS)
    table["id"] = stems(table["FileName"])
    repeated = table["id"].str.lower().duplicated()
    if repeated.any():
        raise DataError(f"{path}: {table['id'][repeated].iloc[0]:.80} is listed twice; each video must have one row")
    table["split"] = table["Split"].str.strip().str.lower()
    if table["split"].str.fullmatch(r"\d+").all() and len(table):
        table["split"] = assign_folds(path, list(table["split"]), folds)
    unknown = ~table["split"].isin(SPLITS)
    if unknown.any():
        raise DataError(
            f"{path}: row {_row(table, unknown)}: Split is {table['Split'][unknown].iloc[0][:40]!r}; "
            "it must be TRAIN, VAL or TEST"
        )
    return [_parsed({str(name): str(value) for name, value in row.items()}) for row in table.to_dict("records")]


def _parsed(row: dict[str, str]) -> Row:
    ef = _number(row["EF"])
    split = next(split for split in SPLITS if split == row["split"])
    sides = _number(row.get("FrameWidth", "")), _number(row.get("FrameHeight", ""))
    size = "" if sides[0] is None or sides[1] is None else f"{sides[0]:g}x{sides[1]:g}"
    return Row(row["id"], row["FileName"].strip(), float("nan") if ef is None else ef, split, _label_problem(row), size)


def _row(table: pd.DataFrame, mask: pd.Series[bool]) -> int:
    """Line of the file (the header is line 1) of the first row in the mask."""
    return int(mask.to_numpy().argmax()) + 2


def _label_problem(row: dict[str, str]) -> str:
    """What is wrong with the EF of a row, in words, or nothing."""
    ef = _number(row["EF"])
    if ef is None:
        return f"EF is {row['EF']!r}, not a number" if row["EF"].strip() else "EF is empty"
    if not 0 <= ef <= 100:
        return f"EF {ef:g} lies outside 0-100 %"
    volumes = _number(row.get("EDV", "")), _number(row.get("ESV", ""))
    if volumes[0] is not None and volumes[1] is not None and volumes[0] > 0:
        from_volumes = 100 * (volumes[0] - volumes[1]) / volumes[0]
        if abs(from_volumes - ef) > _VOLUME_TOLERANCE:
            return f"EF {ef:g} is not 100(EDV-ESV)/EDV = {from_volumes:.4g}"
    elif 0 < ef < 1:
        return f"EF {ef:g} looks like a fraction; it must be in percent"
    return ""


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _traced_frames(root: Path) -> dict[str, int]:
    """Number of traced frames by lower-case name; words such as "No Systolic" in place of a frame count as none."""
    # Each frame has 21 rows in the real file; names are taken apart once a frame.
    table = read_list(root / TRACING_FILE, ("FileName", "Frame"))[["FileName", "Frame"]].drop_duplicates()
    table["id"] = stems(table["FileName"]).str.lower()
    table["Frame"] = pd.to_numeric(table["Frame"], errors="coerce")
    return {str(name): int(count) for name, count in table.groupby("id")["Frame"].nunique().items()}


__all__ = [
    "LIST_FILE", "TRACING_FILE", "VIDEO_FOLDER", "EchonetFolder", "Row", "Split", "find_root", "read_echonet",
    "scan_echonet", "select",
]  # fmt: skip
