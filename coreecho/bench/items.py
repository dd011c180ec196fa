"""Items of a batch (section 3): two clips of a video, beside decoding the whole video once for each, as published."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from coreecho.bench.measure import Action, Sides, benchmark
from coreecho.bench.videos import decode_whole, write_noise
from coreecho.clips import Frames, random_starts
from coreecho.datasets import Dataset, Study
from coreecho.loading import ClipDataset
from coreecho.settings import ClipSettings
from coreecho.video.packing import attach_pack, write_pack

VIDEO = "video"


@benchmark(
    "items",
    "two 36-frame clips of a 175-frame AVI, no cache; literal: the whole video decoded for each clip",
    goal="≥ 3×",
    repeats=15,
)
def bench_items(frames: int = 175) -> Iterator[Sides]:
    """One decode as far as the clips reach, of the frames that they show."""
    with _study(frames) as study:
        yield Sides(literal=_literal(study, frames), ours=_ours(study))


@benchmark(
    "items-pack",
    "the same two clips from a pack; literal: the whole video decoded for each clip",
    goal="≥ 50×",
    repeats=15,
)
def bench_items_pack(frames: int = 175) -> Iterator[Sides]:
    """The same from the frames that `coreecho data pack` stored."""
    with _study(frames) as study:
        folder = study.path.parent
        data = Dataset(name="bench", root=folder, studies=(study,))
        write_pack(data, folder / "pack", progress=False)
        packed = attach_pack(data, folder / "pack").studies[0]
        yield Sides(literal=_literal(study, frames), ours=_ours(packed))


def _literal(study: Study, frames: int) -> Action:
    clip = ClipSettings()
    starts = random_starts(clip, 2, 0)

    def action() -> Frames:
        shown = [slice(start, start + clip.span, clip.stride) for start in starts(VIDEO, frames, 0)]
        return np.stack([decode_whole(study.path)[part] for part in shown])

    return action  # (V, T, H, W, 3)


def _ours(study: Study) -> Action:
    clip = ClipSettings()
    data = ClipDataset([study], clip, random_starts(clip, 2, 0), cache_bytes=0)
    return lambda: data[(0, 0)].clips  # (V, 3, T, H, W)


@contextmanager
def _study(frames: int) -> Iterator[Study]:
    """A temporary Motion-JPEG AVI of smooth noise, 112 x 112 as EchoNet-Dynamic's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{VIDEO}.avi"
        write_noise(path, frames, ClipSettings().size, np.random.default_rng(0))
        yield Study(id=VIDEO, path=path, label=55.0, split="train")
