"""A `Study` -> the frames that its label is about: the part of the video that counts, end-diastole first.

    from coreecho.datasets import read_camus
    from coreecho.study_video import read_mask, read_study
    study = read_camus(folder, fold=0).studies[0]
    video, mask = read_study(study), read_mask(study)  # frames (T, H, W, 3), labels (T, H, W)

CAMUS is read from end-diastole to end-systole, HMC-QU over one cardiac cycle, EchoNet-Dynamic whole (gaps D, E).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coreecho.datasets import Study
from coreecho.errors import DataError, VideoError
from coreecho.video import Video, read_video, read_volume
from coreecho.video.base import Frames
from coreecho.video.mat import read_array
from coreecho.video.pack import cached_pack

Mask = npt.NDArray[np.uint8]
CAMUS_LABELS = {0: "background", 1: "left ventricle", 2: "myocardium", 3: "left atrium"}
WALL_KEY = "predicted"
"""Variable of HMC-QU's .mat files that holds the wall, (F, 224, 224), 1 inside."""


def read_study(study: Study, *, min_frames: int = 2) -> Video:
    """Decodes the part of a study's video that is used; end-diastole comes first.

    Args:
        study: what to read; ``frames`` and ``reverse`` say which part and in which order.
        min_frames: fewest frames that count as a clip.

    Returns:
        frames (T, H, W, 3) with the file's frame rate, or the list's where the file has none.

    Raises:
        VideoError: as `read_video`; or the video ends before the frames that the list names.
    """
    first, last = study.frames or (0, None)
    video = read_video(study.path, last=last, min_frames=min_frames)
    if last is not None and len(video) <= last:
        raise VideoError(
            f"{study.path.name}: frames {first + 1} to {last + 1} are listed, the video has {len(video)}; "
            "check the list or copy the video again"
        )
    frames = video.frames[first:]
    return dataclasses.replace(
        video, frames=np.ascontiguousarray(frames[::-1] if study.reverse else frames), fps=video.fps or study.fps
    )


def packed_frames(study: Study) -> Frames:
    """The frames that `read_study` gives, (T, H, W, 3), from the study's pack: a read-only view, nothing is decoded.

    Raises:
        DataError: the study has no pack, or a damaged one.
        VideoError: the video ends before the frames that the list names.
    """
    if study.pack is None:
        raise DataError(f"{study.id} has no pack; make one with `coreecho data pack DIR OUT`")
    frames = cached_pack(study.pack).frames(study.id)
    first, last = study.frames or (0, len(frames) - 1)
    if len(frames) <= last:
        raise VideoError(
            f"{study.path.name}: frames {first + 1} to {last + 1} are listed, {len(frames)} packed; check the list"
        )
    part = frames[first : last + 1]
    return part[::-1] if study.reverse else part


def read_mask(study: Study) -> Mask | None:
    """The outlines that belong to `read_study`'s frames, or nothing where the study has none.

    Returns:
        labels (T, H, W): CAMUS 0 background, 1 left ventricle, 2 myocardium, 3 left atrium; HMC-QU 1 for the wall.

    Raises:
        VideoError: damaged, with other values than these, or for another number of frames.
    """
    if study.mask is None:
        return None
    first, last = study.frames or (0, None)
    wanted = None if last is None else last + 1 - first
    if study.mask.suffix.lower() == ".mat":
        mask = _wall(study.mask)
    else:
        mask = _labels(study.mask)[first : None if last is None else last + 1]
    if wanted is not None and len(mask) != wanted:
        raise VideoError(f"{study.mask.name}: outlines of {len(mask)} frames for {wanted} listed ones; check the list")
    return np.ascontiguousarray(mask[::-1] if study.reverse else mask)


def _labels(path: Path) -> Mask:
    values, _ = read_volume(path)
    found = np.unique(values)
    if not set(found.tolist()) <= CAMUS_LABELS.keys():
        raise VideoError(
            f"{path.name}: mask values {_list(found)} instead of {_list(list(CAMUS_LABELS))} "
            f"({', '.join(CAMUS_LABELS.values())}); get the file anew, or map its values back"
        )
    if 1 not in found:
        raise VideoError(f"{path.name}: no pixel of this mask is left ventricle (1); get the file anew")
    return values.astype(np.uint8)


def _list(values: npt.NDArray[np.generic] | list[int]) -> str:
    told = [f"{value:g}" for value in values[:8]]
    return ", ".join(told) + (", ..." if len(values) > 8 else "")


def _wall(path: Path) -> Mask:
    wall = read_array(path, WALL_KEY)
    if wall is None or wall.ndim != 3 or not np.isin(wall, (0, 1)).all() or not wall.any():
        raise VideoError(f"{path.name}: holds no series of outlines {WALL_KEY!r} of 0 and 1; copy it again")
    outlines: Mask = np.asarray(wall, dtype=np.uint8)
    return outlines
