"""The phantom HMC-QU: read by HMC-QU's reader, infarcts that show in the masks, a screen about the sector."""

import dataclasses
import time

import numpy as np
import pytest
from helpers import digests
from openpyxl import load_workbook

from coreecho import phantom
from coreecho.datasets import read_hmcqu
from coreecho.datasets.hmcqu import scan_hmcqu
from coreecho.errors import DataError, SettingsError
from coreecho.phantom import hmcqu
from coreecho.phantom.hmcqu import hmcqu_is_complete, write_hmcqu
from coreecho.phantom.hmcqu_case import groups, sample_echo
from coreecho.phantom.hmcqu_picture import Screen, draw_wall, mask_pixels
from coreecho.phantom.segments import SEGMENTS
from coreecho.phantom_settings import HmcquPhantomSettings
from coreecho.study_video import read_mask, read_study

TINY = HmcquPhantomSettings(echos=24, max_cycles=1, seed=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_hmcqu(tmp_path_factory.mktemp("hmcqu") / "set", TINY, workers=1, progress=False)


def test_every_fold_is_read_and_masks_fit_the_cycle(folder):
    tested = []
    for fold in range(5):
        data = read_hmcqu(folder, fold=fold)
        assert len(data.studies) == 16  # 109 of 162
        assert sum(study.label for study in data.studies) == 11  # 72 of 109
        tested += [study.id for study in data.studies if study.split == "test"]
    assert sorted(tested) == sorted(study.id for study in data.studies)
    for study in data.studies:
        video, wall = read_study(study), read_mask(study)
        assert video.frames.shape[1:] == (48, 72, 3)
        assert video.fps == pytest.approx(25.0)
        assert wall.shape == (len(video), 224, 224)
        assert 13 <= len(video) <= 30  # one cycle at 55 to 100 beats a minute
    assert len(read_hmcqu(folder, fold=0, masked_only=False).studies) == 24


def test_truth_and_workbook_agree(folder):
    truth = phantom.read_truth(folder)
    for row in scan_hmcqu(folder).rows:
        assert bool(truth.loc[row.name, "Infarcted"]) == row.infarct
        assert (truth.loc[row.name, list(SEGMENTS)].min() < 0.4) == row.infarct
    np.testing.assert_allclose(truth["EF"], 100.0 * (truth["EDV"] - truth["ESV"]) / truth["EDV"], atol=1e-6)


def test_the_workbook_has_the_real_ones_quirks(folder):
    book = load_workbook(folder / "A4C.xlsx")
    sheet = book["Tabelle1"]
    assert {str(cells) for cells in sheet.merged_cells.ranges} == {"A1:A2", "B1:G1", "H1:I1"}
    assert [cell.value for cell in sheet[2]][1:7] == ["SEG3", "SEG9", "SEG14", "SEG16", "SEG12", "SEG6"]
    assert {sheet.cell(row, 10).font.name for row in range(3, 27)} == {"Wingdings"}
    assert {sheet.cell(row, 10).value for row in range(3, 27)} == {"\xfc", "\xfb"}
    assert any(" " in sheet.cell(row, 1).value for row in range(3, 27))
    assert sheet.cell(sheet.max_row, 1).value.startswith("* ")


def test_groups_have_the_real_set_s_numbers():
    settings = HmcquPhantomSettings()
    told = groups(settings)
    assert (len(told), sum(mask for mask, _ in told), sum(hit for _, hit in told)) == (162, 109, 93)
    assert sum(mask and hit for mask, hit in told) == 72
    cases = [sample_echo(settings, index)[0] for index in range(162)]
    assert len({case.name for case in cases}) == 162
    assert 5 <= sum(case.cycle[0] > 0 for case in cases) <= 25
    assert all(0 <= case.cycle[0] < case.cycle[1] < case.frames for case in cases)
    assert sum(case.starred for case in cases) == 2
    ef = {hit: [case.heart.regional_ef for case in cases if any(case.infarcted) is hit] for hit in (True, False)}
    assert np.mean(ef[True]) < np.mean(ef[False]) - 5.0
    assert np.percentile(ef[True], 75) > np.percentile(ef[False], 25)  # EF alone does not tell them apart


def inner_edge(wall, case, screen, level, side, frame):
    """Distance of the wall's inner edge from the long axis in cm, along the chord at a level, read from the mask."""
    reach = np.linspace(0.0, 1.2, 240) * case.heart.radius
    chord = np.stack([side * reach, np.full(240, level * case.heart.length)], axis=1).astype(np.float32)
    column, row = np.rint(mask_pixels(case, screen, chord, (case.cycle[0] + frame) / 25.0)).astype(int).T
    return reach[np.argmax(wall[frame, row, column] > 0)]


def test_infarcted_segments_move_less_in_the_masks():
    screen, healthy, infarcted = Screen(48), [], []
    for index in range(40):
        case = sample_echo(HmcquPhantomSettings(), index)[0]
        systole = int(np.argmax(case.contraction(25.0)))
        wall = draw_wall(case, screen, 25.0)
        for segment, level, side in ((0, 0.75, -1), (1, 0.5, -1), (4, 0.5, 1), (5, 0.75, 1)):
            edges = [inner_edge(wall, case, screen, level, side, frame) for frame in (0, systole)]
            (infarcted if case.infarcted[segment] else healthy).append((edges[0] - edges[1]) / edges[0])
    assert min(len(healthy), len(infarcted)) > 20
    assert np.mean(healthy) > 0.18
    assert np.mean(infarcted) < 0.45 * np.mean(healthy)


def test_the_centred_square_holds_the_ventricle_and_nothing_that_the_machine_draws(folder):
    data = read_hmcqu(folder, fold=0)
    reach = slice(round(0.1 * 48), 48 - round(0.1 * 48))
    columns = slice((72 - 38) // 2, (72 + 38) // 2)
    for study in data.studies:
        frames, wall = read_study(study).frames.astype(int), read_mask(study)
        colour = np.abs(frames[..., 1] - frames[..., 0])
        assert colour[:, reach, columns].max() < 25
        assert colour[:, 42:].max() > 60  # the ECG
        assert frames[:, :12, :14].max() > 60  # letters
        row, column = np.nonzero(wall.any(axis=0))
        assert 0.1 * 224 <= row.min() < row.max() < 0.9 * 224
        assert columns.start / 72 <= column.min() / 224 < column.max() / 224 <= columns.stop / 72


def test_the_same_settings_give_the_same_bytes_at_any_time(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(1e9))
    monkeypatch.setattr(time, "asctime", lambda *_: "another day")
    again = write_hmcqu(tmp_path / "again", TINY, workers=1, progress=False)
    assert digests(again) == digests(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_an_echo_is_the_same_whatever_was_drawn_before_it(folder, tmp_path):
    """So the number of processes does not matter either; one pool for all writers is tested with the others."""
    for name in (hmcqu.VIDEO_FOLDER, hmcqu.MASK_FOLDER):
        (tmp_path / name).mkdir(parents=True)
    for index in (17, 3):
        hmcqu._write_echo(tmp_path, TINY, index)
    assert len(digests(tmp_path)) >= 2
    assert digests(tmp_path).items() <= digests(folder).items()


def test_a_whole_folder_is_left_alone_and_another_is_refused(folder, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert write_hmcqu(folder, TINY, progress=False) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    with pytest.raises(DataError, match="Name another folder"):
        write_hmcqu(folder, dataclasses.replace(TINY, seed=8), progress=False)
    assert not hmcqu_is_complete(tmp_path, TINY)


@pytest.mark.parametrize("wrong", [{"echos": 19}, {"max_cycles": 0}, {"severity": (0.9, 0.2)}])
def test_impossible_settings_are_refused(tmp_path, wrong):
    with pytest.raises(SettingsError, match="cannot be made"):
        write_hmcqu(tmp_path / "set", dataclasses.replace(TINY, **wrong), progress=False)
    assert list(tmp_path.iterdir()) == []
