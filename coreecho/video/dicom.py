"""DICOM ultrasound clips: time, region and pixels as the standard defines them (PS3.3 C.7.6.5, C.7.6.3, C.8.5.5).

Only the tags listed here are ever parsed. Whatever names a person stays in the file: it cannot reach a `Video`, a note
or a message, and the library's own warnings, which quote values, are silenced while a file is read.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from coreecho.errors import VideoError
from coreecho.video.base import (
    MAX_BYTES,
    Box,
    Frames,
    Video,
    check_bytes,
    check_count,
    stacked,
    valid_rate,
    valid_spacing,
)
from coreecho.video.dicom_pixels import to_rgb

PICTURE_TAGS = [
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "PresentationLUTShape", "ModalityLUTSequence",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
]  # fmt: skip
TIME_TAGS = ["FrameIncrementPointer", "FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate"]
REGION_TAGS = ["SequenceOfUltrasoundRegions"]


def read_dicom(path: Path, last: int | None = None, min_frames: int = 2, limit: int = MAX_BYTES) -> Video:
    """Decode a DICOM multi-frame picture.

    Args:
        path: the file.
        last: index of the last frame wanted, or none for all.
        min_frames: fewest frames it must announce; checked before anything is decoded.
        limit: largest decoded size in bytes.

    Raises:
        VideoError: when it is a still, damaged, too large, without pixels, or needs a decoder that is not installed.
    """
    with _quietly(path):
        _check_deflated(path, limit)
        header = _dataset(path, pixels=False)
        count, shape, item = _announced(path, header)
        check_count(path, count, min_frames)
        check_bytes(path, shape, item, limit)
        stop = count if last is None else min(count, last + 1)
        frames, remarks = _pixels(path, _dataset(path, pixels=True), stop)
        fps, time_note = frame_rate(header)
        region, spacing, region_note = tissue_region(header)
    return Video(frames, fps, (*remarks, *time_note, *region_note), spacing, region)


def count_dicom(path: Path) -> int:
    """Number of frames that the header announces."""
    with _quietly(path):
        _check_deflated(path, MAX_BYTES)
        return _announced(path, _dataset(path, pixels=False))[0]


def frame_rate(header: Any) -> tuple[float | None, tuple[str, ...]]:
    """Frames per second and a remark: the tag that FrameIncrementPointer names, then the other ones that can tell."""
    times = [float(step) for step in np.atleast_1d(header.get("FrameTimeVector") or [])][1:]
    choices = {
        "FrameTime": 1000 / float(header.get("FrameTime") or np.inf),
        "FrameTimeVector": 1000 / float(np.mean(times)) if times and np.mean(times) > 0 else 0.0,
        "CineRate": float(header.get("CineRate") or 0),
        "RecommendedDisplayFrameRate": float(header.get("RecommendedDisplayFrameRate") or 0),
    }
    order = list(choices)
    pointer = np.atleast_1d(header.get("FrameIncrementPointer") or [0])
    if 0x00181065 in [int(tag) for tag in pointer]:
        order.insert(0, "FrameTimeVector")
    for name in order:
        fps = valid_rate(choices[name])
        if fps:
            uneven = name == "FrameTimeVector" and max(times) > 1.5 * min(times)
            return fps, ("frame times differ; their mean is taken as the frame rate",) if uneven else ()
    return None, ("the file states no usable frame rate",)


def tissue_region(header: Any) -> tuple[Box | None, tuple[float, float] | None, tuple[str, ...]]:
    """The largest 2D tissue region that fits in the picture, the pixel size in mm there, and a remark."""
    rows, columns = int(header.Rows), int(header.Columns)
    found: list[tuple[int, Box, tuple[float, float] | None]] = []
    outside = 0
    for item in header.get("SequenceOfUltrasoundRegions") or []:
        if item.get("RegionSpatialFormat") != 1 or item.get("RegionDataType", 1) != 1:
            continue
        names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
        left, top, right, bottom = (int(item.get(name) or 0) for name in names)
        if not (0 <= left < right <= columns and 0 <= top < bottom <= rows):
            outside += 1
            continue
        box = (left, top, min(right + 1, columns), min(bottom + 1, rows))
        found.append(((right - left) * (bottom - top), box, _pixel_size(item)))
    notes: tuple[str, ...] = ()
    if outside:
        notes = ("a region box of the header does not fit in the picture and is ignored",)
    if not found:
        return None, None, notes
    if len(found) > 1:
        notes += (f"{len(found)} picture regions; the largest is used",)
    _, box, spacing = max(found, key=lambda entry: entry[0])
    return box, spacing, notes


def _pixel_size(item: Any) -> tuple[float, float] | None:
    """Height and width in mm where both directions are given in centimetres (unit code 3)."""
    if item.get("PhysicalUnitsXDirection") != 3 or item.get("PhysicalUnitsYDirection") != 3:
        return None
    height, width = (abs(float(item.get(f"PhysicalDelta{axis}") or 0)) * 10 for axis in "YX")
    return valid_spacing(height, width)


def _announced(path: Path, header: Any) -> tuple[int, tuple[int, ...], int]:
    """Frame count, (T, H, W, 3) and bytes a sample, by the header."""
    if "Rows" not in header or "Columns" not in header:
        raise VideoError(f"{path.name}: a DICOM file without a picture; choose the ultrasound clip of the study")
    count = int(header.get("NumberOfFrames") or 1)
    item = max(1, int(header.get("BitsAllocated") or 8) // 8)
    return count, (count, int(header.Rows), int(header.Columns), 3), item


def _check_deflated(path: Path, limit: int) -> None:
    """Refuse a file whose data set is deflated as a whole (PS3.5 A.5) and unpacks to more than ``limit`` bytes."""
    import pydicom

    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return
        meta = pydicom.filereader.read_file_meta_info(path)
        if meta.get("TransferSyntaxUID") != pydicom.uid.DeflatedExplicitVRLittleEndian:
            return
        file.seek(144 + int(meta.FileMetaInformationGroupLength))
        unpacker, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while piece := unpacker.unconsumed_tail or file.read(65536):
            size += len(unpacker.decompress(piece, 1 << 20))
            check_bytes(path, (max(size, 1),), 1, limit)


def _dataset(path: Path, *, pixels: bool) -> Any:
    import pydicom

    tags: list[Any] = [*PICTURE_TAGS, *TIME_TAGS, *REGION_TAGS, *(["PixelData"] if pixels else [])]
    return pydicom.dcmread(path, specific_tags=tags, stop_before_pixels=not pixels, force=True)


def _pixels(path: Path, data: Any, stop: int) -> tuple[Frames, tuple[str, ...]]:
    """Frames (T, H, W, 3) in RGB."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if "PixelData" not in data:
        raise VideoError(f"{path.name}: a DICOM file without a picture; choose the ultrasound clip of the study")
    syntax = data.file_meta.get("TransferSyntaxUID") if hasattr(data, "file_meta") else None
    if syntax is None:
        syntax = ImplicitVRLittleEndian if data.original_encoding[0] else ExplicitVRLittleEndian
        data.file_meta.TransferSyntaxUID = syntax
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise VideoError(f"{path.name}: its compression is not an image codec; export the clip uncompressed") from None
    if not decoder.is_available:
        raise VideoError(
            f"{path.name}: {syntax.name} needs a decoder that is not installed; export the clip uncompressed or "
            "run: pip install python-gdcm"
        )
    frames: list[Frames] = []
    remarks: tuple[str, ...] = ()
    indices = range(stop) if stop < int(data.get("NumberOfFrames") or 1) else None
    for values, meaning in decoder.iter_array(data, indices=indices):
        frame, remarks = to_rgb(path, values, str(meaning["photometric_interpretation"]), data)
        frames.append(frame)
    if len(frames) < stop:
        raise VideoError(f"{path.name}: damaged: {len(frames)} of {stop} frames decode; copy or export it again")
    return stacked(frames), remarks


@contextlib.contextmanager
def _quietly(path: Path) -> Iterator[None]:
    """Silence the library's warnings and replace its errors, since both may quote header values."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except VideoError:
        raise
    except ModuleNotFoundError:
        raise VideoError(f"{path.name}: reading DICOM needs pydicom 3; run: pip install 'coreecho[dicom]'") from None
    except Exception as error:  # the library raises nearly any type on a damaged file
        raise VideoError(
            f"{path.name}: damaged or unusual DICOM ({type(error).__name__}); export the clip again, uncompressed"
        ) from None
    finally:
        logger.setLevel(level)
