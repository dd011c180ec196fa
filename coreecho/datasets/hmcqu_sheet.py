"""HMC-QU's workbooks as they are: merged two-row headers, MI / non-MI texts, Wingdings ticks, footnotes, stray spaces.

Columns are found by the words of their headers, so that the workbook of 2021 (four-chamber view only) and the two of
the later release are read alike.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coreecho.errors import DataError

_ROWS, _COLUMNS, _HEADER_ROWS = 5000, 40, 12
_UNPACKED_BYTES = 16 * 1024**2
"""Largest unpacked workbook that is opened; the real ones take less than 1 MB."""
_LABELS = {"mi": True, "non-mi": False, "nonmi": False, "non mi": False}
_TICKS = {"\xfc": True, "\uf0fc": True, "\xfb": False, "\uf0fb": False}
"""In the Wingdings font the letters u-umlaut and u-circumflex show as a tick and a cross."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One echo of a workbook; ``problem`` tells why it cannot be used, or nothing."""

    name: str
    """Name of the video without suffix and footnote star; its inner spaces belong to the file name."""
    line: int
    infarct: bool
    """Whether any wall segment is marked MI."""
    frames: tuple[int, int]
    """First and last frame of the cycle, counted from 0, both included."""
    masked: bool | None
    """Whether a mask is said to exist; none where the workbook has no such column."""
    problem: str


@dataclass(frozen=True)
class _Header:
    """Where the columns are, counted from 0, and the first row of data."""

    echo: int
    segments: Mapping[str, int]
    first: int
    last: int
    masked: int | None
    data: int


def read_sheet(path: Path) -> list[Row]:
    """The rows of a workbook that describe an echo; blank rows and footnotes are not among them.

    Raises:
        DataError: not a workbook, or without the columns ECHO, SEG..., Reference Frame and End of Cycle.
    """
    cells = _cells(path)
    header = _header(path, cells)
    rows = [
        _row(values, header, line)
        for line, values in enumerate(cells[header.data :], start=header.data + 1)
        if any(_text(values[column]) for column in (*header.segments.values(), header.first, header.last))
    ]
    if not rows:
        raise DataError(f"{path}: no row below the header describes an echo; copy the workbook again")
    return rows


def name_key(name: str) -> str:
    """What two spellings of a name have in common: no spaces, no case, no footnote star."""
    return re.sub(r"\s+", "", name).rstrip("*").casefold()


def _cells(path: Path) -> list[Sequence[Any]]:
    """The values of the first sheet with a column ECHO, or of the first sheet."""
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise DataError(f"{path.name}: reading Excel needs openpyxl; run: pip install 'coreecho[volume]'") from None
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
        if size > _UNPACKED_BYTES:
            raise DataError(f"{path}: unpacks to {size / 1e6:.0f} MB, too much for a list of echos; copy it again")
        book = load_workbook(path, read_only=True, data_only=True)
        sheets: list[list[Sequence[Any]]] = []
        for sheet in book.worksheets:
            rows = sheet.iter_rows(max_row=_ROWS, max_col=_COLUMNS, values_only=True)
            sheets.append([[*row, *[None] * (_COLUMNS - len(row))] for row in rows])
        book.close()
    except DataError:
        raise
    except Exception as error:  # a damaged workbook makes openpyxl and its XML parser fail in many ways
        raise DataError(f"{path}: not a readable Excel workbook ({type(error).__name__}); copy it again") from None
    if not sheets:
        raise DataError(f"{path}: holds no sheet; copy the workbook again")
    return next((sheet for sheet in sheets if _find(sheet, r"echo")), sheets[0])


def _text(value: Any) -> str:
    return " ".join(str(value).split()) if value is not None else ""


def _find(cells: Sequence[Sequence[Any]], pattern: str) -> list[tuple[int, int, str]]:
    """(row, column, text) of the cells in the first rows whose whole text matches, case aside."""
    return [
        (row, column, text)
        for row, values in enumerate(cells[:_HEADER_ROWS])
        for column, value in enumerate(values)
        if re.fullmatch(pattern, text := _text(value).casefold())
    ]


def _header(path: Path, cells: Sequence[Sequence[Any]]) -> _Header:
    wanted = {
        "ECHO": r"echo",
        "SEG1, SEG2, ...": r"seg(ment)? ?\d+",
        "Reference Frame": r"ref(erence)?\.? frame.*",
        "End of Cycle": r"end of (the )?(cardiac )?cycle.*",
    }
    found = {name: _find(cells, pattern) for name, pattern in wanted.items()}
    missing = [name for name, places in found.items() if not places]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; give HMC-QU's A4C.xlsx, A2C.xlsx or HMC_QU.xlsx")
    masks = _find(cells, r".*segmentation masks?.*")
    return _Header(
        echo=found["ECHO"][0][1],
        segments={text.upper(): column for _, column, text in found["SEG1, SEG2, ..."]},
        first=found["Reference Frame"][0][1],
        last=found["End of Cycle"][0][1],
        masked=masks[0][1] if masks else None,
        data=1 + max(row for places in found.values() for row, _, _ in places),
    )


def _row(values: Sequence[Any], header: _Header, line: int) -> Row:
    name = _text(values[header.echo]).rstrip("* ")
    labels = {segment: _text(values[column]) for segment, column in header.segments.items()}
    first, last = (_whole(values[column]) for column in (header.first, header.last))
    masked = None if header.masked is None else _TICKS.get(_text(values[header.masked]))
    problem = _problem(name, labels, first, last)
    if header.masked is not None and masked is None and not problem:
        problem = f"the mask column holds {_text(values[header.masked])!r}, neither tick nor cross"
    return Row(
        name=name or f"row {line}",
        line=line,
        infarct=any(_LABELS.get(label.casefold(), False) for label in labels.values()),
        frames=((first or 1) - 1, (last or 1) - 1),
        masked=masked,
        problem=f"row {line}: {problem}" if problem else "",
    )


def _problem(name: str, labels: Mapping[str, str], first: int | None, last: int | None) -> str:
    unknown = [f"{segment} is {label!r}" for segment, label in labels.items() if label.casefold() not in _LABELS]
    if not name:
        return "no name in the column ECHO"
    if unknown:
        return f"{unknown[0]}, not MI or non-MI"
    if first is None or last is None or not 1 <= first <= last:
        return f"the cycle runs from frame {first} to {last}; two frames counted from 1 are needed"
    return ""


def _whole(value: Any) -> int | None:
    """A whole number, whether Excel keeps it as number or text."""
    try:
        number = float(_text(value))
    except ValueError:
        return None
    return int(number) if number.is_integer() and abs(number) < 1e6 else None
