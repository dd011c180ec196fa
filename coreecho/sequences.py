"""Whole sequences as clips: CAMUS's half cycle, HMC-QU's cycle (section 3; gaps D, E).

A sequence is cut to its central square, resized, and brought to the clip's number of frames by cubic splines along
time, its first and last frame kept. In training one rotation, scale and shift is drawn for all frames of a clip.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np

from coreecho.clips import Frames, Levels, fit
from coreecho.settings import ClipSettings

CHANNELS = 96
"""Channels that are moved in one call: 32 frames; OpenCV takes a little over 100."""


def whole_clip(frames: Frames, clip: ClipSettings) -> Frames:
    """A sequence (F, H, W, 3) as one clip (clip.frames, clip.size, clip.size, 3)."""
    return in_time(fit(central_square(frames, clip.crop), clip.size), clip.frames)


def central_square(frames: Frames, share: float) -> Frames:
    """The central square of frames (F, H, W, 3) whose side is ``share`` of the shorter side; all of them at 1."""
    if share >= 1:
        return frames
    height, width = frames.shape[1:3]
    side = max(1, round(share * min(height, width)))
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(frames[:, top : top + side, left : left + side])


def in_time(frames: Frames, count: int) -> Frames:
    """Frames (F, H, W, 3) brought to ``count`` frames by a cubic spline through each pixel's levels, clipped to bytes.

    The first and the last frame stay as they are. A single frame is repeated.
    """
    if len(frames) == count:
        return frames
    if len(frames) == 1:
        return np.repeat(frames, count, axis=0)
    from scipy.interpolate import CubicSpline  # takes half a second to load, and few clips need it

    spline = CubicSpline(np.arange(len(frames)), frames.astype(np.float32), axis=0)
    levels = spline(np.linspace(0, len(frames) - 1, count))
    clip: Frames = np.rint(levels).clip(0, 255).astype(np.uint8)
    return clip


def random_affine(frames: Frames, clip: ClipSettings, rng: np.random.Generator) -> Frames:
    """A clip (T, H, W, 3) rotated, scaled and shifted by one draw for all frames; nearest pixels, black outside."""
    height, width = frames.shape[1:3]
    angle = rng.uniform(-clip.rotation, clip.rotation)
    zoom = rng.uniform(*clip.zoom)
    right, down = rng.uniform(-clip.shift, clip.shift, size=2) * (width, height)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, zoom)
    matrix[:, 2] += (right, down)
    planes = frames.transpose(1, 2, 0, 3).reshape(height, width, -1)  # (H, W, T 3): all frames in one call
    parts = [
        cv2.warpAffine(part, matrix, (width, height), flags=cv2.INTER_NEAREST)
        for part in np.array_split(planes, range(CHANNELS, planes.shape[-1], CHANNELS), axis=-1)
    ]
    moved = np.dstack(parts).reshape(height, width, len(frames), -1)
    return np.ascontiguousarray(moved.transpose(2, 0, 1, 3))  # (T, H, W, 3)


def grey_levels(clips: Iterable[Frames]) -> Levels:
    """Mean and standard deviation of all pixels of clips on the 0-1 scale, the same for each channel."""
    count, total, squares = 0, 0.0, 0.0
    for clip in clips:
        levels = clip.astype(np.float64)
        count, total, squares = count + levels.size, total + levels.sum(), squares + np.square(levels).sum()
    mean = total / count
    # A picture of one level has no spread; 1 of 255 then, so that nothing is divided by 0.
    sd = max(math.sqrt(max(squares / count - mean**2, 0.0)), 1.0)
    mean, sd = float(mean) / 255, sd / 255
    return (mean, mean, mean), (sd, sd, sd)
