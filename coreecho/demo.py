"""The demo: Table 1 trained for real on the phantom, one seed a system, and set beside the committed records.

Two machines do not agree to the bit: other processors sum in another order, and training amplifies the difference.
`TOLERANCE` is how far a metric of one run may lie from the committed one; it was set from reruns of the committed runs
under other instruction sets and thread counts, which the page "Reproduce" lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coreecho.errors import CoReEchoError
from coreecho.experiments import table1
from coreecho.files import project_root
from coreecho.ledger import find
from coreecho.notebooks import execute
from coreecho.place import Place
from coreecho.profiles import DEMO
from coreecho.records import Record
from coreecho.runs import ensure

TOLERANCE = {"mae": 0.75, "r2": 0.05}
"""Twice the largest difference seen in those reruns: MAE in EF points, R2 as a fraction."""


@dataclass(frozen=True)
class Comparison:
    """A metric of a run made here beside the committed one."""

    row: str
    metric: str
    here: float
    committed: float

    @property
    def agrees(self) -> bool:
        """Whether the two lie within the stated tolerance."""
        return abs(self.here - self.committed) <= TOLERANCE[self.metric]


def run_demo(folder: Path | None = None, seed: int = 0) -> tuple[Path, list[Comparison]]:
    """Trains Table 1's three systems into ``folder`` and compares them with the committed records.

    Args:
        folder: where runs, notebook and table go (default: build/demo of the project); finished runs are reused.
        seed: which of the three seeds.

    Returns:
        The table in Markdown, and every comparison.

    Raises:
        CoReEchoError: a run failed, or there is no committed record to compare with.
    """
    folder = folder or project_root() / "build" / "demo"
    place = Place(runs_dir=folder / "runs")
    specs = {row.name: run for row in table1() if not row.single for run in row.runs([seed])}
    ensure(list(specs.values()), DEMO, place)  # here and not in the notebook, where its progress could not be seen
    parameters = {
        "profile": DEMO.name,
        "runs_dir": str(folder / "runs"),
        "figures_dir": str(folder / "figures"),
        "seeds": [seed],
        "copied": False,
    }
    execute("table1", parameters, folder / "table1.ipynb")
    comparisons = []
    for name, run in specs.items():
        here, committed = find(run, DEMO, place), find(run, DEMO, Place())
        if here is None or committed is None:
            raise CoReEchoError(f"{name}, seed {seed}: no record to compare with; `make runs` makes it")
        comparisons += compare(name, here, committed)
    return folder / "figures" / "table1.md", comparisons


def compare(row: str, here: Record, committed: Record) -> list[Comparison]:
    """The metrics of one run beside those of the committed record of the same run."""
    mine, theirs = (record.metrics[record.profile.protocol] for record in (here, committed))
    return [Comparison(row, metric, mine[metric], theirs[metric]) for metric in TOLERANCE]
