"""Figure 3: panels, words, outlines and maps are where they belong, and the same samples give the same file."""

import dataclasses

import numpy as np
import pytest
from matplotlib.image import AxesImage
from matplotlib.text import Text

from coreecho import figures
from coreecho.errors import RecordError
from coreecho.figures.saliency import saliency_grid
from coreecho.focus.samples import Sample


def sample(number, outlined=(1, 3), maps=1.0):
    """Four frames of 16 x 16 pixels, two of them outlined; the map is brightest at the lower right."""
    rng = np.random.default_rng(number)
    ramp = np.add.outer(np.arange(16), np.arange(16)) / 30
    ventricle = np.zeros((4, 16, 16), bool)
    ventricle[list(outlined), 4:10, 5:11] = True
    return Sample(
        video=f"PH00000{number}",
        label=40.0 + number,
        prediction=50.25 + number,
        shown=(0, 3, 4, 7),
        names=("", "ED", "", "ES"),
        frames=rng.integers(0, 255, (4, 16, 16), dtype=np.uint8),
        maps={
            "raises": np.rint(255 * maps * np.stack([ramp] * 4)).astype(np.uint8),
            "lowers": np.rint(255 * maps * np.stack([ramp[::-1]] * 4)).astype(np.uint8),
        },
        ventricle=ventricle,
    )


SAMPLES = [sample(number) for number in range(3)]


def panels(figure):
    """The axes that show a frame, sample by sample, and of each sample system by system."""
    return [axes for axes in figure.axes if axes.get_images()]


def words(figure):
    return " | ".join(text.get_text() for text in figure.findobj(Text))


def test_every_system_has_a_row_for_every_sample():
    figure = saliency_grid({"EchoCoTr": SAMPLES, "CoReEcho": SAMPLES}, "phantom, tiny")
    assert len(panels(figure)) == 2 * 3 * 4
    told = words(figure)
    for part in ("EchoCoTr", "CoReEcho", "phantom, tiny", "PH000002", "raises the prediction", "none", "most"):
        assert part in told
    assert told.count("EF 41.0 %, predicted 51.2 %") == 2
    assert told.count("ED") == told.count("ES") == 6
    assert "empty map" not in told


@pytest.mark.parametrize("sign", ["raises", "lowers"])
def test_a_panel_shows_its_frame_under_its_map_with_the_outline_where_there_is_one(sign):
    figure = saliency_grid({"CoReEcho": SAMPLES}, "phantom", sign=sign)
    for number, panel in enumerate(panels(figure)):
        row, index = divmod(number, 4)
        frame, over = panel.get_images()
        np.testing.assert_array_equal(frame.get_array(), SAMPLES[row].frames[index])
        np.testing.assert_array_equal(over.get_array(), SAMPLES[row].maps[sign][index])
        assert over.get_clim() == (0, 255)
        assert 0 < over.get_alpha() < 1
        assert bool(panel.collections) == (index in (1, 3))
    assert f"{sign} the prediction" in words(figure)


def test_an_empty_map_is_said_and_not_drawn():
    figure = saliency_grid({"CoReEcho": [sample(0, maps=0.0), sample(1)]}, "phantom")
    counts = [
        len([child for child in panel.get_children() if isinstance(child, AxesImage)]) for panel in panels(figure)
    ]
    assert counts == [1] * 4 + [2] * 4
    assert words(figure).count("empty map") == 1


def test_an_infarction_is_told_in_words():
    echo = dataclasses.replace(SAMPLES[0], label=1.0, prediction=0.873, names=("",) * 4)
    figure = saliency_grid({"A": [echo, dataclasses.replace(echo, label=0.0)]}, "phantom", task="mi")
    told = words(figure)
    assert "| infarction, predicted 87 %" in told
    assert "no infarction, predicted 87 %" in told
    assert "EF" not in told


def test_systems_that_show_different_videos_are_refused():
    for systems in ({"A": SAMPLES, "B": SAMPLES[1:]}, {"A": []}, {}):
        with pytest.raises(RecordError, match="same videos"):
            saliency_grid(systems, "phantom")


def test_frames_stand_evenly_the_figure_fits_a_page_and_the_file_is_always_the_same(tmp_path):
    for name in ("one", "two"):
        figure = saliency_grid({"A": SAMPLES, "B": SAMPLES}, "phantom")
        figures.save_png(figure, tmp_path / f"{name}.png")
    same = (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert same
    left = [panel.get_window_extent().x0 for panel in panels(figure)[:4]]
    steps = np.diff(left)
    assert steps.max() - steps.min() < 2
    assert figure.get_figwidth() <= 6.3
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 7
