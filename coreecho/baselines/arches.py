"""The arch that the left ventricle's wall makes: its inner boundary, and how far this moves (HMC-QU, Table 5).

A wall is an arch that is open towards the atrium; its inner boundary runs from one foot over the apex to the other.
Each side has three segments; how far these move over a cycle makes six numbers by which an infarction is told. The apex
between the sides is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Wall = NDArray[np.bool_]
Inner = Literal["mean", "least"]
"""Which distance of the sides' points in the first frame is the inner width."""
Sample = Callable[[Array], Array]
"""One side of an inner boundary, (N, 2) column and row from foot to apex -> points (3, `POINTS`, 2), basal first."""

SEGMENTS = ((0.0, 2 / 7), (2 / 7, 4 / 7), (4 / 7, 5 / 7))
"""Basal, mid and apical segment as shares of a side's height above its foot; the rest is the apex."""
POINTS = 5
"""Points that stand for a segment."""
FEATURES = 2 * len(SEGMENTS)
"""Numbers for each cycle: the segments of the left side in the picture, basal first, then those of the right."""
DEEP = 0.5
"""Least depth of an arch as a share of the distance between its feet; a flatter outline is no wall."""
LEAST = 10.0
"""Least depth in pixels; a speck has no sides."""


def inner_sides(wall: Wall) -> tuple[Array, Array] | None:
    """The left and the right side of a wall's inner boundary, each (N, 2) column and row from its foot to the apex.

    Of the largest outline it is the part in its deepest dent; where the dent is shallow there is no arch and no side.
    """
    outlines = cv2.findContours(wall.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    outline = max(outlines, key=cv2.contourArea, default=np.zeros((0, 2), np.int32)).reshape(-1, 2)
    if len(outline) < 4:
        return None
    hull = np.sort(cv2.convexHull(outline, returnPoints=False).ravel())[::-1]
    try:
        dents: Any = cv2.convexityDefects(outline, np.ascontiguousarray(hull)[:, None])  # or none
    except cv2.error:  # an outline that touches itself
        return None
    if dents is None:
        return None
    start, end, apex, depth = dents.reshape(-1, 4)[dents.reshape(-1, 4)[:, 3].argmax()]
    if depth / 256 < max(DEEP * np.hypot(*(outline[start] - outline[end])), LEAST):  # OpenCV counts it in 256ths
        return None
    line = np.roll(outline, -start, axis=0).astype(np.float64)
    apex, end = (apex - start) % len(line), (end - start) % len(line)
    one, other = line[: apex + 1], line[apex : end + 1][::-1]
    across, down = line[end] - line[0], (line[end] + line[0]) / 2 - line[apex]
    across, down = across / np.hypot(*across), down / np.hypot(*down)
    one, other = _from_corner(one, down + across), _from_corner(other, down - across)
    return (one, other) if one[0, 0] < other[0, 0] else (other, one)


def _from_corner(side: Array, outwards: Array) -> Array:
    """A side from its foot's inner corner on: the dent's ends may lie at the outer one, where the foot is even."""
    trimmed: Array = side[np.argmax(side @ outwards) :]
    return trimmed


def heights(side: Array) -> Array:
    """Rows (3, `POINTS`) of the points of a side's segments, evenly between the ends of each."""
    within = (np.arange(POINTS) + 0.5) / POINTS
    shares = np.array([low + (high - low) * within for low, high in SEGMENTS])
    rows: Array = side[0, 1] + (side[-1, 1] - side[0, 1]) * shares
    return rows


def displacements(walls: Wall, sample: Sample, width: Inner) -> Array:
    """How far each of `FEATURES` segments moves within a cycle, as a share of the cavity's inner width.

    A segment's displacement is the mean distance of its points from where they are in the first frame, and the largest
    one of the cycle counts. Frames without an arch are passed over.

    Args:
        walls: (T, H, W) from the reference frame on.
        sample: which points stand for the segments.
        width: what displacements are divided by.

    Returns:
        (`FEATURES`,), NaN where fewer than two frames show an arch.
    """
    sides = [found for wall in walls if (found := inner_sides(wall)) is not None]
    if len(sides) < 2:
        return np.full(FEATURES, np.nan)
    points = np.array([[sample(side) for side in both] for both in sides])  # (T, 2, 3, POINTS, 2)
    moved = np.linalg.norm(points - points[0], axis=-1).mean(axis=-1).max(axis=0)  # (2, 3)
    across = np.linalg.norm(points[0, 0] - points[0, 1], axis=-1)
    inner = across.mean() if width == "mean" else across.min()
    result: Array = moved.ravel() / max(float(inner), 1.0)
    return result


def dice(found: Wall, true: Wall) -> float:
    """Dice coefficient of walls (T, H, W), the mean over frames."""
    both, total = (found & true).sum((1, 2)), found.sum((1, 2)) + true.sum((1, 2))
    return float((2 * both / np.maximum(total, 1)).mean())
