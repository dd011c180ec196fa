"""``coreecho predict FILE… --checkpoint CKPT``: the EF of echo files, per clip and as a mean."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coreecho import progress
from coreecho.cli.options import Commands, completes
from coreecho.cli.tables import FLOOR, columns, shorten, wrap
from coreecho.errors import DataError, SettingsError
from coreecho.files import replace_file

if TYPE_CHECKING:
    from coreecho.inference import Prediction


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("predict", help="the EF of echo files (AVI, MP4, GIF, DICOM, …)")
    files = parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="echo file, or a folder of them")
    checkpoint = parser.add_argument("--checkpoint", type=Path, required=True, help="trained weights")
    parser.add_argument(
        "--protocol",
        choices=("auto", "paper", "seconds"),
        default="auto",
        help="paper: frames as they are; seconds: find the sector, resample in time; auto: by the file (default)",
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="(default: cpu)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    figure = parser.add_argument(
        "--figure",
        type=Path,
        help="draw frames, Grad-CAM (with the extra 'explain') and clips: a PNG file, or a folder for several files",
    )
    csv = parser.add_argument("--csv", type=Path, help="also write a table, one row per file")
    for action in (files, checkpoint, figure, csv):
        completes(action, "file")
    parser.show_examples(
        ("coreecho predict clip.dcm --checkpoint checkpoints/phantom-demo.safetensors", "one clip; all formats alike"),
        ("coreecho predict clip.avi --checkpoint CKPT --figure clip.png", "with a picture of frames and saliency"),
        ("coreecho predict FOLDER --checkpoint CKPT --csv table.csv --figure PICTURES", "every clip in a folder"),
        ("coreecho predict clip.avi --checkpoint CKPT --json --quiet", "for a program"),
    )
    parser.set_defaults(run=_predict)


@dataclass
class _Outcome:
    """What a call of the command found."""

    several: bool
    checkpoint: dict[str, Any]
    skipped: list[Path]
    done: list[Prediction] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)


def _predict(arguments: argparse.Namespace) -> int:
    import torch
    from tqdm import tqdm

    from coreecho import figures
    from coreecho.checkpoints import load, weights_file
    from coreecho.echofiles import find_files
    from coreecho.inference import predict_with
    from coreecho.weightfiles import sha256

    files, skipped = find_files(arguments.files)
    several = len(files) > 1 or any(path.is_dir() for path in arguments.files)
    figure: Path | None = arguments.figure
    if several and figure is not None and figure.suffix and not figure.is_dir():
        raise SettingsError(f"--figure {figure} names one file for {len(files)}; give a folder")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("there is no CUDA device here; use --device cpu")
    model, info = load(arguments.checkpoint)
    weights = weights_file(arguments.checkpoint)
    about = {"file": weights.name, "sha256": sha256(weights), "training_data": info.training_data}
    outcome = _Outcome(several, about, skipped)
    model = model.to(arguments.device)
    bar = tqdm(files, desc="predict", unit="file", leave=False, disable=progress.silent(several))
    for path in bar:
        try:
            prediction = predict_with(
                model,
                info,
                path,
                protocol=arguments.protocol,
                explain=figure is not None,
                digest=about["sha256"],
            )
        except DataError as error:
            outcome.failed.append((path, str(error)))
            continue
        outcome.done.append(prediction)
        if figure is not None:
            target = figure / f"{_picture_name(path, files)}.png" if several else figure
            figures.save_png(figures.prediction(prediction), target)
    _report(arguments, outcome)
    return 2 if outcome.failed else 0


def _picture_name(path: Path, files: Sequence[Path]) -> str:
    """The file's name without its suffix, if no other file shares it; else all of it, numbered where even that is."""
    alike = [each for each in files if each.stem.lower() == path.stem.lower()]
    same = [each for each in alike if each.name.lower() == path.name.lower()]
    if len(alike) == 1:
        return path.stem
    return path.name if len(same) == 1 else f"{path.name}-{same.index(path) + 1}"


def _report(arguments: argparse.Namespace, outcome: _Outcome) -> None:
    done, failed = outcome.done, outcome.failed
    if arguments.csv is not None:
        import pandas as pd

        rows = [{**each.as_dict(), "clips": len(each.clips), "notes": "; ".join(each.notes)} for each in done]
        replace_file(arguments.csv, lambda path: pd.DataFrame(rows).to_csv(path, index=False))
    if arguments.json:
        document = {
            "checkpoint": outcome.checkpoint,
            "predictions": [each.as_dict() for each in done],
            "failed": [{"file": path.name, "error": error} for path, error in failed],
            "skipped": [path.name for path in outcome.skipped],
        }
        print(json.dumps(document, indent=1))
    else:
        if done:
            _print_many(done) if outcome.several else _print_one(done[0])
        if outcome.skipped and not arguments.quiet:
            _say(f"skipped, no echo files: {', '.join(path.name for path in outcome.skipped)}")
        if not arguments.quiet:
            _say(f"checkpoint: {outcome.checkpoint['file']}, SHA-256 {outcome.checkpoint['sha256']}")
        if failed and outcome.several:
            print(f"failed: {len(failed)} of {len(failed) + len(done)} files")
    for _, error in failed:
        print(f"coreecho predict: {error}", file=sys.stderr)


def _say(text: str) -> None:
    print(wrap(text, columns()))


def _print_many(done: Sequence[Prediction]) -> None:
    print(f"{'EF (%)':>7} {'SD':>5} {'clips':>5} {'protocol':8} file")
    width = columns()
    for each in done:
        numbers = f"{each.ef:7.1f} {each.spread:5.1f} {len(each.clips):5} {each.protocol:8} "
        print(numbers + (each.file if width is None else shorten(each.file, max(FLOOR, width - len(numbers)))))
    names: dict[str, list[str]] = {}
    for each in done:
        for note in each.notes:
            names.setdefault(note, []).append(each.file)
    for note, files in names.items():
        _say(f"note: {note}" if len(files) == len(done) else f"note: {', '.join(files)}: {note}")


def _print_one(prediction: Prediction) -> None:
    spread = f"mean of {len(prediction.clips)} clips, SD {prediction.spread:.1f}"
    _say(f"{prediction.file}: EF {prediction.ef:.1f} % ({spread})")
    for clip in prediction.clips:
        at = "" if clip.start_seconds is None else f" ({clip.start_seconds:.2f} s)"
        print(f"  clip from frame {clip.start}{at}: EF {clip.ef:.1f} %")
    _say(f"protocol: {prediction.protocol}; trained on: {prediction.training_data}")
    for note in prediction.notes:
        _say(f"note: {note}")
