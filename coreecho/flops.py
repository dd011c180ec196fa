"""Floating-point operations of a network on one clip, and the share of a card's peak that a speed makes (section 4.1).

    forward_flops(get_profile("paper"), Run())     # 39.1e9: UniFormer-S and the head on 36 x 112 x 112

A multiplication and the addition after it are two operations. Only products are counted (convolutions, linear layers,
attention), as is usual; normalisations and activations cost time without entering the count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from coreecho.model import build_model
from coreecho.settings import ClipSettings, EncoderSettings, Profile, Recipe, Run

TRAINING = 3
"""Passes that a training step counts for: each product of the forward pass has two of its size in the backward one.

The rule is used in place of a count because PyTorch's counter takes the weight gradient of a depth-wise convolution
for that of a full one, which makes UniFormer's backward pass twice as large as it is.
"""
Precision = Literal["bf16", "fp16", "tf32", "float32"]


def forward_flops(profile: Profile, run: Run) -> int:
    """Operations of one forward pass of a run's network, encoder and head, on one clip of its shape."""
    return _network_flops(profile.encoder, profile.recipe(run), profile.clip_settings(run))


@lru_cache
def _network_flops(encoder: EncoderSettings, recipe: Recipe, clip: ClipSettings) -> int:
    with torch.device("meta"):  # shapes without numbers: nothing is computed
        model = build_model(encoder, recipe, 0.0)
    return module_flops(model, (1, 3, clip.frames, clip.size, clip.size))


def module_flops(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Operations of one forward pass of ``module`` on a tensor of this shape, on the device where the module is.

    Args:
        module: used in evaluation mode, its mode is restored.
        shape: of the input, the batch first.
    """
    device, training = next(module.parameters()).device, module.training
    module.eval()
    counter = FlopCounterMode(display=False)
    # Some fused kernels of attention are not known to the counter; the plain one consists of matrix products.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        module(torch.empty(shape, device=device))
    module.train(training)
    return int(counter.get_total_flops())


@dataclass(frozen=True)
class Card:
    """A card's published peak rates, without sparsity."""

    name: str
    """Regular expression for the name that CUDA reports."""
    peaks: dict[Precision, float]
    """TFLOP/s by precision; half-precision products add up in float32."""
    source: str


_HOPPER: dict[Precision, float] = {"bf16": 989.4, "fp16": 989.4, "tf32": 494.7, "float32": 66.9}
_AMPERE: dict[Precision, float] = {"bf16": 312.0, "fp16": 312.0, "tf32": 156.0, "float32": 19.5}
H100 = Card(r"H100( SXM5?)? 80GB HBM3", _HOPPER, "NVIDIA H100 Tensor Core GPU Architecture, white paper: H100 SXM5")
CARDS = (
    H100,
    Card(r"\bH200\b(?! NVL)", _HOPPER, "NVIDIA H200 data sheet: H200 SXM, the H100 SXM5's rates"),
    Card(r"\bA100\b", _AMPERE, "NVIDIA A100 Tensor Core GPU Architecture, white paper"),
    Card(
        r"RTX 4090(?! (D|Laptop))",
        {"bf16": 165.2, "fp16": 165.2, "tf32": 82.6, "float32": 82.6},
        "NVIDIA Ada GPU Architecture, white paper: GeForce RTX 4090",
    ),
    Card(
        r"RTX 3090(?! (Ti|Laptop))",
        {"bf16": 71.0, "fp16": 71.0, "tf32": 35.6, "float32": 35.6},
        "NVIDIA Ampere GA102 GPU Architecture, white paper: GeForce RTX 3090",
    ),
    Card(r"V100-SXM2", {"fp16": 125.0, "float32": 15.7}, "NVIDIA Tesla V100 GPU Architecture, white paper: V100 SXM2"),
)
"""Common cards; any other has no peak here rather than a guessed one."""


def peak(device: str, precision: Precision) -> float | None:
    """Published dense peak of a device in FLOP/s, or none where it is unknown or lacks the precision.

    Args:
        device: its name, as `torch.cuda.get_device_name` gives it.
        precision: of the products; "float32" means without TF32.
    """
    rates = next((card.peaks for card in CARDS if re.search(card.name, device)), {})
    return 1e12 * rates[precision] if precision in rates else None


def utilisation(flops_per_second: float, device: str, precision: Precision) -> float | None:
    """Share of a device's published peak that ``flops_per_second`` makes, or none where the peak is unknown."""
    most = peak(device, precision)
    return None if most is None else flops_per_second / most
