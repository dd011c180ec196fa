"""Rank-N-Contrast by its own recipe (Zha et al., NeurIPS 2023): two separate stages and a linear head.

First the encoder alone, by the loss that CoReEcho took over, at temperature 2. Then a new linear layer on the frozen
encoder, in evaluation mode, by L1. CoReEcho differs in its temperature of 1, its MLP head that learns beside the
encoder, and its short second stage that goes on with that head.

The authors train a ResNet-18 on pictures from random weights: SGD with momentum 0.9 at batch 256 and rate 0.5, cosine
decay, 400 epochs; then batch 64, rate 0.05 in three steps of 0.2, no weight decay, 100 epochs. Approximate here: two
clips in place of two crops of a picture; the profile's encoder and epochs; both stages fall along a cosine; in the demo
and gpu profiles the shared AdamW one-cycle schedule, with its weight decay in both stages. In the first stage a linear
layer learns beside the encoder, on detached embeddings and under an optimiser of its own: the encoder moves as if
alone, the layer only says which epoch is the best (the authors seem to take the last, which could not be verified), and
it is thrown away. Of the authors' code (no licence) only these facts were read; the loss is
`coreecho.losses.rnc_loss`.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

from torch import nn
from torch.nn import functional as F

from coreecho import encoders
from coreecho.baselines.system import Fixed, System
from coreecho.model import MEAN_EF, CoReEcho, LinearHead, build_model
from coreecho.objectives import HeadOnly, RankNContrast
from coreecho.plan import Plan
from coreecho.schedule import Stage, refined, whole
from coreecho.uniformer import UniFormer

TEMPERATURE = 2.0
"""Tau of the original recipe, whatever the profile's recipe says (1 in CoReEcho)."""


class NewLinearHead(HeadOnly):
    """L1 of a linear head that starts anew, on a frozen encoder."""

    def __init__(self, model: CoReEcho, mean_label: float) -> None:
        """Draws the head's weights again; its bias starts at the mean training label, in EF points."""
        super().__init__(model, F.l1_loss)
        assert isinstance(model.head, LinearHead)
        model.head.reset_parameters()
        nn.init.constant_(model.head.bias, mean_label)


def _mean_label(plan: Plan) -> float:
    return MEAN_EF if plan.data is None else plan.data.mean_label


def _network(plan: Plan) -> CoReEcho:
    """The profile's encoder with a linear head, whichever head the recipe names."""
    recipe = dataclasses.replace(plan.recipe, backbone="uniformer", head="linear")
    return build_model(plan.profile.encoder, recipe, _mean_label(plan), clip=plan.clip)


def _load_k400(model: CoReEcho, path: Path) -> None:
    assert isinstance(model.encoder, UniFormer)
    encoders.load_k400(model.encoder, path)


def _stages(plan: Plan) -> list[Stage]:
    first = whole(plan, "encoder alone", lambda model: RankNContrast(model, TEMPERATURE))
    head = partial(NewLinearHead, mean_label=_mean_label(plan))
    decay = 0.0 if plan.recipe.optimizer == "sgd" else None  # theirs has none where the optimiser is theirs
    return [first, refined(plan, "linear head", head, plan.recipe.schedule, frozen=True, weight_decay=decay)]


SYSTEM = System(
    method="rnc-original",
    title="Rank-N-Contrast, own recipe",
    reference="zha2023",
    stages=_stages,
    network=_network,
    kinetics=("uniformer_small_k400_16x8.pth", _load_k400),
    fixes={"temperature": Fixed(TEMPERATURE, "Temperature tau of the Rank-N-Contrast loss in the authors' recipe.")},
    differs="Approximate: clips for pictures, the profile's encoder and epochs; validation error chooses the epoch.",
)
