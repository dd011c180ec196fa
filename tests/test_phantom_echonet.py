"""The phantom on disk: EchoNet-Dynamic's files, a reader's labels, the same bytes from any number of processes."""

import dataclasses
import hashlib
import json

import cv2
import numpy as np
import pandas as pd
import pytest

from coreecho.errors import DataError, SettingsError
from coreecho.phantom import echonet, fingerprint, is_complete, write_echonet
from coreecho.phantom.case import sample_case, tracing
from coreecho.phantom.ultrasound import render
from coreecho.phantom_settings import PhantomSettings

TINY = PhantomSettings(train=3, val=1, test=2, size=32, min_frames=30, max_frames=40, seed=11)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_echonet(tmp_path_factory.mktemp("phantom") / "set", TINY, workers=1, progress=False)


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_files_parse_as_the_real_set_does(folder):
    listed = pd.read_csv(folder / "FileList.csv")
    columns = ["FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split"]
    assert list(listed) == columns
    assert list(listed["Split"]) == ["TRAIN"] * 3 + ["VAL"] + ["TEST"] * 2
    assert list(listed["FileName"]) == [f"PH{number:06d}" for number in range(1, 7)]
    np.testing.assert_allclose(listed["EF"], 100.0 * (listed["EDV"] - listed["ESV"]) / listed["EDV"], atol=1e-6)
    assert sorted(path.stem for path in (folder / "Videos").iterdir()) == list(listed["FileName"])
    for row in listed.itertuples():
        video = cv2.VideoCapture(str(folder / "Videos" / f"{row.FileName}.avi"))
        frames = []
        while (read := video.read())[0]:
            frames.append(read[1])
        assert np.shape(frames) == (row.NumberOfFrames, 32, 32, 3)
        assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(25.0)
        assert np.std(frames) > 20.0


def test_tracings_are_two_frames_of_a_long_axis_and_twenty_chords(folder):
    traced, truth = pd.read_csv(folder / "VolumeTracings.csv"), pd.read_csv(folder / "truth.csv")
    listed = pd.read_csv(folder / "FileList.csv")
    assert list(traced) == ["FileName", "X1", "Y1", "X2", "Y2", "Frame"]
    assert list(traced["FileName"].unique()) == [f"{name}.avi" for name in listed["FileName"]]
    for (_, video), row, true in zip(traced.groupby("FileName"), listed.itertuples(), truth.itertuples(), strict=True):
        assert list(video["Frame"].unique()) == [true.ESFrame, true.EDFrame]
        for frame, volume in ((true.ESFrame, row.ESV), (true.EDFrame, row.EDV)):
            lines = video[video["Frame"] == frame]
            assert len(lines) == 21
            assert 0 <= frame < row.NumberOfFrames
            vectors = np.stack([lines["X2"] - lines["X1"], lines["Y2"] - lines["Y1"]], axis=1) * true.PixelSize
            lengths = np.linalg.norm(vectors, axis=1)
            discs = np.sum(np.pi / 4.0 * lengths[1:] ** 2) * lengths[0] / 20.0
            assert discs == pytest.approx(volume, rel=1e-5)  # coordinates have six decimals
            assert np.abs(vectors[1:] @ vectors[0]).max() < 1e-3  # chords are square to the long axis


def test_tracing_lies_where_the_picture_is_dark():
    settings = dataclasses.replace(TINY, size=112)
    inside, around = [], []
    for index in range(4):
        case, rng = sample_case(settings, index)
        video = render(rng, case.heart, case.beat, case.view, size=112, frames=case.frames, fps=25.0)
        for systole in (False, True):
            frame = video[case.beat.frames(case.frames, 25.0)[int(systole)]].astype(float)
            chords = tracing(case, settings, systole=systole)[4:16]
            for grey, share in ((inside, 0.6), (around, 1.35)):
                middle, half = (chords[:, :2] + chords[:, 2:]) / 2, (chords[:, 2:] - chords[:, :2]) / 2
                for points in (middle - share * half, middle + share * half):
                    column, row = np.clip(np.rint(points).astype(int).T, 0, 111)
                    grey.append(frame[row, column].mean())
    assert np.mean(around) > np.mean(inside) + 40.0


def test_truth_is_not_what_is_listed(folder):
    listed, truth = pd.read_csv(folder / "FileList.csv"), pd.read_csv(folder / "truth.csv")
    assert list(truth["FileName"]) == list(listed["FileName"])
    np.testing.assert_allclose(truth["EF"], 100.0 * (truth["EDV"] - truth["ESV"]) / truth["EDV"], atol=1e-6)
    assert (truth["EF"] - listed["EF"]).abs().min() > 0.0
    assert {"heart_rate", "tilt", "foreshortening", "shadow", "length", "EDFrame", "ESFrame"} <= set(truth)


def test_labels_are_distributed_as_in_echonet_dynamic():
    cases = [sample_case(PhantomSettings(), index)[0] for index in range(2000)]
    listed = np.array([case.listed_ef for case in cases])
    true = np.array([case.heart.ejection_fraction for case in cases])
    assert listed.mean() == pytest.approx(55.7, abs=0.7)
    assert listed.std() == pytest.approx(12.4, abs=0.6)
    assert np.median(listed) == pytest.approx(59.0, abs=1.0)
    assert (listed < 50.0).mean() == pytest.approx(0.224, abs=0.025)
    assert 6.0 < listed.min() < 20.0
    assert 78.0 < listed.max() < 97.0
    assert (listed - true).std() == pytest.approx(4.0, abs=0.25)
    assert abs((listed - true).mean()) < 0.3
    oracle = 1.0 - np.sum((listed - true) ** 2) / np.sum((listed - listed.mean()) ** 2)
    assert oracle == pytest.approx(0.895, abs=0.02)
    for part in (listed[:1000], listed[1000:1200], listed[1200:1400]):  # every split has the same distribution
        assert part.mean() == pytest.approx(55.7, abs=1.2)
        assert part.std() == pytest.approx(12.4, abs=1.2)


def test_size_varies_apart_from_ef_but_weak_hearts_are_larger():
    cases = [sample_case(PhantomSettings(), index)[0] for index in range(1000)]
    volume = np.array([case.listed_edv for case in cases])
    assert np.percentile(volume, 95) / np.percentile(volume, 5) > 2.0
    correlation = np.corrcoef(volume, [case.listed_ef for case in cases])[0, 1]
    assert -0.65 < correlation < -0.2


def test_reader_error_scales_with_its_setting():
    exact = [sample_case(dataclasses.replace(TINY, reader_sd=0.0), index)[0] for index in range(50)]
    assert all(case.listed_ef == pytest.approx(case.heart.ejection_fraction, abs=1e-9) for case in exact)


def test_two_processes_write_the_same_bytes_as_one(folder, tmp_path):
    again = write_echonet(tmp_path / "again", TINY, workers=2, progress=False)
    assert digests(again) == digests(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]  # no temporary folder is left


def test_a_video_depends_on_seed_and_number_only(folder, tmp_path):
    fewer = dataclasses.replace(TINY, train=1, val=1, test=0)
    other = dataclasses.replace(fewer, seed=12)
    same = digests(write_echonet(tmp_path / "fewer", fewer, workers=1, progress=False))
    different = digests(write_echonet(tmp_path / "other", other, workers=1, progress=False))
    for name in ("Videos/PH000001.avi", "Videos/PH000002.avi"):
        assert same[name] == digests(folder)[name] != different[name]


def test_a_finished_phantom_is_left_alone(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert write_echonet(folder, TINY, workers=1, progress=False) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_another_folder_is_never_overwritten(folder, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("keep me", encoding="utf-8")
    with pytest.raises(DataError, match="is not this phantom in full"):
        write_echonet(mine, TINY, workers=1, progress=False)
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]
    with pytest.raises(DataError, match="Name another folder"):
        write_echonet(folder, dataclasses.replace(TINY, seed=1), workers=1, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError("no space left on device")

    monkeypatch.setattr(echonet, "_write_lists", full)
    with pytest.raises(DataError, match="no space left"):
        write_echonet(tmp_path / "set", dataclasses.replace(TINY, train=1, val=0, test=0), workers=1, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_phantom_is_noticed(tmp_path):
    settings = dataclasses.replace(TINY, train=2, val=0, test=0)
    folder = tmp_path / "set"
    folder.mkdir()  # an empty folder may be filled
    assert not is_complete(folder, settings)
    write_echonet(folder, settings, workers=1, progress=False)
    assert is_complete(folder, settings)
    assert not is_complete(folder, dataclasses.replace(settings, seed=5))
    assert json.loads((folder / "phantom.json").read_text(encoding="utf-8"))["settings"]["size"] == 32
    (folder / "Videos" / "PH000002.avi").unlink()
    assert not is_complete(folder, settings)


def test_fingerprint_follows_settings_and_version(monkeypatch):
    first = fingerprint(TINY)
    assert first == fingerprint(dataclasses.replace(TINY))
    assert len(first) == 64
    changed = [dataclasses.replace(TINY, seed=1), dataclasses.replace(TINY, reader_sd=3.0)]
    assert len({first, *map(fingerprint, changed)}) == 3
    monkeypatch.setattr(echonet, "PHANTOM_VERSION", echonet.PHANTOM_VERSION + 1)
    assert fingerprint(TINY) != first


@pytest.mark.parametrize("wrong", [{"train": 0, "val": 0, "test": 0}, {"min_frames": 50}, {"min_frames": 0}])
def test_impossible_settings_are_refused(tmp_path, wrong):
    with pytest.raises(SettingsError, match="cannot be made"):
        write_echonet(tmp_path / "set", dataclasses.replace(TINY, **wrong), progress=False)
    assert list(tmp_path.iterdir()) == []
