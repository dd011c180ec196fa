"""``coreecho demo``: Table 1 from nothing, in minutes on two cores, beside the committed records."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from coreecho.cli.options import Commands
from coreecho.demo import TOLERANCE, run_demo


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("demo", help="train Table 1 on the phantom with one seed and print it")
    parser.add_argument("--folder", type=Path, help="where everything goes (default: build/demo of the project)")
    parser.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    table, comparisons = run_demo(arguments.folder)
    print(table.read_text(encoding="utf-8"))
    print(f"{'run made here beside the committed one':42} {'here':>8} {'committed':>9} {'tolerance':>9}")
    for each in comparisons:
        verdict = "" if each.agrees else "  differs by more than the tolerance"
        print(
            f"{each.row + ' ' + each.metric:42} {each.here:8.3f} {each.committed:9.3f} {TOLERANCE[each.metric]:9.3f}"
            + verdict
        )
    if all(each.agrees for each in comparisons):
        return 0
    print("coreecho demo: the numbers above differ by more than the stated tolerance; see 'Reproduce'", file=sys.stderr)
    return 1
