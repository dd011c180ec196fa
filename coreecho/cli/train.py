"""``coreecho train RUN``: trains and scores one run, or says that its record exists."""

from __future__ import annotations

import argparse

from coreecho import runs
from coreecho.cli.options import Commands, add_place, add_profile, place_of, profile_of
from coreecho.experiments import find_run


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("train", help="train and score one run; goes on where a killed one stopped")
    parser.add_argument("name", metavar="RUN", help="table/row/seed, such as table1/coreecho/seed0")
    add_profile(parser)
    add_place(parser)
    parser.add_argument(
        "--tensorboard", action="store_true", help="also write TensorBoard scalars into the run's folder"
    )
    parser.set_defaults(run=_train)


def _train(arguments: argparse.Namespace) -> int:
    profile = profile_of(arguments)
    (record,) = runs.ensure([find_run(arguments.name)], profile, place_of(arguments), tensorboard=arguments.tensorboard)
    metrics = record.metrics[profile.protocol]
    print(f"{record.folder}")
    print(
        f"{record.data['label']}, {profile.protocol}: MAE {metrics['mae']:.2f}, RMSE {metrics['rmse']:.2f}, "
        f"R2 {100 * metrics['r2']:.1f} % on {metrics['n']} test videos"
    )
    return 0
