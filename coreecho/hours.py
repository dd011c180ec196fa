"""Hours that all runs of the paper take on 1, 8 and 64 devices, from a speed that was measured (section 4.1).

A measured speed turns the operations of each run (`coreecho.workload`) into hours, and the runs are laid out on the
devices as a cluster would (`coreecho.layout`). Each run stays on one device. Reading videos is left out: it happens
beside the computing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from coreecho.baselines import SYSTEMS
from coreecho.efficiency import Efficiency, measured
from coreecho.experiments import TABLES, all_runs, find_run
from coreecho.files import default_runs_dir
from coreecho.flops import H100, TRAINING, Precision, forward_flops, utilisation
from coreecho.layout import lay_out
from coreecho.lineage import with_ancestors
from coreecho.records import Record, list_records
from coreecho.rows import published
from coreecho.settings import Profile, Run
from coreecho.workload import Videos, Work, work

DEVICES = (1, 8, 64)
NOT_MEASURED = "not yet measured on a GPU"
ARITHMETIC = "arithmetic from FLOPs, no measurement"


@dataclass(frozen=True)
class Speed:
    """Operations per second of one device, when it learns and when it only looks."""

    name: str
    learning: float
    looking: float

    def seconds(self, what: Work) -> float:
        """Time on this device."""
        return what.flops * (TRAINING * what.learned / self.learning + what.seen / self.looking)


def speed_of(found: Efficiency, profile: Profile) -> Speed | None:
    """The speed that a measurement shows, by its fastest training step and its fastest pass; none without steps."""
    if not found.training or not found.timings:
        return None
    flops = forward_flops(profile, Run())
    step, look = (min(times, key=lambda each: each.mean_ms) for times in (found.training, found.timings))
    name = f"{found.device}, threads: {found.threads}" if found.threads else found.device
    return Speed(f"{name}, {step.text} clips a step", 1e3 * TRAINING * flops / step.mean_ms, 1e3 * flops / look.mean_ms)


def speeds(profile: Profile, runs_dir: Path | None = None, *, gpu: bool) -> list[Speed]:
    """What was measured of a profile's network, on GPUs or on processors."""
    kept = [each for each in measured(profile, runs_dir) if (each.threads == 0) == gpu]
    return [speed for each in kept if (speed := speed_of(each, profile)) is not None]


def assumed(share: float) -> Speed:
    """A share of an H100's published peak in bf16: arithmetic, no measurement."""
    peak = H100.peaks["bf16"]
    name = f"{share:.0%} of an H100's {peak:,.0f} TFLOP/s ({ARITHMETIC})"
    return Speed(name, *[share * 1e12 * peak] * 2)


def implied(profile: Profile) -> Speed:
    """The speed at which CoReEcho's training on EchoNet-Dynamic takes the hours that the paper prints."""
    paper = published()["efficiency"]
    rate = work(find_run("table1/coreecho"), profile).total / (3600 * paper["training_hours"])
    return Speed(
        f"published: {paper['training_hours']:.0f} hours for CoReEcho, {paper['device']} (not measured here)",
        rate,
        rate,
    )


def paper_runs(profile: Profile) -> list[Run]:
    """Every run of the encoders that the paper trains and what it starts from, each once, ancestors first."""
    return with_ancestors(list(_counted().values()), profile)


def _counted() -> dict[str, Run]:
    """All runs but those of systems with a network of their own, whose operations are not counted."""
    return {name: run for name, run in all_runs().items() if _is_counted(run)}


def _is_counted(run: Run) -> bool:
    """Whether the run's network is one whose operations are counted."""
    system = SYSTEMS.get(run.method)
    return system is None or system.network is None


def work_table(profile: Profile) -> pd.DataFrame:
    """What each table computes; a run that fills cells of several counts where it comes first."""
    counted: set[Run] = set()
    lines = []
    for table in TABLES:
        own = [run for name, run in _counted().items() if name.startswith(f"{table}/")]
        runs = [run for run in with_ancestors(list(dict.fromkeys(own)), profile) if run not in counted]
        counted |= set(runs)
        lines += [_work_line(table, [work(run, profile) for run in runs])] if runs else []
    return pd.DataFrame([*lines, _work_line("all", [work(run, profile) for run in paper_runs(profile)])])


def _work_line(table: str, works: Sequence[Work]) -> dict[str, str]:
    return {
        "Table": table,
        "Runs": str(len(works)),
        "Clips learned from (millions)": f"{sum(each.learned for each in works) / 1e6:.2f}",
        "Clips only seen (millions)": f"{sum(each.seen for each in works) / 1e6:.2f}",
        "Operations (PFLOP)": f"{sum(each.total for each in works) / 1e15:,.0f}",
    }


def hours_table(profile: Profile, rates: Iterable[Speed], devices: Sequence[int] = DEVICES) -> pd.DataFrame:
    """Hours for all runs at each speed, by number of devices."""
    works = {run: work(run, profile) for run in paper_runs(profile)}
    lines = []
    for speed in rates:
        times = {run: speed.seconds(each) for run, each in works.items()}
        plans = {count: lay_out(times, profile, count) for count in devices}
        line = {"Speed of one device": speed.name}
        for count, each in plans.items():
            line[f"{count} device{'s' if count > 1 else ''} (h)"] = f"{_hours(each.seconds)} ({each.busy:.0%} busy)"
        lines.append(line | {"Longest chain of runs (h)": _hours(plans[devices[0]].chain_seconds)})
    return pd.DataFrame(lines)


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 10 else f"{hours:.2f}"


def predicted(profile: Profile, runs_dir: Path | None = None) -> pd.DataFrame:
    """Hours from what was measured of a profile's network: a row for each GPU, or a word that there is none; then CPUs.

    Raises:
        RecordError: a measurement is damaged, was edited, or is of another network.
    """
    table = hours_table(profile, speeds(profile, runs_dir, gpu=True) + speeds(profile, runs_dir, gpu=False))
    if speeds(profile, runs_dir, gpu=True):
        return table
    columns = list(hours_table(profile, [assumed(0.1)]).columns)
    blank = dict.fromkeys(columns, "–") | {columns[0]: f"GPU: {NOT_MEASURED}"}
    return pd.concat([pd.DataFrame([blank]), table], ignore_index=True)


def chain_table(profile: Profile) -> pd.DataFrame:
    """The longest chain of runs: what has to be waited for on however many devices."""
    works = {run: work(run, profile) for run in paper_runs(profile)}
    chain = lay_out({run: float(each.total) for run, each in works.items()}, profile, 1).chain
    names = {run: name for name, run in reversed(all_runs().items())}
    return pd.DataFrame(
        {"Run": names.get(run, run.slug), "Operations (PFLOP)": f"{works[run].total / 1e15:,.1f}"} for run in chain
    )


def measured_table(profile: Profile, runs_dir: Path | None = None) -> pd.DataFrame:
    """Every measured pass and training step of a profile's network: time, operations per second, share of the peak."""
    flops = forward_flops(profile, Run())
    lines = []
    for found in measured(profile, runs_dir):
        for what, passes, timings in (("pass", 1, found.timings), ("training step", TRAINING, found.training)):
            for each in timings:
                rate = 1e3 * passes * flops / each.mean_ms
                precision: Precision = "bf16" if each.precision == "bf16" else "float32"
                share = utilisation(rate, found.device, precision)
                lines.append(
                    {
                        "Device": found.device,
                        "What": what,
                        "Clips": each.text,
                        "ms per clip": f"{each.mean_ms:,.2f} ± {each.sd_ms:.2f}",
                        "TFLOP/s": f"{rate / 1e12:,.2f}",
                        "Share of the published peak": "peak not known" if share is None else f"{share:.0%}",
                    }
                )
    return pd.DataFrame(lines)


def trust_table(profile: Profile, runs_dir: Path | None = None) -> pd.DataFrame:
    """`check_table` of a profile's records from one kind of device whose speed was measured, the first there is."""
    records = list_records(runs_dir or default_runs_dir(), profile.name)
    for found in measured(profile, runs_dir):
        speed = speed_of(found, profile)
        own = [each for each in records if each.provenance["device"] == found.device and _is_counted(each.run)]
        if speed is not None and own:
            return check_table(own, speed)
    return pd.DataFrame([{"Runs of": f"{profile.name}: no measured training steps beside records of the same device"}])


def check_table(records: Sequence[Record], speed: Speed) -> pd.DataFrame:
    """The prediction against what trainings took, by data set and method: minutes of epochs, validation included.

    Args:
        records: of one profile, with the numbers of videos that they were trained on.
        speed: of the profile's network on the device that trained them.
    """
    lines = []
    for record in records:
        counts = record.data["counts"]
        each = work(record.run, record.profile, Videos(counts["train"], counts["val"], 0))
        what = f"{record.data['name']}, {record.run.method}"
        lines.append((what, speed.seconds(each) / 60, record.training_seconds / 60))
    frame = pd.DataFrame(lines, columns=["what", "predicted", "took"])
    sums = frame.groupby("what", sort=False).agg(
        runs=("took", "size"), predicted=("predicted", "sum"), took=("took", "sum")
    )
    sums.loc["all"] = sums.sum()
    return pd.DataFrame(
        {
            "Runs of": what,
            "Number": f"{line['runs']:.0f}",
            "Predicted (min)": f"{line['predicted']:.1f}",
            "Took (min)": f"{line['took']:.1f}",
            "Took / predicted": f"{line['took'] / line['predicted']:.2f}",
        }
        for what, line in sums.iterrows()
    )
