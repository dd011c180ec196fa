"""What a CAMUS patient's ``Info_4CH.cfg`` says: ``Key: value`` lines, and whether they can be used (gaps D)."""

from __future__ import annotations

import math
from pathlib import Path

from coreecho.errors import DataError

QUALITIES = ("Good", "Medium", "Poor")
NO_EF = "no EF"
"""Why the older release's ``testing/`` patients cannot be used: their EF was never published."""
_CFG_BYTES = 65536


def read_info(path: Path) -> dict[str, str]:
    """The ``Key: value`` lines of a patient's file by lower-case key; any line ends, blank lines and order.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_CFG_BYTES).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); copy it again") from None
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip().lower(): value.strip() for key, colon, value in pairs if colon}


def problem_of(info: dict[str, str], other: dict[str, str], path: Path | None) -> str:
    """Why a patient cannot be used, in words, or nothing."""
    key = "ef" if "ef" in info else "lvef"
    if key not in info:
        return NO_EF
    ef = number(info[key])
    if ef is None:
        return f"EF is {info[key]!r}, not a number"
    if not 0 <= ef <= 100 or 0 < ef < 1:
        return f"EF {ef:g} cannot be an ejection fraction in percent"
    if key in other and number(other[key]) != ef:
        return f"EF is {info[key]} in Info_4CH.cfg and {other[key]} in Info_2CH.cfg"
    if path is None:
        return "the four-chamber sequence is missing"
    if end_frames(info) is None:
        found = ", ".join(f"{name} {info.get(name.lower(), 'missing')}" for name in ("ED", "ES", "NbFrame"))
        return f"{found}: not two frames of one sequence"
    quality = info.get("imagequality", "")
    return "" if quality.capitalize() in QUALITIES else f"ImageQuality is {quality!r}, not Good, Medium or Poor"


def end_frames(info: dict[str, str]) -> tuple[int, int] | None:
    """End-diastolic and end-systolic frame, counted from 1 as in the file."""
    texts = [info.get(key, "") for key in ("ed", "es")]
    if not all(text.isdecimal() and len(text) < 7 for text in texts):
        return None
    ed, es = map(int, texts)
    count = number(info.get("nbframe", "")) or math.inf
    return (ed, es) if ed != es and min(ed, es) >= 1 and max(ed, es) <= count else None


def number(text: str) -> float | None:
    """A finite number, or none where the text is not one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
