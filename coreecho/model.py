"""CoReEcho: an encoder and a shallow regressor on its embedding (section 2.1, figure 2).

The paper's pair is UniFormer-S with `MLPHead`. `LinearHead` is what EchoCoTr and AdaCon put on theirs, and
`R2Plus1D` is AdaCon's encoder. Every encoder has ``width``, the size C_E of its embeddings, and ``embed``.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from coreecho.clips import MEAN, SD, Levels
from coreecho.settings import ClipSettings, EncoderSettings, Recipe
from coreecho.uniformer import UniFormer

MEAN_EF = 55.6
"""Where the last bias starts: about the mean EF of EchoNet-Dynamic's training videos, in percent."""


class MLPHead(nn.Sequential):
    """The paper's regressor: two normalised, regularised layers from the embedding to one number (section 2.1).

    Args:
        width: Size C_E of the embedding.
        dropout: Probability before each of the two linear layers (0.4 in the paper).
        hidden: Size of the hidden layer; the embedding's if none.
        bias: First value of the last bias, in the label's unit.
    """

    def __init__(self, width: int, dropout: float = 0.4, hidden: int | None = None, bias: float = MEAN_EF) -> None:
        hidden = hidden or width
        last = nn.Linear(hidden, 1)
        nn.init.constant_(last.bias, bias)
        super().__init__(
            nn.BatchNorm1d(width),
            nn.Dropout(dropout),
            nn.Linear(width, hidden),
            nn.BatchNorm1d(hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            last,
        )
        self.width, self.hidden, self.dropout = width, hidden, dropout


class LinearHead(nn.Linear):
    """One linear layer from the embedding to one number (EchoCoTr's and AdaCon's regressor; linear probing).

    Args:
        width: Size C_E of the embedding.
        bias: First value of the bias, in the label's unit.
        outputs: Numbers that come out: 1, or the pretext task's classes.
    """

    def __init__(self, width: int, bias: float = MEAN_EF, outputs: int = 1) -> None:
        super().__init__(width, outputs)
        nn.init.constant_(self.bias, bias)


class OtherEncoder(nn.Module, ABC):
    """Base of the compared systems' own encoders."""

    width: int
    """Size of an embedding."""

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to embeddings (B, width)."""


class R2Plus1D(OtherEncoder):
    """AdaCon's encoder: torchvision's R(2+1)D-18 without its classifier, embeddings of 512 numbers, random weights."""

    width = 512

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models.video import r2plus1d_18  # here, because only one of the rival methods needs it

        self.net: nn.Module = r2plus1d_18(weights=None)
        self.net.fc = nn.Identity()

    def embed(self, x: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to embeddings (B, 512)."""
        out: Tensor = self.net(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """The same as `embed`."""
        return self.embed(x)


Encoder = UniFormer | OtherEncoder
Net = TypeVar("Net", bound=nn.Module)
Task = Literal["ef", "mi", "motion"]
Head = MLPHead | LinearHead


class CoReEcho(nn.Module):
    """Encoder and head: a clip in, its EF out.

    Args:
        encoder: A module with ``width`` and ``embed``.
        head: A module from (B, C_E) to (B, 1), or to (B, classes) for the pretext task.
        task: "ef" for an EF in percent; "mi" for the logit of a myocardial infarction; "motion" for the pretext task.
        clip: Shape of the clips that it was made for, or none if not known.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: Head,
        *,
        task: Task = "ef",
        clip: ClipSettings | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.task, self.clip = encoder, head, task, clip
        self.levels: Levels = (MEAN, SD)  # what its clips are normalised with
        self.description: dict[str, Any] = {}  # what a checkpoint said of training data and licence

    @classmethod
    def from_checkpoint(cls, path: str | Path) -> CoReEcho:
        """A trained model in eval mode, from a file of this package or of the authors.

        What the file says about itself is returned by `coreecho.checkpoints.load`, which this calls. That module comes
        later in the order of imports, so it is looked up only now.

        Args:
            path: Checkpoint, or a folder with ``model.safetensors``; its kind is told by its content.

        Raises:
            CheckpointError: If the file is missing, damaged or of another architecture.
        """
        model: CoReEcho = importlib.import_module("coreecho.checkpoints").load(path)[0]
        return model

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> CoReEcho:
        """A trained model in eval mode, from a local folder in the Hugging Face hub's layout (`coreecho.hub`).

        Raises:
            CheckpointError: If it is no such folder, or its files are damaged.
        """
        model: CoReEcho = importlib.import_module("coreecho.hub").load_folder(folder)
        return model

    def save_pretrained(self, folder: str | Path, description: Mapping[str, Any] | None = None) -> None:
        """Write a local folder in the Hugging Face hub's layout: weights, ``config.json`` and a model card.

        Args:
            folder: Made if missing.
            description: ``training_data`` and more, as `coreecho.checkpoints.save` takes it; what the checkpoint that
                the model came from said, if none.

        Raises:
            CoReEchoError: If the folder cannot be written, or the description does not fit.
        """
        facts = {"training_data": "not stated", **(self.description if description is None else description)}
        importlib.import_module("coreecho.hub").save_folder(self, folder, facts)

    def embed(self, x: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to embeddings (B, C_E)."""
        out: Tensor = self.encoder.embed(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to EF in percent (B,), or to logits: (B,) for "mi", (B, classes) else."""
        out: Tensor = self.head(self.embed(x))  # (B, 1)
        return out.squeeze(1)


def build_encoder(encoder: EncoderSettings, recipe: Recipe) -> Encoder:
    """The recipe's encoder with random weights; ``encoder`` sets the scale of a UniFormer.

    Raises:
        SettingsError: If the settings are out of range.
    """
    return R2Plus1D() if recipe.backbone == "r2plus1d" else UniFormer(encoder, num_classes=0)


def build_model(
    encoder: EncoderSettings,
    recipe: Recipe,
    mean_label: float,
    *,
    task: Task = "ef",
    clip: ClipSettings | None = None,
    classes: int = 1,
) -> CoReEcho:
    """The network of a run, with random weights.

    Args:
        encoder: Scale of the UniFormer.
        recipe: Names the encoder class, the head and the head's dropout.
        mean_label: First value of the head's last bias: the mean EF of the training videos in percent (0 for logits).
        task: What the output means.
        clip: Shape of the clips.
        classes: Number of the pretext task's classes, told apart by one linear layer.

    Raises:
        SettingsError: If the settings are out of range.
    """
    body = build_encoder(encoder, recipe)
    head: Head
    if classes > 1:
        head = LinearHead(body.width, 0.0, classes)
    elif recipe.head == "linear":
        head = LinearHead(body.width, mean_label)
    else:
        head = MLPHead(body.width, recipe.head_dropout, bias=mean_label)
    return CoReEcho(body, head, task=task, clip=clip)


def with_channels_last(net: Net) -> Net:
    """The network itself, once the kernels that convolve maps (B, C, T, H, W) lie channels-last in memory."""
    for weight in net.parameters():
        if weight.ndim == 5:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last_3d)
    return net
