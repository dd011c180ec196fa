"""Find the ultrasound sector and black out everything else, as EchoNet-Dynamic's makers did before its release.

Whatever is burned in beside the sector (a name, MI and TI, the depth scale, the ECG) is no part of the heart and must
not reach the network. The sector is where speckle flickers: even its dark parts change by a few grey levels from frame
to frame, while text and background do not.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from coreecho.video.base import Box, Frames, Video

Mask = NDArray[np.bool_]

FLICKER = (2, 3, 4, 6, 10, 16, 24)
"""Grey levels of change over time that count as speckle, tried from the faintest on."""
COLOUR = 32
"""Difference between channels above which a pixel is coloured; JPEG noise on grey stays below about 12."""
RINGING = 10
"""Grey levels that JPEG ringing in the blocks along the sector's edge stays below."""
RECTANGLE = 0.95
"""Share of its bounding box that no sector fills: one of 90 degrees fills about 0.6."""
LARGEST = 1920
"""Side in pixels above which the sector is looked for on a coarser grid; the effort grows with its fourth power."""
SOLIDITY = 0.85
"""Least share of its convex hull that the flickering part of a true sector fills."""


@dataclass(frozen=True)
class Statistics:
    """Lowest and highest grey level of each pixel over time, and whether it was ever coloured; all (H, W)."""

    count: int
    lowest: Frames
    highest: Frames
    coloured: Mask

    @property
    def change(self) -> Frames:
        """Grey levels between the lowest and the highest."""
        return self.highest - self.lowest


def fan_mask(frames: Frames, region: Box | None = None) -> Mask:
    """Where the ultrasound sector is.

    Args:
        frames: (T, H, W, 3), RGB.
        region: box outside of which the sector cannot be, as left, top, right, bottom.

    Returns:
        (H, W), true inside of the sector; true everywhere when none is found.
    """
    found = find_fan(statistics(untinted(frames)[0]), region)
    return np.ones(frames.shape[1:3], dtype=np.bool_) if found is None else found


def crop_to_fan(video: Video) -> Video:
    """Cut the frames to the sector's bounding box, with everything outside of the sector and all overlays black.

    Args:
        video: frames (T, H, W, 3), in colour or grey.

    Returns:
        a grey video (T, h, w, 3) with equal channels; its notes tell what was removed, or that no sector is found and
        the whole picture is kept.
    """
    frames, tinted = untinted(video.frames)
    notes: tuple[str, ...] = ("the picture is tinted and was turned grey",) if tinted else ()
    stats = statistics(frames)
    mask = find_fan(stats, video.region)
    if mask is None:
        notes += ("no ultrasound sector found: the whole picture is used, with whatever is burned in",)
        return dataclasses.replace(video, frames=frames, notes=video.notes + notes, region=None)
    burned = burned_in(stats, mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    keep = (mask & ~burned)[box]
    if mask[box].mean() > RECTANGLE:
        notes += ("not a fan: what moves in the picture is a rectangle; is it an echo clip, and not cropped?",)
    cut = np.empty((len(frames), *keep.shape, 3), np.uint8)  # (T, h, w, 3)
    colour = 0
    for target, frame in zip(cut, frames[:, box[0], box[1]], strict=True):
        overlay = _widen(_chroma(frame) > COLOUR)
        colour += int((overlay & keep).sum())
        grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
        target[:] = np.where(overlay | ~keep, 0, grey)[..., None]
    share = colour / max(int(keep.sum()) * len(cut), 1)
    if share > 0.002:
        notes += (f"coloured overlay blacked out ({100 * share:.1f} % of the sector)",)
    if burned.any():
        notes += ("motionless bright overlay in the sector blacked out",)
    return dataclasses.replace(video, frames=cut, notes=video.notes + notes, region=None)


def find_fan(stats: Statistics, region: Box | None = None) -> Mask | None:
    """The sector (H, W): the convex hull of the largest flickering part, or none; see `fan_mask`."""
    inside = np.ones_like(stats.coloured)
    if region is not None:
        left, top, right, bottom = region
        inside[:] = False
        inside[top:bottom, left:right] = True
    allowed = inside & ~stats.coloured
    bridge = stats.coloured & inside
    hulls = (_solid_part((stats.change > level) & (stats.highest > level + 1) & allowed, bridge) for level in FLICKER)
    faint = next((hull for hull in hulls if hull is not None), None)
    if faint is None:  # a clip whose frames repeat has brightness only
        faint = _solid_part((stats.highest > 16) & allowed, bridge)
        return None if faint is None else faint & inside
    strong = _solid_part((stats.change > RINGING) & (stats.highest > RINGING) & allowed, bridge)
    if strong is not None:
        reach = cv2.dilate(strong.astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
        if (faint & reach).sum() > 0.97 * faint.sum():  # no more than one JPEG block of ringing about the sector
            faint = strong
    return faint & inside


def _solid_part(seeds: Mask, bridge: Mask) -> Mask | None:
    """Hull of the largest dense part of ``seeds`` if that is large (4 % of the picture) and nearly convex.

    Seeds on both sides of a coloured line, ``bridge``, belong together: an ECG may cross the sector's lower end.
    """
    height, width = seeds.shape
    step = -(-max(height, width) // LARGEST)
    if step > 1:
        size = max(1, width // step), max(1, height // step)
        coarse = _solid_part(_reduced(seeds, size), _reduced(bridge, size))
        return None if coarse is None else _reduced(coarse, (width, height))
    side = max(3, round(0.012 * float(np.hypot(height, width))) | 1)
    dense = (cv2.blur(seeds.astype(np.float32), (side, side)) > 0.4).astype(np.uint8)
    disc = cv2.MORPH_ELLIPSE
    wide = cv2.morphologyEx(dense, cv2.MORPH_CLOSE, np.ones((8 * side + 1, 8 * side + 1), np.uint8))
    dense = dense | (wide & bridge.astype(np.uint8))
    joined = cv2.morphologyEx(dense, cv2.MORPH_CLOSE, cv2.getStructuringElement(disc, (2 * side + 1, 2 * side + 1)))
    smooth = cv2.morphologyEx(joined, cv2.MORPH_OPEN, cv2.getStructuringElement(disc, (side, side)))
    outlines, _ = cv2.findContours(smooth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)  # a dark cavity leaves a hole
    if not outlines:
        return None
    outline = max(outlines, key=cv2.contourArea)
    hull = np.zeros((height, width), np.uint8)
    corners = cv2.convexHull(outline)
    cv2.fillConvexPoly(hull, corners, 1)
    convex = cv2.contourArea(outline) > SOLIDITY * cv2.contourArea(corners)
    return hull > 0 if convex and hull.mean() > 0.04 else None


def _reduced(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask on a grid of another width and height."""
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.4


def burned_in(stats: Statistics, mask: Mask) -> Mask:
    """Bright pixels in the sector that never change: letters. Nothing when they are too many to be letters."""
    frozen = (stats.lowest > 90) & (stats.change <= 8 + stats.highest // 10) & mask
    plausible = stats.count >= 8 and 0 < frozen.sum() < 0.03 * mask.sum()  # few frames: speckle may seem frozen
    return _widen(frozen) & mask if plausible else np.zeros_like(mask)


def statistics(frames: Frames) -> Statistics:
    """Extremes over time, frame by frame so that memory stays that of one frame."""
    first = _highest(frames[0])
    lowest, highest = first.copy(), first.copy()
    coloured = np.zeros(first.shape, dtype=np.bool_)
    for frame in frames:
        grey = _highest(frame)
        np.minimum(lowest, grey, out=lowest)
        np.maximum(highest, grey, out=highest)
        coloured |= _chroma(frame) > COLOUR
    return Statistics(len(frames), lowest, highest, _widen(coloured))


def untinted(frames: Frames) -> tuple[Frames, bool]:
    """Grey frames where the machine's tint colours most of the visible picture; else the frames as they are."""
    probe = frames[len(frames) // 2]
    visible = _highest(probe) > 40
    if not visible.any() or np.median(_chroma(probe)[visible]) <= 20:
        return frames, False
    grey = np.empty(frames.shape, np.uint8)
    for target, frame in zip(grey, frames, strict=True):
        target[:] = _highest(frame)[..., None]
    return grey, True


def _highest(frame: Frames) -> Frames:
    """The highest of the three channels (H, W); NumPy takes ten times as long over an axis of 3."""
    red, green, blue = cv2.split(frame)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def _chroma(frame: Frames) -> Frames:
    """Difference between the highest and the lowest channel (H, W)."""
    red, green, blue = cv2.split(frame)
    highest, lowest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return np.asarray(cv2.subtract(highest, lowest), np.uint8)


def _widen(mask: Mask) -> Mask:
    """Grown by two pixels: the halo that chroma subsampling and smoothing leave about a line."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0
