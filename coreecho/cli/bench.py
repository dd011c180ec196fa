"""``coreecho bench``: speed beside a literal version of each part, as ratios measured in this run."""

from __future__ import annotations

import argparse
import dataclasses
import json

import torch

from coreecho import efficiency
from coreecho.bench import BENCHMARKS, run_benchmarks
from coreecho.cli.options import Commands
from coreecho.profiles import get_profile
from coreecho.provenance import device_name


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("bench", help="speed beside a literal version of each part")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument(
        "--efficiency", metavar="PROFILE", help="measure ms per clip of a profile's network and keep it by its records"
    )
    parser.add_argument(
        "--batches", nargs="+", type=int, default=list(efficiency.BATCHES), metavar="N", help="clips in a pass for that"
    )
    parser.set_defaults(run=_bench)


def _bench(arguments: argparse.Namespace) -> int:
    if arguments.efficiency:
        print(efficiency.record(get_profile(arguments.efficiency), batches=arguments.batches))
        return 0
    results = run_benchmarks(arguments.only)
    device = device_name(torch.device("cpu"))
    if arguments.json:
        print(json.dumps({"device": device, "results": [dataclasses.asdict(each) for each in results]}, indent=1))
        return 0
    print(f"{device}, {torch.get_num_threads()} threads; medians")
    for each in results:
        print(
            f"{each.what}: literal {each.literal_ms:.1f} ms, ours {each.ours_ms:.1f} ms, "
            f"ratio {each.ratio:.1f} ({each.repeats} pairs)"
        )
    return 0
