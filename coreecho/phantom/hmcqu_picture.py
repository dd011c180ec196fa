"""The screen of the phantom HMC-QU: the sector amid what a machine shows about it, an ECG strip, text, a depth scale.

All of that lies outside of the centred square that is cut out before training (gaps E), and the ventricle inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from coreecho.phantom.beat import Beat
from coreecho.phantom.heart import Points, Tissue, Values
from coreecho.phantom.hmcqu_case import HmcquCase
from coreecho.phantom.outlines import Mask, draw_masks
from coreecho.phantom.ultrasound import render

MASK_SIDE = 224
"""HMC-QU's outlines are drawn on the whole picture squeezed into a square of this side."""
ECG, TEXT = (90, 220, 110), (190, 190, 200)
"""Colours (red, green, blue) of the trace, and of letters and scale."""


@dataclass(frozen=True)
class Screen:
    """Where things are on a picture of ``height`` pixels."""

    height: int

    @property
    def width(self) -> int:
        """Width of the picture: half as much again, and even as video encoders like it."""
        return 2 * round(0.75 * self.height)

    @property
    def sector(self) -> int:
        """Height of the rows that hold the sector."""
        return round(0.86 * self.height)

    @property
    def top(self) -> int:
        """First of these rows."""
        return round(0.04 * self.height)


def draw_echo(case: HmcquCase, rng: np.random.Generator, screen: Screen, fps: float) -> NDArray[np.uint8]:
    """The video of an echo, RGB (T, H, W, 3)."""
    size, width = screen.sector, screen.width
    grey = render(rng, case.heart, case.beat, case.view, size=size, frames=case.frames, fps=fps, width=width)
    video = np.repeat(_background(case, screen)[None], case.frames, axis=0)
    window = video[:, screen.top : screen.top + size]
    np.maximum(window, grey[..., None], out=window)
    trace = _trace(case.beat, case.frames, screen, fps)  # (N, 2), 16ths of a pixel
    for number, frame in enumerate(video):
        shown = trace[: max(2, round(len(trace) * (number + 1) / case.frames))]
        cv2.polylines(frame, [shown], False, ECG, 1, cv2.LINE_AA, 4)
    return video


def mask_pixels(case: HmcquCase, screen: Screen, points: Points, time: float) -> Points:
    """Column and row in the mask of places in the heart frame (N, 2), ``time`` seconds after frame 0."""
    placed = case.view.place(points, case.heart, time)
    shift = 0.5 * (screen.width - screen.sector), screen.top
    picture = case.view.pixels(placed, case.heart, screen.sector) + shift
    squeezed: Points = (picture + 0.5) * (MASK_SIDE / screen.width, MASK_SIDE / screen.height) - 0.5
    return squeezed


def draw_wall(case: HmcquCase, screen: Screen, fps: float) -> Mask:
    """The outlined wall over the listed cycle, (T, 224, 224), 1 inside."""

    def pixels(points: Points, number: int) -> Points:
        return mask_pixels(case, screen, points, (case.cycle[0] + number) / fps)

    labels = draw_masks(case.heart, case.contraction(fps), pixels, (MASK_SIDE, MASK_SIDE))
    wall: Mask = (labels == Tissue.MYOCARDIUM).astype(np.uint8)
    return wall


def _background(case: HmcquCase, screen: Screen) -> NDArray[np.uint8]:
    """What stays the same in every frame (H, W, 3): letters in the corner, one dash a centimetre at the right."""
    picture = np.zeros((screen.height, screen.width, 3), np.uint8)
    size = screen.height / 480.0
    for line, text in enumerate(("PHANTOM", "A4C", f"{60.0 / case.beat.period:.0f} HR")):
        place = (round(0.02 * screen.width), round((0.08 + 0.06 * line) * screen.height))
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, TEXT, 1, cv2.LINE_AA)
    step = 1.0 / case.view.pixel_size(case.heart, screen.sector)
    column = round(0.96 * screen.width)
    for row in np.arange(screen.top, screen.top + screen.sector, step):
        picture[int(row), column : column + max(1, screen.height // 60)] = TEXT
    return picture


def _trace(beat: Beat, frames: int, screen: Screen, fps: float) -> NDArray[np.int32]:
    """The ECG from left to right along the bottom, (N, 2) column and row in 16ths of a pixel."""
    time = np.linspace(0.0, frames / fps, 4 * screen.width)
    position = np.mod(time / beat.period + beat.start, 1.0)  # 0 at end-diastole, where the R wave is
    row = (0.97 - 0.06 * _ecg(position)) * screen.height
    column = np.linspace(0.0, screen.width - 1.0, len(time))
    return np.rint(np.stack([column, row], axis=1) * 16.0).astype(np.int32)


def _ecg(position: Values) -> Values:
    """Height of the trace at a position in the beat: P, R, S and T wave."""
    waves = ((0.84, 0.025, 0.15), (0.0, 0.012, 1.0), (0.035, 0.012, -0.2), (0.36, 0.05, 0.3))
    height = np.zeros_like(position)
    for centre, width, size in waves:
        distance = np.abs((position - centre + 0.5) % 1.0 - 0.5)
        height += size * np.exp(-0.5 * (distance / width) ** 2)
    return height
