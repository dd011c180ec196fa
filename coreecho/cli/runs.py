"""``coreecho runs list | status | plan | fill``: which records exist, which are missing, and filling them in."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from coreecho.cli.options import Commands, add_place, add_profile, completes, metrics_of, place_of, profile_of
from coreecho.cli.suggest import guess
from coreecho.cli.tables import columns, table
from coreecho.errors import SettingsError
from coreecho.files import default_runs_dir
from coreecho.lineage import parent, with_ancestors
from coreecho.settings import Profile, Run

if TYPE_CHECKING:
    from coreecho.place import Place
    from coreecho.records import Record

EXAMPLES = {
    "list": (
        ("coreecho runs list", "the demo's committed records; columns are shortened to fit the terminal"),
        ("coreecho runs list --profile paper --runs-dir DIR", "those of your own runs"),
        ("coreecho runs list --json", "for a program"),
    ),
    "status": (
        ("coreecho runs status", "all runs of the demo"),
        ("coreecho runs status table4 --profile paper --data-root DIR", "one table's"),
        ("coreecho runs status 'table1/*/seed0' --profile gpu", "the first seed of each row"),
    ),
    "plan": (
        ("coreecho runs plan table4", "what Table 4 needs, and from which runs it starts"),
        ("coreecho runs plan --profile gpu --json", "what the grid is made from"),
    ),
    "fill": (
        ("coreecho runs fill table4", "what is missing of one table"),
        ("coreecho runs fill 'table1/*/seed0' --profile gpu", "some of them; stop it and start it again at any time"),
        ("coreecho runs fill --profile paper --data-root DIR --workers 4", "everything, on the data in DIR"),
    ),
}


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("runs", help="list records, show what is missing, or fill it in")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, action, text in (
        ("list", _list, "the records of a profile"),
        ("status", _status, "every run of the paper's tables: done or missing"),
        ("plan", _plan, "every run with the path of its record and of the record that it starts from"),
        ("fill", _fill, "train every missing run, one after another"),
    ):
        sub = actions.add_parser(name, help=text)
        if name != "list":
            only = sub.add_argument(
                "only", nargs="*", metavar="RUN", help="only these, such as table4, 'table1/*/seed0' (default: all)"
            )
            completes(only, "runs")
        add_profile(sub)
        add_place(sub)
        if name != "fill":
            sub.add_argument("--json", action="store_true", help="one JSON document on stdout")
        sub.show_examples(*EXAMPLES[name])
        sub.set_defaults(run=action)


def _list(arguments: argparse.Namespace) -> int:
    profile = profile_of(arguments)
    from coreecho.records import list_records

    records = list_records(arguments.runs_dir or default_runs_dir(), profile.name)
    rows = [
        {
            "run": record.folder.name,
            "data": record.data["label"],
            "device": record.provenance["device"],
            "protocol": protocol,
            **{name: round(value, 4) for name, value in metrics.items() if name in ("mae", "rmse", "r2", "accuracy")},
        }
        for record in records
        for protocol, metrics in metrics_of(record).items()
    ]
    return _show(rows, arguments.json, f"no records of profile {profile.name!r}", spare=("device",))


def _status(arguments: argparse.Namespace) -> int:
    profile, place = profile_of(arguments), place_of(arguments)
    from coreecho import ledger

    rows: list[dict[str, object]] = []
    for name, run in _chosen(arguments.only).items():
        record = ledger.find(run, profile, place)
        rows.append(
            {"name": name, "state": "missing" if record is None else "done", "key": record.key if record else ""}
        )
    return _show(rows, arguments.json, "no runs")


def _fill(arguments: argparse.Namespace) -> int:
    profile = profile_of(arguments)
    from coreecho import runs

    records = runs.ensure(list(_chosen(arguments.only).values()), profile, place_of(arguments))
    print(f"{len(records)} records of profile {profile.name!r}")
    return 0


def _plan(arguments: argparse.Namespace) -> int:
    """What a workflow engine needs: a run that fills several cells once, and what missing runs start from."""
    profile, place = profile_of(arguments), place_of(arguments)
    from coreecho import ledger

    wanted = dict.fromkeys(_chosen(arguments.only).values())
    paths, names = _Paths(profile, place), _names()
    line = with_ancestors([run for run in wanted if paths.found(run) is None], profile)
    ledger.check_inputs(line, profile, place)
    rows: list[dict[str, object]] = []
    for run in dict.fromkeys([*line, *wanted]):
        done = paths.found(run) is not None
        # A finished run needs nothing, so it names no parent that might be trained for its sake.
        above = None if done else parent(run, profile)
        rows.append(
            {
                "name": names[run],
                "state": "done" if done else "missing",
                "wanted": run in wanted,
                "record": paths.record(run),
                "parent": "" if above is None else paths.record(above),
            }
        )
    return _show(rows, arguments.json, "no runs")


class _Paths:
    """Where the records of one profile's runs lie; each run is looked for once.

    Real data are read, each set and fold once, where a key needs it.
    """

    def __init__(self, profile: Profile, place: Place) -> None:
        self.profile, self.place = profile, place
        self._found: dict[Run, Record | None] = {}
        self._fingerprints: dict[tuple[str, int | None], str] = {}

    def found(self, run: Run) -> Record | None:
        """The record of a run, if it has one."""
        from coreecho import ledger

        if run not in self._found:
            self._found[run] = ledger.find(run, self.profile, self.place)
        return self._found[run]

    def record(self, run: Run) -> str:
        """The path of the record, relative if the records' folder was given so."""
        from coreecho import ledger
        from coreecho.records import RECORD

        return str(ledger.folder_of(run, self.profile, self.place, self._key(run)) / RECORD)

    def _key(self, run: Run) -> str:
        from coreecho import ledger
        from coreecho.records import run_key

        known = ledger.known_key(run, self.profile)
        if known is not None:
            return known
        record = self.found(run)
        if record is not None:
            return record.key
        above = parent(run, self.profile)
        return run_key(run, self.profile, self._fingerprint(run), "" if above is None else self._key(above))

    def _fingerprint(self, run: Run) -> str:
        from coreecho.place import load_data

        part = run.dataset, run.fold
        if part not in self._fingerprints:
            self._fingerprints[part] = str(load_data(run, self.profile, self.place)[1]["fingerprint"])
        return self._fingerprints[part]


def _names() -> dict[Run, str]:
    """The first name of every run, and of the one that stands in for Kinetics-400."""
    from coreecho.experiments import fills, find_run

    return {find_run("pretext"): "pretext"} | {run: names[0] for run, names in fills().items()}


def _chosen(only: list[str]) -> dict[str, Run]:
    """The runs whose names match any of the patterns or begin with their parts; all where there is no pattern.

    Raises:
        SettingsError: a pattern matches no run.
    """
    from coreecho.experiments import TABLES, all_runs, find_run

    known = all_runs()
    if not only:
        return known
    chosen: dict[str, Run] = {}
    for pattern in only:
        found = {
            name: run for name, run in known.items() if any(fnmatchcase(name, p) for p in (pattern, f"{pattern}/*"))
        }
        if not found and pattern == "pretext":
            found = {pattern: find_run(pattern)}
        if not found:
            rows = dict.fromkeys(name.rpartition("/seed")[0] for name in known)
            raise SettingsError(
                f"no run is called {pattern!r}; {guess(pattern, [*TABLES, *rows, *known])}"
                "`coreecho runs status` lists those that there are"
            )
        chosen |= found
    return chosen


def _show(rows: Sequence[dict[str, object]], as_json: bool, nothing: str, spare: Sequence[str] = ()) -> int:
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        print(table(rows, columns(), spare) if rows else nothing)
    return 0
