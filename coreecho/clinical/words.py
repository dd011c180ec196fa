"""What the clinical view's numbers say, in sentences computed from them: none holds whatever the numbers are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import mean_squared_error

from coreecho.clinical import agreement, bands, calibration, classes, thresholds
from coreecho.clinical.picture_tables import Effect
from coreecho.clinical.pictures import Graded
from coreecho.clinical.scored import Scored
from coreecho.clinical.worst import Case
from coreecho.datasets.camus_info import QUALITIES
from coreecho.resampling import Interval
from coreecho.tables import NOT_RUN

FEW = 10
"""Videos of a band below which a sentence does not rest on it."""


def on_agreement(each: Scored) -> str:
    """Bias, limits of agreement and proportional bias of one system."""
    found = agreement.bootstrap(each.labels, each.predictions)
    bias, slope = found["bias"], found["slope"].times(10)
    side = "above" if bias.estimate > 0 else "below"
    first = (
        f"On average {each.system} reads the EF {abs(bias.estimate):.2f} points {side} the listed one "
        f"({told(bias, 2)}; {_zero(bias)}). Were the differences normal, 95 % of them would lie between "
        f"{found['lower'].estimate:.1f} and {found['upper'].estimate:.1f} points"
    )
    inside = np.mean(
        [np.mean((own >= low) & (own <= high)) for own, low, high in _within(each)]
    )  # of each seed's own limits
    way = "low EFs are read too high and high ones too low" if slope.estimate < 0 else (
        "low EFs are read too low and high ones too high"
    )  # fmt: skip
    trend = way if slope.excludes() else "no trend with the EF is told apart from none"
    return (
        f"{first}; {100 * inside:.1f} % do. The difference changes by {slope.estimate:+.2f} points per 10 points of EF "
        f"({told(slope, 2)}): {trend}."
    )


def on_calibration(each: Scored) -> str:
    """Slope of calibration, and the band that lies farthest from its prediction."""
    slope = calibration.bootstrap(each.labels, each.predictions)["slope"]
    if not slope.excludes(1):
        verdict = "not told apart from 1"
    elif slope.estimate < 1:
        verdict = "below 1: predictions lie too far from the average"
    else:
        verdict = "above 1: predictions lie too close to the average"
    found = calibration.by_prediction(each.labels, each.predictions)
    least = bands.inside(each.predictions).sum(axis=2).min(axis=1)  # (B,): fewest videos of a seed
    rows = [
        (abs(own["gap"].estimate), name, own)
        for name, own, n in zip(bands.names(), found, least, strict=True)
        if n >= FEW
    ]
    text = f"{each.system}'s slope of calibration is {slope.estimate:.3f} ({told(slope, 3)}), {verdict}."
    if not rows:
        return text
    if each.truth is not None:
        true = calibration.bootstrap(each.truth, each.predictions)["slope"]
        text += f" Against the true EF the slope is {true.estimate:.3f} ({told(true, 3)})."
    _, name, own = max(rows, key=lambda row: row[0])
    return (
        f"{text} Of the bands with at least {FEW} videos in every seed, the farthest off is {name} %: "
        f"{own['predicted'].estimate:.1f} predicted and {own['listed'].estimate:.1f} listed on average, "
        f"{own['gap'].estimate:+.1f} points ({told(own['gap'], 1)})."
    )


def on_threshold(each: Scored, cut: float) -> str:
    """Area, sensitivity, missed patients and false alarms of one system at a cut."""
    found = thresholds.bootstrap(each.labels, each.predictions, cut)
    tp, fp, fn, tn = thresholds.counts(each.labels, each.predictions, cut).mean(axis=0)
    return (
        f"**EF under {cut:g} %** ({tp + fn:.0f} of {len(each.labels)} videos by the listed EF): {each.system} finds "
        f"{tp:.1f} of them and misses {fn:.1f} (sensitivity {percent(found['sens'])}), with {fp:.1f} false alarms "
        f"among {fp + tn:.0f} others (specificity {percent(found['spec'])}); AUC {found['auc'].estimate:.3f} "
        f"({told(found['auc'], 3)}). Counts are means over {_seeds(each)}."
    )


def on_classes(each: Scored) -> str:
    """How many are told the right class of heart failure, and how many are two classes off."""
    found = classes.bootstrap(each.labels, each.predictions)
    tables = classes.matrices(each.labels, each.predictions)
    far = (tables[:, 0, 2] + tables[:, 2, 0]).mean()
    middle, caught = tables[:, 1].sum(axis=1).mean(), tables[:, 1, 1].mean()
    kappa = found["kappa"]
    agree = (
        f"kappa {kappa.estimate:.2f} [{kappa.low:.2f}, {kappa.high:.2f}]"
        if np.isfinite(kappa.estimate)
        else "kappa not defined"
    )
    return (
        f"{each.system} names the right class for {percent(found['accuracy'])} of the videos ({agree}); "
        f"{far:.1f} of {len(each.labels)} are taken for preserved where reduced is listed, or the other way round. "
        f"Of the {middle:.0f} listed as mildly reduced it names {caught:.1f} so. Counts are means over {_seeds(each)}."
    )


def on_bands(each: Scored, limit: Sequence[Scored] = ()) -> str:
    """The band of the listed EF with the largest error, its bias, and the oracle's there."""
    members = bands.inside(each.labels)
    found = bands.by_group(each.labels, each.predictions, members)
    large = [number for number, own in enumerate(members) if own.sum() >= FEW]
    if not large:
        return f"No band of the listed EF holds {FEW} videos, so that none is compared."
    worst = max(large, key=lambda number: found[number]["mae"].estimate)
    best = min(large, key=lambda number: found[number]["mae"].estimate)
    own, name = found[worst], bands.names()[worst]
    text = (
        f"Of the bands with at least {FEW} videos, {each.system} errs most at a listed EF {_of(name)} (MAE "
        f"{own['mae'].estimate:.2f}; bias {own['bias'].estimate:+.2f}, {told(own['bias'], 2)}) and least at one "
        f"{_of(bands.names()[best])} (MAE {found[best]['mae'].estimate:.2f})."
    )
    for other in limit:
        theirs = bands.by_group(other.labels, other.predictions, members)[worst]
        text += (
            f" The true EF itself has a bias of {theirs['bias'].estimate:+.2f} there: that part is the reader's error, "
            "which lies in the direction of the band."
            if abs(theirs["bias"].estimate) > 0 and _towards_average(theirs["bias"].estimate, other, members[worst])
            else f" The true EF itself has a bias of {theirs['bias'].estimate:+.2f} there."
        )
    return text


def on_grades(each: Graded | None) -> str:
    """Whether poor pictures are read worse than good ones."""
    if each is None:
        return f"CAMUS's grades of quality: {NOT_RUN} in all folds."
    good, poor = each.members[0], each.members[-1]
    if not good.any() or not poor.any():
        return f"{each.scored.system}: no patients graded {QUALITIES[0]} or none graded {QUALITIES[-1]} to compare."
    gap = bands.difference(each.scored.labels, each.scored.predictions, poor, good)["mae"]
    if not gap.excludes():
        verdict = ", which is not told apart from no difference"
    else:
        verdict = ": poor pictures are read worse" if gap.estimate > 0 else ": poor pictures are read better"
    return (
        f"{each.scored.system} ({each.scored.data}): the MAE on {poor.sum():.0f} Poor pictures minus that on "
        f"{good.sum():.0f} Good ones is {gap.estimate:+.2f} EF points ({told(gap, 2)}){verdict}."
    )


def on_effects(each: Scored, found: Sequence[Effect] | None) -> str:
    """Which of the phantom's settings change the error."""
    if found is None:
        return f"{each.data}: the data set grades no picture and tells nothing of how a video was taken."
    clear = [effect for effect in found if effect.told_apart]
    parts = [f"{effect.name} ({effect.gap.estimate:+.2f} points)" for effect in clear]
    first = "none of them changes the error by an amount told apart from 0" if not clear else (
        f"the interval excludes 0 for {', '.join(parts)}"
    )  # fmt: skip
    return (
        f"Of {len(found)} settings of the phantom, {first}. About {0.05 * len(found):.1f} intervals "
        "of so many would exclude 0 by chance alone."
    )


def on_reader(each: Scored) -> str:
    """How far the reader's own error limits a system, where the true EF is known."""
    if each.truth is None:
        return f"{each.data}: nobody knows a patient's true EF, so that the reader's part in the error stays open."
    reader = float(mean_squared_error(each.labels, each.truth))
    whole = float(np.mean([mean_squared_error(each.labels, own) for own in each.predictions]))
    own = float(np.mean([mean_squared_error(each.truth, one) for one in each.predictions]))
    mae = [float(np.abs(values).mean()) for values in (
        each.truth - each.labels, each.predictions - each.labels, each.predictions - each.truth
    )]  # fmt: skip
    nearer = "nearer to the true EF than the reader" if own < reader else "not nearer to the true EF than the reader"
    return (
        f"The true EF itself misses the listed one by {mae[0]:.2f} points on average: who knew it would score no "
        f"better. {each.system} misses the listed EF by {mae[1]:.2f} and the true EF by {mae[2]:.2f}. The reader's "
        f"mean squared error is {reader:.1f}, {100 * reader / whole:.0f} % of the {whole:.1f} that {each.system} is "
        "scored with; "
        f"against the true EF {each.system} has {own:.1f} and so lies {nearer}."
    )


def on_worst(found: Sequence[Case]) -> str:
    """What the largest errors have in common."""
    high = sum(case.error > 0 for case in found)
    text = f"The {len(found)} largest errors: {high} predicted too high, {len(found) - high} too low."
    known = [case for case in found if case.true is not None]
    if known:
        astray = sum(case.reader_astray for case in known)
        text += f" In {astray} of {len(known)} the prediction lies nearer to the true EF than the listed one does."
    return text


def told(found: Interval, digits: int) -> str:
    """A 95 % interval in words."""
    return f"95 % interval {found.low:.{digits}f} to {found.high:.{digits}f}"


def percent(found: Interval) -> str:
    """A fraction in percent with its interval."""
    if not np.isfinite(found.estimate):
        return "not defined"
    return f"{100 * found.estimate:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _zero(found: Interval) -> str:
    return "told apart from none" if found.excludes() else "not told apart from none"


def _within(each: Scored) -> list[tuple[np.ndarray, float, float]]:
    """Each seed's differences (N,) with its own limits of agreement."""
    rows = []
    for own in each.predictions:
        found = agreement.agreement_metrics(each.labels, own)
        rows.append((own - each.labels, found["lower"], found["upper"]))
    return rows


def _towards_average(bias: float, each: Scored, members: np.ndarray) -> bool:
    """Whether a bias in a group points to the mean listed EF of all."""
    mean = float(each.labels[members > 0].mean())
    return bool(np.sign(bias) == np.sign(each.labels.mean() - mean))


def _of(band: str) -> str:
    return band if band.startswith("under") else f"of {band}"


def _seeds(each: Scored) -> str:
    count = len(each.predictions)
    return f"{count} seed{'s' if count != 1 else ''}"
