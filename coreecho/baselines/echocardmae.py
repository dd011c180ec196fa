"""EchoCardMAE-type pre-training (Yang et al., MICCAI 2025): hidden patches guessed, then EF (beside Table 1).

A vision transformer first learns without labels, from two clips of each training video. Three quarters of the patches
within the ultrasound sector are hidden, anew for each pair of frames, and a small decoder guesses their pixels; what it
has to guess is the picture after a 3x3 median filter, so that speckle need not be learned. Besides, the mean features
of a video's two clips are drawn together, apart from those of other videos. Then the encoder alone, shown all patches,
learns EF by L1. It has the lowest published error on EchoNet-Dynamic known to us, and is younger than the paper.

Settings are those of the published code, read for facts (no licence file; nothing was copied). Approximate: the sector
is found in the training videos, where the code has one map drawn by hand; one weight decay serves both stages (theirs
are 0.05 and 1e-4) with AdamW's usual betas; each stage has a fixed number of epochs and its best one is taken, where
theirs ends the second after 25 without a better one; short videos end in grey, not black.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from coreecho.baselines.masked_video import MaskedViT, Sizes, hidden_errors, info_nce, load_pretrained
from coreecho.baselines.system import Fixed, System
from coreecho.batches import Item
from coreecho.clips import StartRule, generator, random_starts
from coreecho.datasets import Study
from coreecho.distributed import gather
from coreecho.loading import ClipDataset, make_loader
from coreecho.model import MEAN_EF, CoReEcho, LinearHead
from coreecho.objectives import EndToEnd, Losses, Objective, flatten_views, gathered
from coreecho.plan import Plan
from coreecho.protocols import predict_clips, protocol_starts
from coreecho.schedule import Stage, refined, whole
from coreecho.settings import ClipSettings

HIDDEN = 0.75
"""Share of the sector's patches that are hidden at each time."""
ALIGNMENT, TEMPERATURE = 0.2, 0.1
"""Weight of the alignment beside the reconstruction, and temperature of its cosine similarities."""
MASK_STREAM = 4000
"""Stream of `coreecho.clips.generator` for what is hidden."""
LIT, SAMPLE = 4.0, 64
"""Mean grey level from which a patch is lit, and how many training videos are looked at."""
FULL = Sizes(encoder=(384, 12, 6), decoder=(192, 4, 3), patch=8)
"""ViT-S as published: 23.4 million weights, 21.4 of them the encoder's."""
CELLS, HALVES = 8, 2
"""Patches along a side and along time in the narrow twin of the demo and gpu profiles."""


class ScaledHead(LinearHead):
    """A linear layer whose output is multiplied (as published, with a factor of 100 and a matrix that starts at zero).

    AdamW moves a weight by about the learning rate, so EF in percent would be learned too slowly without the factor.

    Args:
        width: Size of the embedding.
        bias: First EF in percent.
        factor: What the layer's output is multiplied by.
        zero: Whether its matrix starts at zero.
    """

    def __init__(self, width: int, bias: float, factor: float, *, zero: bool = True) -> None:
        super().__init__(width, bias / factor)
        if zero:
            nn.init.zeros_(self.weight)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (B, width) to EF in percent (B, 1)."""
        return self.factor * super().forward(x)


class MaskedClips(ClipDataset):
    """Clips with the numbers of the patches that are shown and hidden in all of an item's views."""

    def __init__(self, studies: Sequence[Study], plan: Plan, starts: StartRule, sector: NDArray[np.bool_]) -> None:
        """Takes the sector as (rows, columns) of patches; clips are not cropped."""
        super().__init__(studies, plan.clip, starts, seed=plan.run.seed, padding=plan.recipe.padding)
        self.sector, self.times = sector.ravel(), plan.clip.frames // _sizes(plan).frames

    def __getitem__(self, key: tuple[int, int] | int) -> Item:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        item = super().__getitem__((epoch, index))
        rng = generator(self.seed, epoch, item.video, MASK_STREAM)
        seen, hidden = split(self.sector, self.times, rng)
        return dataclasses.replace(item, extra={"seen": torch.from_numpy(seen), "hidden": torch.from_numpy(hidden)})


def split(
    sector: NDArray[np.bool_], times: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers (K,) and (M,) of the patches of a sector (N,) that are shown and hidden, drawn for each time alone."""
    inside = np.flatnonzero(sector)
    orders = np.stack([rng.permutation(inside) + time * len(sector) for time in range(times)])
    count = int(len(inside) * (1 - HIDDEN))
    return np.sort(orders[:, :count], axis=None), np.sort(orders[:, count:], axis=None)


@lru_cache(maxsize=4)
def find_sector(studies: tuple[Study, ...], clip: ClipSettings, side: int) -> NDArray[np.bool_]:
    """Which patches (rows, columns) are lit in at least half of the first videos' first clips; all, where none is."""
    clips = ClipDataset(studies[:SAMPLE], clip, lambda video, frames, epoch: [0], cache_bytes=0)
    cells = clip.size // side
    lit = np.zeros((cells, cells))
    for index in range(len(clips)):
        grey = clips[0, index].clips[0].float().mean((0, 1))  # (H, W)
        lit += (grey.reshape(cells, side, cells, side).mean((1, 3)) >= LIT).numpy()
    sector = lit >= len(clips) / 2
    return sector if sector.any() else np.ones_like(sector)


class Masked(Objective):
    """Stage one: the hidden patches' error, and the alignment of a video's two clips."""

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """All but the head and the normalisation before it."""
        return {"all": _vit(self.model).pretrained()}

    def forward(self, clips: Tensor, labels: Tensor, **extra: Tensor) -> Losses:
        """Mean squared error of the hidden pixels, and InfoNCE both ways, weighted as published.

        Args:
            clips: (B, 2, 3, T, H, W) uint8.
            labels: (B,) not used.
            extra: ``seen`` (B, K) and ``hidden`` (B, M), numbers of patches.
        """
        x, _ = flatten_views(clips, labels, self.model.levels)
        seen, hidden = (extra[name].repeat(clips.shape[1], 1) for name in ("seen", "hidden"))
        errors, features = hidden_errors(_vit(self.model), x, seen, hidden)
        first, second = (gathered(part) for part in features.chunk(2))
        alignment = (info_nce(first, second, TEMPERATURE) + info_nce(second, first, TEMPERATURE)) / 2
        squared = gather(errors.square().mean((1, 2))).mean()
        return {"reconstruction": (1 - ALIGNMENT) * squared, "alignment": ALIGNMENT * alignment}


class FineTune(EndToEnd):
    """Stage two: encoder and head on L1; the decoder is done with."""

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """What a prediction needs."""
        return {"all": [*_vit(self.model).finetuned(), *self.model.head.parameters()]}


class Reconstruction:
    """The error of the hidden pixels of the validation videos' first clips; what is hidden never changes."""

    def __init__(self) -> None:
        """Reads nothing yet."""
        self.clips: MaskedClips | None = None

    @torch.no_grad()
    def __call__(self, model: CoReEcho, plan: Plan, device: torch.device, epoch: int) -> dict[str, float]:
        """Mean absolute and squared error, in standard deviations of grey levels; nothing without validation videos."""
        if not plan.val:
            return {}
        self.clips = self.clips or MaskedClips(plan.val, plan, protocol_starts("first", plan.clip), _sector(plan))
        training, totals = model.training, np.zeros(2)
        model.eval()
        for batch in make_loader(self.clips, plan.recipe.batch_size):
            batch = batch.mapped(lambda x: x.to(device)).padded(model.levels)
            x, _ = flatten_views(batch.clips, batch.labels, model.levels)
            errors, _ = hidden_errors(_vit(model), x, batch.extra["seen"], batch.extra["hidden"])
            totals += [float(each.mean((1, 2)).sum()) for each in (errors.abs(), errors.square())]
        model.train(training)
        return dict(zip(("val_mae", "val_mse"), (totals / len(self.clips)).tolist(), strict=True))


def _vit(model: CoReEcho) -> MaskedViT:
    assert isinstance(model.encoder, MaskedViT)
    return model.encoder


def _sizes(plan: Plan) -> Sizes:
    if plan.full_size:
        return FULL
    cell = plan.clip.size // CELLS, plan.clip.frames // HALVES
    return Sizes((64, 2, 2), (32, 1, 1), *cell, twin=True)


def _sector(plan: Plan) -> NDArray[np.bool_]:
    return find_sector(plan.train, plan.clip, _sizes(plan).patch)


def network(plan: Plan) -> CoReEcho:
    """Encoder, decoder and head with random weights."""
    vit = MaskedViT(plan.clip, _sizes(plan))
    bias = MEAN_EF if plan.data is None else plan.data.mean_label
    head = ScaledHead(vit.width, bias, 100.0 if plan.full_size else 10.0, zero=plan.full_size)
    return CoReEcho(vit, head, clip=plan.clip)


def stages(plan: Plan) -> list[Stage]:
    """Pre-training by the recipe's first rate and epochs, fine-tuning by those of its second stage."""
    starts = random_starts(plan.clip, 2, plan.run.seed)
    masked = whole(
        plan,
        "masked",
        Masked,
        views="two-clips",
        items=lambda plan: MaskedClips(plan.train, plan, starts, _sector(plan)),
        validate=Reconstruction(),
    )
    tuned = refined(plan, "finetune", lambda model: FineTune(model, F.l1_loss), plan.recipe.schedule)
    return [masked, tuned]


def score(model: CoReEcho, plan: Plan, device: torch.device) -> pd.DataFrame:
    """Test predictions of the first clip, by the profile's protocol, and of five evenly spaced clips (as published)."""
    assert plan.data is not None
    tables = [
        predict_clips(
            model,
            plan.data.split("test"),
            plan.clip,
            protocol_starts(protocol, plan.clip),
            device=device,
            padding=plan.recipe.padding,
        ).assign(protocol=protocol)
        for protocol in dict.fromkeys(("first", plan.profile.protocol_of(plan.run), "even5"))
    ]
    return pd.concat(tables, ignore_index=True)


SYSTEM = System(
    method="echocardmae",
    title="EchoCardMAE",
    reference="yang2025",
    stages=stages,
    network=network,
    kinetics=("videomae_vit_s.pth", load_pretrained),
    score=score,
    fixes={"temperature": Fixed(TEMPERATURE, "Temperature of the cosine similarities in the alignment.")},
    differs=(
        "Approximate: the sector is found in the training videos and not drawn by hand, one weight decay serves both "
        "stages, and each has a fixed number of epochs."
    ),
)
