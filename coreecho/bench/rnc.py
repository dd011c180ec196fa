"""The Rank-N-Contrast loss (equation 1) beside a loop over the positives, as the published code has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from coreecho.bench.measure import Action, Sides, benchmark
from coreecho.losses import rnc_loss


def literal_rnc(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Equation 1 with a loop over the positives of all anchors at once, temperature 1; stable, as ours is."""
    count = len(labels)
    other = ~torch.eye(count, dtype=torch.bool)
    similarity = -(embeddings[:, None] - embeddings[None]).norm(dim=-1)[other].view(count, count - 1)
    distance = (labels[:, None] - labels[None]).abs()[other].view(count, count - 1)
    loss = embeddings.new_zeros(())
    for positive in range(count - 1):
        farther = distance >= distance[:, positive : positive + 1]
        denominator = similarity.masked_fill(~farther, -torch.inf).logsumexp(dim=-1)
        loss = loss - (similarity[:, positive] - denominator).sum()
    return loss / (count * (count - 1))


@benchmark(
    "rnc",
    "RnC loss, M=256, D=512, forward + backward; literal: a loop over the positives",
    goal="≥ 20×",
)
def bench_rnc(count: int = 256, width: int = 512) -> Iterator[Sides]:
    """A batch of 128 videos with two clips each."""
    embeddings, labels = _batch(count, width)
    yield Sides(literal=_action(literal_rnc, embeddings, labels), ours=_action(rnc_loss, embeddings, labels))


@benchmark(
    "rnc-4096",
    "RnC loss, M=4096, D=512, forward + backward; no literal: its loop would keep 4095 matrices",
    goal="< 4 s",
    repeats=3,
)
def bench_rnc_4096(count: int = 4096, width: int = 512) -> Iterator[Sides]:
    """A batch as large as many GPUs together would see; a matrix of all distances is 134 MB."""
    yield Sides(ours=_action(rnc_loss, *_batch(count, width)))


def _batch(count: int, width: int) -> tuple[Tensor, Tensor]:
    numbers = torch.Generator().manual_seed(0)
    return torch.randn(count, width, generator=numbers), 100 * torch.rand(count // 2, generator=numbers).repeat(2)


def _action(loss: Callable[[Tensor, Tensor], Tensor], embeddings: Tensor, labels: Tensor) -> Action:
    """Loss and gradient of one batch, returned for a comparison."""

    def action() -> tuple[Tensor, Tensor | None]:
        own = embeddings.clone().requires_grad_()
        value = loss(own, labels)
        value.backward()
        return value.detach(), own.grad

    return action
