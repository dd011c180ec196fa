"""EchoGraphs (Thomas et al., MICCAI 2022): a 3D ResNet whose clip feature gives the EF and two frames' outlines.

torchvision's r3d_18 makes one feature of 16 frames. A small network reads the EF from it; a graph decoder reads 40 key
points at end-diastole and at end-systole. Two systems: ``echographs-known`` is told the two frames, in training and at
test (an oracle: nobody knows them beforehand), and its clip runs from one to the other. ``echographs`` is told nothing:
it sees any 16 frames at stride 2, says which of them is end-diastole and end-systole, if any, and averages the EF of
windows side by side. In one the decoder joins every node with every other; in the other with those of its own frame and
its like in the other frame.

Loss: the plain sum of the mean squared errors of EF / 100 and of the key points (shares of the picture) and, without
known frames, the cross-entropy of the two frames' places. It has a twentieth of that weight where the narrow twin is
trained for minutes: else the features tell the frames apart and nothing of the EF. The key points' error is the sum of
both frames' means in the full network, as in the original; in the twin, and with known frames, it is one mean over
both. Approximate: epochs (theirs end when stopped by hand), how far brightness varies, and where a layer's details were
not visible to us, PyTorch's defaults. Of the authors' code (MIT) only facts were read.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from coreecho.baselines.echographs_graph import NARROW, WIDTH, GraphEncoder, PercentHead
from coreecho.baselines.echographs_items import GraphClips, all_windows, first_window, known_beat
from coreecho.baselines.system import System
from coreecho.datasets import Study
from coreecho.distributed import gather
from coreecho.model import CoReEcho
from coreecho.objectives import Losses, Objective, flatten_views, gathered
from coreecho.plan import Plan
from coreecho.protocols import predict_clips
from coreecho.schedule import Stage, whole
from coreecho.weightfiles import fit, read_weights

KINETICS = "r3d_18-b3b3357e.pth"
"""torchvision's Kinetics-400 weights."""
TWIN_WEIGHT = 0.05
"""Weight of the cross-entropy for the narrow twin; 1 for the full network."""
_APPROXIMATE = (
    "Approximate: the number of epochs (theirs end when stopped by hand), which validation error chooses one, how far "
    "brightness varies, and black where a moved picture ends; no random crops."
)


class GraphLoss(Objective):
    """Squared errors of EF and key points, and cross-entropy of the phases where the network is not told them."""

    def __init__(self, model: CoReEcho, weight: float = 1.0, apart: bool = False) -> None:
        """Gives the cross-entropy the ``weight``; ``apart`` adds the key points' error of the two frames.

        Each frame's is then its own mean over the clips that have it. Else one mean is taken over both frames.
        """
        super().__init__(model)
        self.weight, self.apart = weight, apart

    def forward(self, clips: Tensor, labels: Tensor, **extra: Tensor) -> Losses:
        """The losses; a frame's key points count where the clip has it.

        Args:
            clips: (B, 1, 3, T, H, W) uint8.
            labels: (B,) EF in percent.
            extra: ``points`` (B, 2, `POINTS`, 2) and ``phases`` (B, 2), as `GraphClips` gives them.
        """
        x, y = flatten_views(clips, labels, self.model.levels)
        encoder = self.model.encoder
        assert isinstance(encoder, GraphEncoder)
        embedding, points, logits = encoder.everything(x)
        share = gathered(self.model.head(embedding).squeeze(1)) / 100
        places = gather(extra["phases"])  # (M, 2)
        errors = (gathered(points) - gather(extra["points"])).square().mean(dim=(2, 3))  # (M, 2)
        seen = (places < clips.shape[3]).float()
        wrong = seen * errors
        if self.apart:
            missed = (wrong.sum(0) / seen.sum(0).clamp(min=1)).sum()
        else:
            missed = wrong.sum() / seen.sum().clamp(min=1)
        losses = {"error": F.mse_loss(share, gather(y) / 100), "points": missed}
        if logits is not None:
            losses["phases"] = self.weight * F.cross_entropy(gathered(logits).flatten(0, 1), places.flatten())
        return losses


@dataclasses.dataclass
class Validation:
    """Errors of the validation videos' EF under the test's own protocol; the clips are made once."""

    known: bool
    clips: GraphClips | None = None

    def __call__(self, model: CoReEcho, plan: Plan, device: torch.device, epoch: int) -> dict[str, float]:
        """``val_mae`` and ``val_mse``; nothing where there are no validation videos."""
        if not plan.val:
            return {}
        self.clips = self.clips or _clips(plan, plan.val, self.known)
        means = _predict(model, self.clips, device).groupby("video")[["label", "prediction"]].mean()
        errors = (means["prediction"] - means["label"]).to_numpy()
        return {"val_mae": float(np.abs(errors).mean()), "val_mse": float(np.square(errors).mean())}


def _clips(plan: Plan, studies: tuple[Study, ...], known: bool) -> GraphClips:
    assert plan.data is not None
    rule = known_beat(studies, plan.data.root, plan.clip) if known else all_windows(plan.clip)
    return GraphClips(studies, plan.clip, rule)


def _predict(model: CoReEcho, clips: GraphClips, device: torch.device) -> pd.DataFrame:
    return predict_clips(model, clips.studies, clips.whole, clips.starts, device=device, dataset=clips)


def network(plan: Plan, *, known: bool) -> CoReEcho:
    """The network with random weights; narrower than published in the demo and gpu profiles."""
    encoder = GraphEncoder(WIDTH if plan.full_size else NARROW, known, plan.clip.frames)
    return CoReEcho(encoder, PercentHead(encoder.width), clip=plan.clip)


def load_kinetics(model: CoReEcho, path: Path) -> None:
    """Puts torchvision's r3d_18 weights (a bare state dict) into the video network, without their classifier.

    Raises:
        CheckpointError: the file is missing, damaged or of another architecture.
    """
    assert isinstance(model.encoder, GraphEncoder)
    state = {key: value for key, value in read_weights(path)["weights"].items() if not key.startswith("fc.")}
    fit(model.encoder.video, state, path)


def stages(plan: Plan, *, known: bool) -> list[Stage]:
    """All parts together, end to end."""
    items = partial(GraphClips.training, known=known)
    full = plan.full_size
    objective = partial(GraphLoss, weight=1.0 if full else TWIN_WEIGHT, apart=full and not known)
    return [whole(plan, "graphs", objective, views="one", items=items, validate=Validation(known))]


def score_known(model: CoReEcho, plan: Plan, device: torch.device) -> pd.DataFrame:
    """Predictions of the clips from traced end-diastole to traced end-systole ("oracle").

    Also those of the first 16 frames at stride 2 ("first"), which the same network makes when it is told nothing.
    """
    assert plan.data is not None
    studies = plan.data.split("test")
    told = _predict(model, _clips(plan, studies, known=True), device)
    blind = _predict(model, GraphClips(studies, plan.clip, first_window(plan.clip)), device)
    return pd.concat([blind.assign(protocol="first"), told.assign(protocol="oracle")], ignore_index=True)


def score_unknown(model: CoReEcho, plan: Plan, device: torch.device) -> pd.DataFrame:
    """Predictions of the windows side by side ("windows"), and of the first of them alone ("first")."""
    assert plan.data is not None
    table = _predict(model, _clips(plan, plan.data.split("test"), known=False), device)
    first = table[table["clip"] == 0]
    return pd.concat([first.assign(protocol="first"), table.assign(protocol="windows")], ignore_index=True)


SYSTEMS = (
    System(
        method="echographs-known",
        title="EchoGraphs, known ED and ES",
        reference="thomas2022",
        stages=partial(stages, known=True),
        network=partial(network, known=True),
        kinetics=(KINETICS, load_kinetics),
        score=score_known,
        untrained={"first": "it learnt from clips that run from traced end-diastole to traced end-systole."},
        differs=f"The traced end-diastole and end-systole are given at test too. {_APPROXIMATE}",
    ),
    System(
        method="echographs",
        title="EchoGraphs",
        reference="thomas2022",
        stages=partial(stages, known=False),
        network=partial(network, known=False),
        kinetics=(KINETICS, load_kinetics),
        score=score_unknown,
        differs=f"{_APPROXIMATE} In the demo and gpu profiles the cross-entropy has the weight {TWIN_WEIGHT:g}, "
        "and the key points' error is the mean of the two frames', not their sum.",
    ),
)
"""Told the two frames, and not told."""
