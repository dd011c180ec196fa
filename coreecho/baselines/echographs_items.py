"""What EchoGraphs learns from: clips of a beat or of any 16 frames, with the traced outlines as key points.

A tracing's 20 chords end in 40 points, one frame's outline in order: down one side and up the other. They move with the
picture. Videos whose tracings have another number of chords are not learned from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from coreecho.batches import Item
from coreecho.clips import AFFINE_STREAM, Frames, generator, random_starts
from coreecho.datasets import Study
from coreecho.datasets.echonet import TRACING_FILE
from coreecho.datasets.tracings import Tracing, read_tracings
from coreecho.errors import DataError
from coreecho.loading import ClipDataset
from coreecho.plan import Plan
from coreecho.sequences import CHANNELS
from coreecho.settings import ClipSettings
from coreecho.study_video import packed_frames

POINTS = 40
"""Key points of a frame: both ends of 20 chords."""
CHANGED, FLIPPED, BRIGHTENED = 0.9, 0.5, 0.5
"""Shares of training clips that are changed at all and, of these, mirrored, and given other grey levels."""
CONTRAST, BRIGHTNESS, GAMMA = 0.2, 0.2, 0.2
"""Largest relative change of contrast, brightness (of the whole range) and exponent; ours, not published to us."""

Numbers = NDArray[np.int64]
Points = NDArray[np.float64]
Rule = Callable[[str, int, int], Sequence[Numbers]]
"""(video, its number of frames, epoch) -> for each clip the video frames that it shows."""


@lru_cache(maxsize=2)
def tracings(root: Path) -> Mapping[str, Tracing]:
    """The tracings of a folder by lower-case name, read once."""
    return read_tracings(root)


def traced(study: Study, root: Path) -> Tracing:
    """The tracing of a study.

    Raises:
        DataError: it has none.
    """
    found = tracings(root).get(study.id.lower())
    if found is None:
        raise DataError(
            f"{root / TRACING_FILE}: {study.id} is not traced on two frames, which EchoGraphs is told; "
            "leave such videos out (--untraced drop)"
        )
    return found


def complete(studies: Sequence[Study], root: Path) -> tuple[Study, ...]:
    """The studies with 20 chords on both frames."""
    sizes = {name: [len(outline) for outline in each.outlines] for name, each in tracings(root).items()}
    return tuple(study for study in studies if sizes.get(study.id.lower()) == [POINTS, POINTS])


def known_beat(studies: Sequence[Study], root: Path, clip: ClipSettings) -> Rule:
    """Frames evenly from the traced end-diastole to the traced end-systole, backwards where that was traced first."""
    ends = {study.id: traced(study, root).frames for study in studies}
    return lambda video, frames, epoch: [np.rint(np.linspace(*ends[video], clip.frames)).astype(np.int64)]


def random_window(clip: ClipSettings, seed: int) -> Rule:
    """One window from a random start, drawn anew each epoch."""
    starts = random_starts(clip, 1, seed)
    return lambda video, frames, epoch: [window(start, frames, clip) for start in starts(video, frames, epoch)]


def all_windows(clip: ClipSettings) -> Rule:
    """Windows side by side from frame 0 on; what is left at the end is not seen, but a video has at least one."""
    length = clip.minimum_length
    return lambda video, frames, epoch: [
        window(start, frames, clip) for start in range(0, max(frames - length, 0) + 1, length)
    ]


def first_window(clip: ClipSettings) -> Rule:
    """The window at frame 0."""
    return lambda video, frames, epoch: [window(0, frames, clip)]


def window(start: int, frames: int, clip: ClipSettings) -> Numbers:
    """Frame numbers (clip.frames,) of a clip; where the video is too short, it is played back and forth."""
    turn = max(frames - 1, 1)
    at = (start + clip.stride * np.arange(clip.frames)) % (2 * turn)
    numbers: Numbers = np.minimum(np.where(at > turn, 2 * turn - at, at), frames - 1)
    return numbers


def phases(shown: Numbers, ends: tuple[int, int], reach: float) -> Numbers:
    """Where in a clip end-diastole and end-systole are, (2,), or the number of its frames for one that is not in it.

    Args:
        shown: (T,) video frames of the clip.
        ends: video frames of end-diastole and end-systole.
        reach: video frames by which the nearest frame may miss them.
    """
    distance = np.abs(shown[None] - np.array(ends)[:, None])  # (2, T)
    places: Numbers = np.where(distance.min(axis=1) <= reach, distance.argmin(axis=1), len(shown))
    return places


def picture_size(study: Study) -> tuple[int, int]:
    """Width and height of a study's pictures, in which its tracings are counted."""
    if study.pack is not None:
        height, width = packed_frames(study).shape[1:3]
        return width, height
    header = cv2.VideoCapture(str(study.path))
    size = int(header.get(cv2.CAP_PROP_FRAME_WIDTH)), int(header.get(cv2.CAP_PROP_FRAME_HEIGHT))
    header.release()
    return size


def changed(clip: Frames, points: Points, settings: ClipSettings, rng: np.random.Generator) -> tuple[Frames, Points]:
    """A training clip as it may look otherwise, and its key points where they are then.

    Mirrored (the order of the points turns round, so that they run the same way again), rotated, scaled and shifted as
    far as the settings say, black outside, by one draw for all frames; other contrast and brightness, or exponent.

    Args:
        clip: (3, T, S, S).
        points: (2, `POINTS`, 2) as column and row, shares of the picture's sides.
        settings: how far clips move; a padded random crop is a shift.
        rng: what decides.
    """
    if rng.random() >= CHANGED:
        return clip, points
    side, mirrored = clip.shape[-1], rng.random() < FLIPPED
    angle, zoom = rng.uniform(-settings.rotation, settings.rotation), rng.uniform(*settings.zoom)
    furthest = settings.shift + settings.pad / settings.size
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, zoom)
    matrix[:, 2] += rng.uniform(-furthest, furthest, size=2) * side
    if mirrored:
        matrix = matrix @ np.array([[-1.0, 0.0, side - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    planes = np.ascontiguousarray(clip.reshape(-1, side, side).transpose(1, 2, 0))  # (S, S, 3 T): all in one call
    parts = np.array_split(planes, range(CHANNELS, planes.shape[-1], CHANNELS), axis=-1)
    warped: Frames = np.dstack([cv2.warpAffine(part, matrix, (side, side), flags=cv2.INTER_LINEAR) for part in parts])
    moved: Points = side * points @ matrix[:, :2].T + matrix[:, 2]
    if mirrored:
        moved = moved[:, ::-1]
    if rng.random() < BRIGHTENED:
        warped = _levels(rng)[warped]
    frames = np.ascontiguousarray(warped.transpose(2, 0, 1)).reshape(clip.shape)
    return frames, moved / side


def _levels(rng: np.random.Generator) -> Frames:
    """What each of 256 grey levels becomes."""
    level = np.arange(256) / 255
    if rng.random() < 0.5:
        level = (1 + rng.uniform(-CONTRAST, CONTRAST)) * level + rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    else:
        level = level ** (1 + rng.uniform(-GAMMA, GAMMA))
    table: Frames = np.rint(255 * level.clip(0, 1)).astype(np.uint8)
    return table


class GraphClips(ClipDataset):
    """Clips whose frames a `Rule` names. For training also, as ``extra``, where the key points and the phases are.

    These are ``points`` (2, `POINTS`, 2), end-diastole first, column and row as shares of the picture's sides, and
    ``phases`` (2,), see `phases`.
    """

    def __init__(self, studies: Sequence[Study], clip: ClipSettings, rule: Rule, *, seed: int = 0) -> None:
        """Without key points, for scoring. The base class reads frame by frame what the rule names."""
        self.whole, self.rule = clip, rule
        self.root: Path | None = None
        self.changes = False
        super().__init__(studies, dataclasses.replace(clip, frames=1, stride=1, pad=0), self._shown, seed=seed)
        self._sizes: dict[str, tuple[int, int]] = {}

    @classmethod
    def training(cls, plan: Plan, *, known: bool) -> GraphClips:
        """The training videos with complete tracings; of each one clip an epoch.

        Raises:
            DataError: fewer of them than one batch.
        """
        assert plan.data is not None
        root, clip, seed = plan.data.root, plan.clip, plan.run.seed
        studies = complete(plan.train, root)
        if len(studies) < plan.recipe.batch_size:
            raise DataError(
                f"{root / TRACING_FILE}: {len(studies)} training videos are traced with {POINTS // 2} chords on two "
                f"frames, fewer than one batch of {plan.recipe.batch_size}; EchoGraphs learns from no others"
            )
        clips = cls(studies, clip, known_beat(studies, root, clip) if known else random_window(clip, seed), seed=seed)
        clips.root, clips.changes = root, plan.run.augment
        return clips

    def _shown(self, video: str, frames: int, epoch: int) -> list[int]:
        return [int(number) for numbers in self.rule(video, frames, epoch) for number in numbers]

    def __getitem__(self, key: tuple[int, int] | int) -> Item:
        frames = super().__getitem__(key)  # each frame as a clip of its own
        clips = frames.clips.unflatten(0, (-1, self.whole.frames))[:, :, :, 0].transpose(1, 2)  # (V, 3, T, S, S)
        shown = np.reshape(frames.starts, (-1, self.whole.frames))
        item = dataclasses.replace(frames, clips=clips, starts=tuple(int(start) for start in shown[:, 0]))
        epoch, index = key if isinstance(key, tuple) else (0, key)
        return item if self.root is None else self._with_points(item, shown[0], self.studies[index], epoch)

    def _with_points(self, item: Item, shown: Numbers, study: Study, epoch: int) -> Item:
        """The item of one clip with its key points, both changed alike."""
        assert self.root is not None
        tracing = traced(study, self.root)
        if study.id not in self._sizes:
            self._sizes[study.id] = picture_size(study)
        clip, points = item.clips[0].numpy(), np.stack(tracing.outlines) / self._sizes[study.id]
        if self.changes:
            rng = generator(self.seed, epoch, study.id, AFFINE_STREAM)
            clip, points = changed(np.ascontiguousarray(clip), points, self.whole, rng)
        extra = {
            "points": torch.from_numpy(points.astype(np.float32, order="C")),
            "phases": torch.from_numpy(phases(shown, tracing.frames, self.whole.stride / 2)),
        }
        return dataclasses.replace(item, clips=torch.from_numpy(clip)[None], extra=extra)
