"""A test study -> the clip that Grad-CAM explains, and where the ventricle is outlined in it (Figure 3; gaps G).

EchoNet-Dynamic traces two frames, so its clip is the first that shows both, or comes nearest to them. CAMUS outlines
every frame of its half cycle; HMC-QU outlines the wall, and the ventricle is what the wall and a straight line across
its open end enclose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from coreecho.clips import Frames, cut, fit, frames_shown, legal_starts
from coreecho.datasets import Dataset, Study
from coreecho.datasets.tracings import Tracing, fill, read_tracings
from coreecho.errors import DataError
from coreecho.sequences import central_square, whole_clip
from coreecho.settings import ClipSettings
from coreecho.study_video import packed_frames, read_mask, read_study
from coreecho.video.fan import find_fan, statistics, untinted

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Outlined:
    """A clip as the network sees it, and the outlines in it; T frames of S x S pixels, M of them outlined."""

    study: Study
    frames: Frames = field(repr=False)
    """(T, S, S, 3)."""
    start: int
    """Frame of the video that the clip starts with."""
    measured: tuple[int, ...]
    """The frames of the clip that have an outline."""
    ventricle: Mask = field(repr=False)
    """(M, S, S)."""
    wall: Mask | None = field(repr=False)
    """(M, S, S), where the wall is outlined too."""
    sector: Mask | None = field(repr=False)
    """The ultrasound sector (S, S), none where it was not found."""
    moments: Mapping[str, int]
    """Which of the outlines, counted from 0, are at end-diastole ("ed") and end-systole ("es"), where that is known."""
    apart: int
    """Video frames by which the outlines are off the clip's frames at most."""
    inside: int
    """How many of the clip's frames are its video's; those after them are padding."""


def outlined_studies(
    data: Dataset, clip: ClipSettings, background: Sequence[int] = (0, 0, 0), only: Sequence[str] | None = None
) -> Iterator[Outlined]:
    """The test studies of a data set with their outlines, one after another; those without outlines are left out.

    Args:
        data: EchoNet-Dynamic, CAMUS or HMC-QU.
        clip: shape of the clips.
        background: colour of frames past the end of a video.
        only: names of the studies that are wanted; all if none.

    Raises:
        DataError: the outlines are missing or damaged, for every study or for one.
    """
    studies = [study for study in data.split("test") if only is None or study.id in only]
    tracings = read_tracings(data.root, [study.id for study in studies]) if data.name == "echonet" else {}
    count = 0
    for study in studies:
        frames = packed_frames(study) if study.pack is not None else read_study(study, min_frames=1).frames
        tracing = tracings.get(study.id.lower())
        if tracing is not None:
            seen = _traced(study, frames, tracing, clip, background)
        else:
            seen = _masked(study, frames, clip, data.name == "camus")
        if seen is not None:
            count += 1
            yield seen
    if not count:
        raise DataError(f"{data.root}: no test video has an outline of the ventricle in its clip; nothing to measure")


def nearest_start(traced: Sequence[int], frames: int, clip: ClipSettings) -> tuple[int, tuple[int, ...]]:
    """The first legal start whose clip comes nearest to the traced frames, and the place of each in that clip.

    Args:
        traced: frames of the video that should be in the clip.
        frames: length of the video.
        clip: shape of a clip.

    Returns:
        The start whose clip shows most of them, to within a stride, and of those the one whose worst is off least; and
        the clip's frame next to each traced one. Frames past the end of the video, which are empty, do not count.
    """
    best, chosen = None, (0, tuple(0 for _ in traced))
    for start in range(legal_starts(frames, clip)):
        shown = start + clip.stride * np.arange(clip.frames)
        shown = shown[shown < frames]
        if not len(shown):
            break
        distance = np.abs(shown[:, None] - np.asarray(traced))  # (shown, traced)
        off = distance.min(axis=0)
        reached = off <= clip.stride
        worst = int((~reached).sum()), int(off[reached].max(initial=0))
        if best is None or worst < best:
            best, chosen = worst, (start, tuple(int(place) for place in distance.argmin(axis=0)))
        if best == (0, 0):
            break
    return chosen


def _traced(
    study: Study, frames: Frames, tracing: Tracing, clip: ClipSettings, background: Sequence[int]
) -> Outlined | None:
    """A clip with the traced frames; one that is more than a stride away from the clip is not measured in it."""
    start, places = nearest_start(tracing.frames, len(frames), clip)
    size, picture = clip.size, (frames.shape[1], frames.shape[2])
    video = fit(np.ascontiguousarray(frames), size)
    off = [abs(start + clip.stride * place - frame) for place, frame in zip(places, tracing.frames, strict=True)]
    outlines = [fill(outline, picture, size) for outline in tracing.outlines]
    kept = [number for number in range(2) if off[number] <= clip.stride and outlines[number].any()]
    if not kept:
        return None
    return Outlined(
        study=study,
        frames=cut(video, start, clip, background),
        start=start,
        measured=tuple(places[number] for number in kept),
        ventricle=np.stack([outlines[number] for number in kept]),
        wall=None,
        sector=_sector(video),
        moments={("ed", "es")[number]: index for index, number in enumerate(kept)},
        apart=max(off[number] for number in kept),
        inside=frames_shown(len(frames), start, clip),
    )


def _masked(study: Study, frames: Frames, clip: ClipSettings, tissues: bool) -> Outlined | None:
    """A whole sequence as one clip, with the mask of the frame next to each of the clip's.

    With ``tissues`` a mask tells ventricle (1) and wall (2) apart, as CAMUS's do; else it is of the wall alone.
    """
    mask = read_mask(study)
    if mask is None or not clip.resample:
        return None
    if len(mask) != len(frames):
        raise DataError(f"{study.id}: outlines of {len(mask)} frames for {len(frames)}; get its files anew")
    nearest = np.rint(np.linspace(0, len(mask) - 1, clip.frames)).astype(int)
    walls = [mask[number] == (2 if tissues else 1) for number in nearest]
    inside = [mask[number] == 1 for number in nearest] if tissues else [_enclosed(each) for each in walls]
    picture = frames.shape[1], frames.shape[2]
    wall, ventricle = (np.stack([_like_the_clip(each, picture, clip) for each in part]) for part in (walls, inside))
    measured = np.flatnonzero(ventricle.any(axis=(1, 2)))
    if not len(measured):
        return None
    video = whole_clip(np.ascontiguousarray(frames), clip)
    ends = {"ed": 0, "es": clip.frames - 1} if tissues else {}
    places = {number: index for index, number in enumerate(measured.tolist())}
    return Outlined(
        study=study,
        frames=video,
        start=0,
        measured=tuple(places),
        ventricle=ventricle[measured],
        wall=wall[measured],
        sector=_sector(video),
        moments={name: places[number] for name, number in ends.items() if number in places},
        apart=0,
        inside=clip.frames,
    )


def _like_the_clip(mask: Mask, picture: tuple[int, int], clip: ClipSettings) -> Mask:
    """A mask (H, W) cut and resized as `whole_clip` does with the picture, which it may show at another size."""
    values = mask.astype(np.uint8)
    if mask.shape != picture:
        values = np.asarray(cv2.resize(values, picture[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    square = central_square(values[None, ..., None], clip.crop)[0, ..., 0]
    resized = cv2.resize(square, (clip.size, clip.size), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized > 0)


def _enclosed(wall: Mask) -> Mask:
    """The convex hull of the largest connected part of an outlined wall (H, W): the wall and what it encloses."""
    count, parts, facts, _ = cv2.connectedComponentsWithStats(wall.astype(np.uint8))
    filled = np.zeros(wall.shape, np.uint8)
    if count > 1:  # the first part is what is not wall
        largest = 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))
        points = np.argwhere(parts == largest)[:, ::-1]  # column, row
        cv2.fillConvexPoly(filled, cv2.convexHull(points.astype(np.int32)), 1)
    return filled > 0


def _sector(frames: Frames) -> Mask | None:
    return find_fan(statistics(untinted(frames)[0]))
