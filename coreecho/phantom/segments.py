"""Regional wall motion: a ventricle some of whose wall segments move and thicken less, as after an infarction.

HMC-QU names the six segments that the four-chamber view shows, from the septal annulus over the apex to the lateral
one, and calls an echo infarcted when any of them is (Table 5). Here each takes part in the contraction by a share of
its own, which changes smoothly along the wall. Length and radius follow it point by point, and the wall still keeps
its volume: so where it neither shortens nor moves inwards, it does not thicken, and the annulus tilts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from coreecho.phantom.heart import Heart, Points, Values

SEGMENTS = ("SEG3", "SEG9", "SEG14", "SEG16", "SEG12", "SEG6")
"""Basal, mid and apical septum, then apical, mid and basal lateral wall: the order of HMC-QU's workbook."""
TRANSITION = 0.03
"""Standard deviation of the border between segments as a share of the wall from annulus to annulus."""
_STEPS = 120
"""Steps from the apex to the annulus in which shares are tabulated."""


@dataclass(frozen=True, kw_only=True)
class RegionalHeart(Heart):
    """A heart of the given EF, were it not for the segments that take part in its contraction by less than all.

    The fields of `Heart` describe the healthy remainder; `regional_ef` is what is left of its EF.
    """

    shares: tuple[float, ...] = (1.0,) * 6
    """Share of the contraction in which each of `SEGMENTS` takes part: 1 moves fully, 0 not at all."""

    def wall_shares(self) -> tuple[Values, Values]:
        """Share at even levels from apex (0) to annulus (1), of the septal and of the lateral side, (121,) each."""
        margin, steps = _STEPS // 2, 2 * _STEPS + 1
        place = np.arange(-margin, steps + margin)
        stepped = np.asarray(self.shares)[np.clip(place * 6 // steps, 0, 5)]  # annuli go on beyond themselves
        reach = np.arange(-margin, margin + 1) / (TRANSITION * 2 * _STEPS)
        kernel = np.exp(-0.5 * reach**2)
        along = np.convolve(stepped, kernel / kernel.sum(), mode="valid")  # (241,) from septal to lateral annulus
        return along[_STEPS::-1], along[_STEPS:]

    def regional(self, points: Points) -> tuple[Values | float, Values]:
        """As `Heart.regional`: each side of the wall has its own share, between which the cavity passes over."""
        level = np.clip(points[:, 1] / self.length, 0.0, 1.0)
        endo = np.maximum(self.radius * self.profile(level), 1e-3)
        lateral = 0.5 + 0.5 * np.clip(points[:, 0] / endo, -1.0, 1.0)
        grid = np.linspace(0.0, 1.0, _STEPS + 1)
        share, summed = np.zeros_like(level), np.zeros_like(level)
        for side, weight in zip(self.wall_shares(), (1.0 - lateral, lateral), strict=True):
            share += weight * np.interp(level, grid, side)
            summed += weight * np.interp(level, grid, _summed(side))
        return share, summed * self.length

    def volume(self, contraction: float = 0.0) -> float:
        """Cavity volume in ml: half a body of revolution for each side of the wall, summed over its levels."""
        radius = self.radius * self.profile(np.linspace(0.0, 1.0, _STEPS + 1))
        halves = []
        for side in self.wall_shares():
            height = self.length * (1.0 - self.long_shortening * contraction * side)  # per unit of level
            area = 0.5 * np.pi * (radius * (1.0 - self.radial_shortening * contraction * side)) ** 2
            halves.append(float(_summed(area * height)[-1]))
        return sum(halves)

    @property
    def regional_ef(self) -> float:
        """True EF in percent, 100 (EDV - ESV) / EDV."""
        return 100.0 * (1.0 - self.volume(1.0) / self.volume(0.0))


def _summed(values: Values) -> Values:
    """Integral from the apex to each of the even levels, by trapezoids."""
    steps = 0.5 * (values[1:] + values[:-1]) / _STEPS
    total: Values = np.concatenate([[0.0], np.cumsum(steps)])
    return total


def sample_shares(
    rng: np.random.Generator, infarct: bool, severity: tuple[float, float]
) -> tuple[tuple[float, ...], tuple[bool, ...]]:
    """Draw the six shares, and which segments are infarcted: one to three neighbours, or none.

    Healthy segments differ a little too, as they do from beat to beat and reader to reader.
    """
    shares = np.clip(rng.normal(0.97, 0.05, 6), 0.85, 1.05)
    count = int(rng.integers(1, 4))
    first, loss = int(rng.integers(0, 7 - count)), rng.uniform(*severity, 6)
    hit = np.zeros(6, dtype=bool)
    hit[first : first + count] = infarct
    shares = np.where(hit, shares * (1.0 - loss), shares)
    return tuple(float(share) for share in shares), tuple(bool(value) for value in hit)
