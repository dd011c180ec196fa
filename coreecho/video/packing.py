"""Making a pack (`coreecho.video.pack`), every video of a data set decoded once, all or nothing; finding it again."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from coreecho.datasets import Dataset, Study
from coreecho.errors import DataError
from coreecho.progress import silent
from coreecho.settings_text import to_dict
from coreecho.video.base import Frames, Video
from coreecho.video.pack import DATA_FILE, FORMAT, INDEX_FILE, Entry, Index, Pack, cached_pack, open_pack, source_crc
from coreecho.video.read import count_frames, read_video

SAMPLE = 6
"""Videos that are decoded to estimate the size of a pack."""
AHEAD = 4
"""Videos that are decoded at a time, in as many threads; bounds the memory."""


def write_pack(data: Dataset, out: str | Path, *, progress: bool = True) -> Pack:
    """Decodes every video of a data set into a packed store; a pack that is there is replaced at the end.

    Args:
        data: the data set; all of its usable studies are packed.
        out: folder to make.
        progress: show a bar on a terminal.

    Raises:
        DataError: a video cannot be read, the disk is too small, or ``out`` is something else than a pack.
    """
    out = Path(out)
    partial, old = out.with_name(f".{out.name}.partial"), out.with_name(f".{out.name}.old")
    try:
        if out.exists() and not (out / INDEX_FILE).is_file() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(f"{out} exists and is no pack; name a folder that is empty or does not exist")
        out.parent.mkdir(parents=True, exist_ok=True)
        _check_space(data, out)
        with FileLock(out.with_name(f".{out.name}.lock"), timeout=0):
            shutil.rmtree(partial, ignore_errors=True)  # what a killed run left
            partial.mkdir()
            try:
                _fill(data, partial, progress=progress)
                if out.exists():
                    shutil.rmtree(old, ignore_errors=True)
                    out.rename(old)
                partial.rename(out)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
                shutil.rmtree(old, ignore_errors=True)
    except Timeout:
        raise DataError(f"{out} is being written by another process; wait for it, or choose another folder") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{out} could not be written: {reason}; free space or choose another folder") from None
    return open_pack(out)


def estimate_bytes(studies: Sequence[Study]) -> int:
    """Size of a pack of these studies, from all frame counts and a sample of decoded videos.

    Raises:
        VideoError: a video cannot be read.
    """
    chosen = {int(index) for index in np.linspace(0, len(studies) - 1, SAMPLE)} if studies else set()
    sample = [_planes(read_video(studies[index].path, min_frames=1).frames) for index in chosen]
    per_frame = sum(frames.nbytes for frames in sample) / max(1, sum(len(frames) for frames in sample))
    return round(per_frame * sum(count_frames(study.path) for study in studies))


def find_pack(root: str | Path) -> Path | None:
    """The pack that lies in a data set's folder (``root/pack``) or beside it (``root.pack``), if there is one."""
    root = Path(root)
    for folder in (root / "pack", root.with_name(f"{root.name}.pack")):
        if (folder / INDEX_FILE).is_file():
            return folder
    return None


def attach_pack(data: Dataset, folder: str | Path | None = None) -> Dataset:
    """The same data set, its frames read from a pack: ``folder``, or the one that `find_pack` finds, if there is one.

    Neither labels nor fingerprint change, so a run's key and numbers are the same with and without it.

    Raises:
        DataError: the pack is damaged, or stale; it is never silently passed over.
    """
    folder = folder or find_pack(data.root)
    if folder is None:
        return data
    folder = Path(folder).resolve()  # loader processes and later steps may run elsewhere
    cached_pack.cache_clear()  # it may have been made anew since
    cached_pack(folder).check(data.studies)
    return dataclasses.replace(data, studies=tuple(dataclasses.replace(study, pack=folder) for study in data.studies))


def _check_space(data: Dataset, out: Path) -> None:
    need, free = estimate_bytes(data.studies), shutil.disk_usage(out.parent).free
    if need * 1.05 > free:
        raise DataError(
            f"{out}: a pack of {len(data.studies)} videos takes about {_size(need)}, and {_size(free)} are free; "
            "free space or choose another folder"
        )


def _fill(data: Dataset, folder: Path, *, progress: bool) -> None:
    entries: list[Entry] = []
    with (folder / DATA_FILE).open("wb") as file:
        videos = _decoded(data.studies)
        for study, video, crc in tqdm(
            videos, total=len(data.studies), desc="packing", unit="video", disable=silent(progress)
        ):
            entries.append(_append(file, study, video, crc))
        file.flush()
        os.fsync(file.fileno())
    index = Index(format=FORMAT, name=data.name, videos=tuple(entries))
    (folder / INDEX_FILE).write_text(json.dumps(to_dict(index), indent=0), encoding="utf-8")


def _append(file: BinaryIO, study: Study, video: Video, crc: int) -> Entry:
    frames = _planes(video.frames)
    count, channels, height, width = frames.shape
    offset = file.tell()
    file.write(frames.data)
    return Entry(
        id=study.id,
        source_bytes=study.path.stat().st_size,
        source_crc=crc,
        offset=offset,
        frames=count,
        height=height,
        width=width,
        channels=channels,
        fps=video.fps,
        crc=zlib.crc32(frames.data),
    )


def _decoded(studies: Sequence[Study]) -> Iterator[tuple[Study, Video, int]]:
    """Every study with its video and its file's checksum, in order; some are decoded ahead in threads."""

    def decode(study: Study) -> tuple[Study, Video, int]:
        return study, read_video(study.path, min_frames=1), source_crc(study.path)

    with ThreadPoolExecutor(min(AHEAD, os.cpu_count() or 1)) as pool:
        for first in range(0, len(studies), AHEAD):
            yield from pool.map(decode, studies[first : first + AHEAD])


def _planes(frames: Frames) -> Frames:
    """Frames (T, H, W, 3) as (T, 1, H, W) where the three channels are equal, else as (T, 3, H, W); contiguous."""
    red = frames[..., :1]
    grey = np.array_equal(red, frames[..., 1:2]) and np.array_equal(red, frames[..., 2:])
    return np.ascontiguousarray((red if grey else frames).transpose(0, 3, 1, 2))


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
