"""AVI, MP4 and whatever else OpenCV's FFmpeg opens, frame after frame.

EchoNet-Dynamic and HMC-QU are Motion-JPEG AVI files. Frames are read in order and never sought, so the same file gives
the same bytes whichever part of it is wanted.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np

from coreecho.errors import VideoError
from coreecho.video.base import Frames, Video, check_bytes, stacked, valid_rate
from coreecho.video.containers import Layout, inspect_avi, inspect_mp4


def read_opencv(path: Path, kind: str, last: int | None, only: Collection[int] | None, limit: int) -> Video:
    """Decode a video file.

    Args:
        path: the file.
        kind: "avi" or "mp4", whose structure is checked, or anything else.
        last: index of the last frame wanted, or none for all.
        only: indices of the frames to keep, or none for all; the others are stepped over, which is cheaper.
        limit: largest decoded size in bytes.

    Raises:
        VideoError: when the file is cut off, damaged or not a video.
    """
    layout = _layout(path, kind)
    if layout.cut:
        raise VideoError(f"{path.name}: damaged: the file ends in the middle of its data; copy or export it again")
    capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    try:
        if not capture.isOpened():
            raise VideoError(f"{path.name}: cannot be opened as a video; export the clip as AVI, MP4 or DICOM")
        announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        fps = valid_rate(capture.get(cv2.CAP_PROP_FPS))
        frames, decoded = _decode(path, capture, last, only, limit)
    finally:
        capture.release()
    if not frames:
        raise VideoError(f"{path.name}: no frame can be decoded; the file is damaged or its codec is unknown")
    whole = last is None or decoded <= last
    notes = _compare(path, layout, announced, decoded) if whole else ()
    notes += () if fps else ("the file states no usable frame rate",)
    return Video(stacked(frames), fps, notes)


def count_opencv(path: Path, kind: str) -> int:
    """Number of frames by the container: stored picture chunks (AVI) or the header's count."""
    layout = _layout(path, kind)
    if layout.stored:
        return layout.stored
    capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    if count < 1:
        raise VideoError(f"{path.name}: cannot be opened as a video; export the clip as AVI, MP4 or DICOM")
    return count


def _layout(path: Path, kind: str) -> Layout:
    if kind == "avi":
        return inspect_avi(path)
    return inspect_mp4(path) if kind == "mp4" else Layout()


def _decode(
    path: Path, capture: cv2.VideoCapture, last: int | None, only: Collection[int] | None, limit: int
) -> tuple[list[Frames], int]:
    """The wanted frames, each (H, W, 3) in RGB, and the number of frames stepped through."""
    frames: list[Frames] = []
    index = 0
    while (last is None or index <= last) and capture.grab():
        if only is None or index in only:
            good, frame = capture.retrieve()
            if not good:
                break
            if frames and frame.shape != frames[0].shape:
                raise VideoError(f"{path.name}: the picture size changes at frame {index}; export the clip again")
            check_bytes(path, (len(frames) + 1, *frame.shape), 1, limit)
            frames.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8))
        index += 1
    return frames, index


def _compare(path: Path, layout: Layout, announced: int, decoded: int) -> tuple[str, ...]:
    """Remarks on counts that differ; an error when stored frames are lost."""
    stored = layout.stored or announced
    lost = stored - decoded
    if lost > 0 and (layout.intra or lost > 0.1 * stored):
        raise VideoError(f"{path.name}: damaged: {decoded} of {stored} frames decode; copy or export it again")
    said = layout.announced if layout.announced is not None else announced
    return (f"header announces {said} frames, {decoded} decode",) if said not in (decoded, 0, -1) else ()
