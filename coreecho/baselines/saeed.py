"""Saeed and Yaqub (ASMUS 2022): R(2+1)D-18, trained for EF on single beats, fine-tuned to tell infarctions (Table 5).

The video network of `coreecho.baselines.ouyang` is trained on EchoNet-Dynamic first; with a new linear head all of it
then learns from HMC-QU's cycles of 12 frames at 224 x 224, by binary cross-entropy. The text and the trace of the
electrocardiogram are cropped away by the data reader. Approximate: neither code nor the paper's text could be read. The
facts are those that the CoReEcho paper states; MADGRAD at a constant rate is that paper's choice on this data set and
was probably taken from here.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn
from torch.nn import functional as F

from coreecho.baselines.r2plus1d import VideoEncoder
from coreecho.baselines.system import System
from coreecho.checkpoints import CheckpointInfo, read_own
from coreecho.model import CoReEcho, LinearHead
from coreecho.objectives import EndToEnd
from coreecho.plan import Plan
from coreecho.schedule import whole
from coreecho.weightfiles import fit

VIDEO = "encoder.video."
"""How the names of the video network's weights begin in a checkpoint of Ouyang's system."""


def network(plan: Plan) -> CoReEcho:
    """The video network with random weights and a linear head to one logit."""
    encoder = VideoEncoder(plan.full_size)
    return CoReEcho(encoder, LinearHead(encoder.width, 0.0), task="mi", clip=plan.clip)


def inherit(encoder: nn.Module, path: Path) -> CheckpointInfo:
    """Puts the video network of an Ouyang run into the encoder; its segmenter and its head are left out.

    Raises:
        CheckpointError: the file is missing, damaged or of another architecture.
    """
    info, state = read_own(path, weights=True)
    assert isinstance(encoder, VideoEncoder)
    fit(encoder.video, {key.removeprefix(VIDEO): value for key, value in state.items() if key.startswith(VIDEO)}, path)
    return info


SYSTEM = System(
    method="saeed",
    title="Saeed",
    reference="saeed2022",
    stages=lambda plan: [whole(plan, "finetune", lambda model: EndToEnd(model, F.binary_cross_entropy_with_logits))],
    network=network,
    inherit=inherit,
    differs=(
        "Approximate: written from what the CoReEcho paper says of it; the optimiser (MADGRAD) is an inference, and so "
        "are rate, epochs and augmentation, which are CoReEcho's."
    ),
)
