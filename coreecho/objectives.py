"""What one training step minimises: the losses of a method, as modules that the one training loop drives.

An objective holds the model, says which parameters move and under which optimiser, and turns a batch into named losses
whose sum is minimised. Stage one's two optimisers (equation 1 with its stop-gradient) are two disjoint groups here.

Where several processes share a batch, each computes the losses of the whole one: everything a loss compares is gathered
first. The gathered rows come process by process, so a loss must not depend on the order of its rows; none does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coreecho.clips import MEAN, SD, Levels, normalise
from coreecho.distributed import gather
from coreecho.losses import rnc_loss
from coreecho.model import CoReEcho

Losses = dict[str, Tensor]
Error = Callable[[Tensor, Tensor], Tensor]


def flatten_views(clips: Tensor, labels: Tensor, levels: Levels = (MEAN, SD)) -> tuple[Tensor, Tensor]:
    """All first views, then all second views, as one batch with a label for each clip; bytes are normalised."""
    views = clips.shape[1]
    flat = clips.transpose(0, 1).flatten(0, 1)  # (B, V, 3, T, H, W) -> (V B, 3, T, H, W)
    return normalise(flat, levels).contiguous(memory_format=torch.channels_last_3d), labels.repeat(views)


def gathered(x: Tensor) -> Tensor:
    """Rows (M, ...) of all processes, at least in float32: what a loss is computed of."""
    return gather(x if x.dtype == torch.float64 else x.float())


class Objective(nn.Module, ABC):
    """Base: holds the model; all parameters move, under one optimiser."""

    def __init__(self, model: CoReEcho) -> None:
        """Wraps ``model``, whose weights this objective will move."""
        super().__init__()
        self.model = model

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The parameters that move, by optimiser."""
        return {"all": list(self.parameters())}

    @abstractmethod
    def forward(self, clips: Tensor, labels: Tensor) -> Losses:
        """Losses of one batch, by name; where several processes share the batch, of all their rows.

        Args:
            clips: (B, V, 3, T, H, W) uint8, V views of B videos; or float32, normalised already.
            labels: (B,) EF in percent.
        """


class EndToEnd(Objective):
    """Encoder and head together, on the error of the prediction (L1: Table 2's baseline; MSE: EchoCoTr)."""

    def __init__(self, model: CoReEcho, error: Error) -> None:
        """Minimises ``error(prediction, label)`` over all views."""
        super().__init__(model)
        self.error = error

    def forward(self, clips: Tensor, labels: Tensor) -> Losses:
        """The mean error over all views."""
        x, y = flatten_views(clips, labels, self.model.levels)
        return {"error": self.error(gathered(self.model(x)), gather(y))}


class Contrast(Objective):
    """Base: a contrast of embeddings moves the encoder, L1 moves the head on detached embeddings."""

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Encoder and head, each under its own optimiser: the stop-gradient makes them disjoint problems."""
        return {"encoder": list(self.model.encoder.parameters()), "head": list(self.model.head.parameters())}

    @abstractmethod
    def contrast(self, z: Tensor, y: Tensor, clips: Tensor) -> Losses:
        """What moves the encoder, by name.

        Args:
            z: (M, C_E) embeddings of all clips of all processes.
            y: (M,) their EF in percent.
            clips: (B, V, 3, T, H, W), this process's own, as `forward` is given them.
        """

    def forward(self, clips: Tensor, labels: Tensor) -> Losses:
        """The contrast of all clips of the batch, and L1 of the head."""
        x, y = flatten_views(clips, labels, self.model.levels)
        z = self.model.embed(x)  # (V B, C_E)
        prediction = gathered(self.model.head(z.detach()).squeeze(-1))
        z, y = gathered(z), gather(y)
        return self.contrast(z, y, clips) | {"l1": F.l1_loss(prediction, y)}


class RankNContrast(Contrast):
    """Stage one: Rank-N-Contrast moves the encoder, L1 the head (equation 1)."""

    def __init__(self, model: CoReEcho, temperature: float) -> None:
        """Ranks embeddings with the given temperature tau."""
        super().__init__(model)
        self.temperature = temperature

    def contrast(self, z: Tensor, y: Tensor, clips: Tensor) -> Losses:
        """RnC of the embeddings by their labels."""
        return {"rnc": rnc_loss(z, y, self.temperature)}


class HeadOnly(Objective):
    """Stage two: the encoder is frozen, in evaluation mode; only the head moves (section 2.2)."""

    def __init__(self, model: CoReEcho, error: Error) -> None:
        """Minimises ``error(prediction, label)`` over the head."""
        super().__init__(model)
        self.error = error

    def train(self, mode: bool = True) -> HeadOnly:
        """Sets the head's mode; the encoder's dropout and batch statistics stay off."""
        super().train(mode)
        self.model.encoder.eval()
        return self

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The head alone."""
        return {"head": list(self.model.head.parameters())}

    def forward(self, clips: Tensor, labels: Tensor) -> Losses:
        """The mean error of the head on embeddings without gradient.

        Args:
            clips: (B, V, 3, T, H, W) uint8, or the encoder's embeddings of them (B, V, C_E), as it stands still.
            labels: (B,) EF in percent.
        """
        if clips.ndim == 3:
            z, y = clips.transpose(0, 1).flatten(0, 1), labels.repeat(clips.shape[1])  # (V B, C_E)
        else:
            x, y = flatten_views(clips, labels, self.model.levels)
            with torch.no_grad():
                z = self.model.embed(x)
        return {"error": self.error(gathered(self.model.head(z).squeeze(-1)), gather(y))}
