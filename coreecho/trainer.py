"""The training loop: one for all methods and stages (section 2.2, supplementary Table 2).

Everything random in an epoch is seeded from (seed, stage, epoch), and a checkpoint is written after each epoch and at
pre-emption, so a run that was ended in any way and resumed ends with the same weights as one that was not. Several
processes (``accelerate launch``) share each batch and take the same step. The test split is never opened here.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader
from tqdm import tqdm

from coreecho import distributed
from coreecho.batches import Batch
from coreecho.errors import CoReEchoError, RecordError
from coreecho.feeding import Feed
from coreecho.loading import EpochSampler
from coreecho.machine import Machine
from coreecho.model import CoReEcho, with_channels_last
from coreecho.optimisation import Optimisation, check_batches, make_accelerator
from coreecho.pause import Pause, PreemptionError
from coreecho.plan import Plan
from coreecho.schedule import Stage, rate_factor
from coreecho.stage_data import STAGE_STRIDE, StageData, measured_levels, validation_clips
from coreecho.stages import stages
from coreecho.trainstate import LAST, TrainState, mixed
from coreecho.weightfiles import fit

AGREE = 8
"""Every how many batches several processes ask each other whether one of them was told to end."""


class Trainer:
    """Trains one run in a folder that holds its checkpoint and log; `fit` resumes where the folder's state ends."""

    def __init__(
        self,
        model: CoReEcho,
        plan: Plan,
        folder: str | Path,
        *,
        key: str,
        accelerator: Accelerator | None = None,
        machine: Machine | None = None,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Prepares the stages of a run; nothing is trained yet.

        Args:
            model: encoder and head, freshly initialised.
            plan: what is trained, how, and on which studies; without any for validation, the last epoch is taken.
            folder: where ``last.pt`` and ``log.jsonl`` go; it must exist.
            key: the run's key; a checkpoint with another one is refused.
            accelerator: device, precision and processes; the default one when none is given.
            machine: what to do on this machine that alters no number.
            on_epoch: called with each new entry of the history, to show or plot it.

        Raises:
            DataError: fewer training videos than one batch, or batches that the processes cannot share.
        """
        check_batches(len(plan.train), plan.recipe)
        self.plan, self.run, self.recipe = plan, plan.run, plan.recipe
        self.accelerator = accelerator or make_accelerator(self.recipe)
        self.model = with_channels_last(model)
        if plan.recipe.level_videos:
            self.model.levels = measured_levels(plan)
        self.folder, self.machine, self.on_epoch = Path(folder), machine or Machine(), on_epoch
        self.stages, self.validation = stages(plan), validation_clips(plan)
        self.state, self.pause = TrainState(key), Pause()
        self.selection = self.recipe.selection if plan.val else "last"

    def fit(self) -> list[dict[str, Any]]:
        """Trains all stages, or what is left of them, and leaves the model at the last stage's best epoch.

        Returns:
            One entry per epoch: stage, epoch, learning rate, mean losses, validation MAE and MSE, seconds in all, in
            validation and waiting for batches.

        Raises:
            CoReEchoError: a loss became NaN or infinite, or a batch did not fit in memory; the message says what to
                lower.
            PreemptionError: SIGTERM came; everything is saved.
        """
        saved = self.state.load(self.folder)
        with self.pause.watch(), self.machine.tuned(self.model.encoder):
            for number in range(self.state.stage, len(self.stages)):
                self._run_stage(number, saved)
                fit(self.model, self.state.best, self.folder / LAST)
                saved = None
        self.model.requires_grad_(True)
        return self.state.history

    def _run_stage(self, number: int, saved: dict[str, Any] | None) -> None:
        stage = self.stages[number]
        torch.manual_seed(mixed(self.run.seed, number, STAGE_STRIDE - 1))  # an objective may have weights of its own
        objective = stage.objective(self.model)
        if saved is None:
            self.state.begin(number)
        else:
            fit(objective, saved["objective"], self.folder / LAST)
        recipe = self.recipe
        if stage.weight_decay is not None:
            recipe = dataclasses.replace(recipe, weight_decay=stage.weight_decay)
        moving = Optimisation(objective, recipe, stage.learning_rate, self.accelerator)
        if saved is not None:
            try:
                moving.load_optimizers(saved["optimizers"])
            except ValueError:
                where = self.folder / LAST
                raise RecordError(f"{where}: its optimisers do not fit; remove it to start anew") from None
        data = self._data(number)
        loader = data.loader()
        for epoch in range(self.state.epoch, stage.epochs):
            try:
                entry = self._run_epoch(epoch, moving, data, loader)
            except PreemptionError:
                self._save(moving)
                raise
            with self.pause.hold():
                self.state.finish_epoch(entry, self.selection, self.model)
                self._save(moving)
                self.pause.agree()
            if self.on_epoch is not None and distributed.is_main():
                self.on_epoch(entry)
            self.pause.act()

    def _data(self, number: int) -> StageData:
        return StageData(
            number, self.stages[number], self.plan, self.model, self.validation, self.accelerator, self.machine
        )

    def _run_epoch(
        self, epoch: int, moving: Optimisation, data: StageData, loader: DataLoader[Batch]
    ) -> dict[str, Any]:
        stage, began = data.stage, time.perf_counter()
        sampler = loader.batch_sampler
        assert isinstance(sampler, EpochSampler)
        sampler.epoch, sampler.first = data.first + epoch, self.state.batches
        self.state.seed(self.run.seed, self.state.stage, epoch)
        with self._together():
            data.prepare(epoch)
        feed = Feed(loader, self.accelerator.device)
        self._train_epoch(stage, epoch, moving, feed)
        with self._together():
            validation = data.validate(epoch)
        entry = {
            "stage": stage.name,
            "epoch": epoch,
            "learning_rate": self._rate(stage, (epoch + 1) * len(loader) - 1, len(loader)),
            **{name: total / len(loader) for name, total in self.state.sums.items()},
            **validation,
        }
        if not np.isfinite([value for value in entry.values() if isinstance(value, float)]).all():
            raise CoReEchoError(
                f"{self.run.slug}: {stage.name}, epoch {epoch + 1}: a loss is not finite ({entry}); "
                "lower the learning rate or set clip_norm"
            )
        seconds = {"waited_seconds": feed.waited, "seconds": time.perf_counter() - began}
        return entry | {name: round(value, 3) for name, value in seconds.items()}

    def _train_epoch(self, stage: Stage, epoch: int, moving: Optimisation, feed: Feed) -> None:
        """Trains what is left of an epoch's batches.

        Raises:
            PreemptionError: SIGTERM came; the state tells where to go on.
        """
        state, taken = self.state, []
        title = f"{self.run.slug} {stage.name} {epoch + 1}/{stage.epochs}"
        done, whole = epoch * len(feed) + state.batches, stage.epochs * len(feed)
        bar = tqdm(feed, title, whole, initial=done, leave=False, disable=distributed.silent())
        moving.train()
        with self.pause.hold():
            for batch in bar:
                rate = self._rate(stage, epoch * len(feed) + state.batches, len(feed))
                taken.append(moving.step(batch.padded(self.model.levels), rate))
                state.batches += 1
                if state.batches % AGREE == 0 or distributed.world() == 1:
                    self.pause.agree()
                if self.pause.told:
                    state.keep_random()
                    break
            for losses in taken:  # only now, since a look at a number makes the host wait for the device
                for name, value in losses.items():
                    state.sums[name] = state.sums.get(name, 0.0) + float(value)
            self.pause.agree()
        self.pause.act()

    def _together(self) -> AbstractContextManager[None]:
        """Where processes wait for each other, none may leave; a single one may end at once."""
        return self.pause.hold() if distributed.world() > 1 else nullcontext()

    def _rate(self, stage: Stage, step: int, each: int) -> float:
        """The learning rate at a step, with so many of them in each epoch."""
        return stage.learning_rate * rate_factor(stage.schedule, self.recipe, step, stage.epochs * each, each)

    def _save(self, moving: Optimisation) -> None:
        """Replaces the checkpoint; one process writes for all."""
        if distributed.is_main():
            self.state.save(self.folder, moving.state())
