"""AdaCon (Dai et al., IEEE TMI 2022): contrastive learning with margins that follow the labels' distribution.

Two crops of the same clip; the embedding goes through a projection head onto the unit sphere. Clips with the same EF
bin are positives, all others are pushed apart by a margin that grows with the difference of their ranks among the
training labels. The regression error is taken on the first view only.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coreecho.baselines.system import System
from coreecho.distributed import gather
from coreecho.model import CoReEcho
from coreecho.objectives import Losses, Objective, flatten_views, gathered
from coreecho.schedule import whole

BIN = 0.05
"""Width of a label bin in EF points."""
SCALE = 150.0
"""Factor on cosine similarity plus margin."""
WEIGHT = 0.75
"""Weight of the contrastive loss beside the squared error."""
PROJECTION = 128
"""Dimension of the projected embedding."""


class AdaCon(Objective):
    """Squared error on the first view plus the adaptive contrastive loss on both."""

    def __init__(self, model: CoReEcho, train_labels: Sequence[float]) -> None:
        """Builds the projection head and the ranks of the training labels (training split only)."""
        super().__init__(model)
        width = model.encoder.width
        self.project = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, PROJECTION))
        bins = _bins(torch.tensor(train_labels, dtype=torch.float64)).sort().values
        self.register_buffer("sorted_bins", bins, persistent=False)
        self.sorted_bins: Tensor

    def forward(self, clips: Tensor, labels: Tensor) -> Losses:
        """The two losses, the contrastive one already weighted."""
        x, y = flatten_views(clips, labels, self.model.levels)
        z = self.model.embed(x)  # (V B, C_E)
        prediction = gathered(self.model.head(z[: len(labels)]).squeeze(-1))
        bins = _bins(gather(y).double())
        contrast = adaptive_contrast(gathered(self.project(z)), bins, self.ranks(bins))
        return {"error": F.mse_loss(prediction, gather(labels)), "contrast": WEIGHT * contrast}

    def ranks(self, bins: Tensor) -> Tensor:
        """Mid-ranks of label bins (M,) among the training labels, as a share of them: 0 to 1."""
        below = torch.searchsorted(self.sorted_bins, bins)
        upto = torch.searchsorted(self.sorted_bins, bins, right=True)
        return (below + upto).float() / (2 * len(self.sorted_bins))


def _bins(labels: Tensor) -> Tensor:
    return (labels / BIN).round().long()


def adaptive_contrast(projected: Tensor, bins: Tensor, ranks: Tensor) -> Tensor:
    """Supervised-contrastive loss with rank margins.

    Args:
        projected: (M, P) projected embeddings; they are normalised to unit length here.
        bins: (M,) label bins; equal bins are positives of each other.
        ranks: (M,) rank of each label among the training labels, 0 to 1; the margin is twice their difference.

    Returns:
        Scalar: mean over anchors with a positive of the mean negative log-likelihood of their positives.
    """
    unit = F.normalize(projected, dim=-1)
    itself = torch.eye(len(bins), dtype=torch.bool, device=bins.device)
    positive = (bins[:, None] == bins[None]) & ~itself
    margin = (2 * (ranks[:, None] - ranks[None]).abs()).clamp(max=2.0).masked_fill(positive, 0.0)
    logits = (SCALE * (unit @ unit.T + margin)).masked_fill(itself, -torch.inf)  # (M, M)
    log_likelihood = logits.log_softmax(dim=-1).masked_fill(~positive, 0.0)
    positives = positive.sum(dim=-1)
    per_anchor = -log_likelihood.sum(dim=-1) / positives.clamp(min=1)
    return per_anchor[positives > 0].mean() if (positives > 0).any() else logits.new_zeros(()) * unit.sum()


SYSTEM = System(
    method="adacon",
    title="AdaCon",
    reference="dai2021",
    stages=lambda plan: [whole(plan, "adaptive contrast", lambda model: AdaCon(model, plan.labels))],
)
