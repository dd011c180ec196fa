"""A heart in the apical four-chamber plane: geometry, tissue labels and motion, in centimetres.

The left ventricle is a prolate ellipsoid of revolution cut off at the mitral valve plane, so its volumes, and with them
the ejection fraction EF = 100 (EDV - ESV) / EDV (the paper's target), follow in closed form. Until end-systole the long
axis shortens and the radius shrinks by separate amounts; the wall keeps its volume and so thickens.

Heart frame: origin at the endocardial apex, y along the long axis towards the base, x towards the lateral wall. The
picture shows the plane x-y with the apex up, the left ventricle on the right and the right ventricle on the left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating[Any]]  # (N, 2): x, y
Values = NDArray[np.floating[Any]]  # (N,) or a grid

IMPAIRED_SHARE = 0.22
"""Share of hearts with an impaired ventricle."""
APICAL_SHARE = 0.7
"""Thickness of the wall at the apex over that at the widest level."""
BASAL_SHARE = 0.6
"""Thickness of the wall at the valve plane over what the outer ellipsoid alone would give."""


class Tissue(IntEnum):
    """What lies at a point; 0 to 3 are the labels of the CAMUS masks."""

    OUTSIDE = 0
    CAVITY = 1
    MYOCARDIUM = 2
    LEFT_ATRIUM = 3
    RIGHT_VENTRICLE = 4
    RIGHT_ATRIUM = 5
    THIN_WALL = 6
    PERICARDIUM = 7
    VALVE = 8


@dataclass(frozen=True, kw_only=True)
class Heart:
    """Sizes at end-diastole (cm) and how far they change until end-systole."""

    ejection_fraction: float
    """True EF in percent."""
    length: float
    """Long axis of the cavity, apex to valve plane."""
    radius: float
    """Largest short-axis radius of the cavity."""
    truncation: float
    """Distance of the valve plane from the ellipsoid's widest level, as a share of its half long axis."""
    long_shortening: float
    """Share by which the long axis shortens until end-systole."""
    wall: float
    """Thickness of the wall at the widest level."""
    atrium: float
    """Height of the left atrium below the valve plane."""
    right_width: float
    """Width of the right ventricle at its base."""
    right_motion: float
    """Inward motion of the right ventricle's free wall until end-systole."""

    @property
    def radial_shortening(self) -> float:
        """Share by which the radius shrinks until end-systole: what the EF leaves after the long axis' share."""
        return 1.0 - math.sqrt((1.0 - self.ejection_fraction / 100.0) / (1.0 - self.long_shortening))

    def semi_axes(self, contraction: float = 0.0) -> tuple[float, float]:
        """Half long axis and largest radius of the (uncut) ellipsoid in cm."""
        length = self.length * (1.0 - self.long_shortening * contraction)
        return length / (1.0 + self.truncation), self.radius * (1.0 - self.radial_shortening * contraction)

    def volume(self, contraction: float = 0.0) -> float:
        """Cavity volume in ml: the ellipsoid from the apex to the valve plane."""
        half, radius = self.semi_axes(contraction)
        cut = self.truncation
        return math.pi * radius**2 * half * (2.0 / 3.0 + cut - cut**3 / 3.0)

    def profile(self, level: Values) -> Values:
        """Radius of the cavity over its largest radius, at ``level`` 0 (apex) to 1 (valve plane)."""
        height = 1.0 - np.clip(level, 0.0, 1.0) * (1.0 + self.truncation)
        shape: Values = np.sqrt(np.maximum(1.0 - height**2, 0.0))
        return shape

    @property
    def base(self) -> float:
        """Radius of the mitral annulus at end-diastole: that of the cavity at the valve plane."""
        return self.radius * math.sqrt(1.0 - self.truncation**2)

    def outer_radius(self, y: Values) -> Values:
        """Radius of the epicardium at end-diastole at height ``y`` (0 beyond the epicardial apex)."""
        half, radius = self.semi_axes()
        level = np.minimum(y, self.length)
        height = (half - level) / (half + APICAL_SHARE * self.wall)
        thin = np.clip((level / self.length - 0.65) / 0.35, 0.0, 1.0) ** 2 * (1.0 - BASAL_SHARE) * self.wall
        outer: Values = (radius + self.wall) * np.sqrt(np.maximum(1.0 - height**2, 0.0)) - thin
        return outer

    def cavity_outline(self, contraction: float, count: int = 64) -> Points:
        """Endocardial contour from the septal annulus over the apex to the lateral annulus, (2 ``count`` - 1, 2)."""
        half, radius = self.semi_axes(contraction)
        # Equal steps of the ellipse's angle sample the apex as finely as the sides.
        angle = np.linspace(0.0, math.acos(-self.truncation), count)
        x, y = radius * np.sin(angle), half * (1.0 - np.cos(angle))
        side = np.stack([x, y], axis=1)
        return np.concatenate([side[:0:-1] * (-1.0, 1.0), side]).astype(np.float32)

    def tissue(self, points: Points) -> NDArray[np.uint8]:
        """Label of each point (N, 2) at end-diastole, a `Tissue` value (N,)."""
        x, y = points[:, 0], points[:, 1]
        endo, outer = self.radius * self.profile(y / self.length), self.outer_radius(y)
        right, edge = self._right_width(y), self.base + BASAL_SHARE * self.wall
        left_atrium = _oval(x + 0.05, y - self.length - 0.38 * self.atrium, self.base + 0.1, 0.62 * self.atrium)
        centre, half_width = edge + 0.5 * self.right_width, 0.5 * self.right_width + 0.05
        right_atrium = _oval(x + centre, y - self.length - 0.36 * self.atrium, half_width, 0.6 * self.atrium)
        hinges = (-self.base - 0.2, self.base + 0.2, -edge - self.right_width)
        annulus = np.minimum.reduce([np.hypot(x - hinge, y - self.length) for hinge in hinges])
        above, beyond = y <= self.length, np.abs(x) - outer
        choices = [
            (above & (y >= 0.0) & (np.abs(x) <= endo), Tissue.CAVITY),
            (annulus < 0.28, Tissue.VALVE),
            (above & (np.abs(x) <= outer) & (outer > 0.0), Tissue.MYOCARDIUM),
            (above & (x < 0.0) & (beyond <= right), Tissue.RIGHT_VENTRICLE),
            (~above & (left_atrium <= 1.0), Tissue.LEFT_ATRIUM),
            (~above & (right_atrium <= 1.0), Tissue.RIGHT_ATRIUM),
            (above & (x < 0.0) & (right > 0.0) & (beyond <= right + 0.4), Tissue.THIN_WALL),
            (~above & (np.minimum(left_atrium, right_atrium) <= 1.3), Tissue.THIN_WALL),
            (above & (outer > 0.0) & ((x > 0.0) | (right <= 0.0)) & (beyond <= 0.3), Tissue.PERICARDIUM),
        ]
        where, labels = zip(*choices, strict=True)
        return np.select(list(where), [np.uint8(label) for label in labels], np.uint8(0)).astype(np.uint8)

    def motion(self, points: Points) -> Callable[[float], Points]:
        """Where tissue that lies at ``points`` at end-diastole has moved: a function of the contraction.

        At each level the cavity scales with its radius. Between a wall point at distance x from the axis and the
        endocardium the tissue keeps its volume: x'^2 = e'^2 + (x^2 - e^2) / k, with e and e' the endocardial radius
        before and after, and k the level's height after over before. Outside the epicardium the motion fades.
        """
        x, y = points[:, 0], points[:, 1]
        size, side = np.abs(x), np.sign(x)
        endo, outer = self.radius * self.profile(y / self.length), self.outer_radius(y)
        inner = np.minimum(size, endo) ** 2
        moved = np.minimum(size, np.maximum(outer, endo))
        shell = np.maximum(moved**2 - endo**2, 0.0)
        below, over = np.maximum(y - self.length, 0.0), np.maximum(-y, 0.0)
        fade = np.exp(-(size - moved) / 1.2 - below / 1.0 - over / 0.8)
        width = self._right_width(y)
        depth = np.where(x < 0.0, np.maximum(size - outer, 0.0), 0.0)
        right = np.clip(depth / np.maximum(width, 0.3), 0.0, 1.0) * np.clip(width / self.right_width, 0.0, 1.0)
        right *= self.right_motion * np.exp(-np.maximum(depth - width, 0.0) / 0.8 - below / 1.5)
        aside = np.maximum(size - outer - np.where(x < 0.0, self.right_width, 0.0), 0.0)
        share, shortened = self.regional(points)
        slide = shortened * np.clip(1.0 - below / self.atrium, 0.0, 1.0) * np.exp(-aside / 0.7)

        def carried(contraction: float) -> Points:
            stretch = 1.0 - self.long_shortening * contraction * share
            squeeze = 1.0 - self.radial_shortening * contraction * share
            inward = np.sqrt(inner * squeeze**2 + shell / stretch) - moved
            out = np.empty_like(points)
            out[:, 0] = side * (size + inward * fade) + right * contraction
            out[:, 1] = y - self.long_shortening * contraction * slide
            return out

        return carried

    def regional(self, points: Points) -> tuple[Values | float, Values]:
        """Share of the contraction that tissue at ``points`` takes part in, and that share summed from the apex in cm.

        All of it here: the whole ventricle contracts alike. A heart with an infarct has less of it in places.
        """
        return 1.0, np.clip(points[:, 1], 0.0, self.length)

    def _right_width(self, y: Values) -> Values:
        """Width of the right ventricle at height ``y``: a wedge that begins below the left ventricle's apex."""
        rise = np.clip((y / self.length - 0.12) / 0.88, 0.0, 1.0)
        width: Values = self.right_width * rise**0.65
        return width


def _oval(x: Values, y: Values, half_width: float, half_height: float) -> Values:
    """Squared distance from an oval's centre, 1 on its outline."""
    distance: Values = (x / half_width) ** 2 + (y / half_height) ** 2
    return distance


def sample_heart(rng: np.random.Generator, rank: float) -> Heart:
    """Draw a heart whose EF follows EchoNet-Dynamic: a normal group and a wide group of impaired ventricles.

    ``rank`` from 0 to 1 places the EF in its distribution, impaired ventricles first; ``rng`` draws the rest. Once a
    reader's error of SD 4 is added, the EF has mean 55.7, SD 12.4, median 59 and 22 % below 50, as in the data set's
    file list (Ouyang et al. 2020).
    """
    if rank < IMPAIRED_SHARE:
        group, share = NormalDist(37.5, 10.8), rank / IMPAIRED_SHARE
    else:
        group, share = NormalDist(60.8, 5.0), (rank - IMPAIRED_SHARE) / (1.0 - IMPAIRED_SHARE)
    drawn = group.inv_cdf(min(max(share, 1e-6), 1.0 - 1e-6))
    return draw_heart(rng, min(max(drawn, 9.0), 82.0))


def draw_heart(rng: np.random.Generator, ejection: float) -> Heart:
    """Draw a heart of a given EF in percent; impaired ventricles tend to be larger, rounder and to shorten less."""
    weakness = max(0.0, (58.0 - ejection) / 58.0)
    volume = 86.0 * math.exp(rng.normal(0.0, 0.28) + 0.85 * weakness)
    ratio = float(np.clip(rng.normal(0.275 + 0.05 * weakness, 0.022), 0.21, 0.37))
    truncation = rng.uniform(0.35, 0.6)
    share = (2.0 / 3.0 + truncation - truncation**3 / 3.0) / (1.0 + truncation)
    length = (volume / (math.pi * ratio**2 * share)) ** (1.0 / 3.0)
    # The long axis makes up about a fifth of the logarithmic volume change, with wide variation between hearts.
    long_shortening = 1.0 - (1.0 - ejection / 100.0) ** rng.uniform(0.14, 0.27)
    return Heart(
        ejection_fraction=ejection,
        length=length,
        radius=ratio * length,
        truncation=truncation,
        long_shortening=long_shortening,
        wall=float(np.clip(rng.normal(0.95, 0.14), 0.6, 1.4)),
        atrium=length * rng.uniform(0.42, 0.62),
        right_width=length * rng.uniform(0.28, 0.42),
        right_motion=rng.uniform(0.2, 0.8),
    )
