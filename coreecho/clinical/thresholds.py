"""Decisions at a cut: who has a reduced EF, by a prediction below 40 or 50, against the reader's (ROC, 2 x 2 table).

Positive is an EF below the cut. The area under the ROC curve asks how well predictions put patients with and without a
reduced EF in order; sensitivity and the others ask what follows if the predicted EF is taken at its word. Predictive
values hold for a test set with this share of positives only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from coreecho import sums
from coreecho.resampling import Array, Draws, Interval, Metrics, checked, interval_of

CUTS = (40.0, 50.0)
"""EF in percent below which it counts as reduced."""
METRICS = ("auc", "sens", "spec", "ppv", "npv")
GRID = np.linspace(0, 1, 201)
"""Shares of false alarms at which ROC curves of several seeds are averaged."""


def counts(labels: ArrayLike, predictions: ArrayLike, cut: float) -> NDArray[np.int64]:
    """True positives, false positives, false negatives and true negatives of each seed, (S, 4), by scikit-learn.

    Args:
        labels: (N,) listed EF in percent.
        predictions: (S, N) or (N,) predicted EF in percent of S seeds.
        cut: EF in percent below which both count as positive.

    Raises:
        DataError: lengths differ, or a value is not finite.
    """
    y, p = checked(labels, predictions)
    tables = [confusion_matrix(y < cut, own < cut, labels=[True, False]).ravel() for own in p]  # tp, fn, fp, tn
    return np.array(tables)[:, [0, 2, 1, 3]]


def threshold_metrics(labels: ArrayLike, predictions: ArrayLike, cut: float) -> dict[str, float]:
    """Point values of one seed as fractions; NaN where a class that a value is about is missing.

    Args:
        labels: (N,) listed EF in percent.
        predictions: (N,) predicted EF in percent.
        cut: EF in percent below which both count as positive.

    Raises:
        DataError: as `counts`.
    """
    y, rows = checked(labels, predictions)
    (tp, fp, fn, tn), below = counts(y, rows, cut)[0], y < cut
    values = {"auc": float(roc_auc_score(below, -rows[0])) if 0 < below.sum() < len(y) else float("nan")}
    shares = {"sens": (tp, fn), "spec": (tn, fp), "ppv": (tp, fp), "npv": (tn, fn)}
    return values | {name: right / (right + wrong) if right + wrong else float("nan")
                     for name, (right, wrong) in shares.items()}  # fmt: skip


def bootstrap(
    labels: ArrayLike,
    predictions: ArrayLike,
    cut: float,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile bootstrap over patients of each of `METRICS` as fractions, averaged over seeds.

    Where every patient of a class is told right in all seeds (or wrong), no draw differs; the exact binomial interval
    of Clopper and Pearson stands in the place of one without width.

    Args:
        labels: (N,) listed EF in percent.
        predictions: (S, N) or (N,) predicted EF in percent of S seeds.
        cut: EF in percent below which both count as positive.
        resamples: number of draws.
        seed: of the draws.
        level: coverage of the interval.

    Raises:
        DataError: as `counts`.
    """
    y, p = checked(labels, predictions)
    found = interval_of(METRICS, _metrics(y, p, cut), len(y), Draws(resamples, seed, level))
    least = counts(y, p, cut).min(axis=0)  # the seed with the fewest decides, which is the cautious side
    tp, fp, fn, tn = (int(each) for each in least)
    sizes = {"sens": tp + fn, "spec": tn + fp, "ppv": tp + fp, "npv": tn + fn}
    return {name: _exact(each, sizes.get(name, 0), level) for name, each in found.items()}


def curve(labels: ArrayLike, predictions: ArrayLike, cut: float) -> Array:
    """Sensitivity at each false-alarm share of `GRID`, averaged over seeds.

    Args:
        labels: (N,) listed EF in percent, on both sides of the cut.
        predictions: (S, N) or (N,) predicted EF in percent of S seeds.
        cut: EF in percent below which the listed EF counts as positive.

    Raises:
        DataError: as `counts`.
    """
    y, p = checked(labels, predictions)
    curves = []
    for own in p:
        alarms, hits, _ = roc_curve(y < cut, -own)
        curves.append(np.interp(GRID, alarms, hits))
    mean: Array = np.mean(curves, axis=0)
    return mean


def _metrics(y: Array, p: Array, cut: float) -> Metrics:
    """Metrics (R, S, 5) of patient counts (R, N)."""
    below, told = (y < cut).astype(np.float64), (p < cut).astype(np.float64)  # (N,), (S, N)

    def metrics(times: Array) -> Array:
        tp, fp = times @ (told * below).T, times @ (told * (1 - below)).T  # (R, S)
        fn, tn = times @ ((1 - told) * below).T, times @ ((1 - told) * (1 - below)).T
        areas = np.stack([_area(times, below, own) for own in p], axis=1)
        shares = [sums.ratio(right, right + wrong) for right, wrong in ((tp, fn), (tn, fp), (tp, fp), (tn, fn))]
        return np.stack([areas, *shares], axis=2)

    return metrics


def _area(times: Array, below: Array, predictions: Array) -> Array:
    """Area under the ROC curve (R,) of one seed's predictions (N,) under patient counts (R, N); ties count half."""
    order = np.argsort(predictions, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(predictions[order]) > 0])  # first of each different prediction
    ranked = times[:, order]
    positive = np.add.reduceat(ranked * below[order], starts, axis=1)  # (R, U)
    negative = np.add.reduceat(ranked * (1 - below[order]), starts, axis=1)
    above = negative.sum(axis=1, keepdims=True) - np.cumsum(negative, axis=1) + negative / 2
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return sums.ratio((positive * above).sum(axis=1), pairs)


def _exact(found: Interval, n: int, level: float) -> Interval:
    if n == 0 or found.estimate not in (0.0, 1.0):
        return found
    ends = binomtest(n if found.estimate else 0, n).proportion_ci(confidence_level=level, method="exact")
    return Interval(found.estimate, float(ends.low), float(ends.high))
