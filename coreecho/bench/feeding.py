"""Whether reading videos keeps the trainer waiting: the share of a training epoch's time, reading included.

The demo's network is trained on the demo's clips, 16 videos a step, from a folder of videos that are as long as the
real ones and not kept in memory. The published way decodes a whole video for each clip, between the steps.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from coreecho.batches import Batch, Item
from coreecho.bench.measure import Action, Sides, benchmark
from coreecho.bench.videos import decode_whole, write_noise
from coreecho.clips import StartRule, random_starts
from coreecho.datasets import Dataset, Study
from coreecho.feeding import Feed
from coreecho.loading import ClipDataset, make_loader
from coreecho.model import build_model
from coreecho.objectives import EndToEnd
from coreecho.profiles import get_profile
from coreecho.video.packing import attach_pack, write_pack

DEMO = get_profile("demo")
BATCH = DEMO.shared.batch_size
FRAMES = 175
"""Frames of a video."""
PASSES = 6
"""How often our epoch shows each video: 24 steps, of which the first has to wait for its batch in any case."""
WHAT = "trainer waiting for data, % of an epoch's time, demo network"


@benchmark("feeding", f"{WHAT}; literal: whole video decoded for each clip", goal="≤ 5 %", repeats=3, unit="%")
def bench_feeding(videos: int = 64) -> Iterator[Sides]:
    """One decode an item, of what the clips need, while the step before runs."""
    with _folder(videos) as data:
        yield Sides(literal=_literal(data), ours=_ours(data))


@benchmark("feeding-pack", f"{WHAT}, from a pack; literal: as above", goal="≤ 5 %", repeats=3, unit="%")
def bench_feeding_pack(videos: int = 64) -> Iterator[Sides]:
    """The same from the frames that `coreecho data pack` stored."""
    with _folder(videos) as data:
        write_pack(data, data.root / "pack", progress=False)
        yield Sides(literal=_literal(data), ours=_ours(attach_pack(data)))


class _WholeTwice(ClipDataset):
    """Items as published: the whole video decoded for each clip."""

    def __getitem__(self, key: tuple[int, int] | int) -> Item:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        study = self.studies[index]
        starts = tuple(self.starts(study.id, FRAMES, epoch))
        shown = [slice(start, start + self.clip.span, self.clip.stride) for start in starts]
        clips = np.stack([decode_whole(study.path)[part] for part in shown])  # (V, T, H, W, 3)
        return Item(torch.from_numpy(clips.transpose(0, 4, 1, 2, 3).copy()), study.label, study.id, starts)


def _literal(data: Dataset) -> Action:
    loader = make_loader(_WholeTwice(data.studies, DEMO.clip, _starts(), cache_bytes=0), BATCH, shuffle=True)
    step = _step()
    return lambda: _share(loader, step)


def _ours(data: Dataset) -> Action:
    items = ClipDataset(data.studies * PASSES, DEMO.clip, _starts(), cache_bytes=0)
    feed, step = Feed(make_loader(items, BATCH, shuffle=True), "cpu"), _step()
    return lambda: _share(feed, step)


def _share(batches: Iterable[Batch], step: Callable[[Batch], None]) -> float:
    """Percent of a training epoch's time in which the trainer stood waiting for its next batch."""
    began, waited, source = time.perf_counter(), 0.0, iter(batches)
    while True:
        asked = time.perf_counter()
        batch = next(source, None)
        waited += time.perf_counter() - asked
        if batch is None:
            return 100 * waited / (time.perf_counter() - began)
        step(batch)


def _step() -> Callable[[Batch], None]:
    objective = EndToEnd(build_model(DEMO.encoder, DEMO.shared, 55.0, clip=DEMO.clip), F.l1_loss)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-4)

    def step(batch: Batch) -> None:
        sum(objective(batch.clips, batch.labels).values()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _starts() -> StartRule:
    return random_starts(DEMO.clip, 2, 0)


@contextmanager
def _folder(videos: int) -> Iterator[Dataset]:
    """A temporary folder of Motion-JPEG AVIs of smooth noise, as large as the demo's clips."""
    rng, size = np.random.default_rng(0), DEMO.clip.size
    with tempfile.TemporaryDirectory() as name:
        studies = []
        for number in range(videos):
            path = Path(name) / f"SYN{number}.avi"
            write_noise(path, FRAMES, size, rng)
            studies.append(Study(id=path.stem, path=path, label=40.0 + number % 30, split="train"))
        yield Dataset(name="bench", root=Path(name), studies=tuple(studies))
