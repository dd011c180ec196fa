"""UVT's network: a residual encoder for each frame, BERT's encoder over the frames, a phase and an EF head.

The frame encoder is one half of the authors' ResNet auto-encoder (the decoder is never used): levels of residual
blocks, each halving the picture and doubling the channels, and from each level a projection straight to the last grid,
all of which are summed. BERT's encoder layers are PyTorch's Transformer layers with the norm after the sum; no position
embedding is added, so the frames are a set. Its output is the mean of what enters it and of what leaves each layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coreecho.model import CoReEcho, LinearHead, OtherEncoder
from coreecho.settings import ClipSettings

SLOPE = 0.05
"""Of the heads' leaky ReLUs."""
CHUNK = 128
"""Frames that are encoded at once where nothing is learned."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the network is; as published by default."""

    channels: int = 8
    """Channels of the first level; each level doubles them."""
    levels: int = 4
    """Levels, each of which halves the picture."""
    blocks: int = 8
    """Residual blocks of a level."""
    features: int = 128
    """Channels of the last grid."""
    width: int = 1024
    """Size of a frame's embedding."""
    layers: int = 16
    """Transformer layers."""
    heads: int = 16
    """Attention heads of a layer."""
    hidden: int = 8192
    """Hidden units of a layer's perceptron."""
    dropout: float = 0.1
    """Dropout of attention weights and of what each half of a layer adds."""
    pad: int = 8
    """Black pixels around each frame (112 becomes 128)."""


PUBLISHED = Size()
TWIN = Size(channels=4, levels=3, blocks=1, features=16, width=64, layers=2, heads=4, hidden=256, pad=0)
"""The same structure for the demo and gpu profiles."""


class FrameEncoder(nn.Module):
    """Pictures (N, 3, H, W), 0 to 1, to embeddings (N, size.width), -1 to 1."""

    def __init__(self, size: Size, side: int) -> None:
        """For square pictures of ``side`` pixels; padded ones come out at a multiple of two for each level."""
        super().__init__()
        part = 2**size.levels
        self.pad = (size.pad, size.pad + -(side + 2 * size.pad) % part)  # before and after, on both axes
        grid = (side + sum(self.pad)) // part
        channels = [size.channels * 2**level for level in range(size.levels + 1)]
        self.first = _convolution(3, channels[0], 3)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(_Residual(count) for _ in range(size.blocks))) for count in channels[:-1]
        )
        self.down = nn.ModuleList(_convolution(count, after, 2, 2) for count, after in pairwise(channels))
        self.skip = nn.ModuleList(
            _convolution(count, channels[-1], part >> level, part >> level) for level, count in enumerate(channels[:-1])
        )
        self.last = _convolution(channels[-1], size.features, 3)
        self.flat = nn.Linear(size.features * grid**2, size.width)

    def forward(self, x: Tensor) -> Tensor:
        """Each picture's embedding."""
        x = self.first(F.pad(x, (*self.pad, *self.pad)))
        kept = []
        for blocks, down, skip in zip(self.blocks, self.down, self.skip, strict=True):
            x = blocks(x)
            kept.append(skip(x))
            x = down(x)
        x = self.last(torch.stack([x, *kept]).sum(0))  # (N, F, G, G)
        out: Tensor = self.flat(x.contiguous().flatten(1)).tanh()
        return out


class _Residual(nn.Module):
    """Two convolutions whose result, after its ReLU, is added to what went in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(channels, channels, 3), _convolution(channels, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


def _convolution(channels: int, after: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU; the picture keeps its size, or is divided by the stride."""
    padding = kernel // 2 if stride == 1 else 0
    convolution = nn.Conv2d(channels, after, kernel, stride, padding)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def bert_layer(size: Size) -> nn.TransformerEncoderLayer:
    """One layer of BERT's encoder: norm after the sum, exact GELU, weights from a normal of 0.02."""
    layer = nn.TransformerEncoderLayer(
        size.width, size.heads, size.hidden, size.dropout, "gelu", layer_norm_eps=1e-12, batch_first=True
    )
    layer.dropout = nn.Dropout(0.0)  # BERT has none inside its perceptron
    for name, weight in layer.named_parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(weight)
    return layer


class UVTEncoder(OtherEncoder):
    """Clips to embeddings for the EF, and to the phase of each frame.

    An embedding is the EF head's hidden layer, averaged over frames. Its last layer is linear, so that taking the mean
    before it gives what the original has by taking it after.
    """

    def __init__(self, size: Size, side: int) -> None:
        """Random weights, for square pictures of ``side`` pixels."""
        super().__init__()
        self.width = half = size.width // 2
        self.frame = FrameEncoder(size, side)
        self.layers = nn.ModuleList(bert_layer(size) for _ in range(size.layers))
        self.ef = _hidden(size.width, half)
        self.cycle = nn.Sequential(
            *_hidden(size.width, half), *_hidden(half, size.width // 4), nn.Linear(size.width // 4, 1), nn.Tanh()
        )

    def states(self, x: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W), 0 to 1, to a state for each frame (B, T, size.width)."""
        count = x.shape[2]
        pictures = x.transpose(1, 2).flatten(0, 1)  # (B T, 3, H, W)
        # A batch norm that learns has to see all of them at once.
        parts = [pictures] if self.training else pictures.split(CHUNK)
        state = torch.cat([self.frame(part) for part in parts]).unflatten(0, (-1, count))
        total = state
        for layer in self.layers:
            state = layer(state)
            total = total + state
        mean: Tensor = total / (len(self.layers) + 1)
        return mean

    def pooled(self, states: Tensor) -> Tensor:
        """States (B, T, size.width) to embeddings (B, width)."""
        out: Tensor = self.ef(states).mean(1)
        return out

    def phases(self, states: Tensor) -> Tensor:
        """States (B, T, size.width) to the phase of each frame (B, T): 1 at end-diastole, -1 at end-systole."""
        out: Tensor = self.cycle(states).squeeze(-1)
        return out

    def embed(self, x: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W), 0 to 1, to embeddings (B, width)."""
        return self.pooled(self.states(x))

    def phase(self, x: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W), 0 to 1, to the phase of each frame (B, T)."""
        return self.phases(self.states(x))

    def forward(self, x: Tensor) -> Tensor:
        """The same as `embed`."""
        return self.embed(x)


def _hidden(width: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, after), nn.LayerNorm(after), nn.LeakyReLU(SLOPE))


class UVT(CoReEcho):
    """Frames in, EF out: 100 times the sigmoid of a linear head. Clips are scaled to 0-1, without mean and SD."""

    def __init__(self, size: Size, clip: ClipSettings) -> None:
        """Random weights, for pictures of ``clip.size`` pixels and any number of frames."""
        encoder = UVTEncoder(size, clip.size)
        super().__init__(encoder, LinearHead(encoder.width, 0.0), task="ef", clip=clip)
        self.encoder: UVTEncoder
        self.levels = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def predictions(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Clips (B, 3, T, H, W), 0 to 1, to the EF in percent (B,) and the phase of each frame (B, T)."""
        states = self.encoder.states(x)
        return self._percent(self.encoder.pooled(states)), self.encoder.phases(states)

    def forward(self, x: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W), 0 to 1, to the EF in percent (B,)."""
        return self._percent(self.embed(x))

    def _percent(self, embedding: Tensor) -> Tensor:
        percent: Tensor = 100 * self.head(embedding).squeeze(1).sigmoid()
        return percent
