"""What no real data set can tell: the phantom's true EF, kept beside the lists and never read by training.

Labels can also be drawn without rendering a single video, to look at their distribution.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from coreecho.phantom.case import sample_case
from coreecho.phantom.writing import TRUTH_FILE
from coreecho.phantom_settings import PhantomSettings


def read_truth(folder: Path) -> pd.DataFrame:
    """One row per video, indexed by its name: true EF and volumes, ED and ES frames, geometry, acquisition."""
    return pd.read_csv(folder / TRUTH_FILE).set_index("FileName")


def true_ef(folder: Path) -> pd.Series:
    """The true EF in percent of every video, indexed by its name."""
    return read_truth(folder)["EF"]


def sample_labels(settings: PhantomSettings) -> pd.DataFrame:
    """True and listed EF in percent, and the split, of every video of a phantom, without rendering any."""
    cases = [sample_case(settings, index)[0] for index in range(settings.train + settings.val + settings.test)]
    return pd.DataFrame(
        {
            "video": [case.name for case in cases],
            "split": [case.split.lower() for case in cases],
            "true": [case.heart.ejection_fraction for case in cases],
            "listed": [case.listed_ef for case in cases],
        }
    )


def describe_labels(labels: pd.DataFrame) -> pd.DataFrame:
    """Mean, spread and shape of the listed EF by split, the reader's error, and the oracle's R2 in percent."""
    lines = []
    for split, part in [*labels.groupby("split", sort=False), ("all", labels)]:
        error = part["listed"] - part["true"]
        spread = part["listed"] - part["listed"].mean()
        lines.append(
            {
                "Split": split,
                "Videos": len(part),
                "Mean EF (%)": f"{part['listed'].mean():.1f}",
                "SD": f"{part['listed'].std():.1f}",
                "Median": f"{part['listed'].median():.1f}",
                "Below 50 %": f"{100 * (part['listed'] < 50).mean():.1f} %",
                "Reader's SD": f"{error.std():.2f}",
                "Oracle R2 (%)": f"{100 * (1 - (error**2).sum() / (spread**2).sum()):.1f}",
            }
        )
    return pd.DataFrame(lines)
