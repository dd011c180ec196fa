"""One stage's objective and optimisers as one thing that takes a batch, moves the weights and can be saved."""

from __future__ import annotations

import os
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from timm.optim.madgrad import MADGRAD
from torch import Tensor, nn

from coreecho import distributed
from coreecho.batches import Batch
from coreecho.errors import DataError
from coreecho.memory import advice
from coreecho.objectives import Objective
from coreecho.settings import Recipe

REMEDIES = (
    "in this order: give --save-memory (UniFormer's blocks), use more GPUs (accelerate launch), or change the run: "
    "--set shared.precision=bf16, then a smaller shared.batch_size (own.METHOD. or camus.finetune. for such recipes)"
)
"""What to lower when a batch does not fit; the first alters no number."""


def make_accelerator(recipe: Recipe, device: str = "auto") -> Accelerator:
    """Device (auto, cpu or cuda), precision and, under ``accelerate launch``, the group of processes of one run.

    Accelerate keeps the precision of a process's first run unless its state is cleared.
    """
    if AcceleratorState._shared_state:
        AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
    return Accelerator(mixed_precision=recipe.precision, cpu=device == "cpu")


def join_processes(device: str) -> None:
    """Joins the processes that ``accelerate launch`` started, if it did, before anything is written."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        PartialState(cpu=device == "cpu")


class Optimisation:
    """Moves the weights of a stage, batch by batch; several processes move theirs alike."""

    def __init__(self, objective: Objective, recipe: Recipe, learning_rate: float, accelerator: Accelerator) -> None:
        """Puts ``objective`` on the accelerator's device, with an optimiser for each of its groups."""
        self.recipe, self.accelerator = recipe, accelerator
        moving = {id(weight) for group in objective.groups().values() for weight in group}
        for weight in objective.parameters():  # no other process need be asked for the gradient of a frozen one
            weight.requires_grad_(id(weight) in moving)
        self.objective = distributed.synchronise_batch_norm(objective)
        self.optimizers = {
            name: accelerator.prepare(make_optimizer(group, recipe, learning_rate))
            for name, group in objective.groups().items()
        }
        self._module: nn.Module = accelerator.prepare(self.objective)

    def step(self, batch: Batch, rate: float) -> dict[str, Tensor]:
        """Moves the weights by one batch at a learning rate; its losses, by name, on the device.

        Raises:
            CoReEchoError: the batch does not fit in memory; the message says what to lower.
        """
        shape = tuple(batch.clips.shape)
        with advice(f"a training batch of shape {shape} on {self.accelerator.device}", REMEDIES):
            with self.accelerator.autocast():
                losses: dict[str, Tensor] = self._module(batch.clips, batch.labels, **batch.extra)
            self.accelerator.backward(sum(losses.values()))
            for optimizer in self.optimizers.values():
                for group in optimizer.param_groups:
                    group["lr"] = rate
                    if self.recipe.clip_norm is not None:
                        self.accelerator.clip_grad_norm_(group["params"], self.recipe.clip_norm)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        return {name: value.detach() for name, value in losses.items()}

    def train(self) -> None:
        """Training mode, as far as the objective has it."""
        self._module.train()

    def state(self) -> dict[str, Any]:
        """All that moves, for a checkpoint."""
        return {
            "objective": self.objective.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def load_optimizers(self, states: dict[str, Any]) -> None:
        """Takes over the optimisers' states of a checkpoint.

        Raises:
            ValueError: they are not of these parameters.
        """
        try:
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(states[name])
        except (KeyError, TypeError, RuntimeError, AttributeError) as error:
            raise ValueError(str(error)) from None


def make_optimizer(group: list[nn.Parameter], recipe: Recipe, rate: float) -> torch.optim.Optimizer:
    """The recipe's optimiser for some parameters at a first learning rate."""
    decay = recipe.weight_decay
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(group, lr=rate, momentum=0.9, weight_decay=decay)
    if recipe.optimizer == "madgrad":
        return MADGRAD(group, lr=rate, momentum=0.9, weight_decay=decay)
    return torch.optim.AdamW(group, lr=rate, weight_decay=decay)


def drops_last(videos: int, recipe: Recipe) -> bool:
    """Whether an epoch's last, smaller batch is left out; one of a single video always is: statistics need two."""
    return recipe.drop_last or videos % recipe.batch_size == 1


def check_batches(videos: int, recipe: Recipe) -> None:
    """Refuses what cannot be cut into batches.

    Raises:
        DataError: fewer videos than one batch, or a batch with fewer videos than there are processes.
    """
    if videos < recipe.batch_size:
        raise DataError(f"{videos} training videos are fewer than one batch of {recipe.batch_size}")
    last = recipe.batch_size if drops_last(videos, recipe) else (videos % recipe.batch_size or recipe.batch_size)
    if last < distributed.world():
        raise DataError(f"a batch of {last} videos cannot be shared by {distributed.world()} processes; start fewer")
