"""The stages of each method as data: what is optimised, on how many views, for how long, at which rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from coreecho.baselines import AdaCon
from coreecho.model import CoReEcho
from coreecho.objectives import EndToEnd, HeadOnly, Objective, RankNContrast
from coreecho.settings import Recipe, Run

Schedule = Literal["step", "onecycle", "constant"]


@dataclass(frozen=True)
class Stage:
    """One stretch of training with its own objective, optimisers and choice of the best epoch."""

    name: str
    objective: Callable[[CoReEcho], Objective]
    epochs: int
    learning_rate: float
    schedule: Schedule
    views: Literal["one", "same-clip", "two-clips"]


def stages(run: Run, recipe: Recipe, train_labels: Sequence[float]) -> list[Stage]:
    """The stages that train ``run``, in order; each starts from the best epoch of the one before.

    coreecho: stage one, then stage two (section 2.2). coreecho-stage1: stage one alone. l1: both networks end to end
    on L1 (Table 2's baseline). echocotr: end to end on squared error. adacon: squared error and adaptive contrast.
    probe, finetune: a new head on a frozen encoder, or both together, on squared error (CAMUS) or binary cross-entropy
    (HMC-QU; section 2.3). pretext: cross-entropy over the motions.
    """

    def stage(name: str, objective: Callable[[CoReEcho], Objective]) -> Stage:
        return Stage(name, objective, recipe.epochs, recipe.learning_rate, recipe.schedule, run.views)

    if run.method in ("probe", "finetune"):
        error = F.binary_cross_entropy_with_logits if run.dataset == "hmcqu" else F.mse_loss
        objective = HeadOnly if run.method == "probe" else EndToEnd
        return [stage(run.method, lambda model: objective(model, error))]
    if run.method == "pretext":
        return [stage("pretext", lambda model: EndToEnd(model, _motion_error))]
    if run.method == "l1":
        return [stage("end to end", lambda model: EndToEnd(model, F.l1_loss))]
    if run.method == "echocotr":
        return [stage("end to end", lambda model: EndToEnd(model, F.mse_loss))]
    if run.method == "adacon":
        return [stage("adaptive contrast", lambda model: AdaCon(model, train_labels))]
    first = stage("stage one", lambda model: RankNContrast(model, recipe.temperature))
    if run.method == "coreecho-stage1":
        return [first]
    second = Stage(
        "stage two",
        lambda model: HeadOnly(model, F.l1_loss),
        recipe.refine_epochs,
        recipe.refine_learning_rate,
        "constant",
        "one",
    )
    return [first, second]


def _motion_error(logits: Tensor, motions: Tensor) -> Tensor:
    """Cross-entropy of logits (B, classes) and motions (B,), numbers as floats like all labels."""
    return F.cross_entropy(logits, motions.long())


def rate_factor(schedule: Schedule, recipe: Recipe, step: int, steps: int, steps_per_epoch: int) -> float:
    """What the peak learning rate is multiplied by at a step (0-based) of ``steps`` in all."""
    if schedule == "constant":
        return 1.0
    if schedule == "step":
        epoch = step // steps_per_epoch
        return float(0.1 ** sum(epoch >= at for at in recipe.step_epochs))
    warm = recipe.warmup * steps
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1 + cos(pi * (step - warm) / max(1.0, steps - warm)))
