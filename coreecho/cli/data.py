"""``coreecho data make PROFILE DIR``, ``coreecho data check DIR``: phantoms, and a look at a folder before any run."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from coreecho import phantom
from coreecho.cli.options import Commands, add_list_options
from coreecho.datacheck import Options, check_folder
from coreecho.datasets import Dataset
from coreecho.errors import DataError, SettingsError
from coreecho.phantom_settings import CamusPhantomSettings, HmcquPhantomSettings, MotionSettings
from coreecho.profiles import get_profile
from coreecho.video.pack import open_pack
from coreecho.video.packing import find_pack, write_pack

SMALL_SETS: dict[str, phantom.AnySettings] = {
    "camus": CamusPhantomSettings(),
    "hmcqu": HmcquPhantomSettings(),
    "motions": MotionSettings(),
}
"""Phantoms of the smaller data sets and the pretext task's moving shapes, at the demo's scale."""


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("data", help="make a phantom, or check a data set's folder")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    make = actions.add_parser("make", help="write a phantom in the format of a real data set")
    make.add_argument(
        "profile", metavar="PROFILE", help=f"demo or gpu (EchoNet-Dynamic's format), or {', '.join(SMALL_SETS)}"
    )
    make.add_argument("folder", type=Path)
    make.set_defaults(run=_make)
    check = actions.add_parser("check", help="recognise the data sets in a folder and say what is wrong with them")
    check.add_argument("folder", type=Path)
    check.add_argument("--json", action="store_true", help="one JSON document on stdout")
    check.add_argument("--skip-bad", action="store_true", help="leave unusable rows out instead of refusing the folder")
    check.add_argument("--decode", action="store_true", help="decode every video; takes minutes")
    add_list_options(check)
    check.set_defaults(run=_check)
    pack = actions.add_parser("pack", help="decode a data set once into a store that training reads instead")
    pack.add_argument("folder", type=Path, metavar="DIR")
    pack.add_argument("out", type=Path, metavar="OUT", help="DIR/pack or DIR.pack is found without --pack")
    pack.add_argument("--skip-bad", action="store_true", help="leave unusable rows out instead of refusing the folder")
    add_list_options(pack)
    pack.set_defaults(run=_pack)
    verify = actions.add_parser("verify", help="compare a pack with its checksums, and with the files it came from")
    verify.add_argument("pack", type=Path)
    verify.add_argument("folder", type=Path, metavar="DIR")
    verify.add_argument(
        "--skip-bad", action="store_true", help="leave unusable rows out instead of refusing the folder"
    )
    add_list_options(verify)
    verify.set_defaults(run=_verify)


def _make(arguments: argparse.Namespace) -> int:
    settings = SMALL_SETS.get(arguments.profile) or get_profile(arguments.profile).phantom
    if settings is None:
        raise SettingsError(f"profile {arguments.profile!r} uses real data; make demo, gpu, {', '.join(SMALL_SETS)}")
    print(phantom.write_phantom(arguments.folder, settings))
    return 0


def _data_set(arguments: argparse.Namespace) -> Dataset:
    """The usable studies of the one data set in a folder, whichever it is (HMC-QU: of both views)."""
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
    data = _data_set(arguments)
    pack = write_pack(data, arguments.out)
    print(f"{pack.folder}: {len(pack)} videos, {pack.index.bytes / 1e6:.1f} MB")
    if find_pack(data.root) is None:
        print(f"it is read with --pack {pack.folder}; {data.root / 'pack'} would be found without")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    pack = open_pack(arguments.pack)
    pack.check(_data_set(arguments).studies, contents=True)
    print(f"{pack.folder}: {pack.verify()} videos, all as they were packed")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    options = Options(
        skip_bad=arguments.skip_bad, untraced=arguments.untraced, folds=arguments.folds, decode=arguments.decode
    )
    reports = check_folder(arguments.folder, options)
    if arguments.json:
        print(json.dumps({"data_sets": [report.as_dict() for report in reports]}, indent=1))
    else:
        print("\n".join(report.text(options) for report in reports))
    wrong = [str(report.root) for report in reports if report.wrong(options)]
    if wrong:
        print(f"coreecho data: runs would fail or be wrong on {', '.join(wrong)}; see the report", file=sys.stderr)
    return 2 if wrong else 0
