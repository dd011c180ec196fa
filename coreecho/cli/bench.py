"""``coreecho bench``: speed and memory beside a literal version of each part, as ratios measured in this run."""

from __future__ import annotations

import argparse
import json
import sys

from coreecho import efficiency
from coreecho.bench import report, run_benchmarks
from coreecho.cli.options import Commands
from coreecho.profiles import get_profile
from coreecho.settings_text import to_dict


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("bench", help="speed and memory beside a literal version of each part")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="some of them, such as rnc, items or encoder")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--save", action="store_true", help="keep the result in runs/bench/ for the book's page")
    parser.add_argument(
        "--efficiency", metavar="PROFILE", help="measure ms per clip of a profile's network and keep it by its records"
    )
    parser.add_argument(
        "--batches", nargs="+", type=int, default=list(efficiency.BATCHES), metavar="N", help="clips in a pass for that"
    )
    parser.add_argument(
        "--training",
        nargs="+",
        type=int,
        default=[],
        metavar="N",
        help="clips in a training step to time for that (the paper's has 32)",
    )
    parser.set_defaults(run=_bench)


def _bench(arguments: argparse.Namespace) -> int:
    if arguments.efficiency:
        print(
            efficiency.record(get_profile(arguments.efficiency), batches=arguments.batches, training=arguments.training)
        )
        return 0
    load = report.load()
    if load > report.QUIET:
        print(
            f"load {load:.2f} a core: other work is running; ratios scatter more than on a quiet machine",
            file=sys.stderr,
        )
    results = run_benchmarks(arguments.only, progress=lambda each: print(f"{each.name} ...", file=sys.stderr))
    found = report.make_report(results, load)
    print(json.dumps(to_dict(found), indent=1, ensure_ascii=False) if arguments.json else found.text())
    if arguments.save:
        print(report.save(found), file=sys.stderr)
    return 0
