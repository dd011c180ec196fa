"""The left ventricle's wall as two compared systems learn it: outlined frame by frame, then measured (HMC-QU, Table 5).

Networks learn from the frames of the listed cycle, each of which has its outline. A trained one outlines a whole cycle,
and `coreecho.baselines.arches` makes numbers of it, from which a classifier tells an infarction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset as TorchDataset

from coreecho.baselines.arches import FEATURES, Array, Inner, Sample, Wall, dice, displacements
from coreecho.batches import Item
from coreecho.clips import Frames, fit, normalise
from coreecho.datasets import Study
from coreecho.distributed import gather
from coreecho.errors import DataError
from coreecho.model import CoReEcho, OtherEncoder
from coreecho.objectives import Losses, Objective, flatten_views
from coreecho.plan import Plan
from coreecho.study_video import packed_frames, read_mask, read_study

MASK_SIDE = 224
"""Side of the square in which walls are measured: that of HMC-QU's outlines, whatever the network's input is."""
STUDIES = 256
"""Outlined cycles kept in memory for all folds together."""
INNER_FOLDS = 5
CHUNK = 32
"""Frames in one forward pass."""


def cycle(study: Study, side: int) -> tuple[Frames, Frames]:
    """Frames (T, side, side, 3) of a study's cycle, and how much of each pixel is wall, (T, side, side) with 255 all.

    The whole picture is squeezed into the square, as HMC-QU's outlines are.

    Raises:
        DataError: the study has no outline.
        VideoError: as `coreecho.study_video.read_study` and `read_mask`.
    """
    return _cycle(dataclasses.replace(study, split="train"), side)  # one entry for all folds


@lru_cache(maxsize=STUDIES)
def _cycle(study: Study, side: int) -> tuple[Frames, Frames]:
    wall = read_mask(study)
    if wall is None:
        raise DataError(f"{study.id}: no outline of the wall to learn from; leave such echos out (masked_only)")
    frames = packed_frames(study) if study.pack is not None else read_study(study, min_frames=1).frames
    shares = [cv2.resize(255 * outline, (side, side), interpolation=cv2.INTER_AREA) for outline in wall]
    return fit(np.ascontiguousarray(frames), side), np.stack(shares)


class WallFrames(TorchDataset[Item]):
    """Every frame of the training cycles as an item: a clip of one frame, and as ``extra`` its wall (H, W) uint8."""

    def __init__(self, plan: Plan) -> None:
        """Lists the frames; a study's are decoded once, when the first of them is wanted."""
        self.seed, self.side = plan.run.seed, plan.clip.size
        self.places = [(study, frame) for study in plan.train for frame in range(self._length(study))]

    def _length(self, study: Study) -> int:
        first, last = study.frames or (0, len(cycle(study, self.side)[0]) - 1)
        return last - first + 1

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, key: tuple[int, int] | int) -> Item:
        study, frame = self.places[key[1] if isinstance(key, tuple) else key]
        frames, walls = cycle(study, self.side)
        clip = torch.from_numpy(frames[frame].transpose(2, 0, 1)[None, :, None].copy())  # (1, 3, 1, H, W)
        return Item(clip, study.label, study.id, (frame,), extra={"wall": torch.from_numpy(walls[frame])})


class WallEncoder(OtherEncoder):
    """Segmenters and what their walls measure: a cycle in, `FEATURES` numbers of each segmenter out, no gradient."""

    def __init__(self, segmenters: Mapping[str, nn.Module], sample: Sample, width: Inner) -> None:
        """Takes modules from (N, 3, H, W) to logits (N, H, W), and how their walls are measured (`displacements`)."""
        super().__init__()
        self.segmenters = nn.ModuleDict(segmenters)
        self.sample, self.inner = sample, width
        self.width = FEATURES * len(segmenters)
        self.register_buffer("typical", torch.zeros(self.width))
        self.typical: Tensor
        """What stands for a number that could not be measured: the training cycles' medians, once known."""

    @torch.no_grad()
    def walls(self, x: Tensor) -> list[Wall]:
        """Normalised frames (T, 3, H, W) to each segmenter's walls (T, `MASK_SIDE`, `MASK_SIDE`).

        Logits are brought to that size before they are cut, so that a small picture's boundary lies between pixels.
        """
        found = []
        for segmenter in self.segmenters.values():
            logits = [segmenter(part)[:, None] for part in x.split(CHUNK)]
            large = [F.interpolate(part, (MASK_SIDE, MASK_SIDE), mode="bilinear") > 0 for part in logits]
            found.append(torch.cat(large)[:, 0].cpu().numpy())
        return found

    def measure(self, walls: Iterable[Wall]) -> Array:
        """The numbers (width,) of one cycle as each segmenter sees it, NaN where there are none."""
        return np.concatenate([displacements(wall, self.sample, self.inner) for wall in walls])

    def embed(self, x: Tensor) -> Tensor:
        """Normalised cycles (B, 3, T, H, W) to their numbers (B, width)."""
        rows = [self.measure(self.walls(frames)) for frames in x.transpose(1, 2)]
        features = torch.from_numpy(np.stack(rows)).to(x.device, torch.float32)
        return torch.where(features.isnan(), self.typical, features)


class Outlining(Objective):
    """Binary cross-entropy of every segmenter's logits; each has an optimiser of its own."""

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The segmenters, by name."""
        return {name: list(each.parameters()) for name, each in self._segmenters().items()}

    def forward(self, clips: Tensor, labels: Tensor, **extra: Tensor) -> Losses:
        """The mean loss per pixel, by segmenter.

        Args:
            clips: (B, 1, 3, 1, H, W) uint8, one frame each.
            labels: (B,) not used.
            extra: ``wall`` (B, H, W) uint8, how much of each pixel is wall, 255 all.
        """
        x = flatten_views(clips, labels, self.model.levels)[0].squeeze(2)  # (B, 3, H, W)
        share = extra["wall"].float() / 255
        errors = {
            name: F.binary_cross_entropy_with_logits(segmenter(x).float(), share, reduction="none").mean((1, 2))
            for name, segmenter in self._segmenters().items()
        }
        return {name: gather(error).mean() for name, error in errors.items()}

    def _segmenters(self) -> dict[str, nn.Module]:
        encoder = self.model.encoder
        assert isinstance(encoder, WallEncoder)
        return dict(encoder.segmenters.items())


@dataclass(frozen=True)
class Fold:
    """A fold's cycles as the trained segmenters see them; what could not be measured has its typical value."""

    train: Array  # (N, width)
    labels: NDArray[np.int64]  # (N,)
    test: Array  # (M, width)
    table: pd.DataFrame
    """Of each test video: video, clip and start (0), label, dice (the mean over frames and segmenters)."""

    @property
    def inner(self) -> int:
        """Inner folds that choose a classifier's settings; fewer where one of the classes has fewer cases."""
        return int(np.clip(np.bincount(self.labels, minlength=2).min(), 2, INNER_FOLDS))

    def scored(self, decisions: Array) -> pd.DataFrame:
        """The table with predictions from decision values (M,): their logistic function, 0.5 where they are 0."""
        return self.table.assign(prediction=expit(decisions), protocol="first")


def measure_fold(model: CoReEcho, plan: Plan, device: torch.device) -> Fold:
    """Outlines and measures the cycles of the training and the test fold, and sets the encoder's ``typical`` values."""
    assert plan.data is not None
    encoder, training = model.encoder, model.training
    assert isinstance(encoder, WallEncoder)
    model.eval()
    seen = {}
    for study in (*plan.train, *plan.data.split("test")):
        frames = torch.from_numpy(cycle(study, plan.clip.size)[0]).permute(3, 0, 1, 2)[None]  # (1, 3, T, H, W)
        walls = encoder.walls(normalise(frames.to(device), model.levels)[0].transpose(0, 1))
        true = cycle(study, MASK_SIDE)[1] > 127
        seen[study.id] = encoder.measure(walls), float(np.mean([dice(wall, true) for wall in walls]))
    model.train(training)
    train = np.stack([seen[study.id][0] for study in plan.train])
    test = np.stack([seen[study.id][0] for study in plan.data.split("test")])
    typical = np.zeros(encoder.width)
    known = ~np.isnan(train).all(axis=0)
    typical[known] = np.nanmedian(train[:, known], axis=0)
    encoder.typical.copy_(torch.from_numpy(typical))
    rows = [(study.id, 0, 0, study.label, seen[study.id][1]) for study in plan.data.split("test")]
    return Fold(
        train=np.where(np.isnan(train), typical, train),
        labels=np.array(plan.labels, dtype=np.int64),
        test=np.where(np.isnan(test), typical, test),
        table=pd.DataFrame(rows, columns=["video", "clip", "start", "label", "dice"]),
    )
