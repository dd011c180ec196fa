"""``coreecho bench``: speed and memory beside a literal version of each part, as ratios measured in this run."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from coreecho import progress
from coreecho.cli.options import Commands, completes
from coreecho.cli.suggest import guess, require
from coreecho.cli.tables import columns, wrap
from coreecho.errors import SettingsError
from coreecho.profiles import PROFILES, get_profile
from coreecho.settings_text import to_dict

if TYPE_CHECKING:
    from coreecho.bench.measure import Benchmark, Result


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("bench", help="speed and memory beside a literal version of each part")
    only = parser.add_argument("--only", nargs="+", metavar="NAME", help="some of them, such as rnc, items or encoder")
    completes(only, "benchmark")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--save", action="store_true", help="keep the result in runs/bench/ for the book's page")
    profile = parser.add_argument(
        "--efficiency", metavar="PROFILE", help="measure ms per clip of a profile's network and keep it by its records"
    )
    completes(profile, "profile")
    parser.add_argument("--batches", nargs="+", type=int, metavar="N", help="clips in a pass for that (default: 1 16)")
    parser.add_argument(
        "--training",
        nargs="+",
        type=int,
        default=[],
        metavar="N",
        help="clips in a training step to time for that (the paper's has 32)",
    )
    parser.show_examples(
        ("coreecho bench", "all that this machine can measure, in minutes"),
        ("coreecho bench --only rnc encoder", "two of them"),
        ("coreecho bench --efficiency demo --batches 1", "milliseconds for a clip of the demo's network"),
    )
    parser.set_defaults(run=_bench)


def _bench(arguments: argparse.Namespace) -> int:
    if arguments.efficiency:
        require("profile", arguments.efficiency, PROFILES)
        profile = get_profile(arguments.efficiency)
        from coreecho import efficiency

        batches = arguments.batches or efficiency.BATCHES
        print(efficiency.record(profile, batches=batches, training=arguments.training))
        return 0
    from coreecho.bench import report

    names = _names(arguments.only)
    load = report.load()
    if load > report.QUIET:
        _tell(arguments, f"load {load:.2f} a core: other work is running; ratios scatter more than on a quiet machine")
    found = report.make_report(_results(names, arguments), load)
    text = json.dumps(to_dict(found), indent=1, ensure_ascii=False) if arguments.json else found.text()
    print(text if arguments.json else wrap(text, columns()))
    if arguments.save:
        _tell(arguments, str(report.save(found)))
    return 0


def _tell(arguments: argparse.Namespace, text: str) -> None:
    """Information beside the results, which alone go to stdout."""
    if not arguments.quiet:
        print(text, file=sys.stderr)


def _names(only: list[str] | None) -> list[str]:
    """The benchmarks that are asked for, or all that this machine can run."""
    from coreecho import bench

    known = bench.available()
    for name in only or []:
        if name not in known:
            raise SettingsError(
                f"there is no benchmark {name!r} here; {guess(name, known)}benchmarks: {', '.join(known)}"
            )
    return only or list(known)


def _results(names: list[str], arguments: argparse.Namespace) -> list[Result]:
    """What the benchmarks found; each is named before it runs: in a bar on a terminal, elsewhere in a line."""
    from tqdm import tqdm

    from coreecho import bench

    bar = tqdm(total=len(names), unit="benchmark", leave=False, disable=progress.silent())
    begun: list[str] = []

    def tell(each: Benchmark) -> None:
        if begun:
            bar.update()
        begun.append(each.name)
        if bar.disable:
            _tell(arguments, f"{each.name} ...")
        else:
            bar.set_description(each.name)

    with bar:
        return bench.run_benchmarks(names, progress=tell)
