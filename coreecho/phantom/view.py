"""How a study was taken: where the heart lies in the sector, and what the machine's settings do to the picture.

`Acquisition` holds the ranges and is the phantom's one difficulty knob; a `View` is one draw from them.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from coreecho.phantom.heart import Heart, Points

Range = tuple[float, float]

PICTURE_SHARE = 0.97
"""Depth of the sector over the height of the picture."""
TOP_SHARE = 0.01
"""Place of the sector's tip below the top of the picture over its height."""


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """Ranges from which every video's `View` is drawn uniformly; wider ranges make the EF harder to read."""

    fill: Range = (0.50, 0.62)
    """Length of the left ventricle in the picture over the sector's depth."""
    foreshortening: Range = (0.9, 1.0)
    """Length of the section through the ventricle over its true long axis (1: the plane holds the apex)."""
    apex_depth: Range = (0.08, 0.16)
    """Depth of the apex below the probe over the sector's depth."""
    apex_offset: Range = (0.01, 0.10)
    """Sideways place of the apex over the sector's depth; positive is right."""
    tilt: Range = (-9.0, 15.0)
    """Angle in degrees by which the base is swung to the right about the apex."""
    half_angle: Range = (36.0, 44.0)
    """Half opening angle of the sector in degrees."""
    sway: Range = (0.0, 0.15)
    """Slow sideways drift of the heart (breathing, hand) to either side in cm."""
    sway_start: Range = (0.0, 1.0)
    """Position in the drift's period of four seconds at frame 0, as a share of the period."""
    gain: Range = (-5.0, 5.0)
    """Overall gain in dB."""
    attenuation: Range = (0.0, 1.0)
    """Loss in dB per cm of depth that the machine's depth compensation leaves."""
    dynamic_range: Range = (46.0, 60.0)
    """Decibels between black and white."""
    noise: Range = (-48.0, -38.0)
    """Electronic noise in dB below the myocardium's mean echo."""
    haze: Range = (-28.0, -14.0)
    """Near-field reverberation at the probe in dB relative to the myocardium."""
    blood: Range = (-40.0, -30.0)
    """Echo of the blood pool, clutter included, in dB relative to the myocardium."""
    shadow: Range = (-30.0, 14.0)
    """Loss in dB behind a rib; a negative draw means that no rib is in the way."""
    shadow_angle: Range = (-0.95, 0.95)
    """Direction of the rib as a share of the half opening angle."""
    shadow_width: Range = (3.0, 7.0)
    """Half width of the rib's shadow in degrees."""
    dropout: Range = (-12.0, 8.0)
    """Loss in dB where the lateral wall drops out; a negative draw means none."""
    dropout_level: Range = (0.1, 0.9)
    """Height of the drop-out's middle between apex (0) and base (1)."""
    decorrelation: Range = (0.5, 3.0)
    """Rate in rad/s at which the tissue's speckle changes of itself (motion out of the plane)."""


@dataclass(frozen=True, kw_only=True)
class View:
    """One study's draw from `Acquisition`; the fields have the same names, units and meanings."""

    fill: float
    foreshortening: float
    apex_depth: float
    apex_offset: float
    tilt: float
    half_angle: float
    sway: float
    sway_start: float
    gain: float
    attenuation: float
    dynamic_range: float
    noise: float
    haze: float
    blood: float
    shadow: float
    shadow_angle: float
    shadow_width: float
    dropout: float
    dropout_level: float
    decorrelation: float

    def depth(self, heart: Heart) -> float:
        """Depth of the sector in cm."""
        return heart.length * self.foreshortening / self.fill

    def place(self, points: Points, heart: Heart, time: float | None = None) -> Points:
        """Heart frame to probe frame (N, 2), both in cm: x to the right of the probe, y the depth below it.

        ``time`` in seconds since frame 0 adds the drift; without it the heart is where it drifts about.
        """
        matrix, apex = self._placement(heart)
        placed: Points = (points @ matrix.T + apex).astype(np.float32)
        if time is not None:
            placed[:, 0] += self.sway * math.sin(2.0 * math.pi * (time / 4.0 + self.sway_start))
        return placed

    def unplace(self, points: Points, heart: Heart) -> Points:
        """Probe frame to heart frame, the inverse of `place`."""
        matrix, apex = self._placement(heart)
        heart_frame: Points = ((points - apex) @ np.linalg.inv(matrix).T).astype(np.float32)
        return heart_frame

    def _placement(self, heart: Heart) -> tuple[Points, Points]:
        """Matrix (2, 2) that foreshortens and turns, and the apex' place (2,), which turn heart into probe frame."""
        cos, sin, depth = math.cos(math.radians(self.tilt)), math.sin(math.radians(self.tilt)), self.depth(heart)
        matrix = np.array([[cos, sin * self.foreshortening], [-sin, cos * self.foreshortening]], dtype=np.float32)
        return matrix, np.array([self.apex_offset * depth, self.apex_depth * depth], dtype=np.float32)

    def pixel_size(self, heart: Heart, size: int) -> float:
        """Side of a pixel in cm: the sector's depth fills the picture's height."""
        return self.depth(heart) / (size * PICTURE_SHARE)

    def pixels(self, points: Points, heart: Heart, size: int) -> Points:
        """Probe frame to picture coordinates (column, row), where (0, 0) is the centre of the first pixel."""
        origin = np.array([size / 2.0 - 0.5, TOP_SHARE * size - 0.5])
        picture: Points = (points / self.pixel_size(heart, size) + origin).astype(np.float32)
        return picture


def sample_view(rng: np.random.Generator, acquisition: Acquisition) -> View:
    """Draw a view from the ranges of ``acquisition``."""
    return View(**{item.name: rng.uniform(*getattr(acquisition, item.name)) for item in dataclasses.fields(View)})
