"""What may be done on one machine and not on another without altering a number: processes, compiler, saved memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from coreecho.model import Encoder
from coreecho.uniformer import UniFormer


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How a training uses the machine it runs on; never part of a run's key."""

    workers: int = 0
    """Loader processes."""
    compile: bool = False
    """Compile the encoder (torch.compile): worth its minute on a GPU; equal up to rounding."""
    save_memory: bool = False
    """Compute the blocks' insides again in the backward pass instead of keeping them: slower, for small GPUs."""

    @contextmanager
    def tuned(self, encoder: Encoder) -> Iterator[None]:
        """The encoder as this machine is to run it, inside the block."""
        plain = encoder.embed
        if isinstance(encoder, UniFormer):
            encoder.checkpointing = self.save_memory
        if self.compile:
            encoder.embed = torch.compile(plain)  # type: ignore[method-assign]  # the weights keep their names
        try:
            yield
        finally:
            if isinstance(encoder, UniFormer):
                encoder.checkpointing = False
            if self.compile:
                del encoder.embed
