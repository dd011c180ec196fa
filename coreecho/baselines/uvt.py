"""UVT (Reynaud et al., MICCAI 2021): a Transformer over a video's frames that tells their phase and the EF.

Its training clips are 128 frames of one traced beat, each with a target phase (`coreecho.baselines.uvt_items`); the
network (`coreecho.baselines.uvt_network`) takes any number of frames. What is minimised is the squared error of the
phase, over the frames that have one, plus five times that of the EF as a fraction. Both published samplings are
systems here: ``uvt`` (R, the beat with its surroundings) and ``uvt-mirror`` (M, the beat forth and back).

Recipe: AdamW at 1e-5 with weight decay 0.01, a tenth of it from epoch 3 on, batches of 2, 5 epochs, no augmentation;
the epoch with the lowest validation loss is taken. Test protocols:

* ``first``: the clip at frame 0, as many frames as in training, at the video's own rate; black after its end.
* ``beat``: a clip of the traced beat, made as in training. It uses the reader's ED and ES frames of the test video,
  which nobody has in practice: a row with an oracle's help. The original's "one heartbeat" is this.
* ``whole``: the whole video at its own rate, in one pass.

Of the authors' code (MIT) the facts above were read, and copied nowhere. What differs: PyTorch's Transformer layers in
place of Hugging Face's, the same computation (the original takes BERT's encoder without its embeddings); ED and ES are
told apart by the traced areas; no frame is dropped to make a clip's limits even, frames are thinned at equal steps with
ED and ES kept (M), and phases are thinned, not max-pooled (R); a mirrored clip starts anywhere in the cycle. Training
leaves out videos whose traced frames are at most 0.2 s (10 frames) apart, as the original does; all test videos are
scored, where the original leaves those out and a few more. The phantom traces the frames that show ED and ES best, at
times of different beats: those more than 0.8 s apart are left out of training too.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from coreecho.baselines.system import System
from coreecho.baselines.uvt_events import Distance, frame_distance
from coreecho.baselines.uvt_items import Beat, BeatDataset, Sampling
from coreecho.baselines.uvt_network import PUBLISHED, TWIN, UVT
from coreecho.batches import Batch
from coreecho.clips import fit, normalise
from coreecho.datasets import Study
from coreecho.datasets.tracings import read_tracings
from coreecho.distributed import gather, gather_objects, rank, world
from coreecho.errors import DataError
from coreecho.model import CoReEcho
from coreecho.objectives import Losses, Objective, flatten_views, gathered
from coreecho.plan import Plan
from coreecho.protocols import PROTOCOL_SEED, predict_clips, protocol_starts
from coreecho.schedule import Stage, whole
from coreecho.study_video import packed_frames, read_study

EF_WEIGHT = 5.0
"""Weight of the squared error of the EF (as a fraction) beside that of the phase."""
SHORTEST, LONGEST = 0.2, 0.8
"""Seconds between the traced frames of a training video; the upper limit is for phantoms alone."""
FPS = 50.0
"""Frame rate at which the original's 10 frames are `SHORTEST`."""
VALIDATION_SEED = 10_000
"""Added to the run's seed for validation clips."""
CHUNK = 8
"""Validation clips in one pass."""


class PhaseAndEF(Objective):
    """Squared error of each known frame's phase plus the weighted one of the EF, end to end."""

    model: UVT

    def forward(self, clips: Tensor, labels: Tensor, **extra: Tensor) -> Losses:
        """The two losses; ``extra`` has the targets of `BeatDataset`, each (B, T)."""
        x, y = flatten_views(clips, labels, self.model.levels)
        ef, phase = self.model.predictions(x)
        known, target = gather(extra["known"]), gather(extra["phase"])
        wrong = (gathered(phase) - target).square() * known
        error = (gathered(ef) - gather(y)).square().mean() / 100**2
        return {"phase": wrong.sum() / known.sum().clamp(min=1), "error": EF_WEIGHT * error}


def beats(plan: Plan, *, training: bool) -> dict[str, Beat]:
    """Traced ED and ES of the plan's videos, by lower-case name; in training only pairs of the right distance."""
    assert plan.data is not None
    found = read_tracings(plan.data.root, [study.id for study in plan.data.studies])
    fps = FPS if plan.profile.phantom is None else plan.profile.phantom.fps
    longest = np.inf if plan.profile.phantom is None else LONGEST * fps

    def fits(beat: Beat) -> bool:
        return not training or SHORTEST * fps < abs(beat[0] - beat[1]) <= longest

    return {video: tracing.frames for video, tracing in found.items() if fits(tracing.frames)}


def _training(sampling: Sampling, plan: Plan) -> BeatDataset:
    return BeatDataset(plan.train, plan.clip, beats(plan, training=True), sampling, seed=plan.run.seed)


def _stages(sampling: Sampling, plan: Plan) -> list[Stage]:
    @cache
    def held_out() -> BeatDataset:
        seed = plan.run.seed + VALIDATION_SEED
        return BeatDataset(plan.val, plan.clip, beats(plan, training=True), sampling, seed=seed)

    def validate(model: CoReEcho, _: Plan, device: torch.device, epoch: int) -> dict[str, float]:
        assert isinstance(model, UVT)
        return validation_errors(model, held_out(), device, epoch) if plan.val else {}

    items = partial(_training, sampling)
    return [whole(plan, "phase and EF", PhaseAndEF, views="one", items=items, validate=validate)]


@torch.inference_mode()
def validation_errors(model: UVT, clips: BeatDataset, device: torch.device, epoch: int) -> dict[str, float]:
    """Errors of an epoch's validation clips; several processes share them and all get the result.

    Returns:
        ``val_mae``, the mean absolute error of the EF in points; ``val_phase``, the mean squared error of the phase;
        and ``val_mse``, the training loss in units of squared EF points: the squared error of the EF and 2000 times
        that of the phase. The last one chooses the epoch.
    """
    share = np.array_split(np.arange(len(clips)), world())[rank()]
    training, rows = model.training, []
    model.eval()
    for part in np.array_split(share, max(1, len(share) // CHUNK)):
        if not len(part):
            continue
        batch = Batch.collate([clips[epoch, int(index)] for index in part]).mapped(lambda x: x.to(device))
        ef, phase = model.predictions(flatten_views(batch.clips, batch.labels, model.levels)[0])
        known = batch.extra["known"]
        wrong = (phase.float() - batch.extra["phase"]).square() * known
        rows.append(torch.stack([ef.float() - batch.labels, wrong.sum(1), known.sum(1)], dim=1).cpu())
    model.train(training)
    table = torch.cat([each for own in gather_objects(rows) for each in own]).double()  # (videos, 3)
    phase_error = float(table[:, 1].sum() / table[:, 2].sum())
    mse = float(table[:, 0].square().mean()) + 100**2 / EF_WEIGHT * phase_error
    return {"val_mae": float(table[:, 0].abs().mean()), "val_mse": mse, "val_phase": phase_error}


def _score(sampling: Sampling, model: CoReEcho, plan: Plan, device: torch.device) -> pd.DataFrame:
    assert plan.data is not None
    assert isinstance(model, UVT)
    clip, studies = plan.clip, plan.data.split("test")
    first = predict_clips(model, studies, clip, protocol_starts("first", clip), device=device)
    tables = [first.assign(protocol="first")]
    traced = beats(plan, training=False)
    if any(study.id.lower() in traced for study in studies):
        clips = BeatDataset(studies, clip, traced, sampling, seed=PROTOCOL_SEED)
        beat = predict_clips(model, clips.studies, clip, clips.starts, device=device, dataset=clips)
        tables.append(beat.assign(protocol="beat"))
    rows = [
        {"video": study.id, "clip": 0, "start": 0, "label": study.label, "prediction": ef, "protocol": "whole"}
        for study, ef, _ in whole_videos(model, studies, clip.size, device)
    ]
    return pd.concat([*tables, pd.DataFrame(rows)], ignore_index=True)


Whole = tuple[Study, float, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]
"""A video, its EF in percent, and the phase of each of its frames (T,)."""


@torch.inference_mode()
def whole_videos(model: UVT, studies: tuple[Study, ...], side: int, device: torch.device) -> list[Whole]:
    """EF and phases of whole videos at their own rate, each in one pass, in the order of ``studies``.

    Several processes share the videos and all get the whole list. The network is used in evaluation mode.

    Args:
        model: the network.
        studies: the videos.
        side: side of the pictures that it was made for.
        device: where the network is.
    """
    training, found = model.training, []
    model.eval()
    for index in np.array_split(np.arange(len(studies)), world())[rank()]:
        study = studies[index]
        frames = packed_frames(study) if study.pack is not None else read_study(study, min_frames=1).frames
        clip = torch.from_numpy(fit(np.array(frames), side)).permute(3, 0, 1, 2)[None]  # (1, 3, T, H, W)
        ef, phase = model.predictions(normalise(clip.to(device), model.levels))
        found.append((study, float(ef), phase[0].double().cpu().numpy()))
    model.train(training)
    return [each for own in gather_objects(found) for each in own]


def average_frame_distance(model: UVT, plan: Plan, device: torch.device) -> Distance:
    """How far the ED and ES frames that the network finds in whole test videos are from the traced ones.

    Raises:
        DataError: no test video is traced.
    """
    assert plan.data is not None
    traced = beats(plan, training=False)
    studies = tuple(study for study in plan.data.split("test") if study.id.lower() in traced)
    if not studies:
        raise DataError(f"{plan.data.root}: no test video is traced; distances need VolumeTracings.csv")
    found = whole_videos(model, studies, plan.clip.size, device)
    return frame_distance([(phase, traced[study.id.lower()]) for study, _, phase in found])


def _system(method: str, title: str, sampling: Sampling) -> System:
    return System(
        method=method,
        title=title,
        reference="reynaud2021",
        stages=partial(_stages, sampling),
        network=lambda plan: UVT(PUBLISHED if plan.full_size else TWIN, plan.clip),
        score=partial(_score, sampling),
        untrained={"first": "it learnt from clips that are made around one traced beat."},
        differs=(
            "Approximate in how clips are thinned; all test videos are scored, where the original leaves some out. "
            "The protocol 'beat' is given the traced ED and ES frames of the test video."
        ),
    )


SYSTEMS = (_system("uvt", "UVT (R)", "surrounded"), _system("uvt-mirror", "UVT (M)", "mirrored"))
"""The method with either of its samplings."""
