"""Videos to measure with, and the literal way to decode one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from coreecho.clips import Frames


def write_noise(path: Path, frames: int, size: int, rng: np.random.Generator) -> None:
    """Writes a Motion-JPEG AVI of smooth coloured noise, of the kind that EchoNet-Dynamic's files are."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50.0, (size, size))
    for _ in range(frames):
        coarse = rng.integers(0, 256, (size // 4, size // 4, 3), dtype=np.uint8)
        writer.write(cv2.resize(coarse, (size, size)))
    writer.release()


def decode_whole(path: Path) -> Frames:
    """Every frame of a video, (T, H, W, 3), one after another through OpenCV."""
    capture = cv2.VideoCapture(str(path))
    frames: list[Frames] = []
    while True:
        more, frame = capture.read()
        if not more:
            return np.stack(frames)
        frames.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8))
