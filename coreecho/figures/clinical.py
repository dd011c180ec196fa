"""The clinical view drawn: Bland-Altman, calibration, ROC, classes of heart failure, errors by EF and by picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from coreecho.clinical import agreement, bands, calibration, classes, thresholds
from coreecho.clinical.pictures import Graded
from coreecho.clinical.scored import ORACLE, Scored
from coreecho.datasets.camus_info import QUALITIES
from coreecho.figures.style import BLACK, GREY, STYLE, Look, look
from coreecho.resampling import Interval

WIDTH = 6.3
"""Of a printed page in inches."""
OWN: Any = STYLE | {"font.size": 8, "axes.titlesize": 8.5, "legend.fontsize": 7.5}
MINUS = "\N{MINUS SIGN}"
ORACLE_LOOK = Look(BLACK, "x", ":")
MOST_LEVEL = 0.6
"""Share of a row beyond which a cell is so dark that its text is white."""


def agreement_panels(found: Sequence[Scored]) -> Figure:
    """Bland-Altman: one panel per system, each test video's difference against the mean of both EFs, mean over seeds.

    Lines: the bias (solid), the limits of agreement (dashed), with their 95 % intervals shaded, and no difference.
    """
    with mpl.rc_context(OWN):
        figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
        panels = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
        for panel, each in zip(panels, found, strict=True):
            drawn, mean = _look(each.system), each.predictions.mean(axis=0)
            panel.scatter(
                (mean + each.labels) / 2, mean - each.labels, s=9, color=drawn.colour, marker=drawn.marker, alpha=0.6,
                linewidth=0,
            )  # fmt: skip
            panel.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
            measured = agreement.bootstrap(each.labels, each.predictions)
            for metric, line in (("bias", "-"), ("lower", "--"), ("upper", "--")):
                own = measured[metric]
                panel.axhline(own.estimate, color=BLACK, linewidth=1, linestyle=line)
                panel.axhspan(own.low, own.high, color=GREY, alpha=0.25, linewidth=0)
            bias, lower, upper = (_signed(measured[metric].estimate) for metric in ("bias", "lower", "upper"))
            panel.set_title(f"{each.system}\nbias {bias}, limits {lower} to {upper}")
            panel.set_xlabel("mean of both EFs (%)")
        panels[0].set_ylabel(f"predicted {MINUS} listed (EF points)")
        figure.suptitle(_data(found), fontsize=8.5)
    return figure


def calibration_panels(found: Sequence[Scored]) -> Figure:
    """Mean listed EF by band of the predicted EF, and how far it lies from the mean predicted one."""
    with mpl.rc_context(OWN):
        figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
        whole, apart = figure.subplots(1, 2)
        whole.plot([10, 80], [10, 80], color=GREY, linewidth=0.8, linestyle=":", label="listed as predicted")
        apart.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
        for place, each in enumerate(found):
            measured = calibration.by_prediction(each.labels, each.predictions)
            at = np.array([own["predicted"].estimate for own in measured])
            aside = 0.7 * (place - (len(found) - 1) / 2)  # so that bars of one band do not hide each other
            _bars(whole, at, [own["listed"] for own in measured], each.system)
            _bars(apart, at + aside, [own["gap"] for own in measured], each.system)
        whole.set(xlabel="mean predicted EF of a band (%)", ylabel="mean listed EF (%)", aspect="equal")
        apart.set(xlabel="mean predicted EF of a band (%)", ylabel=f"listed {MINUS} predicted (EF points)")
        whole.legend(frameon=False, loc="upper left")
        figure.suptitle(f"{_data(found)}; bars: 95 % intervals", fontsize=8.5)
    return figure


def roc_panels(found: Sequence[Scored]) -> Figure:
    """One ROC curve per system and cut, averaged over seeds; a point where the predicted EF is taken at its word."""
    with mpl.rc_context(OWN):
        figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
        panels = figure.subplots(1, len(thresholds.CUTS), sharex=True, sharey=True)
        for panel, cut in zip(panels, thresholds.CUTS, strict=True):
            panel.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle=":")
            for each in found:
                if not 0 < (each.labels < cut).sum() < len(each.labels):
                    continue
                drawn, measured = _look(each.system), thresholds.bootstrap(each.labels, each.predictions, cut)
                alarms, hits = (np.append(0, 100 * values) for values in (
                    thresholds.GRID, thresholds.curve(each.labels, each.predictions, cut)
                ))  # fmt: skip
                panel.plot(alarms, hits, color=drawn.colour, linestyle=drawn.line, linewidth=1.2)
                area = measured["auc"]
                told = f"{each.system}: {area.estimate:.3f} [{area.low:.3f}, {area.high:.3f}]"
                point = 100 * (1 - measured["spec"].estimate), 100 * measured["sens"].estimate
                panel.plot(*point, marker=drawn.marker, color=drawn.colour, linestyle=drawn.line, label=told)
            panel.set(title=f"EF under {cut:g} %", xlabel=f"100 {MINUS} specificity (%)", aspect="equal")
            if panel.get_legend_handles_labels()[0]:
                panel.legend(loc="lower right", title="AUC [95 % interval]", title_fontsize=7.5, edgecolor="none")
        panels[0].set_ylabel("sensitivity (%)")
        figure.suptitle(f"{_data(found)}; points: a predicted EF under the cut", fontsize=8.5)
    return figure


def class_panels(found: Sequence[Scored]) -> Figure:
    """Listed against predicted class of heart failure: numbers of videos, mean over seeds, shaded by share of a row."""
    with mpl.rc_context(OWN):
        figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
        panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        short = [name.replace(" (", "\n(") for name in classes.NAMES]
        for panel, each in zip(panels, found, strict=True):
            counts = classes.matrices(each.labels, each.predictions).mean(axis=0)  # (3, 3)
            rows = counts.sum(axis=1, keepdims=True)
            shares = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
            panel.imshow(shares, cmap="Greys", vmin=0, vmax=1, aspect="auto")
            for (row, column), share in np.ndenumerate(shares):
                colour = "white" if share > MOST_LEVEL else "black"
                told = f"{counts[row, column]:.1f}".removesuffix(".0") + f"\n({100 * share:.0f} %)"
                panel.text(column, row, told, ha="center", va="center", color=colour)
            panel.set(title=each.system, xlabel="class of the predicted EF", xticks=range(3), yticks=range(3))
            panel.set_xticklabels([name.split(" (")[0] for name in classes.NAMES])
            panel.set_yticklabels(short)
            panel.spines[:].set_visible(True)
        panels[0].set_ylabel("class of the listed EF")
        figure.suptitle(f"{_data(found)}; videos, and their share of a row", fontsize=8.5)
    return figure


def error_panels(found: Sequence[Scored], graded: Sequence[Graded] = ()) -> Figure:
    """MAE and bias by band of the listed EF and, where there are grades, by CAMUS's quality of the picture."""
    with mpl.rc_context(OWN):
        figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
        columns = 2 if graded else 1
        panels = figure.subplots(2, columns, sharex="col", sharey="row", squeeze=False, width_ratios=[5, 3][:columns])
        members = bands.inside(found[0].labels)
        by_band = {each.system: _errors(each, bands.inside(each.labels)) for each in found}
        names = [f"{name.replace(' to under ', '–').replace(' and over', '+').replace('under ', '<')}"
                 for name in bands.names()]  # fmt: skip
        _groups(panels[:, 0], by_band, [f"{name}\n({own.sum():.0f})" for name, own in zip(names, members, strict=True)])
        panels[1, 0].set_xlabel("listed EF (%) (number of videos)")
        panels[0, 0].set_title(_data(found))
        if graded:
            by_grade = {each.scored.system: _errors(each.scored, each.members) for each in graded}
            grades = [f"{name}\n({own.sum():.0f})" for name, own in zip(QUALITIES, graded[0].members, strict=True)]
            _groups(panels[:, 1], by_grade, grades)
            panels[1, 1].set_xlabel("picture quality (patients)")
            panels[0, 1].set_title(f"{_data([each.scored for each in graded])},\nfine-tuned")
        panels[0, 0].set(ylabel="MAE (EF points)", ylim=(0, None))
        panels[1, 0].set_ylabel("bias (EF points)")
        handles, systems = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, systems, loc="outside lower center", ncols=len(found), frameon=False)
    return figure


def _errors(each: Scored, members: np.ndarray) -> list[dict[str, Interval]]:
    return bands.by_group(each.labels, each.predictions, members)


def _groups(panels: Iterable[Axes], errors: Mapping[str, Sequence[Mapping[str, Interval]]], ticks: list[str]) -> None:
    """MAE in the first panel and bias in the second, systems beside each other in every group."""
    for panel, metric in zip(panels, bands.METRICS, strict=True):
        if metric == "bias":
            panel.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
        for place, (system, groups) in enumerate(errors.items()):
            at = np.arange(len(groups)) + 0.16 * (place - (len(errors) - 1) / 2)
            _bars(panel, at, [own[metric] for own in groups], system, joined=False)
        panel.set_xticks(range(len(ticks)), ticks)


def _bars(panel: Axes, at: np.ndarray, found: Sequence[Interval], system: str, joined: bool = True) -> None:
    """Estimates with their intervals, in the system's colour, marker and line."""
    drawn = _look(system)
    values = np.array([[own.estimate, own.low, own.high] for own in found])  # (B, 3)
    reach = np.clip([values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]], 0, None)
    panel.errorbar(
        at, values[:, 0], yerr=reach, color=drawn.colour, marker=drawn.marker, markersize=4, capsize=2,
        elinewidth=1, linewidth=0.8, linestyle=drawn.line if joined else "none", label=system,
    )  # fmt: skip


def _look(system: str) -> Look:
    return ORACLE_LOOK if system == ORACLE else look(system)


def _signed(value: float) -> str:
    """One decimal with a proper minus; what rounds to nothing has no sign."""
    text = f"{value:.1f}".replace("-", MINUS)
    return text.removeprefix(MINUS) if text == f"{MINUS}0.0" else text


def _data(found: Sequence[Scored]) -> str:
    """Which data and profile the numbers were made on."""
    return "; ".join(dict.fromkeys(each.data for each in found))
