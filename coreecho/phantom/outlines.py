"""Masks of the phantom's pictures: outlines that are carried along by the tissue and filled frame by frame.

The labels are CAMUS's: 0 background, 1 left ventricle, 2 myocardium, 3 left atrium.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from coreecho.phantom.heart import APICAL_SHARE, Heart, Points, Tissue

Mask = NDArray[np.uint8]
FINE_SIDE = 512
"""Side in pixels of the raster on which smaller masks are drawn."""
_POINTS = 48
"""Points of an outline from the apex to the annulus."""


def outlines(heart: Heart) -> dict[Tissue, Points]:
    """Closed outlines at end-diastole, in the heart frame and in the order in which they are filled."""
    top = -APICAL_SHARE * heart.wall
    # Closer together where the epicardium turns, at the apex.
    height = top + (heart.length - top) * (1.0 - np.cos(np.linspace(0.0, 0.5 * math.pi, _POINTS)))
    side = np.stack([heart.outer_radius(height), height], axis=1)
    # Back along the cavity's own base, so that a tilted annulus leaves no sliver of wall across the valve.
    base = np.array([[heart.base, heart.length], [-heart.base, heart.length]])
    outer = np.concatenate([side[:0:-1] * (-1.0, 1.0), side, base])
    angle = np.linspace(0.0, 2.0 * math.pi, 2 * _POINTS, endpoint=False)
    oval = np.stack([(heart.base + 0.1) * np.cos(angle) - 0.05, 0.62 * heart.atrium * np.sin(angle)], axis=1)
    oval[:, 1] = np.maximum(oval[:, 1] + heart.length + 0.38 * heart.atrium, heart.length)
    return {
        Tissue.LEFT_ATRIUM: oval.astype(np.float32),
        Tissue.MYOCARDIUM: outer.astype(np.float32),
        Tissue.CAVITY: heart.cavity_outline(0.0, _POINTS),
    }


def draw_masks(
    heart: Heart,
    contraction: NDArray[np.float64],
    pixels: Callable[[Points, int], Points],
    shape: tuple[int, int],
) -> Mask:
    """Labels (T, H, W) of frames whose contraction is given, (T,).

    Args:
        heart: what is drawn.
        contraction: 0 at end-diastole, 1 at end-systole, for each frame.
        pixels: gives places in the heart frame (N, 2), in a frame of that number, as column and row, where (0, 0) is
            the centre of the first pixel.
        shape: height and width of the masks in pixels.
    """
    moving = {tissue: heart.motion(points) for tissue, points in outlines(heart).items()}
    # OpenCV widens what it fills by half a pixel; outlines are drawn finer and then sampled, so that this is little.
    fine = max(1, FINE_SIDE // max(shape))
    masks, large = (
        np.empty((len(contraction), *shape), np.uint8),
        np.empty((shape[0] * fine, shape[1] * fine), np.uint8),
    )
    for number, level in enumerate(contraction):
        large[:] = Tissue.OUTSIDE
        for tissue, carried in moving.items():
            corners = (pixels(carried(float(level)), number) + 0.5) * fine - 0.5
            cv2.fillPoly(large, [np.rint(corners * 16.0).astype(np.int32)], int(tissue), shift=4)
        masks[number] = large[fine // 2 :: fine, fine // 2 :: fine]
    return masks
