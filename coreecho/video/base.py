"""What every reader returns, and the checks they share.

A file may announce anything; memory is therefore only asked for what stays under a limit, and a message names the file
and never repeats what its header says of a person.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coreecho.errors import VideoError

Frames = NDArray[np.uint8]
Box = tuple[int, int, int, int]

MAX_SIDE = 4096
"""Largest height and width in pixels that is read."""
MAX_BYTES = 1024**3
"""Largest decoded size that is read (1 GiB; 120 frames of 480 x 640 in colour are 0.1)."""


@dataclass(frozen=True)
class Video:
    """Decoded frames and what is known of their time and space; a video equals only itself."""

    frames: Frames = field(repr=False)
    """Pixels in RGB, shape (T, H, W, 3), uint8; grey sources have three equal channels."""
    fps: float | None = None
    """Frames per second, or none where the file does not say."""
    notes: tuple[str, ...] = ()
    """Plain remarks on what was odd in the file and what was done about it."""
    spacing: tuple[float, float] | None = None
    """Height and width of a pixel in mm, where the file says."""
    region: Box | None = field(default=None, repr=False)
    """Left, top, right and bottom (the last two exclusive) of the 2D tissue picture, where the file says."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __len__(self) -> int:
        return int(self.frames.shape[0])

    @property
    def seconds(self) -> float | None:
        """Duration in seconds, or none without a frame rate."""
        return None if self.fps is None else len(self) / self.fps


def check_bytes(path: Path, shape: tuple[int, ...], item_bytes: int, limit: int) -> None:
    """Refuse a picture series before it is decoded when its announced size passes ``limit`` bytes.

    Raises:
        VideoError: when the size or a side is not positive, or too large.
    """
    if any(side < 1 for side in shape):
        raise VideoError(f"{path.name}: the header announces an empty picture series; export the clip again")
    size = math.prod(shape) * item_bytes
    if size > limit:
        raise VideoError(
            f"{path.name}: the header announces {min(size, 10**18) / 1e9:.1f} GB of pixels, more than the "
            f"{limit / 1e9:.1f} GB that are read; cut the clip or pass a larger max_bytes"
        )
    if max(shape[1:3], default=0) > MAX_SIDE:
        raise VideoError(
            f"{path.name}: the header announces pictures of {shape[2]} x {shape[1]} pixels, more than any echo machine "
            f"shows ({MAX_SIDE} a side are read); export the clip again"
        )


def check_count(path: Path, count: int, min_frames: int) -> None:
    """Refuse what is too short to be a clip.

    Raises:
        VideoError: when there are fewer than ``min_frames`` frames.
    """
    if count >= min_frames:
        return
    if count == 1:
        raise VideoError(
            f"{path.name}: one frame only: a still picture, not a clip; choose the moving loop of the study"
        )
    raise VideoError(f"{path.name}: {count} frames, at least {min_frames} are needed; choose a longer clip")


def stacked(frames: list[Frames]) -> Frames:
    """The frames, each (H, W, 3), as one array (T, H, W, 3); the list is emptied, so that memory is taken only once."""
    whole: Frames = np.empty((len(frames), *frames[0].shape), np.uint8)
    for index in range(len(frames) - 1, -1, -1):
        whole[index] = frames.pop()
    return whole


def valid_spacing(height: float, width: float) -> tuple[float, float] | None:
    """Height and width of a pixel in mm if both can be (0.001 to 100, at most 20 to 1), else none."""
    sides = sorted((height, width))
    return (height, width) if 0.001 <= sides[0] <= sides[1] <= 100 and sides[1] <= 20 * sides[0] else None


def valid_rate(fps: float) -> float | None:
    """The frame rate if it can be one (0.5 <= fps <= 1000), else none: a slower one would fill hours with one clip."""
    return float(fps) if math.isfinite(fps) and 0.5 <= fps <= 1000 else None
