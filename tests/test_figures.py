"""Figures say what their axes are, in which unit, and which mark is what."""

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from IPython.display import SVG

from coreecho import figures
from coreecho.inference import ClipPrediction, Prediction


def words(figure):
    """All the text of a figure."""
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text() and text.get_visible()]


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_predictions_are_drawn_against_labels_with_units_and_a_legend(tiny_records):
    shown = {name: own for name, own in tiny_records.items() if own}
    figure = figures.predicted_against_listed(shown)
    first, last = figure.axes
    assert {panel.get_xlabel() for panel in figure.axes} == {"listed EF (%)"}
    assert first.get_ylabel() == "predicted EF (%)"
    assert legend(last) == ["equal", "test video"]
    assert [panel.get_title() for panel in figure.axes] == ["CoReEcho (2\xa0seeds)", "EchoCoTr (1\xa0seed)"]
    assert "phantom, tiny" in words(figure)
    for panel, own in zip(figure.axes, shown.values(), strict=True):
        (points,) = panel.collections
        table = pd.concat([record.predictions() for record in own])
        means = table.groupby("video")[["label", "prediction"]].mean()
        np.testing.assert_allclose(sorted(points.get_offsets().tolist()), sorted(means.to_numpy().tolist()), atol=1e-6)


def test_labels_are_drawn_against_the_truth_with_units_and_legends():
    labels = pd.DataFrame({"true": [50.0, 60.0, 30.0], "listed": [52.0, 58.0, 34.0]})
    figure = figures.label_scatter(labels)
    scatter, histogram = figure.axes
    assert (scatter.get_xlabel(), scatter.get_ylabel()) == ("true EF (%)", "listed EF, the reader's (%)")
    assert (histogram.get_xlabel(), histogram.get_ylabel()) == ("listed EF (%)", "videos")
    assert legend(scatter) == ["equal", "video"]
    assert legend(histogram) == ["mean 48.0 %"]
    assert scatter.collections[0].get_offsets().tolist() == labels[["true", "listed"]].to_numpy().tolist()
    assert sum(bar.get_height() for bar in histogram.patches) == 3


def test_a_contact_sheet_shows_end_diastole_left_of_end_systole():
    pairs = [(np.full((32, 32), value, np.uint8), np.full((32, 32), 255 - value, np.uint8)) for value in (10, 20, 30)]
    figure = figures.contact_sheet(pairs, ["a", "b", "c"], columns=2)
    shown = [panel for panel in figure.axes if panel.images]
    assert len(figure.axes) == 4
    assert [panel.get_title() for panel in shown] == ["a", "b", "c"]
    for panel, (diastole, systole) in zip(shown, pairs, strict=True):
        picture = np.asarray(panel.images[0].get_array())
        assert picture.shape == (32, 65)
        assert np.array_equal(picture[:, :32], diastole)
        assert np.array_equal(picture[:, 33:], systole)
    assert "each pair: end-diastole left, end-systole right" in words(figure)
    assert not any(panel.axison for panel in figure.axes)


def result(seconds):
    clips = tuple(
        ClipPrediction(start=8 * number, start_seconds=0.16 * number if seconds else None, ef=50.0 + number)
        for number in range(3)
    )
    frames = np.random.default_rng(0).integers(0, 255, (16, 32, 32, 3)).astype(np.uint8)
    return Prediction("clip.avi", 51.0, 1.0, clips, "paper", (), "phantom, tiny profile", frames)


@pytest.mark.parametrize(("seconds", "label"), [(True, "start of the clip (s)"), (False, "start of the clip (frame)")])
def test_a_prediction_shows_frames_and_the_ef_of_each_clip_over_time(seconds, label):
    prediction = result(seconds)
    figure = figures.prediction(prediction)
    told = words(figure)
    assert "frame 1 of 16" in told
    assert "frame 16 of 16" in told
    assert any(
        "clip.avi" in text and "phantom, tiny profile" in text and "not a medical device" in text for text in told
    )
    axes = figure.subfigs[-1].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_ylim()) == (label, "EF (%)", (0, 100))
    assert legend(axes) == ["clip", "mean 51.0 %"]
    assert axes.lines[0].get_ydata().tolist() == [50.0, 51.0, 52.0]
    pictures = [panel.images[0].get_array() for panel in figure.subfigs[0].axes]
    assert len(pictures) == 8
    assert np.array_equal(pictures[0], prediction.frames[0])
    assert np.array_equal(pictures[-1], prediction.frames[15])


def test_files_are_pictures_and_free_of_a_date(tmp_path):
    figures.save(figures.prediction(result(True)), tmp_path, "sample")
    assert cv2.imread(str(tmp_path / "sample.png")).std() > 0
    drawn = (tmp_path / "sample.svg").read_text()
    assert "<svg" in drawn
    assert "dc:date" not in drawn


def test_what_a_notebook_shows_is_what_was_saved(tmp_path):
    picture = figures.shown(figures.prediction(result(True)), tmp_path, "sample")
    assert picture.data == SVG(tmp_path / "sample.svg").data
    assert (tmp_path / "sample.png").is_file()
    picture = figures.shown_png(figures.prediction(result(True)), tmp_path / "alone.png")
    assert picture.data == (tmp_path / "alone.png").read_bytes() == (tmp_path / "sample.png").read_bytes()
    assert not (tmp_path / "alone.svg").exists()
