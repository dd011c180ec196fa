"""The efficiency paragraph (section 4.1): training time and milliseconds per clip, measured, with the device named.

    path = efficiency.record(get_profile("demo"))       # measures, and writes runs/demo/efficiency-DEVICE.json
    efficiency.speed_table([get_profile("demo")])       # what has been measured, beside the published figure

The paper states neither batch, precision nor whether decoding counts (gaps B). Here a pass is encoder and head on clips
that lie on the device, in float32; its time does not depend on the weights' values, so fresh ones serve. Training steps
are timed on request; on a GPU the largest batch of both is timed once more as trainings there should run, in bf16 and
compiled. Times are kept beside the records and never taken while the book is built.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from coreecho.errors import CoReEchoError, RecordError
from coreecho.files import default_runs_dir, replace_file
from coreecho.model import CoReEcho, build_model, with_channels_last
from coreecho.place import compute_device, data_fps
from coreecho.provenance import provenance
from coreecho.records import Record, digest_of
from coreecho.rows import published
from coreecho.settings import ClipSettings, EncoderSettings, Profile, Run
from coreecho.settings_text import from_dict, to_dict
from coreecho.timing import Timing, measure_passes, measure_steps

BATCHES = (1, 16)
"""Clips in a pass: one, which gives the latency, and a batch, which gives the throughput."""
NOT_RECORDED = "not recorded"


@dataclass(frozen=True, kw_only=True)
class Efficiency:
    """What was measured of one profile's network on one device."""

    profile: str
    encoder: EncoderSettings
    clip: ClipSettings
    parameters: int
    """Number of trained numbers in encoder and head."""
    fps: float
    """Frame rate of the videos that the clips come from."""
    device: str
    threads: int
    """Processor threads in use; none on a GPU."""
    torch: str
    commit: str | None
    uncommitted_changes: bool
    finished: str
    timings: tuple[Timing, ...]
    training: tuple[Timing, ...] = ()
    """Of whole training steps, where those were timed."""

    def real_time(self, timing: Timing) -> float:
        """Seconds of video that a clip spans, over the seconds that its EF takes: above 1 is faster than real time."""
        return 1e3 * self.clip.span / self.fps / timing.mean_ms


def record(
    profile: Profile,
    runs_dir: Path | None = None,
    device: str = "auto",
    *,
    batches: Sequence[int] = BATCHES,
    training: Sequence[int] = (),
    warmup: int | None = None,
    timed: int | None = None,
) -> Path:
    """Measures CoReEcho's network at a profile's scale and keeps the result beside the profile's records.

    Args:
        profile: at which scale.
        runs_dir: folder of all records (default: runs/ of the project).
        device: auto, cpu or cuda.
        batches: clips in a pass, one measurement each (16 clips of UniFormer-S keep a CPU busy for over an hour).
        training: clips in a training step, one measurement each (the paper's has 32); none by default.
        warmup: untimed passes before each (default: 50, and 5 training steps).
        timed: timed passes of each (default: 200, and 20 training steps).

    Returns:
        ``RUNS/PROFILE/efficiency-DEVICE.json``; an earlier one of this device is replaced.

    Raises:
        SettingsError: there is no such device, or a number of clips cannot be timed.
    """
    where, run = compute_device(device), Run()
    clip, fps = profile.clip_settings(run), data_fps(run, profile)
    assert fps is not None  # clips of EchoNet-Dynamic and its phantom keep the video's frames
    model, origin = _fresh(profile, clip, where), provenance(where)
    found = Efficiency(
        profile=profile.name,
        encoder=profile.encoder,
        clip=clip,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        fps=fps,
        threads=0 if where.type == "cuda" else origin["threads"],
        torch=origin["versions"]["torch"],
        **{name: origin[name] for name in ("device", "commit", "uncommitted_changes", "finished")},
        timings=measure_passes(model, clip, where, batches, warmup=warmup, timed=timed),
        training=measure_steps(model, clip, profile.recipe(run), where, training, warmup=warmup, timed=timed),
    )
    return _keep(found, (runs_dir or default_runs_dir()) / profile.name)


def _fresh(profile: Profile, clip: ClipSettings, device: torch.device) -> CoReEcho:
    """The profile's network with weights of seed 0, laid out in memory as trainings have it."""
    torch.manual_seed(0)
    return with_channels_last(build_model(profile.encoder, profile.recipe(Run()), 55.0, clip=clip).to(device))


def measured(profile: Profile, runs_dir: Path | None = None) -> list[Efficiency]:
    """What has been measured at a profile's scale, one per device, by file name.

    Raises:
        RecordError: a file is damaged, was edited, or is of another network than the profile's.
    """
    folder = (runs_dir or default_runs_dir()) / profile.name
    return [_read(path, profile) for path in sorted(folder.glob("efficiency-*.json"))]


def speed_table(profiles: Sequence[Profile], runs_dir: Path | None = None) -> pd.DataFrame:
    """Milliseconds per clip by device, the published figure first; a profile without a measurement is not yet run."""
    paper = published()["efficiency"]
    mean, sd = paper["inference_ms_per_clip_mean"], paper["inference_ms_per_clip_sd"]
    lines = [_speed_line("published", "36 × 112 × 112", paper["device"], "not said", f"{mean:.2f} ± {sd:.2f}", "–")]
    for profile in profiles:
        for each in measured(profile, runs_dir):
            size = f"{each.clip.frames} × {each.clip.size} × {each.clip.size}"
            lines += [
                _speed_line(
                    f"{profile.name} ({each.parameters / 1e6:.2g} M parameters)",
                    size,
                    each.device + (f", threads: {each.threads}" if each.threads else ""),
                    timing.text,
                    f"{timing.mean_ms:.2f} ± {timing.sd_ms:.2f}",
                    f"{each.real_time(timing):,.0f}×",
                )
                for timing in each.timings
            ]
        if lines[-1]["Profile"].partition(" ")[0] != profile.name:
            lines.append(_speed_line(profile.name, "–", "–", "–", "not yet run", "–"))
    return pd.DataFrame(lines)


def training_table(records: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Wall time of every training, with validation and without it, the published figure first.

    Args:
        records: by row name.
    """
    paper = published()["efficiency"]
    lines = [
        {
            "Row": "published, CoReEcho",
            "Seed": "not said",
            "Data": "EchoNet-Dynamic",
            "Device": paper["device"],
            "Epochs": "25 + 5",
            "With validation (min)": f"{60 * paper['training_hours']:.0f} (validation: not said)",
            "Without (min)": "–",
        }
    ]
    for name, own in records.items():
        for each in own:
            stages = list(dict.fromkeys(entry["stage"] for entry in each.history))
            epochs = [sum(entry["stage"] == stage for entry in each.history) for stage in stages]
            whole, validation = each.training_seconds, validation_seconds(each)
            lines.append(
                {
                    "Row": name,
                    "Seed": str(each.run.seed),
                    "Data": f"{each.data['label']}, {each.profile.name}",
                    "Device": str(each.provenance["device"]),
                    "Epochs": " + ".join(str(count) for count in epochs),
                    "With validation (min)": f"{whole / 60:.2f}",
                    "Without (min)": NOT_RECORDED if validation is None else f"{(whole - validation) / 60:.2f}",
                }
            )
    return pd.DataFrame(lines)


def validation_seconds(record: Record) -> float | None:
    """Wall time of a record's validation passes, or none where its training did not write it down."""
    each = [entry.get("val_seconds") for entry in record.history]
    return None if not each or None in each else float(sum(value for value in each if value is not None))


def _speed_line(profile: str, size: str, device: str, batch: str, ms: str, real_time: str) -> dict[str, str]:
    return {
        "Profile": profile,
        "Clip": size,
        "Device": device,
        "Clips in a pass": batch,
        "ms per clip": ms,
        "Faster than real time": real_time,
    }


def _read(path: Path, profile: Profile) -> Efficiency:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        digest = content.pop("digest")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise RecordError(f"{path}: not a complete measurement; remove it and measure again") from None
    if digest != digest_of(content):
        raise RecordError(f"{path}: edited after it was written (its digest differs); restore it or measure again")
    try:
        found = from_dict(Efficiency, content)
    except CoReEchoError as error:
        raise RecordError(f"{path}: {error}; measure again") from None
    if (found.profile, found.encoder, found.clip) != (profile.name, profile.encoder, profile.clip_settings(Run())):
        raise RecordError(f"{path}: of another network or clip than profile {profile.name!r} has now; measure again")
    return found


def _keep(found: Efficiency, folder: Path) -> Path:
    """Writes a measurement into its profile's folder, with a digest of itself."""
    slug = re.sub(r"[^a-z0-9]+", "-", found.device.lower()).strip("-")
    path, content = folder / f"efficiency-{slug}.json", to_dict(found)
    text = json.dumps(content | {"digest": digest_of(content)}, indent=1, sort_keys=True)
    replace_file(path, lambda partial: partial.write_text(text + "\n", encoding="utf-8"))
    return path
