"""``coreecho notebook NAME``: checks the parameters, then runs a notebook with papermill."""

from __future__ import annotations

import argparse
from pathlib import Path

from coreecho import notebooks
from coreecho.cli.options import Commands, completes
from coreecho.cli.suggest import require
from coreecho.errors import SettingsError


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("notebook", help="run a notebook with papermill, such as table1")
    completes(parser.add_argument("name", metavar="NAME", help="table1, figure3, speed, ..."), "notebook")
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="KEY=VALUE", help="a notebook parameter"
    )
    out = parser.add_argument(
        "--out",
        type=Path,
        help="executed notebook (default: build/NAME.ipynb of the project); figures and tables go to a folder beside "
        "it, OUT_figures, unless -p figures_dir=DIR names another",
    )
    completes(out, "file")
    parser.add_argument(
        "--refresh",
        action="store_true",
        help="rewrite the committed NAME.ipynb from NAME.py, with its own defaults, for a commit",
    )
    parser.show_examples(
        ("coreecho notebook table1", "from the committed records; written to build/"),
        ("coreecho notebook table1 -p profile=paper -p data_root=DIR --out out.ipynb", "from runs on the data in DIR"),
        ("coreecho notebook table1 -p 'seeds=[0]' --out one.ipynb", "one seed only, its tables in one_figures/"),
    )
    parser.set_defaults(run=_notebook)


def _notebook(arguments: argparse.Namespace) -> int:
    name: str = arguments.name
    require("notebook", name, notebooks.names())
    if arguments.refresh:
        if arguments.parameter or arguments.out:
            raise SettingsError("--refresh runs a notebook with its own defaults, in place: give no -p and no --out")
        print(notebooks.refresh(name))
        return 0
    for key in (assignment.partition("=")[0] for assignment in arguments.parameter):
        known = notebooks.defaults(name)
        require("parameter", key, known, f"notebook {name} has {', '.join(known)}")
    parameters = notebooks.parse_parameters(name, arguments.parameter)
    parameters = notebooks.with_folders(name, parameters, arguments.out)
    if "figures_dir" in parameters:
        print(f"figures and tables: {parameters['figures_dir']}", flush=True)
    print(notebooks.execute(name, parameters, arguments.out))
    return 0
