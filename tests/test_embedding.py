"""UMAP layouts: reproducible for one array and seed, compared by neighbours, never by coordinates."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

from coreecho.embedding import umap_layout
from coreecho.errors import CoReEchoError, SettingsError


@pytest.fixture(scope="module")
def embeddings():
    """60 embeddings (60, 16) in three groups that lie far apart, in mixed order."""
    rng = np.random.default_rng(3)
    groups = 20 * rng.normal(size=(3, 16))
    return (groups[np.arange(60) % 3] + rng.normal(size=(60, 16))).astype(np.float32)


def neighbours(places, count=10):
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    return [set(row[:count]) for row in distances.argsort(axis=1)]


def overlap(one, other, count=10):
    """Mean share of each point's nearest points that are the same in both."""
    pairs = zip(neighbours(one, count), neighbours(other, count), strict=True)
    return np.mean([len(first & second) / count for first, second in pairs])


def test_the_same_array_and_seed_give_the_same_layout_without_a_warning(embeddings):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning)
        first = umap_layout(embeddings)
    assert first.shape == (60, 2)
    assert np.isfinite(first).all()
    assert np.array_equal(umap_layout(embeddings), first)
    assert np.array_equal(umap_layout(embeddings.astype(np.float64).tolist()), first)
    assert not np.array_equal(umap_layout(embeddings, seed=1), first)


def test_rows_in_another_order_or_noise_move_the_points_but_not_their_neighbours(embeddings):
    first = umap_layout(embeddings)
    order = np.random.default_rng(0).permutation(60)
    back = np.empty_like(first)
    back[order] = umap_layout(embeddings[order])
    noisy = umap_layout(embeddings + 1e-6 * np.random.default_rng(1).normal(size=embeddings.shape))
    chance = overlap(first, first[order])
    for other in (back, noisy):
        assert np.abs(other - first).max() > 1, "coordinates are not for comparing"
        assert overlap(first, other) > 0.5 > chance + 0.2
    near = neighbours(first)
    same_group = np.mean([other % 3 == point % 3 for point, others in enumerate(near) for other in others])
    assert same_group > 0.95


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (np.zeros((5, 4)), {}, "at least 6 embeddings; got 5"),
        (np.zeros((0, 4)), {}, "got 0"),
        (np.zeros((20, 4)), {"neighbours": 20}, "at least 21 embeddings; got 20"),
        (np.zeros((20, 4)), {"neighbours": 1}, "neighbours is 1"),
        (np.zeros(20), {}, r"shape \(20,\)"),
        (np.zeros((20, 0)), {}, r"shape \(20, 0\)"),
        (np.where(np.eye(20) > 0, np.nan, 1.0)[:, :3], {}, "3 of 20 embeddings are not finite .first: row 0."),
    ],
)
def test_too_few_or_unusable_embeddings_are_refused_by_name(rows, options, said):
    with pytest.raises(SettingsError, match=said):
        umap_layout(rows, **options)


def test_without_the_extra_it_says_what_to_install(monkeypatch, embeddings):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(CoReEchoError, match="pip install"):
        umap_layout(embeddings)


def test_the_number_of_threads_that_trainings_sum_with_stays_as_it_was():
    program = (
        "import numpy as np, torch; torch.set_num_threads(1); from coreecho.embedding import umap_layout; "
        "umap_layout(np.random.default_rng(0).normal(size=(30, 4))); print(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "1"
