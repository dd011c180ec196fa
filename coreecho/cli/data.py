"""``coreecho data make PROFILE DIR``, ``coreecho data check DIR``: phantoms, and a look at a folder before any run."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coreecho.cli.options import Commands, add_list_options, completes
from coreecho.cli.suggest import require
from coreecho.cli.tables import columns, wrap
from coreecho.errors import DataError, SettingsError
from coreecho.phantom_settings import CamusPhantomSettings, HmcquPhantomSettings, MotionSettings
from coreecho.profiles import PROFILES, get_profile

if TYPE_CHECKING:
    from coreecho.datasets import Dataset

SMALL_SETS: dict[str, Any] = {
    "camus": CamusPhantomSettings(),
    "hmcqu": HmcquPhantomSettings(),
    "motions": MotionSettings(),
}
"""Phantoms of the smaller data sets and the pretext task's moving shapes, at the demo's scale."""


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("data", help="make a phantom, or check a data set's folder")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for add in (_add_make, _add_check, _add_pack, _add_verify):
        add(actions)


def _add_make(actions: Commands) -> None:
    make = actions.add_parser("make", help="write a phantom in the format of a real data set")
    name = make.add_argument(
        "profile", metavar="PROFILE", help=f"demo or gpu (EchoNet-Dynamic's format), or {', '.join(SMALL_SETS)}"
    )
    completes(name, "phantom")
    completes(make.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder"), "folder")
    make.show_examples(
        ("coreecho data make demo data/phantom", "the demo's phantom, in EchoNet-Dynamic's format"),
        ("coreecho data make camus data/camus", "one in CAMUS's format"),
    )
    make.set_defaults(run=_make)


def _add_check(actions: Commands) -> None:
    check = actions.add_parser("check", help="recognise the data sets in a folder and say what is wrong with them")
    completes(check.add_argument("folder", type=Path, metavar="DIR", help="what was unpacked"), "folder")
    check.add_argument("--json", action="store_true", help="one JSON document on stdout")
    _add_rows(check)
    check.add_argument("--decode", action="store_true", help="decode every video; takes minutes")
    check.show_examples(
        ("coreecho data check DIR", "in seconds: counts, splits, what is missing"),
        ("coreecho data check DIR --decode", "every video as well: what is damaged"),
        ("coreecho data check DIR --json > report.json", "for a program"),
    )
    check.set_defaults(run=_check)


def _add_pack(actions: Commands) -> None:
    pack = actions.add_parser("pack", help="decode a data set once into a store that training reads instead")
    completes(pack.add_argument("folder", type=Path, metavar="DIR", help="the data set's folder"), "folder")
    completes(
        pack.add_argument("out", type=Path, metavar="OUT", help="DIR/pack or DIR.pack is found without --pack"),
        "folder",
    )
    _add_rows(pack)
    pack.show_examples(
        ("coreecho data pack DIR DIR/pack", "found by every run on DIR"),
        ("coreecho data pack DIR OUT --skip-bad", "elsewhere, without unusable rows; runs are told --pack OUT"),
    )
    pack.set_defaults(run=_pack)


def _add_verify(actions: Commands) -> None:
    verify = actions.add_parser("verify", help="compare a pack with its checksums, and with the files it came from")
    completes(verify.add_argument("pack", type=Path, metavar="PACK", help="the pack's folder"), "folder")
    completes(verify.add_argument("folder", type=Path, metavar="DIR", help="the data set's folder"), "folder")
    _add_rows(verify)
    verify.show_examples(
        ("coreecho data verify DIR/pack DIR", "reads every video of both"),
        ("coreecho data verify OUT DIR --skip-bad --quiet", "as it was packed; only the result or the error"),
    )
    verify.set_defaults(run=_verify)


def _add_rows(parser: argparse.ArgumentParser) -> None:
    """Which rows of a list count."""
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave unusable rows out instead of refusing the folder"
    )
    add_list_options(parser)


def _make(arguments: argparse.Namespace) -> int:
    name: str = arguments.profile
    require("profile", name, [*PROFILES, *SMALL_SETS])
    settings = SMALL_SETS.get(name) or get_profile(name).phantom
    if settings is None:
        raise SettingsError(f"profile {name!r} uses real data; make demo, gpu, {', '.join(SMALL_SETS)}")
    from coreecho import phantom

    print(phantom.write_phantom(arguments.folder, settings))
    return 0


def _data_set(arguments: argparse.Namespace) -> Dataset:
    """The usable studies of the one data set in a folder, whichever it is (HMC-QU: of both views)."""
    from coreecho.datacheck import Options, check_folder
    from coreecho.datasets import Dataset

    options = Options(skip_bad=arguments.skip_bad, untraced=arguments.untraced, folds=arguments.folds)
    reports = check_folder(arguments.folder, options)
    roots = {report.root for report in reports}
    if len(roots) > 1:
        raise DataError(f"{arguments.folder} holds several data sets ({', '.join(map(str, sorted(roots)))}); name one")
    if not any(report.studies for report in reports) or any(report.wrong(options) for report in reports):
        raise DataError(f"{arguments.folder} has no usable list of videos; `coreecho data check` says what is wrong")
    studies = {study.id: study for report in reports for study in report.studies}
    return Dataset(name=reports[0].name, root=roots.pop(), studies=tuple(studies.values()))


def _pack(arguments: argparse.Namespace) -> int:
    from coreecho.video.packing import find_pack, write_pack

    data = _data_set(arguments)
    pack = write_pack(data, arguments.out)
    print(f"{pack.folder}: {len(pack)} videos, {pack.index.bytes / 1e6:.1f} MB")
    if find_pack(data.root) is None and not arguments.quiet:
        print(f"it is read with --pack {pack.folder}; {data.root / 'pack'} would be found without")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from coreecho.video.pack import open_pack

    pack = open_pack(arguments.pack)
    pack.check(_data_set(arguments).studies, contents=True)
    print(f"{pack.folder}: {pack.verify()} videos, all as they were packed")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from coreecho.datacheck import Options, check_folder

    options = Options(
        skip_bad=arguments.skip_bad, untraced=arguments.untraced, folds=arguments.folds, decode=arguments.decode
    )
    reports = check_folder(arguments.folder, options)
    if arguments.json:
        print(json.dumps({"data_sets": [report.as_dict() for report in reports]}, indent=1))
    else:
        print(wrap("\n".join(report.text(options) for report in reports), columns()))
    wrong = [str(report.root) for report in reports if report.wrong(options)]
    if wrong:
        print(f"coreecho data: runs would fail or be wrong on {', '.join(wrong)}; see the report", file=sys.stderr)
    return 2 if wrong else 0
