"""One study of the phantom without its pixels: the true heart, how it was recorded, and what a reader made of it.

The EF that EchoNet-Dynamic lists, and that the paper learns, is a reader's: two tracings, each with its error. So the
listed EF scatters about the true one, and even a perfect measurement cannot reach an R2 of 1 against it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coreecho.phantom.beat import Beat, sample_beat
from coreecho.phantom.heart import Heart, sample_heart
from coreecho.phantom.view import Acquisition, View, sample_view
from coreecho.phantom_settings import PhantomSettings

CHORDS = 20
"""Chords of a tracing, as in EchoNet-Dynamic."""
GOLDEN_RATIO = 0.5 * (math.sqrt(5.0) - 1.0)
"""Its multiples, less their whole part, are spread evenly over 0 to 1 however few are taken in a row."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything about one video except its pixels."""

    name: str
    """File name without suffix."""
    split: str
    """TRAIN, VAL or TEST."""
    frames: int
    """Number of frames."""
    heart: Heart
    """The true heart."""
    beat: Beat
    """Its rhythm."""
    view: View
    """How it was recorded."""
    listed_edv: float
    """End-diastolic volume in ml as the reader traced it."""
    listed_esv: float
    """End-systolic volume in ml as the reader traced it."""

    @property
    def listed_ef(self) -> float:
        """The reader's EF in percent, 100 (EDV - ESV) / EDV of the listed volumes."""
        return 100.0 * (self.listed_edv - self.listed_esv) / self.listed_edv


def sample_case(settings: PhantomSettings, index: int) -> tuple[Case, np.random.Generator]:
    """Draw video ``index`` of the data set and the generator that goes on to draw its pixels.

    The reader's two tracings share one error of 6 % in volume (and what foreshortening hides); the end-systolic one has
    an error of its own of ``reader_sd`` percent of the end-diastolic volume, which is the EF's error in points.
    """
    rng = np.random.default_rng([settings.seed, index])
    # Multiples of the golden ratio are spread evenly, so that every split has the whole distribution of the EF.
    rank = (float(np.random.default_rng(settings.seed).uniform()) + index * GOLDEN_RATIO) % 1.0
    heart, beat, view = sample_heart(rng, rank), sample_beat(rng), sample_view(rng, Acquisition())
    error = float(np.clip(rng.normal(), -3.0, 3.0)) * settings.reader_sd
    listed_ef = float(np.clip(heart.ejection_fraction + error, 7.0, 92.0))
    edv = heart.volume() * view.foreshortening * float(np.exp(rng.normal(0.0, 0.06)))
    train_val = settings.train + settings.val
    case = Case(
        name=f"PH{index + 1:06d}",
        split="TRAIN" if index < settings.train else "VAL" if index < train_val else "TEST",
        frames=int(rng.integers(settings.min_frames, settings.max_frames + 1)),
        heart=heart,
        beat=beat,
        view=view,
        listed_edv=edv,
        listed_esv=edv * (1.0 - listed_ef / 100.0),
    )
    return case, rng


def tracing(case: Case, settings: PhantomSettings, *, systole: bool) -> NDArray[np.float64]:
    """The reader's tracing in pixels (21, 4) as x1, y1, x2, y2: the long axis from apex to base, then 20 chords.

    Summing discs, pi / 4 d^2 L / 20 over the chords' lengths d and the long axis' length L, gives the listed volume.
    """
    heart, contraction = case.heart, float(systole)
    length, radius = heart.length * (1.0 - heart.long_shortening * contraction), heart.semi_axes(contraction)[1]
    level = (np.arange(CHORDS) + 0.5) / CHORDS
    half = radius * heart.profile(level)
    discs = float(np.sum(np.pi * half**2)) * length * case.view.foreshortening / CHORDS
    half *= np.sqrt((case.listed_esv if systole else case.listed_edv) / discs)
    ends = [np.stack([sign * half, level * length], axis=1) for sign in (-1.0, 1.0)]
    axis = np.array([[0.0, 0.0], [0.0, length]])
    points = np.concatenate([axis[:1], ends[0], axis[1:], ends[1]])  # (42, 2)
    frame = case.beat.frames(case.frames, settings.fps)[int(systole)]
    placed = case.view.place(points, heart, frame / settings.fps)
    pixels = case.view.pixels(placed, heart, settings.size).astype(np.float64)
    return np.concatenate(np.split(pixels, 2), axis=1)
