"""The explorer: what it shows is what the records hold, and its files stand where they may."""

import html
import io
import json
import re
from pathlib import Path

import fabricated
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from coreecho import appendix, explorer, moving
from coreecho.errors import RecordError
from coreecho.figures.style import look
from coreecho.place import Place

STATIC = Path(__file__).resolve().parents[1] / "book" / "_static"
ROWS = list(explorer.ROWS)


def frames(number, size=16):
    """A clip (4, size, size) that no other video has."""
    return np.full((4, size, size), 5 * number + 20, np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None]


def keep(record, number):
    """What weights would give, beside a fabricated record."""
    videos = fabricated.VIDEOS
    appendix.kept(record, "layout", lambda: fabricated.layout(number))
    cells = [np.arange(8, dtype=np.uint8) * (index % 30) for index in range(len(videos))]
    told = {"video": videos, "prediction": 50.0, "cell": 8.0, "shape": [[2, 2, 2]] * len(videos)}
    appendix.kept(record, "saliency", lambda: pd.DataFrame(told | {"cells": [each.tobytes() for each in cells]}))
    strips = [moving.strip(frames(index), moving.KEPT_QUALITY) for index in range(len(videos))]
    appendix.kept(record, "clips", lambda: pd.DataFrame({"video": videos, "frames": 4, "strip": strips}))


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorer")
    made = {row: fabricated.record(folder, row) for row in ROWS}
    for number, record in enumerate(made.values()):
        keep(record, number)
    return made


@pytest.fixture(scope="module")
def view(records):
    return explorer.gather(records, Place())


def read(path):
    """What data.js assigns."""
    text = path.read_text()
    return json.loads(re.match(r"window\.coreechoExplorer = (\{.*\});\n", text)[1])


def test_every_number_is_the_records(view, records):
    assert view.label == "phantom, tiny, seed 0"
    assert view.videos == tuple(fabricated.VIDEOS)
    for system, record in zip(view.systems, records.values(), strict=True):
        told = record.predictions("first").set_index("video")
        np.testing.assert_allclose(system.predicted, told.loc[list(view.videos), "prediction"])
        own = appendix.layout(record, Place()).set_index("video").loc[list(view.videos)]
        np.testing.assert_array_equal(system.places, own[["x", "y"]])
    np.testing.assert_array_equal(view.listed, fabricated.LABELS)
    np.testing.assert_array_equal(view.truth, fabricated.LABELS)
    for number in (0, 7, 39):
        assert abs(int(view.frames[number].mean()) - int(frames(number).mean())) <= 3


def test_systems_of_other_data_seeds_or_videos_are_not_laid_side_by_side(records, tmp_path):
    first = next(iter(records.values()))
    for other in (
        fabricated.record(tmp_path, ROWS[1], seed=1),
        fabricated.record(tmp_path, ROWS[1], label="EchoNet-Dynamic"),
    ):
        with pytest.raises(RecordError, match="one map needs one"):
            explorer.gather({ROWS[0]: first, ROWS[1]: other}, Place())
    fewer = fabricated.record(tmp_path, ROWS[1], labels=fabricated.LABELS[:39])
    keep(fewer, 1)
    with pytest.raises(RecordError, match="of other videos"):
        explorer.gather({ROWS[0]: first, ROWS[1]: fewer}, Place())


def test_a_layout_that_was_turned_mirrored_moved_and_scaled_comes_back():
    rng = np.random.default_rng(0)
    onto = rng.normal(size=(30, 2))
    turn = np.array([[np.cos(2.0), -np.sin(2.0)], [np.sin(2.0), np.cos(2.0)]]) @ np.diag([1, -1])
    found, apart = explorer.turned(5 + 3 * onto @ turn, onto)
    wanted, itself = explorer.turned(onto, onto)
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert apart == pytest.approx(0, abs=1e-9)
    assert itself == pytest.approx(0, abs=1e-9)


def test_turning_keeps_a_layouts_shape_and_says_how_far_it_stays_apart():
    from scipy.spatial import procrustes
    from scipy.spatial.distance import pdist

    rng = np.random.default_rng(1)
    own, onto = rng.normal(size=(30, 2)) * [3, 1], rng.normal(size=(30, 2))
    found, apart = explorer.turned(own, onto)
    ratio = pdist(found) / pdist(own)
    np.testing.assert_allclose(ratio, ratio[0])
    assert np.sqrt((found**2).sum() / 30) == pytest.approx(1)
    assert apart == pytest.approx(procrustes(onto, own)[2])
    with pytest.raises(RecordError, match="one place"):
        explorer.turned(np.zeros((3, 2)), onto[:3])
    with pytest.raises(RecordError, match="shapes"):
        explorer.turned(own[:3], onto)


def test_the_files_hold_the_view(view, tmp_path):
    files = explorer.write(view, tmp_path)
    assert [path.name for path in files] == ["data.js", "clips-00.webp"]
    content = read(files[0])
    assert content["label"] == view.label
    assert content["videos"] == list(view.videos)
    for told, system in zip(content["systems"], view.systems, strict=True):
        assert (told["name"], told["colour"]) == (system.name, look(system.name).colour)
        np.testing.assert_allclose(told["predicted"], system.predicted, atol=0.006)
        np.testing.assert_allclose(np.transpose(told["own"]), system.places, atol=0.0006)
        cells = np.frombuffer(bytes.fromhex(told["saliency"][5]), np.uint8).reshape(told["grid"])
        np.testing.assert_allclose(cells / 255, system.grids[5].cells, atol=0.003)
    picture = np.asarray(Image.open(files[1]).convert("L")).astype(int)
    clip = content["clip"]
    assert (clip["size"], clip["frames"], picture.shape) == (16, 4, (16 * 40, 4 * 16))
    for number in (0, 11, 39):
        row = picture[number * 16 : (number + 1) * 16]
        assert abs(row.mean() - view.frames[number].mean()) < 6


def test_many_clips_are_shared_out_over_pictures(view, tmp_path, monkeypatch):
    explorer.write(view, tmp_path)
    monkeypatch.setattr("coreecho.explorer.page.MOST_PIXELS", 15 * 4 * 16 * 16)
    files = explorer.write(view, tmp_path)
    assert [path.name for path in files[1:]] == ["clips-00.webp", "clips-01.webp", "clips-02.webp"]
    content = read(files[0])["clip"]
    assert content["rows"] == 15
    last = np.asarray(Image.open(tmp_path / content["pictures"][39 // 15]).convert("L"))
    row = 39 % 15
    assert abs(last[row * 16 : (row + 1) * 16].mean() - view.frames[39].mean()) < 6
    monkeypatch.undo()
    explorer.write(view, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("clips-*")) == ["clips-00.webp"]


def test_files_of_the_same_view_stay_as_they_are(view, tmp_path):
    files = explorer.write(view, tmp_path)
    files[1].write_bytes(b"by another library")
    explorer.write(view, tmp_path)
    assert files[1].read_bytes() == b"by another library"
    files[0].write_text("of another view")
    explorer.write(view, tmp_path)
    assert Image.open(io.BytesIO(files[1].read_bytes())).format == "WEBP"


def test_only_a_phantom_may_stand_in_the_book(view, tmp_path):
    assert explorer.may_stand_in_the_book(view)
    made = {ROWS[0]: fabricated.record(tmp_path, ROWS[0], label="EchoNet-Dynamic")}
    keep(made[ROWS[0]], 0)
    assert not explorer.may_stand_in_the_book(explorer.gather(made, Place()))


def test_the_page_says_what_it_is_without_a_script_and_loads_what_exists(view):
    page = explorer.fragment(view, "../_static", "../_static/explorer/data.js")
    assert "needs a script" in page
    assert f'data-label="{view.label}"' in page
    addresses = re.findall(r'(?:src|href)="\.\./_static/([^"]+)"', page)
    assert len(addresses) == 6
    for address in addresses:
        assert address == "explorer/data.js" or (STATIC / address).is_file()


def test_the_folder_that_opens_by_itself_has_all_that_it_loads(view, tmp_path):
    page = explorer.write_alone(view, tmp_path / "explorer")
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.read_text()):
        assert (page.parent / address).resolve().is_file()
        assert (page.parent / address).resolve().is_relative_to(page.parent.resolve())
    assert view.label in page.read_text()


def test_the_table_holds_every_number_and_scrolls_in_its_own_box(view):
    table = explorer.listing(view)
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", table)
    assert len(rows) == len(view.videos)
    listed = [float(re.findall(r"<td>(.*?)</td>", cells)[0]) for _, cells in rows]
    assert listed == sorted(listed)
    video, cells = rows[10]
    index = view.videos.index(html.unescape(video))
    told = [float(value) for value in re.findall(r"<td>(.*?)</td>", cells)]
    numbers = [view.listed[index], view.truth[index], *(system.predicted[index] for system in view.systems)]
    np.testing.assert_allclose(told, numbers, atol=0.051)
    assert 'tabindex="0"' in table
    assert view.label in table


def test_the_words_are_the_errors_by_quarter(view):
    table = explorer.quarters(view).set_index("Quarter by listed EF")
    lowest = np.argsort(view.listed, kind="stable")[:10]
    error = view.systems[1].predicted - view.listed
    assert float(table.loc["lowest", "EchoCoTr MAE"]) == pytest.approx(np.abs(error[lowest]).mean(), abs=0.006)
    assert float(table.loc["all", "EchoCoTr bias"]) == pytest.approx(error.mean(), abs=0.006)
    assert table["Videos"].tolist() == ["10", "10", "10", "10", "40"]


def test_the_still_shows_every_point_and_one_clip(view):
    figure = explorer.picture(view)
    places, clip = figure.axes[:2]
    assert len(places.collections[0].get_offsets()) == len(view.videos)
    assert view.label in places.get_title()
    shown = np.asarray(clip.get_images()[0].get_array())
    assert any(np.array_equal(shown, each[0]) for each in view.frames)


def test_d3_is_there_with_its_licence():
    assert "7.9.2" in (STATIC / "d3" / "d3.min.js").read_text(encoding="utf-8")[:100]
    assert "Mike Bostock" in (STATIC / "d3" / "LICENSE").read_text()
    assert "7.9.2" in (STATIC / "d3" / "README.md").read_text()
