"""Runs and records: stable keys, one training per run, records that cannot lie, and inputs checked before training."""

import dataclasses
import json
import multiprocessing
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import torch
from helpers import TINY, ensure_and_count, tiny_place, write_echonet_folder
from pydantic import TypeAdapter

from coreecho import checkpoints, records, runs
from coreecho.errors import CheckpointError, CoReEchoError, DataError, RecordError, SettingsError
from coreecho.evaluation import average_clips
from coreecho.forecast import forecast
from coreecho.plan import Plan
from coreecho.profiles import DEMO, GPU, PAPER
from coreecho.records import list_records, read_record, run_key, write_record
from coreecho.runs import Place, ensure, find
from coreecho.settings import Run
from coreecho.settings_text import from_dict, override, to_dict
from coreecho.trainer import Trainer
from coreecho.trainstate import tensorboard_writer

ROOT = Path(__file__).resolve().parents[1]


def changed(settings):
    """(field, copy with another value in that field) for every field of a settings object, inner ones too."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            inner = [(f"{field.name}.{name}", copy) for name, copy in changed(value)]
        elif isinstance(value, dict):
            inner = [
                (f"{field.name}.{key}.{name}", {**value, key: copy})
                for key in value
                for name, copy in changed(value[key])
            ]
            inner.append((field.name, {**value, "new": TINY.shared}))
        elif isinstance(value, tuple):
            inner = [(field.name, (*value[:-1], value[-1] + 1))]
        else:
            other = not value if isinstance(value, bool) else value + 1 if isinstance(value, int | float) else "other"
            inner = [(field.name, other)]
        yield from ((name, dataclasses.replace(settings, **{field.name: copy})) for name, copy in inner)


def test_the_key_changes_with_every_field_of_the_run_and_with_the_data():
    keys = {"as it is": run_key(Run(), DEMO, "data"), "other data": run_key(Run(), DEMO, "other")}
    keys |= {name: run_key(run, DEMO, "data") for name, run in changed(Run())}
    assert len(set(keys.values())) == len(keys) == 2 + len(dataclasses.fields(Run))


USED = ("name", "encoder.", "shared.", "clip.", "k400", "protocol")
"""Fields of a profile that decide a run by the shared recipe; the phantom's are in the data's fingerprint."""


@pytest.mark.parametrize("profile", [DEMO, GPU, PAPER, TINY], ids=lambda profile: profile.name)
def test_the_key_changes_with_every_field_of_the_profile_that_the_run_uses(profile):
    keys = {name: run_key(Run(), copy, "data") for name, copy in changed(profile)}
    as_it_is = run_key(Run(), profile, "data")
    used = {name: key for name, key in keys.items() if name.startswith(USED)}
    assert as_it_is not in used.values()
    assert len(set(used.values())) == len(used) > 25
    assert {key for name, key in keys.items() if name not in used} <= {as_it_is}


def test_a_recipe_of_ones_own_decides_only_the_runs_that_use_it():
    own = {**PAPER.own, "echocotr": dataclasses.replace(PAPER.own["echocotr"], epochs=44)}
    edited = dataclasses.replace(PAPER, own=own)
    echocotr = Run(method="echocotr", views="one")
    assert run_key(echocotr, edited, "data") != run_key(echocotr, PAPER, "data")
    for other in (Run(), dataclasses.replace(echocotr, recipe="shared"), Run(method="adacon", views="same-clip")):
        assert run_key(other, edited, "data") == run_key(other, PAPER, "data")
    scratch = Run(init="scratch")
    assert run_key(scratch, dataclasses.replace(PAPER, k400="none"), "data") == run_key(scratch, PAPER, "data")


def test_the_key_is_the_same_in_another_process():
    program = (
        "from coreecho.records import run_key; from coreecho.profiles import PAPER; from coreecho.settings import Run"
    )
    program += "; print(run_key(Run(seed=2), PAPER, 'data'))"
    options = {"cwd": ROOT, "capture_output": True, "text": True, "check": True}
    found = subprocess.run([sys.executable, "-c", program], env={"PYTHONHASHSEED": "5"}, **options).stdout.strip()
    assert found == run_key(Run(seed=2), PAPER, "data")
    assert len(found) == 8


def test_settings_survive_a_trip_through_json():
    for settings in (Run(fold=3, method="adacon"), DEMO, GPU, PAPER):
        again = from_dict(type(settings), json.loads(json.dumps(to_dict(settings))))
        assert again == settings
        assert run_key(Run(), again, "d") == run_key(Run(), settings, "d") if settings.__class__ is not Run else True


def test_what_checks_a_class_of_settings_is_made_once(monkeypatch):
    made = []
    make = TypeAdapter.__init__
    monkeypatch.setattr(TypeAdapter, "__init__", lambda own, kind: made.append(kind) or make(own, kind))

    @dataclasses.dataclass(frozen=True)
    class Fresh:
        size: int = 1

    assert [from_dict(Fresh, {"size": size}) for size in (1, 2)] == [Fresh(1), Fresh(2)]
    with pytest.raises(SettingsError, match="Fresh settings do not fit"):
        from_dict(Fresh, {"size": "1"})
    assert made == [Fresh]


@pytest.mark.parametrize(
    "assignment",
    [
        "shared.epochs",
        "shared.epoch=3",
        "epochs=3",
        "shared.epochs=three",
        "shared.epochs=0",
        "shared.batch_size=-1",
        "clip.stride=0",
        "shared.learning_rate=NaN",
        "shared.padding=pink",
        "encoder.widths=[1,2]",
        "shared=3",
        "=",
        "shared.epochs.more=1",
    ],
)
def test_an_override_that_makes_no_sense_is_refused_in_one_line(assignment):
    with pytest.raises(SettingsError) as caught:
        override(DEMO, [assignment])
    assert len(str(caught.value).splitlines()) == 1


def test_overrides_reach_inner_fields():
    profile = override(DEMO, ["shared.epochs=3", "protocol=all", "shared.padding=grey", "clip.size=64"])
    assert (profile.shared.epochs, profile.protocol, profile.shared.padding, profile.clip.size) == (
        3,
        "all",
        "grey",
        64,
    )


def test_a_second_call_trains_nothing_and_gives_the_same_records(tiny_records, phantom_folder, monkeypatch):
    (record, second), _, _ = tiny_records.values()
    monkeypatch.setattr(Trainer, "fit", lambda _: pytest.fail("trained again"))
    place = tiny_place(phantom_folder, record.folder.parents[1])
    assert ensure([Run(seed=1), Run()], TINY, place) == [second, record]


def test_a_record_is_found_without_its_data(tiny_records, tmp_path):
    record = tiny_records["table1/coreecho"][0]
    assert find(Run(), TINY, Place(data_root=tmp_path, runs_dir=record.folder.parents[1])) == record
    assert find(Run(seed=9), TINY, Place(data_root=tmp_path, runs_dir=record.folder.parents[1])) is None


def test_a_record_holds_predictions_per_clip_metrics_history_and_provenance(tiny_records, phantom_data):
    record = tiny_records["table1/coreecho"][0]
    table = record.predictions("fixed3")
    assert table.groupby("video").size().tolist() == [3] * 5
    labels = {study.id: study.label for study in phantom_data.split("test")}
    assert dict(zip(table["video"], table["label"], strict=True)) == labels
    assert record.predictions("first")["start"].tolist() == [0] * 5
    assert record.metrics["fixed3"]["n"] == 5
    assert len(record.history) == 4
    assert record.data["label"] == "phantom"
    assert {"commit", "device", "versions", "finished"} <= set(record.provenance)
    assert table["truth"].notna().all()


def test_a_record_keeps_its_model_whose_predictions_are_the_saved_ones(tiny_records, phantom_data):
    record = tiny_records["table1/coreecho"][0]
    model, info = checkpoints.load(record.folder / runs.MODEL)
    assert info.training_data == "phantom, tiny profile"
    assert info.fps == TINY.phantom.fps
    again = runs.score(model, Plan(run=record.run, profile=TINY, data=phantom_data), torch.device("cpu"))
    saved = pd.read_parquet(record.folder / records.PREDICTIONS)
    assert (again["prediction"] - saved["prediction"]).abs().max() < 1e-3


def test_an_unknown_protocol_is_refused_with_those_that_exist(tiny_records):
    with pytest.raises(RecordError, match=r"no predictions of protocol .all.; the record has first, fixed3"):
        tiny_records["table1/coreecho"][0].predictions("all")


@pytest.fixture
def copied(tiny_records, tmp_path):
    """A record's folder to damage."""
    folder = tiny_records["table1/coreecho"][0].folder
    return shutil.copytree(folder, tmp_path / "runs" / TINY.name / folder.name)


def edit(folder, change):
    path = folder / "record.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def cut(folder):
    path = folder / "record.json"
    path.write_text(path.read_text()[:-50])


def other_predictions(folder):
    table = pd.read_parquet(folder / "predictions.parquet")
    table.assign(prediction=table["label"]).to_parquet(folder / "predictions.parquet", index=False)


DAMAGE = {
    "metrics edited": (lambda f: edit(f, lambda c: c["metrics"]["first"].update(mae=0.1)), "edited"),
    "settings edited": (lambda f: edit(f, lambda c: c["run"].update(seed=7)), "edited"),
    "key edited": (lambda f: edit(f, lambda c: c.update(key="00000000")), "edited"),
    "cut": (cut, "not a complete record"),
    "not an object": (lambda f: (f / "record.json").write_text("[1]"), "not a complete record"),
    "empty": (lambda f: (f / "record.json").write_text(""), "not a complete record"),
    "foreign schema": (lambda f: edit(f, lambda c: c.update(schema=99)), "schema 99"),
    "no predictions": (lambda f: (f / "predictions.parquet").unlink(), "missing beside its record"),
    "other predictions": (other_predictions, "not the predictions"),
    "no record": (lambda f: (f / "record.json").unlink(), "no such record"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_record_is_refused_by_name_in_one_line(copied, name):
    damage, said = DAMAGE[name]
    damage(copied)
    with pytest.raises(RecordError, match=said) as caught:
        read_record(copied)
    assert str(copied) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_damaged_record_is_not_taken_for_a_missing_one(copied, phantom_folder):
    cut(copied)
    place = tiny_place(phantom_folder, copied.parents[1])
    with pytest.raises(RecordError, match="not a complete record"):
        find(Run(), TINY, place)
    with pytest.raises(RecordError, match="not a complete record"):
        list_records(place.runs_dir, TINY.name)


def test_a_lost_record_is_remade_from_the_checkpoint_without_training(
    copied, phantom_folder, monkeypatch, tiny_records
):
    (copied / "record.json").unlink()
    monkeypatch.setattr(Trainer, "_run_epoch", lambda *_: pytest.fail("trained again"))
    (record,) = ensure([Run()], TINY, tiny_place(phantom_folder, copied.parents[1]))
    original = tiny_records["table1/coreecho"][0]
    assert record.metrics == original.metrics
    assert record.history == original.history
    assert record.predictions().equals(original.predictions())


@pytest.mark.parametrize("writer", ["pandas.DataFrame.to_parquet", "pathlib.Path.write_text"])
def test_a_full_disk_leaves_no_record_and_one_line(copied, monkeypatch, writer):
    record = read_record(copied)
    table = pd.read_parquet(copied / "predictions.parquet")
    for name in ("record.json", "predictions.parquet"):
        (copied / name).unlink()

    def no_space(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, no_space)
    with pytest.raises(CoReEchoError, match="could not be written: No space left on device") as caught:
        write_record(record, table)
    monkeypatch.undo()
    assert len(str(caught.value).splitlines()) == 1
    assert not (copied / "record.json").exists()
    assert not list(copied.glob(".*.partial"))
    write_record(record, table)
    assert read_record(copied) == record


def test_two_processes_that_ask_for_one_run_train_it_once(phantom_folder, tmp_path):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        arguments = (phantom_folder.parent, tmp_path / "runs", tmp_path / "log")
        keys = {future.result() for future in [pool.submit(ensure_and_count, *arguments) for _ in range(2)]}
    assert len(keys) == 1
    assert (tmp_path / "log").read_text() == "trained\n"


def test_a_phantom_is_made_where_it_is_missing(tmp_path):
    profile = override(TINY, ["phantom.train=2", "phantom.val=1", "phantom.test=1"])
    data, about = runs.load_data(Run(), profile, Place(data_root=tmp_path / "new"))
    assert len(data.studies) == 4
    assert about["counts"] == {"train": 2, "val": 1, "test": 1}
    again, _ = runs.load_data(Run(), profile, Place(data_root=tmp_path / "new"))
    assert again == data


PAPER_TINY = override(
    PAPER,
    [
        "encoder.widths=[8,8,16,16]",
        "encoder.depths=[1,1,1,1]",
        "encoder.head_width=8",
        "clip.frames=4",
        "clip.stride=1",
        "clip.size=32",
        "shared.batch_size=2",
        "shared.epochs=1",
        "shared.refine_epochs=1",
        "k400=none",
    ],
)


@pytest.fixture
def hearts(tmp_path):
    """A data root of the paper profile with a small folder in EchoNet-Dynamic's format."""
    splits = ["TRAIN"] * 4 + ["VAL"] * 2 + ["TEST"] * 3
    rows = [(f"SYN{i}", f"{40 + 3 * i}", "", "", split) for i, split in enumerate(splits)]
    write_echonet_folder(tmp_path / "root" / "echonet", rows)
    return Place(data_root=tmp_path / "root", runs_dir=tmp_path / "runs", device="cpu")


def test_the_paper_profile_runs_on_a_folder_in_echonets_format(hearts):
    (record,) = ensure([Run()], PAPER_TINY, hearts)
    assert record.data["label"] == "EchoNet-Dynamic"
    assert record.data["counts"] == {"train": 4, "val": 2, "test": 3}
    assert [entry["stage"] for entry in record.history] == ["stage one", "stage two"]
    assert len(average_clips(record.predictions())) == 3
    assert find(Run(), PAPER_TINY, hearts) == record
    assert checkpoints.read_info(record.folder / runs.MODEL).training_data == "EchoNet-Dynamic, paper profile"


def test_a_metric_without_a_value_is_left_out_of_the_record(copied):
    record = read_record(copied)
    metrics = {"first": {"mae": 3.0, "r2_correlation": float("nan")}}
    write_record(dataclasses.replace(record, metrics=metrics), pd.read_parquet(copied / "predictions.parquet"))
    assert read_record(copied).metrics == {"first": {"mae": 3.0}}


def test_a_phantom_in_the_place_of_hearts_is_labelled_a_phantom(phantom_folder, tmp_path):
    shutil.copytree(phantom_folder, tmp_path / "echonet")
    _, about = runs.load_data(Run(), PAPER_TINY, Place(data_root=tmp_path))
    assert about["label"] == "phantom"


@pytest.fixture
def untrained(monkeypatch):
    monkeypatch.setattr(Trainer, "fit", lambda _: pytest.fail("trained before its inputs were checked"))


@pytest.mark.usefixtures("untrained")
def test_what_the_paper_profile_lacks_is_named_before_any_training(hearts, tmp_path):
    def refused(profile, place, kind=DataError):
        with pytest.raises(kind) as caught:
            ensure([Run()], profile, place)
        assert len(str(caught.value).splitlines()) == 1
        return str(caught.value)

    assert "--data-root" in refused(PAPER, Place(runs_dir=tmp_path / "runs"))
    message = refused(PAPER, Place(data_root=tmp_path / "nowhere", runs_dir=tmp_path / "runs"))
    assert "echonet" in message
    assert "uniformer_small_k400_16x8.pth" in message
    assert "uniformer_small_k400_16x8.pth" in refused(PAPER, hearts)
    weights = hearts.data_root / "weights/uniformer_small_k400_16x8.pth"
    weights.parent.mkdir()
    torch.save({"patch_embed1.proj.weight": torch.zeros(2)}, weights)
    assert "uniformer_small_k400_16x8.pth" in refused(PAPER, hearts, CheckpointError)
    (hearts.data_root / "echonet/Videos/SYN8.avi").unlink()
    assert "SYN8" in refused(PAPER_TINY, hearts)


@pytest.mark.usefixtures("untrained")
def test_an_empty_test_split_is_named_before_any_training(tmp_path):
    rows = [(f"SYN{i}", f"{40 + i}", "", "", split) for i, split in enumerate(["TRAIN"] * 2 + ["VAL"])]
    write_echonet_folder(tmp_path / "echonet", rows)
    with pytest.raises(DataError, match="'test'"):
        ensure([Run()], PAPER_TINY, Place(data_root=tmp_path, runs_dir=tmp_path / "runs", device="cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.usefixtures("untrained")
def test_a_device_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no CUDA device"):
        ensure([Run()], TINY, Place(data_root=tmp_path, runs_dir=tmp_path, device="cuda"))


def test_two_versions_of_the_real_data_are_not_chosen_between(hearts):
    (first,) = ensure([Run()], PAPER_TINY, hearts)
    folder = shutil.copytree(first.folder, first.folder.with_name(f"{Run().slug}-other"))
    data = {**first.data, "fingerprint": "another"}
    second = dataclasses.replace(first, folder=folder, data=data, key=run_key(Run(), PAPER_TINY, "another"))
    write_record(second, pd.read_parquet(folder / "predictions.parquet"))
    with pytest.raises(SettingsError, match="2 versions"):
        find(Run(), PAPER_TINY, hearts)


def test_tensorboard_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SettingsError, match="tensorboard"):
        tensorboard_writer(tmp_path)


def test_initial_weights_follow_the_seed_alone(phantom_data):
    def weights(seed):
        model = runs.initial_model(Run(seed=seed), TINY, Place(), phantom_data)
        return model.state_dict()["encoder.patch_embed1.proj.weight"]

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_the_forecast_counts_the_weights_of_a_systems_own_network():
    told = {method: forecast([Run(method=method, views="one")], PAPER, []) for method in ("coreecho", "uvt")}
    assert "429 MB of checkpoints" in told["coreecho"]
    assert "6,937 MB of checkpoints" in told["uvt"]
