"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coreecho.cli.suggest import alike, guess, require
from coreecho.errors import SettingsError
from coreecho.profiles import PROFILES, get_profile
from coreecho.settings import Profile
from coreecho.settings_text import override, to_dict

if TYPE_CHECKING:
    from coreecho.place import Place
    from coreecho.records import Record

Commands = Any
"""argparse's sub-parser registry, whose class is private."""


def completes(action: argparse.Action, kind: str) -> None:
    """Says what a shell completes here: a file, a folder, or names of a kind in `coreecho.cli.completion`."""
    action.completes = kind  # type: ignore[attr-defined]


def add_profile(parser: argparse.ArgumentParser) -> None:
    """``--profile`` and ``--set``."""
    completes(
        parser.add_argument("--profile", default="demo", help=f"scale: {', '.join(PROFILES)} (default: demo)"),
        "profile",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the profile, such as shared.epochs=3; the run gets a key of its own",
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    """Where data and records are, and on what to compute."""
    root = parser.add_argument(
        "--data-root", type=Path, help="paper profile: folder with echonet/ camus/ hmcqu/ weights/ lists/"
    )
    runs = parser.add_argument("--runs-dir", type=Path, help="records and checkpoints (default: runs/ of the project)")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="(default: auto)")
    parser.add_argument("--workers", type=_count, default=0, help="loader processes (default: 0)")
    parser.add_argument("--compile", action="store_true", help="compile the encoder: worth its minute on a GPU")
    parser.add_argument(
        "--save-memory", action="store_true", help="slower, in less memory: for small GPUs (UniFormer only)"
    )
    parser.add_argument("--skip-bad", action="store_true", help="leave unusable rows of the list file out")
    add_list_options(parser)
    pack = parser.add_argument(
        "--pack", type=Path, help="packed store of the data (default: DIR/pack or DIR.pack, if any)"
    )
    for action in (root, runs, pack):
        completes(action, "folder")


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """How a list in EchoNet-Dynamic's form is read where it is not EchoNet-Dynamic's own."""
    parser.add_argument("--untraced", choices=("drop", "keep"), default="drop", help="videos without tracings (drop)")
    parser.add_argument("--folds", metavar="0-7/8/9", help="fold numbers that are training, validation and test")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes (0, 1, ...)")
    return int(text)


def profile_of(arguments: argparse.Namespace) -> Profile:
    """The profile that the options name, with its overrides.

    Raises:
        SettingsError: there is no such profile or field, or a field's value does not fit.
    """
    require("profile", arguments.profile, PROFILES)
    profile = get_profile(arguments.profile)
    fields = list(_fields(to_dict(profile)))
    for name in (assignment.partition("=")[0] for assignment in arguments.set):
        if name not in fields and alike(name, fields):
            raise SettingsError(f"there is no field {name!r}; {guess(name, fields)}write FIELD=VALUE with one of these")
    return override(profile, arguments.set)


def _fields(settings: Mapping[str, Any], outer: str = "") -> Iterator[str]:
    """Every field's dotted name, with those inside it."""
    for name, value in settings.items():
        yield outer + name
        if isinstance(value, dict):
            yield from _fields(value, f"{outer}{name}.")


def metrics_of(record: Record) -> dict[str, Mapping[str, float]]:
    """A record's metrics under its own protocol, by name; a compared system may have several of its own instead."""
    own = record.profile.protocol_of(record.run)
    if own in record.metrics:
        return {own: record.metrics[own]}
    return {name: found for name, found in record.metrics.items() if name != "first"}


def place_of(arguments: argparse.Namespace) -> Place:
    """The place that the options name."""
    from coreecho.machine import Machine
    from coreecho.place import Place

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
