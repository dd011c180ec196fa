"""The command line: ``coreecho data | train | runs | notebook | demo | predict | bench``.

Exit status 0: done; 2: something that the user can mend, said in a line or two on stderr; 130: interrupted; 143: ended
by SIGTERM, with everything saved. With ``--json`` one JSON document is all that stdout gets.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from typing import NoReturn

from coreecho import __version__
from coreecho.cli import bench, data, demo, notebook, predict, runs, train
from coreecho.errors import CoReEchoError

COMMANDS = (data, train, runs, notebook, demo, predict, bench)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without repeating the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Exits with status 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each command's module adds its own."""
    parser = _Parser(prog="coreecho", description="The reproducible companion of the CoReEcho paper.")
    parser.add_argument("--version", action="version", version=f"coreecho {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    arguments = build_parser().parse_args(argv)
    # Of the processes that `accelerate launch` starts, the first one speaks for all.
    first = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("coreecho").setLevel(logging.INFO if first else logging.WARNING)
    try:
        with nullcontext() if first else redirect_stdout(io.StringIO()):
            status: int = arguments.run(arguments)
    except CoReEchoError as error:
        print(f"coreecho {arguments.command}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"coreecho {arguments.command}: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    return status
