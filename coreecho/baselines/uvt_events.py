"""From UVT's phase curve to the frames of end-diastole and end-systole, and how far they are from the traced ones.

The original's rule: the curve is smoothed three times over five frames and cut where it crosses zero. Two crossings
closer than 0.3 of the mean distance are noise, and become one. Between two crossings the frame with the strongest phase
is an end-diastole where the curve's mean is positive, else an end-systole. A curve with fewer than three crossings is
given up. What lies before the first crossing and after the last is no event, so that short videos have few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

Floats = npt.NDArray[np.float64]
SMOOTH, TIMES = 5, 3
"""Frames over which the curve is averaged, and how often."""
NOISE = 0.3
"""Share of the mean distance of crossings, below which two of them are one."""


@dataclass(frozen=True)
class Distance:
    """Average frame distance (aFD) on one test set, in frames."""

    diastole: float
    """Mean distance of the traced end-diastole from the nearest one found; NaN where there is none."""
    systole: float
    """The same of end-systole."""
    n: int
    """Videos that count: those in which both were found."""


def phase_events(phase: Floats) -> tuple[list[int], list[int]]:
    """The frames of end-diastole and of end-systole in a phase curve (T,); none in a curve that is given up."""
    smooth = phase
    for _ in range(TIMES):
        smooth = uniform_filter1d(smooth, SMOOTH, mode="constant")
    crossings = [int(at) for at in np.flatnonzero(np.diff(np.sign(smooth))) + 1]
    if len(crossings) < 3:
        return [], []
    limit = NOISE * float(np.diff(crossings).mean())
    while (close := next((at for at, (a, b) in enumerate(pairwise(crossings)) if b - a < limit), None)) is not None:
        crossings[close : close + 2] = [sum(crossings[close : close + 2]) // 2]
    diastoles: list[int] = []
    systoles: list[int] = []
    for begin, end in pairwise(crossings):
        part = phase[begin:end]
        up = part.mean() > 0
        (diastoles if up else systoles).append(begin + int(np.argmax(part if up else -part)))
    return diastoles, systoles


def frame_distance(curves: Sequence[tuple[Floats, tuple[int, int]]]) -> Distance:
    """Average distance of the traced frames from the nearest events of the same kind.

    Args:
        curves: of each video, the phase of its frames (T,), and its traced end-diastole and end-systole.
    """
    rows = []
    for phase, traced in curves:
        events = phase_events(phase)
        if all(events):
            rows.append([min(abs(at - each) for at in kind) for kind, each in zip(events, traced, strict=True)])
    if not rows:
        return Distance(np.nan, np.nan, 0)
    diastole, systole = np.mean(rows, axis=0)
    return Distance(float(diastole), float(systole), len(rows))
