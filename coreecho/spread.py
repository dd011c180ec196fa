"""Whether one training's results scatter less over seeds than another's: Table 2's claim on the second stage.

The rule, fixed beforehand: the ratio of the two sample standard deviations of R2 over seeds has a 95 % interval from
the F distribution; the claim holds when the interval lies above 1, does not hold when it lies below, else it is
undecided. With three seeds a side the interval reaches from a sixth of the ratio to six times it, so only a ratio above
6.2 decides; the paper's own 0.43 and 0.18 do not. The F distribution takes both sides for independent and normal; stage
two goes on from stage one's weights of the same seed, which makes the interval an approximation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from coreecho.errors import DataError
from coreecho.evaluation import regression_metrics, seed_summary
from coreecho.records import Record
from coreecho.tables import NOT_RUN, Records, stack
from coreecho.verdicts import Word, verdict_word


@dataclass(frozen=True)
class SpreadRatio:
    """Standard deviation of the one over that of the other, with its 95 % interval."""

    wide: float
    """Sample standard deviation of the training that is said to scatter more."""
    steady: float
    """That of the one that is said to scatter less."""
    n: tuple[int, int]
    """Numbers of seeds of both."""
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """How many times as much the one scatters."""
        return self.wide / self.steady

    @property
    def word(self) -> Word:
        """The verdict by this module's rule."""
        return verdict_word(self.low - 1, self.high - 1, True)


def spread_ratio(wide_sd: float, steady_sd: float, n: tuple[int, int], level: float = 0.95) -> SpreadRatio:
    """The ratio of two sample standard deviations (ddof 1) with its interval from the F distribution.

    Args:
        wide_sd: of the training that is said to scatter more.
        steady_sd: of the one that is said to scatter less; the same unit.
        n: how many values each is taken from.
        level: coverage of the interval.

    Raises:
        DataError: fewer than two values, or a standard deviation that is not above 0.
    """
    if min(n) < 2 or not (0 < wide_sd < math.inf and 0 < steady_sd < math.inf):
        raise DataError(
            f"standard deviations {wide_sd:g} and {steady_sd:g} of {n[0]} and {n[1]} seeds cannot be compared; "
            "train at least two seeds of each"
        )
    square = (wide_sd / steady_sd) ** 2
    tail, freedom = (1 - level) / 2, (n[0] - 1, n[1] - 1)
    low, high = (square / float(stats.f.ppf(share, *freedom)) for share in (1 - tail, tail))
    return SpreadRatio(wide_sd, steady_sd, n, math.sqrt(low), math.sqrt(high))


def steadier(records: Records, steady: str, wide: str) -> SpreadRatio | None:
    """The ratio of the seed SDs of R2 (row ``wide`` over row ``steady``), or none where either has under two seeds."""
    own = [records.get(name, ()) for name in (wide, steady)]
    if min(len(each) for each in own) < 2:
        return None
    deviations = [_sd(each) for each in own]
    return spread_ratio(deviations[0], deviations[1], (len(own[0]), len(own[1])))


def sentence(found: SpreadRatio | None) -> str:
    """A verdict with its numbers, for readers."""
    if found is None:
        return f"{NOT_RUN} in two seeds"
    return (
        f"{found.word} (SD of R2 over seeds {found.wide:.2f} against {found.steady:.2f} percentage points, ratio "
        f"{found.ratio:.2f} [{found.low:.2f}, {found.high:.2f}], {found.n[0]} and {found.n[1]} seeds)"
    )


def _sd(records: Sequence[Record]) -> float:
    """Sample standard deviation of R2 in percent over seeds."""
    labels, predictions, _ = stack(records)
    return seed_summary([100 * regression_metrics(labels, each).r2 for each in predictions]).sd
