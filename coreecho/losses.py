"""The Rank-N-Contrast loss (section 2.2, equation 1), as fast as its pairwise distances and stable at any scale.

For every anchor n and every other clip m the loss asks that m be nearer to n than all clips l whose EF is at least as
far from n's as m's is:

    loss = mean over (n, m != n) of -log( exp(-|z_n - z_m| / tau) / sum over {l != n : |y_n - y_l| >= |y_n - y_m|} of
           exp(-|z_n - z_l| / tau) )

With the clips sorted by label, that set is a head and a tail of the row. All denominators of an anchor are therefore
two running sums, one from either end, and the gradient is two more, from the anchor outwards. Distances beyond the
range of the exponential turn them into running log-sum-exps. Cost and memory are those of the distance matrix; rows are
worked off in blocks, so that large batches need less than that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from coreecho.errors import DataError, SettingsError

NEAR, COINCIDENT = 1e-6, 1e-12
"""Squared distance, relative to the squared norms about the batch's mean and about the origin, below which a matrix
product in double precision no longer gives ten digits and the difference is taken directly."""
RANGE = 600.0
"""Largest distance in units of tau whose exponential, and its inverse, are summed as they are (e**-745 is 0)."""
BLOCK = 2**20
"""Entries of the distance matrix that are worked on at a time."""


def rnc_loss(embeddings: Tensor, labels: Tensor, temperature: float = 1.0, *, tie_tolerance: float = 5e-5) -> Tensor:
    """Rank-N-Contrast loss of a batch (equation 1; the paper's text says "greater", its formula >=).

    Inside autocast it is computed in float32; float64 embeddings stay float64. Two coincident embeddings pull on each
    other with no force (derivative 0).

    Args:
        embeddings: (M, D), all views of all videos.
        labels: (M,) or (M, 1), EF in percent.
        temperature: tau, above 0 (1.0 in the README and the paper).
        tie_tolerance: Labels are rounded to whole multiples of twice this, in EF points, so that label distances which
            are equal in decimals tie, although float32 would break some of them.

    Returns:
        Scalar, at least 0.

    Raises:
        DataError: If shapes disagree, there are fewer than two clips, or a number is NaN or infinite.
        SettingsError: If temperature or tie_tolerance is not positive.
    """
    if not temperature > 0 or not tie_tolerance > 0:
        raise SettingsError(f"temperature is {temperature} and tie_tolerance {tie_tolerance}; both must be above 0")
    if embeddings.device.type == "mps":  # no float64 there, and the matrices are small
        return rnc_loss(embeddings.cpu(), labels.cpu(), temperature, tie_tolerance=tie_tolerance).to("mps")
    flat = _checked(embeddings, labels, tie_tolerance)
    with torch.autocast(embeddings.device.type, enabled=False):
        z = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
        ranks = torch.round(flat.detach().double() / (2 * tie_tolerance)).long()
        want_gradient = torch.is_grad_enabled() and z.requires_grad
        loss: Tensor = _RankNContrast.apply(z, ranks.to(z.device), float(temperature), want_gradient)
    return loss


def _checked(embeddings: Tensor, labels: Tensor, tie_tolerance: float) -> Tensor:
    """The labels as (M,), once everything is known to be finite and to fit together."""
    flat = labels.squeeze(1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if embeddings.ndim != 2 or flat.ndim != 1 or len(flat) != len(embeddings):
        raise DataError(
            f"embeddings have shape {tuple(embeddings.shape)} and labels {tuple(labels.shape)}; "
            "they must be (M, D) and (M,) or (M, 1)"
        )
    if len(flat) < 2 or embeddings.shape[1] < 1:
        raise DataError(f"embeddings have shape {tuple(embeddings.shape)}; a ranking needs two clips or more")
    bad_label = ~(flat.detach().abs() < 2**51 * tie_tolerance)  # beyond this, or NaN, there is no whole number to rank
    bad_row = ~torch.isfinite(embeddings.detach()).all(dim=1)
    for name, bad, values in (("label", bad_label, flat), ("embedding", bad_row, embeddings)):
        if bool(bad.any()):
            index = int(bad.nonzero()[0])
            found = f" ({float(flat[index])})" if values is flat else " (NaN or infinite)"
            raise DataError(f"{name} {index} of {len(flat)} is no usable number{found}; check the clip it belongs to")
    return flat


class _RankNContrast(torch.autograd.Function):
    """The loss is a scalar: its gradient is worked out along with it, and backward only scales it."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, ranks: Tensor, temperature: float, want_gradient: bool) -> Tensor:
        ranks, order = ranks.sort()
        points = z[order].double()
        centred = points - points.mean(0)
        total, gradient = points.new_zeros(()), torch.zeros_like(points)
        rows = max(1, BLOCK // len(z))
        for start in range(0, len(z), rows):
            block = _Block(points, centred, ranks, start, min(start + rows, len(z)), temperature)
            total += block.loss()
            if want_gradient:
                block.add_gradient(gradient)
        pairs = len(z) * (len(z) - 1)
        ctx.save_for_backward(torch.empty_like(gradient).index_copy_(0, order, gradient).div_(pairs).to(z.dtype))
        return (total / pairs).to(z.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        return upstream * ctx.saved_tensors[0], None, None, None


class _Block:
    """Some rows of the pair matrices: anchors start..stop-1 (R of them) against all M clips, sorted by label.

    Args:
        points: (M, D) float64, sorted by label.
        centred: The same about their mean, which costs the products fewer digits.
        ranks: (M,) int64, ascending.
        start: First anchor.
        stop: One past the last anchor.
        temperature: tau.
    """

    def __init__(
        self, points: Tensor, centred: Tensor, ranks: Tensor, start: int, stop: int, temperature: float
    ) -> None:
        count = len(points)
        self.points, self.centred, self.temperature = points, centred, temperature
        self.start, self.stop = start, stop
        self.anchor = torch.arange(start, stop, device=points.device)[:, None]  # (R, 1)
        column = torch.arange(count, device=points.device)  # (M,)
        self.itself, self.later = column == self.anchor, column > self.anchor  # (R, M)
        # For pair (n, m): head and tail of the row that are at least as far from n as m is, and the window of those
        # that are at most as far. One border of each is m's own group of ties, the other its mirror image about n.
        mirror = 2 * ranks[start:stop, None] - ranks  # (R, M)
        first, last = torch.searchsorted(ranks, ranks), torch.searchsorted(ranks, ranks, right=True)  # (M,)
        mirror_first, mirror_last = torch.searchsorted(ranks, mirror), torch.searchsorted(ranks, mirror, right=True)
        self.head = torch.where(self.later, mirror_last, last).minimum(self.anchor)  # columns 0..head-1
        self.tail = torch.where(self.later, first, mirror_first).maximum(self.anchor + 1)  # columns tail..M-1
        self.window = (
            torch.where(self.later, mirror_first, first).minimum(self.anchor),
            torch.where(self.later, last, mirror_last).maximum(self.anchor + 1),
        )
        self.distances, self.near = _distances(points, centred, start, stop)
        self.wide = bool(self.distances.max() > RANGE * temperature)
        self.logits = self.distances / -temperature  # (R, M)
        self.terms = self.logits if self.wide else self.logits.exp()  # (R, M), logarithms if wide
        padded = torch.nn.functional.pad(self.terms, (1, 1), value=-torch.inf if self.wide else 0.0)
        head_sum = self._running(padded).gather(1, self.head)
        tail_sum = self._running(padded.flip(1)).gather(1, count - self.tail)
        self.denominator = self._add(head_sum, tail_sum)  # (R, M), logarithms if wide

    def _running(self, terms: Tensor) -> Tensor:
        return terms.logcumsumexp(1) if self.wide else terms.cumsum(1)

    def _add(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.logaddexp(a, b) if self.wide else a + b

    def loss(self) -> Tensor:
        """Sum of the block's terms, float64."""
        logarithm = self.denominator if self.wide else self.denominator.log()
        return (logarithm - self.logits).masked_fill_(self.itself, 0).sum()

    def add_gradient(self, gradient: Tensor) -> None:
        """Add the derivative of the block's sum with respect to all points to ``gradient`` (M, D)."""
        nothing = -torch.inf if self.wide else 0.0
        inverse = -self.denominator if self.wide else self.denominator.reciprocal()
        right = self._running(inverse.masked_fill(~self.later, nothing)).gather(1, self.window[1] - 1)
        left = self._running(inverse.masked_fill(self.later | self.itself, nothing).flip(1))
        inner = self._add(left.gather(1, left.shape[1] - 1 - self.window[0]), right)
        share = (self.terms + inner).exp() if self.wide else self.terms * inner  # (R, M), in all denominators it is in
        slope = ((1 - share) / self.temperature).masked_fill_(self.itself, 0)  # d loss / d distance
        anchor, other = self.near
        length = self.distances[anchor, other]
        moving = length > 0
        anchor, other, pull = anchor[moving], other[moving], (slope[anchor, other] / length)[moving]
        slope = (slope / self.distances).index_put_(self.near, slope.new_zeros(()))
        rows = slice(self.start, self.stop)
        anchors, others = self.centred[rows], self.centred
        gradient[rows] += slope.sum(1, keepdim=True) * anchors - slope @ others
        gradient += slope.sum(0)[:, None] * others - slope.T @ anchors
        for part, difference in _differences(self.points, anchor + self.start, other):
            force = pull[part, None] * difference
            gradient.index_add_(0, anchor[part] + self.start, force).index_add_(0, other[part], force, alpha=-1)


def _distances(points: Tensor, centred: Tensor, start: int, stop: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Distances (R, M) by matrix product, and the pairs (row, column) so near that they were recomputed directly."""
    norms = centred.square().sum(1)
    threshold = NEAR * norms + COINCIDENT * points.square().sum(1)
    squared = torch.addmm(norms[start:stop, None] + norms, centred[start:stop], centred.T, alpha=-2)
    anchor, other = (squared <= threshold[start:stop, None] + threshold).nonzero(as_tuple=True)
    for part, difference in _differences(points, anchor + start, other):
        squared[anchor[part], other[part]] = difference.square().sum(1)
    return squared.sqrt_(), (anchor, other)


def _differences(points: Tensor, anchor: Tensor, other: Tensor) -> Any:
    """Differences of pairs of points, in parts that stay small however many pairs there are."""
    size = max(1, BLOCK // points.shape[1])
    for begin in range(0, len(anchor), size):
        part = slice(begin, begin + size)
        yield part, points[anchor[part]] - points[other[part]]
