"""The paper as data: the numbers it prints, and the `Run` behind every cell that is rebuilt here.

Run names read ``table1/coreecho/seed0``: table, row, seed, and fold where there are folds. The rows themselves are in
`coreecho.echonet_rows` and `coreecho.transfer_rows`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from coreecho.echonet_rows import later, losses, same_recipe, samplings, table1, table2, table3
from coreecho.errors import SettingsError
from coreecho.lineage import PRETEXT
from coreecho.rows import Row
from coreecho.settings import Run
from coreecho.transfer_rows import table4, table5

__all__ = [
    "HEADINGS",
    "SEEDS",
    "TABLES",
    "all_rows",
    "all_runs",
    "fills",
    "find_run",
    "later",
    "losses",
    "run_name",
    "same_recipe",
    "samplings",
    "table1",
    "table2",
    "table3",
    "table4",
    "table5",
]

HEADINGS = {
    "same-recipe": "Table 1, CoReEcho's recipe for all",
    "samplings": "UVT's other sampling",
    "losses": "The same encoder, other losses",
    "later": "After the paper",
}
"""Tables that the paper does not have."""
SEEDS = (0, 1, 2)
"""The paper's three trials (gaps A)."""
TABLES: dict[str, Callable[[], list[Row]]] = {
    "table1": table1,
    "same-recipe": same_recipe,
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "samplings": samplings,
    "losses": losses,
    "later": later,
}


def all_rows() -> dict[str, Row]:
    """Every row of every table, by name."""
    return {row.name: row for rows in TABLES.values() for row in rows()}


def find_run(name: str) -> Run:
    """The run called ``name``, such as ``table1/coreecho/seed0`` or ``table4/scratch/seed0/fold3``.

    Without a seed, seed 0; without a fold, fold 0; ``pretext`` is the run that stands in for Kinetics-400.

    Raises:
        SettingsError: no such run; the message says how runs are named, and which rows have a name like this one.
    """
    match = re.fullmatch(r"(?P<row>.+?)(/seed(?P<seed>\d+))?(/fold(?P<fold>\d+))?", name)
    rows = all_rows()
    row = rows.get(match["row"]) if match else None
    if name == "pretext":
        return PRETEXT
    if match is None or row is None:
        alike = get_close_matches(name if match is None else match["row"], rows, 3)
        guess = f"did you mean {', '.join(alike)}? " if alike else ""
        raise SettingsError(
            f"there is no run {name!r}; {guess}"
            "Runs are called pretext, table1/coreecho/seed0, table4/scratch/seed0/fold3, ...; "
            "`coreecho runs status` lists them"
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


def fills(seeds: Sequence[int] = SEEDS) -> dict[Run, tuple[str, ...]]:
    """The names of all cells that each run fills, those of earlier tables first.

    So one run is table1/coreecho/seed1 and table2/full/seed1. Unlike in `all_runs`, rows on request are among them, and
    every fold at every seed.
    """
    found: dict[Run, tuple[str, ...]] = {}
    for row in all_rows().values():
        for run in row.runs(seeds):
            found[run] = (*found.get(run, ()), run_name(row.name, run))
    return found


def run_name(row: str, run: Run) -> str:
    """A run's name, such as ``table4/scratch/seed0/fold3``."""
    return f"{row}/seed{run.seed}" + ("" if run.fold is None else f"/fold{run.fold}")
