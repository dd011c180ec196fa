"""Runs that start from other runs: pretext, systems on EchoNet-Dynamic, probing and fine-tuning on CAMUS and HMC-QU."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from helpers import TINY

from coreecho import checkpoints, experiments, ledger, lineage, runs
from coreecho.datasets import MOTIONS
from coreecho.errors import DataError, RecordError, SettingsError
from coreecho.lineage import PRETEXT, SYSTEMS, parent, with_ancestors
from coreecho.place import Place, load_data
from coreecho.profiles import DEMO, PAPER
from coreecho.settings import Run
from coreecho.settings_text import override
from coreecho.study_video import read_study

SMALL = override(
    TINY,
    [
        "k400=pretext",
        "phantom_motions.train=26",
        "phantom_motions.test=13",
        "phantom_motions.frames=8",
        "own_clips.pretext.frames=8",
        "own.pretext.epochs=1",
        "own.pretext.batch_size=13",
        "phantom_camus.patients=20",
        "camus.clip.frames=8",
        "camus.probe.epochs=1",
        "camus.finetune.epochs=1",
        "phantom_hmcqu.echos=40",
        "hmcqu.clip.frames=8",
        "hmcqu.clip.size=32",
        "hmcqu.probe.epochs=1",
        "hmcqu.finetune.epochs=1",
    ],
)
PROBE = Run(dataset="camus", fold=2, method="probe", init="coreecho", views="one")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("transfer")
    return Place(data_root=root / "data", runs_dir=root / "runs", device="cpu")


@pytest.fixture(scope="module")
def line(place):
    """The probe's record, and with it those of its ancestors."""
    return runs.ensure([PROBE], SMALL, place)[0]


def test_a_line_of_ancestors_comes_first_and_once():
    probe, other = PROBE, dataclasses.replace(PROBE, fold=3)
    assert with_ancestors([probe, other], DEMO) == [PRETEXT, SYSTEMS["coreecho"], probe, other]
    assert parent(Run(init="scratch"), DEMO) is None
    assert parent(Run(), PAPER) is None  # there its weights come from the published file
    assert parent(dataclasses.replace(PROBE, init="echocotr", seed=2), DEMO) == dataclasses.replace(
        SYSTEMS["echocotr"], seed=2
    )


def test_a_key_depends_on_everything_up_the_line():
    key = ledger.known_key(PROBE, DEMO)
    assert key != ledger.known_key(PROBE, override(DEMO, ["own.pretext.epochs=31"]))
    assert key != ledger.known_key(PROBE, override(DEMO, ["shared.epochs=21"]))
    assert key != ledger.known_key(PROBE, override(DEMO, ["phantom_camus.seed=1"]))
    assert key == ledger.known_key(PROBE, override(DEMO, ["phantom_hmcqu.seed=1", "camus.finetune.epochs=3"]))
    scratch = Run(init="scratch")
    assert ledger.known_key(scratch, DEMO) == ledger.known_key(scratch, override(DEMO, ["own.pretext.epochs=31"]))
    assert ledger.known_key(PROBE, PAPER) is None


def test_ancestors_are_trained_first_and_their_key_is_kept(line, place):
    above = ledger.find(SYSTEMS["coreecho"], SMALL, place)
    first = ledger.find(PRETEXT, SMALL, place)
    assert line.data["parent"] == above.key
    assert above.data["parent"] == first.key
    assert first.data["label"] == "moving shapes"
    assert line.data["label"] == "phantom"


def test_probing_leaves_the_encoder_as_the_parent_had_it(line, place):
    probed = checkpoints.load(line.folder)[0].encoder.state_dict()
    source = checkpoints.load(ledger.find(SYSTEMS["coreecho"], SMALL, place).folder)[0].encoder.state_dict()
    assert all(torch.equal(value, source[name]) for name, value in probed.items())


def test_a_transfer_record_tells_fold_quality_and_truth(line):
    table = line.predictions()
    assert set(table["fold"]) == {2}
    assert set(table["quality"]) <= {"Good", "Medium", "Poor"}
    rank = ["Good", "Medium", "Poor"].index
    assert all(rank(a) <= rank(b) for a, b in zip(table["quality"], table["quality_patient"], strict=True))
    assert (table["truth"] - table["label"]).abs().max() < 25
    assert len(line.data["counts"]) == 3


def test_clips_are_normalised_by_the_training_fold(line, place):
    model, info = checkpoints.load(line.folder)
    assert model.levels == (info.mean, info.sd)
    data = load_data(PROBE, SMALL, place)[0]
    pixels = np.concatenate([read_study(study).frames.ravel() for study in data.split("train")]) / 255
    assert info.mean[0] == pytest.approx(pixels.mean(), abs=0.03)
    assert info.sd[0] == pytest.approx(pixels.std(), abs=0.03)


def test_paper_profile_normalises_camus_by_the_released_levels():
    assert PAPER.camus.normalisation == (40.94405, 54.723774)


def test_an_infarction_is_predicted_as_a_probability(line, place):
    run = Run(dataset="hmcqu", fold=0, method="finetune", init="coreecho", views="one")
    record = runs.ensure([run], SMALL, place)[0]
    table = record.predictions()
    assert table["prediction"].between(0, 1).all()
    assert set(table["label"]) == {0.0, 1.0}
    assert checkpoints.load(record.folder)[0].task == "mi"
    assert [entry for entry in record.history if "val_mae" in entry] == []  # no validation split
    assert record.history[-1]["chosen"] == record.history[-1]["epoch"]
    assert 0 <= record.metrics["first"]["accuracy"] <= 1


def test_the_pretext_run_tells_motions_apart_by_their_numbers(line, place):
    record = ledger.find(PRETEXT, SMALL, place)
    table = record.predictions()
    assert set(table["label"]) <= set(range(len(MOTIONS)))
    assert set(table["prediction"]) <= set(range(len(MOTIONS)))
    assert checkpoints.load(record.folder)[0].head.out_features == len(MOTIONS)


def test_a_record_without_weights_keeps_its_record_when_they_are_made_again(line, place):
    record = ledger.find(SYSTEMS["coreecho"], SMALL, place)
    text = (record.folder / "record.json").read_bytes()
    before = checkpoints.load(record.folder)[0].state_dict()
    for name in ("model.safetensors", "last.pt"):
        (record.folder / name).unlink()
    path = runs.weights(SYSTEMS["coreecho"], SMALL, place)
    after = checkpoints.load(path)[0].state_dict()
    assert (record.folder / "record.json").read_bytes() == text
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_fold_with_one_class_is_refused_by_name_before_training(line, place, monkeypatch):
    run = Run(dataset="hmcqu", fold=1, method="probe", init="scratch", views="one")
    data, about = load_data(run, SMALL, place)
    one = tuple(dataclasses.replace(study, label=1.0) for study in data.studies)
    monkeypatch.setattr(runs, "load_data", lambda *_: (dataclasses.replace(data, studies=one), about))
    with pytest.raises(DataError, match=r"hmcqu-fold1-probe-scratch-seed0.*'train'.*both classes"):
        runs.ensure([run], SMALL, place)
    monkeypatch.setattr(runs, "train", lambda *_, **__: pytest.fail("trained"))
    child = dataclasses.replace(run, init="echocotr")  # its ancestor has no record yet
    with pytest.raises(DataError, match="both classes"):
        runs.ensure([child], SMALL, place)


@pytest.mark.parametrize(
    ("run", "settings", "message"),
    [
        (dataclasses.replace(PROBE, fold=None), [], "names no fold"),
        (dataclasses.replace(PROBE, fold=10), [], "fold 10"),
        (PROBE, ["camus.folds=stratified"], "official and contiguous"),
        (dataclasses.replace(PROBE, dataset="hmcqu"), ["hmcqu.folds=official"], "drawn"),
    ],
)
def test_folds_that_do_not_exist_are_refused(line, place, run, settings, message):
    with pytest.raises((SettingsError, DataError), match=message):
        load_data(run, override(SMALL, settings), place)


def test_contiguous_folds_have_no_validation_split_and_another_key(line, place):
    other = override(SMALL, ["camus.folds=contiguous"])
    data = load_data(PROBE, other, place)[0]
    assert not any(study.split == "val" for study in data.studies)
    assert ledger.known_key(PROBE, other) != ledger.known_key(PROBE, SMALL)


def test_names_of_runs_reach_every_fold():
    run = experiments.find_run("table4/probe-coreecho/seed1/fold3")
    assert run == dataclasses.replace(PROBE, seed=1, fold=3)
    assert experiments.find_run("table5/finetune-k400").fold == 0
    assert experiments.find_run("pretext") == lineage.PRETEXT
    unknown = ("table4/probe-coreecho/fold10", "table1/coreecho/fold1", "table4/vit", "table9/x", "table1/coreecho/")
    for name in unknown:
        with pytest.raises(SettingsError):
            experiments.find_run(name)
    runs_of_all = experiments.all_runs()
    assert all(experiments.find_run(name) == run for name, run in runs_of_all.items())
    assert sum(run.dataset == "camus" for run in runs_of_all.values()) == 60
    assert sum(run.dataset == "hmcqu" for run in runs_of_all.values()) == 45


def test_a_record_in_the_place_of_another_is_refused_by_name(line, place, tmp_path):
    other = dataclasses.replace(place, runs_dir=tmp_path)
    key = ledger.known_key(PROBE, SMALL)
    target = ledger.folder_of(PROBE, SMALL, other, key)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ledger.find(PRETEXT, SMALL, place).folder, target)
    with pytest.raises(RecordError, match=r"holds the record motions-pretext-seed0-\w+ of profile 'tiny'"):
        ledger.find(PROBE, SMALL, other)
    gpu = dataclasses.replace(SMALL, name="gpu")
    stranger = ledger.folder_of(PROBE, gpu, other, ledger.known_key(PROBE, gpu))
    stranger.parent.mkdir(parents=True)
    shutil.copytree(line.folder, stranger)
    with pytest.raises(RecordError, match="of profile 'tiny'"):
        ledger.find(PROBE, gpu, other)
