"""The bootstrap over patients that the metrics of Tables 4 and 5 share (section 4; gaps D, E).

A metric is given as a function of how often each patient counts, so that a resample costs a sum and no copy. Patients
are drawn within strata where there are some, such as the folds of a cross-validation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreecho.errors import DataError
from coreecho.evaluation import Array, Difference, Interval, draws, two_sided

Metrics = Callable[[Array], Array]
"""Patient counts (R, N) -> metrics (R, S, M) of S seeds; NaN where a resample leaves one undefined."""


def checked(labels: ArrayLike, predictions: ArrayLike) -> tuple[Array, Array]:
    """Labels (N,) and predictions (S, N) in double precision.

    Raises:
        DataError: lengths differ, nothing is there, or a value is not finite.
    """
    y, p = np.asarray(labels, dtype=np.float64), np.atleast_2d(np.asarray(predictions, dtype=np.float64))
    if y.ndim != 1 or p.ndim != 2 or p.shape[1] != y.size or not y.size:
        raise DataError(f"labels {y.shape} and predictions {p.shape} do not fit; expected (N,) and (S, N) or (N,)")
    if not (np.isfinite(y).all() and np.isfinite(p).all()):
        raise DataError(f"some of {y.size} labels or predictions are not finite; run the evaluation again")
    return y, p


def resampled(metrics: Metrics, strata: NDArray[np.int64], resamples: int, seed: int) -> Array:
    """Metrics (1 + R, S, M): on the patients as they are, then on each of R resamples.

    Args:
        metrics: what is computed from patient counts.
        strata: (N,) stratum of each patient; as many are drawn from each as it has.
        resamples: number of draws.
        seed: of the draws.
    """
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    seeds = np.random.SeedSequence(seed).generate_state(len(members))
    chunks = zip(
        *(draws(len(own), resamples, int(each)) for own, each in zip(members, seeds, strict=True)), strict=True
    )
    values = [metrics(np.ones((1, len(strata))))]
    for parts in chunks:
        counts = np.empty((len(parts[0]), len(strata)))  # (R, N)
        for own, part in zip(members, parts, strict=True):
            counts[:, own] = part
        values.append(metrics(counts))
    return np.concatenate(values)


def intervals(names: Sequence[str], values: Array, level: float) -> dict[str, Interval]:
    """Metrics averaged over seeds, each with its percentile interval, from (1 + R, S, M)."""
    means = values.mean(axis=1)  # (1 + R, M)
    return {name: Interval(float(own[0]), *_ends(own[1:], level)) for name, own in zip(names, means.T, strict=True)}


def gaps(names: Sequence[str], values: Array, first: int, level: float) -> dict[str, Difference]:
    """Differences of two systems drawn together: the first seeds of (1 + R, S, M) minus the others."""
    apart = values[:, :first].mean(axis=1) - values[:, first:].mean(axis=1)  # (1 + R, M)
    return {
        name: Difference(float(own[0]), *_ends(own[1:], level), p=two_sided(own[1:]))
        for name, own in zip(names, apart.T, strict=True)
    }


def _ends(drawn: Array, level: float) -> tuple[float, float]:
    """Lower and upper end of (R,) values; NaN where none is defined."""
    finite = drawn[np.isfinite(drawn)]
    if not finite.size:
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
