"""The heart cycle: how far the ventricle has contracted, and how far the mitral valve is open, at a given time.

The paper's clips (36 frames at stride 4) are meant to show end-diastole and end-systole whatever their start; so the
phantom's rhythm has what a real study has, a systole, a filling in two waves and a rest between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Beat:
    """A regular rhythm, described by a few numbers."""

    heart_rate: float
    """Beats per minute."""
    systole: float
    """Seconds from end-diastole to end-systole."""
    atrial_share: float
    """Share of the stroke volume's motion that is made up by the atrial contraction late in diastole."""
    start: float
    """Position in the beat at frame 0, as a share of the period; 0 is end-diastole."""

    @property
    def period(self) -> float:
        """Seconds from one end-diastole to the next."""
        return 60.0 / self.heart_rate

    def contraction(self, time: Floats) -> Floats:
        """Contraction at ``time`` (seconds since frame 0): 0 at end-diastole, 1 at end-systole."""
        levels = (0.0, 1.0, 1.0, self.atrial_share, self.atrial_share, 0.0)
        return _smooth(self._position(time), self._times(0.0, 0.10, 0.50, 0.72, 1.0), levels)

    def valve(self, time: Floats) -> Floats:
        """Opening of the mitral and tricuspid valve at ``time``: 0 closed, 1 wide open (early filling)."""
        levels = (0.0, 0.0, 1.0, 0.9, 0.35, 0.35, 0.75, 0.0)
        return _smooth(self._position(time), self._times(0.10, 0.20, 0.40, 0.55, 0.72, 0.86, 1.0), levels)

    def frames(self, count: int, fps: float) -> tuple[int, int]:
        """The frames nearest to end-diastole and to end-systole, each in the first beat that shows it best."""
        position = self._position(np.arange(count) / fps) / self.period
        end_systole = (self.systole + 0.05 * (self.period - self.systole)) / self.period
        found = []
        for target in (0.0, end_systole):
            distance = np.abs((position - target + 0.5) % 1.0 - 0.5)
            found.append(int(np.argmin(np.round(distance, 6))))
        return found[0], found[1]

    def _position(self, time: Floats) -> Floats:
        position: Floats = np.mod(np.asarray(time) + self.start * self.period, self.period)
        return position

    def _times(self, *shares: float) -> tuple[float, ...]:
        """Knots in seconds: end-diastole, then the given shares of diastole."""
        return (0.0, *(self.systole + share * (self.period - self.systole) for share in shares))


def sample_beat(rng: np.random.Generator) -> Beat:
    """Draw a rhythm of 55 to 100 beats a minute with an arbitrary position at frame 0."""
    rate = float(np.clip(rng.normal(72.0, 11.0), 55.0, 100.0))
    # The length of systole grows with the square root of the period (Bazett's rule).
    systole = 0.35 * (60.0 / rate) ** 0.5 * rng.uniform(0.93, 1.07)
    return Beat(heart_rate=rate, systole=systole, atrial_share=rng.uniform(0.15, 0.35), start=rng.uniform(0.0, 1.0))


def _smooth(at: Floats, knots: tuple[float, ...], levels: tuple[float, ...]) -> Floats:
    """Interpolate with zero slope at every knot, so that motion comes to rest at end-diastole and end-systole."""
    place = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    low, high = np.take(knots, place), np.take(knots, place + 1)
    share = np.clip((at - low) / (high - low), 0.0, 1.0)
    begin, end = np.take(levels, place), np.take(levels, place + 1)
    smooth: Floats = begin + (end - begin) * share**2 * (3.0 - 2.0 * share)
    return smooth
