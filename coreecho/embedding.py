"""Where embeddings lie in a plane: the UMAP layout of Figure 1 (section 3; gaps F).

    from coreecho.embedding import umap_layout
    places = umap_layout(embeddings)  # (N, D) -> (N, 2)

A layout is a picture, not a measurement: another order of rows, or noise of 1e-6, moves its points by whole units,
although the same points stay neighbours. Nothing may therefore be concluded from, or compared by, coordinates.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from coreecho.errors import CoReEchoError, SettingsError

Layout = npt.NDArray[np.float32]

INSTALL = "the UMAP layout needs the package umap-learn: pip install 'coreecho[explain]'"


def umap_layout(embeddings: npt.ArrayLike, *, seed: int = 0, neighbours: int = 5) -> Layout:
    """A two-dimensional UMAP layout of embeddings, by Euclidean distance and from a random start.

    Args:
        embeddings: one row a clip, (N, D), unscaled.
        seed: of the random start; the same array and seed give the same layout on one machine.
        neighbours: rows around each row whose distances the layout keeps (5 in the authors' code).

    Returns:
        Coordinates (N, 2), without a unit.

    Raises:
        SettingsError: not a table of finite numbers, or too few rows to have so many neighbours.
        CoReEchoError: umap-learn is not installed.
    """
    rows = np.asarray(embeddings, dtype=np.float32)
    if rows.ndim != 2 or not rows.shape[-1]:
        raise SettingsError(f"UMAP takes embeddings (N, D); got an array of shape {rows.shape}")
    if neighbours < 2:
        raise SettingsError(f"neighbours is {neighbours}; UMAP needs 2 or more")
    if len(rows) <= neighbours:
        raise SettingsError(
            f"UMAP with {neighbours} neighbours needs at least {neighbours + 1} embeddings; got {len(rows)}"
        )
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if broken.size:
        raise SettingsError(f"{broken.size} of {len(rows)} embeddings are not finite (first: row {broken[0]})")
    threads = torch.get_num_threads()
    try:
        from umap import UMAP
    except ImportError:
        raise CoReEchoError(INSTALL) from None
    # A seed forces one thread; saying so keeps umap-learn from warning about it.
    mapper = UMAP(n_components=2, n_neighbors=neighbours, init="random", random_state=seed, n_jobs=1)
    try:
        return np.asarray(mapper.fit_transform(rows), dtype=np.float32)
    finally:
        torch.set_num_threads(threads)  # numba sets the process's number anew, and with it the sums of later trainings
