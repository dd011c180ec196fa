"""Ultrasound pictures of a beating heart by the convolution model of speckle.

Point scatterers with random complex echoes are carried along by the tissue. Per frame they are laid on a polar grid
(depth, beam) and smoothed with a point-spread function of constant angle, whose width in cm therefore grows with depth.
The envelope passes attenuation, shadow, drop-out and gain, is log-compressed and scan-converted to the square picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from coreecho.phantom.beat import Beat
from coreecho.phantom.heart import BASAL_SHARE, Heart, Points, Tissue, Values
from coreecho.phantom.view import View

ECHO_DB = {
    Tissue.OUTSIDE: -15.0,
    Tissue.MYOCARDIUM: 0.0,
    Tissue.THIN_WALL: -4.0,
    Tissue.PERICARDIUM: 3.0,
    Tissue.VALVE: 5.0,
}
"""Mean echo of each tissue in dB relative to the myocardium; blood pools take the view's own value."""
BLOOD_RATE = 25.0
"""Rate in rad/s at which the echo of flowing blood changes."""
WHITE_DB = 14.0
"""Echo in dB over the myocardium's mean that is shown white."""
BEAM_WIDTH = (0.9, 0.055)
"""Standard deviation of the point-spread function: degrees across, cm along the beam."""
BLOOD = (Tissue.CAVITY, Tissue.LEFT_ATRIUM, Tissue.RIGHT_VENTRICLE, Tissue.RIGHT_ATRIUM)
"""Tissues filled with blood."""
OVERSAMPLING = 2
"""Picture pixels computed per pixel written, in each direction."""


@dataclass(frozen=True)
class Grid:
    """Polar samples: ``rows`` depths from 0 to ``depth`` cm, ``beams`` directions within +-``half_angle`` rad."""

    rows: int
    beams: int
    depth: float
    half_angle: float

    @classmethod
    def of(cls, size: int, depth: float, half_angle: float) -> Grid:
        """The grid whose cells at two thirds of the depth match the pixels of a picture of side ``size``."""
        return cls(rows=int(1.6 * size), beams=int(1.15 * size), depth=depth, half_angle=half_angle)

    def cells(self, points: Points) -> tuple[Values, Values]:
        """Probe frame (N, 2) to fractional row and beam (N,)."""
        x, y = points[:, 0], points[:, 1]
        rows: Values = np.hypot(x, y) * (self.rows / self.depth)
        beams: Values = (np.arctan2(x, y) / self.half_angle + 1.0) * (0.5 * (self.beams - 1))
        return rows, beams

    @property
    def blur(self) -> tuple[float, float]:
        """Standard deviation of the point-spread function in beams and rows, never finer than the grid can hold."""
        across = math.radians(BEAM_WIDTH[0]) * (self.beams - 1) / (2.0 * self.half_angle)
        return max(0.75, across), max(0.75, BEAM_WIDTH[1] * self.rows / self.depth)

    def points(self, rows: Values, beams: Values) -> Points:
        """Fractional row and beam to probe frame, the inverse of `cells`."""
        radius = rows * (self.depth / self.rows)
        angle = (beams * (2.0 / (self.beams - 1)) - 1.0) * self.half_angle
        return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Scatterers:
    """Echo sources of one video: where they are at any time and what they return."""

    positions: Callable[[float, float], Points]
    """Contraction and valve opening to places in the heart frame (N, 2)."""
    echo: NDArray[np.complex64]
    """Complex echo of each (N,)."""
    rate: Values
    """Rate in rad/s at which each echo's phase turns (N,)."""


def scatterers(rng: np.random.Generator, heart: Heart, view: View, grid: Grid) -> Scatterers:
    """Draw the echo sources of a video: one per polar cell at end-diastole, and rows of strong ones on the leaflets."""
    margin = 3
    rows, beams = np.meshgrid(np.arange(grid.rows + margin), np.arange(-margin, grid.beams + margin), indexing="ij")
    jitter = rng.uniform(0.0, 1.0, (2, rows.size)).astype(np.float32)
    points = view.unplace(grid.points(rows.ravel() + jitter[0], beams.ravel() + jitter[1]), heart)
    label = heart.tissue(points)
    blood = np.isin(label, BLOOD)
    table = np.array([view.blood if tissue in BLOOD else ECHO_DB[tissue] for tissue in Tissue], dtype=np.float32)
    decibel = table[label] + _texture(rng, points, np.where(label == Tissue.OUTSIDE, 5.0, 2.0).astype(np.float32))
    decibel += np.where(blood, 0.0, _interfaces(blood.reshape(rows.shape), grid).ravel())
    hinges, leaflets = _leaflets(heart)
    count = sum(len(part) for part in leaflets)
    decibel = np.concatenate([decibel, np.full(count, 3.0, np.float32)])
    normal = rng.standard_normal((2, len(decibel))).astype(np.float32)
    echo = 10.0 ** (decibel / 20.0) * (normal[0] + 1j * normal[1]) / math.sqrt(2.0)
    spread = np.concatenate([np.where(blood, BLOOD_RATE, view.decorrelation), np.full(count, view.decorrelation)])
    rate = rng.standard_normal(len(decibel)) * spread
    tissue, hinge = heart.motion(points), heart.motion(hinges)

    def positions(contraction: float, opening: float) -> Points:
        return np.concatenate([tissue(contraction), _swing(hinge(contraction), leaflets, opening)])

    return Scatterers(positions, echo.astype(np.complex64), rate.astype(np.float32))


def _texture(rng: np.random.Generator, points: Points, strength: Values) -> Values:
    """Slow variation of the echo in dB over a few centimetres (fat, fibre direction, lung)."""
    waves, phases = rng.normal(0.0, 1.4, (2, 5)).astype(np.float32), rng.uniform(0.0, 2.0 * math.pi, 5)
    pattern = np.cos(points @ waves + phases.astype(np.float32)).sum(axis=1) / math.sqrt(2.5)  # (N,), SD 1
    texture: Values = (strength * pattern).astype(np.float32)
    return texture


def _interfaces(blood: NDArray[np.bool_], grid: Grid) -> Values:
    """Gain in dB (rows, beams) where blood meets tissue across the beam, as specular reflection has it."""
    sigma = max(0.8, 0.15 * grid.rows / grid.depth)  # 1.5 mm along the beam
    soft = cv2.GaussianBlur(blood.astype(np.float32), (0, 0), sigmaX=1.5, sigmaY=sigma)
    edge = np.abs(np.gradient(soft, axis=0)) * (sigma * math.sqrt(2.0 * math.pi))  # 1 at a sharp edge
    gain: Values = (9.0 * np.clip(edge, 0.0, 1.0)).astype(np.float32)
    return gain


def _leaflets(heart: Heart) -> tuple[Points, list[Values]]:
    """Hinges (4, 2) of the mitral and tricuspid leaflets, and the distance of their scatterers from the hinge."""
    base, septal = heart.base, -heart.base - BASAL_SHARE * heart.wall
    feet = (-base, base, septal, septal - heart.right_width)
    hinges = np.array([[foot, heart.length] for foot in feet], dtype=np.float32)
    # The anterior mitral leaflet is the longer one; closed leaflets meet below the middle of the valve.
    lengths = (1.25 * base, 0.95 * base, 0.5 * heart.right_width, 0.65 * heart.right_width)
    return hinges, [np.linspace(0.05, length, max(4, int(24 * length))).astype(np.float32) for length in lengths]


def _swing(hinges: Points, leaflets: list[Values], opening: float) -> Points:
    """Scatterers on the leaflets when the valve is open by ``opening``: the tips swing from the annulus to the apex."""
    angle = math.radians(-12.0 + 82.0 * opening)
    parts = []
    for number, (hinge, along) in enumerate(zip(hinges, leaflets, strict=True)):
        towards = 1.0 if number in (0, 3) else -1.0
        # Bent towards the middle of the valve near the hinge, so that open leaflets hang like a funnel.
        bend = angle * np.clip(0.4 + 0.9 * along / along[-1], 0.0, 1.0)
        parts.append(np.stack([hinge[0] + towards * along * np.cos(bend), hinge[1] - along * np.sin(bend)], axis=1))
    return np.concatenate(parts).astype(np.float32)


def gain_map(heart: Heart, view: View, grid: Grid) -> Values:
    """Gain in dB of each polar sample (rows, beams): overall, depth, rib shadow, lateral drop-out."""
    radius = (np.arange(grid.rows, dtype=np.float32) + 0.5)[:, None] * (grid.depth / grid.rows)
    angle = np.linspace(-1.0, 1.0, grid.beams, dtype=np.float32)[None, :] * math.degrees(grid.half_angle)
    gain: Values = np.repeat(view.gain - view.attenuation * (radius - 0.5 * grid.depth), grid.beams, axis=1)
    rib = np.abs(angle - view.shadow_angle * view.half_angle) / view.shadow_width
    behind = np.clip((radius - 1.0) / 1.5, 0.0, 1.0)
    gain = gain - max(view.shadow, 0.0) * behind * np.exp(-(rib**4))
    y = view.dropout_level * heart.length
    x = heart.outer_radius(np.array([y], np.float32))[0] - 0.5 * heart.wall
    centre = view.place(np.array([[x, y]], np.float32), heart)[0]
    across, down = radius * np.sin(np.radians(angle)), radius * np.cos(np.radians(angle))
    away = ((across - centre[0]) ** 2 + ((down - centre[1]) / 1.6) ** 2) / 1.3**2
    gain = gain - max(view.dropout, 0.0) * np.exp(-away)
    return gain.astype(np.float32)


def scan_map(heart: Heart, view: View, grid: Grid, size: int, width: int | None = None) -> tuple[Values, Values]:
    """For each picture pixel (size, width) the fractional beam and row it is read from; -2 outside the sector."""
    width = size if width is None else width
    step, axis = view.pixel_size(heart, size), np.arange(max(size, width), dtype=np.float32)
    origin = view.pixels(np.zeros((1, 2), np.float32), heart, size)[0]
    origin[0] += 0.5 * (width - size)
    column, row = np.meshgrid((axis[:width] - origin[0]) * step, (axis[:size] - origin[1]) * step)
    rows, beams = grid.cells(np.stack([column.ravel(), row.ravel()], axis=1))
    inside = (rows < grid.rows - 1) & (beams >= 0.0) & (beams <= grid.beams - 1) & (row.ravel() > 0.0)
    rows, beams = np.where(inside, rows, -2.0), np.where(inside, beams, -2.0)
    return beams.reshape(size, width).astype(np.float32), rows.reshape(size, width).astype(np.float32)


def splat(rows: Values, beams: Values, echo: NDArray[np.complex64], grid: Grid) -> Values:
    """Share each echo among the four nearest cells; real and imaginary part as channels (rows, beams, 2)."""
    low_row, low_beam = np.floor(rows), np.floor(beams)
    inside = (low_row >= 0) & (low_row < grid.rows - 1) & (low_beam >= 0) & (low_beam < grid.beams - 1)
    rows, beams, echo = rows[inside], beams[inside], echo[inside]
    low_row, low_beam = low_row[inside], low_beam[inside]
    down, across = rows - low_row, beams - low_beam
    first = (low_row * grid.beams + low_beam).astype(np.int32)
    out = np.zeros((2, grid.rows * grid.beams), np.float32)
    shares = ((1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across)
    index = np.concatenate([first, first + 1, first + grid.beams, first + grid.beams + 1])
    for channel, part in enumerate((echo.real, echo.imag)):
        weights = np.concatenate([share * part for share in shares])
        out[channel] = np.bincount(index, weights, grid.rows * grid.beams)
    return np.ascontiguousarray(out.reshape(2, grid.rows, grid.beams).transpose(1, 2, 0))


def received(points: Points, echo: NDArray[np.complex64], grid: Grid) -> Values:
    """Signal (rows, beams, 2) of scatterers at ``points`` (N, 2) in the probe frame: their echoes, blurred.

    One scatterer of mean power 1 in every cell gives a signal of mean power 1.
    """
    across, along = grid.blur
    signal = cv2.GaussianBlur(splat(*grid.cells(points), echo, grid), (0, 0), sigmaX=across, sigmaY=along)
    scaled: Values = signal * (2.0 * math.sqrt(math.pi * across * along))
    return scaled


def render(
    rng: np.random.Generator,
    heart: Heart,
    beat: Beat,
    view: View,
    *,
    size: int,
    frames: int,
    fps: float,
    width: int | None = None,
) -> NDArray[np.uint8]:
    """Grey video of a heart, uint8 (T, H, W) with H = ``size`` and W = ``width`` (none: square)."""
    grid = Grid.of(size, view.depth(heart), math.radians(view.half_angle))
    sources, time = scatterers(rng, heart, view, grid), np.arange(frames) / fps
    contraction, opening = beat.contraction(time), beat.valve(time)
    amplification = 10.0 ** (gain_map(heart, view, grid)[..., None] / 20.0)
    width = size if width is None else width
    beams, rows = scan_map(heart, view, grid, size * OVERSAMPLING, width * OVERSAMPLING)
    noise = 10.0 ** (view.noise / 20.0) * rng.standard_normal((2 * grid.rows, 2 * grid.beams, 2)).astype(np.float32)
    corners = rng.integers(0, (grid.rows, grid.beams), (frames, 2))
    haze = 10.0 ** (view.haze / 20.0) * np.exp(-np.arange(grid.rows) * (grid.depth / grid.rows) / 1.2)[:, None]
    video = np.empty((frames, size, width), np.uint8)
    for number in range(frames):
        points = sources.positions(float(contraction[number]), float(opening[number]))
        points = view.place(points, heart, float(time[number]))
        echo = sources.echo * np.exp(1j * sources.rate * np.float32(time[number]))
        signal = received(points, echo, grid) * amplification
        top, left = corners[number]
        signal += noise[top : top + grid.rows, left : left + grid.beams]
        envelope = np.hypot(signal[..., 0], signal[..., 1]) + haze
        decibel = 20.0 * np.log10(envelope + 1e-6)
        grey = np.clip((decibel - WHITE_DB) / view.dynamic_range + 1.0, 0.0, 1.0) * 255.0
        large = cv2.remap(grey.astype(np.float32), beams, rows, cv2.INTER_LINEAR, borderValue=0.0)
        video[number] = np.rint(cv2.resize(large, (width, size), interpolation=cv2.INTER_AREA))
    return video
