"""A data set decoded once: a packed store of uint8 frames, mapped into memory instead of decoded at every epoch.

A pack is a folder of two files: ``frames.u8``, the frames of all videos one after another, each (T, C, H, W), and
``index.json``, which says where each video lies and from which file it came. A video whose three channels are equal in
every frame is kept as one channel. Channels lie apart, as clips need them, so that cutting a clip copies whole rows.
Reading gives the bytes that decoding gives; sizes, checksums and the sources' sizes tell a damaged or stale pack from a
good one.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from coreecho.datasets import Study
from coreecho.errors import DataError, SettingsError
from coreecho.progress import silent
from coreecho.settings_text import from_dict
from coreecho.video.base import Frames

FORMAT = 1
DATA_FILE, INDEX_FILE = "frames.u8", "index.json"
REMEDY = "make it again with `coreecho data pack DIR OUT`, or delete it"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One video of a pack."""

    id: str
    """Name of the study."""
    source_bytes: int
    """Size of the file it was decoded from."""
    source_crc: int
    """CRC-32 of that file."""
    offset: int
    """First byte in the data file."""
    frames: int
    height: int
    width: int
    channels: int
    """1 where red, green and blue are equal in every frame, else 3."""
    fps: float | None
    """Frames per second, or none where the source does not say."""
    crc: int
    """CRC-32 of the stored bytes."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, C, H, W) as stored."""
        return self.frames, self.channels, self.height, self.width

    @property
    def bytes(self) -> int:
        """Size in the data file."""
        return self.frames * self.height * self.width * self.channels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Index:
    """What ``index.json`` holds."""

    format: int
    name: str
    """Name of the data set."""
    videos: tuple[Entry, ...]

    @property
    def bytes(self) -> int:
        """Size of the data file."""
        return sum(entry.bytes for entry in self.videos)


class Pack:
    """An opened pack; `open_pack` makes one. It may be handed to loader processes: each maps the file anew."""

    def __init__(self, folder: Path, index: Index) -> None:
        """Takes an index that `open_pack` has checked."""
        self.folder, self.index = folder, index
        self._entries = {entry.id: entry for entry in index.videos}
        self._map: Frames | None = None
        self._checked: set[str] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_map": None}

    def entry(self, name: str) -> Entry:
        """Shape, frame rate and checksums of a video.

        Raises:
            DataError: the pack has no such video.
        """
        if name not in self._entries:
            raise DataError(f"{self.folder}: the pack holds no video {name!r}; {REMEDY}")
        return self._entries[name]

    def stored(self, name: str) -> Frames:
        """A video as it is stored, (T, 1, H, W) or (T, 3, H, W), a read-only view.

        Its checksum is compared the first time a process asks for it.

        Raises:
            DataError: the pack has no such video, or its bytes were changed.
        """
        entry = self.entry(name)
        if self._map is None:
            self._map = np.memmap(self.folder / DATA_FILE, np.uint8, mode="r")
        part = self._map[entry.offset : entry.offset + entry.bytes]
        if name not in self._checked:
            if zlib.crc32(part.data) != entry.crc:
                raise DataError(f"{self.folder}: the pack is damaged at video {name} (checksum); {REMEDY}")
            self._checked.add(name)
        return np.asarray(part).reshape(entry.shape)

    def frames(self, name: str) -> Frames:
        """All frames of a video in RGB, (T, H, W, 3): the bytes that decoding gives, as a read-only view.

        Raises:
            DataError: as `stored`.
        """
        channels_last = self.stored(name).transpose(0, 2, 3, 1)  # (T, C, H, W) -> (T, H, W, C)
        return np.broadcast_to(channels_last, (*channels_last.shape[:3], 3))

    def clip(self, name: str, indices: Sequence[int]) -> Frames:
        """The frames ``indices`` of a video, (len(indices), H, W, 3), a copy.

        Raises:
            DataError: as `stored`, or there is no such frame.
        """
        length = self.entry(name).frames
        if any(not 0 <= index < length for index in indices):
            raise DataError(f"{self.folder}: video {name} has frames 0 to {length - 1}; asked for {list(indices)[:5]}")
        return np.ascontiguousarray(self.frames(name)[np.asarray(indices, dtype=np.int64)])

    def check(self, studies: Sequence[Study], *, contents: bool = False) -> None:
        """Whether the pack was made from these files; videos that are not asked for may be in it too.

        Args:
            studies: what will be read.
            contents: also read every source file and compare its checksum, not only its size.

        Raises:
            DataError: a study is not in the pack, or its file is another one than was packed.
        """
        absent = [study.id for study in studies if study.id not in self]
        if absent:
            raise DataError(
                f"{self.folder}: the pack is stale: {len(absent)} of {len(studies)} videos are not in it "
                f"({', '.join(absent[:3])}{', …' if len(absent) > 3 else ''}); {REMEDY}"
            )
        for study in tqdm(studies, "comparing files", unit="file", leave=False, disable=silent(contents)):
            entry = self.entry(study.id)
            try:
                same = study.path.stat().st_size == entry.source_bytes
                same = same and (not contents or source_crc(study.path) == entry.source_crc)
            except OSError as error:
                raise DataError(f"{study.path}: {error.strerror}; it must stay beside its pack") from None
            if not same:
                raise DataError(f"{self.folder}: the pack is stale: {study.path.name} has changed since; {REMEDY}")

    def verify(self) -> int:
        """Compares the checksum of every video, and returns their number.

        Raises:
            DataError: the bytes of a video were changed; the message names it.
        """
        self._checked.clear()
        for name in tqdm(self, "comparing checksums", unit="video", leave=False, disable=silent()):
            self.stored(name)
        return len(self)


def open_pack(folder: Path | str) -> Pack:
    """A pack, after its index and the size of its data file were checked; no frame is read.

    Raises:
        DataError: the folder is no pack, or one that is damaged or of another version.
    """
    folder = Path(folder)
    try:
        content = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        size = (folder / DATA_FILE).stat().st_size
    except OSError as error:
        missing = Path(error.filename or folder).name
        raise DataError(f"{folder}: not a pack ({missing}: {error.strerror}); {REMEDY}") from None
    except (ValueError, RecursionError):
        raise DataError(f"{folder}: the pack is damaged ({INDEX_FILE} is no JSON); {REMEDY}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{folder}: no pack of format {FORMAT}, the one of this version; {REMEDY}")
    try:
        index = from_dict(Index, content)
    except SettingsError as error:
        raise DataError(f"{folder}: the pack is damaged ({error}); {REMEDY}") from None
    place = 0
    for entry in index.videos:
        if (
            entry.offset != place
            or not 1 <= min(entry.shape) <= max(entry.shape) < 2**31
            or entry.channels not in (1, 3)
        ):
            raise DataError(f"{folder}: the pack is damaged (the index is wrong at video {entry.id:.60}); {REMEDY}")
        place += entry.bytes
    if size != place:
        raise DataError(f"{folder}: the pack is damaged ({DATA_FILE} has {size} bytes instead of {place}); {REMEDY}")
    if len({entry.id for entry in index.videos}) != len(index.videos):
        raise DataError(f"{folder}: the pack is damaged (a video is in the index twice); {REMEDY}")
    return Pack(folder, index)


@functools.lru_cache(maxsize=8)
def cached_pack(folder: Path) -> Pack:
    """As `open_pack`, opened once per process; for loaders, which ask again and again."""
    return open_pack(folder)


def source_crc(path: Path) -> int:
    """CRC-32 of a file, read piece by piece."""
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            crc = zlib.crc32(piece, crc)
    return crc
