"""Layers of the encoder (section 2.1), each as fast as the processor allows and a plain PyTorch call elsewhere.

All keep the numbers within rounding and the parameters under the names of the published weights. What makes the
difference on a processor, in float32 (see ``coreecho bench --only encoder``):

- oneDNN multiplies matrices faster as 1x1 convolutions than the matrix library does (1.9 times on AMD's processors);
- a depth-wise convolution runs over whole vectors of channels, but neither of its gradients does; both can be written
  as depth-wise convolutions, which do (10 and 3 times as fast);
- dropout draws 16 bits a number from 64-bit words, not a word for each, and keeps a byte a number for the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

MLP_RATIO = 4
LAST = torch.channels_last_3d
# Smaller tensors are as quick by matrix product, and PyTorch itself would not hand a single small clip to oneDNN.
WORTH_ONEDNN = 2**15
_HAS_ONEDNN = torch.backends.mkldnn.is_available()


def _by_onednn(x: Tensor) -> bool:
    """Whether oneDNN's float32 kernels compute on ``x``."""
    return _HAS_ONEDNN and x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


def channels_last(x: Tensor) -> Tensor:
    """Map (B, C, T, H, W) as (B, T, H, W, C), without a copy."""
    return x.permute(0, 2, 3, 4, 1)


def channels_first(x: Tensor) -> Tensor:
    """(B, T, H, W, C) as a map (B, C, T, H, W), without a copy."""
    return x.permute(0, 4, 1, 2, 3)


def mix_channels(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer on the last axis: (B, ..., C_in) by weights (C_out, C_in) to (B, ..., C_out)."""
    if not _by_onednn(x) or x.numel() < WORTH_ONEDNN:
        return F.linear(x, weight, bias)
    image = x.flatten(1, -2).unsqueeze(1).permute(0, 3, 1, 2)  # (B, C_in, 1, N), channels last in memory
    # A kernel of one has nothing to dilate, but dilated ones go to oneDNN in a single thread, too.
    out = F.conv2d(image, weight[:, :, None, None], bias, dilation=2)
    return out.permute(0, 2, 3, 1).reshape(*x.shape[:-1], len(weight))


class Linear(nn.Linear):
    """A linear layer on the channels of tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, ..., C_in) to (B, ..., C_out)."""
        return mix_channels(x, self.weight, self.bias)


class Pointwise(nn.Conv3d):
    """The same with the weights of a 1x1x1 convolution, (C_out, C_in, 1, 1, 1)."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(width_in, width_out, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C_in) to (B, T, H, W, C_out)."""
        assert self.bias is not None
        return mix_channels(x, self.weight.flatten(1), self.bias)


class Depthwise(nn.Conv3d):
    """A cubic convolution that keeps the size of the map and mixes no channels."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__(width, width, kernel, padding=kernel // 2, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to a map of the same shape; on a processor always in float32 inside autocast."""
        if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # In half precision the gradient of the kernels differs from run to run, at times widely (torch 2.14).
            with torch.autocast("cpu", enabled=False):
                return self.forward(x.float())
        if torch.is_grad_enabled() and _by_onednn(x):
            out: Tensor = DepthwiseFunction.apply(x, self.weight, self.bias)
            return out
        return super().forward(x)


class DepthwiseFunction(torch.autograd.Function):
    """Depth-wise convolution of odd cubic kernels whose two gradients are depth-wise convolutions as well.

    That of the map convolves the upstream gradient with the mirrored kernel. That of the kernel convolves the map with
    the upstream gradient: each clip and channel is a group of its own, and the shifts that the padding allows are the
    places of the kernel.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Map (B, C, T, H, W), kernels (C, 1, k, k, k) and bias (C,) to a map of the same shape."""
        ctx.save_for_backward(x, weight)
        return F.conv3d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the map, of the kernels and of the bias."""
        x, weight = ctx.saved_tensors
        upstream = upstream.contiguous(memory_format=LAST)
        pad, channels = weight.shape[-1] // 2, len(weight)
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = F.conv3d(upstream, weight.flip(2, 3, 4), padding=pad, groups=channels)
        if ctx.needs_input_grad[1]:
            maps, kernels = _groups(x).unsqueeze(0), _groups(upstream).unsqueeze(1)
            each = F.conv3d(maps, kernels, padding=pad, groups=len(kernels))  # (1, B*C, k, k, k)
            of_weight = each.view(len(x), *weight.shape).sum(0)
        if ctx.needs_input_grad[2]:
            of_bias = upstream.sum((0, 2, 3, 4))
        return of_x, of_weight, of_bias


def _groups(x: Tensor) -> Tensor:
    """Map (B, C, T, H, W) to (B*C, T, H, W) with clips and channels last in memory."""
    return x.permute(2, 3, 4, 0, 1).flatten(3).permute(3, 0, 1, 2)


class Dropout(nn.Dropout):
    """Dropout whose mask costs a byte and a quarter of a 64-bit random word for each number, on a processor."""

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``."""
        if not self.training or not self.p or x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        keep = words.view(torch.int16)[: x.numel()].view(x.shape) >= round(self.p * 2**16) - 2**15
        return (x * keep).mul_(1 / (1 - self.p))


class MLP(nn.Module):
    """Two layers with a GELU between them, applied to every token alone.

    Args:
        width: Channels in and out.
        dropout: Probability after the activation and after the second layer.
        layer: `Linear` or `Pointwise`, which differ in the shapes of their weights.
    """

    def __init__(self, width: int, dropout: float, layer: Any = Linear) -> None:
        super().__init__()
        self.fc1 = layer(width, MLP_RATIO * width)
        self.fc2 = layer(MLP_RATIO * width, width)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, ..., C) to the same shape."""
        out: Tensor = self.drop(self.fc2(self.drop(F.gelu(self.fc1(x)))))
        return out


class Stage(nn.Sequential):
    """Blocks in a row, whose insides are either kept for the backward pass or computed again in it."""

    _recomputed: Callable[[nn.Module, Tensor], Tensor] | None = None

    @property
    def checkpointing(self) -> bool:
        """Whether the insides are computed again; off at first."""
        return self._recomputed is not None

    @checkpointing.setter
    def checkpointing(self, on: bool) -> None:
        # A compiled encoder steps out of its graph here, for the compiler knows no second pass that differs from the
        # first. To name the compiler loads it, which takes seconds: not before somebody needs it.
        self._recomputed = torch.compiler.disable(_with_recomputation) if on else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to a map of the same shape."""
        recomputed = self._recomputed if torch.is_grad_enabled() else None
        for block in self:
            x = block(x) if recomputed is None else recomputed(block, x)
        return x


def _with_recomputation(block: nn.Module, x: Tensor) -> Tensor:
    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(block)

    out: Tensor = checkpoint(block, x, use_reentrant=False, context_fn=contexts)
    return out


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Batch normalisations count no batch a second time within: it goes into copies of their running statistics."""
    norms = [norm for norm in block.modules() if isinstance(norm, nn.BatchNorm3d)]
    running = [dict(norm.named_buffers()) for norm in norms]
    _exchange(norms, [{name: buffer.clone() for name, buffer in each.items()} for each in running])
    try:
        yield
    finally:
        _exchange(norms, running)


def _exchange(modules: list[nn.BatchNorm3d], buffers: list[dict[str, Tensor]]) -> None:
    for module, each in zip(modules, buffers, strict=True):
        for name, buffer in each.items():
            setattr(module, name, buffer)
