"""Probing on whole sequences (section 2.3) with the embeddings of the frozen encoder kept, beside encoding anew."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import Optimizer

from coreecho.batches import Batch
from coreecho.bench.measure import Action, Sides, benchmark
from coreecho.bench.videos import write_noise
from coreecho.datasets import Study
from coreecho.frozen import FrozenClips
from coreecho.loading import ClipDataset, EpochSampler
from coreecho.model import build_model, with_channels_last
from coreecho.objectives import HeadOnly
from coreecho.profiles import get_profile
from coreecho.protocols import predict_clips

FRAMES, SIDE = 20, 64
"""Shape of the videos that are made for the measurement."""


@benchmark(
    "frozen",
    "probing, demo net, 48 + 16 whole sequences, 10 epochs, no augmentation; literal: all encoded in each epoch",
    goal="≥ 3×",
    repeats=5,
)
def bench_frozen(train: int = 48, val: int = 16, epochs: int = 10) -> Iterator[Sides]:
    """Training and validation clips are the same in all epochs."""
    with _studies(train + val) as studies:
        data = _data(studies[:train], augment=False), _data(studies[train:], augment=False)
        yield Sides(literal=_probing(*data, epochs, keep=False), ours=_probing(*data, epochs, keep=True))


@benchmark(
    "frozen-moved",
    "the same with random moves in training; validation clips alone are kept; literal: all encoded in each epoch",
    goal="≥ 1×",
    repeats=5,
)
def bench_frozen_moved(train: int = 48, val: int = 16, epochs: int = 10) -> Iterator[Sides]:
    """Rotation, scale and shift make each training clip another one in each epoch."""
    with _studies(train + val) as studies:
        data = _data(studies[:train], augment=True), _data(studies[train:], augment=False)
        yield Sides(literal=_probing(*data, epochs, keep=False), ours=_probing(*data, epochs, keep=True))


def _data(studies: Sequence[Study], *, augment: bool) -> ClipDataset:
    data = ClipDataset(studies, get_profile("demo").camus.clip, lambda video, frames, epoch: [0], augment=augment)
    for index in range(len(data)):  # decoded beforehand, for both sides
        data[0, index]
    return data


def _probing(train: ClipDataset, val: ClipDataset, epochs: int, *, keep: bool) -> Action:
    """A whole probing stage: a head on a frozen encoder, validated after each epoch."""
    profile = get_profile("demo")
    torch.manual_seed(0)
    fresh = build_model(profile.encoder, profile.camus.probe, 55.0, clip=train.clip)
    fresh = with_channels_last(fresh)

    def action() -> tuple[list[float], pd.DataFrame]:
        model = copy.deepcopy(fresh)
        objective = HeadOnly(model, F.mse_loss)
        kept = FrozenClips(train, range(epochs), model), FrozenClips(val, range(epochs), model)
        items = kept[0] if keep and kept[0].worth else train
        optimizer = torch.optim.AdamW(objective.groups()["head"], lr=1e-3)
        losses = []
        for epoch in range(epochs):
            torch.manual_seed(epoch)  # of the head's dropout, as the trainer does
            losses.append(_epoch(objective, items, epoch, optimizer))
            if keep and kept[1].worth:
                table = kept[1].predictions(epoch)
            else:
                table = predict_clips(model, val.studies, val.clip, val.starts, epoch=epoch, dataset=val)
        return losses, table

    return action


def _epoch(objective: nn.Module, items: ClipDataset | FrozenClips, epoch: int, optimizer: Optimizer) -> float:
    """The mean loss of one pass over the training items in batches."""
    order = EpochSampler(len(items), get_profile("demo").camus.probe.batch_size, shuffle=True, drop_last=True)
    order.epoch = epoch
    objective.train()
    total = 0.0
    for keys in order:
        batch = Batch.collate([items[key] for key in keys])
        loss = objective(batch.clips, batch.labels)["error"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += float(loss.detach())
    return total / len(order)


@contextmanager
def _studies(count: int) -> Iterator[list[Study]]:
    """Temporary videos of smooth noise, each with a label of its own."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        studies = []
        for index in range(count):
            path = Path(folder) / f"{index}.avi"
            write_noise(path, FRAMES, SIDE, rng)
            studies.append(Study(id=path.stem, path=path, label=30.0 + index % 40, split="train"))
        yield studies
