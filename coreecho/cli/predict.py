"""``coreecho predict FILE… --checkpoint CKPT``: the EF of echo files, per clip and as a mean."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coreecho import progress
from coreecho.cli.options import Commands, completes
from coreecho.cli.tables import FLOOR, columns, shorten, wrap
from coreecho.errors import CoReEchoError, DataError, SettingsError
from coreecho.files import check_target, replace_file

if TYPE_CHECKING:
    from coreecho.inference import Prediction


def add_parser(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("predict", help="the EF of echo files (AVI, MP4, GIF, DICOM, …)")
    files = parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="echo file, or a folder: all in it and below it"
    )
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
        (
            "coreecho predict FOLDER --checkpoint CKPT --csv table.csv --figure PICTURES",
            "every clip in a folder and below it",
        ),
        ("coreecho predict clip.avi --checkpoint CKPT --json --quiet", "for a program"),
    )
    parser.set_defaults(run=_predict)


@dataclass
class _Outcome:
    """What a call of the command found."""

    several: bool
    checkpoint: dict[str, Any]
    skipped: list[Path]
    names: dict[Path, str]
    """What each file, and all that was skipped, is called on screen."""
    done: list[Prediction] = field(default_factory=list)
    """Without pictures: a folder may hold thousands of files."""
    failed: list[tuple[Path, str]] = field(default_factory=list)
    undrawn: CoReEchoError | None = None
    """Why pictures are missing: the first that could not be written ends their drawing, and costs no number."""

    def name(self, prediction: Prediction) -> str:
        return self.names[Path(prediction.path)]


def _predict(arguments: argparse.Namespace) -> int:
    import torch
    from tqdm import tqdm

    from coreecho.checkpoints import load, weights_file
    from coreecho.echofiles import find_files
    from coreecho.inference import predict_with
    from coreecho.weightfiles import sha256

    files, skipped = find_files(arguments.files)
    several = len(files) > 1 or any(path.is_dir() for path in arguments.files)
    figure: Path | None = arguments.figure
    _check_targets(arguments, several, len(files))
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("there is no CUDA device here; use --device cpu")
    model, info = load(arguments.checkpoint)
    weights = weights_file(arguments.checkpoint)
    about = {"file": weights.name, "sha256": sha256(weights), "training_data": info.training_data}
    outcome = _Outcome(several, about, skipped, _names(files, skipped, arguments.files))
    model = model.to(arguments.device)
    bar = tqdm(files, desc="predict", unit="file", leave=False, disable=progress.silent(several))
    for path in bar:
        drawn = figure is not None and outcome.undrawn is None
        try:
            prediction = predict_with(
                model, info, path, protocol=arguments.protocol, explain=drawn, digest=about["sha256"]
            )
        except DataError as error:
            outcome.failed.append((path, str(error)))
            continue
        if figure is not None and drawn:
            try:
                picture = figure / f"{_picture_name(path, files)}.png" if several else figure
                _draw(prediction, outcome.names[path], picture)
            except CoReEchoError as error:
                outcome.undrawn = error
        outcome.done.append(prediction.without_pictures())
    _report(arguments, outcome)
    return 2 if outcome.failed or outcome.undrawn else 0


def _check_targets(arguments: argparse.Namespace, several: bool, count: int) -> None:
    """Refuses what could not be written at the end, before anything is computed."""
    figure: Path | None = arguments.figure
    if figure is not None:
        check_target(figure, "--figure", folder=several and (not figure.suffix or figure.is_dir()))
        if several and figure.suffix and not figure.is_dir():
            raise SettingsError(f"--figure {figure} names one file for {count}; give a folder")
    if arguments.csv is not None:
        check_target(arguments.csv, "--csv")


def _names(files: Sequence[Path], skipped: Sequence[Path], given: Sequence[Path]) -> dict[Path, str]:
    """Names of files, paths where names are alike; of what was skipped, always where in its folder it lies."""
    from coreecho.echofiles import told_apart

    return told_apart(skipped, given, names=False) | told_apart(files, given)


def _draw(prediction: Prediction, name: str, path: Path) -> None:
    from coreecho import figures  # loads Matplotlib and much more, which numbers alone do not need

    figures.save_png(figures.prediction(replace(prediction, file=name)), path)


def _picture_name(path: Path, files: Sequence[Path]) -> str:
    """The file's name without its suffix, if no other file shares it; else all of it, numbered where even that is."""
    alike = [each for each in files if each.stem.lower() == path.stem.lower()]
    same = [each for each in alike if each.name.lower() == path.name.lower()]
    if len(alike) == 1:
        return path.stem
    return path.name if len(same) == 1 else f"{path.name}-{same.index(path) + 1}"


def _report(arguments: argparse.Namespace, outcome: _Outcome) -> None:
    """Says all, then writes the table: numbers that took hours are seen even where it cannot be written."""
    try:
        _print_json(outcome) if arguments.json else _print_text(outcome, quiet=arguments.quiet)
        for path, error in outcome.failed:
            print(f"coreecho predict: {_named(error, path, outcome.names[path])}", file=sys.stderr)
        if outcome.undrawn is not None:
            print(f"coreecho predict: {outcome.undrawn}", file=sys.stderr)
    finally:  # also where nobody reads the output any longer
        if arguments.csv is not None:
            _write_csv(arguments.csv, outcome.done)


def _named(error: str, path: Path, name: str) -> str:
    """A message that begins with its file's name begins with ``name`` instead; any other is led by it."""
    if error.startswith(f"{path}: "):
        return error
    return f"{name}: {error.removeprefix(f'{path.name}: ')}"


def _write_csv(target: Path, done: Sequence[Prediction]) -> None:
    import pandas as pd

    rows = [{**each.as_dict(), "clips": len(each.clips), "notes": "; ".join(each.notes)} for each in done]
    replace_file(target, lambda path: pd.DataFrame(rows).to_csv(path, index=False))


def _print_json(outcome: _Outcome) -> None:
    document = {
        "checkpoint": outcome.checkpoint,
        "predictions": [each.as_dict() for each in outcome.done],
        "failed": [{"file": path.name, "path": str(path), "error": error} for path, error in outcome.failed],
        "skipped": [outcome.names[path] for path in outcome.skipped],
    }
    print(json.dumps(document, indent=1))


def _print_text(outcome: _Outcome, *, quiet: bool) -> None:
    from coreecho.echofiles import unsearched

    done, failed = outcome.done, outcome.failed
    if done:
        _print_many(outcome) if outcome.several else _print_one(done[0])
    if not quiet:
        closed = [path for path in outcome.skipped if unsearched(path)]
        others = [path for path in outcome.skipped if not unsearched(path)]
        for why, paths in (("no echo files", others), ("hidden or linked folders", closed)):
            if paths:
                _say(f"skipped, {why}: {', '.join(outcome.names[path] for path in paths)}")
        _say(f"checkpoint: {outcome.checkpoint['file']}, SHA-256 {outcome.checkpoint['sha256']}")
    if failed and outcome.several:
        print(f"failed: {len(failed)} of {len(failed) + len(done)} files")


def _say(text: str) -> None:
    print(wrap(text, columns()))


def _print_many(outcome: _Outcome) -> None:
    print(f"{'EF (%)':>7} {'SD':>5} {'clips':>5} {'protocol':8} file")
    width = columns()
    noted: dict[str, list[str]] = {}
    for each in outcome.done:
        name = outcome.name(each)
        numbers = f"{each.ef:7.1f} {each.spread:5.1f} {len(each.clips):5} {each.protocol:8} "
        if width is not None and name == each.file:  # of a path, what tells it apart may be anywhere
            name = shorten(name, max(FLOOR, width - len(numbers)))
        print(numbers + name)
        for note in each.notes:
            noted.setdefault(note, []).append(outcome.name(each))
    for note, files in noted.items():
        _say(f"note: {note}" if len(files) == len(outcome.done) else f"note: {', '.join(files)}: {note}")


def _print_one(prediction: Prediction) -> None:
    spread = f"mean of {len(prediction.clips)} clips, SD {prediction.spread:.1f}"
    _say(f"{prediction.file}: EF {prediction.ef:.1f} % ({spread})")
    for clip in prediction.clips:
        at = "" if clip.start_seconds is None else f" ({clip.start_seconds:.2f} s)"
        print(f"  clip from frame {clip.start}{at}: EF {clip.ef:.1f} %")
    _say(f"protocol: {prediction.protocol}; trained on: {prediction.training_data}")
    for note in prediction.notes:
        _say(f"note: {note}")
