"""The training loop: one for all methods and stages (section 2.2, supplementary Table 2).

Everything random in an epoch is seeded from (seed, stage, epoch), and a checkpoint is written after each epoch, so a
run that was killed and resumed ends with the same weights as one that was not. The test split is never opened here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from timm.optim.madgrad import MADGRAD
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from coreecho.clips import random_starts
from coreecho.datasets import Study
from coreecho.errors import CoReEchoError, DataError, RecordError
from coreecho.loading import Batch, ClipDataset, EpochSampler, make_loader
from coreecho.model import CoReEcho
from coreecho.protocols import predict_clips
from coreecho.settings import ClipSettings, Recipe, Run
from coreecho.stages import Stage, rate_factor, stages
from coreecho.trainstate import LAST, TrainState
from coreecho.weightfiles import fit

VALIDATION_SEED = 10_000
"""Added to the run's seed for validation clips, so that they are not the training ones."""
STAGE_STRIDE = 1000
"""Epoch numbers of stage k start at k times this, so that its clips differ from the stage before."""


def make_accelerator(recipe: Recipe, device: str = "auto") -> Accelerator:
    """Device (auto, cpu or cuda) and precision of one run.

    Accelerate keeps those of a process's first run unless its state is cleared.
    """
    if AcceleratorState._shared_state and not torch.distributed.is_initialized():
        AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(mixed_precision=recipe.precision, cpu=device == "cpu")


class Trainer:
    """Trains one run in a folder that holds its checkpoint and log; `fit` resumes where the folder's state ends."""

    def __init__(
        self,
        model: CoReEcho,
        train: Sequence[Study],
        val: Sequence[Study],
        run: Run,
        recipe: Recipe,
        clip: ClipSettings,
        folder: Path,
        *,
        key: str,
        accelerator: Accelerator | None = None,
        workers: int = 0,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Prepares the stages of ``run``; nothing is trained yet.

        Args:
            model: encoder and head, freshly initialised.
            train: studies to learn from.
            val: studies that choose the epoch; with none, the last epoch is taken.
            run: what is trained.
            recipe: how it is optimised.
            clip: shape of a clip.
            folder: where ``last.pt`` and ``log.jsonl`` go; it must exist.
            key: the run's key; a checkpoint with another one is refused.
            accelerator: device and precision; the default one when none is given.
            workers: loader processes.
            on_epoch: called with each new entry of the history, to show or plot it.

        Raises:
            DataError: fewer training videos than one batch.
        """
        if len(train) < recipe.batch_size:
            raise DataError(f"{len(train)} training videos are fewer than one batch of {recipe.batch_size}")
        self.accelerator = accelerator or make_accelerator(recipe)
        self.model = model.to(memory_format=torch.channels_last_3d)
        self.train_studies, self.val_studies = train, val
        self.run, self.recipe, self.clip = run, recipe, clip
        self.folder, self.workers, self.on_epoch = folder, workers, on_epoch
        self.stages = stages(run, recipe, [study.label for study in train])
        self.state = TrainState(key)
        seed = run.seed + VALIDATION_SEED
        rule = random_starts(clip, recipe.selection_clips, seed)
        self.validation = ClipDataset(val, clip, rule, seed=seed, padding=recipe.padding)
        self.selection = recipe.selection if val else "last"

    def fit(self) -> list[dict[str, Any]]:
        """Trains all stages, or what is left of them, and leaves the model at the last stage's best epoch.

        Returns:
            One entry per epoch: stage, epoch, learning rate, mean losses, validation MAE and MSE, seconds.

        Raises:
            CoReEchoError: a loss became NaN or infinite; the message names the epoch and what to lower.
        """
        saved = self.state.load(self.folder)
        for number in range(self.state.stage, len(self.stages)):
            self._run_stage(number, saved)
            fit(self.model, self.state.best, self.folder / LAST)
            saved = None
        return self.state.history

    def _run_stage(self, number: int, saved: dict[str, Any] | None) -> None:
        stage = self.stages[number]
        torch.manual_seed(_seed(self.run.seed, number, STAGE_STRIDE - 1))  # an objective may have weights of its own
        objective = stage.objective(self.model)
        optimizers = {name: self._optimizer(group, stage) for name, group in objective.groups().items()}
        if saved is None:
            self.state.begin(number)
        else:
            fit(objective, saved["objective"], self.folder / LAST)
        step_module = self.accelerator.prepare(objective)
        prepared = {name: self.accelerator.prepare(optimizer) for name, optimizer in optimizers.items()}
        if saved is not None:
            try:
                for name, optimizer in prepared.items():
                    optimizer.load_state_dict(saved["optimizers"][name])
            except (KeyError, ValueError, TypeError, RuntimeError, AttributeError):
                where = self.folder / LAST
                raise RecordError(f"{where}: its optimisers do not fit; remove it to start anew") from None
        loader = make_loader(
            self._training_set(stage),
            self.recipe.batch_size,
            shuffle=True,
            # Batch statistics need two videos, so a last batch of one is always left out.
            drop_last=self.recipe.drop_last or len(self.train_studies) % self.recipe.batch_size == 1,
            workers=self.workers,
        )
        for epoch in range(self.state.epoch, stage.epochs):
            entry = self._run_epoch(number, epoch, step_module, prepared, loader)
            self.state.finish_epoch(entry, self.selection, self.model)
            self.state.save(self.folder, objective, prepared)
            if self.on_epoch is not None:
                self.on_epoch(entry)

    def _training_set(self, stage: Stage) -> ClipDataset:
        views = 2 if stage.views == "two-clips" else 1
        return ClipDataset(
            self.train_studies,
            self.clip,
            random_starts(self.clip, views, self.run.seed),
            seed=self.run.seed,
            augment=self.run.augment,
            same_clip=stage.views == "same-clip",
            padding=self.recipe.padding,
        )

    def _optimizer(self, group: list[nn.Parameter], stage: Stage) -> torch.optim.Optimizer:
        rate, decay = stage.learning_rate, self.recipe.weight_decay
        if self.recipe.optimizer == "sgd":
            return torch.optim.SGD(group, lr=rate, momentum=0.9, weight_decay=decay)
        if self.recipe.optimizer == "madgrad":
            return MADGRAD(group, lr=rate, momentum=0.9, weight_decay=decay)
        return torch.optim.AdamW(group, lr=rate, weight_decay=decay)

    def _run_epoch(
        self,
        number: int,
        epoch: int,
        objective: nn.Module,
        optimizers: dict[str, Any],
        loader: DataLoader[Batch],
    ) -> dict[str, Any]:
        stage, began = self.stages[number], time.perf_counter()
        sampler = loader.batch_sampler
        assert isinstance(sampler, EpochSampler)
        sampler.epoch = number * STAGE_STRIDE + epoch
        torch.manual_seed(_seed(self.run.seed, number, epoch))
        objective.train()
        sums: dict[str, float] = {}
        title = f"{self.run.slug} {stage.name} {epoch + 1}/{stage.epochs}"
        for index, batch in enumerate(tqdm(loader, desc=title, leave=False, disable=None)):
            step = epoch * len(loader) + index
            factor = rate_factor(stage.schedule, self.recipe, step, stage.epochs * len(loader), len(loader))
            losses = self._step(objective, optimizers, batch, stage.learning_rate * factor)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
        validation = self._validate(sampler.epoch) if self.val_studies else {}
        entry = {
            "stage": stage.name,
            "epoch": epoch,
            "learning_rate": stage.learning_rate * factor,
            **{name: total / len(loader) for name, total in sums.items()},
            **validation,
        }
        if not np.isfinite([value for value in entry.values() if isinstance(value, float)]).all():
            raise CoReEchoError(
                f"{self.run.slug}: {stage.name}, epoch {epoch + 1}: a loss is not finite ({entry}); "
                "lower the learning rate or set clip_norm"
            )
        return entry | {"seconds": round(time.perf_counter() - began, 3)}

    def _step(self, objective: nn.Module, optimizers: dict[str, Any], batch: Batch, rate: float) -> dict[str, float]:
        device = self.accelerator.device
        with self.accelerator.autocast():
            losses = objective(batch.clips.to(device, non_blocking=True), batch.labels.to(device, non_blocking=True))
        self.accelerator.backward(sum(losses.values()))
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
                if self.recipe.clip_norm is not None:
                    self.accelerator.clip_grad_norm_(group["params"], self.recipe.clip_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return {name: float(value.detach()) for name, value in losses.items()}

    def _validate(self, epoch: int) -> dict[str, float]:
        """Mean absolute and squared error of the validation videos' mean predictions, and the time it took."""
        began = time.perf_counter()
        table = predict_clips(
            self.model,
            self.val_studies,
            self.clip,
            self.validation.starts,
            device=self.accelerator.device,
            epoch=epoch,
            dataset=self.validation,
        )
        means = table.groupby("video")[["label", "prediction"]].mean()
        errors = (means["prediction"] - means["label"]).to_numpy()
        return {
            "val_mae": float(np.abs(errors).mean()),
            "val_mse": float(np.square(errors).mean()),
            "val_seconds": round(time.perf_counter() - began, 3),
        }


def _seed(seed: int, stage: int, epoch: int) -> int:
    """One seed per (run seed, stage, epoch), well mixed."""
    return int(np.random.SeedSequence([seed, stage, epoch]).generate_state(1)[0])
