"""Whether a file holds enough for an EF: a number from padding or from an even picture would look like any other."""

from __future__ import annotations

import numpy as np

from coreecho.errors import VideoError
from coreecho.settings import ClipSettings
from coreecho.video import Video

LEAST = 0.25
"""Share of a clip's span that a file must cover; below it, more than three quarters of the clip are padding."""
EVEN = 2
"""Grey levels by which lossy compression may change an even picture."""


def refuse_empty(name: str, video: Video) -> None:
    """Refuses a picture without content.

    Raises:
        VideoError: all pixels of all frames are the same, up to `EVEN`; ``name`` is the file's.
    """
    first = video.frames[0, 0, 0].astype(np.int16)  # (3,)
    if all(np.abs(frame.astype(np.int16) - first).max() <= EVEN for frame in video.frames):  # ends at the first of most
        raise VideoError(
            f"{name}: {_length(len(video), video.seconds)} of one even colour: nothing is in the picture; "
            "export the clip again"
        )


def refuse_short(name: str, file: Video, prepared: Video, clip: ClipSettings, fps: float | None) -> None:
    """Refuses a file that would leave a clip almost all padding.

    A clip counts as covered by its frames or by its time, whichever is more: protocol ``paper`` takes frames whatever
    time they cover, so that a slow recording has few of them and yet shows a beat.

    Args:
        name: the file's.
        file: as it was decoded.
        prepared: what clips are cut from, on the training videos' frame rate if the protocol says so.
        clip: shape of a clip.
        fps: frame rate of the training videos, where it is known.

    Raises:
        VideoError: the file covers less than `LEAST` of a clip's span.
    """
    if clip.resample:  # the whole file is one clip, however long
        return
    seconds = clip.span / fps if fps else None
    in_time = file.seconds / seconds if file.seconds and seconds else 0.0
    if max(len(prepared) / clip.span, in_time) < LEAST:
        raise VideoError(
            f"{name}: too short: {_length(len(file), file.seconds)}, less than a quarter of the "
            f"{_length(clip.span, seconds)} that a clip spans; choose a longer recording"
        )


def _length(frames: int, seconds: float | None) -> str:
    return f"{frames} frames" + (f" ({seconds:.3g} s)" if seconds else "")
