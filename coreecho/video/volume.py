"""CAMUS's containers: NIfTI (since 2023) and MetaImage mhd/raw (before), as pictures in reading order.

Both store x fastest. Shown as they come from nibabel, (x, y, t), the ventricle lies on its side; here they become
(t, y, x), rows from top to bottom.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreecho.errors import VideoError
from coreecho.video.base import MAX_BYTES, Frames, Video, check_bytes

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
    values = np.nan_to_num(values[: None if last is None else last + 1])
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 255 or (values.dtype.kind == "f" and 0 < high <= 1):
        values = (values.astype(np.float64) - low) * (255 / max(high - low, 1e-12))
        notes += (f"grey values {low:g}..{high:g} stretched to 0..255",)
    grey: Frames = np.rint(values).astype(np.uint8)
    return Video(np.repeat(grey[..., None], 3, axis=-1), None, notes, spacing)  # (T, H, W, 3)


def volume_frames(path: Path) -> int:
    """Number of pictures of a volume, by its header."""
    if path.name.lower().endswith((".mhd", ".mha")):
        return _mhd_shape(path, _mhd_header(path))[0]
    return _time_height_width(path, _open_nifti(path).shape)[0]


def _time_height_width(path: Path, size: tuple[int, ...]) -> tuple[int, int, int]:
    """(T, H, W) from sizes in file order, x first; (x, y), (x, y, t) and (x, y, 1, t) are series of 2D pictures."""
    sides = [int(side) for side in size[:2]] + [int(side) for side in size[2:] if int(side) != 1]
    if len(sides) not in (2, 3):
        raise VideoError(f"{path.name}: {len(size)} dimensions; a series of 2D pictures is needed, not a 3D scan")
    width, height, time = (*sides, 1)[:3]
    return time, height, width


def _open_nifti(path: Path) -> Any:
    try:
        import nibabel
    except ImportError as error:
        raise VideoError(f"{path.name}: reading NIfTI needs nibabel; run: pip install 'coreecho[volume]'") from error
    try:
        return nibabel.load(path)
    except (OSError, EOFError, ValueError, zlib.error, nibabel.filebasedimages.ImageFileError) as error:
        raise VideoError(f"{path.name}: damaged or not NIfTI; copy it again") from error


def _read_nifti(path: Path, limit: int) -> tuple[NDArray[Any], tuple[float, float]]:
    image = _open_nifti(path)
    shape = _time_height_width(path, image.shape)
    check_bytes(path, shape, int(image.get_data_dtype().itemsize), limit)
    try:
        values = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error, gzip.BadGzipFile) as error:
        raise VideoError(f"{path.name}: damaged: the pixel data end too early; copy it again") from error
    width_mm, height_mm = (float(side) for side in image.header.get_zooms()[:2])
    return values.reshape(shape[::-1], order="F").T, (height_mm, width_mm)  # (T, H, W)


def _mhd_header(path: Path) -> dict[str, str]:
    """``Key = value`` lines up to ``ElementDataFile``, after which a .mha file goes on in binary."""
    header: dict[str, str] = {}
    for line in path.read_bytes().splitlines():
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
            f"{path.name}: pixel type {header.get('ElementType', 'missing')} is not read; save it as MET_UCHAR"
        )
    big_endian = header.get("BinaryDataByteOrderMSB", header.get("ElementByteOrderMSB", "False")).lower() == "true"
    dtype = np.dtype((">" if big_endian else "<") + code)
    check_bytes(path, shape, dtype.itemsize, limit)
    size = int(np.prod(shape)) * dtype.itemsize
    data = _mhd_data(path, header, size)
    if len(data) < size:
        raise VideoError(f"{path.name}: its pixel data hold {len(data)} of {size} bytes; copy both files again")
    steps = header.get("ElementSpacing", header.get("ElementSize", "1 1")).split()
    values = np.frombuffer(data, dtype, count=int(np.prod(shape))).reshape(shape).astype(dtype.newbyteorder("="))
    return values, (float(steps[1]), float(steps[0]))  # (T, H, W)


def _mhd_data(path: Path, header: dict[str, str], size: int) -> bytes:
    name = header["ElementDataFile"]
    if name == "LOCAL":
        body = path.read_bytes()
        mark = body.index(b"ElementDataFile")
        data = body[body.index(b"\n", mark) + 1 :]
    else:
        source = path.parent / Path(name.replace("\\", "/")).name
        if not source.is_file():
            raise VideoError(f"{path.name}: its pixel file {source.name} is missing; put it beside the header")
        data = source.read_bytes()
    if header.get("CompressedData", "False").lower() != "true":
        return data
    try:
        return zlib.decompressobj().decompress(data, size)
    except zlib.error as error:
        raise VideoError(
            f"{path.name}: damaged: its compressed pixel data cannot be unpacked; copy it again"
        ) from error
