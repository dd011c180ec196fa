"""The command line: ``coreecho data | train | runs | notebook | demo | predict | bench | completion``.

Exit status 0: done; 2: something that the user can mend, said in a line or two on stderr; 130: interrupted; 143: ended
by SIGTERM, with everything saved; 141: nobody reads the output any longer (``| head``). With ``--json`` one JSON
document is all that stdout gets.

A command imports what it computes with only when it runs: help and completion need no PyTorch.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout

from coreecho import __version__, progress
from coreecho.cli import bench, completion, data, demo, notebook, predict, runs, train
from coreecho.cli.parser import Parser, add_quiet
from coreecho.errors import CoReEchoError

DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR}
"""What the system refuses for a reason that lies in the user's folders and not in this package."""
COMMANDS = (data, train, runs, notebook, demo, predict, bench, completion)


def build_parser() -> Parser:
    """The parser of all commands; each command's module adds its own."""
    parser = Parser(prog="coreecho", description="The reproducible companion of the CoReEcho paper.")
    parser.add_argument("--version", action="version", version=f"coreecho {__version__}")
    parser.show_examples(
        ("coreecho demo", "train Table 1 on the phantom in minutes, beside the committed records"),
        ("coreecho predict clip.dcm --checkpoint checkpoints/phantom-demo.safetensors", "the EF of a clip"),
        ("coreecho runs status --profile gpu", "which runs of the tables are done"),
        ("coreecho train --help", "the options of a command"),
    )
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_parser(commands)
    add_quiet(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    arguments = build_parser().parse_args(sys.argv[1:] if argv is None else argv)
    # Of the processes that `accelerate launch` starts, the first one speaks for all.
    first = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("coreecho").setLevel(logging.INFO if first and not arguments.quiet else logging.WARNING)
    try:
        with progress.quiet(arguments.quiet), _above_bars(), nullcontext() if first else redirect_stdout(io.StringIO()):
            status: int = arguments.run(arguments)
            sys.stdout.flush()
    except CoReEchoError as error:
        print(f"coreecho {arguments.command}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"coreecho {arguments.command}: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        if not _unread():
            raise
        return 141
    except OSError as error:
        if error.errno not in DENIED or error.filename is None:
            raise
        print(
            f"coreecho {arguments.command}: {error.filename}: {error.strerror}; change its permissions, free space, or "
            "give another path",
            file=sys.stderr,
        )
        return CoReEchoError.exit_status
    return status


def _unread() -> bool:
    """Whether it is stdout that nobody reads any longer; it then leads nowhere, so that the end says nothing of it."""
    try:
        print(flush=True)  # a pipe tells by failing alone
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _above_bars() -> AbstractContextManager[None]:
    """Messages on a terminal go above the bars that are there, not through them."""
    if not sys.stderr.isatty():
        return nullcontext()
    from tqdm.contrib.logging import logging_redirect_tqdm

    return logging_redirect_tqdm()
