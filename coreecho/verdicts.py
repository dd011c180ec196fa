"""Whether a claim holds, by one rule stated beforehand for all of them.

A claim *holds* when the 95 % interval of the difference excludes 0 in the claimed direction and every seed agrees; it
*does not hold* when the interval excludes 0 the other way; else it is *undecided*.
"""

from __future__ import annotations

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
        low, high = f"{self.gap.low:.3g}", f"{self.gap.high:.3g}"
        return f"{self.word} (difference {self.gap.estimate:.3g} [{low}, {high}] {self.unit}, {seeds})"


def verdict_word(low: float, high: float, all_agree: bool) -> Word:
    """The verdict of an interval from ``low`` to ``high`` that is positive in the claimed direction."""
    if low > 0 and all_agree:
        return "holds"
    return "does not hold" if high < 0 else "undecided"
