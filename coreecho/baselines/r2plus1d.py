"""R(2+1)D-18 (Tran et al. 2018), the video network of two compared systems: torchvision's, or a narrow twin of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from coreecho.model import OtherEncoder
from coreecho.weightfiles import State

WIDTHS, NARROW = (64, 128, 256, 512), (8, 16, 32, 64)
"""Channels of the four stages as published, and of the narrow twin of the demo and gpu profiles."""


class VideoEncoder(OtherEncoder):
    """R(2+1)D-18 without its classifier, random weights.

    Args:
        full_size: As published (embeddings of 512 numbers), or the narrow twin.
    """

    def __init__(self, full_size: bool) -> None:
        super().__init__()
        self.width = (WIDTHS if full_size else NARROW)[-1]
        self.video = _full_size() if full_size else narrow_r2plus1d(NARROW)

    def embed(self, x: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to embeddings (B, width)."""
        z: Tensor = self.video(x)
        return z


def _full_size() -> nn.Module:
    from torchvision.models.video import r2plus1d_18  # here, because only compared systems need it

    net: nn.Module = r2plus1d_18(weights=None)
    net.fc = nn.Identity()
    return net


def narrow_r2plus1d(widths: Sequence[int]) -> nn.Module:
    """R(2+1)D-18 of torchvision's own blocks with other channels in its four stages; no classifier.

    With ``widths`` 64, 128, 256, 512 it has the same weights as the published one.
    """
    from torchvision.models.video.resnet import BasicBlock, Conv2Plus1D

    first, middle = widths[0], round(45 * widths[0] / 64)  # the published stem has 45 channels between space and time
    layers: list[nn.Module] = [
        nn.Conv3d(3, middle, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        nn.Conv3d(middle, first, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(first),
        nn.ReLU(inplace=True),
        BasicBlock(first, first, Conv2Plus1D),
        BasicBlock(first, first, Conv2Plus1D),
    ]
    for inputs, outputs in pairwise(widths):
        beside = nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm3d(outputs))
        layers += [BasicBlock(inputs, outputs, Conv2Plus1D, 2, beside), BasicBlock(outputs, outputs, Conv2Plus1D)]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten())
    for module in net.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


def split_last(state: State) -> tuple[State, State]:
    """The weights of the network and, under their short names, those of its last layer."""
    last = {key.removeprefix("fc."): value for key, value in state.items() if key.startswith("fc.")}
    return {key: value for key, value in state.items() if not key.startswith("fc.")}, last
