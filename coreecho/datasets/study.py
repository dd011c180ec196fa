"""What every data set is read into: labelled echo files and a count of what was left out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from coreecho.errors import DataError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class Study:
    """One echo file with its label."""

    id: str
    """Name of the study, unique in its data set (EchoNet-Dynamic: the file's stem)."""
    path: Path
    """The file that holds the video."""
    label: float
    """Ejection fraction in percent."""
    split: Split
    """Which part of the data set it belongs to."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """All usable studies of a folder and the names of those that were left out, by reason."""

    name: str
    root: Path
    studies: tuple[Study, ...]
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def split(self, split: Split) -> tuple[Study, ...]:
        """The studies of one split, in the list file's order.

        Raises:
            DataError: the split is empty; a network cannot be trained or scored without it.
        """
        chosen = tuple(study for study in self.studies if study.split == split)
        if not chosen:
            raise DataError(
                f"{self.root}: no usable video in split {split!r} of {len(self.studies)}; the list file must name some"
            )
        return chosen

    @property
    def mean_label(self) -> float:
        """Mean label of the training split, where the regressor's last bias starts (55.6 for EchoNet-Dynamic)."""
        train = self.split("train")
        return sum(study.label for study in train) / len(train)

    def fingerprint(self) -> str:
        """SHA-256 over name, label, split and file size of every usable study, whatever folder they lie in."""
        rows = sorted(
            f"{study.id},{study.label:.6f},{study.split},{study.path.stat().st_size}" for study in self.studies
        )
        return hashlib.sha256("\n".join([self.name, *rows]).encode()).hexdigest()
