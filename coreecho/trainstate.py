"""Where a training is and how it got there: the checkpoint that lets a killed run go on, and its log.

``last.pt`` is replaced whole after each epoch, so a kill at any moment leaves the old one valid; ``log.jsonl`` holds
one line per finished epoch. Pre-emption (`coreecho.pause`) saves in the middle of an epoch too: how many of its batches
are done, the sums of their losses, and where the random numbers of dropout stand.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from coreecho.distributed import gather_objects, rank
from coreecho.errors import CheckpointError, RecordError, SettingsError
from coreecho.files import replace_file
from coreecho.weightfiles import unpickle

LAST, LOG = "last.pt", "log.jsonl"


class TrainState:
    """Stage, epoch, batches done in it, log, and the best epoch of the current stage with its weights."""

    def __init__(self, key: str) -> None:
        """The state before the first epoch of the run with this key."""
        self.key = key
        self.history: list[dict[str, Any]] = []
        self.begin(0)

    def begin(self, stage: int) -> None:
        """Starts a stage: no epoch done, no best weights yet."""
        self.stage, self.epoch = stage, 0
        self.best_error, self.best_epoch = float("inf"), -1
        self.best: dict[str, Tensor] = {}
        self._next_epoch()

    def _next_epoch(self) -> None:
        self.batches = 0
        self.sums: dict[str, float] = {}
        self.random: list[list[Tensor]] = []  # of each process

    def finish_epoch(self, entry: dict[str, Any], selection: Literal["mae", "mse", "last"], model: nn.Module) -> None:
        """Logs an epoch and keeps the model's weights if its validation error is the lowest; ties go to the later."""
        self.epoch = entry["epoch"] + 1
        self._next_epoch()
        error = self.best_error if selection == "last" else entry[f"val_{selection}"]
        if error <= self.best_error:
            self.best_error, self.best_epoch = error, entry["epoch"]
            self.best = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        entry["chosen"] = self.best_epoch
        self.history.append(entry)

    def seed(self, seed: int, stage: int, epoch: int) -> None:
        """Seeds the dropout of an epoch, or sets it to where an epoch that goes on was left."""
        if not self.random:
            torch.manual_seed(mixed(seed, stage, epoch, *([rank()] if rank() else [])))
            return
        host, *devices = self.random[rank()]
        torch.set_rng_state(host)
        if devices:
            torch.cuda.set_rng_state(devices[0])

    def keep_random(self) -> None:
        """Notes where the random numbers of every process stand: the host's, and those of its GPU, if any."""
        devices = [torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else []
        self.random = gather_objects([torch.get_rng_state(), *devices])

    def save(self, folder: Path, moving: dict[str, Any]) -> None:
        """Replaces the checkpoint and the log in ``folder``; ``moving`` is the state of objective and optimisers.

        Raises:
            CoReEchoError: the disk is full or the folder cannot be written to; the old checkpoint is left.
        """
        content = io.BytesIO()
        torch.save(vars(self) | moving, content)
        log = "".join(json.dumps(entry) + "\n" for entry in self.history)
        replace_file(folder / LAST, lambda path: path.write_bytes(content.getbuffer()))
        replace_file(folder / LOG, lambda path: path.write_text(log, encoding="utf-8"))

    def load(self, folder: Path) -> dict[str, Any] | None:
        """Takes over the state saved in ``folder``, if any.

        Returns:
            The objective's and the optimisers' states, or nothing when the run is new.

        Raises:
            RecordError: the checkpoint is damaged or another run's.
        """
        path = folder / LAST
        if not path.exists():
            return None
        try:
            saved: dict[str, Any] = unpickle(path)
            own = {name: saved.pop(name) for name in vars(self)}
            whole = all(type(own[name]) is type(value) for name, value in vars(self).items())
            whole = whole and all(
                isinstance(value, Tensor) for part in (own["best"], saved["objective"]) for value in part.values()
            )
        except (CheckpointError, KeyError, TypeError, AttributeError) as error:
            reason = "damaged checkpoint" if isinstance(error, CheckpointError) else "not a complete checkpoint"
            raise RecordError(f"{path}: {reason}; remove it to start anew") from None
        if not whole or not all(isinstance(saved.get(name), dict) for name in ("objective", "optimizers")):
            raise RecordError(f"{path}: not a complete checkpoint; remove it to start anew")
        if own["key"] != self.key:
            raise RecordError(f"{path} belongs to run key {own['key']}, not {self.key}; remove it to start anew")
        vars(self).update(own)
        return saved


def mixed(*numbers: int) -> int:
    """One seed from several numbers, such as (seed of the run, stage, epoch)."""
    return int(np.random.SeedSequence(list(numbers)).generate_state(1)[0])


def tensorboard_writer(folder: Path) -> Callable[[dict[str, Any]], None]:
    """A hook that writes every number of an epoch's log entry as a scalar, one group per stage."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise SettingsError("--tensorboard needs the package tensorboard; pip install tensorboard") from None
    writer = SummaryWriter(str(folder / "tensorboard"))

    def write(entry: dict[str, Any]) -> None:
        for name, value in entry.items():
            if isinstance(value, float):
                writer.add_scalar(f"{entry['stage']}/{name}", value, entry["epoch"])
        writer.flush()

    return write
