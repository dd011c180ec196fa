"""``coreecho notebook NAME``: checks the parameters, then runs a notebook with papermill."""

from __future__ import annotations

import argparse
from pathlib import Path

from coreecho import notebooks
from coreecho.cli.options import Commands
from coreecho.errors import SettingsError


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("notebook", help="run a notebook with papermill, such as table1")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="KEY=VALUE", help="a notebook parameter"
    )
    parser.add_argument("--out", type=Path, help="executed notebook (default: build/NAME.ipynb of the project)")
    parser.add_argument(
        "--refresh",
        action="store_true",
        help="rewrite the committed NAME.ipynb from NAME.py, with its own defaults, for a commit",
    )
    parser.set_defaults(run=_notebook)


def _notebook(arguments: argparse.Namespace) -> int:
    if arguments.refresh:
        if arguments.parameter or arguments.out:
            raise SettingsError("--refresh runs a notebook with its own defaults, in place: give no -p and no --out")
        print(notebooks.refresh(arguments.name))
        return 0
    parameters = notebooks.parse_parameters(arguments.name, arguments.parameter)
    print(notebooks.execute(arguments.name, parameters, arguments.out))
    return 0
