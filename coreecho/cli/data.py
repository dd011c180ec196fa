"""``coreecho data make PROFILE DIR``, ``coreecho data check DIR``: phantoms, and a look at a folder before any run."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from coreecho import phantom
from coreecho.cli.options import Commands
from coreecho.datasets import read_echonet
from coreecho.errors import SettingsError
from coreecho.profiles import get_profile


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("data", help="make a phantom, or check a data set's folder")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    make = actions.add_parser("make", help="write a profile's phantom in EchoNet-Dynamic's format")
    make.add_argument("profile", help="demo or gpu")
    make.add_argument("folder", type=Path)
    make.set_defaults(run=_make)
    check = actions.add_parser("check", help="count what a folder in EchoNet-Dynamic's format holds")
    check.add_argument("folder", type=Path)
    check.add_argument("--json", action="store_true", help="one JSON document on stdout")
    check.add_argument("--skip-bad", action="store_true", help="leave unusable rows out instead of refusing the folder")
    check.set_defaults(run=_check)


def _make(arguments: argparse.Namespace) -> int:
    settings = get_profile(arguments.profile).phantom
    if settings is None:
        raise SettingsError(f"profile {arguments.profile!r} uses real data; make demo or gpu")
    print(phantom.write_echonet(arguments.folder, settings))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    data = read_echonet(arguments.folder, skip_bad=arguments.skip_bad)
    counts = Counter(study.split for study in data.studies)
    report = {
        "root": str(data.root),
        "usable": len(data.studies),
        "splits": {split: counts[split] for split in ("train", "val", "test")},
        "dropped": {reason: list(names) for reason, names in data.dropped.items()},
        "fingerprint": data.fingerprint(),
    }
    if arguments.json:
        print(json.dumps(report, indent=1))
        return 0
    print(f"{data.root}: {len(data.studies)} usable videos")
    for split in ("train", "val", "test"):
        print(f"  {split:5} {counts[split]}")
    for reason, names in data.dropped.items():
        print(f"  dropped, {reason}: {len(names)} ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})")
    print(f"  fingerprint {data.fingerprint()[:16]}")
    return 0
