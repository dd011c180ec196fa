"""A training with everything it is about: the run, its scale, and the data it learns from."""

from __future__ import annotations

from dataclasses import dataclass

from coreecho.datasets import Dataset, Study
from coreecho.settings import ClipSettings, Profile, Recipe, Run


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a system is told when it makes its network, its stages and its predictions."""

    run: Run
    """What is trained."""
    profile: Profile
    """At which scale."""
    data: Dataset | None = None
    """On which videos; none where only settings are asked for."""

    @property
    def recipe(self) -> Recipe:
        """How it is optimised."""
        return self.profile.recipe(self.run)

    @property
    def clip(self) -> ClipSettings:
        """The shape of its clips."""
        return self.profile.clip_settings(self.run)

    @property
    def full_size(self) -> bool:
        """Whether networks are as large as published; else a compared system brings a narrower twin of its own."""
        return self.profile.phantom is None

    @property
    def train(self) -> tuple[Study, ...]:
        """The studies to learn from."""
        return () if self.data is None else self.data.split("train")

    @property
    def val(self) -> tuple[Study, ...]:
        """The studies that choose the epoch; none where the data set has no such split."""
        return () if self.data is None else tuple(study for study in self.data.studies if study.split == "val")

    @property
    def labels(self) -> list[float]:
        """The training studies' labels, in their order."""
        return [study.label for study in self.train]
