"""What the stop-gradient changes, on a toy that trains in a second (section 2.2, equation 1).

    from coreecho import stopgradient
    trial = stopgradient.run(stop=True)     # equation 1 as it stands
    trial = stopgradient.run(stop=False)    # the same sum, the regression's gradient let through to the encoder

A toy video has one number a frame, the area of a beating ventricle, and a clip is sixteen of them from any moment of
the beat on. The encoder is a small perceptron whose embedding has two numbers, so that it can be drawn as it is. What
is seen on it is seen on it, and proves nothing about echos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coreecho.continuity.measures import label_distance_correlation
from coreecho.losses import rnc_loss
from coreecho.model import CoReEcho, MLPHead, OtherEncoder
from coreecho.objectives import Losses, RankNContrast, flatten_views

Floats = npt.NDArray[np.float64]
FRAMES, VIDEOS, BATCH = 16, 128, 16
RATE = 3e-3
EF_RANGE, NOISE = (20.0, 75.0), 6.0
LAST = 50
"""Steps at the end of a training that a table averages over."""


class TraceEncoder(OtherEncoder):
    """Two layers from the sixteen areas of a clip to a point in the plane."""

    width = 2

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(FRAMES, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, self.width)
        )

    def embed(self, x: Tensor) -> Tensor:
        """Clips (B, 3, 16, 1, 1), of whose equal channels the first is read, to points (B, 2)."""
        out: Tensor = self.net(x[:, 0].flatten(1))
        return out


class LetThrough(RankNContrast):
    """Equation 1 without its SG: the absolute error moves head and encoder."""

    def forward(self, clips: Tensor, labels: Tensor) -> Losses:
        """RnC on all clips of the batch, and L1 of the head on embeddings with their gradient."""
        x, y = flatten_views(clips, labels, self.model.levels)
        z = self.model.embed(x)  # (V B, 2)
        return {"rnc": rnc_loss(z, y, self.temperature), "l1": F.l1_loss(self.model.head(z).squeeze(-1), y)}


@dataclass(frozen=True)
class Trial:
    """One training and what came of it."""

    stop: bool
    rnc: Floats
    """The ranking loss of each step's batch."""
    l1: Floats
    """The absolute error of each step's batch, in EF points."""
    rnc_norm: Floats
    """Length of the encoder's gradient that the ranking loss sends, each step."""
    l1_norm: Floats
    """Length of the encoder's gradient that the absolute error sends, each step."""
    points: Floats
    """Embeddings of the unseen clips, (M, 2)."""
    labels: Floats
    """Their EF in percent, (M,)."""
    error: float
    """Mean absolute error on the unseen clips, in EF points."""
    order: float
    """Rank correlation of EF difference and distance over all pairs of unseen clips: 1 where the order is perfect."""


def traces(videos: int, seed: int) -> tuple[Tensor, Tensor]:
    """Toy videos: two clips each (N, 2, 3, 16, 1, 1) uint8, and their EF in percent (N,)."""
    draw = np.random.default_rng(seed)
    ef = draw.uniform(*EF_RANGE, (videos, 1, 1))
    largest = draw.uniform(120.0, 220.0, (videos, 1, 1))
    moment = draw.uniform(0, 2 * np.pi, (videos, 2, 1)) + np.linspace(0, 2 * np.pi, FRAMES, endpoint=False)
    area = largest * (1 - ef / 100 * (1 - np.cos(moment)) / 2) + NOISE * draw.standard_normal((videos, 2, FRAMES))
    clips = torch.tensor(area.clip(0, 255).round().astype(np.uint8))  # (N, 2, 16)
    return clips[:, :, None, :, None, None].repeat(1, 1, 3, 1, 1, 1), torch.tensor(ef.ravel(), dtype=torch.float32)


def run(*, stop: bool, seed: int = 0, steps: int = 400) -> Trial:
    """Trains the toy by equation 1, with the stop-gradient or without; same data, weights and order in both.

    Args:
        stop: Whether the regression's gradient stops before the encoder.
        seed: of data, first weights and order of the videos.
        steps: of 16 videos with two clips each.
    """
    with torch.random.fork_rng():  # the caller's random numbers stay as they were
        torch.manual_seed(seed)
        return _train(stop, seed, steps)


def _train(stop: bool, seed: int, steps: int) -> Trial:
    model = CoReEcho(TraceEncoder(), MLPHead(2, dropout=0.0, hidden=16))
    objective = (RankNContrast if stop else LetThrough)(model, temperature=1.0)
    optimiser = torch.optim.AdamW(objective.parameters(), RATE)
    encoder = list(model.encoder.parameters())
    clips, labels = traces(VIDEOS, seed)
    seen = []
    for _ in range(steps):
        batch = torch.randperm(VIDEOS)[:BATCH]
        losses = objective(clips[batch], labels[batch])
        seen.append([*(loss.item() for loss in losses.values()), *(_norm(loss, encoder) for loss in losses.values())])
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
    rnc, l1, rnc_norm, l1_norm = np.array(seen).T
    return Trial(stop, rnc, l1, rnc_norm, l1_norm, *_judge(model.eval(), *traces(VIDEOS, seed + 1000)))


def _norm(loss: Tensor, parameters: list[nn.Parameter]) -> float:
    """Length of a loss's gradient with respect to some parameters; 0 where none gets there."""
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return float(
        torch.stack([part.square().sum() for part in found if part is not None] or [torch.zeros(())]).sum().sqrt()
    )


@torch.no_grad()
def _judge(model: CoReEcho, clips: Tensor, labels: Tensor) -> tuple[Floats, Floats, float, float]:
    x, y = flatten_views(clips, labels, model.levels)
    points = model.embed(x)
    error = float((model.head(points).squeeze(1) - y).abs().mean())
    places, ef = points.double().numpy(), y.double().numpy()
    return places, ef, error, label_distance_correlation(places[: len(labels)], ef[: len(labels)])


def table(trials: Sequence[Trial]) -> pd.DataFrame:
    """Trials for readers, one line with the stop-gradient and one without: means over seeds, smallest and largest."""
    lines = []
    for stop in (True, False):
        own = [trial for trial in trials if trial.stop == stop]
        if not own:
            continue
        measures = {
            "Gradient at the encoder from the ranking loss": [trial.rnc_norm[-LAST:].mean() for trial in own],
            "from the absolute error": [trial.l1_norm[-LAST:].mean() for trial in own],
            "Ranking loss": [trial.rnc[-LAST:].mean() for trial in own],
            "Order (rank correlation), unseen": [trial.order for trial in own],
            "MAE (EF points), unseen": [trial.error for trial in own],
        }
        line = {
            name: f"{np.mean(values):.2f} [{min(values):.2f}, {max(values):.2f}]" for name, values in measures.items()
        }
        lines.append({"Stop-gradient": "yes" if stop else "no", "Seeds": str(len(own))} | line)
    return pd.DataFrame(lines)
