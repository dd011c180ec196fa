"""Weights on disk: this package's own checkpoints, the authors' and the published Kinetics-400 encoder (section 3).

An own checkpoint is one safetensors file whose header says what the weights are: `CheckpointInfo`. Files of others are
read with PyTorch's restricted unpickler and a short list of harmless types, so that nothing in them is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import PositiveInt
from safetensors.torch import save as to_bytes

from coreecho.clips import MEAN, SD
from coreecho.errors import CheckpointError, SettingsError
from coreecho.files import replace_file
from coreecho.model import CoReEcho, LinearHead, MLPHead, R2Plus1D, Task
from coreecho.settings import ClipSettings, EncoderSettings
from coreecho.settings_text import from_dict, to_dict
from coreecho.uniformer import UniFormer
from coreecho.weightfiles import State, check_fit, fit, is_number, kind_of, read_safetensors, read_weights, sha256

FORMAT = 1
"""Layout of the header; raised when an older file can no longer be understood."""
HEADER = "coreecho"
CLIP_PIXELS = 2**27
"""Most pixels of a video that a clip may span; the paper's span 2 million."""
WEIGHTS_FILE = "model.safetensors"
"""Name of an own checkpoint in a run's folder or in one of the hub's layout (`coreecho.hub`)."""
NOTICE = (
    "Not a medical device. Made for apical four-chamber videos; the view is not verified. "
    "The licence of the training data and of the weights applies."
)


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """What a checkpoint's weights are and how they were made."""

    origin: Literal["coreecho", "authors"] = "coreecho"
    """This package's own file, or one that the paper's authors published."""
    backbone: Literal["uniformer", "r2plus1d", "own"] = "uniformer"
    """Encoder class; own: that of a compared system, which only its runs can build."""
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    """Scale of the encoder, if it is a UniFormer."""
    head: Literal["mlp", "linear"] = "mlp"
    """Regressor."""
    head_hidden: int | None = None
    """Hidden units of the MLP head."""
    head_dropout: float = 0.4
    """Dropout of the MLP head."""
    outputs: PositiveInt = 1
    """Numbers that come out of a linear head: more than one for the pretext task's classes."""
    task: Task = "ef"
    """EF in percent, the logit of a myocardial infarction, or the pretext task's motions."""
    clip: ClipSettings | None = None
    """Shape of the clips it was trained on."""
    fps: float | None = None
    """Frames per second of the training videos."""
    training_data: str
    """Name of the training data, such as "EchoNet-Dynamic" or "phantom demo"."""
    mean: tuple[float, float, float] = MEAN
    """Channel means that clips are normalised with, on the 0-1 scale."""
    sd: tuple[float, float, float] = SD
    """Channel standard deviations that clips are normalised with."""
    padding: Literal["black", "grey"] = "black"
    """What stood in the place of frames past the end of a video (`coreecho.settings.Recipe.padding`)."""
    licence: str = "Apache-2.0"
    """Licence of the weights."""
    notice: str = NOTICE
    """What everyone who uses the weights should know."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Run, commit, versions, times: whatever the maker wrote down."""
    dropped: tuple[str, ...] = ()
    """Weights in the file that the model has no use for and that were left out."""


DESCRIPTION = ("training_data", "fps", "mean", "sd", "padding", "licence", "provenance")


def save(model: CoReEcho, path: str | Path, description: Mapping[str, Any]) -> CheckpointInfo:
    """Write one safetensors file, all or nothing; what can be read off the model is added to the description.

    Args:
        model: The network; its clip shape and task are kept too.
        path: File to write or replace.
        description: ``training_data`` and, if known, ``fps``, ``mean``, ``sd``, ``padding``, ``licence``,
            ``provenance``.

    Raises:
        CheckpointError: If the description does not fit.
        CoReEchoError: If the file cannot be written; what was there before is left as it was.
    """
    path = Path(path)
    if unknown := sorted(set(description) - set(DESCRIPTION)):
        raise CheckpointError(f"a checkpoint has no field {unknown[0]!r}; it takes {', '.join(DESCRIPTION)}")
    head = model.head
    facts: dict[str, Any] = {
        **description,
        "backbone": _backbone(model),
        "encoder": to_dict(model.encoder.settings if isinstance(model.encoder, UniFormer) else EncoderSettings()),
        "head": "mlp" if isinstance(head, MLPHead) else "linear",
        "task": model.task,
        "clip": model.clip and to_dict(model.clip),
    }
    mean, sd = model.levels
    facts = {"mean": list(mean), "sd": list(sd)} | facts
    if isinstance(head, LinearHead):
        facts["outputs"] = head.out_features
    if isinstance(head, MLPHead):
        facts |= {"head_hidden": head.hidden, "head_dropout": head.dropout}
    info = _info(facts, path)
    header = {HEADER: json.dumps({"format": FORMAT, **to_dict(info)})}
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    replace_file(path, lambda partial: partial.write_bytes(to_bytes(state, header)))
    return info


def load(path: str | Path) -> tuple[CoReEcho, CheckpointInfo]:
    """A trained model in eval mode on the CPU, and what its file says about it; the kind is told by the content.

    Args:
        path: An own checkpoint or the folder that holds it, or the authors' (``model`` and ``regressor`` in a PyTorch
            file).

    Raises:
        CheckpointError: If the file is missing, damaged, of another kind or of another architecture.
    """
    path = weights_file(path)
    model, info, state = _open_own(path) if kind_of(path) == "safetensors" else _open_authors(path)
    fit(model, state, path)
    model.description = {name: getattr(info, name) for name in DESCRIPTION}
    return model.eval(), info


def weights_file(path: str | Path) -> Path:
    """The file of weights that a path names: itself, or ``model.safetensors`` in a folder."""
    path = Path(path)
    return path / WEIGHTS_FILE if path.is_dir() else path


def read_info(path: str | Path) -> CheckpointInfo:
    """The header of an own checkpoint, without its weights.

    Raises:
        CheckpointError: If the file is missing, damaged or no own checkpoint.
    """
    path = Path(path)
    if kind_of(path) != "safetensors":
        raise CheckpointError(f"{path} is a PyTorch file and has no description; open it with load()")
    return read_own(path, weights=False)[0]


def _open_own(path: Path) -> tuple[CoReEcho, CheckpointInfo, State]:
    info, state = read_own(path, weights=True)
    clip = info.clip or ClipSettings()
    try:
        if sum(info.encoder.depths) > len(state) or clip.minimum_length * clip.size**2 > CLIP_PIXELS:
            raise SettingsError("it is deeper than its weights, or its clips are too large")
        with torch.device("meta"):  # takes no memory, whatever the description says
            check_fit(_build(info), state, path)
        return _build(info), info, state
    except (SettingsError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} describes an impossible network: {str(error).splitlines()[0]:.120}") from None


def _backbone(model: CoReEcho) -> Literal["uniformer", "r2plus1d", "own"]:
    if isinstance(model.encoder, UniFormer):
        return "uniformer"
    return "r2plus1d" if isinstance(model.encoder, R2Plus1D) else "own"


def _build(info: CheckpointInfo) -> CoReEcho:
    if info.backbone == "own":
        raise SettingsError(f"that of {info.provenance.get('run', 'a compared system')}, which only its runs can use")
    encoder = R2Plus1D() if info.backbone == "r2plus1d" else UniFormer(info.encoder, num_classes=0)
    linear, width = info.head == "linear", encoder.width
    head = LinearHead(width, 0.0, info.outputs) if linear else MLPHead(width, info.head_dropout, info.head_hidden)
    model = CoReEcho(encoder, head, task=info.task, clip=info.clip)
    model.levels = (info.mean, info.sd)
    return model


def _open_authors(path: Path) -> tuple[CoReEcho, CheckpointInfo, State]:
    content = read_weights(path)
    weights, regressor = content["weights"], content["regressor"]
    if regressor is None:
        raise CheckpointError(
            f"{path} holds an encoder without a regressor, so it predicts no EF; use it as initial weights "
            "(coreecho.encoders.load_k400), or open a checkpoint with both"
        )
    dropped = tuple(key for key in weights if key.startswith("head."))
    state = {f"encoder.{key}": value for key, value in weights.items() if key not in dropped}
    state |= {f"head.{key}": value for key, value in regressor.items()}
    numbers = {key: float(content[key]) for key in ("epoch", "best_error") if is_number(content.get(key))}
    info = CheckpointInfo(
        origin="authors",
        clip=ClipSettings(),
        fps=50.0,
        training_data="EchoNet-Dynamic",
        licence="CC BY-NC 4.0",
        provenance={"file": path.name, "sha256": sha256(path), **numbers},
        dropped=dropped,
    )
    return _build(info), info, state


def read_own(path: Path, *, weights: bool) -> tuple[CheckpointInfo, State]:
    """The description and, if asked for, the weights of an own checkpoint.

    Raises:
        CheckpointError: If the file is missing, damaged or no own checkpoint.
    """
    header, state = read_safetensors(path, HEADER, weights=weights)
    if not isinstance(header, dict) or header.pop("format", None) != FORMAT:
        wanted = "it must be written by coreecho.checkpoints.save of this version"
        raise CheckpointError(f"{path} is a safetensors file without a description of format {FORMAT}; {wanted}")
    return _info(header, path), state


def _info(facts: Mapping[str, Any], path: Path) -> CheckpointInfo:
    try:
        return from_dict(CheckpointInfo, dict(facts))
    except SettingsError as error:
        raise CheckpointError(f"the description of {path} does not fit: {error}") from None
