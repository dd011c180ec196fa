"""DICOM sample values to 8-bit RGB (PS3.3 C.7.6.3.1.2, C.11.1, C.11.2, PS3.4 N.2).

The colour space of a decoded frame is what the decoder says of its *output*; the header still names that of the stored
frame, and converting by it a second time turns grey tissue green.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreecho.errors import VideoError
from coreecho.video.base import Frames


def to_rgb(path: Path, values: NDArray[Any], space: str, data: Any) -> tuple[Frames, tuple[str, ...]]:
    """One decoded frame in 8-bit RGB.

    Args:
        path: the file, for messages.
        values: (H, W) or (H, W, 3) as decoded.
        space: photometric interpretation of ``values``.
        data: data set with the picture's attributes.

    Returns:
        (H, W, 3) uint8, and remarks.

    Raises:
        VideoError: for a colour space or a depth that ultrasound does not use.
    """
    bits = int(data.get("BitsStored") or 8)
    if not 2 <= bits <= 16:
        raise VideoError(f"{path.name}: {bits} bits a sample; export the clip with 8 bits")
    if space in ("MONOCHROME1", "MONOCHROME2"):
        grey, remarks = _grey(values, space, bits, data)
        return np.repeat(grey[..., None], 3, axis=-1), remarks  # (H, W, 3)
    if space == "PALETTE COLOR":
        return _palette(values, bits, data), ()
    if space == "RGB":
        return _eight_bits(values, bits), ()
    raise VideoError(f"{path.name}: its colour space is not one of ultrasound; export the clip as RGB or YBR_FULL_422")


def _grey(values: NDArray[Any], space: str, bits: int, data: Any) -> tuple[Frames, tuple[str, ...]]:
    """Rescale, window if one is given, stretch the rest of the stored range, and invert where white means low."""
    signed = bool(data.get("PixelRepresentation"))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    slope, intercept = float(data.get("RescaleSlope") or 1), float(data.get("RescaleIntercept") or 0)
    window = _window(data, slope * low + intercept, slope * high + intercept)
    scaled = (slope * values.astype(np.float64) + intercept - window[0]) / max(window[1] - window[0], 1e-12)
    inverted = space == "MONOCHROME1" or str(data.get("PresentationLUTShape") or "") == "INVERSE"
    scaled = np.clip(scaled, 0, 1)
    grey: Frames = np.rint(255 * (1 - scaled if inverted else scaled)).astype(np.uint8)
    remarks = ("stored inverted (low is white) and turned back",) if inverted else ()
    return grey, remarks


def _window(data: Any, low: float, high: float) -> tuple[float, float]:
    """Values shown black and white: the first window of the file (linear, C.11.2.1.2), else the whole stored range."""
    centers, widths = (np.atleast_1d(data.get(name) or []) for name in ("WindowCenter", "WindowWidth"))
    function = str(data.get("VOILUTFunction") or "LINEAR")
    if not len(centers) or not len(widths) or float(widths[0]) < 2 or function == "SIGMOID":
        return min(low, high), max(low, high)
    center, width = float(centers[0]), float(widths[0])
    if function == "LINEAR_EXACT":
        return center - width / 2, center + width / 2
    return center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2


def _palette(values: NDArray[Any], bits: int, data: Any) -> Frames:
    """Look every possible value up once, then index; entries keep their high byte unless they hold 8-bit numbers."""
    from pydicom.pixels.processing import apply_color_lut

    table = apply_color_lut(np.arange(2**bits, dtype=values.dtype), data)[:, :3]
    if table.max() > 255:
        table = table >> 8
    found: Frames = table.astype(np.uint8)[values]
    return found


def _eight_bits(values: NDArray[Any], bits: int) -> Frames:
    shifted: Frames = (values >> max(bits - 8, 0)).astype(np.uint8)
    return shifted
