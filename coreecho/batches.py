"""What data sets give and networks take: one video's clips with its label, and a batch of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from coreecho.clips import Levels, Window, normalise

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
    windows: tuple[Window, ...] = ()
    """Of each clip, where its padding is grey; empty where it is black."""


@dataclass(frozen=True)
class Batch:
    """Clips of B videos with V views each."""

    clips: Tensor  # (B, V, 3, T, H, W) uint8, or float32 where they are normalised already
    labels: Tensor  # (B,) float32
    videos: tuple[str, ...]
    starts: tuple[tuple[int, ...], ...]
    shifts: Tensor | None = None  # (B, V, 2) int64
    """By what the clips have yet to be moved (`coreecho.clips.shift_on_device`); none where nothing is left to do."""
    fill: tuple[int, ...] = BLACK
    extra: Mapping[str, Tensor] = field(default_factory=dict)  # each (B, ...)
    windows: Tensor | None = None  # (B, V, 3) int64
    """Of each clip, where its padding is grey and it has yet to be normalised."""

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
            windows=torch.tensor([item.windows for item in items]) if items[0].windows else None,
        )

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory, from which a GPU copies without making anybody wait."""
        return self.mapped(Tensor.pin_memory)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The same batch with ``change`` applied to each of its tensors."""
        shifts, windows = (None if x is None else change(x) for x in (self.shifts, self.windows))
        extra = {name: change(x) for name, x in self.extra.items()}
        clips, labels = change(self.clips), change(self.labels)
        return dataclasses.replace(self, clips=clips, labels=labels, shifts=shifts, extra=extra, windows=windows)

    def padded(self, levels: Levels) -> Batch:
        """The same batch, normalised by ``levels`` with 0 for padding where that is grey; its crops have been made."""
        if self.windows is None:
            return self
        clips = normalise(self.clips.flatten(0, 1), levels, self.windows.flatten(0, 1)).view(self.clips.shape)
        return dataclasses.replace(self, clips=clips, windows=None)


def joined(items: Sequence[Item]) -> tuple[Tensor, Tensor | None]:
    """The clips of all items (sum of V, 3, T, H, W), and their windows (sum of V, 3) where they have any."""
    windows = [window for item in items for window in item.windows]
    return torch.cat([item.clips for item in items]), torch.tensor(windows) if windows else None


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Equal shapes as one tensor, by NumPy: PyTorch would start threads that compete with the trainer's."""
    whole = np.stack([each.view(torch.uint8).numpy() for each in tensors])  # as bytes, since NumPy knows no bfloat16
    return torch.from_numpy(whole).view(tensors[0].dtype)
