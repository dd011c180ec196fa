"""A row of a table: what the paper prints, and what is run for it; and all that the paper prints, as data."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from coreecho.settings import Run


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table: what the paper prints, and what is run here to rebuild it."""

    name: str
    """Table and row, as in run names."""
    system: str
    """The system as the paper names it."""
    reference: str
    """Citation key in the book's bibliography."""
    clips: str
    """Test-time protocol as the paper words it."""
    published: dict[str, float]
    """The paper's values: MAE and RMSE in EF points, R2 and its standard deviation over runs in percent."""
    run: Run
    """What is trained for it, at seed 0."""
    protocol: str | None = None
    """Its test-time protocol, where that is not the run's own."""
    single: bool = False
    """Whether one seed is trained where others have several."""
    note: str = ""
    """A remark printed under the table."""
    on_request: bool = False
    """Whether its runs are left out where all runs are meant."""
    folds: int = 0
    """Number of cross-validation folds, each a run of its own; 0 for a data set with one test split."""

    def runs(self, seeds: Sequence[int]) -> list[Run]:
        """The row's runs at the given seeds: one per seed, or one per seed and fold, all folds of a seed together."""
        folds = range(self.folds) if self.folds else [None]
        chosen = seeds[:1] if self.single else seeds
        return [dataclasses.replace(self.run, seed=seed, fold=fold) for seed in chosen for fold in folds]

    @property
    def title(self) -> str:
        """The system's name, with its protocol where it has several rows."""
        return self.system if self.protocol is None else f"{self.system}, {self.clips}"


@cache
def published() -> dict[str, Any]:
    """The paper's numbers (Tables 1-5, efficiency), and what the literature prints beside them."""
    text = resources.files("coreecho").joinpath("published.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
