"""Rows of Tables 4 and 5: transfer to CAMUS and HMC-QU, and the works that the paper compares with (gaps D, E)."""

from __future__ import annotations

import dataclasses
from typing import Any

from coreecho import baselines
from coreecho.rows import Row, published
from coreecho.settings import Init, Run

_WAYS = {"scratch": "finetune", "mlp probing": "probe", "fine-tuning": "finetune"}
_STARTS: dict[str | None, Init] = {None: "scratch", "K400": "k400", "EchoCoTr": "echocotr", "CoReEcho": "coreecho"}
_HMCQU = Run(dataset="hmcqu", views="one", fold=0)
_OTHER_WORKS = {
    "CLAS": Run(dataset="camus", method="clas", init="scratch", views="one", fold=0),
    "Degerli": dataclasses.replace(_HMCQU, method="degerli", init="scratch"),
    "Saeed": dataclasses.replace(_HMCQU, method="saeed", init="ouyang"),
    "Nguyen": dataclasses.replace(_HMCQU, method="nguyen", init="scratch"),
}


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
    folds = 10 if table == "table4" else 5
    if entry["work"] in _OTHER_WORKS:
        run = _OTHER_WORKS[entry["work"]]
        return Row(
            name=f"{table}/{run.method}",
            system=f"{entry['work']}, {text}",
            reference=entry["reference"],
            clips="",
            published=values,
            run=run,
            folds=folds,
            note=baselines.SYSTEMS[run.method].differs,
        )
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
        folds=folds,
    )
