"""The Rank-N-Contrast loss taken apart, for few samples and for showing (section 2.2, equation 1).

    from coreecho import ranking
    parts = ranking.terms([[0, 0], [2, 1], [1, 3], [4, 2]], [25, 40, 58, 70])  # one term for each anchor and other clip
    ranking.mean(parts)                                                        # equals losses.rnc_loss of the same

`losses.rnc_loss` computes the same number without any of the parts, as fast as the distances alone. Here every set,
every exponential and every term has a name, so that a reader, a figure or a test can look at it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from coreecho.losses import rnc_loss

Floats = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.int64]
STEP = 1e-4
"""Labels are told apart in steps of this many EF points, as in `losses.rnc_loss`."""


@dataclass(frozen=True)
class Term:
    """What one anchor n asks of one other clip m."""

    anchor: int
    other: int
    gap: float
    """|y_n - y_m|, in EF points."""
    distance: float
    """|z_n - z_m|, without a unit."""
    members: tuple[int, ...]
    """The set S(n, m): all clips but n whose EF is at least as far from n's as m's is; m is one of them."""
    closeness: tuple[float, ...]
    """exp(-|z_n - z_l| / tau) of each member l."""
    share: float
    """m's closeness as a share of all members': 1 where m alone is near."""
    loss: float
    """-log of the share."""


def terms(embeddings: npt.ArrayLike, labels: npt.ArrayLike, temperature: float = 1.0) -> list[Term]:
    """All terms of equation 1, by anchor and, for each, from the nearest label to the farthest.

    Args:
        embeddings: (M, D).
        labels: (M,), EF in percent.
        temperature: tau.

    Raises:
        DataError: what `losses.rnc_loss` refuses.
        SettingsError: a temperature that is not positive.
    """
    z, gaps = np.asarray(embeddings, np.float64), label_gaps(labels)
    rnc_loss(torch.tensor(z), torch.tensor(np.asarray(labels, np.float64)), temperature)  # refuses what is no batch
    distances = np.linalg.norm(z[:, None] - z, axis=2)  # (M, M)
    closeness = np.exp(-distances / temperature)
    found = []
    for n in range(len(z)):
        for m in others(gaps, n):
            members = tuple(member for member in others(gaps, n) if gaps[n, member] >= gaps[n, m])
            values = tuple(float(closeness[n, member]) for member in members)
            gap, distance = float(gaps[n, m]) * STEP, float(distances[n, m])
            # By logarithms, since the closeness of clips that lie far apart rounds to 0.
            whole = float(np.logaddexp.reduce(-distances[n, list(members)] / temperature))
            loss = max(0.0, whole + distance / temperature)
            found.append(Term(n, m, gap, distance, members, values, float(np.exp(-loss)), loss))
    return found


def mean(parts: Sequence[Term]) -> float:
    """The loss: the mean over all terms."""
    return float(np.mean([term.loss for term in parts]))


def label_gaps(labels: npt.ArrayLike) -> Ranks:
    """|y_n - y_m| of all pairs (M, M), in whole steps of `STEP`, so that equal differences tie."""
    steps = np.rint(np.asarray(labels, np.float64).ravel() / STEP).astype(np.int64)
    gaps: Ranks = np.abs(steps[:, None] - steps)
    return gaps


def others(gaps: Ranks, anchor: int) -> list[int]:
    """All clips but the anchor, from the nearest label to the farthest."""
    return sorted((m for m in range(len(gaps)) if m != anchor), key=lambda m: (gaps[anchor, m], m))


def wrong_pairs(embeddings: npt.ArrayLike, labels: npt.ArrayLike, anchor: int) -> list[tuple[int, int]]:
    """Pairs (m, l) that lie in the wrong order around the anchor: m's EF is nearer to it, yet l's embedding is."""
    z, gaps = np.asarray(embeddings, np.float64), label_gaps(labels)
    distances = np.linalg.norm(z - z[anchor], axis=1)
    pairs = itertools.combinations(others(gaps, anchor), 2)
    return [(m, far) for m, far in pairs if gaps[anchor, m] < gaps[anchor, far] and distances[m] > distances[far]]


def label_ranks(labels: npt.ArrayLike) -> Ranks:
    """The rank of each clip around each anchor by label (M, M): 0 for the nearest, ties alike, -1 for the anchor."""
    gaps = label_gaps(labels)
    ranks = np.full(gaps.shape, -1, np.int64)
    for n in range(len(gaps)):
        own = others(gaps, n)
        ranks[n, own] = np.unique(gaps[n, own], return_inverse=True)[1]
    return ranks


def least(labels: npt.ArrayLike) -> float:
    """The loss that no embedding can go below: k clips of one rank share their set, log(k) each (0 without ties)."""
    ranks = label_ranks(labels)
    counts = [np.bincount(row[row >= 0]) for row in ranks]
    total = sum(float(np.sum(own[own > 0] * np.log(own[own > 0]))) for own in counts)
    return total / (len(ranks) * (len(ranks) - 1))


def collapsed(labels: npt.ArrayLike) -> float:
    """The loss of an encoder that maps all clips to one point: the mean log of the sizes of the sets."""
    places = np.zeros((np.size(np.asarray(labels)), 1))
    return mean(terms(places, labels))


def downhill(embeddings: npt.ArrayLike, labels: npt.ArrayLike, temperature: float = 1.0) -> Floats:
    """Minus the gradient of the loss at each point (M, D): where a small step lets the loss fall fastest."""
    z = torch.tensor(np.asarray(embeddings, np.float64), requires_grad=True)
    rnc_loss(z, torch.tensor(np.asarray(labels, np.float64)), temperature).backward()
    assert z.grad is not None
    return -z.grad.numpy()


@dataclass(frozen=True)
class Descent:
    """Points moved by the gradient of the loss alone."""

    path: Floats
    """Where they were before each step and after the last, (steps + 1, M, D)."""
    losses: Floats
    """The loss at each, (steps + 1,)."""
    wrong: Ranks
    """How many pairs lie in the wrong order at each, summed over anchors, (steps + 1,)."""


def descend(
    embeddings: npt.ArrayLike, labels: npt.ArrayLike, *, steps: int = 400, rate: float = 0.5, temperature: float = 1.0
) -> Descent:
    """Plain gradient descent on the embeddings themselves, as if an encoder could put each clip anywhere.

    Args:
        embeddings: where they start, (M, D).
        labels: (M,), EF in percent.
        steps: how many.
        rate: factor of the gradient.
        temperature: tau.
    """
    y = torch.tensor(np.asarray(labels, np.float64))
    z = np.asarray(embeddings, np.float64)
    path = [z]
    for _ in range(steps):
        z = z + rate * downhill(z, labels, temperature)
        path.append(z)
    losses = [float(rnc_loss(torch.tensor(each), y, temperature)) for each in path]
    wrong = [sum(len(wrong_pairs(each, labels, n)) for n in range(len(each))) for each in path]
    return Descent(np.stack(path), np.array(losses), np.array(wrong, np.int64))


def table(parts: Sequence[Term], labels: Sequence[float], anchor: int) -> pd.DataFrame:
    """One anchor's terms for readers, clips being called by their EF."""
    lines = []
    for term in (part for part in parts if part.anchor == anchor):
        lines.append(
            {
                "Other clip m (EF, %)": f"{labels[term.other]:g}",
                "EF difference": f"{term.gap:g}",
                "Set S (EF, %)": ", ".join(f"{labels[member]:g}" for member in term.members),
                "exp(-distance) of each": ", ".join(f"{value:.3f}" for value in term.closeness),
                "Share of m": f"{term.share:.3f}",
                "-log(share)": f"{term.loss:.3f}",
            }
        )
    return pd.DataFrame(lines)


def bounds(batches: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """For batches of clips, by name and with their labels: how many terms there are, and what the loss lies between."""
    lines = []
    for name, labels in batches.items():
        ranks = label_ranks(labels)
        same = int((label_gaps(labels) == 0).sum()) - len(ranks)
        lines.append(
            {
                "Batch": name,
                "Clips": str(len(ranks)),
                "Terms": str(len(ranks) * (len(ranks) - 1)),
                "of them with EF difference 0": str(same),
                "Loss if all lie in one point": f"{collapsed(labels):.2f}",
                "Lowest possible": f"{least(labels):.2f}",
            }
        )
    return pd.DataFrame(lines)
