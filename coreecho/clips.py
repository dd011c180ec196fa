"""From a video's frames to clip tensors: sampling, padding, augmentation, normalisation (section 2.2, 3; gaps A).

Items are uint8; normalisation happens per batch on the device. Where a clip starts and how it is cropped is a function
of (seed, epoch, video, view) alone, so that neither the order of videos nor the number of loader workers matters.
Padding is black before normalisation (CoReEcho), or grey: exactly 0 after it, where a clip's window leaves its video.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coreecho.settings import ClipSettings

Frames = npt.NDArray[np.uint8]

MEAN = (0.12741163, 0.1279413, 0.12912785)
"""EchoNet-Dynamic's channel means on the 0-1 scale, red, green, blue (published code; not in the paper)."""
SD = (0.19557191, 0.19562256, 0.1965878)
"""The standard deviations that belong to `MEAN`."""
GREY = tuple(round(255 * mean) for mean in MEAN)
"""The nearest byte to the mean, in which grey padding is stored and shown; `normalise` makes it exactly 0."""
START_STREAM, CROP_STREAM, AFFINE_STREAM = 0, 1000, 3000
"""Streams of `generator` for clip starts and crops (the view's number is added) and for rotation, scale and shift."""

Levels = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and standard deviation per channel on the 0-1 scale."""
Window = tuple[int, int, int]
"""How many of a clip's frames are its video's, and the rows and columns by which its crop is moved."""
StartRule = Callable[[str, int, int], Sequence[int]]
"""(video, its number of frames, epoch) -> start frames of the clips to cut."""


def generator(seed: int, epoch: int, video: str, stream: int) -> np.random.Generator:
    """The random stream that belongs to these four and to nothing else."""
    return np.random.default_rng([seed, epoch, zlib.crc32(video.encode()), stream])


def legal_starts(frames: int, clip: ClipSettings) -> int:
    """How many start frames (0, 1, ...) a video of ``frames`` frames has, after extension to the minimum length.

    The published rule: short videos are extended to frames x stride (144), not to the span of a clip (141), so every
    video has at least ``stride`` starts.
    """
    return max(frames, clip.minimum_length) - clip.span + 1


def cut(video: Frames, start: int, clip: ClipSettings, fill: Sequence[int] = (0, 0, 0)) -> Frames:
    """The clip of ``video`` (T, H, W, 3) from frame ``start`` on; frames past the end have the colour ``fill``."""
    return np.ascontiguousarray(assemble(video, [start], [(0, 0)], clip, fill)[0].transpose(1, 2, 3, 0))


def frames_shown(frames: int, start: int, clip: ClipSettings) -> int:
    """How many frames of the clip from frame ``start`` on are those of its video, which has ``frames`` frames."""
    return min(clip.frames, max(0, -(-(frames - start) // clip.stride)))


def crop_shift(pad: int, rng: np.random.Generator) -> tuple[int, int]:
    """Rows and columns by which a random crop out of ``pad`` padded pixels moves the window.

    Uniform over -pad..pad, both ends included, on each axis (supplementary Table 1); one draw for all frames of a clip.
    """
    top, left = rng.integers(0, 2 * pad + 1, size=2) - pad
    return int(top), int(left)


def assemble(
    video: Frames,
    starts: Sequence[int],
    shifts: Sequence[tuple[int, int]],
    clip: ClipSettings,
    fill: Sequence[int] = (0, 0, 0),
) -> Frames:
    """The clips of an item at once: cut at each start and moved by each shift, channels first, in one copy.

    Args:
        video: frames (T, H, W, 3).
        starts: first frame of each of the V clips.
        shifts: rows and columns to move the window by, as `crop_shift` draws them; (0, 0) for none.
        clip: shape of a clip.
        fill: colour of what lies outside of the video, in space and time.

    Returns:
        (V, 3, clip.frames, H, W).
    """
    height, width = video.shape[1:3]
    out = np.empty((len(starts), 3, clip.frames, height, width), np.uint8)
    for target, start, (top, left) in zip(out, starts, shifts, strict=True):
        part = video[start : start + clip.span : clip.stride].transpose(3, 0, 1, 2)  # (3, T, H, W)
        count = part.shape[1]
        if count < clip.frames or (top, left) != (0, 0):
            for plane, value in zip(target, fill, strict=True):
                plane.fill(value)
        target[:, :count, max(-top, 0) : height - max(top, 0), max(-left, 0) : width - max(left, 0)] = part[
            :, :, max(top, 0) : height + min(top, 0), max(left, 0) : width + min(left, 0)
        ]
    return out


def shift_on_device(clips: Tensor, shifts: Tensor, fill: Sequence[int] = (0, 0, 0)) -> Tensor:
    """Moves clips as `assemble` would have done, byte for byte, wherever they are: one gather for the whole batch.

    Frames past the end of a video have the colour ``fill`` already, and so keep it.

    Args:
        clips: (B, V, 3, T, H, W) uint8, not yet moved.
        shifts: (B, V, 2) rows and columns to move each clip's window by, on any device.
        fill: colour of what a window shows beyond the picture.

    Returns:
        (B, V, 3, T, H, W) uint8.
    """
    height, width = clips.shape[-2:]
    top, left = shifts.to(clips.device, non_blocking=True).long().unbind(-1)  # (B, V) each
    rows = torch.arange(height, device=clips.device) + top[..., None]  # (B, V, H): the row that each row shows
    columns = torch.arange(width, device=clips.device) + left[..., None]  # (B, V, W)
    inside = ((rows >= 0) & (rows < height))[..., :, None] & ((columns >= 0) & (columns < width))[..., None, :]
    source = rows.clamp(0, height - 1)[..., :, None] * width + columns.clamp(0, width - 1)[..., None, :]  # (B, V, H, W)
    flat = clips.flatten(-2)  # (B, V, 3, T, H W)
    moved = flat.gather(-1, source.flatten(-2)[:, :, None, None].expand_as(flat)).view(clips.shape)
    colour = torch.tensor(tuple(fill), dtype=torch.uint8, device=clips.device).view(3, 1, 1, 1)
    return torch.where(inside[:, :, None, None], moved, colour)


def fit(frames: Frames, size: int) -> Frames:
    """Frames (T, H, W, 3) at size x size; other sizes are squashed to the square, as the paper did for CAMUS."""
    if frames.shape[1:3] == (size, size):
        return frames
    return np.stack([cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA) for frame in frames])


def normalise(clips: Tensor, levels: Levels = (MEAN, SD), windows: Tensor | None = None) -> Tensor:
    """Bytes (B, 3, T, H, W) to float32 with the ``levels`` at mean 0 and standard deviation 1 per channel.

    Args:
        clips: (B, 3, T, H, W) uint8; numbers of another type are normalised already and stay as they are.
        levels: what is brought to mean 0 and standard deviation 1.
        windows: (B, 3) a `Window` of each clip where its padding is grey; all that lies outside of it becomes 0.
    """
    if clips.is_floating_point():
        return clips
    shape = (1, 3, 1, 1, 1)
    mean, scale = (
        torch.tensor(level, dtype=torch.float32, device=clips.device).mul(255).view(shape) for level in levels
    )
    x = (clips.float() - mean) / scale
    return x if windows is None else x.masked_fill_(~within(windows.to(x.device), x.shape[2:]), 0.0)


def within(windows: Tensor, size: Sequence[int]) -> Tensor:
    """Which pixels (B, 1, T, H, W) of clips of ``size`` (T, H, W) show their video, by their windows (B, 3)."""
    count, height, width = size
    frames, top, left = windows[..., None].unbind(1)  # (B, 1) each
    rows, columns = (torch.arange(side, device=windows.device) for side in (height, width))
    time = torch.arange(count, device=windows.device) < frames  # (B, T)
    high = (rows + top >= 0) & (rows + top < height)  # (B, H)
    wide = (columns + left >= 0) & (columns + left < width)  # (B, W)
    return time[:, None, :, None, None] & high[:, None, None, :, None] & wide[:, None, None, None, :]


def random_starts(clip: ClipSettings, count: int, seed: int) -> StartRule:
    """Independent uniform starts for ``count`` views, drawn anew each epoch; views may coincide (section 2.2)."""

    def starts(video: str, frames: int, epoch: int) -> list[int]:
        legal = legal_starts(frames, clip)
        return [int(generator(seed, epoch, video, START_STREAM + view).integers(legal)) for view in range(count)]

    return starts
