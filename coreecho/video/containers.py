"""Is a video file whole? The container's own sizes tell, before any frame is decoded.

An AVI header's frame count is wrong in both directions in practice. What cannot be wrong unnoticed is the structure:
RIFF chunks (AVI) and boxes (MP4, MOV) carry their sizes, so a file that was cut in copying ends inside of one, and the
frame chunks of an AVI can be counted without decoding them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

Chunk = tuple[bytes, int, int]


@dataclass(frozen=True)
class Layout:
    """What the structure of a container says of its frames."""

    cut: bool = False
    """The file ends inside of a chunk: it was cut off, or its recording never finished."""
    stored: int | None = None
    """Picture chunks that hold data (AVI only)."""
    announced: int | None = None
    """Frame count in the header (AVI only)."""
    intra: bool = False
    """Every frame is a picture of its own (Motion-JPEG), so each stored chunk must decode."""


def inspect_avi(path: Path) -> Layout:
    """Walk the RIFF chunks of an AVI file.

    Args:
        path: an AVI file, one or several RIFF parts (OpenDML).

    Returns:
        whether it is cut, and how many frames it stores and announces.
    """
    total = path.stat().st_size
    cut, stored, announced, codec = False, 0, None, b""
    with path.open("rb") as file:
        for name, start, end in chunks(file, 0, total):
            cut = cut or end > total
            if name not in (b"strh", b"avih"):
                stored += name[:2].isdigit() and name[2:] in (b"dc", b"db") and end > start
                continue
            file.seek(start)
            head = file.read(56)
            if name == b"strh" and head[:4] == b"vids":
                codec = head[4:8]
            elif name == b"avih" and len(head) >= 20:
                announced = struct.unpack_from("<I", head, 16)[0]
    return Layout(cut, stored, announced, codec.upper() in (b"MJPG", b"MJPEG", b"AVRN", b"JPEG"))


def inspect_mp4(path: Path) -> Layout:
    """Walk the top-level boxes of an MP4 or MOV file: one that runs past the end, or no index (moov), means cut."""
    total, place, names = path.stat().st_size, 0, set()
    with path.open("rb") as file:
        while place + 8 <= total:
            file.seek(place)
            head = file.read(16)
            size, name = struct.unpack(">I4s", head[:8])
            if size == 1 and len(head) == 16:
                size = struct.unpack(">Q", head[8:])[0]
            names.add(name)
            if size < 8 and size != 0:
                break  # not a box: bytes appended to the file
            place = total if size == 0 else place + int(size)
    return Layout(cut=place > total or b"moov" not in names)


def chunks(file: BinaryIO, start: int, end: int, depth: int = 0) -> Iterator[Chunk]:
    """Name, first and last byte of each chunk in [start, end), parents before their parts (an AVI nests four deep)."""
    place = start
    while place + 8 <= end:
        file.seek(place)
        head = file.read(12)
        name, size = struct.unpack("<4sI", head[:8])
        inside, stop = place + 8, place + 8 + size
        if name == b"\0\0\0\0" or (depth == 0 and name != b"RIFF"):
            return  # bytes appended to the file, not chunks
        if name in (b"RIFF", b"LIST") and len(head) == 12 and depth < 6:
            if size in (0, 0xFFFFFFFF):
                stop = end  # a live recording leaves its sizes open
            yield name + head[8:], inside, stop
            yield from chunks(file, inside + 4, min(stop, end), depth + 1)
        else:
            yield name, inside, stop
        place = stop + (stop - inside) % 2
