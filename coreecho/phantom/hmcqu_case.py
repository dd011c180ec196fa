"""One echo of the phantom HMC-QU without pixels: a heart with or without an infarction, its rhythm, its view, its row.

The healthy remainder of the ventricle has a like EF in both groups: what tells them apart is that one to three
neighbouring wall segments move and thicken less, and the EF only in so far as that lowers it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coreecho.phantom.beat import Beat, sample_beat
from coreecho.phantom.heart import draw_heart
from coreecho.phantom.segments import RegionalHeart, sample_shares
from coreecho.phantom.view import Acquisition, View, sample_view
from coreecho.phantom_settings import HmcquPhantomSettings

ACQUISITION = Acquisition(
    fill=(0.52, 0.60),
    apex_depth=(0.15, 0.20),
    apex_offset=(-0.04, 0.04),
    tilt=(-10.0, 10.0),
    half_angle=(42.0, 46.0),
    gain=(-8.0, 0.0),
    attenuation=(-0.2, 0.6),
    dynamic_range=(42.0, 52.0),
    noise=(-44.0, -34.0),
    blood=(-36.0, -28.0),
    shadow=(-30.0, 10.0),
)
"""A wider sector than the EchoNet phantom's, darker and of more contrast, with the apex further from the probe."""
MASKED, MASKED_INFARCTED, OTHER_INFARCTED = 109 / 162, 72 / 109, 21 / 53
"""Of the listed echos, those with an outlined wall; of these and of the others, the infarcted ones."""
LATE_SHARE = 14 / 162
"""Share of echos whose cycle does not begin at the first frame."""
HEALTHY_EF, INFARCTED_EF = (54.0, 8.5), (57.0, 7.0)
"""Mean and SD of the EF in percent, were all segments healthy, of each group."""


@dataclass(frozen=True, kw_only=True)
class HmcquCase:
    """Everything about one echo except pixels."""

    name: str
    """File name without suffix; as in HMC-QU, most hold a space."""
    starred: bool
    """Whether the workbook adds a star that leads to a footnote."""
    heart: RegionalHeart
    """The true heart."""
    infarcted: tuple[bool, ...]
    """Which of the six segments are infarcted."""
    masked: bool
    """Whether the wall is outlined."""
    beat: Beat
    """Its rhythm."""
    view: View
    """How it was recorded."""
    frames: int
    """Number of frames of the video."""
    cycle: tuple[int, int]
    """First and last frame of the listed cycle, counted from 0, both included."""

    def contraction(self, fps: float) -> NDArray[np.float64]:
        """Contraction at each frame of the listed cycle (T,)."""
        return self.beat.contraction(np.arange(self.cycle[0], self.cycle[1] + 1) / fps)


def groups(settings: HmcquPhantomSettings) -> list[tuple[bool, bool]]:
    """(masked, infarcted) of every echo, in HMC-QU's numbers scaled to the size, in an order drawn from the seed."""
    masked = round(settings.echos * MASKED)
    told: list[tuple[bool, bool]] = []
    for mask, count, share in ((True, masked, MASKED_INFARCTED), (False, settings.echos - masked, OTHER_INFARCTED)):
        hit = round(count * share)
        told += [(mask, True)] * hit + [(mask, False)] * (count - hit)
    return [told[place] for place in np.random.default_rng(settings.seed).permutation(len(told))]


def sample_echo(settings: HmcquPhantomSettings, index: int) -> tuple[HmcquCase, np.random.Generator]:
    """Draw echo ``index`` and the generator that goes on to draw its pixels."""
    rng = np.random.default_rng([settings.seed, index])
    masked, infarct = groups(settings)[index]
    mean, spread = INFARCTED_EF if infarct else HEALTHY_EF
    heart = draw_heart(rng, float(np.clip(rng.normal(mean, spread), 35.0, 75.0)))
    shares, infarcted = sample_shares(rng, infarct, settings.severity)
    beat = sample_beat(rng)
    late = rng.uniform(0.2, 0.8) if rng.uniform() < LATE_SHARE else 0.0
    beat = dataclasses.replace(beat, start=late)
    begin = (1.0 - late) * beat.period if late else 0.0  # seconds until the first end-diastole
    first, last = (round((begin + cycles * beat.period) * settings.fps) for cycles in (0, 1))
    cycles = int(rng.integers(1, settings.max_cycles + 1))
    end = round((begin + cycles * beat.period) * settings.fps)
    tag = rng.choice([" ", " N", " n", ""], p=[0.45, 0.25, 0.13, 0.17])
    case = HmcquCase(
        name=f"PH{index + 1:04d}{tag}_4CH_{rng.integers(1, 4)}",
        starred=index % 81 == 40,
        heart=RegionalHeart(**vars(heart), shares=shares),
        infarcted=infarcted,
        masked=masked,
        beat=beat,
        view=sample_view(rng, ACQUISITION),
        frames=end + 1 + int(rng.integers(0, 4)),
        cycle=(first, last),
    )
    return case, rng
