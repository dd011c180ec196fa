"""Mean absolute error and bias in groups of patients: bands of EF, grades of picture quality, thirds of a setting."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreecho import sums
from coreecho.errors import DataError
from coreecho.resampling import Array, Difference, Draws, Interval, checked, gap_of, interval_of

EDGES = (30.0, 40.0, 50.0, 60.0, 70.0)
"""Between bands of EF in percent: among them the usual limits of a reduced EF, 40 and 50."""
METRICS = ("mae", "bias")


def names(edges: Sequence[float] = EDGES) -> list[str]:
    """What the bands are called, lowest first."""
    between = [f"{low:g} to under {high:g}" for low, high in itertools.pairwise(edges)]
    return [f"under {edges[0]:g}", *between, f"{edges[-1]:g} and over"]


def inside(values: ArrayLike, edges: Sequence[float] = EDGES) -> Array:
    """1 where a value lies in a band, else 0: (B, ...) of values (...); an edge belongs to the band above it."""
    band = np.digitize(np.asarray(values, dtype=np.float64), edges)
    numbers = np.arange(len(edges) + 1).reshape(-1, *[1] * band.ndim)
    inside: Array = (band == numbers).astype(np.float64)
    return inside


def by_group(
    labels: ArrayLike,
    predictions: ArrayLike,
    members: NDArray[np.float64],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> list[dict[str, Interval]]:
    """Each of `METRICS` in each group, computed per seed and averaged over seeds, with its bootstrap interval.

    Args:
        labels: (N,) listed EF in percent.
        predictions: (S, N) or (N,) predicted EF in percent of S seeds.
        members: (G, N) 1 for the members of a group, 0 for others.
        resamples: number of draws.
        seed: of the draws.
        level: coverage of the interval.

    Returns:
        One entry per group; NaN for one without members.

    Raises:
        DataError: lengths differ, or a value is not finite.
    """
    y, p = checked(labels, predictions)

    def metrics(counts: Array) -> Array:
        return np.concatenate([_errors(counts * own, y, p) for own in members], axis=2)  # (R, S, 2 G)

    numbered = [f"{metric} {group}" for group in range(len(members)) for metric in METRICS]
    found = interval_of(numbered, metrics, len(y), Draws(resamples, seed, level))
    return [{metric: found[f"{metric} {group}"] for metric in METRICS} for group in range(len(members))]


def difference(
    labels: ArrayLike,
    predictions: ArrayLike,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Difference]:
    """Each of `METRICS` in the ``first`` group minus that in the ``second``, both drawn together.

    Args:
        labels: (N,) listed EF in percent.
        predictions: (S, N) or (N,) predicted EF in percent of S seeds.
        first: (N,) 1 for the members of the one group, 0 for others.
        second: (N,) of the other.
        resamples: number of draws.
        seed: of the draws.
        level: coverage of the interval.

    Raises:
        DataError: a group has no member, lengths differ, or a value is not finite.
    """
    y, p = checked(labels, predictions)
    if not first.any() or not second.any():
        raise DataError("a group without patients cannot be compared; choose groups that have some")

    def metrics(counts: Array) -> Array:
        return np.concatenate([_errors(counts * own, y, p) for own in (first, second)], axis=1)  # (R, 2 S, 2)

    return gap_of(METRICS, metrics, len(y), len(p), Draws(resamples, seed, level))


def _errors(counts: Array, y: Array, p: Array) -> Array:
    """MAE and bias (R, S, 2)."""
    return np.stack([sums.mean(counts, np.abs(p - y)), sums.mean(counts, p - y)], axis=2)
