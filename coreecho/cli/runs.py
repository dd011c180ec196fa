"""``coreecho runs list | status | fill``: which records exist, which are missing, and filling them in."""

from __future__ import annotations

import argparse
import json

import pandas as pd

from coreecho import runs
from coreecho.cli.options import Commands, add_place, add_profile, place_of, profile_of
from coreecho.experiments import all_runs
from coreecho.files import default_runs_dir
from coreecho.records import list_records


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("runs", help="list records, show what is missing, or fill it in")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, action, text in (
        ("list", _list, "the records of a profile"),
        ("status", _status, "every run of the paper's tables: done or missing"),
        ("fill", _fill, "train every missing run, one after another"),
    ):
        sub = actions.add_parser(name, help=text)
        add_profile(sub)
        add_place(sub)
        if name != "fill":
            sub.add_argument("--json", action="store_true", help="one JSON document on stdout")
        sub.set_defaults(run=action)


def _list(arguments: argparse.Namespace) -> int:
    profile = profile_of(arguments)
    records = list_records(arguments.runs_dir or default_runs_dir(), profile.name)
    rows = [
        {
            "run": record.folder.name,
            "data": record.data["label"],
            "device": record.provenance["device"],
            **{name: round(record.metrics[record.profile.protocol][name], 4) for name in ("mae", "rmse", "r2")},
        }
        for record in records
    ]
    return _show(rows, arguments.json, f"no records of profile {profile.name!r}")


def _status(arguments: argparse.Namespace) -> int:
    profile, place = profile_of(arguments), place_of(arguments)
    rows: list[dict[str, object]] = []
    for name, run in all_runs().items():
        record = runs.find(run, profile, place)
        rows.append(
            {"name": name, "state": "missing" if record is None else "done", "key": record.key if record else ""}
        )
    return _show(rows, arguments.json, "no runs")


def _fill(arguments: argparse.Namespace) -> int:
    profile = profile_of(arguments)
    records = runs.ensure(list(all_runs().values()), profile, place_of(arguments))
    print(f"{len(records)} records of profile {profile.name!r}")
    return 0


def _show(rows: list[dict[str, object]], as_json: bool, nothing: str) -> int:
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        print(pd.DataFrame(rows).to_string(index=False) if rows else nothing)
    return 0
