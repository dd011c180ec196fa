"""One echo file in, its EF out: `predict`, with everything that was done to the picture said in notes.

Two protocols. ``paper`` takes the frames as they are, as the paper did with EchoNet-Dynamic's already prepared files.
``seconds``, for anything else, finds the ultrasound sector, blacks out all around it, keeps the aspect ratio, and
resamples in time, so that a stride means the same number of seconds as in training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from coreecho.batches import BLACK
from coreecho.checkpoints import CheckpointInfo, load, weights_file
from coreecho.clips import GREY, Frames, assemble, frames_shown, normalise
from coreecho.enough import refuse_empty, refuse_short
from coreecho.errors import CheckpointError
from coreecho.explain import INSTALL, Saliency, available, saliency
from coreecho.model import CoReEcho
from coreecho.protocols import forward, protocol_starts
from coreecho.sequences import in_time
from coreecho.settings import ClipSettings
from coreecho.video import Video, read_video, resample_seconds, to_square
from coreecho.weightfiles import sha256

ScanProtocol = Literal["auto", "paper", "seconds"]


@dataclass(frozen=True)
class ClipPrediction:
    """One clip's EF and where in the file it lies."""

    start: int
    """First frame of the clip, in frames of the (resampled) video."""
    start_seconds: float | None
    """The same in seconds, where the frame rate is known."""
    ef: float
    """Predicted EF in percent."""


@dataclass(frozen=True)
class Prediction:
    """The EF of one file, per clip and as their mean."""

    file: str
    """Name of the file, without its folder."""
    ef: float
    """Mean of the clips' predictions in percent."""
    spread: float
    """Standard deviation over the clips in EF points; 0 with one clip."""
    clips: tuple[ClipPrediction, ...]
    protocol: Literal["paper", "seconds"]
    notes: tuple[str, ...]
    """What was odd in the file and what was done about it, and what the checkpoint knows."""
    training_data: str
    """What the checkpoint was trained on."""
    frames: Frames = field(repr=False)
    """The first clip as the network saw it before normalisation, (T, H, W, 3) uint8."""
    saliency: Saliency | None = field(default=None, repr=False)
    """Grad-CAM of that clip, where it was asked for and grad-cam is installed."""
    checkpoint_sha256: str | None = None
    """SHA-256 of the checkpoint's file."""
    path: str = ""
    """The file's path as it was given: names alone may be alike."""

    def without_pictures(self) -> Prediction:
        """The same but for ``frames``, of which none is left, and ``saliency``: a few KB, to keep many."""
        return dataclasses.replace(self, frames=self.frames[:0].copy(), saliency=None)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready data, without pictures."""
        return {
            "file": self.file,
            "path": self.path,
            "ef": round(self.ef, 2),
            "spread": round(self.spread, 2),
            "clips": [
                {"start": clip.start, "start_seconds": clip.start_seconds, "ef": round(clip.ef, 2)}
                for clip in self.clips
            ],
            "protocol": self.protocol,
            "training_data": self.training_data,
            "checkpoint_sha256": self.checkpoint_sha256,
            "notes": list(self.notes),
        }


def predict(
    path: str | Path,
    checkpoint: str | Path,
    *,
    protocol: ScanProtocol = "auto",
    device: str = "cpu",
    explain: bool = False,
) -> Prediction:
    """The EF of one echo file.

    Args:
        path: AVI, MP4, GIF, DICOM, NIfTI, MetaImage or another file that `coreecho.video` reads; an apical
            four-chamber clip.
        checkpoint: trained weights, this package's (a file, or a folder in the hub's layout) or the authors'.
        protocol: ``auto`` chooses ``paper`` for a square AVI of the network's own size, else ``seconds``.
        device: where to compute.
        explain: also compute Grad-CAM of the first clip (`Prediction.saliency`).

    Returns:
        EF per clip and their mean. Five evenly spaced clips are scored, fewer if the file is short.

    Raises:
        VideoError: the file is not a readable echo clip, its picture is empty, or it is far shorter than a clip.
        CheckpointError: the checkpoint cannot be used, or predicts something other than an EF.
    """
    model, info = load(checkpoint)
    digest = sha256(weights_file(checkpoint))
    return predict_with(model.to(device), info, path, protocol=protocol, explain=explain, digest=digest)


def predict_with(
    model: CoReEcho,
    info: CheckpointInfo,
    path: str | Path,
    *,
    protocol: ScanProtocol = "auto",
    explain: bool = False,
    digest: str | None = None,
) -> Prediction:
    """As `predict`, with a model that is already loaded; for many files.

    Raises:
        VideoError: the file is not a readable echo clip, its picture is empty, or it is far shorter than a clip.
        CheckpointError: the model predicts something other than an EF.
    """
    if info.task != "ef":
        raise CheckpointError(f"the checkpoint predicts {info.task!r}, not an EF; choose one trained on EF")
    clip = info.clip or ClipSettings()
    path = Path(path)
    video = read_video(path)
    refuse_empty(path.name, video)
    chosen = _protocol(path, video, clip) if protocol == "auto" else protocol
    prepared = _prepare(video, clip, info, chosen)
    refuse_short(path.name, video, prepared, clip, info.fps)
    starts = list(protocol_starts("even5", clip)(path.name, len(prepared), 0))
    seconds = [round(start / prepared.fps, 3) if prepared.fps else None for start in starts]
    clips, windows = _clips(prepared, starts, clip, grey=info.padding == "grey")
    inputs = torch.from_numpy(clips).to(next(model.parameters()).device)
    outputs = forward(model, inputs, windows).tolist()
    shown, told = _explained(model, inputs, windows) if explain else (None, ())
    notes = (*prepared.notes, *_warnings(video, prepared, clip, info, chosen), *told)
    return Prediction(
        file=path.name,
        ef=float(np.mean(outputs)),
        spread=float(np.std(outputs)),
        clips=tuple(map(ClipPrediction, starts, seconds, outputs)),
        protocol=chosen,
        notes=tuple(dict.fromkeys(notes)),
        training_data=info.training_data,
        frames=clips[0].transpose(1, 2, 3, 0).copy(),  # a view would keep all clips
        saliency=shown,
        checkpoint_sha256=digest,
        path=str(path),
    )


def _protocol(path: Path, video: Video, clip: ClipSettings) -> Literal["paper", "seconds"]:
    ready = path.suffix.lower() == ".avi" and video.frames.shape[1:3] == (clip.size, clip.size)
    return "paper" if ready else "seconds"


def _prepare(video: Video, clip: ClipSettings, info: CheckpointInfo, protocol: str) -> Video:
    """The video on the network's grid: as it is, or with its sector cut out and its time resampled."""
    square = to_square(video, clip.size, fan=protocol == "seconds")
    if clip.resample:  # as in training on CAMUS: the whole file is one half cycle
        return dataclasses.replace(square, frames=in_time(square.frames, clip.frames))
    if protocol == "paper":
        return square
    return resample_seconds(square, info.fps) if info.fps and square.fps else square


def _clips(
    video: Video, starts: Sequence[int], clip: ClipSettings, *, grey: bool
) -> tuple[Frames, torch.Tensor | None]:
    """The clips (V, 3, T, H, W) from these frames on, padded, and the windows (V, 3) that tell grey padding apart."""
    clips = assemble(video.frames, starts, [(0, 0)] * len(starts), clip, GREY if grey else BLACK)
    windows = [(frames_shown(len(video), start, clip), 0, 0) for start in starts]
    return clips, torch.tensor(windows) if grey else None


def _explained(
    model: CoReEcho, clips: torch.Tensor, windows: torch.Tensor | None
) -> tuple[Saliency | None, tuple[str, ...]]:
    """Grad-CAM of the first of some clips (V, 3, T, H, W), none where grad-cam is missing, and what to say of it."""
    if not available():
        return None, (f"no Grad-CAM was computed. {INSTALL}",)
    shown = saliency(model, normalise(clips[:1], model.levels, None if windows is None else windows[:1]))
    empty = "Grad-CAM is empty: nothing in the first clip raises the EF, so nothing is drawn over it"
    return shown, (empty,) if shown.empty else ()


def _warnings(file: Video, video: Video, clip: ClipSettings, info: CheckpointInfo, protocol: str) -> Sequence[str]:
    """What a careful reader of the number should know of the file and of the video that was made of it."""
    if clip.resample:
        whole = (
            f"the whole file was taken as one sequence from end-diastole to end-systole and made {clip.frames} frames"
        )
        return [whole, *_about_checkpoint(info)]
    notes = []
    rate = video.fps or info.fps
    span = f"{clip.span} frames" + (f" ({clip.span / rate:.2f} s)" if rate else "")
    if len(video) < clip.span:
        length = f"{len(video)} frames" + (f" ({len(video) / rate:.2f} s)" if rate else "")
        notes.append(
            f"short: {length}, a clip spans {span}; the rest was filled with black frames, as the paper does"
            if info.padding == "black"
            else f"short: {length}, a clip spans {span}; the rest was filled with grey frames, as in training"
        )
    if video.fps is None:
        notes.append("the file gives no frame rate: its frames were taken as they are")
    elif protocol == "paper" and info.fps and abs(video.fps - info.fps) > 0.2 * info.fps:
        notes.append(f"{video.fps:g} frames per second, trained on {info.fps:g}: a clip covers {span}")
    elif protocol == "seconds" and file.fps and info.fps and not 0.5 * info.fps <= file.fps <= 2 * info.fps:
        notes.append(
            f"odd frame rate: {file.fps:g} frames per second were resampled to the {info.fps:g} of the training videos"
        )
    return [*notes, *_about_checkpoint(info)]


def _about_checkpoint(info: CheckpointInfo) -> list[str]:
    """What the checkpoint says of itself."""
    notes = []
    if info.dropped:
        notes.append(f"weights in the checkpoint that the network has no use for: {', '.join(info.dropped)}")
    if "phantom" in info.training_data:
        notes.append("the checkpoint was trained on the phantom: it knows no real hearts, and its EF means nothing")
    notes.append(info.notice)
    return notes
