"""RankSim (Gong et al., ICML 2022): neighbours sorted by embedding should be sorted as they are by label.

The prediction is trained with L1. Beside it, for every clip the others are ranked twice, by cosine similarity of the
embedding and by nearness of the label, and the squared difference of the ranks is minimised. Ranks are piecewise
constant; their derivative is that of blackbox differentiation (Vlastelica et al., ICLR 2020): the ranks are compared
with those of similarities that were moved along the incoming gradient g by an interpolation strength lambda,

    d loss / d similarity = -(ranks(s) - ranks(s + lambda g)) / lambda

From the equation and the authors' published settings: lambda 2, weight gamma 100, sum over clips, ranks as shares of
the number of clips, every label once. Approximate here: of a video's two clips the first is ranked (the authors draw
one of the clips of equal label), and equal similarities share their mean rank. Of the authors' code (licence of the
Royal Bank of Canada, not seen) only these facts were read.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from coreecho.baselines.system import System
from coreecho.distributed import gather
from coreecho.objectives import Losses, Objective, flatten_views, gathered
from coreecho.schedule import whole

INTERPOLATION = 2.0
"""Lambda: how far similarities are moved to see their ranks change."""
WEIGHT = 100.0
"""Gamma: weight of the regulariser beside L1."""


def ranks(scores: Tensor) -> Tensor:
    """Rank of each score in its row as a share of the row: 1 / U for the largest, 1 for the smallest of U.

    Args:
        scores: (R, U); equal ones share their mean rank.

    Returns:
        (R, U), without gradient.
    """
    mine, others = scores.detach()[:, :, None], scores.detach()[:, None, :]
    larger, equal = (others > mine).sum(2), (others == mine).sum(2)
    return (larger + (equal + 1) / 2).to(scores.dtype) / scores.shape[1]


class _BlackboxRanks(torch.autograd.Function):
    """`ranks` with the derivative of blackbox differentiation."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, interpolation: float) -> Tensor:
        found = ranks(scores)
        ctx.save_for_backward(scores, found)
        ctx.interpolation = interpolation
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        scores, found = ctx.saved_tensors
        moved = ranks(scores + ctx.interpolation * upstream)
        return (moved - found) / ctx.interpolation, None


def one_of_each(labels: Tensor, keys: Tensor) -> Tensor:
    """Rows of which no two have the same label: of those that do, the one with the largest key.

    Args:
        labels: (M,).
        keys: (M,) whole numbers that do not depend on the order of the rows.

    Returns:
        (U,) row numbers, by ascending label.
    """
    order = keys.argsort(descending=True, stable=True)
    order = order[labels[order].argsort(stable=True)]
    found = labels[order]
    new = torch.ones_like(found, dtype=torch.bool)
    new[1:] = found[1:] != found[:-1]
    return order[new]


def ranksim_loss(embeddings: Tensor, labels: Tensor, *, interpolation: float = INTERPOLATION) -> Tensor:
    """The regulariser of a batch, before it is weighted.

    Args:
        embeddings: (U, D); normalised to unit length here.
        labels: (U,) EF in percent, no two alike (`one_of_each`).
        interpolation: lambda.

    Returns:
        Scalar: sum over clips of the mean squared difference of their two rankings.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        unit = F.normalize(embeddings, dim=-1)
        by_embedding: Tensor = _BlackboxRanks.apply(unit @ unit.T, interpolation)  # (U, U)
        by_label = ranks(-(labels[:, None] - labels).abs()).to(by_embedding.dtype)
        return (by_embedding - by_label).square().mean(1).sum()


class RankSim(Objective):
    """L1 of encoder and head together, and the regulariser on the embeddings."""

    def forward(self, clips: Tensor, labels: Tensor) -> Losses:
        """L1 over all views and the weighted regulariser over the first ones."""
        x, y = flatten_views(clips, labels, self.model.levels)
        z = self.model.embed(x)  # (V B, C_E)
        error = F.l1_loss(gathered(self.model.head(z).squeeze(-1)), gather(y))
        first, y = gathered(z[: len(labels)]), gather(labels)
        chosen = one_of_each(y, gather(clips[:, 0].flatten(1).sum(1)))  # grey levels of a clip are its key
        return {"error": error, "ranksim": WEIGHT * ranksim_loss(first[chosen], y[chosen])}


SYSTEM = System(
    method="ranksim",
    title="RankSim",
    reference="gong2022",
    stages=lambda plan: [whole(plan, "end to end with RankSim", RankSim)],
    differs="Approximate: of a video's two clips the first is ranked; equal similarities share their mean rank.",
)
