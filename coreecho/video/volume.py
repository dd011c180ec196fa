"""CAMUS's containers: NIfTI (since 2023) and MetaImage mhd/raw (before), as pictures in reading order.

Both store x fastest. Shown as they come from nibabel, (x, y, t), the ventricle lies on its side; here they become
(t, y, x), rows from top to bottom.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreecho.errors import VideoError
from coreecho.video.base import MAX_BYTES, Frames, Video, check_bytes, valid_spacing

_HEADER_BYTES = 65536
"""Longest header of either format that is looked at."""
_OFFSET = 16 * 1024**2
"""Furthest into a NIfTI file that its pixels may begin; there may be notes before them."""
ELEMENT_TYPES = {
    "MET_UCHAR": "u1", "MET_CHAR": "i1", "MET_USHORT": "u2", "MET_SHORT": "i2", "MET_UINT": "u4", "MET_INT": "i4",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip


def read_volume(path: Path | str, *, max_bytes: int = MAX_BYTES) -> tuple[NDArray[Any], tuple[float, float]]:
    """Raw values of a NIfTI or MetaImage file, grey levels or mask labels.

    Args:
        path: a .nii, .nii.gz or .mhd file.
        max_bytes: largest size read.

    Returns:
        values of shape (T, H, W) in the file's own type, and the height and width of a pixel in mm.

    Raises:
        VideoError: when the file is missing, damaged, too large, or not a series of 2D pictures.
    """
    path = Path(path)
    if not path.is_file():
        raise VideoError(f"{path}: no such file; check the path")
    if path.name.lower().endswith((".mhd", ".mha")):
        return _read_mhd(path, max_bytes)
    return _read_nifti(path, max_bytes)


def volume_video(path: Path, last: int | None, limit: int) -> Video:
    """A grey volume as a video; values outside of 0..255 are stretched from the lowest to the highest."""
    values, spacing = read_volume(path, max_bytes=limit)
    notes: tuple[str, ...] = ("the format states no frame rate",)
    values = values[: None if last is None else last + 1]
    check_bytes(path, (*values.shape, 3), 1, limit)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    stretch = low < 0 or high > 255 or (values.dtype.kind == "f" and 0 < high <= 1)
    frames: Frames = np.empty((*values.shape, 3), np.uint8)  # (T, H, W, 3)
    for target, picture in zip(frames, values, strict=True):
        if stretch:
            picture = (picture.astype(np.float64) - low) * (255 / max(high - low, 1e-12))
        target[:] = np.rint(picture)[..., None]
    if stretch:
        notes += (f"grey values {low:g}..{high:g} stretched to 0..255",)
    return Video(frames, None, notes, valid_spacing(*spacing))


def volume_frames(path: Path) -> int:
    """Number of pictures of a volume, by its header."""
    if path.name.lower().endswith((".mhd", ".mha")):
        return _mhd_shape(path, _mhd_header(path))[0]
    return _time_height_width(path, _nifti_header(path).get_data_shape())[0]


def _time_height_width(path: Path, size: tuple[int, ...]) -> tuple[int, int, int]:
    """(T, H, W) from sizes in file order, x first; (x, y), (x, y, t) and (x, y, 1, t) are series of 2D pictures."""
    sides = [int(side) for side in size[:2]] + [int(side) for side in size[2:] if int(side) != 1]
    if len(sides) not in (2, 3):
        raise VideoError(f"{path.name}: {len(size)} dimensions; a series of 2D pictures is needed, not a 3D scan")
    width, height, time = (*sides, 1)[:3]
    return time, height, width


def _nifti_header(path: Path) -> Any:
    """The parsed header, from the file's first bytes alone: whatever else it announces is not yet believed."""
    try:
        import nibabel
    except ImportError as error:
        raise VideoError(f"{path.name}: reading NIfTI needs nibabel; run: pip install 'coreecho[volume]'") from error
    head = _nifti_bytes(path, 0, _HEADER_BYTES)
    kind: Any = nibabel.Nifti2Header if head[4:7] in (b"n+2", b"ni2") else nibabel.Nifti1Header
    try:
        header = kind(head[: kind.template_dtype.itemsize])
        header.get_slope_inter(), header.get_data_dtype(), header.get_data_shape(), int(header["vox_offset"])
    except Exception as error:  # the library raises many types on a damaged header
        raise VideoError(f"{path.name}: damaged or not NIfTI; copy it again") from error
    return header


def _nifti_bytes(path: Path, start: int, count: int) -> bytes:
    """Bytes of a file, unpacked if it is a gzip; never more than are asked for are unpacked."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            file.seek(start)
            return file.read(count)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise VideoError(f"{path.name}: damaged: the pixel data end too early; copy it again") from error


def _read_nifti(path: Path, limit: int) -> tuple[NDArray[Any], tuple[float, float]]:
    header = _nifti_header(path)
    shape = _time_height_width(path, header.get_data_shape())
    dtype, (slope, intercept) = header.get_data_dtype(), header.get_slope_inter()
    scaled = (slope, intercept) not in ((None, None), (1, 0))
    if dtype.kind not in "uif" or dtype.itemsize > 8:
        raise VideoError(f"{path.name}: pixel type {dtype} is not read; save it as uint8")
    check_bytes(path, shape, 8 if scaled else dtype.itemsize, limit)
    apart = bytes(header["magic"])[:2] == b"ni"  # pixels in a second file
    source = path.with_suffix(".img") if apart else path
    if not source.is_file():
        raise VideoError(f"{path.name}: its pixel file {source.name} is missing; put it beside the header")
    start = int(header["vox_offset"]) if apart else max(int(header["vox_offset"]), header.template_dtype.itemsize)
    if not 0 <= start <= _OFFSET:
        raise VideoError(f"{path.name}: damaged or not NIfTI; copy it again")
    size = math.prod(shape) * dtype.itemsize
    data = _nifti_bytes(source, start, size)
    if len(data) < size:
        raise VideoError(f"{path.name}: damaged: the pixel data end too early; copy it again")
    values = np.frombuffer(data, dtype).reshape(shape)  # (T, H, W): x runs fastest
    if scaled:
        values = values * slope + (intercept or 0)
    width_mm, height_mm = (float(side) for side in header.get_zooms()[:2])
    return values.astype(values.dtype.newbyteorder("="), copy=False), (height_mm, width_mm)


def _mhd_header(path: Path) -> dict[str, str]:
    """``Key = value`` lines up to ``ElementDataFile``, after which a .mha file goes on in binary."""
    header: dict[str, str] = {}
    with path.open("rb") as file:
        lines = file.read(_HEADER_BYTES).splitlines()
    for line in lines:
        key, separator, value = line.decode("latin-1").partition("=")
        if not separator:
            break
        header[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            return header
    raise VideoError(f"{path.name}: not a MetaImage header (no ElementDataFile line); copy it again")


def _mhd_shape(path: Path, header: dict[str, str]) -> tuple[int, int, int]:
    try:
        return _time_height_width(path, tuple(int(side) for side in header["DimSize"].split()))
    except (KeyError, ValueError) as error:
        raise VideoError(f"{path.name}: the DimSize line is missing or not numbers; copy it again") from error


def _read_mhd(path: Path, limit: int) -> tuple[NDArray[Any], tuple[float, float]]:
    header = _mhd_header(path)
    shape = _mhd_shape(path, header)
    code = ELEMENT_TYPES.get(header.get("ElementType", ""))
    if code is None or header.get("ElementNumberOfChannels", "1") != "1":
        raise VideoError(
            f"{path.name}: pixel type {header.get('ElementType', 'missing'):.40} is not read; save it as MET_UCHAR"
        )
    big_endian = header.get("BinaryDataByteOrderMSB", header.get("ElementByteOrderMSB", "False")).lower() == "true"
    dtype = np.dtype((">" if big_endian else "<") + code)
    check_bytes(path, shape, dtype.itemsize, limit)
    size = math.prod(shape) * dtype.itemsize
    data = _mhd_data(path, header, size)
    if len(data) < size:
        raise VideoError(f"{path.name}: its pixel data hold {len(data)} of {size} bytes; copy both files again")
    values = (
        np.frombuffer(data, dtype, count=math.prod(shape)).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    )
    return values, _mhd_spacing(path, header)  # (T, H, W)


def _mhd_spacing(path: Path, header: dict[str, str]) -> tuple[float, float]:
    """Height and width of a pixel in mm."""
    try:
        width, height = map(float, header.get("ElementSpacing", header.get("ElementSize", "1 1")).split()[:2])
    except ValueError:
        raise VideoError(f"{path.name}: the ElementSpacing line is not two or three numbers; copy it again") from None
    return height, width


def _mhd_data(path: Path, header: dict[str, str], size: int) -> bytes:
    """At most ``size`` bytes of pixels, from the rest of the file or from the one beside it; never from elsewhere."""
    name, source, start = header["ElementDataFile"], path, 0
    packed = header.get("CompressedData", "False").lower() == "true"
    if name == "LOCAL":
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
        start = head.find(b"\n", head.find(b"ElementDataFile")) + 1
    else:
        source = path.parent / Path(name.replace("\\", "/")).name
        if len(source.name.encode()) > 255 or not source.is_file():
            raise VideoError(f"{path.name}: its pixel file {source.name:.60} is missing; put it beside the header")
    try:
        with source.open("rb") as file:
            file.seek(start)
            return zlib.decompressobj().decompress(file.read(2 * size), size) if packed else file.read(size)
    except (OSError, zlib.error) as error:
        raise VideoError(f"{path.name}: damaged: its pixel data cannot be unpacked; copy it again") from error
