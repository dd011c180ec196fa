"""EchoGraphs' network (Thomas et al. 2022): r3d_18, layers for the EF, a graph decoder for two frames' key points."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.models.video.resnet import BasicBlock, Conv3DSimple

from coreecho.baselines.echographs_items import POINTS
from coreecho.model import LinearHead, OtherEncoder

WIDTH, NARROW = 64, 8
"""Channels after the first layer: r3d_18's, and those of the narrow twin of demo and gpu."""
NODES = 2 * POINTS
"""Graph nodes: the key points at end-diastole, then those at end-systole."""
KNOWN, UNKNOWN = (4, 3, 2, 2), (48, 32, 32, 16, 2)
"""Channels of the graph layers with known and unknown frames."""


class ResNet3d(nn.Module):
    """torchvision's r3d_18 without its classifier, at any width: the same layers under the same names.

    Args:
        width: Channels after the first layer, 64 in r3d_18; the feature has eight times as many.
    """

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        first = nn.Conv3d(3, width, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False)
        self.stem = nn.Sequential(first, nn.BatchNorm3d(width), nn.ReLU(inplace=True))
        self.layer1 = _two_blocks(width, width, 1)
        self.layer2 = _two_blocks(width, 2 * width, 2)
        self.layer3 = _two_blocks(2 * width, 4 * width, 2)
        self.layer4 = _two_blocks(4 * width, 8 * width, 2)
        for layer in self.modules():
            if isinstance(layer, nn.Conv3d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, T, H, W) to features (B, 8 width), the mean over time and picture."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return x.mean(dim=(2, 3, 4))


def _two_blocks(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Two residual blocks, of which the first has the stride."""
    across = None
    if stride > 1:
        across = nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))
    return nn.Sequential(
        BasicBlock(inputs, outputs, Conv3DSimple, stride, across), BasicBlock(outputs, outputs, Conv3DSimple)
    )


class Spiral(nn.Module):
    """A graph layer: one linear map, the same for all nodes, of all neighbours' channels in a fixed order."""

    def __init__(self, neighbours: Tensor, inputs: int, outputs: int) -> None:
        """Takes the neighbours of each node (N, K), itself among them, and channels before and after."""
        super().__init__()
        self.register_buffer("neighbours", neighbours, persistent=False)
        self.neighbours: Tensor
        self.linear = nn.Linear(neighbours.shape[1] * inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, inputs) to (B, N, outputs)."""
        out: Tensor = self.linear(x[:, self.neighbours].flatten(2))
        return out


def every_node() -> Tensor:
    """Neighbours (`NODES`, `NODES`): all nodes, counted round from each one."""
    return (torch.arange(NODES)[:, None] + torch.arange(NODES)) % NODES


def own_frame() -> Tensor:
    """Neighbours (`NODES`, `POINTS` + 1): its frame's nodes, counted round from each, and the other frame's like."""
    node = torch.arange(POINTS)[:, None]
    around = (node + torch.arange(POINTS)) % POINTS
    return torch.cat([torch.hstack([around, node + POINTS]), torch.hstack([around + POINTS, node])])


class GraphDecoder(nn.Sequential):
    """A feature (B, F) to key points (B, `NODES`, 2)."""

    def __init__(self, feature: int, neighbours: Tensor, channels: tuple[int, ...]) -> None:
        """Spreads a feature over the nodes, then makes their ``channels`` fewer, layer by layer."""
        layers: list[nn.Module] = [nn.Linear(feature, NODES * channels[0]), nn.Unflatten(1, (NODES, channels[0]))]
        for inputs, outputs in pairwise(channels):
            layers += [Spiral(neighbours, inputs, outputs), nn.ELU()]
        super().__init__(*layers[:-1])


class GraphEncoder(OtherEncoder):
    """All of EchoGraphs but the last layer of its EF: video network, EF layers, graph decoder, phases if not known.

    Args:
        width: Channels of the video network after its first layer.
        known: Whether the clip runs from end-diastole to end-systole.
        frames: Frames of a clip.
    """

    width = 16

    def __init__(self, width: int, known: bool, frames: int = 16) -> None:
        super().__init__()
        feature, phase = 8 * width, 2 * (frames + 1)
        self.video = ResNet3d(width)
        layers: list[nn.Module] = [nn.Linear(feature, 48)]
        for inputs, outputs in ((48, 48), (48, 32), (32, 32), (32, self.width)):
            layers += [nn.Linear(inputs, outputs), nn.ELU()]
        self.ef = nn.Sequential(*layers)
        self.phases: nn.Module | None = None
        if known:
            self.decoder = GraphDecoder(feature, every_node(), KNOWN)
            return
        self.phases = nn.Sequential(*_normed(feature, 256), *_normed(256, 128), nn.Linear(128, phase))
        self.decoder = GraphDecoder(feature + phase, own_frame(), UNKNOWN)

    def embed(self, x: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to the last hidden layer before the EF (B, 16)."""
        out: Tensor = self.ef(self.video(x))
        return out

    def everything(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Normalised clips (B, 3, T, H, W) to all that is learned.

        Returns:
            What `embed` gives; key points (B, 2, `POINTS`, 2); logits of the phases' places (B, 2, T + 1), the last for
            "none", or nothing where they are known.
        """
        feature = self.video(x)
        embedding = self.ef(feature)
        logits = None if self.phases is None else self.phases(feature)
        points = self.decoder(feature if logits is None else torch.cat([feature, logits], dim=1))
        return (
            embedding,
            points.unflatten(1, (2, POINTS)),
            None if logits is None else logits.unflatten(1, (2, -1)),
        )


def _normed(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.LeakyReLU(0.05)]


class PercentHead(LinearHead):
    """A linear layer that learns the EF as a share of 1, and gives it in percent."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.reset_parameters()  # the bias starts near 0, as theirs

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) to (B, 1)."""
        return 100 * super().forward(x)
