"""Every number that the paper prints in Tables 1 to 5 and in its efficiency paragraph, and what fills its place here.

A cell either names a row of `coreecho.experiments` with a `Run` and a metric, or is published only, with the reason.
A number that nobody has thought of is an error, not a gap in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from coreecho.errors import SettingsError
from coreecho.experiments import all_rows
from coreecho.rows import Row, published
from coreecho.settings import Run

ADDED = {
    "table1/adacon-same-recipe": "the method without its own recipe",
    "table1/echocotr-same-recipe": "the method without its own recipe",
    "table2/l1-k400": "what Kinetics-400 weights add without L_1st, the control that the paper lacks",
    "samplings/uvt-mirror-single": "UVT's other way of sampling",
    "samplings/uvt-mirror-full": "UVT's other way of sampling",
    "losses/rnc-original": "Rank-N-Contrast by its own recipe",
    "losses/supremix": "a rival of Rank-N-Contrast",
    "losses/conr": "a rival loss",
    "losses/ranksim": "a rival loss",
    "losses/ordinal-entropy": "a rival loss",
    "later/echocardmae": "the lowest published error known, later than the paper",
}
"""Rows that are trained here and not printed in the paper, and what they are for."""
CONTEXT = {
    "source": "where the numbers come from",
    "table2_note": "a remark",
    "also_published": "what the literature prints beside the paper",
    "table5_counts_implied": "arithmetic on the printed percentages",
    "supplement": "settings, compared in `coreecho.supplement`",
}
"""Parts of ``published.json`` that are no results of the paper, and what they are."""
EFFICIENCY = {
    "training_hours": "hours",
    "inference_ms_per_clip_mean": "ms",
    "inference_ms_per_clip_sd": "ms_sd",
}
"""Numbers of the efficiency paragraph and the metric that answers each, measured by `coreecho.efficiency`."""


@dataclass(frozen=True)
class Cell:
    """One printed number."""

    where: str
    """Its place in ``published.json``, such as ``table2_ablation_r2[3].r2_mean``."""
    printed: float
    row: str
    """Name of the row that it belongs to."""
    metric: str
    """Name of the metric, as in `Row.published`."""
    run: Run
    """What is trained to fill it, at the first seed and fold."""


def cells() -> list[Cell]:
    """All cells, in the order of the paper.

    Raises:
        SettingsError: ``published.json`` has a part, a row or a number that nothing here answers for.
    """
    unknown = set(published()) - set(_SECTIONS) - set(CONTEXT) - {"efficiency"}
    if unknown:
        raise SettingsError(f"published.json: no cell is made of {', '.join(sorted(unknown))}; add it to cells.py")
    found = [cell for section in _SECTIONS for cell in _section(section)]
    run = all_rows()["table1/coreecho"].run
    efficiency = published()["efficiency"]
    return found + [
        Cell(f"efficiency.{name}", efficiency[name], "table1/coreecho", metric, run)
        for name, metric in EFFICIENCY.items()
    ]


def overview() -> pd.DataFrame:
    """One line per row of the paper and per row added here: its printed numbers, and the runs that answer them."""
    printed: dict[str, list[Cell]] = {}
    for cell in cells():
        printed.setdefault(cell.row, []).append(cell)
    return pd.DataFrame(_line(row, printed.get(row.name, [])) for row in all_rows().values())


def _line(row: Row, own: list[Cell]) -> dict[str, str]:
    table, _, name = row.name.partition("/")
    run = row.run
    folds = f", {row.folds} folds" if row.folds else ""
    filled = f"data {run.dataset}, method {run.method}, start {run.init}, views {run.views}{folds}"
    filled += "" if run.augment else ", not augmented"
    filled += "" if row.protocol is None else f"; protocol {row.protocol}"
    return {
        "Table": table.removeprefix("table"),
        "Row": name,
        "System": row.system,
        "Printed numbers": str(len(own)) if own else f"none: {ADDED[row.name]}",
        "Run": filled,
    }


def _section(section: str) -> Iterator[Cell]:
    row_name, metrics = _SECTIONS[section]
    rows = all_rows()
    for number, entry in enumerate(published()[section]):
        where = f"{section}[{number}]"
        name = row_name(entry)
        if name not in rows:
            raise SettingsError(f"{where}: there is no row {name!r} in experiments.py")
        row = rows[name]
        for key, value in entry.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if key not in metrics:
                raise SettingsError(f"{where}.{key}: no metric answers it; add it to cells.py")
            yield Cell(f"{where}.{key}", value, name, metrics[key], row.run)


def _table1(entry: dict[str, Any]) -> str:
    clips = {"1 x single heartbeat": "-single", "full video": "-full", "3 x clips": ""}
    return f"table1/{entry['system'].lower()}{clips[entry['clips']]}"


def _table2(entry: dict[str, Any]) -> str:
    if "system" in entry:
        return f"table2/{entry['system'].lower()}"
    names = {
        (False, False, False): "l1",
        (True, False, False): "stage-one-scratch",
        (True, True, False): "stage-one",
        (True, True, True): "full",
    }
    return f"table2/{names[entry['l_1st'], entry['k400'], entry['lp']]}"


def _table3(entry: dict[str, Any]) -> str:
    names = {(True, True): "full", (True, False): "one-clip", (False, True): "no-augmentation"}
    return f"table3/{names[entry['augmentation'], entry['two_clips']]}"


def _transfer(table: str, way: str) -> Callable[[dict[str, Any]], str]:
    ways = {"scratch": "scratch", "mlp probing": "probe", "fine-tuning": "finetune"}

    def name(entry: dict[str, Any]) -> str:
        if entry["work"] != "this paper":
            return f"{table}/{entry['work'].lower()}"
        start = "" if entry["pretraining"] is None else f"-{entry['pretraining'].lower()}"
        return f"{table}/{ways[entry[way]]}{start}"

    return name


_R2 = {"r2_mean": "r2", "r2_sd": "r2_sd"}
_SECTIONS: dict[str, tuple[Callable[[dict[str, Any]], str], dict[str, str]]] = {
    "table1_echonet_sota": (_table1, {"mae": "mae", "rmse": "rmse", "r2": "r2", "r2_exact": "r2"}),
    "table2_ablation_r2": (_table2, _R2),
    "table3_augmentation_r2": (_table3, _R2),
    "table4_camus": (_transfer("table4", "method"), {name: name for name in ("gm_corr", "gm_mae", "p_corr", "p_mae")}),
    "table5_hmcqu": (_transfer("table5", "training"), {name: name for name in ("sens", "spec", "prec", "f1", "acc")}),
}
"""Tables in ``published.json``: the row's name by what identifies an entry, and the metric by the name of a number."""
