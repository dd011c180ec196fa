"""Some frames of a Motion-JPEG AVI without decoding the others (EchoNet-Dynamic's videos are such files).

Every frame of such a file is a JPEG picture. A copy of the file with the wanted pictures alone decodes to the same
bytes as they have in the whole file, if each holds all tables that it is coded with; that is looked up in the pictures.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

from coreecho.errors import VideoError
from coreecho.video.avi import read_opencv
from coreecho.video.base import MAX_BYTES, Frames
from coreecho.video.containers import chunks

START, QUANTISATION, HUFFMAN, BASELINE, SCAN = 0xD8, 0xDB, 0xC4, 0xC0, 0xDA
"""JPEG markers: start of a picture, its two kinds of tables, size and components of a baseline picture, its data."""


def read_pictures(path: Path, wanted: Sequence[int]) -> Frames | None:
    """Decodes some frames of a Motion-JPEG AVI.

    Args:
        path: the file; `coreecho.video.containers.inspect_avi` must have found it whole and Motion-JPEG.
        wanted: indices of frames, ascending.

    Returns:
        (len(wanted), H, W, 3) in RGB, the bytes that `coreecho.video.read_video` gives; or nothing where the file does
        not allow it.
    """
    content = excerpt(path, wanted)
    if content is None:
        return None
    try:
        with tempfile.NamedTemporaryFile(suffix=".avi") as file:
            file.write(content)
            file.flush()
            frames = read_opencv(Path(file.name), "other", len(wanted) - 1, None, MAX_BYTES).frames
    except (VideoError, OSError):  # not decodable by itself, or no room for a temporary file
        return None
    return frames if len(frames) == len(wanted) else None


def excerpt(path: Path, wanted: Sequence[int]) -> bytes | None:
    """The file with the wanted pictures alone, or nothing where one is missing or not complete by itself."""
    content, pictures, begin = path.read_bytes(), [], 0
    with path.open("rb") as file:
        for name, start, end in chunks(file, 0, len(content)):
            if name == b"LISTmovi" and not begin:
                begin = start + 4
            elif name[:2].isdigit() and name[2:] in (b"dc", b"db") and end > start:
                pictures.append((start, end))
    if not begin or wanted[-1] >= len(pictures):
        return None
    parts = [content[:begin]]
    for index in wanted:
        start, end = pictures[index]
        if not complete(content[start:end]):
            return None
        parts.append(content[start - 8 : end] + b"\0" * ((end - start) % 2))
    whole = bytearray().join(parts)
    struct.pack_into("<I", whole, 4, len(whole) - 8)  # the sizes of the file and of its list of pictures
    struct.pack_into("<I", whole, begin - 8, len(whole) - begin + 4)
    return bytes(whole)


def complete(picture: bytes) -> bool:
    """Whether a baseline JPEG picture defines every table that it uses, so that no picture before it matters."""
    if picture[:2] != bytes((0xFF, START)):
        return False
    defined: set[tuple[int, int]] = set()
    used: set[tuple[int, int]] = set()
    place = 2
    try:
        while picture[place] == 0xFF:
            marker, size = picture[place + 1], int.from_bytes(picture[place + 2 : place + 4])
            body = picture[place + 4 : place + 2 + size]
            if marker in (QUANTISATION, HUFFMAN):
                defined |= {(marker, name) for name in _tables(body, marker)}
            elif marker == BASELINE:
                used |= {(QUANTISATION, name) for name in body[8::3]}
            elif marker == SCAN:
                for pair in body[2 : 2 + 2 * body[0] : 2]:
                    used |= {(HUFFMAN, pair >> 4), (HUFFMAN, 0x10 | pair & 15)}
                return any(kind == QUANTISATION for kind, _ in used) and used <= defined
            place += 2 + size
    except IndexError:
        pass
    return False


def _tables(body: bytes, marker: int) -> list[int]:
    """The names of the tables in a segment: number, and for Huffman ones also 0x10 where they are of kind AC."""
    names, place = [], 0
    while place < len(body):
        name = body[place]
        names.append(name & 15 if marker == QUANTISATION else name)
        place += 65 + 64 * (name >> 4) if marker == QUANTISATION else 17 + sum(body[place + 1 : place + 17])
    return names
