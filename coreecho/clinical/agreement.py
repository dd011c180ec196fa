"""Bland-Altman: how far a prediction lies from the reader's EF, on average, at most, and where.

The difference is the predicted minus the listed EF. Its mean is the bias; bias and 1.96 sample standard deviations to
either side are the limits of agreement, which hold 95 % of differences if those are normal. The slope of the difference
on the mean of both values is the proportional bias: positive where high EFs are read too high and low ones too low. A
system that shrinks towards the average EF has a negative one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import linregress

from coreecho import sums
from coreecho.resampling import Array, Draws, Interval, Metrics, checked, interval_of

METRICS = ("bias", "sd", "lower", "upper", "slope")
"""Bias, standard deviation and both limits of agreement in EF points; slope in points per point."""
REACH = 1.96
"""Standard deviations from the bias to a limit of agreement."""


def agreement_metrics(labels: ArrayLike, predictions: ArrayLike) -> dict[str, float]:
    """Point values of one seed, by numpy and scipy.

    Args:
        labels: (N,) listed EF in percent.
        predictions: (N,) predicted EF in percent.

    Raises:
        DataError: lengths differ, or a value is not finite.
    """
    y, rows = checked(labels, predictions)
    gap, middle = rows[0] - y, (rows[0] + y) / 2
    bias, sd = float(gap.mean()), float(gap.std(ddof=1))
    slope = float(linregress(middle, gap).slope) if np.ptp(middle) > 0 else float("nan")
    return {"bias": bias, "sd": sd, "lower": bias - REACH * sd, "upper": bias + REACH * sd, "slope": slope}


def bootstrap(
    labels: ArrayLike, predictions: ArrayLike, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Percentile bootstrap over patients of each of `METRICS`, computed per seed and averaged over seeds.

    Arguments are those of `coreecho.evaluation.bootstrap`: labels (N,) and predictions (S, N) or (N,) in percent.

    Raises:
        DataError: as `agreement_metrics`.
    """
    y, p = checked(labels, predictions)
    return interval_of(METRICS, _metrics(y, p), len(y), Draws(resamples, seed, level))


def _metrics(y: Array, p: Array) -> Metrics:
    """Metrics (R, S, 5) of patient counts (R, N)."""

    def metrics(counts: Array) -> Array:
        bias, sd = sums.mean(counts, p - y), sums.deviation(counts, p - y)  # (R, S)
        slope, _ = sums.line(counts, (p + y) / 2, p - y)
        return np.stack([bias, sd, bias - REACH * sd, bias + REACH * sd, slope], axis=2)

    return metrics
