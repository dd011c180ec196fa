"""A video on the network's grid: square, aspect ratio kept; and on a wanted frame rate."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from coreecho.errors import VideoError
from coreecho.video.base import MAX_BYTES, Frames, Video
from coreecho.video.fan import crop_to_fan


def to_square(video: Video, size: int, *, fan: bool = True) -> Video:
    """Bring a video to ``size`` x ``size`` pixels without changing the heart's proportions.

    The sector is cut out (`crop_to_fan`), oblong pixels are made square, the longer side becomes ``size`` and the
    shorter one is filled with black on both sides. A picture that already fits is returned as it is.

    Args:
        video: any size, frames (T, H, W, 3).
        size: wanted side in pixels (112 in the paper).
        fan: whether to look for the sector; not for data sets that are already masked, such as EchoNet-Dynamic.

    Returns:
        frames (T, size, size, 3), with the pixel spacing that results.
    """
    if len(video) * size**2 * 3 > MAX_BYTES:
        raise VideoError(f"{len(video)} frames of {size} x {size} pixels take too much memory; cut the clip")
    video = crop_to_fan(video) if fan else video
    count, height, width = video.frames.shape[:3]
    high, wide = video.spacing or (1.0, 1.0)
    scale = size / max(height * high, width * wide)
    rows, columns = max(1, round(height * high * scale)), max(1, round(width * wide * scale))
    spacing = (1 / scale, 1 / scale) if video.spacing else None
    if (rows, columns) == (height, width) == (size, size):
        return video
    method = cv2.INTER_AREA if rows < height or columns < width else cv2.INTER_LINEAR
    square: Frames = np.zeros((count, size, size, 3), np.uint8)
    top, left = (size - rows) // 2, (size - columns) // 2
    for target, frame in zip(square, video.frames, strict=True):
        target[top : top + rows, left : left + columns] = cv2.resize(frame, (columns, rows), interpolation=method)
    return dataclasses.replace(video, frames=square, spacing=spacing, region=None)


def resample_seconds(video: Video, fps: float) -> Video:
    """Take the nearest frame at each tick of another frame rate, so that a stride means the same time in every video.

    Args:
        video: frames (T, H, W, 3) with a frame rate.
        fps: wanted frames per second (50 in most of EchoNet-Dynamic).

    Returns:
        frames (T', H, W, 3) of the same duration, T' = round(T * fps / video.fps) and at least 1.

    Raises:
        VideoError: when the video's frame rate is unknown or ``fps`` is not positive.
    """
    if video.fps is None:
        raise VideoError("the video states no frame rate, so its time cannot be resampled; give the frame rate")
    if not 0 < fps <= 1000:
        raise VideoError(f"a frame rate of {fps:g} is out of range; give one between 0 and 1000 per second")
    if fps == video.fps:
        return video
    count = max(1, round(len(video) * fps / video.fps))
    if count * video.frames[0].nbytes > MAX_BYTES:
        raise VideoError(
            f"{len(video)} frames at {video.fps:g} per second are {count} at {fps:g}: too many; cut the clip"
        )
    ticks = np.floor(np.arange(count) * (video.fps / fps) + 0.5).astype(np.int64)
    return dataclasses.replace(video, frames=video.frames[ticks.clip(0, len(video) - 1)], fps=float(fps))
