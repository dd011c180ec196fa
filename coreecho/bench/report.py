"""What `coreecho bench` found on a device, as text, and as a file that stays beside the records.

report = make_report(run_benchmarks())
print(report.text())
save(report)                    # runs/bench/DEVICE-COMMIT.json; the book's page shows all of them
"""

from __future__ import annotations

import json
import os
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from coreecho.bench.measure import MILLISECONDS, Result
from coreecho.errors import CoReEchoError, RecordError
from coreecho.files import default_runs_dir, replace_file
from coreecho.provenance import device_name, provenance
from coreecho.settings_text import from_dict, to_dict

FOLDER = "bench"
GOAL = re.compile(r"([≥≤<]) ([\d.]+) ?(×|ms|s|%|MB|GB)")
UNITS = {"s": 1e3, "ms": 1.0, "%": 1.0, "MB": 1.0, "GB": 1e3}
NO_HIGHER, TOLERANCE = "memory no higher", 1.02
"""A goal in words, and the factor up to which it counts as reached: pages and caches differ between two processes."""
QUIET = 0.25
"""Load of a processor core below which other work does not disturb a measurement."""
WIDTH = 100
HEADER = ("", "literal", "ours", "ratio (5-95 %)", "peak memory, MB", "goal", "")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Results of one call on one device."""

    processor: str
    gpu: str | None
    threads: int
    load: float
    """Processes that waited for the processor, per core, averaged over the minute before."""
    torch: str
    commit: str | None
    uncommitted_changes: bool
    finished: str
    results: tuple[Result, ...]

    @property
    def device(self) -> str:
        """What the results are told by: the GPU's name, or the processor's."""
        return self.gpu or self.processor

    @property
    def missed(self) -> tuple[Result, ...]:
        """Results that have a goal and do not reach it."""
        return tuple(each for each in self.results if reached(each) is False)

    def text(self) -> str:
        """A table of at most 100 columns where names and goals are short, and what each row is below it."""
        lines = [HEADER, *map(_cells, self.results)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        what = [textwrap.fill(f"{each.name}: {each.what}", WIDTH, subsequent_indent="  ") for each in self.results]
        return "\n".join([textwrap.fill(self.heading(), WIDTH), "", *table, "", *what])

    def heading(self) -> str:
        """Device, threads, version and load in one line."""
        devices = f"{self.gpu} with {self.processor}" if self.gpu else self.processor
        return f"{devices}, threads: {self.threads}, torch {self.torch}, load before: {self.load:.2f} a core; medians"


def load() -> float:
    """Processes that waited for the processor in the last minute, per core; 0 where the system does not say."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0


def make_report(results: list[Result], load_before: float) -> Report:
    """Results with what they were measured on."""
    origin = provenance(torch.device("cpu"))
    return Report(
        processor=origin["device"],
        gpu=device_name(torch.device("cuda")) if torch.cuda.is_available() else None,
        threads=origin["threads"],
        load=round(load_before, 2),
        torch=origin["versions"]["torch"],
        commit=origin["commit"],
        uncommitted_changes=origin["uncommitted_changes"],
        finished=origin["finished"],
        results=tuple(results),
    )


def save(report: Report, runs_dir: Path | None = None) -> Path:
    """Keeps a report as ``RUNS/bench/DEVICE-COMMIT.json``; an earlier one of this device and commit is replaced."""
    slug = re.sub(r"[^a-z0-9]+", "-", report.device.lower()).strip("-")
    path = (runs_dir or default_runs_dir()) / FOLDER / f"{slug}-{(report.commit or 'no-commit')[:10]}.json"
    text = json.dumps(to_dict(report), indent=1, ensure_ascii=False)
    replace_file(path, lambda partial: partial.write_text(text + "\n", encoding="utf-8"))
    return path


def saved(runs_dir: Path | None = None) -> list[Report]:
    """All reports that were kept, the newest first.

    Raises:
        RecordError: a file is damaged or of another version.
    """
    folder = (runs_dir or default_runs_dir()) / FOLDER
    reports = [_read(path) for path in sorted(folder.glob("*.json"))]
    return sorted(reports, key=lambda report: report.finished, reverse=True)


def reached(result: Result) -> bool | None:
    """Whether a result reaches all of its goals; none where it has none, or where their memory was not measured.

    Raises:
        CoReEchoError: a goal is written in no way that can be checked.
    """
    found = [_reached(goal.strip(), result) for goal in result.goal.split(",") if goal.strip()]
    return None if not found or None in found else all(found)


def _reached(goal: str, result: Result) -> bool | None:
    if goal == NO_HIGHER:
        own, other = result.ours_mb, result.literal_mb
        return None if own is None or other is None else own <= TOLERANCE * other
    match = GOAL.fullmatch(goal)
    if match is None:
        raise CoReEchoError(f"benchmark {result.name}: goal {goal!r} is no bound; write such as '≥ 20×' or '< 4 s'")
    sign, number, unit = match.groups()
    bound = float(number)
    if unit == "×":
        found = result.ratio
    elif unit == result.unit:
        found = result.ours
    else:  # seconds of a time, or megabytes of the peak beside it
        found, bound = result.ours_mb if unit.endswith("B") else result.ours, bound * UNITS[unit]
    if found is None:
        return None
    return found >= bound if sign == "≥" else found <= bound if sign == "≤" else found < bound


def amount(value: float | None, unit: str) -> str:
    """A number with its unit, at three digits; times from a second on in seconds."""
    if value is None:
        return "–"
    if unit == MILLISECONDS and value >= 1000:
        value, unit = value / 1000, "s"
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def ratio(result: Result) -> str:
    """The median ratio with its spread, or the spread of the times where there is no ratio."""
    if result.ratio is None:
        return f"({amount(result.low, result.unit)} to {amount(result.high, result.unit)})"
    return f"{result.ratio:.3g} ({result.low:.3g}-{result.high:.3g})"


def memory(result: Result) -> str:
    """Peak memory in MB, the literal version's first."""
    both = ["–" if value is None else f"{value:.0f}" for value in (result.literal_mb, result.ours_mb)]
    return " → ".join(both) if result.ours_mb is not None else "–"


def verdict(result: Result) -> str:
    """Whether the goal was reached, in a word."""
    return {True: "reached", False: "missed", None: ""}[reached(result)]


def _cells(result: Result) -> tuple[str, ...]:
    times = amount(result.literal, result.unit), amount(result.ours, result.unit)
    return (result.name, *times, ratio(result), memory(result), result.goal, verdict(result))


def _read(path: Path) -> Report:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise RecordError(f"{path}: not a complete measurement; remove it and measure again") from None
    try:
        return from_dict(Report, content)
    except CoReEchoError as error:
        raise RecordError(f"{path}: {error}; remove it and measure again") from None
