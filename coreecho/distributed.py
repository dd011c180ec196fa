"""Several processes that share the batches of a training (supplementary Table 2) and take the step that one would.

Each process has its own rows of a batch. Two things in a training step look at rows of other processes: the losses
(Rank-N-Contrast ranks all clips of the batch) and the batch normalisations' statistics. `gather` and
`synchronise_batch_norm` give both of them the whole batch. Without a process group everything here costs nothing.

Why the gradients come out as with one process: every one of the W processes computes the loss of the whole batch, and
the backward pass of `gather` adds up what reaches the own rows from all of them, so that each row gets W times the
gradient of that loss. A process passes it on to the parameters through its own rows alone, and the mean over processes
that DistributedDataParallel then takes is 1 / W times the sum over all rows: the gradient of the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as group
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from coreecho import progress

T = TypeVar("T")


def world() -> int:
    """How many processes train together; 1 without a process group."""
    return group.get_world_size() if group.is_available() and group.is_initialized() else 1


def rank() -> int:
    """This process's number, 0 to `world` - 1; 0 without a process group."""
    return group.get_rank() if group.is_available() and group.is_initialized() else 0


def is_main() -> bool:
    """Whether this is the process that writes files and messages for all."""
    return rank() == 0


def silent() -> Literal[True] | None:
    """What tqdm's ``disable`` takes: hidden in all processes but the main one, and there unless in a terminal."""
    return progress.silent(is_main())


def barrier() -> None:
    """Waits until all processes are here."""
    if world() > 1:
        on_gpu = group.get_backend() == "nccl"
        group.barrier(device_ids=[torch.cuda.current_device()] if on_gpu else None)


def gather_objects(own: T) -> list[T]:
    """What each process handed in, in the order of their ranks; it must be possible to pickle it."""
    if world() == 1:
        return [own]
    every: list[Any] = [None] * world()
    group.all_gather_object(every, own)
    return every


def gather(x: Tensor) -> Tensor:
    """The rows of all processes, in the order of their ranks; a gradient flows back to the own ones.

    Args:
        x: (M, ...) of any type and number of rows; the other axes are the same in all processes.

    Returns:
        (sum of M, ...), the same in all processes; ``x`` itself without a process group.
    """
    if world() == 1:
        return x
    rows: Tensor = _Gather.apply(x)
    return rows


class _Gather(torch.autograd.Function):
    """Rows are padded to the longest share, since a collective call takes one shape, and cut again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        counts = [int(count) for count in _stack(torch.tensor(len(x), device=x.device)).tolist()]
        ctx.first, ctx.count = sum(counts[: rank()]), len(x)
        padded = x.new_zeros(max(counts), *x.shape[1:])
        padded[: len(x)] = x
        return torch.cat([part[:count] for part, count in zip(_stack(padded), counts, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        total = upstream.clone(memory_format=torch.contiguous_format)
        group.all_reduce(total)
        return total[ctx.first : ctx.first + ctx.count]


def _stack(own: Tensor) -> Tensor:
    """Tensors of one shape from all processes, (W, ...), without gradient."""
    parts = [torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(world())]
    group.all_gather(parts, own.contiguous())
    return torch.stack(parts)


M = TypeVar("M", bound=nn.Module)


def synchronise_batch_norm(module: M) -> M:
    """Makes every batch normalisation inside ``module`` take its statistics from the rows of all processes.

    They keep their parameters, buffers and names, and are what they were in evaluation mode. Unlike PyTorch's
    SyncBatchNorm they work on the CPU too. Without a process group nothing is changed.

    Returns:
        ``module`` itself.
    """
    if world() > 1:
        for layer in module.modules():
            if isinstance(layer, _BatchNorm) and not isinstance(layer, _Synchronised):
                kind: Any = type(layer)
                layer.__class__ = _synchronised(kind)
    return module


class _Synchronised(_BatchNorm):
    """What a batch normalisation does differently while several processes train."""

    by_all_rows: Callable[[Tensor], Tensor]

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``, (B, C) or (B, C, ...)."""
        if not self.training or world() == 1:
            return super().forward(x)
        return self.by_all_rows(x)


@cache
def _synchronised(kind: Any) -> Any:
    # A compiled encoder steps out of its graph in this method: another process has to be waited for. To name the
    # compiler loads it, which takes seconds: not before several processes train.
    own = {"by_all_rows": torch.compiler.disable(_by_all_rows)}
    return type(f"Synchronised{kind.__name__}", (_Synchronised, kind), own)


def _by_all_rows(layer: _BatchNorm, x: Tensor) -> Tensor:
    count, mean, variance = _moments(x.detach())
    if layer.running_mean is not None and layer.running_var is not None and layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
        pace: Any = 1 / layer.num_batches_tracked if layer.momentum is None else layer.momentum
        unbiased = variance * (count / (count - 1))
        layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), pace)
        layer.running_var.lerp_(unbiased.to(layer.running_var.dtype), pace)
    out: Tensor = _Normalise.apply(x, layer.weight, layer.bias, mean, variance, count, layer.eps)
    return out


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Number of values per channel in all processes, as a scalar, and their mean and biased variance (C,).

    Every process centres its values on their own mean first, so that few digits are lost where means are far from 0.
    """
    mean, variance = torch.batch_norm_update_stats(_wide(x), None, None, 0.0)
    every = _stack(torch.stack([torch.full_like(mean, x.numel() // x.shape[1]), mean, variance]))  # (W, 3, C)
    counts, means, variances = every.unbind(1)  # each (W, C)
    count = counts.sum(0)
    share = counts / count
    mean = means[0] + (share * (means - means[0])).sum(0)
    return count[0], mean, (share * (variances + (means - mean).square())).sum(0)


class _Normalise(torch.autograd.Function):
    """Batch normalisation by moments of all processes' rows, whose dependence on the own rows is worked out here."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        count: Tensor,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps = eps
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, count = ctx.saved_tensors
        known = torch.ones_like(mean) if weight is None else weight
        pull, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            upstream, x, known, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )  # as if the moments were constants
        every = torch.stack([of_weight, of_bias])  # (2, C)
        group.all_reduce(every)
        slope, level = (every * (known * (variance + ctx.eps).rsqrt() / count)).unbind()
        push = F.batch_norm(x, mean, variance, slope, level, training=False, eps=ctx.eps)  # what the moments move
        affine = (None, None) if weight is None else (of_weight, of_bias)
        return pull - push, *affine, None, None, None, None


def _wide(x: Tensor) -> Tensor:
    """Half precision as float32, in which sums over many values keep their digits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
