"""HMC-QU's outlines: one numeric array of a MATLAB file (version 5, the format that MATLAB 5 to 7.2 write).

Read here and not by a library, since the usual one's compiled code crashes on damaged files and takes the program with
it. The format is a series of elements, each a type, a size and content; compressed ones hold another element.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreecho.errors import VideoError

MAT_BYTES = 128 * 1024**2
"""Largest file and element that is read; 100 outlines of 224 x 224 as float64 take 40 MB."""
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_HEADER_BYTES = 128


def read_array(path: Path, name: str) -> NDArray[Any] | None:
    """The real numeric array ``name``, in its stored type, or none when the file holds no such thing.

    Raises:
        VideoError: when the file is missing, damaged, or takes too much memory.
    """
    try:
        content = path.read_bytes() if path.stat().st_size <= MAT_BYTES else b""
    except OSError as error:
        raise VideoError(f"{path.name}: cannot be opened ({error.strerror}); give a readable .mat file") from None
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise VideoError(f"{path.name}: not a readable .mat file of version 5; copy it again")
    try:
        for kind, part in _elements(memoryview(content)[_HEADER_BYTES:], order):
            if kind == _COMPRESSED:
                kind, part = next(_elements(_unpacked(path, part), order))
            array = _array(part, order, name) if kind == _MATRIX else None
            if array is not None:
                return array
    except (ValueError, StopIteration, zlib.error):
        raise VideoError(f"{path.name}: not a readable .mat file (damaged); copy it again") from None
    return None


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of each element; numbers of four bytes or fewer lie within the tag itself."""
    place, endian = 0, "little" if order == "<" else "big"
    while place + 8 <= len(content):
        kind, size = (int.from_bytes(content[place + at : place + at + 4], endian) for at in (0, 4))  # type: ignore[arg-type]
        if kind >> 16:
            kind, size, start, place = kind & 0xFFFF, kind >> 16, place + 4, place + 8
        else:
            start, place = place + 8, place + 8 + size + (0 if kind == _COMPRESSED else -size % 8)
        if start + size > len(content):
            raise ValueError("an element runs past the end")
        yield kind, content[start : start + size]


def _unpacked(path: Path, part: memoryview) -> memoryview:
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(part, MAT_BYTES)
    if unpacker.unconsumed_tail:
        raise VideoError(f"{path.name}: unpacks to more than outlines of one cycle take; copy it again")
    return memoryview(content)


def _array(part: memoryview, order: str, name: str) -> NDArray[Any] | None:
    """The array of a matrix element if it has that name and is real and numeric: flags, sides, name, values."""
    inside = _elements(part, order)
    (_, flags), (_, sides), (_, label) = next(inside), next(inside), next(inside)
    if bytes(label) != name.encode():
        return None
    kind, values = next(inside)
    shape = tuple(int(side) for side in np.frombuffer(sides, f"{order}i4"))
    if kind not in NUMBERS or min(shape, default=0) < 0 or int(np.frombuffer(flags, f"{order}u4")[0]) & 0x0800:
        return None
    array = np.frombuffer(values, order + NUMBERS[kind])
    if array.size != math.prod(shape):
        raise ValueError("fewer or more values than the sides say")
    return array.reshape(shape, order="F")
