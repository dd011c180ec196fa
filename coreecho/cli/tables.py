"""Text that fits the terminal: tables with shortened columns, lines wrapped between words. A pipe gets all of it."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence

GAP = "  "
FLOOR = 8
"""A column of text is not made narrower than this."""
NOTHING = "–"


def columns() -> int | None:
    """How many characters a line of the terminal has; none where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def shorten(text: str, width: int) -> str:
    """``text`` with an ellipsis in its middle if it is longer than ``width``: names differ at their ends."""
    if len(text) <= width:
        return text
    end = max(0, width - 1) // 2
    return text[: width - 1 - end] + "…" + text[len(text) - end :]


def wrap(text: str, width: int | None) -> str:
    """Lines broken between words, each continued four characters further in than it began."""
    if width is None:
        return text
    lines = []
    for line in text.splitlines():
        inner = " " * min(len(line) - len(line.lstrip()) + 4, width // 2)
        lines += textwrap.wrap(
            line, width, subsequent_indent=inner, break_long_words=False, break_on_hyphens=False
        ) or [""]
    return "\n".join(lines)


def table(rows: Sequence[Mapping[str, object]], width: int | None, spare: Sequence[str] = ()) -> str:
    """Rows below their names, text to the left and numbers to the right; narrower than ``width`` if one is given.

    What does not fit gives way in this order: rows of other columns get a table of their own, ``spare`` columns are
    left out, text is shortened, and at last each row becomes a block of lines. Numbers are never cut.
    """
    if width is None or _total(_widths(rows)) <= width:
        return _aligned(rows, None)
    kinds: dict[tuple[str, ...], list[Mapping[str, object]]] = {}
    for row in rows:
        kept = {name: value for name, value in row.items() if name not in spare}
        kinds.setdefault(tuple(kept), []).append(kept)
    return "\n\n".join(_aligned(kind, width) for kind in kinds.values())


def _names(rows: Sequence[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _widths(rows: Sequence[Mapping[str, object]]) -> list[int]:
    return [max(len(name), *(len(_cell(row.get(name))) for row in rows)) for name in _names(rows)]


def _aligned(rows: Sequence[Mapping[str, object]], width: int | None) -> str:
    names = _names(rows)
    numeric = {name: all(isinstance(row.get(name), int | float | None) for row in rows) for name in names}
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    widths = _widths(rows)
    if width is not None:
        widths = _squeezed(widths, [not numeric[name] for name in names], width)
        if _total(widths) > width:
            return _blocks(names, cells, width)
    return "\n".join(
        GAP.join(
            (str.rjust if numeric[name] else str.ljust)(shorten(cell, room), room)
            for name, cell, room in zip(names, line, widths, strict=True)
        ).rstrip()
        for line in [names, *cells]
    )


def _cell(value: object) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _squeezed(widths: Sequence[int], text: Sequence[bool], width: int) -> list[int]:
    """Widths of columns after the widest of text gave way, one character after another."""
    found = list(widths)
    while _total(found) > width:
        wide = max((i for i, is_text in enumerate(text) if is_text), key=lambda i: found[i], default=None)
        if wide is None or found[wide] <= FLOOR:
            break
        found[wide] -= 1
    return found


def _blocks(names: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> str:
    room = max(map(len, names))
    return "\n\n".join(
        "\n".join(
            f"{name:{room}}{GAP}{shorten(cell, max(FLOOR, width - room - len(GAP)))}"
            for name, cell in zip(names, line, strict=True)
        )
        for line in cells
    )
