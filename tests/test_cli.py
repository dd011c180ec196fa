"""The command line and prediction: what is printed where, and status 2 with one line for whatever the user can mend."""

import json

import numpy as np
import pydicom
import pytest
import torch
from helpers import TINY, sector_frames, tiny_model, write_avi
from pydicom.data import get_testdata_file

from coreecho import checkpoints, predict
from coreecho.cli import data, main
from coreecho.errors import CheckpointError
from coreecho.experiments import all_runs
from coreecho.model import CoReEcho, LinearHead, MLPHead
from coreecho.phantom_settings import CamusPhantomSettings, HmcquPhantomSettings
from coreecho.uniformer import UniFormer

IDENTITY = ("Plantagenet", "ID-77123", "19610203", "St Elsewhere", "1.2.826.0.1.99999.7", "ACC-4711")


@pytest.fixture
def coreecho(capsys):
    """Runs the command line: (status, stdout, stderr)."""

    def run(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def avi(phantom_folder):
    return sorted((phantom_folder / "Videos").glob("*.avi"))[0]


@pytest.fixture
def dicom(tmp_path):
    """A public colour clip with a planted patient."""
    data = pydicom.dcmread(get_testdata_file("examples_ybr_color.dcm"))
    data.PatientName, data.PatientID, data.PatientBirthDate = f"{IDENTITY[0]}^Edmund", IDENTITY[1], IDENTITY[2]
    data.InstitutionName, data.StudyInstanceUID, data.AccessionNumber = IDENTITY[3], IDENTITY[4], IDENTITY[5]
    data.save_as(tmp_path / "clip.dcm")
    return tmp_path / "clip.dcm"


def test_predict_gives_the_ef_per_clip_and_their_mean(avi, checkpoint):
    result = predict(avi, checkpoint)
    assert len(result.clips) == 5
    assert result.ef == pytest.approx(np.mean([clip.ef for clip in result.clips]))
    assert result.spread == pytest.approx(np.std([clip.ef for clip in result.clips]))
    assert result.protocol == "paper"
    assert [clip.start_seconds for clip in result.clips] == [round(clip.start / 25, 3) for clip in result.clips]
    assert result.frames.shape == (8, 32, 32, 3)
    assert any("phantom" in note and "means nothing" in note for note in result.notes)
    assert any("Not a medical device" in note for note in result.notes)


def test_predict_scores_the_clips_that_training_would_show(avi, checkpoint, phantom_data):
    from coreecho.protocols import predict_clips, protocol_starts

    (study,) = [study for study in phantom_data.studies if study.path == avi]
    expected = predict_clips(tiny_model(), [study], TINY.clip, protocol_starts("even5", TINY.clip))
    found = [clip.ef for clip in predict(avi, checkpoint).clips]
    assert found == pytest.approx(expected["prediction"].tolist(), abs=1e-3)


def test_a_short_video_and_an_odd_frame_rate_are_said(tmp_path, checkpoint):
    short = write_avi(tmp_path / "short.avi", sector_frames(9, 32, 32)[0], fps=25)
    assert any("short: 9 frames" in note and "black" in note for note in predict(short, checkpoint).notes)
    fast = write_avi(tmp_path / "fast.avi", sector_frames(40, 32, 32)[0], fps=60)
    assert any("60 frames per second, trained on 25" in note for note in predict(fast, checkpoint).notes)
    resampled = predict(fast, checkpoint, protocol="seconds")
    assert resampled.protocol == "seconds"
    assert resampled.clips[-1].start <= 40 * 25 / 60


def test_json_is_all_that_stdout_gets_and_the_figure_is_written(coreecho, avi, checkpoint, tmp_path):
    picture = tmp_path / "new" / "clips.png"
    status, out, _ = coreecho("predict", avi, "--checkpoint", checkpoint, "--json", "--figure", picture)
    document = json.loads(out)
    assert status == 0
    assert document["failed"] == []
    (prediction,) = document["predictions"]
    assert prediction["file"] == avi.name
    assert prediction["ef"] == pytest.approx(np.mean([clip["ef"] for clip in prediction["clips"]]), abs=0.02)
    assert any("phantom" in note for note in prediction["notes"])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_dicom_gives_an_ef_and_nobodys_name(coreecho, dicom, checkpoint, tmp_path):
    options = ("--checkpoint", checkpoint, "--figure", tmp_path / "figure.png", "--csv", tmp_path / "table.csv")
    written = []
    for extra in ((), ("--json",)):
        status, out, err = coreecho("predict", dicom, *options, *extra)
        assert status == 0
        assert "clip.dcm" in out
        written += [
            out,
            err,
            (tmp_path / "table.csv").read_text(),
            (tmp_path / "figure.png").read_bytes().decode("latin1"),
        ]
    assert json.loads(out)["predictions"][0]["protocol"] == "seconds"
    assert not [name for name in IDENTITY for text in written if name in text]


def test_text_names_every_clip_the_protocol_and_the_warning(coreecho, avi, checkpoint):
    status, out, err = coreecho("predict", avi, "--checkpoint", checkpoint)
    assert (status, err) == (0, "")
    assert out.count("clip from frame") == 5
    assert "protocol: paper" in out
    assert "trained on the phantom" in out


def test_one_bad_file_among_several_costs_the_others_nothing(coreecho, avi, checkpoint, tmp_path, phantom_folder):
    bad = tmp_path / "broken.avi"
    bad.write_bytes(avi.read_bytes()[:3000])
    other = sorted((phantom_folder / "Videos").glob("*.avi"))[1]
    options = ("--checkpoint", checkpoint, "--figure", tmp_path / "figures", "--csv", tmp_path / "table.csv")
    status, out, err = coreecho("predict", avi, bad, other, *options)
    assert status == 2
    assert avi.name in out
    assert other.name in out
    assert len(err.splitlines()) == 1
    assert "broken.avi" in err
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted(
        [f"{avi.stem}.png", f"{other.stem}.png"]
    )
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 3


def test_a_model_of_another_task_predicts_no_ef(avi, tmp_path):
    model = tiny_model()
    other = CoReEcho(model.encoder, model.head, task="mi", clip=TINY.clip)
    checkpoints.save(other, tmp_path / "mi.safetensors", {"training_data": "phantom"})
    with pytest.raises(CheckpointError, match="'mi', not an EF"):
        predict(avi, tmp_path / "mi.safetensors")


def test_data_is_made_and_checked(coreecho, tmp_path, monkeypatch, phantom_folder):
    monkeypatch.setattr("coreecho.cli.data.get_profile", lambda _: TINY)
    monkeypatch.setattr("coreecho.phantom.writing._processors", lambda: 1)
    status, out, _ = coreecho("data", "make", "demo", tmp_path / "made")
    assert (status, out.strip()) == (0, str(tmp_path / "made"))
    status, out, _ = coreecho("data", "check", tmp_path / "made", "--json")
    (report,) = json.loads(out)["data_sets"]
    assert status == 0
    assert (report["usable"], report["splits"]) == (17, {"train": 8, "val": 4, "test": 5})
    (other,) = json.loads(coreecho("data", "check", phantom_folder, "--json")[1])["data_sets"]
    assert report["fingerprint"] == other["fingerprint"]
    assert "17 usable videos" in coreecho("data", "check", tmp_path / "made")[1]


@pytest.mark.parametrize(
    ("name", "settings", "layout"),
    [
        ("camus", CamusPhantomSettings(patients=20, min_frames=6, max_frames=8), "CAMUS's NIfTI layout"),
        ("hmcqu", HmcquPhantomSettings(echos=20, size=48), "HMC-QU's layout, view A4C"),
    ],
)
def test_phantoms_of_the_smaller_sets_are_made_and_known_as_such(
    coreecho, tmp_path, monkeypatch, name, settings, layout
):
    monkeypatch.setitem(data.SMALL_SETS, name, settings)
    monkeypatch.setattr("coreecho.phantom.writing._processors", lambda: 1)
    assert coreecho("data", "make", name, tmp_path / name)[0] == 0
    (report,) = json.loads(coreecho("data", "check", tmp_path / name, "--json")[1])["data_sets"]
    assert (report["name"], report["release"]) == ("phantom", layout)
    assert report["usable"] > 0


@pytest.fixture
def tiny_profile(monkeypatch):
    """The command line's demo profile, at the tiny scale."""
    monkeypatch.setattr("coreecho.cli.options.get_profile", lambda _: TINY)


@pytest.mark.usefixtures("tiny_profile")
def test_runs_are_listed_with_what_is_missing(coreecho, tiny_records):
    place = ("--runs-dir", tiny_records["table1/coreecho"][0].folder.parents[1], "--json")
    listed = json.loads(coreecho("runs", "list", *place)[1])
    assert {row["run"] for row in listed} == {record.folder.name for own in tiny_records.values() for record in own}
    assert {row["data"] for row in listed} == {"phantom"}
    states = {row["name"]: row["state"] for row in json.loads(coreecho("runs", "status", *place)[1])}
    assert states.keys() == all_runs().keys()
    done = {name for name, state in states.items() if state == "done"}
    both = {"table1/coreecho": "table2/full", "table1/echocotr": "table2/echocotr"}  # Table 2 repeats two rows
    expected = {"table1/coreecho/seed0", "table1/coreecho/seed1", "table1/echocotr/seed0"}
    assert done == expected | {name.replace(row, again) for name in expected for row, again in both.items()}


@pytest.mark.usefixtures("tiny_profile")
def test_train_says_where_the_record_is_and_what_it_scores(coreecho, tiny_records, phantom_folder):
    record = tiny_records["table1/coreecho"][0]
    place = ("--runs-dir", record.folder.parents[1], "--data-root", phantom_folder.parent, "--device", "cpu")
    status, out, _ = coreecho("train", "table1/coreecho/seed0", *place)
    assert status == 0
    assert out.splitlines()[0] == str(record.folder)
    assert f"MAE {record.metrics['fixed3']['mae']:.2f}" in out
    assert "5 test videos" in out


def test_no_records_is_an_answer_not_an_error(coreecho, tmp_path):
    assert coreecho("runs", "list", "--runs-dir", tmp_path)[:2] == (0, "no records of profile 'demo'\n")
    assert json.loads(coreecho("runs", "list", "--runs-dir", tmp_path, "--json")[1]) == []


def test_the_version_is_printed(coreecho):
    status, out, _ = coreecho("--version")
    assert status == 0
    assert out.startswith("coreecho ")


@pytest.fixture
def bad(tmp_path, checkpoint, avi):
    """Files and folders that cannot be used, by name."""
    wide = UniFormer(TINY.encoder, num_classes=0)
    torch.save({"model": wide.state_dict(), "regressor": MLPHead(16).state_dict()}, tmp_path / "narrow.pth")
    torch.save({"model": wide.state_dict()}, tmp_path / "headless.pth")
    (tmp_path / "cut.safetensors").write_bytes(checkpoint.read_bytes()[:2000])
    (tmp_path / "text.avi").write_text("no video")
    (tmp_path / "empty.avi").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("in the way")
    return {"tmp": tmp_path, "checkpoint": checkpoint, "avi": avi}


BAD = {
    "no command": [],
    "unknown command": ["fly"],
    "unknown option": ["runs", "list", "--fast"],
    "unknown run": ["train", "table1/vit"],
    "unknown profile": ["train", "table1/coreecho", "--profile", "huge"],
    "unknown profile of runs": ["runs", "status", "--profile", "huge"],
    "set without a value": ["train", "table1/coreecho", "--set", "shared.epochs"],
    "set of an unknown field": ["train", "table1/coreecho", "--set", "shared.speed=3"],
    "set of another type": ["runs", "status", "--set", "shared.epochs=many"],
    "set out of range": ["train", "table1/coreecho", "--set", "shared.epochs=0"],
    "batches of one video": ["train", "table1/coreecho", "--set", "shared.batch_size=1"],
    "batches of one video of a system": ["train", "table1/adacon", "--set", "own.uvt.batch_size=1"],
    "batches of one video in probing": ["train", "table1/coreecho", "--set", "camus.probe.batch_size=1"],
    "a phantom without validation videos": ["train", "table1/coreecho", "--set", "phantom.val=0"],
    "a phantom without training videos": ["train", "table1/coreecho", "--set", "phantom.train=0"],
    "a phantom without test videos": ["train", "table1/coreecho", "--set", "phantom.test=0"],
    "moving shapes without test videos": ["train", "pretext", "--set", "phantom_motions.test=0"],
    "negative workers": ["train", "table1/coreecho", "--workers", "-1"],
    "unknown device": ["train", "table1/coreecho", "--device", "tpu"],
    "paper without data": ["train", "table1/coreecho", "--profile", "paper", "--runs-dir", "{tmp}/runs"],
    "paper without folders": ["train", "table1/coreecho", "--profile", "paper", "--data-root", "{tmp}/empty"],
    "phantom of the paper profile": ["data", "make", "paper", "{tmp}/made"],
    "phantom of an unknown profile": ["data", "make", "huge", "{tmp}/made"],
    "phantom over something else": ["data", "make", "demo", "{tmp}"],
    "phantom over a file": ["data", "make", "demo", "{tmp}/file"],
    "check of an empty folder": ["data", "check", "{tmp}/empty"],
    "check of no folder": ["data", "check", "{tmp}/nowhere", "--json"],
    "check of a file": ["data", "check", "{tmp}/file"],
    "unknown notebook": ["notebook", "table99"],
    "predict without a checkpoint": ["predict", "{avi}"],
    "predict with a missing checkpoint": ["predict", "{avi}", "--checkpoint", "{tmp}/none.safetensors"],
    "predict with a cut checkpoint": ["predict", "{avi}", "--checkpoint", "{tmp}/cut.safetensors"],
    "predict with another width": ["predict", "{avi}", "--checkpoint", "{tmp}/narrow.pth"],
    "predict with an encoder alone": ["predict", "{avi}", "--checkpoint", "{tmp}/headless.pth"],
    "predict with a video as weights": ["predict", "{avi}", "--checkpoint", "{avi}"],
    "predict with a folder as weights": ["predict", "{avi}", "--checkpoint", "{tmp}"],
    "predict a missing file": ["predict", "{tmp}/none.avi", "--checkpoint", "{checkpoint}"],
    "predict a text": ["predict", "{tmp}/text.avi", "--checkpoint", "{checkpoint}", "--json"],
    "predict an empty file": ["predict", "{tmp}/empty.avi", "--checkpoint", "{checkpoint}"],
    "predict a folder": ["predict", "{tmp}/empty", "--checkpoint", "{checkpoint}"],
    "one figure for two files": [
        "predict",
        "{avi}",
        "{avi}",
        "--checkpoint",
        "{checkpoint}",
        "--figure",
        "{tmp}/f.png",
    ],
    "figure below a file": ["predict", "{avi}", "--checkpoint", "{checkpoint}", "--figure", "{tmp}/file/f.png"],
    "table in place of a folder": ["predict", "{avi}", "--checkpoint", "{checkpoint}", "--csv", "{tmp}/empty"],
    "unknown protocol": ["predict", "{avi}", "--checkpoint", "{checkpoint}", "--protocol", "guess"],
}


@pytest.mark.parametrize("name", BAD)
def test_what_the_user_can_mend_ends_in_status_2_and_a_line(coreecho, bad, name):
    status, _, err = coreecho(*(argument.format(**bad) for argument in BAD[name]))
    assert status == 2
    assert 1 <= len(err.splitlines()) <= 2
    assert err.startswith("coreecho")
    assert len(err) < 700
    assert "Traceback" not in err


def test_a_model_with_a_linear_head_predicts_too(avi, tmp_path):
    model = tiny_model()
    checkpoints.save(CoReEcho(model.encoder, LinearHead(16), clip=TINY.clip), tmp_path / "m.st", {"training_data": "x"})
    result = predict(avi, tmp_path / "m.st")
    assert not any("phantom" in note for note in result.notes)
