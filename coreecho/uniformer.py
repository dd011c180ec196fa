"""UniFormer-S, the encoder of CoReEcho (section 2.1): clip in, embedding out.

Four stages, each a patch embedding and a row of blocks. Stages one and two mix neighbouring positions with depth-wise
convolutions; stages three and four attend over all positions of all frames at once. There is no position table: a
depth-wise 3x3x3 convolution in each block tells where a token is, so that any clip size can be used.

Names, order and shapes of the parameters are those of the published Kinetics-400 weights (331 keys with their 400-way
head), which `load_state_dict` takes strictly. Every layer works in either memory layout; the patch embeddings emit
channels-last maps, in which the normalisations over channels and the layers that mix channels need no copies.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from coreecho.errors import SettingsError
from coreecho.layers import MLP, Depthwise, Dropout, Linear, Pointwise, Stage, channels_first, channels_last
from coreecho.settings import ClipSettings, EncoderSettings


class ConvBlock(nn.Module):
    """Block of stages one and two: position, local mixing over 5x5x5 neighbours, MLP; each a residual."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.pos_embed = Depthwise(width, 3)
        self.norm1 = nn.BatchNorm3d(width)
        self.conv1 = Pointwise(width, width)
        self.conv2 = Pointwise(width, width)
        self.attn = Depthwise(width, 5)
        self.norm2 = nn.BatchNorm3d(width)
        self.mlp = MLP(width, dropout, Pointwise)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to a map of the same shape."""
        x = x + self.pos_embed(x)
        mixed = self.attn(channels_first(self.conv1(channels_last(self.norm1(x)))))
        x = x + channels_first(self.conv2(channels_last(mixed)))
        return x + channels_first(self.mlp(channels_last(self.norm2(x))))


class Attention(nn.Module):
    """Multi-head attention of every token to all tokens of the clip, in space and time together."""

    def __init__(self, width: int, head_width: int, dropout: float) -> None:
        super().__init__()
        self.heads = width // head_width
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)
        self.proj_drop = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, N, C) to tokens (B, N, C)."""
        b, n, c = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)  # each (B, heads, N, D)
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj_drop(self.proj(mixed.transpose(1, 2).reshape(b, n, c)))  # (B, N, C)
        return out


class AttentionBlock(nn.Module):
    """Block of stages three and four: position, joint space-time attention, MLP; each a residual."""

    def __init__(self, width: int, head_width: int, dropout: float) -> None:
        super().__init__()
        self.pos_embed = Depthwise(width, 3)
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, head_width, dropout)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to a map of the same shape."""
        x = channels_last(x + self.pos_embed(x))  # (B, T, H, W, C)
        tokens: Tensor = x.flatten(1, 3)  # (B, T*H*W, C)
        tokens = tokens + self.attn(self.norm1(tokens))
        tokens = tokens + self.mlp(self.norm2(tokens))
        # Not tokens.transpose(1, 2): its strides for a batch of one send BatchNorm's backward astray (torch 2.14, CPU).
        return channels_first(tokens.view(x.shape))  # (B, C, T, H, W)


class PatchEmbed(nn.Module):
    """Cut the map into patches, project each to the stage's width and normalise it over channels.

    Args:
        width_in: Channels of the map that comes in.
        width: Channels of the stage.
        stride: Side of a square patch, in positions; rows and columns that do not fill a patch are dropped.
        stem: Whether this is the first stage, which also halves time with overlapping windows of three frames.
    """

    def __init__(self, width_in: int, width: int, stride: int, *, stem: bool) -> None:
        super().__init__()
        patch, step = (3 if stem else 1, stride, stride), (2 if stem else 1, stride, stride)
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.proj = nn.Conv3d(width_in, width, kernel_size=patch, stride=step, padding=(1 if stem else 0, 0, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C, T or ceil(T / 2), H // stride, W // stride)."""
        return channels_first(self.norm(channels_last(self.proj(x))))  # (B, C, T, H, W)


class UniFormer(nn.Module):
    """The encoder at any scale; the paper's is `uniformer_small`.

    Args:
        settings: Widths, depths, strides, head width and dropout.
        num_classes: Outputs of the linear head (400 in the published weights); 0 for none.

    Raises:
        SettingsError: If a number is out of range or an attention width is no multiple of the head width.
    """

    def __init__(self, settings: EncoderSettings, num_classes: int = 400) -> None:
        super().__init__()
        _check(settings, num_classes)
        self.settings = settings
        self.width = settings.widths[-1]
        widths, strides, dropout = (3, *settings.widths), settings.strides, settings.dropout
        for i in range(4):
            setattr(self, f"patch_embed{i + 1}", PatchEmbed(widths[i], widths[i + 1], strides[i], stem=i == 0))
        self.pos_drop = Dropout(dropout)
        for i, (width, depth) in enumerate(zip(settings.widths, settings.depths, strict=True)):
            blocks = [
                ConvBlock(width, dropout) if i < 2 else AttentionBlock(width, settings.head_width, dropout)
                for _ in range(depth)
            ]
            setattr(self, f"blocks{i + 1}", Stage(*blocks))
        self.norm = nn.BatchNorm3d(self.width)
        self.head = nn.Linear(self.width, num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    @property
    def checkpointing(self) -> bool:
        """Whether blocks keep only what enters them and are computed again in the backward pass; off at first.

        Gradients, dropout and running statistics are bit for bit the same; a machine is told so, never a run.
        """
        return all(stage.checkpointing for stage in self._stages())

    @checkpointing.setter
    def checkpointing(self, on: bool) -> None:
        for stage in self._stages():
            stage.checkpointing = on

    def _stages(self) -> list[Stage]:
        return [child for child in self.children() if isinstance(child, Stage)]

    def features(self, x: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to the last feature map (B, C_E, t, h, w), after the final norm.

        Raises:
            SettingsError: If a clip is no five-axis RGB tensor, or smaller than one patch of the last stage.
        """
        if x.ndim != 5 or x.shape[1] != 3 or 0 in self._grid(*x.shape[2:]):
            raise SettingsError(
                f"the encoder got a tensor of shape {tuple(x.shape)}; it takes (B, 3, T, H, W) with T of 1 or more "
                f"and sides of {math.prod(self.settings.strides)} pixels or more"
            )
        for i in range(1, 5):
            x = getattr(self, f"patch_embed{i}")(x)
            if i == 1:
                x = channels_first(self.pos_drop(channels_last(x)))
            x = getattr(self, f"blocks{i}")(x)
        out: Tensor = self.norm(x)
        return out

    def embed(self, x: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to embeddings (B, C_E): the mean of the last map over all positions."""
        return self.features(x).mean(dim=(2, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to logits (B, num_classes), or to embeddings if there is no head."""
        out: Tensor = self.head(self.embed(x))
        return out

    def grid(self, clip: ClipSettings) -> tuple[int, int, int]:
        """Time, height and width of the last feature map for clips of this shape (18, 3, 3 in the paper)."""
        return self._grid(clip.frames, clip.size, clip.size)

    def _grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        for stride in self.settings.strides:
            height, width = height // stride, width // stride
        return (frames + 1) // 2, height, width


def uniformer_small(num_classes: int = 400, **overrides: Any) -> UniFormer:
    """The paper's encoder: 21,195,200 parameters without its head, embeddings of 512 numbers (section 2.1).

    Args:
        num_classes: Outputs of the linear head; 0 for none, 1 as in the authors' own checkpoints.
        overrides: Fields of `coreecho.settings.EncoderSettings` that differ from the paper's.

    Raises:
        SettingsError: If a field does not exist or is out of range.

    Example:
        >>> uniformer_small().grid(ClipSettings())
        (18, 3, 3)
    """
    known = {field.name for field in dataclasses.fields(EncoderSettings)}
    if unknown := sorted(set(overrides) - known):
        raise SettingsError(f"encoder setting {unknown[0]!r} does not exist; there are {', '.join(sorted(known))}")
    return UniFormer(EncoderSettings(**overrides), num_classes)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def _check(settings: EncoderSettings, num_classes: int) -> None:
    for name in ("widths", "depths", "strides"):
        values = getattr(settings, name)
        if len(values) != 4 or min(values) < 1:
            raise SettingsError(f"encoder setting {name} is {values}; it takes four whole numbers of 1 or more")
    if settings.head_width < 1 or any(width % settings.head_width for width in settings.widths[2:]):
        raise SettingsError(
            f"the widths of stages 3 and 4, {settings.widths[2:]}, are no multiples of head_width "
            f"{settings.head_width}; change one of them"
        )
    if not 0 <= settings.dropout < 1 or num_classes < 0:
        raise SettingsError(
            f"dropout is {settings.dropout} and num_classes {num_classes}; dropout lies in [0, 1), "
            "num_classes is 0 or more"
        )
