"""The book's page "Speed and memory": tables and a figure from the reports that were kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from coreecho.bench.measure import Result
from coreecho.bench.report import Report, amount, memory, ratio, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NONE_YET = "not yet run"


def newest(reports: Sequence[Report]) -> list[Report]:
    """The latest report of each device, of reports that are sorted from the newest on."""
    return list({report.device: report for report in reversed(reports)}.values())[::-1]


def table(report: Report) -> pd.DataFrame:
    """A row for each benchmark, with what it does and whether its goal was reached."""
    return pd.DataFrame(
        {
            "Benchmark": each.name,
            "What is measured": each.what,
            "Literal": amount(each.literal, each.unit),
            "Ours": amount(each.ours, each.unit),
            "Ratio (5–95 %)": ratio(each),
            "Peak memory, MB": memory(each),
            "Goal": " ".join(filter(None, [each.goal or "–", verdict(each)])),
        }
        for each in report.results
    )


def told(report: Report) -> str:
    """When and on what a report was measured, and which goals it missed, in sentences."""
    commit = f"commit {report.commit[:10]}" if report.commit else "no commit"
    commit += " with uncommitted changes" if report.uncommitted_changes else ""
    verdicts = [verdict(each) for each in report.results if each.goal]
    counts = f"Of {len(verdicts)} goals, {verdicts.count('reached')} were reached"
    missed = ", ".join(f"{each.name} ({each.goal})" for each in report.missed)
    outcome = f"{counts}; missed: {missed}" if missed else f"{counts} and none was missed"
    return f"{report.heading()}. Measured on {report.finished[:10]} at {commit}. {outcome}."


def history(reports: Sequence[Report], device: str) -> pd.DataFrame:
    """Ratio, or our time where there is none, of every benchmark by commit; the oldest of a device's reports first."""
    own = [report for report in reversed(reports) if report.device == device]
    names = list(dict.fromkeys(result.name for report in own for result in report.results))
    columns: dict[str, list[str]] = {"Benchmark": names}
    for report in own:
        found = {result.name: _headline(result) for result in report.results}
        columns[f"{report.finished[:10]} {(report.commit or '')[:7]}".strip()] = [
            found.get(name, "–") for name in names
        ]
    return pd.DataFrame(columns)


def ratio_figure(reports: Sequence[Report]) -> Figure:
    """Ratios of one report per device on a logarithmic axis, with their spread and the ratio that was to be reached."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    from coreecho.figures.style import BLUE, GREEN, GREY, ORANGE, STYLE

    names = list(dict.fromkeys(each.name for report in reports for each in report.results if each.ratio is not None))
    apart = np.linspace(-0.2, 0.2, len(reports)) if len(reports) > 1 else np.zeros(1)  # devices beside each other
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 1.6 + 0.4 * len(names)), layout="constrained")
        for report, offset, colour, marker in zip(reports, apart, (BLUE, ORANGE, GREEN, GREY), "osD^", strict=False):
            rows = [each for each in report.results if each.ratio is not None]
            places = [names.index(each.name) + offset for each in rows]
            middle = np.array([each.ratio for each in rows], dtype=float)
            spread = np.abs(np.array([[each.low, each.high] for each in rows]).reshape(-1, 2).T - middle)
            axes.errorbar(middle, places, xerr=spread, fmt=marker, color=colour, capsize=3, label=report.device)
        bounds = {each.name: float(goal) for report in reports for each in report.results if (goal := _bound(each))}
        at = [names.index(name) for name in bounds]
        axes.plot(list(bounds.values()), at, "|", color="black", markersize=16, label="goal")
        axes.axvline(1, color=GREY, linewidth=0.8, linestyle=":")
        axes.set(
            xscale="log", xlabel="time of the literal version over ours (×)", ylim=(max(len(names), 1) - 0.5, -0.5)
        )
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_yticks(range(len(names)), names)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    plt.close(figure)
    return figure


def _bound(result: Result) -> str:
    """The ratio that a goal asks for, as digits."""
    first = result.goal.split(",")[0]
    return first.removeprefix("≥ ").removesuffix("×") if first.endswith("×") else ""


def _headline(result: Result) -> str:
    return amount(result.ours, result.unit) if result.ratio is None else f"{result.ratio:.3g}×"
