"""``coreecho predict FILE… --checkpoint CKPT``: the EF of echo files, per clip and as a mean."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pandas as pd
import torch

from coreecho import figures
from coreecho.checkpoints import load
from coreecho.cli.options import Commands
from coreecho.errors import DataError, SettingsError
from coreecho.files import replace_file
from coreecho.inference import Prediction, predict_with


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("predict", help="the EF of echo files (AVI, MP4, GIF, DICOM, …)")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--checkpoint", type=Path, required=True, help="trained weights")
    parser.add_argument(
        "--protocol",
        choices=("auto", "paper", "seconds"),
        default="auto",
        help="paper: frames as they are; seconds: find the sector, resample in time; auto: by the file (default)",
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="(default: cpu)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--figure", type=Path, help="draw frames and clips: a PNG file, or a folder for several files")
    parser.add_argument("--csv", type=Path, help="also write a table, one row per file")
    parser.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace) -> int:
    several = len(arguments.files) > 1
    if several and arguments.figure is not None and arguments.figure.suffix:
        raise SettingsError(f"--figure {arguments.figure} names one file for {len(arguments.files)}; give a folder")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("there is no CUDA device here; use --device cpu")
    model, info = load(arguments.checkpoint)
    model = model.to(arguments.device)
    done: list[Prediction] = []
    failed: list[tuple[Path, str]] = []
    for path in arguments.files:
        try:
            prediction = predict_with(model, info, path, protocol=arguments.protocol)
        except DataError as error:
            failed.append((path, str(error)))
            continue
        done.append(prediction)
        if arguments.figure is not None:
            target = arguments.figure / f"{path.stem}.png" if several else arguments.figure
            figures.save_png(figures.prediction(prediction), target)
    _report(arguments, done, failed)
    return 2 if failed else 0


def _report(arguments: argparse.Namespace, done: list[Prediction], failed: list[tuple[Path, str]]) -> None:
    if arguments.csv is not None:
        rows = [{**each.as_dict(), "clips": len(each.clips), "notes": "; ".join(each.notes)} for each in done]
        replace_file(arguments.csv, lambda path: pd.DataFrame(rows).to_csv(path, index=False))
    if arguments.json:
        failures = [{"file": path.name, "error": error} for path, error in failed]
        print(json.dumps({"predictions": [each.as_dict() for each in done], "failed": failures}, indent=1))
    elif len(arguments.files) == 1 and done:
        _print_one(done[0])
    elif done:
        print(f"{'EF (%)':>7} {'SD':>5} {'clips':>5} {'protocol':8} file")
        for each in done:
            print(f"{each.ef:7.1f} {each.spread:5.1f} {len(each.clips):5} {each.protocol:8} {each.file}")
        for note in dict.fromkeys(note for each in done for note in each.notes):
            print(f"note: {note}")
    for _, error in failed:
        print(f"coreecho predict: {error}", file=sys.stderr)


def _print_one(prediction: Prediction) -> None:
    spread = f"mean of {len(prediction.clips)} clips, SD {prediction.spread:.1f}"
    print(f"{prediction.file}: EF {prediction.ef:.1f} % ({spread})")
    for clip in prediction.clips:
        at = "" if clip.start_seconds is None else f" ({clip.start_seconds:.2f} s)"
        print(f"  clip from frame {clip.start}{at}: EF {clip.ef:.1f} %")
    print(f"protocol: {prediction.protocol}; trained on: {prediction.training_data}")
    for note in prediction.notes:
        print(f"note: {note}")
