"""Whether an embedding is continuous in EF: what Figure 1 suggests, measured (section 3; gaps F).

    from coreecho.continuity.measures import label_distance_correlation
    label_distance_correlation(embeddings, labels)  # (N, D), (N,) -> -1..1

Three measures, all in the encoder's own space and none from the layout. The rank correlation asks whether videos that
differ more in EF also lie farther apart. The error of a video's neighbours and that of a linear probe ask how well EF
can be read off; both give predictions (N,), to be scored by `coreecho.evaluation`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coreecho.errors import DataError
from coreecho.resampling import Array, Interval, ends

RESAMPLES = 1000
"""Bootstrap draws of the rank correlation; each ranks all pairs anew."""
LEVELS = 65_536
"""Different ranks of distances that are told apart."""
ALPHAS = tuple(10.0**power for power in range(-3, 5))
"""Ridge penalties that the probe chooses among, on standardised features."""


def label_distance_correlation(embeddings: ArrayLike, labels: ArrayLike) -> float:
    """Spearman correlation, over all pairs of videos, of the difference in label and the distance of embeddings.

    Args:
        embeddings: one row a video, (N, D), unscaled; distances are Euclidean.
        labels: EF in percent, (N,).

    Returns:
        -1..1; 1 where the distance grows with every growth of the difference in EF.

    Raises:
        DataError: fewer than three videos, labels that are all equal, embeddings that are all equal, lengths that do
            not fit, or values that are not finite.
    """
    return float(resampled_correlations([embeddings], labels, resamples=0)[0, 0])


def resampled_correlations(
    embeddings: Sequence[ArrayLike], labels: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> Array:
    """`label_distance_correlation` of several embeddings of the same videos, and its bootstrap over patients.

    A pair weighs as often as its two patients were drawn, multiplied; pairs of a patient with himself are left out.
    Every draw ranks its pairs anew: with the ranks of the whole test set kept, the intervals came out up to 40 % too
    narrow. More than `LEVELS` different distances are ranked in that many groups, which moves the value by some 1e-8.

    Args:
        embeddings: S arrays (N, D); D may differ.
        labels: EF in percent, (N,).
        resamples: number of draws R, each used for all embeddings, so that differences are paired.
        seed: of the draws.

    Returns:
        (1 + R, S): on the videos as they are, then on each draw; NaN for a draw without two different distances.

    Raises:
        DataError: as `label_distance_correlation`.
    """
    from scipy.spatial.distance import pdist

    if not embeddings:
        raise DataError("no embeddings to correlate with labels; give at least one array (N, D)")
    y = _checked(embeddings[0], labels, 3)[1]
    first, second = np.triu_indices(len(y), 1)  # (P,) each, in pdist's order
    by_label = _levels(pdist(y[:, None], "cityblock"))
    by_distance = []
    for number, each in enumerate(embeddings):
        by_distance.append(_levels(pdist(_checked(each, labels, 3)[0])))
        if not by_distance[-1].any():
            raise DataError(f"embedding {number}: all {len(y)} rows lie equally far apart; distances have no order")
    values = np.empty((1 + resamples, len(by_distance)))
    generator = np.random.default_rng(seed)
    for draw in range(1 + resamples):
        drawn = np.arange(len(y)) if draw == 0 else generator.integers(len(y), size=len(y))
        counts = np.bincount(drawn, minlength=len(y)).astype(np.float64)
        weights = counts[first] * counts[second]  # (P,)
        ranks = _centred_ranks(by_label, weights)
        values[draw] = [_correlation(ranks, _centred_ranks(levels, weights), weights) for levels in by_distance]
    return values


def _levels(values: Array) -> NDArray[np.int64]:
    """Each value's place (P,) among the distinct values, from 0; neighbours share one where there are too many."""
    from scipy.stats import rankdata

    places = np.asarray(rankdata(values, method="dense"), dtype=np.int64) - 1
    distinct = int(places.max()) + 1
    return places if distinct <= LEVELS else places * LEVELS // distinct


def _centred_ranks(levels: NDArray[np.int64], weights: Array) -> Array:
    """Mid-ranks (P,) of values by their levels (P,), each repeated as often as it weighs, minus their mean."""
    sizes = np.bincount(levels, weights)
    upto = np.cumsum(sizes)
    ranks: Array = (upto - (sizes + upto[-1]) / 2)[levels]
    return ranks


def _correlation(one: Array, other: Array, weights: Array) -> float:
    """Pearson correlation of two arrays (P,) whose weighted means are 0; NaN where one of them is constant."""
    weighted = weights * one
    spread = float(weighted @ one) * float((weights * other) @ other)
    return float(weighted @ other) / spread**0.5 if spread > 0 else float("nan")


def interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """The estimate and the percentile interval of a measure's values (1 + R,): as it is, then on each draw."""
    array = np.asarray(values, dtype=np.float64)
    return Interval(float(array[0]), *ends(array[1:], level))


def knn_predictions(embeddings: ArrayLike, labels: ArrayLike, neighbours: int = 5) -> Array:
    """Each video's EF as the mean EF of its nearest other videos.

    Args:
        embeddings: one row a video, (N, D), unscaled; distances are Euclidean.
        labels: EF in percent, (N,).
        neighbours: how many other videos are averaged (5 as in the layout).

    Returns:
        Predicted EF in percent, (N,); no video is among its own neighbours.

    Raises:
        DataError: as `label_distance_correlation`, or no more videos than neighbours.
    """
    from sklearn.neighbors import KNeighborsRegressor

    if neighbours < 1:
        raise DataError(f"{neighbours} neighbours to average; give 1 or more")
    rows, y = _checked(embeddings, labels, neighbours + 1)
    # Without a query the search itself leaves each row out of its neighbours.
    predicted = KNeighborsRegressor(n_neighbors=neighbours).fit(rows, y).predict(None)
    return np.asarray(predicted, dtype=np.float64)


def probe_predictions(embeddings: ArrayLike, labels: ArrayLike, *, folds: int = 10, seed: int = 0) -> Array:
    """Each video's EF from a linear map that was fitted on the other folds.

    The map is ridge regression on standardised features; its penalty is chosen on the fitted folds alone.

    Args:
        embeddings: one row a video, (N, D).
        labels: EF in percent, (N,).
        folds: number of folds.
        seed: of the assignment to folds.

    Returns:
        Out-of-fold predicted EF in percent, (N,).

    Raises:
        DataError: as `label_distance_correlation`, or fewer videos than folds.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if folds < 2:
        raise DataError(f"{folds} folds; a probe needs 2 or more, one to predict and the others to fit")
    rows, y = _checked(embeddings, labels, max(folds, 4))
    probe = make_pipeline(StandardScaler(), RidgeCV(alphas=ALPHAS))
    parts = KFold(folds, shuffle=True, random_state=seed)
    return np.asarray(cross_val_predict(probe, rows, y, cv=parts), dtype=np.float64)


def layout_trustworthiness(embeddings: ArrayLike, layout: ArrayLike, neighbours: int = 5) -> float:
    """How far neighbours in a layout (N, 2) are neighbours among the embeddings (N, D): 0..1, chance about 0.5.

    Source: Venna and Kaski, Neural Networks 19, 2006.

    Raises:
        DataError: arrays that do not fit or are not finite, or not more than twice as many videos as neighbours.
    """
    from sklearn.manifold import trustworthiness

    rows, places = np.asarray(embeddings, dtype=np.float64), np.asarray(layout, dtype=np.float64)
    if rows.ndim != 2 or places.ndim != 2 or len(rows) != len(places):
        raise DataError(f"embeddings {rows.shape} and layout {places.shape} do not fit; expected (N, D) and (N, 2)")
    if not 1 <= neighbours < len(rows) / 2:
        raise DataError(f"{neighbours} neighbours among {len(rows)} videos; give at least 1 and less than half of them")
    if not (np.isfinite(rows).all() and np.isfinite(places).all()):
        raise DataError("the embeddings or the layout are not finite; compute them again")
    return float(trustworthiness(rows, places, n_neighbors=neighbours))


def _checked(embeddings: ArrayLike, labels: ArrayLike, least: int) -> tuple[Array, Array]:
    """Embeddings (N, D) and labels (N,) in double precision, or an error that names what is wrong."""
    rows, y = np.asarray(embeddings, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if rows.ndim != 2 or y.ndim != 1 or len(rows) != len(y) or not rows.shape[-1]:
        raise DataError(f"embeddings {rows.shape} and labels {y.shape} do not fit; expected (N, D) and (N,)")
    if len(y) < least:
        raise DataError(f"{len(y)} videos; this measure of an embedding needs at least {least}")
    bad = np.flatnonzero(~(np.isfinite(rows).all(axis=1) & np.isfinite(y)))
    if bad.size:
        raise DataError(f"{bad.size} of {len(y)} videos have values that are not finite, the first in row {bad[0]}")
    if np.ptp(y) == 0:
        raise DataError(f"all {len(y)} labels equal {y[0]:g}; nothing can be said of how an embedding follows them")
    return rows, y
