"""What a compared system has to say of itself: how it is built, trained and scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import nn

from coreecho.model import CoReEcho
from coreecho.plan import Plan
from coreecho.schedule import Stage


class Fixed(NamedTuple):
    """A value that a method sets itself, whatever the recipe says."""

    value: float
    meaning: str
    """What it is there, in a sentence."""


@dataclass(frozen=True, kw_only=True)
class System:
    """A compared system as one value, which `coreecho.baselines` lists under its method's name."""

    method: str
    """`Run.method` of its runs."""
    title: str
    """Its name in tables."""
    reference: str
    """Key of its paper in the book's bibliography."""
    stages: Callable[[Plan], list[Stage]]
    """What is optimised, in order; each stage starts from the best epoch of the one before."""
    network: Callable[[Plan], CoReEcho] | None = None
    """Its network with random weights; none for the profile's encoder and the recipe's head."""
    kinetics: tuple[str, Callable[[CoReEcho, Path], object]] | None = None
    """File of published weights under ``weights/`` of the data root that init "k400" means in the paper profile, and
    what loads it, for a network of its own."""
    inherit: Callable[[nn.Module, Path], object] | None = None
    """Puts another run's weights into its encoder; none for a whole encoder of the same architecture."""
    score: Callable[[CoReEcho, Plan, torch.device], pd.DataFrame] | None = None
    """Test predictions with a ``protocol`` column, as `coreecho.scoring.score` gives them; none for the usual ones."""
    fixes: Mapping[str, Fixed] = field(default_factory=dict)
    """By field of the recipe: what the method sets itself and does not take from there."""
    untrained: Mapping[str, str] = field(default_factory=dict)
    """By protocol whose clips are of another kind than those it was trained on: what it was trained on."""
    differs: str = ""
    """What differs from the original, in a sentence or two; it is printed with the system's rows."""
