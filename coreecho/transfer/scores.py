"""The metrics of Tables 4 and 5 from out-of-fold predictions: scores, differences, verdicts (gaps D, E).

Which table is meant shows in the choice that goes with it: a grouping by picture quality for CAMUS; for HMC-QU whether
all cases are pooled (true) or each fold's metrics averaged (false).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from coreecho.errors import SettingsError
from coreecho.experiments import all_rows
from coreecho.resampling import Array, Interval
from coreecho.tables import NOT_RUN, Records
from coreecho.transfer import classification, correlation
from coreecho.transfer.outoffold import Grouping, OutOfFold, check_pairs, groups, pool
from coreecho.verdicts import Verdict, verdict_word

NO_SKILL = "table5/all-infarction"
"""Name of Table 5's line without a system: every case is called an infarction."""
CAMUS = {
    "gm_corr": "Corr., Good & Medium",
    "gm_mae": "MAE, Good & Medium",
    "p_corr": "Corr., Poor",
    "p_mae": "MAE, Poor",
}
HMCQU = {"sens": "Sensitivity", "spec": "Specificity", "prec": "Precision", "f1": "F1", "acc": "Accuracy"}
"""Metrics of Table 5, in percent."""
Choice = Grouping | bool
Scores = tuple[dict[str, Interval], Array]
"""Interval of each metric, and the point values (metrics, seeds)."""
DECIDES = {"table4": "gm_mae", "table5": "acc"}
"""The metric that a verdict rests on, fixed beforehand."""
_PAIRS = {
    "CoReEcho's encoder over EchoCoTr's, probing": ("probe-coreecho", "probe-echocotr"),
    "CoReEcho's encoder over EchoCoTr's, fine-tuning": ("finetune-coreecho", "finetune-echocotr"),
    "Fine-tuning from CoReEcho over random weights": ("finetune-coreecho", "scratch"),
}
CLAIMS = {
    table: {text: (f"{table}/{a}", f"{table}/{b}") for text, (a, b) in _PAIRS.items()} for table in ("table4", "table5")
}
"""By table: what the paper claims, with the row that it puts ahead and the one behind."""


def differences(records: Records, table: str, *, grouping: Grouping = "view", pooled: bool = False) -> pd.DataFrame:
    """Every metric's paired difference in each of the table's `CLAIMS`, first row minus second, with its interval."""
    names = CAMUS if table == "table4" else HMCQU
    lines = []
    for text, (a, b) in CLAIMS[table].items():
        found = compare(records, a, b, grouping if table == "table4" else pooled)
        lines.append(
            {"Difference": text}
            | {title: NOT_RUN if found is None else cell(found[metric], metric) for metric, title in names.items()}
        )
    return pd.DataFrame(lines)


def judge(records: Records, better: str, worse: str, metric: str = "", grouping: Grouping = "view") -> Verdict | None:
    """Whether the row ``better`` is ahead of ``worse``, by `coreecho.verdicts.RULE`.

    Args:
        records: by row name.
        better: row that is claimed to be ahead, such as ``table4/probe-coreecho``.
        worse: row of the same table.
        metric: of `CAMUS` or `HMCQU`; the table's `DECIDES` by default. HMC-QU's are means of per-fold metrics.
        grouping: of CAMUS's patients.

    Returns:
        The verdict, its difference positive where ``better`` is ahead; nothing where one of the rows was not run.

    Raises:
        SettingsError: the table has no such metric.
        RecordError: as `camus` and `hmcqu`, or the rows rest on other patients, folds or seeds.
    """
    table = better.partition("/")[0]
    metric, names = metric or DECIDES[table], CAMUS if table == "table4" else HMCQU
    if metric not in names:
        raise SettingsError(f"{table} has no metric {metric!r}; choose one of {', '.join(names)}")
    choice: Choice = grouping if table == "table4" else False
    found = compare(records, better, worse, choice)
    if found is None:
        return None
    first, second = (score(pool(row, records[row]), choice, 1)[1] for row in (better, worse))
    sign = -1 if metric.endswith("mae") else 1
    gap = found[metric].times(sign)
    place = list(names).index(metric)
    agree = bool((sign * (first[place] - second[place]) > 0).all())
    unit = "percentage points" if table == "table5" else "EF points" if metric.endswith("mae") else "in correlation"
    return Verdict(verdict_word(gap.low, gap.high, agree), gap, unit, first.shape[1])


def verdicts(records: Records, table: str) -> list[str]:
    """A line for each of the table's `CLAIMS`, by its `DECIDES`."""
    title = (CAMUS | HMCQU)[DECIDES[table]]
    lines = []
    for text, (better, worse) in CLAIMS[table].items():
        found = judge(records, better, worse)
        lines.append(f"{text} ({title}): {NOT_RUN if found is None else found.text}.")
    return lines


def score(pooled: OutOfFold, choice: Choice, resamples: int = 10_000) -> Scores:
    """CAMUS's metrics by a grouping, or HMC-QU's in percent, averaged over folds or of all cases."""
    if isinstance(choice, bool):
        draw = partial(classification.bootstrap, pooled=choice)
        found = draw(pooled.labels, pooled.predictions, pooled.folds, resamples=resamples)
        each = [
            classification.classification_metrics(pooled.labels, own, pooled.folds, pooled=choice)
            for own in pooled.predictions
        ]
        points = np.array([[100 * own[metric] for own in each] for metric in HMCQU])
        return {metric: found[metric].times(100) for metric in HMCQU}, points
    found, rows = {}, []
    for group, part in groups(pooled, choice).items():
        own = correlation.bootstrap(part.labels, part.predictions, resamples=resamples)
        each = [correlation.correlation_metrics(part.labels, seed) for seed in part.predictions]
        found |= {f"{group}_{metric}": own[metric] for metric in correlation.METRICS}
        rows += [[one[metric] for one in each] for metric in correlation.METRICS]
    return found, np.array(rows)


def all_called(pooled: OutOfFold) -> OutOfFold:
    """The same patients, each called an infarction: what takes no skill."""
    return replace(pooled, row=NO_SKILL, seeds=(), predictions=np.ones((1, len(pooled.labels))))


def no_better(records: Records, pooled: bool = False) -> str:
    """Which rows of Table 5 have no higher accuracy or F1 than calling every case an infarction, in a clause.

    Args:
        records: by row name; those of other tables and rows that were not run are passed over.
        pooled: all cases of all folds together instead of means of per-fold metrics.

    Returns:
        Nothing where all rows are above.
    """
    own = {name: pool(name, each) for name, each in records.items() if name.startswith("table5/") and each}
    if not own:
        return ""
    floor = score(all_called(next(iter(own.values()))), pooled, 1)[0]
    found = {name: score(each, pooled, 1)[0] for name, each in own.items()}
    parts = []
    for metric in ("acc", "f1"):
        least = floor[metric].estimate
        behind = [
            f"{all_rows()[name].system} ({each[metric].estimate:.1f})"
            for name, each in found.items()
            if each[metric].estimate <= least
        ]
        if behind:
            name = "accuracy" if metric == "acc" else HMCQU[metric]
            parts.append(f"not above its {name} of {least:.1f} %: {', '.join(behind)}")
    return "; ".join(["calling every case an infarction takes no skill", *parts]) if parts else ""


def compare(records: Records, a: str, b: str, choice: Choice) -> dict[str, Interval] | None:
    """Differences of the metrics, HMC-QU's in percentage points; nothing where a row was not run."""
    if not records.get(a) or not records.get(b):
        return None
    first, second = pool(a, records[a]), pool(b, records[b])
    check_pairs(first, second)
    if isinstance(choice, bool):
        gaps = classification.paired_bootstrap(
            first.labels, first.predictions, second.predictions, first.folds, pooled=choice
        )
        return {metric: gap.times(100) for metric, gap in gaps.items()}
    found: dict[str, Interval] = {}
    for (group, one), two in zip(groups(first, choice).items(), groups(second, choice).values(), strict=True):
        own = correlation.paired_bootstrap(one.labels, one.predictions, two.predictions)
        found |= {f"{group}_{metric}": gap for metric, gap in own.items()}
    return found


def digits(metric: str) -> int:
    """Decimals of a published value: those of the paper."""
    return 3 if metric.endswith("corr") else 2


def cell(interval: Interval, metric: str) -> str:
    """Estimate and interval for a cell: correlations with three digits, MAE with two, percentages with one."""
    if not np.isfinite(interval.estimate):
        return "not defined: equal predictions"
    n = 1 if metric in HMCQU else digits(metric)
    return f"{interval.estimate:.{n}f} [{interval.low:.{n}f}, {interval.high:.{n}f}]"
