"""Pearson correlation and mean absolute error of a group of patients: Table 4's metrics (gap D)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error

from coreecho import sums
from coreecho.errors import DataError
from coreecho.resampling import Array, Difference, Draws, Interval, Metrics, checked, gap_of, interval_of

METRICS = ("corr", "mae")
LEAST = 3
"""Fewest patients that a correlation is computed from; any two lie on a line."""


def correlation_metrics(labels: ArrayLike, predictions: ArrayLike) -> dict[str, float]:
    """Point values by scipy and scikit-learn.

    Args:
        labels: (N,) true EF in percent.
        predictions: (N,) predicted EF in percent of one seed.

    Returns:
        ``corr``, the Pearson correlation, NaN where all predictions are equal; ``mae`` in EF points.

    Raises:
        DataError: fewer than `LEAST` patients, equal labels, lengths that differ, or values that are not finite.
    """
    y, rows = _checked(labels, predictions)
    if len(rows) != 1:
        raise DataError(f"expected predictions of one seed, found {len(rows)}; score each seed by itself")
    r = float(pearsonr(y, rows[0]).statistic) if np.ptp(rows[0]) > 0 else float("nan")
    return {"corr": r, "mae": float(mean_absolute_error(y, rows[0]))}


def bootstrap(
    labels: ArrayLike, predictions: ArrayLike, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Percentile bootstrap over patients of each of `METRICS`, computed per seed and averaged over seeds.

    Args:
        labels: (N,) true EF in percent.
        predictions: (S, N) or (N,) predicted EF in percent of S seeds.
        resamples: number of draws.
        seed: of the draws.
        level: coverage of the interval.

    Raises:
        DataError: as `correlation_metrics`.
    """
    y, p = _checked(labels, predictions)
    return interval_of(METRICS, _metrics(y, p), len(y), Draws(resamples, seed, level), _one_stratum(y))


def paired_bootstrap(
    labels: ArrayLike, a: ArrayLike, b: ArrayLike, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> dict[str, Difference]:
    """Bootstrap of the metrics of system ``a`` minus those of system ``b`` on the same patients.

    Args:
        labels: (N,) true EF in percent.
        a: (S, N) or (N,) predictions of the one system.
        b: (S', N) or (N,) predictions of the other.
        resamples: number of draws, each used for both.
        seed: of the draws.
        level: coverage of the interval.

    Raises:
        DataError: as `correlation_metrics`.
    """
    y, first = _checked(labels, a)
    both = np.concatenate([first, _checked(labels, b)[1]])
    return gap_of(METRICS, _metrics(y, both), len(y), len(first), Draws(resamples, seed, level), _one_stratum(y))


def _checked(labels: ArrayLike, predictions: ArrayLike) -> tuple[Array, Array]:
    y, p = checked(labels, predictions)
    if y.size < LEAST:
        raise DataError(f"{y.size} patients in the group; a correlation needs at least {LEAST}")
    if np.ptp(y) == 0:
        raise DataError(f"all {y.size} labels equal {y[0]:g}: a correlation is not defined; check the column of the EF")
    return y, p


def _one_stratum(y: Array) -> NDArray[np.int64]:
    """All patients (N,) in one: others would be drawn than without strata, and the intervals of Table 4 would move."""
    return np.zeros(len(y), dtype=np.int64)


def _metrics(y: Array, p: Array) -> Metrics:
    """Metrics (R, S, 2) of patient counts (R, N), by sums."""
    centred, rows = y - y.mean(), p - p.mean(axis=1, keepdims=True)  # small squares keep their digits
    missed = np.abs(p - y)

    def metrics(counts: Array) -> Array:
        n = counts.sum(axis=1, keepdims=True)  # (R, 1)
        sy, sp = counts @ centred[:, None] / n, counts @ rows.T / n  # (R, 1), (R, S)
        vy = sums.positive(counts @ (centred**2)[:, None] / n - sy**2, centred.var())
        vp = sums.positive(counts @ (rows**2).T / n - sp**2, rows.var(axis=1))
        both = counts @ (rows * centred).T / n - sy * sp  # (R, S)
        return np.stack([both / np.sqrt(vy * vp), counts @ missed.T / n], axis=2)

    return metrics
