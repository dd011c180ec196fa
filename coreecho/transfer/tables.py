"""Tables 4 and 5 from records: transfer to CAMUS and HMC-QU (section 3.2; gaps D, E).

Every metric comes from out-of-fold predictions. CAMUS: pooled over the folds, then split by picture quality. HMC-QU:
means of per-fold metrics, as the printed numbers are, or all cases pooled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from coreecho.experiments import all_rows, table4, table5
from coreecho.records import Record
from coreecho.rows import Row, published
from coreecho.settings import Profile
from coreecho.tables import NOT_IN_PAPER, NOT_RUN, Records, Table, column_label, on_hearts
from coreecho.transfer import correlation
from coreecho.transfer.outoffold import GROUP_NAMES, GROUPINGS, Grouping, finished, groups, pool
from coreecho.transfer.scores import CAMUS, HMCQU, NO_SKILL, Choice, all_called, cell, digits, no_better, score

ALL_CALLED = "all called infarction (no skill, not a system)"
"""How Table 5's last line is called."""
FOLD_LEAST = 10
"""Fewest patients of a group in every fold for a correlation per fold."""


def camus(records: Records, paper_records: Records | None = None, grouping: Grouping = "view") -> Table:
    """Table 4: correlation and MAE for good and medium and for poor pictures, with 95 % intervals over patients.

    Args:
        records: of the profile shown, by row name, one per seed and fold.
        paper_records: of the paper profile, where another one is shown; unfinished seeds are passed over.
        grouping: by the quality of the four-chamber view, or by the worse one of the patient's two views.

    Raises:
        RecordError: a fold of a row is missing or unusable, or a quality group is too small.
    """
    basis = f"grouped by {GROUPINGS[grouping][1]}"
    return _table(table4(), records, paper_records, CAMUS, grouping, basis)


def hmcqu(records: Records, paper_records: Records | None = None, *, pooled: bool = False) -> Table:
    """Table 5: five metrics in percent, with 95 % intervals over patients drawn within folds.

    Args:
        records: of the profile shown, by row name, one per seed and fold.
        paper_records: of the paper profile, where another one is shown; unfinished seeds are passed over.
        pooled: all cases of all folds together instead of means of per-fold metrics.

    Returns:
        The paper's rows, and last what calling every case an infarction would have: the least that skill must exceed.

    Raises:
        RecordError: a fold of a row is missing, or has one class only.
    """
    basis = "all folds pooled" if pooled else "mean of per-fold metrics"
    table = _table(table5(), records, paper_records, HMCQU, pooled, basis)
    line, plain = _floor(table.display, records, on_hearts(paper_records), pooled)
    behind = no_better(records, pooled)
    said = (f"{behind[0].upper()}{behind[1:]}.",) if behind else ()
    return replace(
        table,
        display=pd.concat([table.display, line], ignore_index=True),
        numbers=pd.concat([table.numbers, plain.assign(basis=basis)], ignore_index=True),
        notes=(*table.notes, *said, _best_two()),
    )


def by_fold(records: Records, grouping: Grouping = "view") -> pd.DataFrame:
    """CAMUS's metrics computed in each fold and averaged over folds and seeds, beside the pooled table.

    Folds without a patient of a group are left out of its MAE. A correlation is given only where every fold has
    `FOLD_LEAST` patients of the group.
    """
    lines = []
    for name, own in records.items():
        if not own:
            continue
        line = {"Training": system(all_rows()[name], own[0].profile)}
        for group, part in groups(pool(name, own), grouping).items():
            folds = [part.choose(part.folds == fold) for fold in np.unique(part.folds)]
            least, n = min(len(each.videos) for each in folds), len(folds)
            mae = np.mean([np.abs(each.predictions - each.labels).mean() for each in folds])
            enough = least >= FOLD_LEAST and n == all_rows()[name].folds
            both = [
                correlation.bootstrap(each.labels, each.predictions, resamples=1)["corr"] for each in folds if enough
            ]
            corr = f"{np.mean([each.estimate for each in both]):.3f}" if enough else "too few patients in a fold"
            line |= {f"Corr., {GROUP_NAMES[group]}": corr, f"MAE, {GROUP_NAMES[group]}": f"{mae:.2f} ({n} folds)"}
        lines.append(line)
    return pd.DataFrame(lines)


def _floor(
    display: pd.DataFrame, records: Records, paper_records: Records | None, pooled: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table 5's line without a system, every case called an infarction: its cells, and the same as plain numbers."""
    line = {name: NOT_IN_PAPER if name.startswith("Published") else NOT_RUN for name in display.columns}
    line["Training"] = ALL_CALLED
    numbers = []
    paper = {} if paper_records is None else finished(paper_records)
    for own, hearts in ((paper, True), (records, False)):
        name = next((name for name, each in own.items() if each), None)
        if name is None:
            continue
        intervals, _ = score(all_called(pool(name, own[name])), pooled)
        first = own[name][0]
        cells = {HMCQU[metric]: cell(interval, metric) for metric, interval in intervals.items()}
        if hearts:
            line["HMC-QU, run here"] = "; ".join(f"{title} {text}" for title, text in cells.items())
        else:
            line |= {f"{column_label(first)}: {title}": text for title, text in cells.items()}
        about = {"row": NO_SKILL, "system": ALL_CALLED, "source": first.profile.name, "data": str(first.data["label"])}
        for metric, each in intervals.items():
            values = {"value": each.estimate, "low": each.low, "high": each.high}
            told = {key: round(value, 4) for key, value in values.items()}
            numbers.append(about | {"metric": HMCQU[metric]} | told | dict.fromkeys(("seeds", "by_seed", "runs"), ""))
    return pd.DataFrame([line]), pd.DataFrame(numbers)


def _best_two() -> str:
    """How close the paper's two best rows are, in patients."""
    counts = published()["table5_counts_implied"]["rows"]
    ours, theirs = (counts[f"fine-tuning {name}"] for name in ("CoReEcho", "EchoCoTr"))
    first, second = (all_rows()[f"table5/finetune-{name}"].published["f1"] for name in ("coreecho", "echocotr"))
    gap = f"{sum(ours) - sum(theirs)} patient of 109"
    return (
        f"The paper's two best rows differ by {gap}: the printed percentages imply "
        f"{sum(ours)} right for fine-tuning from CoReEcho and {sum(theirs)} from EchoCoTr; F1 is {first:.2f} and "
        f"{second:.2f}."
    )


def system(row: Row, profile: Profile) -> str:
    """The row's training as a profile runs it: what stands in for Kinetics-400 weights is named."""
    stand_in = {"pretext": "*pretext*", "none": "random"}.get(profile.k400)
    return row.system.replace("K400", f"K400 ({profile.name}: {stand_in})") if stand_in else row.system


def _table(
    rows: Sequence[Row],
    records: Records,
    paper_records: Records | None,
    names: Mapping[str, str],
    choice: Choice,
    basis: str,
) -> Table:
    data = "CAMUS" if names is CAMUS else "HMC-QU"
    real = on_hearts(paper_records)
    paper_records = None if real is None else finished(real)
    shown = next((own[0] for own in records.values() if own), None)
    lines, numbers = [], []
    for row in rows:
        own = records.get(row.name, ())
        line = {"Training": row.system if shown is None else system(row, shown.profile)}
        for metric, name in names.items():
            value = row.published[metric]
            line[f"Published {name}"] = f"{value:.{digits(metric)}f}"
            numbers.append(_number(row, row.system, "published", data, name, value))
        empty = NOT_RUN
        if paper_records is not None:
            found, plain = _scored(row, paper_records.get(row.name, ()), names, choice)
            line[f"{data}, run here"] = "; ".join(f"{name} {text}" for name, text in found.items()) or empty
            numbers += [each | {"basis": basis} for each in plain]
        if shown is not None:
            found, plain = _scored(row, own, names, choice)
            line |= {f"{column_label(shown)}: {name}": found.get(name, empty) for name in names.values()}
            numbers += [each | {"basis": basis} for each in plain]
        lines.append(line)
    return Table(pd.DataFrame(lines), pd.DataFrame(numbers), _notes(rows, records, basis))


def _scored(
    row: Row, records: Sequence[Record], names: Mapping[str, str], choice: Choice
) -> tuple[dict[str, str], list[dict[str, object]]]:
    """The formatted cells of one row, by the metric's name, and the same as plain numbers; none if it was not run."""
    if not records:
        return {}, []
    pooled, first = pool(row.name, records), records[0]
    intervals, points = score(pooled, choice)
    about = (system(row, first.profile), first.profile.name, str(first.data["label"]))
    numbers = [
        _number(row, *about, names[metric], interval.estimate)
        | {
            "low": round(interval.low, 4),
            "high": round(interval.high, 4),
            "seeds": " ".join(map(str, pooled.seeds)),
            "by_seed": " ".join(f"{value:.4f}" for value in own),
            "runs": " ".join(record.key for record in records),
        }
        for (metric, interval), own in zip(intervals.items(), points, strict=True)
    ]
    return {names[metric]: cell(interval, metric) for metric, interval in intervals.items()}, numbers


def _number(row: Row, trained: str, source: str, data: str, metric: str, value: float) -> dict[str, object]:
    known = {"row": row.name, "system": trained, "source": source, "data": data, "metric": metric}
    return known | {"value": round(value, 4)}


def _notes(rows: Sequence[Row], records: Records, basis: str) -> tuple[str, ...]:
    """What the columns made here rest on."""
    for row in rows:
        own = records.get(row.name, ())
        transfer = own[0].profile.transfer(own[0].run) if own else None
        if transfer is None:
            continue
        pooled = pool(row.name, own)
        seeds = f"{len(pooled.seeds)} seed{'s' if len(pooled.seeds) > 1 else ''}"
        sizes = ", ".join(str(int(n)) for n in np.unique(pooled.folds, return_counts=True)[1])
        drawn = f" (fold seed {transfer.fold_seed})" if transfer.folds == "stratified" else ""
        lines = [
            f"Here: {len(pooled.videos)} patients, {seeds}, {basis}; in brackets the 95 % interval over patients.",
            f"Folds: {transfer.folds}{drawn}, test sets of {sizes}; rotation up to {transfer.clip.rotation:g} degrees.",
        ]
        if own[0].profile.k400 == "pretext":
            lines.append("EchoCoTr and CoReEcho, which encoders are taken from, started from *pretext* weights.")
        return tuple(lines + [f"{each.system}: {each.note}" for each in rows if each.note and records.get(each.name)])
    return ()
