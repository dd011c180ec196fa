"""One stretch of training as data: what is optimised, on what, for how long, at which rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from typing import Any, Literal

import torch

from coreecho.loading import Items
from coreecho.model import CoReEcho
from coreecho.objectives import Objective
from coreecho.plan import Plan
from coreecho.settings import Recipe

Schedule = Literal["step", "onecycle", "constant"]


@dataclass(frozen=True)
class Stage:
    """One stretch of training with its own objective, optimisers and choice of the best epoch."""

    name: str
    objective: Callable[[Any], Objective]
    """Takes the network."""
    epochs: int
    learning_rate: float
    schedule: Schedule
    views: Literal["one", "same-clip", "two-clips"] = "one"
    frozen: bool = False
    """Whether the encoder stands still, so that it need not see the same clip twice."""
    weight_decay: float | None = None
    """Where it is not the recipe's."""
    items: Callable[[Plan], Items] | None = None
    """The training items where they are not clips with a label, such as frames with outlines."""
    validate: Callable[[CoReEcho, Plan, torch.device, int], dict[str, float]] | None = None
    """``val_mae`` and ``val_mse`` of an epoch where they are not those of the predicted label."""


def whole(plan: Plan, name: str, objective: Callable[[Any], Objective], **others: Any) -> Stage:
    """The one stage of a method that is trained by its recipe from beginning to end; ``others`` are fields."""
    recipe = plan.recipe
    given = {"views": plan.run.views} | others
    return Stage(name, objective, recipe.epochs, recipe.learning_rate, recipe.schedule, **given)


def refined(
    plan: Plan, name: str, objective: Callable[[Any], Objective], schedule: Schedule = "constant", **others: Any
) -> Stage:
    """The second of two stages, by the recipe's ``refine_`` fields, on one clip a video; ``others`` are fields."""
    recipe = plan.recipe
    return Stage(name, objective, recipe.refine_epochs, recipe.refine_learning_rate, schedule, **others)


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
