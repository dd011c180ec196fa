"""The clinical view's tables: one line per system and data set, every cell with its 95 % interval over patients.

Systems run on real hearts stand in lines of their own, which say "not yet run" until records of the paper profile
exist; a phantom's lines name the phantom.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from numpy.typing import ArrayLike

from coreecho.clinical import agreement, bands, calibration, classes, thresholds
from coreecho.clinical.scored import Scored
from coreecho.resampling import Interval
from coreecho.tables import NOT_RUN, REPRODUCED, Table

Points = Callable[[ArrayLike, ArrayLike], Mapping[str, float]]
Formats = Mapping[str, tuple[str, int, float]]
"""By metric: its heading, decimals and factor."""
AGREEMENT: Formats = {
    "bias": ("Bias (EF points)", 2, 1),
    "sd": ("SD of differences", 2, 1),
    "lower": ("Lower limit of agreement", 1, 1),
    "upper": ("Upper limit of agreement", 1, 1),
    "slope": ("Proportional bias (points per 10 points of EF)", 2, 10),
}
CALIBRATION: Formats = {
    "slope": ("Calibration slope", 3, 1),
    "intercept": ("Intercept (EF points)", 1, 1),
    "at50": ("Mean listed EF where 50 is predicted", 1, 1),
}
GAPS: Formats = {
    "predicted": ("Mean predicted EF", 1, 1),
    "listed": ("Mean listed EF", 1, 1),
    "gap": ("Listed minus predicted", 1, 1),
}
THRESHOLDS: Formats = {
    "auc": ("AUC", 3, 1),
    "sens": ("Sensitivity (%)", 1, 100),
    "spec": ("Specificity (%)", 1, 100),
    "ppv": ("PPV (%)", 1, 100),
    "npv": ("NPV (%)", 1, 100),
}
CLASSES: Formats = {"accuracy": ("Right class (%)", 1, 100), "kappa": ("Weighted kappa", 3, 1)}
ERRORS: Formats = {"mae": ("MAE", 2, 1), "bias": ("Bias", 2, 1)}
COUNTS = ("True positive", "False positive", "False negative", "True negative")


def agreement_table(found: Sequence[Scored], waiting: bool = False) -> Table:
    """Bland-Altman of each system: bias, limits of agreement, proportional bias.

    Args:
        found: the systems, and the oracle.
        waiting: whether a line says that real hearts are not yet run; as in the other tables.
    """
    return _table(found, AGREEMENT, agreement.bootstrap, agreement.agreement_metrics, waiting)


def calibration_table(found: Sequence[Scored], waiting: bool = False) -> Table:
    """Slope and intercept of the listed on the predicted EF."""
    return _table(found, CALIBRATION, calibration.bootstrap, calibration.calibration_metrics, waiting)


def calibration_bands(found: Sequence[Scored]) -> Table:
    """Mean predicted and mean listed EF of each system by band of its predicted EF, and how far they are apart."""
    lines, numbers = [], []
    for each in found:
        measured = calibration.by_prediction(each.labels, each.predictions)
        sizes = bands.inside(each.predictions).sum(axis=2)  # (B, S)
        for name, own, size in zip(bands.names(), measured, sizes, strict=True):
            line = {"Data": each.data, "System": each.system, "Predicted EF (%)": name}
            line |= {"Videos, by seed": ", ".join(f"{n:.0f}" for n in size)}
            lines.append(line | {form[0]: cell(own[metric], form) for metric, form in GAPS.items()})
            numbers += [number(each, metric, own[metric], form) | {"group": name} for metric, form in GAPS.items()]
    return Table(pd.DataFrame(lines), pd.DataFrame(numbers))


def classes_table(found: Sequence[Scored], waiting: bool = False) -> Table:
    """How often the class of heart failure by EF is right, and how well it agrees beyond chance."""
    return _table(found, CLASSES, classes.bootstrap, classes.class_metrics, waiting)


def thresholds_table(found: Sequence[Scored], waiting: bool = False) -> Table:
    """AUC, sensitivity, specificity and predictive values of each system at each of `thresholds.CUTS`."""
    parts = []
    for cut in thresholds.CUTS:
        part = _table(
            found,
            THRESHOLDS,
            lambda y, p, cut=cut: thresholds.bootstrap(y, p, cut),  # type: ignore[misc]
            lambda y, p, cut=cut: thresholds.threshold_metrics(y, p, cut),  # type: ignore[misc]
            waiting,
        )
        name = f"under {cut:g} %"
        display = part.display.copy()
        display.insert(0, "EF", name)
        parts.append(Table(display, part.numbers.assign(group=name)))
    return _joined(parts)


def counts_table(found: Sequence[Scored]) -> pd.DataFrame:
    """The four cells of each 2 x 2 table, each seed's number."""
    lines = []
    for cut in thresholds.CUTS:
        for each in found:
            cells = thresholds.counts(each.labels, each.predictions, cut).T  # (4, S)
            line = {"EF": f"under {cut:g} %", "Data": each.data, "System": each.system}
            lines.append(line | {name: ", ".join(map(str, own)) for name, own in zip(COUNTS, cells, strict=True)})
    return pd.DataFrame(lines)


def bands_table(found: Sequence[Scored], shown: Sequence[str] = ()) -> Table:
    """MAE and bias of each system by band of the listed EF, systems side by side.

    Args:
        found: the systems, and the oracle, all of one test set.
        shown: names of the rows that get columns for readers, all by default; numbers are given for every system.
    """
    members = bands.inside(found[0].labels)
    lines: list[dict[str, str]] = [
        {"Listed EF (%)": name, "Videos": f"{own.sum():.0f}"} for name, own in zip(bands.names(), members, strict=True)
    ]
    numbers = []
    for each in found:
        errors = bands.by_group(each.labels, each.predictions, bands.inside(each.labels))
        for name, line, own in zip(bands.names(), lines, errors, strict=True):
            if not shown or each.row in shown:
                line |= {f"{each.system}: {ERRORS[metric][0]}": cell(own[metric], ERRORS[metric]) for metric in ERRORS}
            numbers += [number(each, metric, own[metric], ERRORS[metric]) | {"group": name} for metric in ERRORS]
    return Table(pd.DataFrame(lines), pd.DataFrame(numbers), (f"Data: {found[0].data}.",))


def cell(found: Interval, form: tuple[str, int, float]) -> str:
    """Estimate and interval; a dash where there is nothing to compute them from."""
    _, digits, factor = form
    each = found.times(factor)
    if each.estimate != each.estimate:
        return "–"
    values = [_plain(f"{value:.{digits}f}") for value in (each.estimate, each.low, each.high)]
    return f"{values[0]} [{values[1]}, {values[2]}]"


def number(each: Scored, metric: str, found: Interval, form: tuple[str, int, float]) -> dict[str, object]:
    """The same as plain numbers, with the runs that they rest on."""
    title, _, factor = form
    scaled = found.times(factor)
    known: dict[str, object] = {"row": each.row, "system": each.system, "data": each.data, "metric": title}
    values: dict[str, object] = {
        "value": round(scaled.estimate, 4),
        "low": round(scaled.low, 4),
        "high": round(scaled.high, 4),
    }
    return known | values | {"seeds": " ".join(map(str, each.seeds)), "runs": " ".join(each.runs)}


def _table(
    found: Sequence[Scored],
    formats: Formats,
    intervals: Callable[[ArrayLike, ArrayLike], Mapping[str, Interval]],
    points: Points,
    waiting: bool,
) -> Table:
    lines, numbers = [], []
    for each in found:
        own = intervals(each.labels, each.predictions)
        by_seed = [points(each.labels, seed) for seed in each.predictions]
        line = {"Data": each.data, "System": each.system}
        lines.append(line | {form[0]: cell(own[metric], form) for metric, form in formats.items()})
        for metric, form in formats.items():
            told = " ".join(f"{form[2] * seed[metric]:.4f}" for seed in by_seed)
            numbers.append(number(each, metric, own[metric], form) | {"by_seed": told})
    if waiting:
        lines.append({"Data": REPRODUCED, "System": "all"} | {form[0]: NOT_RUN for form in formats.values()})
    return Table(pd.DataFrame(lines), pd.DataFrame(numbers))


def _joined(parts: Sequence[Table]) -> Table:
    display = pd.concat([part.display for part in parts], ignore_index=True)
    return Table(display, pd.concat([part.numbers for part in parts], ignore_index=True))


def _plain(text: str) -> str:
    """What rounds to nothing has no sign."""
    return text.removeprefix("-") if not text.strip("-0.") else text
