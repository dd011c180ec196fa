"""What a video of the pretext task shows: textured shapes that all carry out one motion (in Kinetics-400's place).

A motion is a pose that changes with time. Size, angle and form of a shape at one moment of the video, drawn by chance,
come from the same ranges whatever the motion, and its place is even over a field larger than the picture, at whose
edges it comes in again, so that a single frame hardly tells the motion. All shapes are level sets: 0 in a shape's
middle, 1 on its border.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
MOTIONS: tuple[str, ...] = (
    "still", "left", "right", "up", "down", "anticlockwise", "clockwise", "expand", "shrink", "pulse_slow",
    "pulse_fast", "sway", "squeeze",
)  # fmt: skip
"""The classes; a video's label is its motion's place in this list."""
DIRECTIONS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """What the videos are drawn from, evenly within each range; lengths in half sides of the picture."""

    size: tuple[float, float] = (0.22, 0.6)
    """Mean half axis of a shape, evenly in its logarithm."""
    stretch: tuple[float, float] = (0.75, 1.33)
    """Square root of the ratio of its half axes, evenly in its logarithm."""
    field: float = 1.6
    """Half side of the field over which the shapes are spread (the picture's: 1)."""
    scatter: float = 0.2
    """Farthest from a square lattice of four shapes, along either side."""
    hole: tuple[float, float] = (0.3, 0.7)
    """Border of a ring's hole; every other shape is a ring."""
    way: tuple[float, float] = (0.5, 1.0)
    """Way of left, right, up and down over the whole video."""
    turn: tuple[float, float] = (60.0, 150.0)
    """Degrees turned over the whole video."""
    growth: tuple[float, float] = (0.45, 0.8)
    """Change of the logarithm of the size over the whole video, for expand and shrink."""
    pulse: tuple[float, float] = (0.18, 0.35)
    """Amplitude of the logarithm of the size, for both pulses."""
    slow: tuple[float, float] = (0.8, 1.2)
    """Periods in a video of pulse_slow, sway and squeeze."""
    fast: tuple[float, float] = (2.2, 3.0)
    """Periods in a video of pulse_fast."""
    shear: tuple[float, float] = (0.35, 0.7)
    """Amplitude of sway, a shear."""
    squeeze: tuple[float, float] = (0.3, 0.5)
    """Amplitude of squeeze: how far the inside moves towards the middle and back while the border stays."""
    flicker: tuple[float, float] = (0.0, 3.0)
    """Radians through which the texture's phase turns over the whole video."""
    noise: tuple[float, float] = (0.01, 0.08)
    """Standard deviation of the noise of each frame, of the grey range."""


@dataclass(frozen=True)
class Pose:
    """How a shape lies in every frame."""

    shift: Values
    """Its middle in half sides of the picture, x right and y down (T, 2)."""
    matrix: Values
    """From a shape's own plane to the picture (T, 2, 2)."""
    squeeze: Values
    """Share by which the inside has moved towards the middle (T,)."""
    axis: tuple[float, float]
    """Unit vector in the shape's plane along which the squeeze is strongest."""

    def own(self, size: int) -> Values:
        """The shape's own coordinates of every pixel (T, H, W, 2)."""
        side = (np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0
        grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(1, -1, 2)  # (1, H W, 2) as x, y
        points = (grid - self.shift[:, None]) @ np.linalg.inv(self.matrix).transpose(0, 2, 1)
        return points.reshape(len(self.shift), size, size, 2).astype(np.float32)


@dataclass(frozen=True)
class Shape:
    """A disc, a convex polygon or a lobed blob of mean radius 1, or a ring of such a form."""

    normals: Values
    """Directions of a polygon's sides (N, 2); none for the other forms."""
    distances: Values
    """Distance of each side from the middle (N,)."""
    lobes: int
    """How many lobes a blob has."""
    depth: float
    """Relative height of its lobes; 0 for a disc."""
    hole: float
    """Level of the hole's border; 0 for no hole."""

    def level(self, points: Values) -> Values:
        """Level (...,) of points (..., 2): 0 in the middle, 1 on the border."""
        if len(self.normals):
            level: Values = (points @ (self.normals / self.distances[:, None]).T).max(axis=-1)
            return level
        radius = np.hypot(points[..., 0], points[..., 1])
        if not self.depth:
            return radius
        angle = np.arctan2(points[..., 1], points[..., 0])
        lobed: Values = (radius / (1.0 + self.depth * np.cos(self.lobes * angle))).astype(np.float32)
        return lobed

    def squeezed(self, points: Values, pose: Pose) -> Values:
        """Where points (T, H, W, 2) inside the shape were before the squeeze; its border and all beyond stay."""
        if not pose.squeeze.any():
            return points
        share = pose.squeeze[:, None, None] * np.clip(1.0 - self.level(points) ** 2, 0.0, 1.0)
        along = np.array(pose.axis, dtype=np.float32)
        projected = (points @ along)[..., None] * along
        before: Values = points + share[..., None] * (0.3 * points + 0.7 * projected)
        return before


def draw_shape(rng: np.random.Generator, ranges: Ranges) -> Shape:
    """Draw a disc, a polygon or a blob, each with or without a hole."""
    kind, sides = int(rng.integers(3)), int(rng.integers(3, 7))
    angles = (np.arange(sides) + rng.uniform(-0.2, 0.2, sides)) * (2.0 * math.pi / sides)
    normals = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    distances = rng.uniform(0.75, 1.0, sides).astype(np.float32)
    hole = float(rng.uniform(*ranges.hole)) * int(rng.integers(2))
    depth = float(rng.uniform(0.1, 0.3)) if kind == 2 else 0.0
    count = sides if kind == 1 else 0
    return Shape(normals[:count], distances[:count], int(rng.integers(2, 6)), depth, hole)


def draw_places(rng: np.random.Generator, ranges: Ranges) -> NDArray[np.float64]:
    """Middles of a video's shapes (4, 2): wherever in the field the picture were, it would show some of them."""
    lattice = ranges.field * np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
    scatter = rng.uniform(-ranges.scatter, ranges.scatter, lattice.shape)
    return lattice + scatter + rng.uniform(0.0, 2.0 * ranges.field, 2)


def draw_pose(rng: np.random.Generator, motion: str, place: NDArray[np.float64], frames: int, ranges: Ranges) -> Pose:
    """Draw how a shape at ``place`` (2,) lies at one moment; the motion carries it through the video's ``frames``."""
    time = np.arange(frames) / max(frames - 1, 1)
    since = time - rng.uniform()  # the moment at which the pose is as drawn
    wave = np.sin(2.0 * math.pi * time * rng.uniform(*(ranges.fast if motion == "pulse_fast" else ranges.slow))
                  + rng.uniform(0.0, 2.0 * math.pi))  # fmt: skip
    way = DIRECTIONS.get(motion, (0.0, 0.0))
    passed = place + rng.uniform(*ranges.way) * (time[:, None] - 0.5) * np.array(way)
    shift = (passed + ranges.field) % (2.0 * ranges.field) - ranges.field
    turned = {"anticlockwise": -1.0, "clockwise": 1.0}.get(motion, 0.0) * np.radians(rng.uniform(*ranges.turn)) * since
    grown = {"expand": 1.0, "shrink": -1.0}.get(motion, 0.0) * rng.uniform(*ranges.growth) * since
    grown = grown + motion.startswith("pulse") * rng.uniform(*ranges.pulse) * wave
    size = np.exp(rng.uniform(*np.log(ranges.size)) + grown)
    stretch = math.exp(rng.uniform(*np.log(ranges.stretch)))
    sheared = (motion == "sway") * rng.uniform(*ranges.shear) * wave
    first, lean = rng.uniform(0.0, 2.0 * math.pi, 2)
    still = _rotation(np.array([first])) @ np.diag([stretch, 1.0 / stretch])
    shear = np.broadcast_to(np.eye(2), (frames, 2, 2)).copy()
    shear[:, 0, 1] = sheared
    leaning = _rotation(np.array([lean]))
    matrix = size[:, None, None] * (_rotation(turned) @ leaning @ shear @ leaning.transpose(0, 2, 1) @ still)
    squeezed = (motion == "squeeze") * rng.uniform(*ranges.squeeze) * wave
    axis = rng.uniform(0.0, 2.0 * math.pi)
    return Pose(
        shift.astype(np.float32),
        matrix.astype(np.float32),
        squeezed.astype(np.float32),
        (math.cos(axis), math.sin(axis)),
    )


def _rotation(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrices (N, 2, 2) that turn by angles (N,) in rad, clockwise on the screen where y points down."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)
