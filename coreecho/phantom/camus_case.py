"""One patient of the phantom CAMUS without pixels: heart, rhythm, view, quality, and the EF that the release lists.

Its pictures are not drawn like those of the EchoNet phantom: deeper, with another sector, gain, dynamic range and frame
rate. The quality grade decides how much of the ventricle can be seen (Table 4 reports Good & Medium and Poor apart).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from coreecho.phantom.beat import Beat, sample_beat
from coreecho.phantom.heart import Heart, draw_heart
from coreecho.phantom.view import Acquisition, View, sample_view
from coreecho.phantom_settings import CamusPhantomSettings

EJECTION_FRACTION = NormalDist(44.4, 11.2)
"""Of the true EF in percent; with a reader's error of SD 4 the listed one has CAMUS's mean 44.4 and SD 11.9."""
LISTED_RANGE = (5, 81)
"""Lowest and highest EF that CAMUS lists."""
SHARES = {"Good": 288 / 500, "Medium": 165 / 500, "Poor": 47 / 500}
"""Quality of the four-chamber view."""
TWO_CHAMBER_SHARES = {"Good": 217 / 500, "Medium": 214 / 500, "Poor": 69 / 500}
"""Quality of the two-chamber view."""
PLASTIC = 1.32471795724474602596
"""Multiples of its inverse and of that one's square fill the unit square evenly, however few are taken in a row."""

_GOOD = Acquisition(
    fill=(0.43, 0.53),
    apex_depth=(0.11, 0.17),
    apex_offset=(-0.03, 0.07),
    tilt=(-5.0, 18.0),
    half_angle=(38.0, 42.0),
    gain=(0.0, 5.0),
    attenuation=(0.3, 1.2),
    dynamic_range=(60.0, 70.0),
    noise=(-46.0, -40.0),
    haze=(-28.0, -20.0),
    blood=(-40.0, -34.0),
    shadow=(-30.0, 6.0),
    dropout=(-12.0, 4.0),
)
ACQUISITIONS: Mapping[str, Acquisition] = {
    "Good": _GOOD,
    "Medium": dataclasses.replace(
        _GOOD,
        gain=(-3.0, 5.0),
        noise=(-32.0, -26.0),
        haze=(-18.0, -7.0),
        blood=(-26.0, -20.0),
        shadow=(-10.0, 18.0),
        dropout=(-6.0, 12.0),
    ),
    "Poor": dataclasses.replace(
        _GOOD,
        gain=(-7.0, 3.0),
        noise=(-29.0, -23.0),
        haze=(-12.0, -2.0),
        blood=(-23.0, -17.0),
        shadow=(4.0, 24.0),
        shadow_width=(5.0, 8.0),
        dropout=(4.0, 16.0),
        decorrelation=(3.0, 6.0),
    ),
}
"""How patients of each grade are recorded."""


@dataclass(frozen=True, kw_only=True)
class CamusCase:
    """Everything about one patient except pixels."""

    name: str
    """Folder name, patient0001 and so on."""
    heart: Heart
    """The true heart."""
    beat: Beat
    """Its rhythm; frame 0 is end-diastole, or end-systole where the sequence is reversed."""
    view: View
    """How it was recorded."""
    quality: str
    """Good, Medium or Poor: the four-chamber view's grade."""
    other_quality: str
    """The two-chamber view's grade."""
    frames: int
    """Number of frames from one end to the other, both included."""
    reverse: bool
    """Whether end-systole comes first."""
    listed_ef: int
    """The reader's EF in percent, a whole number."""
    width: int
    """Width of the picture in pixels."""
    sex: str
    """F or M."""
    age: int
    """Years."""

    @property
    def fps(self) -> float:
        """Frames per second: the sequence fills the systole, or the diastole where it is reversed."""
        seconds = self.beat.period - self.beat.systole if self.reverse else self.beat.systole
        return (self.frames - 1) / seconds

    @property
    def contraction(self) -> NDArray[np.float64]:
        """Contraction at each frame (T,): from 0 to 1, or from 1 to 0 where the sequence is reversed."""
        levels = self.beat.contraction(np.arange(self.frames) / self.fps)
        levels[-1] = float(not self.reverse)  # one beat's end is the next one's beginning
        return levels


def sample_patient(settings: CamusPhantomSettings, index: int) -> tuple[CamusCase, np.random.Generator]:
    """Draw patient ``index`` and the generator that goes on to draw its pixels.

    EF and quality are spread evenly and apart from each other, so that every grade has the whole distribution of the
    EF; the grades' numbers are CAMUS's, scaled to the size.
    """
    rng = np.random.default_rng([settings.seed, index])
    start, number = np.random.default_rng(settings.seed).uniform(size=2), np.arange(settings.patients)
    rank = float(start[0] + index / PLASTIC) % 1.0
    grades = (start[1] + number / PLASTIC**2) % 1.0
    grade = float(np.sum(grades < grades[index]) + 0.5) / settings.patients
    true_ef = float(np.clip(EJECTION_FRACTION.inv_cdf(min(max(rank, 1e-6), 1.0 - 1e-6)), 7.0, 80.0))
    heart, beat, quality = draw_heart(rng, true_ef), sample_beat(rng), _graded(SHARES, grade)
    reverse = bool(rng.uniform() < settings.reversed_share)
    error = float(np.clip(rng.normal(), -3.0, 3.0)) * settings.reader_sd
    # Half of what spoils one view spoils the other.
    other = NormalDist().cdf((NormalDist().inv_cdf(grade) + rng.normal()) / 2.0**0.5)
    case = CamusCase(
        name=f"patient{index + 1:04d}",
        heart=heart,
        beat=dataclasses.replace(beat, start=beat.systole / beat.period if reverse else 0.0),
        view=sample_view(rng, ACQUISITIONS[quality]),
        quality=quality,
        other_quality=_graded(TWO_CHAMBER_SHARES, other),
        frames=int(rng.integers(settings.min_frames, settings.max_frames + 1)),
        reverse=reverse,
        listed_ef=int(np.clip(round(true_ef + error), *LISTED_RANGE)),
        width=round(settings.size * rng.uniform(0.95, 1.25)),
        sex="M" if rng.uniform() < 0.65 else "F",
        age=int(np.clip(rng.normal(65.0, 14.0), 20.0, 95.0)),
    )
    return case, rng


def _graded(shares: Mapping[str, float], rank: float) -> str:
    """The grade at ``rank`` from 0 (best) to 1 (worst)."""
    reached = 0.0
    for quality, share in shares.items():
        reached += share
        if rank < reached:
            return quality
    return quality
