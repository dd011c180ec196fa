"""Moving pictures: clips and maps are those of the run, kept beside it, and the HTML carries them whole."""

import base64
import html
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import TINY, tiny_place
from PIL import Image

from coreecho import appendix, moving
from coreecho.appendix import trained
from coreecho.clips import normalise
from coreecho.errors import RecordError
from coreecho.explain import Axis, saliency
from coreecho.loading import ClipDataset
from coreecho.protocols import protocol_starts
from coreecho.records import read_record

pytest.importorskip("pytorch_grad_cam")
STATIC = Path(__file__).resolve().parents[1] / "book" / "_static"


@pytest.fixture(scope="module")
def own(tiny_records, tmp_path_factory):
    """A copy of a record that tests may write beside, its weights with it."""
    source = tiny_records["table1/coreecho"][0].folder
    return read_record(shutil.copytree(source, tmp_path_factory.mktemp("moving") / "tiny" / source.name))


@pytest.fixture(scope="module")
def place(phantom_folder, own):
    return tiny_place(phantom_folder, own.folder.parents[1])


def clips(data, count=8, size=32):
    """Smooth pictures that a lossy file changes little, (count, size, size)."""
    time, row, column = np.indices((count, size, size))
    return np.asarray(100 + 60 * np.sin((row + data) / 9) + 50 * np.cos(column / 7 + time / 3), np.uint8)


def parsed(element):
    """The attributes of the player, and the strip in its picture (S, T S)."""
    attributes = {name: html.unescape(value) for name, value in re.findall(r' (\w+)="([^"]*)"', element.split(">")[0])}
    data = base64.b64decode(re.search(r'src="data:image/webp;base64,([^"]+)"', element)[1])
    return attributes, np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def first_clips(record, data):
    clip = record.profile.clip_settings(record.run)
    return ClipDataset(data.split("test"), clip, protocol_starts("first", clip), cache_bytes=0)


def test_the_clips_are_those_that_the_run_was_scored_on(own, place, phantom_data):
    found = moving.clip_frames(own, place)
    dataset = first_clips(own, phantom_data)
    assert set(found) == set(own.predictions("first")["video"])
    for index in range(len(dataset)):
        item = dataset[index]
        exact = item.clips[0].float().mean(0).numpy()
        assert found[item.video].shape == (TINY.clip.frames, TINY.clip.size, TINY.clip.size)
        assert np.abs(found[item.video] - exact).mean() < 3
        others = np.abs(found[item.video][::-1] - exact).mean()
        assert others > np.abs(found[item.video] - exact).mean(), "the frames are in another order"


def test_a_map_is_grad_cam_of_that_clip_and_the_prediction_the_records(own, place):
    grids = moving.saliency_grids(own, place)
    told = own.predictions("first").set_index("video")["prediction"]
    model, data, _ = trained(own, place)
    dataset = first_clips(own, data)
    for index in range(2):
        item = dataset[index]
        grid = grids[item.video]
        assert grid.prediction == pytest.approx(told[item.video], abs=1e-4)
        raises = np.maximum(saliency(model, normalise(item.clips, model.levels)).cells, 0)
        assert grid.cells.shape == raises.shape
        assert grid.empty == (not raises.any())
        np.testing.assert_allclose(grid.cells, raises / (raises.max() or 1), atol=0.5 / 255 + 1e-6)
        assert grid.cell * grid.cells.shape[1] == TINY.clip.size


def test_what_is_kept_needs_neither_weights_nor_data(own, place, tmp_path):
    frames, grids = moving.clip_frames(own, place), moving.saliency_grids(own, place)
    bare = read_record(shutil.copytree(own.folder, tmp_path / "tiny" / own.folder.name))
    (bare.folder / "model.safetensors").unlink()
    nowhere = tiny_place(tmp_path / "none" / "phantom", tmp_path)
    again, maps = moving.clip_frames(bare, nowhere), moving.saliency_grids(bare, nowhere)
    for video in frames:
        np.testing.assert_array_equal(again[video], frames[video])
        np.testing.assert_array_equal(maps[video].cells, grids[video].cells)
    assert not (tmp_path / "none").exists()


def test_a_second_of_a_clip_is_a_second_of_the_heart(own):
    assert moving.clip_fps(own) == TINY.phantom.fps / TINY.clip.stride


def test_a_strip_holds_the_frames_from_left_to_right():
    frames = clips(0)
    picture = Image.open(io.BytesIO(moving.strip(frames)))
    assert (picture.format, picture.size) == ("WEBP", (8 * 32, 32))
    shown = np.asarray(picture.convert("L")).astype(int)
    assert np.abs(shown - np.hstack(list(frames))).mean() < 3


@pytest.mark.parametrize("frames", [np.zeros((2, 4), np.uint8), np.zeros((2, 4, 4)), np.zeros((0, 4, 4), np.uint8)])
def test_what_is_no_clip_is_refused(frames):
    with pytest.raises(RecordError, match="a clip is"):
        moving.strip(frames)


def test_a_clip_too_long_for_one_picture_is_refused():
    with pytest.raises(RecordError, match="wider than"):
        moving.strip(np.zeros((600, 32, 32), np.uint8))


def test_the_player_carries_clip_map_and_words():
    values = np.linspace(0, 1, 16).reshape(4, 2, 2)
    words = 'Video <7> & "x", EF 60 %'
    attributes, strip = parsed(moving.element(clips(1), words, fps=12.5, saliency=values, width=100))
    assert (attributes["frames"], attributes["fps"], attributes["width"]) == ("8", "12.5", "100")
    assert attributes["label"] == words
    np.testing.assert_allclose(json.loads(attributes["saliency"]), values, atol=0.005)
    assert float(attributes["cell"]) == 16
    assert strip.shape == (32, 8 * 32)


def test_a_grid_knows_where_its_cells_lie_and_an_array_is_told():
    grid = moving.Grid(np.ones((4, 3, 3), np.float32), 8.0, 50.0)
    assert parsed(moving.element(clips(1), "x", fps=12, saliency=grid))[0]["cell"] == "8"
    assert parsed(moving.element(clips(1), "x", fps=12, saliency=grid.cells, cell=9))[0]["cell"] == "9"
    assert "saliency" not in parsed(moving.element(clips(1), "x", fps=12))[0]


def test_the_fallback_says_what_it_shows_and_cannot_be_broken_by_a_name():
    made = moving.element(clips(1), '"><script>', fps=12)
    assert 'alt="&quot;&gt;&lt;script&gt;: 8 frames side by side"' in made
    assert "<script" not in made


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.full((1, 2, 2), np.nan), np.zeros((0, 2, 2))])
def test_what_is_no_map_is_refused(values):
    with pytest.raises(RecordError, match="a map is"):
        moving.element(clips(1), "x", fps=12, saliency=values)


def test_a_table_of_another_record_is_refused(own, place, tiny_records, tmp_path):
    moving.clip_frames(own, place)
    source = tiny_records["table1/echocotr"][0].folder
    other = read_record(shutil.copytree(source, tmp_path / "tiny" / source.name))
    shutil.copy(own.folder / "clips.parquet", other.folder)
    with pytest.raises(RecordError, match="another record's"):
        moving.clip_frames(other, place)
    assert appendix.kept(own, "clips", lambda: None)["video"].is_unique


@pytest.mark.skipif(not shutil.which("chromium"), reason="Chromium is not installed")
@pytest.mark.parametrize(("cells", "size", "cell"), [(2, 32, 16.0), (3, 112, 32.0)])
def test_the_player_draws_cells_where_the_figures_do(cells, size, cell, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    plane = np.random.default_rng(0).random((cells, cells))
    weights = Axis(cell / 2, cell).weights(cells, size)
    (tmp_path / "page.html").write_text("<!doctype html>")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        page.add_script_tag(path=STATIC / "clips.js")
        drawn = page.evaluate(
            "([plane, size, cell]) => Array.from(coreechoClips.spread(plane, size, cell))", [plane.tolist(), size, cell]
        )
        browser.close()
    np.testing.assert_allclose(np.reshape(drawn, (size, size)), weights @ plane @ weights.T, atol=1e-6)
