"""Lists as CSV files: every cell as text, named columns, the names of videos without their suffix."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from coreecho.errors import DataError


def read_list(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A CSV file with text in every cell; of columns that stand there twice and are not asked for, the first.

    Args:
        path: the file.
        columns: what must be there, each once.

    Raises:
        DataError: no such file, not a CSV file, or a column is missing or there twice.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; it comes with the data set, beside the videos' folder")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OverflowError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: not a readable CSV file ({reason:.200})") from None
    table.columns = table.columns.astype(str).str.strip()
    missing = [column for column in columns if list(table.columns).count(column) != 1]
    if missing:
        found = ", ".join(table.columns[:12])[:300] or "none"
        raise DataError(f"{path}: no single column {', '.join(missing)}; found {found}")
    return table.loc[:, ~table.columns.duplicated()].copy()


def stems(names: pd.Series[str]) -> pd.Series[str]:
    """Names of videos without blanks around them and without ``.avi``."""
    return names.str.strip().str.replace(r"(?i)\.avi$", "", regex=True)
