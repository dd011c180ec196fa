"""What a training will cost, said before it starts: time as in finished runs of its kind, disk, memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from coreecho.initial import random_model
from coreecho.loading import CACHE_BYTES
from coreecho.plan import Plan
from coreecho.records import Record
from coreecho.settings import Profile, Run

COPIES = 5
"""Copies of the weights on disk at the end of a run: model, best epoch, result, and AdamW's two moments."""


def forecast(specs: Sequence[Run], profile: Profile, finished: Sequence[Record]) -> str:
    """A sentence on the time, disk and memory that training ``specs`` will take.

    Args:
        specs: runs without a record.
        profile: their scale.
        finished: records of the same profile, whose times are the only honest basis for an estimate.
    """
    count = f"{len(specs)} run{'s' if len(specs) > 1 else ''} to train at profile {profile.name!r}"
    weights = max(_weights(run, profile) for run in specs)
    disk = f"{len(specs) * COPIES * 4 * weights / 1e6:,.0f} MB of checkpoints"
    memory = f"up to {CACHE_BYTES / 1e9:.1f} GB of decoded videos in memory per loader process"
    return f"{count}: {_time(specs, finished)}, {disk}, {memory}"


def _weights(run: Run, profile: Profile) -> int:
    with torch.device("meta"):  # takes no memory
        model = random_model(Plan(run=run, profile=profile))
    return sum(parameter.numel() for parameter in model.parameters())


def _time(specs: Sequence[Run], finished: Sequence[Record]) -> str:
    alike = {run: [record for record in finished if record.run.method == run.method] for run in specs}
    if not all(alike.values()):
        return "time unknown, since no such run has finished here (the first epoch will tell)"
    seconds = sum(sum(record.training_seconds for record in records) / len(records) for records in alike.values())
    devices = sorted({str(record.provenance["device"]) for records in alike.values() for record in records})
    return f"about {seconds / 60:.0f} min if this machine is like {', '.join(devices)}"
