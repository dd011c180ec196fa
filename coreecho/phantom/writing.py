"""What the phantom's writers share: a folder that appears only when it is whole, spread over processes.

The bytes of a phantom depend on its settings alone; ``phantom.json`` holds their fingerprint.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from coreecho.errors import DataError
from coreecho.progress import silent
from coreecho.settings_text import to_dict

MARKER_FILE = "phantom.json"
"""Marks a folder as a phantom; it lies where the readers find the data set's root."""
TRUTH_FILE = "truth.csv"
"""What only a synthetic data set can tell."""
T = TypeVar("T")


def describe(settings: Any, acquisition: Any, version: int) -> dict[str, Any]:
    """What ``phantom.json`` holds: version, settings, and the SHA-256 (hex) over both and the acquisition's ranges."""
    content = {"settings": to_dict(settings), "acquisition": acquisition, "version": version}
    fingerprint = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"version": version, "fingerprint": fingerprint, "settings": content["settings"]}


def write_marker(root: Path, description: dict[str, Any]) -> None:
    """Writes ``phantom.json``."""
    (root / MARKER_FILE).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def holds(root: Path, fingerprint: str) -> bool:
    """Whether ``root`` is marked as the phantom of that fingerprint."""
    try:
        found = json.loads((root / MARKER_FILE).read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(found == fingerprint)


def fill(folder: Path, fingerprint: str, complete: Callable[[], bool], make: Callable[[Path], None]) -> Path:
    """Has ``make`` write into a sibling folder, which takes the name ``folder`` only when all is written.

    Args:
        folder: the folder to make; it may exist, but must be empty.
        fingerprint: the phantom's, for the message.
        complete: tells whether ``folder`` holds this very phantom in full.
        make: writes everything into the folder it is given.

    Raises:
        DataError: ``folder`` holds something else, or the disk refuses.
    """
    refuse_other(folder, fingerprint)
    partial_folder = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}.partial")
    try:
        partial_folder.mkdir(parents=True)
        make(partial_folder)
        if folder.exists():
            folder.rmdir()
        partial_folder.rename(folder)
    except OSError as error:
        if not complete():  # another process may have finished the same phantom first
            raise DataError(
                f"The phantom could not be written to {folder}: {error.strerror or error}. "
                "Free space, change permissions, or name another folder."
            ) from error
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)
    return folder


def refuse_other(folder: Path, fingerprint: str) -> None:
    """Refuses a folder that is not empty.

    Raises:
        DataError: ``folder`` holds something, or is a file.
    """
    try:
        other = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise DataError(
            f"{folder}: the folder cannot be listed ({error.strerror}); change its permissions or name another"
        ) from None
    if other:
        raise DataError(
            f"{folder} exists and is not this phantom in full (fingerprint {fingerprint[:8]}). "
            "Name another folder, or remove this one."
        )


def spread(job: Callable[[int], T], count: int, *, workers: int | None, progress: bool, unit: str) -> list[T]:
    """``job(0)`` to ``job(count - 1)`` in order, from ``workers`` processes (none: as many as there are processors)."""
    with _mapping(min(workers or _processors(), count)) as each:
        made = each(job, range(count))
        return list(tqdm(made, total=count, desc="phantom", unit=unit, disable=silent(progress)))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def _mapping(workers: int) -> Iterator[Any]:
    """A `map` that keeps order: the built-in one, or one that spreads over processes."""
    if workers <= 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield map
        finally:
            cv2.setNumThreads(threads)
        return
    # "spawn" is the one start method that is safe beside PyTorch's threads and the same on every platform.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield partial(pool.map, chunksize=8)


def numbers(*parts: Any) -> dict[str, float]:
    """The fields of a heart, its beat and its view, for the truth's table; the EF has a column of its own."""
    return {key: value for part in parts for key, value in vars(part).items() if key != "ejection_fraction"}


def write_avi(path: Path, video: NDArray[np.uint8], fps: float) -> None:
    """Writes grey (T, H, W) or RGB (T, H, W, 3) frames as Motion-JPEG with three channels.

    Raises:
        DataError: OpenCV was built without the encoder.
    """
    height, width = video.shape[1:3]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (width, height))
    if not writer.isOpened():
        raise DataError(f"{path}: OpenCV cannot encode Motion-JPEG here. Install opencv-python-headless from PyPI.")
    for frame in video:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR if frame.ndim == 2 else cv2.COLOR_RGB2BGR))
    writer.release()
