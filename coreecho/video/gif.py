"""Animated GIF, with each frame's own duration (Pillow)."""

from __future__ import annotations

import os
import statistics
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from coreecho.errors import VideoError
from coreecho.video.base import Frames, Video, check_bytes, stacked, valid_rate

TAIL = 4096
"""Bytes at the end of a file in which its last one is looked for; some writers add zeros."""
FAULTS = (OSError, EOFError, SyntaxError, ValueError, IndexError, KeyError, struct.error, MemoryError,
          Image.DecompressionBombError)  # fmt: skip
"""What Pillow raises on a damaged file, or on one whose canvas is too large."""


def read_gif(path: Path, last: int | None, limit: int) -> Video:
    """Decode a GIF; see `coreecho.video.avi.read_opencv` for the arguments and errors."""
    count = count_gif(path)
    stop = count if last is None else min(count, last + 1)
    frames: list[Frames] = []
    durations: list[float] = []
    try:
        with Image.open(path, formats=["GIF"]) as image:
            check_bytes(path, (stop, image.height, image.width, 3), 1, limit)
            for index in range(stop):
                image.seek(index)
                frames.append(np.asarray(image.convert("RGB"), dtype=np.uint8))
                durations.append(float(image.info.get("duration", 0)))
    except FAULTS as error:
        raise VideoError(f"{path.name}: damaged: frame {len(frames)} cannot be decoded; export it again") from error
    middle = statistics.median(durations)
    fps = valid_rate(1000 / middle) if middle else None
    notes = () if fps else ("the file states no usable frame rate",)
    if fps and max(durations) > 1.5 * middle:
        notes = ("frame durations differ; the median is taken as the frame rate",)
    return Video(stacked(frames), fps, notes)


def count_gif(path: Path) -> int:
    """Number of frames of a GIF that is whole (a GIF ends with the byte 0x3B) and whose canvas can be a clip's."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
        end = file.read().rstrip(b"\0")
    if not end.endswith(b";"):
        raise VideoError(f"{path.name}: damaged: the file ends in the middle of its data; copy or export it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=["GIF"]) as image:
                return int(getattr(image, "n_frames", 1))
    except (*FAULTS, Image.DecompressionBombWarning) as error:
        raise VideoError(f"{path.name}: cannot be opened as a GIF; export the clip again") from error
