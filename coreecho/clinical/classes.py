"""The three classes of EF that heart failure is named by: reduced, mildly reduced, preserved.

Up to 40 %, above 40 and below 50 %, and from 50 % on. The usual 41 to 49 is meant for whole numbers; values are not
rounded here, so that an EF of 40.4 counts as mildly reduced.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix

from coreecho import sums
from coreecho.resampling import Array, Draws, Interval, Metrics, checked, interval_of

NAMES = ("reduced (up to 40 %)", "mildly reduced (41 to 49 %)", "preserved (50 % and over)")
METRICS = ("accuracy", "kappa")
"""Share told the right class; Cohen's kappa with linear weights: agreement beyond chance, near misses count half."""


def classes(values: ArrayLike) -> NDArray[np.int64]:
    """Class of each EF in percent: 0 reduced, 1 mildly reduced, 2 preserved."""
    ef = np.asarray(values, dtype=np.float64)
    found: NDArray[np.int64] = (ef > 40).astype(np.int64) + (ef >= 50)
    return found


def matrices(labels: ArrayLike, predictions: ArrayLike) -> NDArray[np.int64]:
    """Numbers of patients (S, 3, 3) by listed class (rows) and predicted class (columns), by scikit-learn.

    Args:
        labels: (N,) listed EF in percent.
        predictions: (S, N) or (N,) predicted EF in percent of S seeds.

    Raises:
        DataError: lengths differ, or a value is not finite.
    """
    y, p = checked(labels, predictions)
    return np.stack([confusion_matrix(classes(y), classes(own), labels=[0, 1, 2]) for own in p])


def class_metrics(labels: ArrayLike, predictions: ArrayLike) -> dict[str, float]:
    """Point values of one seed, by scikit-learn.

    Args:
        labels: (N,) listed EF in percent.
        predictions: (N,) predicted EF in percent.

    Raises:
        DataError: as `matrices`.
    """
    y, rows = checked(labels, predictions)
    listed, told = classes(y), classes(rows[0])
    one = len(np.union1d(listed, told)) < 2  # chance alone agrees fully
    kappa = float("nan") if one else float(cohen_kappa_score(listed, told, labels=[0, 1, 2], weights="linear"))
    return {"accuracy": float(accuracy_score(listed, told)), "kappa": kappa}


def bootstrap(
    labels: ArrayLike, predictions: ArrayLike, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Percentile bootstrap over patients of each of `METRICS`, computed per seed and averaged over seeds.

    Arguments are those of `coreecho.evaluation.bootstrap`: labels (N,) and predictions (S, N) or (N,) in percent.

    Raises:
        DataError: as `matrices`.
    """
    y, p = checked(labels, predictions)
    return interval_of(METRICS, _metrics(y, p), len(y), Draws(resamples, seed, level))


def _metrics(y: Array, p: Array) -> Metrics:
    """Metrics (R, S, 2) of patient counts (R, N)."""
    listed, told = np.eye(3)[classes(y)], np.eye(3)[classes(p)]  # (N, 3), (S, N, 3)
    away = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))  # classes apart

    def metrics(counts: Array) -> Array:
        n = counts.sum(axis=1)[:, None]
        values = []
        for own in told:
            cells = (counts @ (listed[:, :, None] * own[:, None, :]).reshape(len(y), 9)).reshape(-1, 3, 3)  # (R, 3, 3)
            chance = cells.sum(axis=2)[:, :, None] * cells.sum(axis=1)[:, None, :] / n[:, :, None]
            missed = sums.ratio((cells * away).sum(axis=(1, 2)), (chance * away).sum(axis=(1, 2)))
            values.append(np.stack([np.trace(cells, axis1=1, axis2=2) / n[:, 0], 1 - missed], axis=1))
        return np.stack(values, axis=1)  # (R, S, 2)

    return metrics
