"""What became of each of the paper's claims at one profile, from records that exist; nothing is trained (section 4).

    found = claims.survey(get_profile("demo"), place)  # one for each of `coreecho.claims.text.CLAIMS`

Verdicts follow `coreecho.verdicts.RULE`; where a claim has several rivals, it has to hold against each. A claim is "not
yet run" until every run that it rests on has its record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from coreecho import efficiency, evidence, focus, spread
from coreecho.claims.text import CLAIMS, Claim, Kind
from coreecho.continuity import tables as continuity_tables
from coreecho.experiments import SEEDS, all_rows
from coreecho.focus import tables as focus_tables
from coreecho.place import PHANTOM, Place
from coreecho.records import Record
from coreecho.resampling import Interval
from coreecho.settings import Profile
from coreecho.tables import NOT_RUN, Records, existing
from coreecho.transfer import scores
from coreecho.verdicts import Verdict, Word, verdict_word

HEARTS = {"echonet": "EchoNet-Dynamic", "camus": "CAMUS", "hmcqu": "HMC-QU"}
"""The only data that the paper profile's column may rest on, by data set."""
BESIDE: Mapping[Kind, str] = {"continuity": "embeddings", "focus": "focus"}
"""The table beside its record that a kind of claim needs of every run."""
NO_DATA = "none (timing)"
Verdicts = Mapping[str, Verdict]
"""By what is compared, such as "against EchoCoTr"; for the time of inference by device."""


@dataclass(frozen=True)
class Finding:
    """What became of a claim at one profile."""

    claim: Claim
    scale: Profile
    records: Records
    """By row name."""
    verdicts: Verdicts
    """Empty while it is not yet run."""
    lacking: str
    """What is there of what it needs, such as "2 of 6 runs"; empty where nothing is, or nothing lacks."""
    remark: str = ""
    """What else a reader has to know of the comparison: the values beside what no skill would have."""

    @property
    def deciding(self) -> tuple[str, Verdict] | None:
        """The comparison that the verdict is taken from: one that fails before one that is open, then the smallest."""
        order: list[Word] = ["does not hold", "undecided", "holds"]
        found = sorted(self.verdicts.items(), key=lambda each: (order.index(each[1].word), each[1].gap.estimate))
        return found[0] if found else None

    @property
    def word(self) -> str:
        """The verdict: `Word`, or not yet run."""
        return self.deciding[1].word if self.deciding else NOT_RUN

    @property
    def data(self) -> str:
        """Label of the data behind it."""
        labels = dict.fromkeys(str(record.data["label"]) for own in self.records.values() for record in own)
        return ", ".join(labels) if self.claim.rows else NO_DATA

    @property
    def aside(self) -> str:
        """What stands in for Kinetics-400 weights, where the claim is about them."""
        weights = {"pretext": "*pretext*", "none": "random"}.get(self.scale.k400, "")
        return f"; {weights} weights, not K400" if self.claim.k400 and weights else ""

    @property
    def no_effect(self) -> int:
        """What a difference would be without any effect: 1 for a ratio."""
        return int(self.claim.kind == "spread")

    @property
    def cell(self) -> str:
        """The verdict with the difference that decides, for the table."""
        if self.deciding is None:
            return NOT_RUN + (f" ({self.lacking})" if self.lacking else "") + self.aside
        against, verdict = self.deciding
        comparison = f", {against}" if len(self.verdicts) > 1 or not self.claim.rows else ""
        return f"{verdict.word}: {self._told(verdict)}{comparison}{self.aside}"

    @property
    def text(self) -> str:
        """The verdict with every comparison, for the text under the table."""
        if self.deciding is None:
            return f"**{NOT_RUN}**" + (f" ({self.lacking})" if self.lacking else "") + self.aside
        if len(self.verdicts) == 1:
            return f"**{self.word}**: {self._told(self.deciding[1])}, {self.deciding[0]}{self.aside}"
        each = "; ".join(f"{against} {one.word}, {self._told(one)}" for against, one in self.verdicts.items())
        return f"**{self.word}**: {each}{self.aside}"

    def _told(self, verdict: Verdict) -> str:
        """A difference with interval, unit and number of seeds; and why it is open where the interval is clear."""
        estimate, low, high = (figure(value) for value in (verdict.gap.estimate, verdict.gap.low, verdict.gap.high))
        seeds = f", {verdict.seeds} seed{'s' if verdict.seeds > 1 else ''}" if verdict.seeds else ""
        torn = ", which disagree" if verdict.word == "undecided" and verdict.gap.low > self.no_effect else ""
        return f"{estimate} [{low}, {high}] {verdict.unit}{seeds}{torn}"


def figure(value: float) -> str:
    """A number with about three digits; what rounds to nothing has no sign."""
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return text.removeprefix("-") if text == "-0.00" else text


def survey(
    scale: Profile,
    place: Place,
    seeds: Sequence[int] = SEEDS,
    transfer_seeds: Sequence[int] = SEEDS[:1],
    claims: Sequence[Claim] = CLAIMS,
) -> list[Finding]:
    """What became of every claim at one of the package's profiles, from what exists.

    Args:
        scale: the profile.
        place: where the records are.
        seeds: of runs on EchoNet-Dynamic; a claim waits until all are there.
        transfer_seeds: of runs on CAMUS and HMC-QU, each over all folds.
        claims: which ones.
    """
    rows = [all_rows()[name] for name in dict.fromkeys(name for claim in claims for name in claim.rows)]
    needed, found = {}, {}
    for row in rows:
        wanted = transfer_seeds if row.folds else seeds
        needed[row.name] = len(row.runs(wanted))
        own = existing([row], scale.name, place, wanted)[row.name]
        found[row.name] = [record for record in own if _belongs(record)]
    return [_finding(claim, scale, place, needed, found) for claim in claims]


def _belongs(record: Record) -> bool:
    """Whether a record's data are those of its column: a phantom, or the paper's own data set."""
    phantom = record.profile.phantom_of(record.run) is not None
    return bool(record.data["label"] == (PHANTOM if phantom else HEARTS[record.run.dataset]))


def _finding(claim: Claim, scale: Profile, place: Place, needed: Mapping[str, int], found: Records) -> Finding:
    records = {name: found[name] for name in claim.rows}
    need, have = sum(needed[name] for name in claim.rows), sum(len(own) for own in records.values())
    if have < need:
        return Finding(claim, scale, records, {}, f"{have} of {need} runs" if have else "")
    beside = BESIDE.get(claim.kind)
    if beside is not None:  # asked for by name, since reading it through `appendix` would make it
        kept = [(each.folder / f"{beside}.parquet").exists() for own in records.values() for each in own]
        if not all(kept):
            return Finding(claim, scale, records, {}, f"all runs, {sum(kept)} of {need} tables of {beside}")
    judged = _JUDGES[claim.kind](claim.rows, records, scale, place)
    remark = _REMARKS[claim.kind](claim.rows, records, place) if claim.kind in _REMARKS else ""
    return Finding(claim, scale, records, judged, "", remark)


def _against(row: str) -> str:
    return f"against {all_rows()[row].system}"


def _rows_compared(judge: Callable[[Records, str, str], Verdict | None]) -> _Judge:
    def judges(rows: Sequence[str], records: Records, scale: Profile, place: Place) -> Verdicts:
        found = {_against(rival): judge(records, rows[0], rival) for rival in rows[1:]}
        return {rival: verdict for rival, verdict in found.items() if verdict is not None}

    return judges


def _steadier(records: Records, steady: str, wide: str) -> Verdict | None:
    found = spread.steadier(records, steady, wide)
    if found is None:
        return None
    return Verdict(found.word, Interval(found.ratio, found.low, found.high), "times the SD", found.n[0])


def _continuity(rows: Sequence[str], records: Records, scale: Profile, place: Place) -> Verdicts:
    found = continuity_tables.verdicts(continuity_tables.measure(records, place), rows[0], rows[1])
    return {_against(rows[1]): found[continuity_tables.DECISIVE]}


def _focus(rows: Sequence[str], records: Records, scale: Profile, place: Place) -> Verdicts:
    own, theirs = (focus.measured(records[name], place) for name in rows)
    found = focus.claim(own, theirs)
    gap = Interval(100 * found.difference, 100 * found.low, 100 * found.high)
    verdict = Verdict(found.verdict, gap, "percentage points", len(found.by_seed))
    return {_against(rows[1]): verdict}


def _looked(rows: Sequence[str], records: Records, place: Place) -> str:
    """The maps' grid, and both systems' shares beside an even map's."""
    own, theirs = (focus.measured(records[name], place) for name in rows)
    side = focus_tables.grid(records[rows[0]][0])
    names = (all_rows()[rows[0]].system, all_rows()[rows[1]].system)
    return f"the maps have {side} x {side} cells; inside lie {focus_tables.shares(focus.claim(own, theirs), names)}"


def _no_skill(rows: Sequence[str], records: Records, place: Place) -> str:
    """Which of the rows do no better than calling every case an infarction."""
    return scores.no_better({name: records[name] for name in rows})


def _speed(rows: Sequence[str], records: Records, scale: Profile, place: Place) -> Verdicts:
    verdicts = {}
    for each in efficiency.measured(scale, place.runs_dir):
        lasts = 1e3 * each.clip.span / each.fps
        for timing in (timing for timing in each.timings if timing.batch == 1):
            spare, half = lasts - timing.mean_ms, float(stats.norm.ppf(0.975)) * timing.sd_ms
            gap = Interval(spare, spare - half, spare + half)
            unit = f"ms to spare of {lasts:,.0f}"
            verdicts[f"on {each.device}"] = Verdict(verdict_word(gap.low, gap.high, True), gap, unit, 0)
    return verdicts


_Judge = Callable[[Sequence[str], Records, Profile, Place], Verdicts]
_REMARKS: Mapping[Kind, Callable[[Sequence[str], Records, Place], str]] = {"focus": _looked, "transfer": _no_skill}
_JUDGES: Mapping[Kind, _Judge] = {
    "mae": _rows_compared(lambda records, better, worse: evidence.judge(records, better, worse, "mae")),
    "r2": _rows_compared(evidence.judge),
    "spread": _rows_compared(_steadier),
    "transfer": _rows_compared(scores.judge),
    "continuity": _continuity,
    "focus": _focus,
    "speed": _speed,
}
