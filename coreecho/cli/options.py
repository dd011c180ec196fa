"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from coreecho.machine import Machine
from coreecho.place import Place
from coreecho.profiles import PROFILES, get_profile
from coreecho.settings import Profile
from coreecho.settings_text import override

Commands = Any
"""argparse's sub-parser registry, whose class is private."""


def add_profile(parser: argparse.ArgumentParser) -> None:
    """``--profile`` and ``--set``."""
    parser.add_argument("--profile", default="demo", help=f"scale: {', '.join(PROFILES)} (default: demo)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the profile, such as shared.epochs=3; the run gets a key of its own",
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    """Where data and records are, and on what to compute."""
    parser.add_argument(
        "--data-root", type=Path, help="paper profile: folder with echonet/ camus/ hmcqu/ weights/ lists/"
    )
    parser.add_argument("--runs-dir", type=Path, help="records and checkpoints (default: runs/ of the project)")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="(default: auto)")
    parser.add_argument("--workers", type=_count, default=0, help="loader processes (default: 0)")
    parser.add_argument("--compile", action="store_true", help="compile the encoder: worth its minute on a GPU")
    parser.add_argument(
        "--save-memory", action="store_true", help="slower, in less memory: for small GPUs (UniFormer only)"
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave unusable rows of the list file out")
    add_list_options(parser)
    parser.add_argument("--pack", type=Path, help="packed store of the data (default: DIR/pack or DIR.pack, if any)")


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """How a list in EchoNet-Dynamic's form is read where it is not EchoNet-Dynamic's own."""
    parser.add_argument("--untraced", choices=("drop", "keep"), default="drop", help="videos without tracings (drop)")
    parser.add_argument("--folds", metavar="0-7/8/9", help="fold numbers that are training, validation and test")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes (0, 1, ...)")
    return int(text)


def profile_of(arguments: argparse.Namespace) -> Profile:
    """The profile that the options name, with its overrides."""
    return override(get_profile(arguments.profile), arguments.set)


def place_of(arguments: argparse.Namespace) -> Place:
    """The place that the options name."""
    return Place(
        data_root=arguments.data_root,
        runs_dir=arguments.runs_dir,
        device=arguments.device,
        machine=Machine(workers=arguments.workers, compile=arguments.compile, save_memory=arguments.save_memory),
        skip_bad=arguments.skip_bad,
        untraced=arguments.untraced,
        folds=arguments.folds,
        pack=arguments.pack,
    )
