"""Every metric of every table, from saved predictions (section 4.1; gaps B and C).

Predictions are saved one row per clip: ``video`` (name), ``clip`` and ``start`` (numbers), ``label`` and ``prediction``
(EF in percent). Clips of a video are averaged first and metrics come after; the mean of clip-wise metrics differs.

Intervals describe which patients happened to be in the test set. With several seeds a metric is computed per seed and
then averaged over seeds; one draw of patients serves all seeds and both systems of a comparison. How much training
itself scatters is told apart, by `seed_summary`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from coreecho import sums
from coreecho.errors import DataError
from coreecho.resampling import Array, Difference, Draws, Interval, Metrics, checked, gap_of, interval_of

COLUMNS = ("video", "clip", "start", "label", "prediction")
METRICS = ("mae", "rmse", "r2")


@dataclass(frozen=True)
class RegressionMetrics:
    """Point values on one test set."""

    mae: float
    """Mean absolute error in EF points."""
    rmse: float
    """Square root of the mean squared error in EF points."""
    r2: float
    """1 - SSE/SST, the paper's R2, as a fraction."""
    r2_correlation: float
    """Squared Pearson correlation, the R2 of some earlier works; NaN where all predictions are equal."""
    n: int
    """Number of videos."""


@dataclass(frozen=True)
class SeedSummary:
    """Scatter of a metric over seeds: mean, sample SD (ddof 1; NaN for one seed), number, all values in order."""

    mean: float
    sd: float
    n: int
    values: tuple[float, ...]


def average_clips(predictions: pd.DataFrame) -> pd.DataFrame:
    """Average the predictions of each video's clips.

    Args:
        predictions: one row per clip with the columns of `COLUMNS`.

    Returns:
        One row per video in order of name: ``video``, ``label``, ``prediction``.

    Raises:
        DataError: a column or all rows are missing, a value is not finite, a clip appears twice, or the clips of a
            video carry different labels.
    """
    missing = [name for name in COLUMNS if name not in predictions.columns]
    if missing:
        raise DataError(f"predictions lack the column {missing[0]!r}; expected {', '.join(COLUMNS)}")
    if predictions.empty:
        raise DataError("the table of predictions is empty: nothing to evaluate; run the evaluation again")
    videos = predictions["video"]
    for name in ("label", "prediction"):
        bad = videos[~np.isfinite(predictions[name].to_numpy(dtype=np.float64))]
        if len(bad):
            raise DataError(f"{len(bad)} rows have no finite {name}, first of video {bad.iloc[0]!r}; train it again")
    twice = videos[predictions.duplicated(["video", "clip"])]
    if len(twice):
        raise DataError(f"{len(twice)} clips appear twice, the first of video {twice.iloc[0]!r}; keep one row each")
    groups = predictions.groupby("video", sort=True)
    torn = groups["label"].nunique() > 1
    if torn.any():
        raise DataError(f"clips of video {torn.idxmax()!r} carry different labels; a video has one EF")
    return groups.agg(label=("label", "first"), prediction=("prediction", "mean")).reset_index()


def regression_metrics(labels: ArrayLike, predictions: ArrayLike) -> RegressionMetrics:
    """Point metrics by scikit-learn.

    Args:
        labels: (N,) true EF in percent.
        predictions: (N,) predicted EF in percent.

    Raises:
        DataError: fewer than two videos, equal labels, lengths that differ, or values that are not finite.
    """
    y, rows = _checked(labels, predictions)
    if len(rows) != 1:
        raise DataError(f"expected predictions of one seed, found {len(rows)}; score each seed by itself")
    p = rows[0]
    return RegressionMetrics(
        mae=float(mean_absolute_error(y, p)),
        rmse=float(root_mean_squared_error(y, p)),
        r2=float(r2_score(y, p)),
        r2_correlation=float(np.corrcoef(y, p)[0, 1] ** 2) if np.ptp(p) > 0 else float("nan"),
        n=len(y),
    )


def bootstrap(
    labels: ArrayLike, predictions: ArrayLike, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Percentile bootstrap over patients of each metric, averaged over seeds.

    Args:
        labels: (N,) true EF in percent.
        predictions: (S, N) or (N,) predicted EF in percent of S seeds.
        resamples: number of bootstrap draws.
        seed: seed of the draws.
        level: coverage of the interval.

    Returns:
        An interval for each of `METRICS`. A draw of equal labels has no R2 and is left out of its interval.

    Raises:
        DataError: as `regression_metrics`.
    """
    y, p = _checked(labels, predictions)
    return interval_of(METRICS, _metrics(y, p), len(y), Draws(resamples, seed, level))


def paired_bootstrap(
    labels: ArrayLike, a: ArrayLike, b: ArrayLike, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95
) -> dict[str, Difference]:
    """Bootstrap of the difference of two systems on the same patients (metric of ``a`` minus metric of ``b``).

    Args:
        labels: (N,) true EF in percent.
        a: (S, N) or (N,) predictions of the one system.
        b: (S', N) or (N,) predictions of the other; the number of seeds may differ.
        resamples: number of bootstrap draws, each used for both systems.
        seed: seed of the draws.
        level: coverage of the interval.

    Returns:
        A difference for each of `METRICS`. For errors negative favours ``a``, for R2 positive does.

    Raises:
        DataError: as `regression_metrics`.
    """
    y, first = _checked(labels, a)
    both = np.concatenate([first, _checked(labels, b)[1]])
    return gap_of(METRICS, _metrics(y, both), len(y), len(first), Draws(resamples, seed, level))


def seed_summary(values: Sequence[float]) -> SeedSummary:
    """Mean, sample SD, number and all values of one metric over seeds.

    Raises:
        DataError: no value, or one that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise DataError(f"a summary over seeds needs at least one value, all finite; found {list(values)}")
    sd = float(array.std(ddof=1)) if array.size > 1 else float("nan")
    return SeedSummary(float(array.mean()), sd, int(array.size), tuple(float(value) for value in array))


def _checked(labels: ArrayLike, predictions: ArrayLike) -> tuple[Array, Array]:
    """Labels (N,) and predictions (S, N) in double precision, or an error that names what is wrong."""
    y, p = checked(labels, predictions)
    if y.size < 2:
        raise DataError(f"{y.size} videos to evaluate; R2 needs at least two")
    if np.ptp(y) == 0:
        raise DataError(f"all {y.size} labels equal {y[0]:g}: R2 is not defined; check the column the EF was read from")
    return y, p


def _metrics(y: Array, p: Array) -> Metrics:
    """Metrics (R, S, 3) of S prediction rows under R rows of patient counts, by sums instead of by copies."""
    centred = y - y.mean()  # keeps the squares small, so that their difference keeps its digits
    residuals = p - y  # (S, N)
    terms = np.concatenate([np.abs(residuals), residuals**2, centred[None], centred[None] ** 2])  # (2 S + 2, N)

    def metrics(counts: Array) -> Array:
        n = counts.sum(axis=1, keepdims=True)  # (R, 1)
        added = counts @ terms.T  # (R, 2 S + 2): one product, which reads the counts once
        absolute, squared = added[:, : len(p)], added[:, len(p) : -2]  # (R, S)
        total = sums.positive(added[:, -1:] - added[:, -2:-1] ** 2 / n, (centred**2).sum())  # (R, 1)
        return np.stack([absolute / n, np.sqrt(squared / n), 1 - squared / total], axis=2)

    return metrics
