"""The bootstrap over patients (section 4.1; gaps B and C) beside scikit-learn's metrics on every resample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from coreecho.bench.measure import Sides, benchmark
from coreecho.evaluation import METRICS, bootstrap, paired_bootstrap
from coreecho.resampling import Array, Interval, ends

SHARE = 400
"""The literal version draws one in so many of the resamples, and its time is multiplied by that."""


@benchmark(
    "bootstrap",
    "10,000 paired bootstraps of 1,276 patients, 10 systems, 3 metrics; literal: scikit-learn on each resample "
    f"(1 in {SHARE} drawn, time scaled up)",
    goal="< 5 s",
    repeats=3,
)
def bench_bootstrap(patients: int = 1276, systems: int = 10, resamples: int = 10_000) -> Iterator[Sides]:
    """An interval of each metric of each system, and of each difference, asked for one by one as the tables do."""
    rng = np.random.default_rng(0)
    labels = rng.normal(55, 12, patients)
    predictions = labels + rng.normal(0, 5, (systems, patients))

    def ours() -> list[tuple[float, float]]:
        found: list[Mapping[str, Interval]] = [bootstrap(labels, own, resamples=resamples) for own in predictions]
        for own in predictions[1:]:
            found.append(paired_bootstrap(labels, predictions[0], own, resamples=resamples))
        return [(each[metric].low, each[metric].high) for each in found for metric in METRICS]

    def literal() -> list[tuple[float, float]]:
        return literal_bootstrap(labels, predictions, max(2, resamples // SHARE))

    yield Sides(literal=literal, ours=ours, literal_times=SHARE)


def literal_bootstrap(labels: Array, predictions: Array, resamples: int, seed: int = 0) -> list[tuple[float, float]]:
    """Ends of the intervals of all metrics, system by system, then of the differences of the first to the others."""
    rng, values = np.random.default_rng(seed), []
    for _ in range(resamples):
        drawn = rng.integers(len(labels), size=len(labels))
        y = labels[drawn]
        values.append(
            [(mean_absolute_error(y, p), root_mean_squared_error(y, p), r2_score(y, p)) for p in predictions[:, drawn]]
        )
    each = np.array(values)  # (R, S, 3)
    apart = each[:, :1] - each[:, 1:]  # (R, S - 1, 3)
    return [ends(column) for part in (each, apart) for column in part.reshape(resamples, -1).T]
