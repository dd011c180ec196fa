"""UVT's training clips and phase targets: one traced beat, mirrored or with its surroundings (Reynaud et al. 2021).

A clip is made of the frames between the traced end-diastole (ED) and end-systole (ES), and each of its frames has a
target phase: +1 at ED, -1 at ES, a cubic between them. Two samplings:

* mirrored (M): the beat's frames forth and back, again and again, from a random moment on;
* surrounded (R): the beat once, with a random margin of 1/2 to 1/7 of its length on either side; black frames fill the
  clip and have no phase.

A beat that is too long is shown at every second frame (M: more than half a clip; R: at every n-th, so that it fits).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from coreecho.batches import Item
from coreecho.clips import generator
from coreecho.datasets import Study
from coreecho.errors import DataError
from coreecho.loading import ClipDataset
from coreecho.settings import ClipSettings

Sampling = Literal["mirrored", "surrounded"]
Beat = tuple[int, int]
"""The traced frames of a video, end-diastole and end-systole, counted from 0."""
Floats = npt.NDArray[np.float64]
BEAT_STREAM = 4000
"""Stream of `coreecho.clips.generator` for the moment and the margins of a clip."""


@dataclass(frozen=True)
class Sample:
    """Which frames of a video a clip shows, and their phase."""

    frames: npt.NDArray[np.int64]  # (T,); -1 for a black frame
    phase: Floats  # (T,), -1 to 1; 0 for a black frame

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Which frames of the clip (T,) are the video's, and so have a phase."""
        shown: npt.NDArray[np.bool_] = self.frames >= 0
        return shown


def mirrored(beat: Beat, frames: int, rng: np.random.Generator) -> Sample:
    """The frames of a beat forth and back until ``frames`` are shown, from a random moment on."""
    first, last = sorted(beat)
    gap = last - first
    steps = gap if gap <= frames // 2 else gap // 2
    moment = (np.arange(frames) + rng.integers(2 * steps)) % (2 * steps)
    share = 1 - np.abs(moment - steps) / steps  # (T,): 0 at the first traced frame, 1 at the last
    sign = 1.0 if last == beat[0] else -1.0
    return Sample(first + np.rint(share * gap).astype(np.int64), sign * (2 * share - 1) ** 3)


def surrounded(beat: Beat, length: int, frames: int, rng: np.random.Generator) -> Sample:
    """A beat of a video of ``length`` frames with a margin on either side, somewhere among ``frames`` frames."""
    gap = abs(beat[0] - beat[1])
    before, after = (int(gap / part) for part in rng.uniform(2, 7, size=2))
    begin, end = max(0, min(beat) - before), min(length, max(beat) + 1 + after)
    at = np.arange(begin, end, ceil((end - begin) / frames))
    black = frames - len(at)
    lead = int(rng.integers(black)) if black else 0
    shown, phase = np.full(frames, -1), np.zeros(frames)
    shown[lead : lead + len(at)] = at
    phase[lead : lead + len(at)] = phase_curve(at, beat)
    return Sample(shown, phase)


def phase_curve(at: npt.NDArray[np.int64], beat: Beat) -> Floats:
    """The phase of frames in and around a beat, each at most a beat's length before or after it.

    The published target: from ED it falls as the cube of what is left of the contraction; from ES it rises as the cube
    of what is left of the filling, but as the cube root where the traced beat itself is a filling (ES before ED).

    Args:
        at: (N,) frames.
        beat: traced ED and ES.

    Returns:
        (N,), -1 to 1.
    """
    diastole, systole = beat
    time = (at - min(beat)) / abs(diastole - systole)  # 0 at the first traced frame, 1 at the second
    if diastole < systole:
        level = np.select([time < 0, time <= 1], [_rise(time + 1), _fall(time)], _rise(time - 1))
    else:
        level = np.select([time < 0, time <= 1], [_fall(time + 1), np.cbrt(time)], _fall(time - 1))
    curve: Floats = 2 * level - 1
    return curve


def _fall(share: Floats) -> Floats:
    """1 at share 0, 0 at share 1."""
    fall: Floats = (1 - share) ** 3
    return fall


def _rise(share: Floats) -> Floats:
    return 1 - _fall(share)


class BeatDataset(ClipDataset):
    """Studies -> one clip of the traced beat each, with the targets ``phase`` and ``known``, both (T,) float32."""

    def __init__(
        self,
        studies: Sequence[Study],
        clip: ClipSettings,
        beats: Mapping[str, Beat],
        sampling: Sampling,
        *,
        seed: int = 0,
    ) -> None:
        """Clips of ``clip.frames`` frames.

        Args:
            studies: the videos; those without a beat are left out.
            clip: number of frames and side of the picture.
            beats: traced ED and ES by `Study.id` in lower case.
            sampling: how a clip is made of a beat.
            seed: of the random moments and margins.

        Raises:
            DataError: no video is left.
        """
        usable = [study for study in studies if study.id.lower() in beats]
        if not usable:
            raise DataError(f"none of {len(studies)} videos has a usable pair of traced frames (VolumeTracings.csv)")
        super().__init__(usable, clip, self._reached, seed=seed)
        self.beats, self.sampling = beats, sampling

    def sample(self, video: str, length: int, epoch: int) -> Sample:
        """What the clip of a video of ``length`` frames shows in an epoch.

        Raises:
            DataError: a traced frame is past the video's end.
        """
        beat = self.beats[video.lower()]
        if max(beat) >= length:
            raise DataError(f"{video}: frame {max(beat)} is traced, the video has {length}; copy the video again")
        rng = generator(self.seed, epoch, video, BEAT_STREAM)
        if self.sampling == "mirrored":
            return mirrored(beat, self.clip.frames, rng)
        return surrounded(beat, length, self.clip.frames, rng)

    def __getitem__(self, key: tuple[int, int] | int) -> Item:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        study, video = self.video(epoch, index)
        chosen = self.sample(study.id, len(video), epoch)
        clip = np.zeros((1, 3, self.clip.frames, *video.shape[1:3]), np.uint8)
        clip[0][:, chosen.known] = video[chosen.frames[chosen.known]].transpose(3, 0, 1, 2)
        extra = {"phase": chosen.phase, "known": chosen.known}
        return Item(
            torch.from_numpy(clip),
            study.label,
            study.id,
            (int(chosen.frames[chosen.known].min()),),
            extra={name: torch.from_numpy(each.astype(np.float32)) for name, each in extra.items()},
        )

    def _reached(self, video: str, length: int, epoch: int) -> Sequence[int]:
        """Starts of clips that cover all frames shown, for a video of which no more than that is decoded."""
        chosen = self.sample(video, length, epoch)
        shown = chosen.frames[chosen.known]
        return range(int(shown.min()), int(shown.max()) + 1, self.clip.frames)
