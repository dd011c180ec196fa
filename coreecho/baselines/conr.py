"""ConR (Keramati et al., ICLR 2024): a contrastive regulariser that parts what the network confuses.

The prediction is trained with L1. Beside it, clips whose labels are alike pull each other's embeddings together, and an
anchor pushes away those whose labels are not alike but whose *predictions* are: the network takes them for neighbours.
The push grows with the distance of the labels.

From the equation and the authors' published settings: window of 1 (a year there, an EF point here), temperature 0.07,
exponent 0.01, weight 4 beside L1; the predictions that choose negatives carry no gradient. Approximate here: the
authors take L1 on a third pass over one view and ConR on two augmented views, here both see the same two clips; no
weights by label density; the authors' code adds 1 to the denominator for every clip that is no positive, an artefact
of its masking that the equation does not have and that is left out. Of their code (licence of the Royal Bank of Canada,
not seen) only these facts were read.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from coreecho.baselines.system import Fixed, System
from coreecho.distributed import gather
from coreecho.objectives import Losses, Objective, flatten_views, gathered
from coreecho.schedule import whole

WINDOW = 1.0
"""Labels, and predictions, at most this many EF points apart are alike."""
TEMPERATURE = 0.07
"""Of the cosine similarities."""
EXPONENT = 0.01
"""The push of a pair is e to this times its label distance in EF points."""
WEIGHT = 4.0
"""Weight of the regulariser beside L1."""


def conr_loss(
    embeddings: Tensor,
    labels: Tensor,
    predictions: Tensor,
    *,
    window: float = WINDOW,
    temperature: float = TEMPERATURE,
    exponent: float = EXPONENT,
) -> Tensor:
    """The contrastive regulariser of a batch.

    Args:
        embeddings: (M, D), all clips; normalised to unit length here.
        labels: (M,) EF in percent.
        predictions: (M,) EF in percent; no gradient flows into them.
        window: EF points within which labels are alike, and predictions too.
        temperature: of the cosine similarities.
        exponent: growth of the push with the label distance, per EF point.

    Returns:
        Scalar: mean over anchors of the mean negative log-share of their positives; 0 for an anchor that has no
        positive or no negative.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        unit = F.normalize(embeddings, dim=-1)
        logits = unit @ unit.T / temperature  # (M, M)
        distance = (labels[:, None] - labels).abs().to(logits.dtype)
        alike, predicted = distance <= window, predictions.detach()
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        positive = alike & ~itself
        negative = ~alike & ((predicted[:, None] - predicted).abs() <= window)
        push = torch.where(negative, exponent * distance, 0.0)
        total = (logits + push).masked_fill(~(positive | negative), -torch.inf)
        counts = positive.sum(1)
        counted = (counts > 0) & negative.any(1)
        denominator = total.masked_fill(~counted[:, None], 0.0).logsumexp(1, keepdim=True)  # no row of -inf alone
        shares = (denominator - logits).masked_fill(~(positive & counted[:, None]), 0.0)
        return (shares.sum(1) / counts.clamp(min=1)).mean()


class ConR(Objective):
    """L1 of encoder and head together, and the regulariser on the embeddings."""

    def forward(self, clips: Tensor, labels: Tensor) -> Losses:
        """The two losses over all views, the regulariser already weighted."""
        x, y = flatten_views(clips, labels, self.model.levels)
        z = self.model.embed(x)  # (V B, C_E)
        prediction, z, y = gathered(self.model.head(z).squeeze(-1)), gathered(z), gather(y)
        return {"error": F.l1_loss(prediction, y), "conr": WEIGHT * conr_loss(z, y, prediction)}


SYSTEM = System(
    method="conr",
    title="ConR",
    reference="keramati2024",
    stages=lambda plan: [whole(plan, "end to end with ConR", ConR)],
    fixes={"temperature": Fixed(TEMPERATURE, "Temperature of the cosine similarities in ConR's regulariser.")},
    differs="Approximate: L1 and the regulariser see the same two clips of a video; no weights by label density.",
)
