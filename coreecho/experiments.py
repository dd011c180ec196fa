"""The paper as data: the numbers it prints, and the `Run` behind every cell that is rebuilt here.

Run names read ``table1/coreecho/seed0``: table, row, seed, and fold where there are folds. A row without a run is
printed in the paper only.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

from coreecho.errors import SettingsError
from coreecho.lineage import PRETEXT, SYSTEMS
from coreecho.rows import Row, published
from coreecho.settings import Init, Run

SEEDS = (0, 1, 2)
"""The paper's three trials (gaps A)."""


_TABLE1_RUNS = {"AdaCon": SYSTEMS["adacon"], "EchoCoTr": SYSTEMS["echocotr"], "CoReEcho": SYSTEMS["coreecho"]}
_TABLE1_NOTES = {
    ("EchoGraphs", "1 x single heartbeat"): "The true end-diastolic and end-systolic frames are given: an oracle.",
    ("EchoGraphs", "full video"): "Printed under UVT's citation number in the paper; the values are EchoGraphs'.",
    ("EchoNet-Dynamic", "1 x single heartbeat"): "A clip from frame 0 on; no beat is detected.",
}


def table1() -> list[Row]:
    """Table 1: EchoNet-Dynamic test set, comparison with the state of the art."""
    rows = []
    for entry in published()["table1_echonet_sota"]:
        run = _TABLE1_RUNS.get(entry["system"])
        suffix = "" if run else f"-{entry['clips'].split()[-2]}"
        values = {"mae": entry["mae"], "rmse": entry["rmse"], "r2": entry.get("r2_exact", entry["r2"])}
        rows.append(
            Row(
                name=f"table1/{entry['system'].lower()}{suffix}",
                system=entry["system"],
                reference=entry["reference"],
                clips=entry["clips"],
                published=values,
                run=run,
                note=_TABLE1_NOTES.get((entry["system"], entry["clips"]), ""),
            )
        )
    return rows


def same_recipe() -> list[Row]:
    """Table 1's rivals by CoReEcho's recipe in the place of their own: a second row each in the paper profile.

    The demo and gpu profiles have one recipe for all rows anyway, so nothing is run for it there.
    """
    return [
        dataclasses.replace(
            row,
            name=f"{row.name}-same-recipe",
            system=f"{row.system}, CoReEcho's recipe",
            published={},
            run=dataclasses.replace(row.run, recipe="shared"),
            on_request=True,
        )
        for row in table1()
        if row.run is not None and row.run.method != "coreecho"
    ]


_TABLE2_ROWS = {
    (False, False, False): ("l1", "L1 end to end", Run(method="l1", init="scratch")),
    (True, False, False): ("stage-one-scratch", "L1 + L_1st", Run(method="coreecho-stage1", init="scratch")),
    (True, True, False): ("stage-one", "L1 + L_1st, K400", Run(method="coreecho-stage1")),
    (True, True, True): ("full", "L1 + L_1st, K400, LP", SYSTEMS["coreecho"]),
}
_CONTROL = Row(
    name="table2/l1-k400",
    system="L1 end to end, K400",
    reference="",
    clips="",
    published={},
    run=Run(method="l1"),
    note="L1 end to end, K400: a control that the paper does not have; it shows what K400 adds without L_1st.",
)


def table2() -> list[Row]:
    """Table 2: losses, K400 and the second stage; last a control that the paper lacks (gaps C)."""
    rows = []
    for entry in published()["table2_ablation_r2"]:
        if "system" in entry:
            name, text, run = "echocotr", entry["system"], SYSTEMS["echocotr"]
        else:
            name, text, run = _TABLE2_ROWS[entry["l_1st"], entry["k400"], entry["lp"]]
        values = {"r2": entry["r2_mean"], "r2_sd": entry["r2_sd"]}
        rows.append(Row(name=f"table2/{name}", system=text, reference="maani2024", clips="", published=values, run=run))
    return [*rows, _CONTROL]


_STAGE_ONE = Run(method="coreecho-stage1", init="scratch")
_TABLE3_ROWS = {
    (True, True): ("full", "two clips, padded and cropped (A, 2xC)", _STAGE_ONE),
    (True, False): (
        "one-clip",
        "one clip, padded and cropped twice (A)",
        dataclasses.replace(_STAGE_ONE, views="same-clip"),
    ),
    (False, True): (
        "no-augmentation",
        "two clips, not padded (2xC)",
        dataclasses.replace(_STAGE_ONE, augment=False),
    ),
}


def table3() -> list[Row]:
    """Table 3: augmentation and clip sampling; stage one from random weights (gaps C: its first row is Table 2's)."""
    rows = []
    for entry in published()["table3_augmentation_r2"]:
        name, text, run = _TABLE3_ROWS[entry["augmentation"], entry["two_clips"]]
        values = {"r2": entry["r2_mean"], "r2_sd": entry["r2_sd"]}
        rows.append(Row(name=f"table3/{name}", system=text, reference="maani2024", clips="", published=values, run=run))
    return rows


_WAYS = {"scratch": "finetune", "mlp probing": "probe", "fine-tuning": "finetune"}
_STARTS: dict[str | None, Init] = {None: "scratch", "K400": "k400", "EchoCoTr": "echocotr", "CoReEcho": "coreecho"}
_OTHER_WORKS = {"CLAS": "clas", "Degerli": "degerli", "Saeed": "saeed", "Nguyen": "nguyen"}


def table4() -> list[Row]:
    """Table 4: transfer to CAMUS, ten folds; correlation and MAE for good and medium, and for poor pictures."""
    return [_transfer_row("table4", entry, entry["method"]) for entry in published()["table4_camus"]]


def table5() -> list[Row]:
    """Table 5: transfer to HMC-QU, five folds; sensitivity, specificity, precision, F1 and accuracy in percent."""
    return [_transfer_row("table5", entry, entry["training"]) for entry in published()["table5_hmcqu"]]


def _transfer_row(table: str, entry: dict[str, Any], way: str) -> Row:
    metrics = ("gm_corr", "gm_mae", "p_corr", "p_mae") if table == "table4" else ("sens", "spec", "prec", "f1", "acc")
    values = {metric: entry[metric] for metric in metrics}
    start = entry["pretraining"]
    text = way if start is None else f"{way} from {start}"
    if entry["work"] in _OTHER_WORKS:
        name = _OTHER_WORKS[entry["work"]]
        system = f"{entry['work']}, {text}"
        return Row(name=f"{table}/{name}", system=system, reference=entry["reference"], clips="", published=values)
    method = _WAYS[way]
    return Row(
        name=f"{table}/{way if start is None else f'{method}-{start.lower()}'}",
        system=text,
        reference="maani2024",
        clips="",
        published=values,
        run=Run(
            dataset="camus" if table == "table4" else "hmcqu", method=method, init=_STARTS[start], views="one", fold=0
        ),
        folds=10 if table == "table4" else 5,
    )


TABLES: dict[str, Callable[[], list[Row]]] = {
    "table1": table1,
    "same-recipe": same_recipe,
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
}


def all_rows() -> dict[str, Row]:
    """Every row of every table, by name."""
    return {row.name: row for rows in TABLES.values() for row in rows()}


def find_run(name: str) -> Run:
    """The run called ``name``, such as ``table1/coreecho/seed0`` or ``table4/scratch/seed0/fold3``.

    Without a seed, seed 0; without a fold, fold 0; ``pretext`` is the run that stands in for Kinetics-400.

    Raises:
        SettingsError: no such run; the message lists those that exist.
    """
    match = re.fullmatch(r"(?P<row>.+?)(/seed(?P<seed>\d+))?(/fold(?P<fold>\d+))?", name)
    rows = {name: row for name, row in all_rows().items() if row.run is not None}
    row = rows.get(match["row"]) if match else None
    if name == "pretext":
        return PRETEXT
    if match is None or row is None:
        raise SettingsError(
            f"there is no run {name!r}; runs: pretext, {', '.join(rows)}, each with /seed0, /seed1, …; "
            "those of tables 4 and 5 also with /fold0, /fold1, …"
        )
    runs, fold = row.runs([int(match["seed"] or 0)]), int(match["fold"] or 0)
    if fold >= len(runs):
        raise SettingsError(f"{row.name} has {len(runs)} folds, numbered from 0; there is no fold {fold}")
    return runs[fold]


def all_runs(seeds: Sequence[int] = SEEDS) -> dict[str, Run]:
    """Every run of every table, by name; those of a row that is trained per fold at the first seed only.

    That is the demo's extent: three seeds on EchoNet-Dynamic, one over all folds of CAMUS and HMC-QU.
    """
    return {
        run_name(name, run): run
        for name, row in all_rows().items()
        if not row.on_request
        for run in row.runs(seeds[:1] if row.folds else seeds)
    }


def run_name(row: str, run: Run) -> str:
    """A run's name, such as ``table4/scratch/seed0/fold3``."""
    return f"{row}/seed{run.seed}" + ("" if run.fold is None else f"/fold{run.fold}")
