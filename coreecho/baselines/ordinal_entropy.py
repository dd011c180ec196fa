"""Ordinal Entropy (Zhang et al., ICLR 2023): spread the embeddings, the more the further their labels are apart.

The prediction is trained with L1. Beside it, the mean embeddings of the labels are pushed apart on the unit sphere in
proportion to the distance of the labels (diversity, which raises the entropy of the embeddings and keeps their order),
and every embedding is pulled to its label's mean (tightness).

From the equations and the authors' published settings for age estimation: a pair's weight is its label distance less
the smallest one in the batch, over the largest; both terms with weight 1; tightness is averaged over the embeddings
that are not at their mean already. Approximate here: with real-valued EF the clips of a label are mostly the two clips
of one video. Of the authors' code (no licence seen) only these facts were read.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from coreecho.baselines.system import System
from coreecho.distributed import gather
from coreecho.objectives import Losses, Objective, flatten_views, gathered
from coreecho.schedule import whole

DIVERSITY = 1.0
"""Weight of the spread between labels."""
TIGHTNESS = 1.0
"""Weight of the spread within a label."""
COINCIDENT = 1e-12
"""Squared distance below which two centres neither attract nor repel each other."""


def ordinal_entropy_loss(
    embeddings: Tensor, labels: Tensor, *, diversity: float = DIVERSITY, tightness: float = TIGHTNESS
) -> Tensor:
    """The regulariser of a batch.

    Args:
        embeddings: (M, D), all clips; their means per label, and they themselves, are normalised to unit length here.
        labels: (M,) EF in percent; equal labels share a centre.
        diversity: weight of the mean weighted distance of the centres, which is maximised.
        tightness: weight of the mean squared distance from the centres.

    Returns:
        Scalar; below 0 where the centres lie further apart than the embeddings from them.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        values, group, counts = labels.unique(return_inverse=True, return_counts=True)
        sums = embeddings.new_zeros(len(values), embeddings.shape[1]).index_add(0, group, embeddings)
        centres = F.normalize(sums / counts[:, None], dim=-1)  # (U, D)
        squared = (F.normalize(embeddings, dim=-1) - centres[group]).square().sum(1)  # (M,)
        away = squared > 0
        spread = squared.sum() / away.sum().clamp(min=1)
        return tightness * spread - diversity * _diversity(centres, values)


def _diversity(centres: Tensor, values: Tensor) -> Tensor:
    """Mean distance of the centres (U, D), weighted by how far apart their labels (U,) are; 0 of a single centre."""
    if len(values) < 2:
        return centres.sum() * 0
    one, other = torch.triu_indices(len(values), len(values), offset=1, device=values.device)
    apart = (values[one] - values[other]).abs().to(centres.dtype)
    weight = (apart - apart.min()) / apart.max()
    distance = (centres[one] - centres[other]).square().sum(1).clamp(min=COINCIDENT).sqrt()
    return (weight * distance).mean()


class OrdinalEntropy(Objective):
    """L1 of encoder and head together, and the regulariser on the embeddings."""

    def forward(self, clips: Tensor, labels: Tensor) -> Losses:
        """The two losses over all views."""
        x, y = flatten_views(clips, labels, self.model.levels)
        z = self.model.embed(x)  # (V B, C_E)
        prediction, z, y = gathered(self.model.head(z).squeeze(-1)), gathered(z), gather(y)
        return {"error": F.l1_loss(prediction, y), "entropy": ordinal_entropy_loss(z, y)}


SYSTEM = System(
    method="ordinal-entropy",
    title="Ordinal Entropy",
    reference="zhang2023",
    stages=lambda plan: [whole(plan, "end to end with ordinal entropy", OrdinalEntropy)],
    differs="Approximate: with real-valued EF, the clips of one label are mostly the two clips of one video.",
)
