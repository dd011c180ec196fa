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
    """One echo file with its label, and how its frames become the clip that the label is about."""

    id: str
    """Name of the study, unique in its data set (EchoNet-Dynamic: the file's stem)."""
    path: Path
    """The file that holds the video."""
    label: float
    """Ejection fraction in percent, or 1 for a myocardial infarction and 0 for none (`Dataset.task`)."""
    split: Split
    """Which part of the data set it belongs to, in the fold that was asked for."""
    fold: int | None = None
    """The fold, counted from 0, whose test set it is in, where the data set has folds."""
    quality: str | None = None
    """Good, Medium or Poor, where the data set grades its pictures (CAMUS: of the four-chamber view)."""
    quality_patient: str | None = None
    """The worse of both views' grades, the patient-level grouping of some works (CAMUS)."""
    frames: tuple[int, int] | None = None
    """First and last frame of the part that is used, counted from 0, both included; none for the whole video."""
    reverse: bool = False
    """Whether that part runs from end-systole to end-diastole and is to be turned round."""
    fps: float | None = None
    """Frames per second where the list says so and the file does not."""
    mask: Path | None = None
    """The file with the outlines of the same frames, where there is one; no training reads it."""
    pack: Path | None = None
    """Packed store with the same frames (`coreecho.video.pack`), read instead of ``path``."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """All usable studies of a folder and the names of those that were left out, by reason."""

    name: str
    root: Path
    studies: tuple[Study, ...]
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    task: Literal["ef", "mi", "motion"] = "ef"
    """What the labels are: ejection fractions, whether there is an infarction, or the pretext task's motions."""
    rule: str = ""
    """A choice other than the paper's or the list's own (folds, untraced videos kept); part of the fingerprint."""

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
        """SHA-256 over what decides a run's numbers, whatever folder the files lie in.

        That is, of every usable study, its name, label, split and file size, its fold, quality and part of the video
        where it has them, and the rule by which studies were chosen where it is not the list's own.
        """
        rows = sorted(map(_essence, self.studies))
        return hashlib.sha256("\n".join([self.name, *filter(None, [self.rule]), *rows]).encode()).hexdigest()


def _essence(study: Study) -> str:
    extras = {"fold": study.fold, "quality": study.quality, "frames": study.frames, "reverse": study.reverse or None}
    given = [f"{name}={value}" for name, value in extras.items() if value is not None]
    try:
        size = study.path.stat().st_size
    except OSError as error:
        raise DataError(f"{study.path}: {error.strerror}; copy the video again") from None
    return ",".join([study.id, f"{study.label:.6f}", study.split, str(size), *given])


def refusal(where: Path, problems: Mapping[str, str]) -> DataError:
    """The error that names unusable studies and what is wrong with the first few."""
    told = "; ".join(f"{name:.80}: {problem:.120}" for name, problem in list(problems.items())[:6])
    more = f"; and {len(problems) - 6} more" if len(problems) > 6 else ""
    return DataError(f"{where}: {told}{more}. Mend them, or leave them out with --skip-bad")
