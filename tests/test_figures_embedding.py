"""Figure 1: every test video once, in the colour of its own EF, under one scale; no number without its label."""

import dataclasses

import fabricated
import numpy as np
import pandas as pd
import pytest

from coreecho import appendix
from coreecho.errors import RecordError
from coreecho.figures.embeddings import embedding_panels, trusted
from coreecho.place import Place

ROWS = ("table1/echocotr", "table1/coreecho")


@pytest.fixture
def records(tmp_path):
    return {row: fabricated.record(tmp_path, row) for row in ROWS}


@pytest.fixture
def layouts():
    return {row: fabricated.layout(seed) for seed, row in enumerate(ROWS)}


def test_each_video_is_drawn_at_its_place_in_the_colour_of_its_ef(records, layouts):
    figure = embedding_panels(records, layouts)
    label_of = dict(zip(fabricated.VIDEOS, fabricated.LABELS, strict=True))
    for panel, layout in zip(figure.axes, layouts.values(), strict=False):
        (points,) = panel.collections
        drawn = {
            tuple(place): value for place, value in zip(points.get_offsets().tolist(), points.get_array(), strict=True)
        }
        expected = {(line.x, line.y): label_of[line.video] for line in layout.itertuples()}
        assert drawn == expected


def test_the_panels_share_one_colour_bar_with_its_unit_and_have_no_ticks(records, layouts):
    figure = embedding_panels(records, layouts)
    *panels, bar = figure.axes
    assert [panel.get_title() for panel in panels] == ["EchoCoTr", "CoReEcho"]
    assert bar.get_ylabel() == "listed EF (%)"
    scales = {panel.collections[0].get_clim() for panel in panels}
    assert scales == {(fabricated.LABELS.min(), fabricated.LABELS.max())}
    assert not [tick for panel in panels for tick in (*panel.get_xticks(), *panel.get_yticks())]


def test_the_title_names_the_data_the_profile_and_the_seed(records, layouts):
    figure = embedding_panels(records, layouts)
    assert figure.get_suptitle() == "phantom, tiny, seed 0"


def test_lighter_means_a_higher_ef_also_without_colour(records, layouts):
    points = embedding_panels(records, layouts).axes[0].collections[0]
    colours = points.cmap(np.linspace(0, 1, 20))[:, :3]
    lightness = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


def test_the_trust_in_a_layout_is_told_by_system(records, layouts, monkeypatch):
    """Of the embeddings themselves all neighbours are kept, of a shuffled layout hardly any."""
    vectors = {
        row: pd.DataFrame({"video": layout["video"], "e0": layout["x"], "e1": layout["y"]})
        for row, layout in layouts.items()
    }
    by_folder = {record.folder: vectors[row] for row, record in records.items()}
    monkeypatch.setattr(appendix, "embeddings", lambda record, place: by_folder[record.folder])
    other = ROWS[1]
    mixed = layouts[other].assign(video=layouts[other]["video"].sample(frac=1, random_state=0).to_numpy())
    shown = trusted(records, layouts | {other: mixed}, Place()).set_index("System")
    assert shown.loc["EchoCoTr", "Trustworthiness"] == "1.000"
    assert float(shown.loc["CoReEcho", "Trustworthiness"]) < 0.8
    assert set(shown["Data"]) == {"phantom, tiny"}


def test_a_layout_of_other_videos_is_refused(records, layouts):
    fewer = layouts | {"table1/coreecho": layouts["table1/coreecho"].iloc[1:]}
    twice = layouts | {"table1/coreecho": pd.concat([layouts["table1/coreecho"], layouts["table1/coreecho"].iloc[:1]])}
    for wrong in (fewer, twice):
        with pytest.raises(RecordError, match="not of this record's test videos"):
            embedding_panels(records, wrong)


def test_panels_of_two_seeds_profiles_or_data_sets_are_refused(records, layouts, tmp_path):
    own = records["table1/coreecho"]
    others = (
        fabricated.record(tmp_path, "table1/coreecho", seed=1),
        fabricated.record(tmp_path, "table1/coreecho", label="EchoNet-Dynamic"),
        dataclasses.replace(own, profile=dataclasses.replace(own.profile, name="paper")),
    )
    for other in others:
        with pytest.raises(RecordError, match="one profile, data set and seed"):
            embedding_panels(records | {"table1/coreecho": other}, layouts)
