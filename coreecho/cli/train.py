"""``coreecho train RUN``: trains and scores one run, or says that its record exists."""

from __future__ import annotations

import argparse

from coreecho.cli.options import Commands, add_place, add_profile, completes, metrics_of, place_of, profile_of


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("train", help="train and score one run; goes on where a killed one stopped")
    completes(
        parser.add_argument(
            "name", metavar="RUN", help="table1/coreecho/seed0, table4/scratch/seed0/fold3, pretext, ..."
        ),
        "run",
    )
    add_profile(parser)
    add_place(parser)
    parser.add_argument(
        "--tensorboard", action="store_true", help="also write TensorBoard scalars into the run's folder"
    )
    parser.show_examples(
        ("coreecho train table1/coreecho/seed0", "on the phantom; where the record is, if it is there"),
        ("coreecho train table1/coreecho/seed0 --set shared.epochs=3", "a shorter one, under a key of its own"),
        ("coreecho train table1/coreecho/seed0 --profile paper --data-root DIR", "the paper's own run"),
        ("coreecho train table4/scratch/seed0/fold3 --device cuda --tensorboard", "one fold, with its curves"),
    )
    parser.set_defaults(run=_train)


def _train(arguments: argparse.Namespace) -> int:
    profile = profile_of(arguments)
    from coreecho import runs
    from coreecho.experiments import find_run

    (record,) = runs.ensure([find_run(arguments.name)], profile, place_of(arguments), tensorboard=arguments.tensorboard)
    print(f"{record.folder}")
    for protocol, metrics in metrics_of(record).items():
        if "mae" in metrics:
            told = f"MAE {metrics['mae']:.2f}, RMSE {metrics['rmse']:.2f}, R2 {100 * metrics['r2']:.1f} %"
        else:
            told = f"{100 * metrics['accuracy']:.1f} % right"
        print(f"{record.data['label']}, {protocol}: {told} on {metrics['n']} test videos")
    return 0
