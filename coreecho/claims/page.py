"""Which of the paper's claims hold, as a table and claim by claim: published, left open, and found at every profile.

found = [claims.survey(scale, place) for scale in PROFILES.values()]
claims.table(found).markdown()  # a claim a row, a profile a column
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from scipy import stats

from coreecho.claims.findings import HEARTS, Finding, figure
from coreecho.claims.text import Claim
from coreecho.experiments import all_rows
from coreecho.place import PHANTOM
from coreecho.resampling import Interval
from coreecho.settings import Profile
from coreecho.tables import NOT_RUN, Table

PRINTED_RUNS = 3
"""Runs behind a published mean and standard deviation (Tables 2 and 3)."""
NUMBERS = (
    "claim", "profile", "data", "comparison", "estimate", "low", "high", "unit", "no_effect", "seeds", "verdict",
    "lacking", "runs",
)  # fmt: skip
"""Columns of the table's numbers; no_effect is what the estimate would be without any effect."""


def heading(scale: Profile) -> str:
    """How a profile's column is headed: with the data that its numbers are made on."""
    return f"{scale.name} ({', '.join(HEARTS.values()) if scale.phantom is None else PHANTOM})"


def printed_gap(claim: Claim) -> Interval | None:
    """The published difference in R2 with Welch's 95 % interval, where the paper gives deviations over runs."""
    rows = [all_rows()[name].published for name in claim.rows]
    if len(rows) != 2 or not all("r2_sd" in each for each in rows):
        return None
    squares = [each["r2_sd"] ** 2 / PRINTED_RUNS for each in rows]
    freedom = sum(squares) ** 2 / (sum(each**2 for each in squares) / (PRINTED_RUNS - 1))
    gap, half = rows[0]["r2"] - rows[1]["r2"], float(stats.t.ppf(0.975, freedom)) * math.sqrt(sum(squares))
    return Interval(gap, gap - half, gap + half)


def table(found: Sequence[Sequence[Finding]]) -> Table:
    """A claim a row, a profile a column, and one line of numbers for each of both.

    Args:
        found: one `survey` for each profile, of the same claims.
    """
    lines, numbers = [], []
    for own in zip(*found, strict=True):
        claim = own[0].claim
        printed = printed_gap(claim)
        noise = "; inside noise" if printed is not None and printed.low <= 0 <= printed.high else ""
        line = {"Claim": claim.name, "Published": claim.printed + noise}
        lines.append(line | {heading(each.scale): each.cell for each in own})
        numbers += [_number(each) for each in own]
    counts = {"no_effect": "Int64", "seeds": "Int64"}  # whole numbers, though some lines have none
    return Table(pd.DataFrame(lines), pd.DataFrame(numbers, columns=NUMBERS).astype(counts))


def _number(finding: Finding) -> dict[str, object]:
    line: dict[str, object] = {"claim": finding.claim.name, "profile": finding.scale.name, "data": finding.data}
    runs = " ".join(record.key for own in finding.records.values() for record in own)
    if finding.deciding is None:
        return line | {"verdict": NOT_RUN, "lacking": finding.lacking, "runs": runs}
    against, verdict = finding.deciding
    ends = {"estimate": verdict.gap.estimate, "low": verdict.gap.low, "high": verdict.gap.high}
    line |= {name: round(value, 4) for name, value in ends.items()}
    line |= {"comparison": against, "unit": verdict.unit, "no_effect": finding.no_effect, "seeds": verdict.seeds}
    return line | {"verdict": verdict.word, "runs": runs}


def summary(found: Sequence[Finding]) -> str:
    """How many of one profile's claims hold, in a line."""
    words = [each.word for each in found]
    counts = ", ".join(f"{word} {words.count(word)}" for word in ("holds", "does not hold", "undecided", NOT_RUN))
    return f"{heading(found[0].scale)}, {len(words)} claims: {counts}"


def paragraph(found: Sequence[Finding]) -> str:
    """One claim in full, as Markdown: what is said, printed and left open, and what was found at every profile.

    Args:
        found: of one claim, one for each profile.
    """
    claim, printed = found[0].claim, printed_gap(found[0].claim)
    title = claim.page.replace("table", "Table ").replace("figure", "Figure ").capitalize()
    welch = ""
    if printed is not None:
        ends = ", ".join(figure(value) for value in (printed.low, printed.high))
        welch = f" Difference in R2 {figure(printed.estimate)} [{ends}] (Welch's interval, three runs each)."
    return "\n".join(
        [
            f"**{claim.name}** ({claim.section}; numbers: [{title}]({claim.page}.html))",
            "",
            f"- Says: {claim.says}",
            f"- Published: {claim.printed}.{welch}",
            f"- Leaves open: {claim.leaves_open}",
            f"- Judged by: {claim.measure}.",
            *([f"- On the phantom: {claim.caution}"] if claim.caution else []),
            *(f"- {heading(each.scale)}: {each.text}{f'; {each.remark}' * bool(each.remark)}." for each in found),
        ]
    )
