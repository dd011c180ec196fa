"""``coreecho demo``: Table 1 from nothing, in minutes on two cores, beside the committed records."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from coreecho.cli.options import Commands, completes
from coreecho.cli.tables import columns, table

if TYPE_CHECKING:
    from coreecho.demo import Comparison


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("demo", help="train Table 1 on the phantom with one seed and print it")
    completes(
        parser.add_argument("--folder", type=Path, help="where everything goes (default: build/demo of the project)"),
        "folder",
    )
    parser.show_examples(
        ("coreecho demo", "about five minutes on two cores; finished runs are reused"),
        ("coreecho demo --folder build/again --quiet", "from nothing, and only the numbers"),
    )
    parser.set_defaults(run=_demo)


def run_demo(folder: Path | None) -> tuple[Path, list[Comparison]]:
    """As `coreecho.demo.run_demo`, which needs PyTorch."""
    from coreecho import demo

    return demo.run_demo(folder)


def _demo(arguments: argparse.Namespace) -> int:
    written, comparisons = run_demo(arguments.folder)
    from coreecho.demo import TOLERANCE

    print(_markdown(written.read_text(encoding="utf-8"), columns()))
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


def _markdown(text: str, width: int | None) -> str:
    """A Markdown table as it is, or, on a terminal that it is too wide for, as one that fits."""
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line[:1] == "|"]
    if width is None or len(lines) < 3 or max(map(len, text.splitlines())) <= width:
        return text
    names, _, *rows = lines
    return table([dict(zip(names, row, strict=False)) for row in rows], width) + "\n"
