"""Sensitivity, specificity, precision, F1 and accuracy over cross-validation folds: Table 5's metrics (gap E).

A myocardial infarction is the positive class, found where the predicted probability is 0.5 or more. The paper's numbers
fit means of per-fold metrics; the same five from all folds' cases together are the pooled ones. Where no case of a fold
is called positive, its precision is 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from coreecho.errors import DataError
from coreecho.resampling import Array, Difference, Draws, Interval, Metrics, checked, gap_of, interval_of

METRICS = ("sens", "spec", "prec", "f1", "acc")
THRESHOLD = 0.5
"""Probability from which a case is called positive; the paper does not give one."""


def classification_metrics(
    labels: ArrayLike, probabilities: ArrayLike, folds: ArrayLike, *, pooled: bool = False
) -> dict[str, float]:
    """Point values of `METRICS` by scikit-learn, as fractions.

    Args:
        labels: (N,) 1 for an infarction, 0 for none.
        probabilities: (N,) predicted probability of an infarction, of one seed.
        folds: (N,) fold in whose test set each case is.
        pooled: whether all cases count together; else each fold's metrics are averaged.

    Raises:
        DataError: a fold (pooled: the whole) of one class, or labels, probabilities or folds that do not fit.
    """
    y, rows, cut = _checked(labels, probabilities, folds, pooled)
    if len(rows) != 1:
        raise DataError(f"expected predictions of one seed, found {len(rows)}; score each seed by itself")
    by_fold = [_point(y[cut == fold], rows[0][cut == fold] >= THRESHOLD) for fold in np.unique(cut)]
    return {name: float(np.mean([scores[name] for scores in by_fold])) for name in METRICS}


def bootstrap(
    labels: ArrayLike,
    probabilities: ArrayLike,
    folds: ArrayLike,
    *,
    pooled: bool = False,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile bootstrap of `METRICS` over patients within folds, averaged over seeds, as fractions.

    Args:
        labels: (N,) 1 for an infarction, 0 for none.
        probabilities: (S, N) or (N,) predicted probabilities of S seeds.
        folds: (N,) fold of each case, the same for all seeds.
        pooled: as in `classification_metrics`.
        resamples: number of draws. One that leaves a fold without a class is left out of the rate of that class.
        seed: of the draws.
        level: coverage of the interval.

    Raises:
        DataError: as `classification_metrics`.
    """
    y, p, cut = _checked(labels, probabilities, folds, pooled)
    strata = np.asarray(folds, dtype=np.int64)
    return interval_of(METRICS, _metrics(y, p, cut), len(y), Draws(resamples, seed, level), strata)


def paired_bootstrap(
    labels: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    folds: ArrayLike,
    *,
    pooled: bool = False,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Difference]:
    """Bootstrap of the metrics of system ``a`` minus those of system ``b`` on the same cases and folds.

    Args:
        labels: (N,) 1 for an infarction, 0 for none.
        a: (S, N) or (N,) probabilities of the one system.
        b: (S', N) or (N,) probabilities of the other.
        folds: (N,) fold of each case.
        pooled: as in `classification_metrics`.
        resamples: number of draws, each used for both.
        seed: of the draws.
        level: coverage of the interval.

    Raises:
        DataError: as `classification_metrics`.
    """
    y, first, cut = _checked(labels, a, folds, pooled)
    both = np.concatenate([first, _checked(labels, b, folds, pooled)[1]])
    strata = np.asarray(folds, dtype=np.int64)
    return gap_of(METRICS, _metrics(y, both, cut), len(y), len(first), Draws(resamples, seed, level), strata)


def _point(y: NDArray[np.bool_], found: NDArray[np.bool_]) -> dict[str, float]:
    return {
        "sens": float(recall_score(y, found)),
        "spec": float(recall_score(y, found, pos_label=False)),
        "prec": float(precision_score(y, found, zero_division=0)),
        "f1": float(f1_score(y, found, zero_division=0)),
        "acc": float(accuracy_score(y, found)),
    }


def _metrics(y: NDArray[np.bool_], p: Array, cut: NDArray[np.int64]) -> Metrics:
    """The metrics (R, S, 5) of patient counts (R, N), averaged over the parts that ``cut`` makes."""
    found = p >= THRESHOLD  # (S, N)
    parts = (cut[:, None] == np.unique(cut)).astype(np.float64)  # (N, F)

    def count(counts: Array, chosen: NDArray[np.bool_]) -> Array:
        """How many chosen cases there are: (R, S, F)."""
        columns = chosen.T[:, :, None] * parts[:, None, :]  # (N, S, F)
        return np.tensordot(counts, columns, axes=1)

    def metrics(counts: Array) -> Array:
        tp, fn, tn, fp = (count(counts, each) for each in (found & y, ~found & y, ~found & ~y, found & ~y))
        with np.errstate(invalid="ignore"):  # a draw without a class has no rate of that class
            rates = [tp / (tp + fn), tn / (tn + fp)]
        rates += [tp / np.maximum(tp + fp, 1), 2 * tp / np.maximum(2 * tp + fp + fn, 1)]
        by_part = np.stack([*rates, (tp + tn) / (tp + fn + tn + fp)], axis=3)  # (R, S, F, 5)
        return np.asarray(by_part.mean(axis=2), dtype=np.float64)

    return metrics


def _checked(
    labels: ArrayLike, probabilities: ArrayLike, folds: ArrayLike, pooled: bool
) -> tuple[NDArray[np.bool_], Array, NDArray[np.int64]]:
    """Labels (N,), probabilities (S, N) and the parts (N,) whose metrics are averaged."""
    y, p = checked(labels, probabilities)
    if not y.size:
        raise DataError("no cases to score; run at least one fold")
    cut = np.asarray(folds, dtype=np.int64)
    if cut.shape != y.shape:
        raise DataError(f"{y.size} cases but folds of shape {cut.shape}; each case is in one fold's test set")
    if not np.isin(y, (0, 1)).all():
        raise DataError(f"label {y[~np.isin(y, (0, 1))][0]:g}; expected 1 for an infarction and 0 for none")
    if p.min() < 0 or p.max() > 1:
        raise DataError(f"predictions from {p.min():g} to {p.max():g}; expected probabilities from 0 to 1")
    for fold in np.unique(cut):
        own = y[cut == fold]
        if not pooled and np.ptp(own) == 0:
            what = "infarctions" if own[0] else "without an infarction"
            raise DataError(f"fold {fold}: all {own.size} test cases are {what}; its metrics need both classes")
    if np.ptp(y) == 0:
        raise DataError(f"all {y.size} cases have the label {y[0]:g}; the metrics need both classes")
    return y == 1, p, np.zeros_like(cut) if pooled else cut
