"""The phantom written in EchoNet-Dynamic's on-disk format, so that the same loader reads both (section 3, data sets).

    FileList.csv  VolumeTracings.csv  Videos/PH000001.avi ...      what the real set has
    truth.csv  phantom.json                                        what only a synthetic set can have

The listed volumes are a reader's (`coreecho.phantom.case`); training never sees the true ones of ``truth.csv``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import multiprocessing
import os
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pandas as pd
from tqdm import tqdm

from coreecho.errors import DataError, SettingsError
from coreecho.phantom.case import Case, sample_case, tracing
from coreecho.phantom.ultrasound import render
from coreecho.phantom.view import Acquisition
from coreecho.settings import PhantomSettings, to_dict

PHANTOM_VERSION: int = 1
"""Version of the generator, raised by hand whenever the same settings give other files."""


def fingerprint(settings: PhantomSettings) -> str:
    """SHA-256 (hex) over settings, ranges of acquisition and generator version: what decides the phantom's content."""
    content = {"settings": to_dict(settings), "acquisition": to_dict(Acquisition()), "version": PHANTOM_VERSION}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def is_complete(folder: Path, settings: PhantomSettings) -> bool:
    """Whether ``folder`` holds this very phantom with all its files."""
    try:
        found = json.loads((folder / "phantom.json").read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    lists = all((folder / name).is_file() for name in ("FileList.csv", "VolumeTracings.csv", "truth.csv"))
    count = settings.train + settings.val + settings.test
    return bool(found == fingerprint(settings)) and lists and len(list((folder / "Videos").glob("*.avi"))) == count


def write_echonet(
    folder: Path, settings: PhantomSettings, *, workers: int | None = None, progress: bool = True
) -> Path:
    """Write the phantom described by ``settings`` into ``folder``, unless it is there already; return ``folder``.

    The files are made in a sibling folder that takes its name only when all is written. The content depends on the
    settings alone, not on ``workers`` (processes; as many as there are processors when none is given).

    Raises:
        SettingsError: ``settings`` ask for no video or no frame.
        DataError: ``folder`` holds something else, or a video cannot be encoded.
    """
    folder = Path(folder)
    if is_complete(folder, settings):
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            f"{folder} exists and is not this phantom in full (fingerprint {fingerprint(settings)[:8]}). "
            "Name another folder, or remove this one."
        )
    count = settings.train + settings.val + settings.test
    if count < 1 or not 1 <= settings.min_frames <= settings.max_frames:
        raise SettingsError(
            f"A phantom of {count} videos of {settings.min_frames} to {settings.max_frames} frames cannot be made. "
            "Ask for at least one video, and min_frames from 1 to max_frames."
        )
    partial_folder = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}.partial")
    try:
        (partial_folder / "Videos").mkdir(parents=True)
        with _mapping(min(workers or _processors(), count)) as each:
            made = each(partial(_write_video, partial_folder / "Videos", settings), range(count))
            cases = list(tqdm(made, total=count, desc="phantom", unit="video", disable=None if progress else True))
        _write_lists(partial_folder, settings, cases)
        if folder.exists():
            folder.rmdir()
        partial_folder.rename(folder)
    except OSError as error:
        if not is_complete(folder, settings):  # another process may have finished the same phantom first
            raise DataError(f"The phantom could not be written to {folder}: {error}.") from error
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)
    return folder


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


def _write_video(folder: Path, settings: PhantomSettings, index: int) -> Case:
    """Render video ``index`` into ``folder`` (Motion-JPEG, three equal channels) and return what it shows."""
    case, rng = sample_case(settings, index)
    video = render(
        rng, case.heart, case.beat, case.view, size=settings.size, frames=case.frames, fps=settings.fps
    )  # (T, H, W)
    path = folder / f"{case.name}.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), settings.fps, (settings.size, settings.size))
    if not writer.isOpened():
        raise DataError(f"{path}: OpenCV cannot encode Motion-JPEG here. Install opencv-python-headless from PyPI.")
    for frame in video:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    return case


def _write_lists(folder: Path, settings: PhantomSettings, cases: list[Case]) -> None:
    listed, truth, traced = [], [], []
    for case in cases:
        shape = {"FrameHeight": settings.size, "FrameWidth": settings.size, "FPS": settings.fps}
        volumes = {"EF": case.listed_ef, "ESV": case.listed_esv, "EDV": case.listed_edv}
        listed.append({"FileName": case.name, **volumes, **shape, "NumberOfFrames": case.frames, "Split": case.split})
        diastole, systole = case.beat.frames(case.frames, settings.fps)
        truth.append(
            {
                "FileName": case.name,
                "Split": case.split,
                "EF": case.heart.ejection_fraction,
                "ESV": case.heart.volume(1.0),
                "EDV": case.heart.volume(0.0),
                "EDFrame": diastole,
                "ESFrame": systole,
                "PixelSize": case.view.pixel_size(case.heart, settings.size),
                **{key: value for part in (case.heart, case.beat, case.view) for key, value in _numbers(part).items()},
            }
        )
        for frame, at_systole in ((systole, True), (diastole, False)):
            for row in tracing(case, settings, systole=at_systole):
                traced.append((f"{case.name}.avi", *row, frame))
    pd.DataFrame(listed).to_csv(folder / "FileList.csv", index=False)
    pd.DataFrame(truth).to_csv(folder / "truth.csv", index=False)
    columns = ["FileName", "X1", "Y1", "X2", "Y2", "Frame"]
    pd.DataFrame(traced, columns=columns).to_csv(folder / "VolumeTracings.csv", index=False, float_format="%.6f")
    content = {"version": PHANTOM_VERSION, "fingerprint": fingerprint(settings), "settings": to_dict(settings)}
    (folder / "phantom.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _numbers(part: Any) -> dict[str, float]:
    return {key: value for key, value in dataclasses.asdict(part).items() if key != "ejection_fraction"}
