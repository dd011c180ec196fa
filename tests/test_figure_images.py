"""Three figures against stored pictures.

The tolerance is a root mean square difference of grey levels (0 to 255) over the whole picture. One point elsewhere, or
another colour of the points, makes 5 and more. Letters of another version of matplotlib can shift a whole panel, which
makes about 20 and is no fault of a figure, so that the pictures are compared only under the version that drew them.
After a change that is meant, ``pytest tests/test_figure_images.py --mpl-generate-path=tests/fixtures/figures`` draws
them anew.
"""

from pathlib import Path

import fabricated
import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.testing.compare import compare_images

from coreecho import figures
from coreecho.figures import embeddings as figures_embedding
from coreecho.figures.embeddings import embedding_panels

STORED = Path(__file__).parent / "fixtures" / "figures"
DRAWN_BY, TOLERANCE = "3.11", 2.0
DRAWN = {"dpi": 50, "metadata": {"Software": None}}
compared = pytest.mark.mpl_image_compare(
    baseline_dir=str(STORED), tolerance=TOLERANCE, savefig_kwargs=DRAWN, style="default"
)
pytestmark = pytest.mark.skipif(
    not mpl.__version__.startswith(f"{DRAWN_BY}."), reason=f"the stored pictures were drawn by matplotlib {DRAWN_BY}"
)
SHOWN = ("table1/echocotr", "table1/coreecho")


def layouts():
    return {row: fabricated.layout(seed) for seed, row in enumerate(SHOWN)}


def phantom_labels():
    return pd.DataFrame({"true": fabricated.LABELS, "listed": fabricated.LABELS + 4 * fabricated.scatter(7, 40)})


@compared
def test_predicted_against_listed(tmp_path):
    records = fabricated.records(tmp_path)
    return figures.predicted_against_listed({row: records[row] for row in SHOWN})


@compared
def test_embedding_panels(tmp_path):
    return embedding_panels({row: fabricated.record(tmp_path, row) for row in SHOWN}, layouts())


@compared
def test_label_scatter():
    return figures.label_scatter(phantom_labels())


def difference(figure, name, tmp_path):
    """Root mean square difference of a figure from a stored picture."""
    with mpl.rc_context():
        mpl.rcdefaults()
        figure.savefig(tmp_path / "drawn.png", **DRAWN)
    found = compare_images(str(STORED / f"{name}.png"), str(tmp_path / "drawn.png"), tol=0, in_decorator=True)
    return 0.0 if found is None else found["rms"]


def test_the_tolerance_sees_one_point_or_one_colour(tmp_path, monkeypatch):
    labels = phantom_labels()
    assert difference(figures.label_scatter(labels), "test_label_scatter", tmp_path) < TOLERANCE
    moved = labels.assign(listed=labels["listed"].where(labels.index > 0, 5.0))
    assert difference(figures.label_scatter(moved), "test_label_scatter", tmp_path) > 2 * TOLERANCE
    records = {row: fabricated.record(tmp_path, row) for row in SHOWN}
    monkeypatch.setattr(figures_embedding, "PALETTE", "viridis")
    recoloured = embedding_panels(records, layouts())
    assert difference(recoloured, "test_embedding_panels", tmp_path) > 2 * TOLERANCE
