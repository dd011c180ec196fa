"""SupReMix (Wu et al., arXiv 2309.16633): contrast with mixtures of embeddings that are hard to tell apart.

A supervised contrastive loss: clips of the same EF are positives, all others negatives. Two kinds of mixtures join.
*Anchor-inclusive* ones, of the anchor and a negative, lie near the anchor but have another label: hard negatives.
*Anchor-exclusive* ones, of a clip with a lower and one with a higher label, in such shares that the mixed label is the
anchor's, are hard positives: they draw the embeddings onto a line in the order of their labels. Negatives weigh more,
the further their label is from the anchor's. A mixture is a fixed target: its gradient flows into the anchor alone.

Mixtures are never built. A similarity to one is the mixture of two similarities, so that the loss works on the matrix
of similarities of the batch (M, M), and on (M, M, M) for the positives.

Settings from code published under the method's name (that it is the authors' is not certain): temperature 0.3,
window 5, weight 1 + label distance, share of the anchor from Beta(2, 8) (help text and branches disagree on which of
(2, 8), (5, 5) and (8, 2) is meant; this is what runs by default), mixtures as fixed targets. That code subtracts two
different maxima from real and mixed similarities, which changes the loss; here one log-sum-exp covers both.

Approximate here: embeddings are normalised to unit length and no projection head follows, neither of which could be
verified; the loss takes Rank-N-Contrast's place in CoReEcho's two stages (head by L1 on detached embeddings, then head
alone on a frozen encoder) where the authors pre-train and then fine-tune. Of the code (no licence seen) only these
facts were read.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from coreecho.baselines.system import Fixed, System
from coreecho.distributed import gather
from coreecho.objectives import Contrast, HeadOnly, Losses
from coreecho.plan import Plan
from coreecho.schedule import Stage, refined, whole

TEMPERATURE = 0.3
"""Of the cosine similarities."""
WINDOW = 5.0
"""The two parts of a hard positive have labels within this many EF points of the anchor's."""
BETA = (2, 8)
"""Parameters of the anchor's share in a hard negative; a mean of 0.2."""


def anchor_shares(keys: Tensor) -> Tensor:
    """The share that each anchor has in its mixture with each negative, drawn from Beta(2, 8).

    The k-th smallest of n uniform numbers follows Beta(k, n + 1 - k).

    Args:
        keys: (M,) whole numbers, such as the sums of the clips' grey levels: the draw is a function of them and goes
            with the rows when their order changes.

    Returns:
        (M, M) for anchor and negative, 0 to 1.
    """
    place = keys.argsort(stable=True).argsort()
    generator = torch.Generator().manual_seed(int(keys.sum()))
    uniform = torch.rand(len(keys), len(keys), sum(BETA) - 1, generator=generator)
    return uniform.kthvalue(BETA[0]).values.to(keys.device)[place][:, place]


def supremix_loss(
    embeddings: Tensor,
    labels: Tensor,
    shares: Tensor,
    *,
    temperature: float = TEMPERATURE,
    window: float = WINDOW,
) -> Tensor:
    """The contrastive loss with mixtures.

    Args:
        embeddings: (M, D), all clips; normalised to unit length here, mixtures are not normalised again.
        labels: (M,) EF in percent; equal ones are positives of each other.
        shares: (M, M) share of the anchor (row) in its mixture with a negative (column).
        temperature: of the similarities.
        window: largest distance (not reached) of a hard positive's two labels from the anchor's, in EF points.

    Returns:
        Scalar: mean over anchors with a positive of the mean negative log-share of their positives.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        unit = F.normalize(embeddings, dim=-1)
        fixed = unit @ unit.detach().T / temperature  # (M, M) anchor to parts of a mixture
        apart = (labels - labels[:, None]).to(fixed.dtype)  # (M, M) above 0 where the column's label is higher
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        shares = shares.to(fixed.dtype)

        real = unit @ unit.T / temperature
        hard = torch.where(apart == 0, -torch.inf, shares * fixed.diagonal()[:, None] + (1 - shares) * fixed)
        mixed, between = _hard_positives(fixed, apart, window)  # (M, M, M)
        weighted = [
            (real + apart.abs().log1p()).masked_fill(itself, -torch.inf),
            hard + ((1 - shares) * apart.abs()).log1p(),
            mixed.masked_fill(~between, -torch.inf).flatten(1),
        ]
        denominator = torch.cat(weighted, dim=1).logsumexp(1)  # (M,)

        same = (apart == 0) & ~itself
        count = same.sum(1) + between.flatten(1).sum(1)
        positives = real.masked_fill(~same, 0.0).sum(1) + mixed.masked_fill(~between, 0.0).flatten(1).sum(1)
        per_anchor = denominator - positives / count.clamp(min=1)
        found = count > 0
        return per_anchor.masked_fill(~found, 0.0).sum() / found.sum().clamp(min=1)


def _hard_positives(fixed: Tensor, apart: Tensor, window: float) -> tuple[Tensor, Tensor]:
    """Similarities (M, M, M) of an anchor to the mixtures of a lower and a higher label, and which of them exist."""
    below, above = (-apart)[:, :, None], apart[:, None, :]  # (M, M, 1) and (M, 1, M), EF points from the anchor
    between = (below > 0) & (below < window) & (above > 0) & (above < window)
    share = torch.where(between, above / (below + above), 0.5)  # of the lower one: the mixed label is the anchor's
    return share * fixed[:, :, None] + (1 - share) * fixed[:, None, :], between


class SupReMix(Contrast):
    """The loss with mixtures moves the encoder, L1 moves the head on detached embeddings."""

    def contrast(self, z: Tensor, y: Tensor, clips: Tensor) -> Losses:
        """The loss at its own `TEMPERATURE`, not the recipe's, which is Rank-N-Contrast's."""
        keys = gather(clips.transpose(0, 1).flatten(0, 1).flatten(1).sum(1))  # (M,), in the order of z
        return {"supremix": supremix_loss(z, y, anchor_shares(keys))}


def _stages(plan: Plan) -> list[Stage]:
    second = refined(plan, "stage two", lambda model: HeadOnly(model, F.l1_loss), frozen=True)
    return [whole(plan, "mixup contrast", SupReMix), second]


SYSTEM = System(
    method="supremix",
    title="SupReMix",
    reference="wu2023",
    stages=_stages,
    fixes={"temperature": Fixed(TEMPERATURE, "Temperature of the cosine similarities in SupReMix's loss.")},
    differs="Approximate: in Rank-N-Contrast's place in CoReEcho's two stages, without a projection head.",
)
