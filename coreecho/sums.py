"""Means, spreads and lines under patient counts, by sums in the place of copies; what `resampling.resampled` is fed."""

from __future__ import annotations

import numpy as np

from coreecho.resampling import Array

TINY = 1e-12
"""Share of the whole set's variance up to which a draw's variance is rounding noise in the place of 0; also the least
variance of a whole set that is told from 0."""


def mean(counts: Array, values: Array) -> Array:
    """Means (R, S) of ``values`` (S, N) under counts (R, N); NaN where no patient counts."""
    return ratio(counts @ values.T, counts.sum(axis=1, keepdims=True))


def deviation(counts: Array, values: Array) -> Array:
    """Sample standard deviations (R, S), ddof 1, of ``values`` (S, N) under counts (R, N)."""
    n = counts.sum(axis=1, keepdims=True)  # (R, 1)
    centred = values - values.mean(axis=1, keepdims=True)  # small squares keep their digits
    squares = counts @ (centred**2).T - (counts @ centred.T) ** 2 / n  # (R, S)
    return np.sqrt(np.maximum(ratio(squares, n - 1), 0))


def line(counts: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Slope and intercept, each (R, S), of the least-squares line of ``y`` on ``x``, both (S, N), under counts (R, N).

    NaN where all ``x`` of a draw are equal.
    """
    n = counts.sum(axis=1, keepdims=True)  # (R, 1)
    middle, level = x.mean(axis=1, keepdims=True), y.mean(axis=1, keepdims=True)  # (S, 1)
    a, b = x - middle, y - level
    mean_a, mean_b = counts @ a.T / n, counts @ b.T / n  # (R, S)
    spread = positive(counts @ (a**2).T / n - mean_a**2, a.var(axis=1))
    slope = (counts @ (a * b).T / n - mean_a * mean_b) / spread
    return slope, mean_b + level.T - slope * (mean_a + middle.T)


def positive(variance: Array, whole: Array | float) -> Array:
    """Variances (R, S) of draws, or sums of squares, NaN where a draw of equal values leaves rounding noise.

    Args:
        variance: of each draw, (R, S).
        whole: the same of the whole set, (S,) or one number.
    """
    return np.where(variance > TINY * np.maximum(whole, TINY), variance, np.nan)


def ratio(part: Array, whole: Array) -> Array:
    """``part`` over ``whole``, NaN where ``whole`` is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    found: Array = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)
    return found
