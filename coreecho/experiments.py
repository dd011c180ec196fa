"""The paper as data: the numbers it prints, and the `Run` behind every cell that is rebuilt here.

Run names read ``table1/coreecho/seed0``: table, row, seed. A row without a run is printed in the paper only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from coreecho.errors import SettingsError
from coreecho.settings import Run

SEEDS = (0, 1, 2)
"""The paper's three trials (gaps A)."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table: what the paper prints, and what is run here to rebuild it."""

    name: str
    """Table and row, as in run names."""
    system: str
    """The system as the paper names it."""
    reference: str
    """Citation key in the book's bibliography."""
    clips: str
    """Test-time protocol as the paper words it."""
    published: dict[str, float]
    """The paper's values: MAE and RMSE in EF points, R2 and its standard deviation over runs in percent."""
    run: Run | None = None
    """What is trained for it, at seed 0; none where the paper copied the row and it is not trained here."""
    note: str = ""
    """A remark printed under the table."""

    def runs(self, seeds: Sequence[int]) -> list[Run]:
        """The row's runs at the given seeds."""
        return [] if self.run is None else [dataclasses.replace(self.run, seed=seed) for seed in seeds]


@cache
def published() -> dict[str, Any]:
    """The paper's numbers (Tables 1-5, efficiency), and what the literature prints beside them."""
    text = resources.files("coreecho").joinpath("published.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


_TABLE1_RUNS = {
    "AdaCon": Run(method="adacon", views="same-clip"),
    "EchoCoTr": Run(method="echocotr", views="one"),
    "CoReEcho": Run(method="coreecho"),
}
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


TABLES = {"table1": table1, "table3": table3}


def all_rows() -> dict[str, Row]:
    """Every row of every table, by name."""
    return {row.name: row for rows in TABLES.values() for row in rows()}


def find_run(name: str) -> Run:
    """The run called ``name``, such as ``table1/coreecho/seed0``; without a seed, seed 0.

    Raises:
        SettingsError: no such run; the message lists those that exist.
    """
    row_name, _, seed = name.partition("/seed")
    rows = {name: row for name, row in all_rows().items() if row.run is not None}
    if row_name not in rows or (seed and not seed.isdecimal()):
        raise SettingsError(f"there is no run {name!r}; runs: {', '.join(rows)}, each with /seed0, /seed1, …")
    return rows[row_name].runs([int(seed or 0)])[0]


def all_runs(seeds: Sequence[int] = SEEDS) -> dict[str, Run]:
    """Every run of every table, by name."""
    return {f"{name}/seed{run.seed}": run for name, row in all_rows().items() for run in row.runs(seeds)}
