"""A trained network's test predictions under the protocols of its profile, with the published starts where given."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch

from coreecho import phantom
from coreecho.baselines import SYSTEMS
from coreecho.datasets import Dataset
from coreecho.datasets.starts import find_starts, read_starts, starts_for
from coreecho.evaluation import average_clips, regression_metrics
from coreecho.model import CoReEcho
from coreecho.plan import Plan
from coreecho.protocols import predict_clips, protocol_starts
from coreecho.settings import ClipSettings


def published_starts(data: Dataset, clip: ClipSettings, data_root: Path | None) -> Mapping[str, Sequence[int]] | None:
    """The published test starts from ``lists/`` under the data root, if the user has put them there.

    They belong to clips of 36 frames at stride 4; for any other clip, and for phantoms, starts are drawn.

    Raises:
        DataError: the file is not such a list, or lacks some of the test videos.
    """
    path = None if data_root is None else find_starts(data_root / "lists")
    fits = data.name == "echonet" and clip.span == ClipSettings().span and not (data.root / "phantom.json").exists()
    if path is None or not fits:
        return None
    return starts_for((study.id for study in data.split("test")), read_starts(path), path)


def score(
    model: CoReEcho,
    plan: Plan,
    device: torch.device,
    workers: int = 0,
    official: Mapping[str, Sequence[int]] | None = None,
) -> pd.DataFrame:
    """Test predictions per clip under the one-clip protocol and the run's own, with what tables need of each video.

    That is the fold and the quality of the picture, where the data set has them, and the phantom's true EF. A compared
    system may have protocols of its own.
    """
    assert plan.data is not None
    system = SYSTEMS.get(plan.run.method)
    if system is not None and system.score is not None:
        return with_facts(system.score(model, plan, device), plan)
    clip, studies = plan.clip, plan.data.split("test")
    tables = []
    for protocol in dict.fromkeys(("first", plan.profile.protocol_of(plan.run))):
        rule = protocol_starts(protocol, clip, official)
        table = predict_clips(model, studies, clip, rule, device=device, padding=plan.recipe.padding, workers=workers)
        tables.append(table.assign(protocol=protocol))
    return with_facts(pd.concat(tables, ignore_index=True), plan)


def with_facts(predictions: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Predictions with what is known of each test video beside its label."""
    assert plan.data is not None
    studies = plan.data.split("test")
    for name in ("fold", "quality", "quality_patient"):
        facts = {study.id: getattr(study, name) for study in studies}
        if None not in facts.values():
            predictions[name] = predictions["video"].map(facts)
    if plan.profile.phantom_of(plan.run) is not None and plan.data.task == "ef":
        predictions["truth"] = predictions["video"].map(phantom.true_ef(plan.data.root))
    return predictions


def summary(predictions: pd.DataFrame, task: str) -> dict[str, dict[str, float]]:
    """Each protocol's metrics for listings: of the EF, or the share of right answers where labels are classes."""
    metrics = {}
    for protocol, table in predictions.groupby("protocol"):
        means = average_clips(table)
        if task == "ef":
            metrics[str(protocol)] = dataclasses.asdict(regression_metrics(means["label"], means["prediction"]))
        else:
            answers = (means["prediction"] >= 0.5) if task == "mi" else means["prediction"]
            metrics[str(protocol)] = {"accuracy": float((answers == means["label"]).mean()), "n": len(means)}
    return metrics
