"""Every video and outline decoded once: what is damaged, and how many seconds a clip of the paper covers.

A clip is 36 frames, every fourth one, whatever the frame rate (section 3; gaps A): 2.8 s at 50 frames a second, 5.6 s
at 25. A shorter video is extended with black, as the released code does; black becomes -0.65 after normalisation.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from coreecho.datacheck.report import SHOWN, Report
from coreecho.datasets import Study
from coreecho.errors import DataError
from coreecho.progress import silent
from coreecho.settings import ClipSettings
from coreecho.study_video import read_mask, read_study
from coreecho.video import Video, read_video

T = TypeVar("T")
CLIP = ClipSettings()
"""The paper's clip on EchoNet-Dynamic."""


@dataclass(frozen=True)
class _Look:
    """What decoding one file showed."""

    name: str
    frames: int = 0
    fps: float | None = None
    size: str = ""
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """Time from the first to the last real frame of the paper's clip."""
        return None if self.fps is None else (min(CLIP.span, self.frames) - 1) / self.fps


def decode_studies(report: Report) -> None:
    """Decodes the usable studies of a data set, with their outlines, and adds what it shows to the report."""
    _add(report, _each(report.studies, _look_at_study), clips=report.name not in ("CAMUS", "HMC-QU"))


def decode_files(report: Report, paths: Sequence[Path]) -> None:
    """Decodes loose files and adds what it shows to the report."""
    _add(report, _each(paths, lambda path: _looked(path.name, read_video(path))), clips=True)


def _each(items: Sequence[T], look: Callable[[T], _Look]) -> list[_Look]:
    def safe(item: T) -> _Look:
        try:
            return look(item)
        except DataError as error:
            return _Look(getattr(item, "name", ""), problems=(str(error),))

    with ThreadPoolExecutor(max(1, min(16, os.cpu_count() or 1))) as pool:
        return list(tqdm(pool.map(safe, items), total=len(items), desc="decode", unit="video", disable=silent()))


def _looked(name: str, video: Video, problems: tuple[str, ...] = ()) -> _Look:
    height, width = video.frames.shape[1:3]
    return _Look(name, len(video), video.fps, f"{width}x{height}", video.notes, problems)


def _look_at_study(study: Study) -> _Look:
    video = read_study(study)
    try:
        read_mask(study)
    except DataError as error:
        return _looked(study.path.name, video, (str(error),))
    return _looked(study.path.name, video)


def _add(report: Report, looks: list[_Look], clips: bool) -> None:
    report.damaged += [problem for look in looks for problem in look.problems]
    good = [look for look in looks if look.frames]
    if not good:
        return
    lengths = [look.frames for look in good]
    report.remarks.append(f"{len(good)} of {len(looks)} videos decode; {min(lengths)} to {max(lengths)} frames")
    sizes = Counter(look.size for look in good).most_common()
    report.remarks.append("frame size: " + ", ".join(f"{size} ({count})" for size, count in sizes[:SHOWN]))
    for look in good:
        odd = [note for note in look.notes if "announces" in note]
        report.remarks += [f"{look.name}: {note}" for note in odd]
    if clips:
        report.remarks += _clip_remarks(good)


def _clip_remarks(looks: list[_Look]) -> list[str]:
    timed = sorted((look for look in looks if look.seconds is not None), key=lambda look: look.seconds or 0)
    told = [f"{look.name} {look.seconds:.2g} s ({look.frames} frames at {look.fps:g} fps)" for look in timed]
    shown = told if len(told) <= SHOWN else [told[0], told[len(told) // 2], told[-1]]
    remarks = []
    if told:
        remarks.append(
            f"a clip of {CLIP.frames} frames at stride {CLIP.stride} covers, at whatever frame rate: {', '.join(shown)}"
        )
    short = [look.name for look in looks if look.frames < CLIP.span]
    if short:
        remarks.append(
            f"{len(short)} videos have fewer than the {CLIP.span} frames of a clip and are extended with black (raw 0, "
            f"the released code's rule, which is -0.65 after normalising): {', '.join(short[:SHOWN])}"
        )
    return remarks
