"""A 3x3 median filter of video: what EchoCardMAE's pre-training guesses, so that speckle need not be learned."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def denoised(x: Tensor) -> Tensor:
    """Each frame of clips (B, 3, T, H, W) after a 3x3 median filter, edges repeated.

    Of nine numbers in three sorted columns, the median is that of three: the largest of the low ones, the middle of the
    middle ones, and the smallest of the high ones. Columns are shared by neighbours, so that nothing else is sorted.
    """
    height, width = x.shape[-2:]
    frames = F.pad(x.flatten(0, 1), (1, 1, 1, 1), mode="replicate")  # (B 3, T, H + 2, W + 2)
    above, here, below = (frames[..., row : row + height, :] for row in range(3))
    low, middle, high = (
        above.minimum(here).minimum(below),
        _median(above, here, below),
        above.maximum(here).maximum(below),
    )
    lows, middles, highs = ([y[..., column : column + width] for column in range(3)] for y in (low, middle, high))
    largest, smallest = lows[0].maximum(lows[1]).maximum(lows[2]), highs[0].minimum(highs[1]).minimum(highs[2])
    return _median(largest, _median(*middles), smallest).view(x.shape)


def _median(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return a.minimum(b).maximum(a.maximum(b).minimum(c))
