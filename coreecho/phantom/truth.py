"""What no real data set can tell: the phantom's true EF, kept beside the lists and never read by training."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

TRUTH_FILE = "truth.csv"


def read_truth(folder: Path) -> pd.DataFrame:
    """One row per video, indexed by its name: true EF and volumes, ED and ES frames, geometry, acquisition."""
    return pd.read_csv(folder / TRUTH_FILE).set_index("FileName")


def true_ef(folder: Path) -> pd.Series:
    """The true EF in percent of every video, indexed by its name."""
    return read_truth(folder)["EF"]
