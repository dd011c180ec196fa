"""Two versions of one thing timed in turn, and the memory that each needs, measured apart in a fresh process.

    @benchmark("rnc", "RnC loss, M=256", goal="≥ 20×", repeats=9)
    def bench_rnc(count: int = 256) -> Iterator[Sides]:
        ...                                     # what both need, made once and untimed
        yield Sides(literal=..., ours=...)      # after the yield: what has to be tidied away

    run(bench_rnc)                              # -> Result

The two take turns, and the ratio is taken pair by pair, so that a machine whose speed drifts still gives a fair median.
Arguments of the decorated function have defaults: the benchmark's size. `Benchmark.prepare` takes others, for tests.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from coreecho.bench.peak import peak_mb

Action = Callable[[], object]
MILLISECONDS = "ms"
TURN_MS = 50.0
"""A turn of a short action lasts about this long."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The versions that are compared; without a literal one, ours is reported alone."""

    ours: Action
    literal: Action | None = None
    ours_times: float = 1.0
    """By what a measured time is multiplied: 1 / clips for a time per clip."""
    literal_times: float = 1.0
    """The same for the literal version: 1000 where it does a thousandth of the work."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Something to measure."""

    name: str
    what: str
    """One line: what is computed, at which size, and what the literal version does instead."""
    prepare: Callable[..., AbstractContextManager[Sides]]
    goal: str = ""
    """What to reach, such as ``≥ 20×``, ``< 4 s`` or ``≤ 12 GB``; several are parted by commas."""
    repeats: int = 9
    unit: str = MILLISECONDS
    """ms: the clock is read. Else each action returns its own number, in this unit."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Medians of the literal and of our version, the median of their paired ratios, and peak memory."""

    name: str
    what: str
    unit: str
    literal: float | None
    ours: float
    ratio: float | None
    """Literal over ours, of times."""
    low: float
    """5th percentile of the paired ratios, or of ours where there is no ratio."""
    high: float
    """95th percentile of the same."""
    repeats: int
    goal: str
    literal_mb: float | None = None
    """Peak memory of one call in MB; see `coreecho.bench.peak`."""
    ours_mb: float | None = None


def benchmark(
    name: str, what: str, *, goal: str = "", repeats: int = 9, unit: str = MILLISECONDS
) -> Callable[[Callable[..., Iterator[Sides]]], Benchmark]:
    """Makes a `Benchmark` of a generator function that yields its `Sides` once."""

    def wrap(function: Callable[..., Iterator[Sides]]) -> Benchmark:
        return Benchmark(name=name, what=what, prepare=contextmanager(function), goal=goal, repeats=repeats, unit=unit)

    return wrap


def run(each: Benchmark, *, repeats: int | None = None, memory: bool = True) -> Result:
    """Measures times in this process, then, where asked, the peak memory of each side in a process of its own."""
    with each.prepare() as sides:
        found = compare(each, sides, repeats or each.repeats)
    if not memory:
        return found
    literal = None if found.literal is None else peak_mb(each.name, "literal")
    return Result(**{**vars(found), "literal_mb": literal, "ours_mb": peak_mb(each.name, "ours")})


def compare(each: Benchmark, sides: Sides, repeats: int) -> Result:
    """Measures both sides in turn, after one round that does not count."""
    literal = None if sides.literal is None else _Turn(sides.literal, each.unit, sides.literal_times)
    ours = _Turn(sides.ours, each.unit, sides.ours_times)
    pairs = [(None if literal is None else literal(), ours()) for _ in range(repeats + 1)][1:]
    own = [value for _, value in pairs]
    literals = [value for value, _ in pairs if value is not None]
    # Shares and counts are set beside their goal; only times make a meaningful ratio.
    ratios = [a / b for a, b in zip(literals, own, strict=False)] if each.unit == MILLISECONDS else []
    low, high = np.percentile(ratios or own, [5, 95])
    return Result(
        name=each.name,
        what=each.what,
        unit=each.unit,
        literal=statistics.median(literals) if literals else None,
        ours=statistics.median(own),
        ratio=statistics.median(ratios) if ratios else None,
        low=float(low),
        high=float(high),
        repeats=repeats,
        goal=each.goal,
    )


class _Turn:
    """One side's turn: milliseconds of a call, or the number that it returns.

    A short action is called several times in a turn, as many as the first turn finds fit, and each call then meets the
    memory that the one before gave back, not what the other side left.
    """

    def __init__(self, action: Action, unit: str, times: float) -> None:
        self.action, self.unit, self.times, self.calls = action, unit, times, 0

    def __call__(self) -> float:
        if self.unit != MILLISECONDS:
            return self.times * float(self.action())  # type: ignore[arg-type]  # what the benchmark promised
        if not self.calls:
            first = self._clock(1)
            usual = self._clock(1) if first < TURN_MS else first  # the first may load a library or check a file
            self.calls = max(1, round(TURN_MS / max(usual, 0.01)))
            return self.times * usual
        return self.times * self._clock(self.calls) / self.calls

    def _clock(self, calls: int) -> float:
        _finish()
        began = time.perf_counter()
        for _ in range(calls):
            self.action()
        _finish()
        return 1e3 * (time.perf_counter() - began)


def _finish() -> None:
    """Waits for a GPU that the benchmark uses."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
