"""Calibration: whether patients who are told an EF have that EF on average.

The line of the listed on the predicted EF has slope 1 and intercept 0 where they do. A slope below 1 means that
predictions are too extreme, above 1 that they lie too close together. The line is read at a predicted EF of 50 too,
since its intercept, at 0, lies far from every patient.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LinearRegression

from coreecho import sums
from coreecho.clinical.bands import EDGES, inside
from coreecho.resampling import Array, Draws, Interval, Metrics, checked, interval_of

METRICS = ("slope", "intercept", "at50")
"""Slope in points per point; intercept, and the mean listed EF where 50 is predicted, in EF points."""


def calibration_metrics(labels: ArrayLike, predictions: ArrayLike) -> dict[str, float]:
    """Point values of one seed, by scikit-learn.

    Args:
        labels: (N,) listed EF in percent.
        predictions: (N,) predicted EF in percent.

    Raises:
        DataError: lengths differ, or a value is not finite.
    """
    y, rows = checked(labels, predictions)
    if np.ptp(rows[0]) == 0:
        return dict.fromkeys(METRICS, float("nan"))
    fitted = LinearRegression().fit(rows[0][:, None], y)
    slope, intercept = float(fitted.coef_[0]), float(fitted.intercept_)
    return {"slope": slope, "intercept": intercept, "at50": intercept + 50 * slope}


def bootstrap(
    labels: ArrayLike, predictions: ArrayLike, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Percentile bootstrap over patients of each of `METRICS`, computed per seed and averaged over seeds.

    Arguments are those of `coreecho.evaluation.bootstrap`: labels (N,) and predictions (S, N) or (N,) in percent.

    Raises:
        DataError: as `calibration_metrics`.
    """
    y, p = checked(labels, predictions)
    return interval_of(METRICS, _metrics(y, p), len(y), Draws(resamples, seed, level))


def by_prediction(
    labels: ArrayLike,
    predictions: ArrayLike,
    edges: tuple[float, ...] = EDGES,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> list[dict[str, Interval]]:
    """Mean ``listed`` and mean ``predicted`` EF, and their ``gap``, of the videos predicted to lie in each band.

    Args:
        labels: (N,) listed EF in percent.
        predictions: (S, N) or (N,) predicted EF in percent of S seeds, each of which makes its own bands.
        edges: between bands; a value on an edge belongs to the band above.
        resamples: number of draws.
        seed: of the draws.
        level: coverage of the interval.

    Returns:
        One entry per band, the gap being listed minus predicted; NaN where a seed predicts no video in it.

    Raises:
        DataError: as `calibration_metrics`.
    """
    y, p = checked(labels, predictions)
    masks = inside(p, edges)  # (B, S, N)
    parts = ("listed", "predicted", "gap")
    names = [f"{part} {band}" for part in parts for band in range(len(masks))]
    found = interval_of(names, _band_means(y, p, masks), len(y), Draws(resamples, seed, level))
    return [{part: found[f"{part} {band}"] for part in parts} for band in range(len(masks))]


def _metrics(y: Array, p: Array) -> Metrics:
    """Metrics (R, S, 3) of patient counts (R, N)."""
    listed = np.broadcast_to(y, p.shape)

    def metrics(counts: Array) -> Array:
        slope, intercept = sums.line(counts, p, listed)
        return np.stack([slope, intercept, intercept + 50 * slope], axis=2)

    return metrics


def _band_means(y: Array, p: Array, masks: Array) -> Metrics:
    """Mean listed and predicted EF and their gap (R, S, 3 B) in the bands of ``masks`` (B, S, N)."""

    def metrics(counts: Array) -> Array:
        n = counts @ masks.transpose(0, 2, 1)  # (B, R, S)
        means = [sums.ratio(counts @ (masks * values).transpose(0, 2, 1), n) for values in (y, p)]
        return np.concatenate([*means, means[0] - means[1]]).transpose(1, 2, 0)  # (R, S, 3 B)

    return metrics
