"""What stands under a table: paired differences, the order of methods, the score against the truth, the runs.

Each takes records by row name, as `coreecho.tables` does, and gives text or a table for readers.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from coreecho.errors import RecordError
from coreecho.evaluation import paired_bootstrap, regression_metrics, seed_summary
from coreecho.experiments import all_rows, table1
from coreecho.records import Record
from coreecho.resampling import Array
from coreecho.tables import METRIC_NAMES, NOT_RUN, Records, column_label, format_interval, stacked
from coreecho.verdicts import Verdict, verdict_word


def differences(records: Records, reference: str) -> pd.DataFrame:
    """Every other row's metrics minus those of ``reference``, with paired 95 % intervals over patients."""
    labels, theirs, _ = stacked(reference, records[reference])
    lines: list[dict[str, str]] = []
    for name, own in records.items():
        if name == reference or not own:
            continue
        gaps = paired_bootstrap(labels, theirs, stacked(name, own)[1])
        line = {"Difference": f"{_systems()[reference]} minus {_systems()[name]}"}
        lines.append(line | {METRIC_NAMES[metric]: format_interval(gap, metric) for metric, gap in gaps.items()})
    return pd.DataFrame(lines)


def _systems() -> dict[str, str]:
    """The systems' names by row name."""
    return {name: row.title for name, row in all_rows().items()}


def order_of_methods(records: Records) -> str:
    """A sentence on the order of the methods by MAE, published and here, in the paper's own rows."""
    rows = [row for row in table1() if records.get(row.name)]
    if len(rows) < 2:
        return "Fewer than two systems were run, so there is no order to compare."
    label = column_label(records[rows[0].name][0])
    ours = {row.title: _mean_mae(row.name, records[row.name]) for row in rows}
    theirs = {row.title: row.published["mae"] for row in rows}
    orders = [" < ".join(sorted(values, key=values.__getitem__)) for values in (theirs, ours)]
    verdict = "the same order" if orders[0] == orders[1] else "the paper's order does not appear on these data"
    return f"Order by MAE, best first. Published: {orders[0]}. Here ({label}): {orders[1]}; {verdict}."


def by_seed(records: Records) -> pd.DataFrame:
    """Every seed's metrics with their mean and sample standard deviation (ddof 1)."""
    lines = []
    for name, own in records.items():
        labels, predictions, _ = stacked(name, own)
        scores = [regression_metrics(labels, each) for each in predictions]
        line = {"System": _systems()[name], "Seeds": ", ".join(str(record.run.seed) for record in own)}
        for metric, title in METRIC_NAMES.items():
            scale, digits = (100, 1) if metric == "r2" else (1, 2)
            summary = seed_summary([getattr(score, metric) * scale for score in scores])
            spread = "" if summary.n < 2 else f" (mean {summary.mean:.{digits}f}, SD {summary.sd:.2f})"
            line[title] = ", ".join(f"{value:.{digits}f}" for value in summary.values) + spread
        lines.append(line)
    return pd.DataFrame(lines)


def judge(records: Records, better: str, worse: str, metric: str = "r2") -> Verdict | None:
    """Whether the row ``better`` is ahead of ``worse`` in R2, or in MAE or RMSE, by `coreecho.verdicts.RULE`.

    Returns:
        The verdict, its difference positive where ``better`` is ahead; nothing where one of the rows was not run.

    Raises:
        RecordError: the rows were run in other seeds, or scored on other videos.
    """
    if not records.get(better) or not records.get(worse):
        return None
    seeds = {row: [record.run.seed for record in records[row]] for row in (better, worse)}
    if seeds[better] != seeds[worse]:
        told = " and ".join(f"{row} has seeds {own}" for row, own in seeds.items())
        raise RecordError(f"{told}; run both in the same seeds")
    labels, mine, _ = stacked(better, records[better])
    theirs = stacked(worse, records[worse])[1]
    sign, unit = (100, "percentage points") if metric == "r2" else (-1, "EF points")
    gap = paired_bootstrap(labels, mine, theirs)[metric].times(sign)

    def score(predictions: Array) -> float:
        value: float = getattr(regression_metrics(labels, predictions), metric)
        return sign * value

    agree = all(score(a) > score(b) for a, b in zip(mine, theirs, strict=True))
    return Verdict(verdict_word(gap.low, gap.high, agree), gap, unit, len(mine))


def verdict(records: Records, better: str, worse: str) -> str:
    """The verdict on ``better`` having a higher R2 than ``worse``, in a line."""
    found = judge(records, better, worse)
    if found is None:
        return NOT_RUN
    gap = f"{found.gap.estimate:.1f} [{found.gap.low:.1f}, {found.gap.high:.1f}]"
    torn = ", but the seeds disagree" if found.word == "undecided" and found.gap.low > 0 else ""
    return f"{found.word} (difference in R2 of {gap} {found.unit}{torn})"


def _mean_mae(row: str, records: Sequence[Record]) -> float:
    labels, predictions, _ = stacked(row, records)
    return sum(regression_metrics(labels, each).mae for each in predictions) / len(predictions)


def against_truth(records: Records) -> pd.DataFrame:
    """R2 and MAE against the reader's EF and against the phantom's true EF, per row, with the oracle.

    The oracle predicts the true EF: against the reader it is as far off as the reader, which no system can beat in
    expectation. No real data set can show this, since nobody knows its true EF.
    """
    lines: list[dict[str, str]] = []
    for name, own in records.items():
        labels, predictions, truth = stacked(name, own)
        if truth is None:
            raise RecordError(f"{own[0].folder}: no true EF; only runs on the phantom have one")
        if not lines:
            oracle = regression_metrics(labels, truth)
            lines.append(_truth_line("oracle (the true EF)", [oracle.r2], [oracle.mae], [1.0], [0.0]))
        reader = [regression_metrics(labels, each) for each in predictions]
        true = [regression_metrics(truth, each) for each in predictions]
        lines.append(
            _truth_line(
                _systems()[name],
                [each.r2 for each in reader],
                [each.mae for each in reader],
                [each.r2 for each in true],
                [each.mae for each in true],
            )
        )
    return pd.DataFrame(lines)


def _truth_line(
    system: str, r2_reader: list[float], mae_reader: list[float], r2_true: list[float], mae_true: list[float]
) -> dict[str, str]:
    def mean(values: list[float], scale: float, digits: int) -> str:
        return f"{scale * sum(values) / len(values):.{digits}f}"

    return {
        "System": system,
        "R2 against the reader (%)": mean(r2_reader, 100, 1),
        "MAE against the reader": mean(mae_reader, 1, 2),
        "R2 against the truth (%)": mean(r2_true, 100, 1),
        "MAE against the truth": mean(mae_true, 1, 2),
    }
