"""Whether a claim holds, by one rule stated beforehand for all of them.

A claim *holds* when the 95 % interval of the difference excludes 0 in the claimed direction and every seed agrees; it
*does not hold* when the interval excludes 0 the other way; else it is *undecided*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from coreecho.resampling import Interval

Word = Literal["holds", "does not hold", "undecided"]
RULE = (
    "A claim holds when the 95 % interval of the difference excludes 0 in its direction and all seeds agree; "
    "it does not hold when the interval excludes 0 the other way; else it is undecided."
)


@dataclass(frozen=True)
class Verdict:
    """What became of a claim, with the difference that decided it, positive in the claimed direction."""

    word: Word
    gap: Interval
    """The difference and its 95 % interval."""
    unit: str
    """Unit of the difference."""
    seeds: int
    """How many seeds it rests on; with one, all seeds agree by themselves."""

    @property
    def text(self) -> str:
        """The verdict in a line."""
        seeds = f"{self.seeds} seed{'s' if self.seeds > 1 else ''}"
        values = (self.gap.estimate, self.gap.low, self.gap.high)
        # As many decimals for all three as give the largest of them three digits.
        decimals = max(0, 2 - math.floor(math.log10(max(*map(abs, values), 1e-3))))
        estimate, low, high = (f"{value:.{decimals}f}" for value in values)
        return f"{self.word} (difference {estimate} [{low}, {high}] {self.unit}, {seeds})"


def verdict_word(low: float, high: float, all_agree: bool) -> Word:
    """The verdict of an interval from ``low`` to ``high`` that is positive in the claimed direction."""
    if low > 0 and all_agree:
        return "holds"
    return "does not hold" if high < 0 else "undecided"
