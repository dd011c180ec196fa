"""What data sets give and networks take: one video's clips with its label, and a batch of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

BLACK = (0, 0, 0)


@dataclass(frozen=True)
class Item:
    """One video's clips and label, the unit of a batch."""

    clips: Tensor  # (V, 3, T, H, W) uint8
    label: float
    video: str
    starts: tuple[int, ...]
    shifts: tuple[tuple[int, int], ...] = ()
    """Rows and columns by which each clip has yet to be moved; empty where none is left to apply."""
    fill: tuple[int, ...] = BLACK
    """Colour of what then comes into view."""
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    """Further targets by name, such as outlines; they reach `Objective.forward` as keywords."""


@dataclass(frozen=True)
class Batch:
    """Clips of B videos with V views each."""

    clips: Tensor  # (B, V, 3, T, H, W) uint8
    labels: Tensor  # (B,) float32
    videos: tuple[str, ...]
    starts: tuple[tuple[int, ...], ...]
    shifts: Tensor | None = None  # (B, V, 2) int64
    """By what the clips have yet to be moved (`coreecho.clips.shift_on_device`); none where nothing is left to do."""
    fill: tuple[int, ...] = BLACK
    extra: Mapping[str, Tensor] = field(default_factory=dict)  # each (B, ...)

    @staticmethod
    def collate(items: list[Item]) -> Batch:
        """Stacks items that have the same number of views."""
        return Batch(
            clips=_stacked([item.clips for item in items]),
            labels=torch.tensor([item.label for item in items], dtype=torch.float32),
            videos=tuple(item.video for item in items),
            starts=tuple(item.starts for item in items),
            shifts=torch.tensor([item.shifts for item in items]) if items[0].shifts else None,
            fill=items[0].fill,
            extra={name: _stacked([item.extra[name] for item in items]) for name in items[0].extra},
        )

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory, from which a GPU copies without making anybody wait."""
        return self.mapped(Tensor.pin_memory)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The same batch with ``change`` applied to each of its tensors."""
        shifts = None if self.shifts is None else change(self.shifts)
        extra = {name: change(x) for name, x in self.extra.items()}
        return Batch(change(self.clips), change(self.labels), self.videos, self.starts, shifts, self.fill, extra)


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Equal shapes as one tensor, by NumPy: PyTorch would start threads that compete with the trainer's."""
    whole = np.stack([each.view(torch.uint8).numpy() for each in tensors])  # as bytes, since NumPy knows no bfloat16
    return torch.from_numpy(whole).view(tensors[0].dtype)
