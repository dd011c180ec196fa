"""The workbook of the phantom HMC-QU, laid out as the real ones: merged two-row header, Wingdings ticks, footnote."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from coreecho.errors import DataError
from coreecho.phantom.hmcqu_case import HmcquCase
from coreecho.phantom.segments import SEGMENTS

TICK, CROSS = "\xfc", "\xfb"
"""Letters that the Wingdings font shows as a tick and a cross."""
FOOTNOTE = "* Synthetic echo; the star is no part of its file's name."


def write_book(path: Path, cases: Iterable[HmcquCase]) -> None:
    """Writes one row for each echo: its name, segments, cycle (frames counted from 1) and whether it has a mask.

    Raises:
        DataError: openpyxl is not installed.
    """
    try:
        from openpyxl import Workbook
        from openpyxl.styles import Font
    except ImportError as error:
        raise DataError(f"{path.name}: writing Excel needs openpyxl; run: pip install 'coreecho[volume]'") from error
    book = Workbook()
    sheet = book.active
    sheet.title = "Tabelle1"
    sheet.append(
        ["ECHO", "LABEL", *[None] * 5, "One cardiac-cycle frames", None, "LV Wall Ground-truth Segmentation Masks"]
    )
    sheet.append([None, *SEGMENTS, "Reference Frame", "End of Cycle", f"Available: {TICK}  Not Available: {CROSS}"])
    for merged in ("A1:A2", "B1:G1", "H1:I1"):
        sheet.merge_cells(merged)
    for case in cases:
        labels = ["MI" if hit else "non-MI" for hit in case.infarcted]
        ends = [frame + 1 for frame in case.cycle]
        sheet.append([case.name + "*" * case.starred, *labels, *ends, TICK if case.masked else CROSS])
        sheet.cell(sheet.max_row, 10).font = Font(name="Wingdings")
    sheet.cell(sheet.max_row + 2, 1, FOOTNOTE)
    _save_without_times(book, path)


def _save_without_times(book: Any, path: Path) -> None:
    """Saves a workbook so that the same content always gives the same bytes."""
    from openpyxl.writer.excel import ExcelWriter

    book.properties.created = book.properties.modified = datetime(2000, 1, 1)
    packed = BytesIO()
    ExcelWriter(book, zipfile.ZipFile(packed, "w")).save()
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)
