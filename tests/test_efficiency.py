"""Efficiency: passes are counted and timed, the device is named, and a measurement that does not fit is refused."""

import dataclasses
import json
import statistics

import pytest
import torch
from helpers import TINY, tiny_model

from coreecho import efficiency, timing
from coreecho.errors import RecordError, SettingsError
from coreecho.rows import published
from coreecho.settings_text import override

FEW = {"warmup": 1, "timed": 3}


class Clock:
    """A model whose k-th pass takes k milliseconds of a clock of its own; it also counts its passes."""

    def __init__(self, monkeypatch):
        self.now, self.sizes, self.modes = 0.0, [], []
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def model(self):
        class Model(torch.nn.Module):
            def forward(inner, clips):  # noqa: N805
                self.sizes.append(tuple(clips.shape))
                self.modes.append(inner.training)
                self.now += 1e-3 * len(self.sizes)
                return clips.mean()

        return Model()


def test_warm_up_is_not_timed_and_time_is_per_clip(monkeypatch):
    clock = Clock(monkeypatch)
    model = clock.model()
    found = timing.measure(model, TINY.clip, torch.device("cpu"), batch=2, warmup=3, timed=4)
    assert clock.sizes == [(2, 3, 8, 32, 32)] * 7
    assert not any(clock.modes)
    assert model.training
    expected = [milliseconds / 2 for milliseconds in (4, 5, 6, 7)]
    assert found.mean_ms == pytest.approx(statistics.mean(expected))
    assert found.sd_ms == pytest.approx(statistics.stdev(expected))
    assert (found.batch, found.warmup, found.timed) == (2, 3, 4)


def test_the_default_is_fifty_untimed_and_two_hundred_timed_passes(monkeypatch):
    clock = Clock(monkeypatch)
    clip = dataclasses.replace(TINY.clip, frames=1, size=1)
    assert timing.measure(clock.model(), clip, torch.device("cpu")).timed == 200
    assert len(clock.sizes) == 250


def test_a_real_network_takes_time():
    found = timing.measure(tiny_model(), TINY.clip, torch.device("cpu"), **FEW)
    assert found.mean_ms > 0
    assert found.sd_ms >= 0


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"timed": 1}, {"warmup": -1}])
def test_counts_that_cannot_be_timed_are_refused(wrong):
    with pytest.raises(SettingsError, match="give at least 1, 0 and 2"):
        timing.measure(tiny_model(), TINY.clip, torch.device("cpu"), **wrong)


@pytest.fixture
def kept(tmp_path):
    """A measurement of the tiny network, and where it lies."""
    return tmp_path, efficiency.record(TINY, tmp_path, "cpu", batches=(1, 2), **FEW)


def test_a_measurement_is_kept_beside_the_records_and_names_its_device(kept):
    folder, path = kept
    assert path.parent == folder / "tiny"
    (found,) = efficiency.measured(TINY, folder)
    assert [each.batch for each in found.timings] == [1, 2]
    assert found.device
    assert path.name.startswith("efficiency-")
    assert found.encoder == TINY.encoder
    assert found.parameters == sum(parameter.numel() for parameter in tiny_model().parameters())
    clip_seconds = (7 * 2 + 1) / 25
    assert found.real_time(found.timings[0]) == pytest.approx(1e3 * clip_seconds / found.timings[0].mean_ms)
    again = efficiency.record(TINY, folder, "cpu", batches=(1,), **FEW)
    assert again == path
    assert len(efficiency.measured(TINY, folder)[0].timings) == 1


def test_training_steps_are_timed_on_request(tmp_path):
    efficiency.record(TINY, tmp_path, "cpu", batches=(1,), training=(2, 8), **FEW)
    (found,) = efficiency.measured(TINY, tmp_path)
    assert [(each.batch, each.precision, each.compiled) for each in found.training] == [
        (2, "no", False),
        (8, "no", False),
    ]
    assert all((each.warmup, each.timed) == (1, 3) and each.mean_ms > 0 for each in found.training)
    assert len(efficiency.speed_table([TINY], tmp_path)) == 2  # a step is no inference


def test_measurements_from_before_training_was_timed_are_still_read(kept):
    folder, path = kept
    content = json.loads(path.read_text())
    del content["digest"], content["training"]
    for each in content["timings"]:
        del each["precision"], each["compiled"]
    path.write_text(json.dumps(content | {"digest": efficiency.digest_of(content)}))
    (found,) = efficiency.measured(TINY, folder)
    assert found.training == ()
    assert found.timings[0].text == "1"


def test_a_training_step_moves_every_weight():
    model = tiny_model(seed=1)
    before = {name: value.clone() for name, value in model.named_parameters()}
    found = timing.measure_training(model, TINY.clip, TINY.shared, torch.device("cpu"), batch=8, warmup=0, timed=2)
    assert (found.batch, found.timed, found.precision, found.compiled) == (8, 2, "no", False)
    assert [name for name, value in model.named_parameters() if torch.equal(value, before[name])] == []
    assert all(value.dtype == torch.float32 for value in model.parameters())


def test_a_step_in_bf16_says_so():
    recipe = dataclasses.replace(TINY.shared, precision="bf16")
    found = timing.measure_training(tiny_model(), TINY.clip, recipe, torch.device("cpu"), batch=4, warmup=0, timed=2)
    assert found.text == "4 (bf16)"
    assert dataclasses.replace(found, compiled=True).text == "4 (bf16, compiled)"


@pytest.mark.parametrize("batch", [0, 3])
def test_a_step_needs_two_clips_of_each_video(batch):
    with pytest.raises(SettingsError, match=f"{batch}"):
        timing.measure_training(tiny_model(), TINY.clip, TINY.shared, torch.device("cpu"), batch=batch)


def test_on_a_gpu_the_largest_batch_is_timed_as_trainings_there_should_run(monkeypatch):
    asked = []

    def noted(model, clip, *rest, batch, precision="no", compiled=False, **counts):
        recipe = rest[0] if len(rest) == 2 else None
        precision = recipe.precision if recipe else precision
        asked.append((batch, precision, compiled))
        numbers = {"batch": batch, "mean_ms": 1.0, "sd_ms": 0.0, "precision": precision, "compiled": compiled}
        return timing.Timing(**numbers, **counts)

    monkeypatch.setattr(timing, "measure", noted)
    monkeypatch.setattr(timing, "measure_training", noted)
    gpu = torch.device("cuda")
    passes = timing.measure_passes(tiny_model(), TINY.clip, gpu, (1, 16))
    steps = timing.measure_steps(tiny_model(), TINY.clip, TINY.shared, gpu, (8, 32))
    assert [each.text for each in passes] == ["1", "16", "16 (bf16, compiled)"]
    assert [each.text for each in steps] == ["8", "32", "32 (bf16, compiled)"]
    assert asked[-1] == (32, "bf16", True)
    assert [each.timed for each in (passes[0], steps[0])] == [timing.TIMED, timing.TRAINING_TIMED]
    assert timing.measure_passes(tiny_model(), TINY.clip, gpu, ()) == ()


def test_a_device_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="no CUDA device"):
        efficiency.record(TINY, tmp_path, "cuda")
    assert not list(tmp_path.iterdir())


def test_an_edited_a_cut_and_another_networks_measurement_are_refused(kept):
    folder, path = kept
    whole = path.read_text()
    content = json.loads(whole)
    content["timings"][0]["mean_ms"] /= 10
    for text, message in ((json.dumps(content), "edited"), (whole[:200], "not a complete"), ("[]", "not a complete")):
        path.write_text(text)
        with pytest.raises(RecordError, match=message):
            efficiency.measured(TINY, folder)
    path.write_text(whole)
    with pytest.raises(RecordError, match="another network"):
        efficiency.measured(override(TINY, ["encoder.widths=[8,8,8,16]"]), folder)
    wrong = {name: value for name, value in json.loads(whole).items() if name not in ("digest", "threads")}
    path.write_text(json.dumps(wrong | {"digest": efficiency.digest_of(wrong)}))
    with pytest.raises(RecordError, match="threads"):
        efficiency.measured(TINY, folder)


def test_the_published_speed_stands_first_and_what_was_not_measured_says_so(kept):
    folder, _ = kept
    other = override(TINY, ["name=other"])
    lines = efficiency.speed_table([TINY, other], folder).to_dict("records")
    paper = published()["efficiency"]
    assert lines[0]["Device"] == paper["device"]
    assert lines[0]["ms per clip"] == f"{paper['inference_ms_per_clip_mean']} ± {paper['inference_ms_per_clip_sd']}"
    (found,) = efficiency.measured(TINY, folder)
    for line, each in zip(lines[1:3], found.timings, strict=True):
        assert line["Device"] == f"{found.device}, threads: {found.threads}"
        assert line["Profile"].startswith("tiny (")
        assert line["ms per clip"] == f"{each.mean_ms:.2f} ± {each.sd_ms:.2f}"
    assert (lines[3]["Profile"], lines[3]["ms per clip"]) == ("other", "not yet run")
    assert len(lines) == 4


def test_training_time_is_told_with_and_without_validation(tiny_records):
    record = tiny_records["table1/coreecho"][0]
    history = [entry | {"seconds": 90.0, "val_seconds": 30.0} for entry in record.history]
    timed = dataclasses.replace(record, history=history)
    silent = dataclasses.replace(record, history=[{k: v for k, v in e.items() if k != "val_seconds"} for e in history])
    lines = efficiency.training_table({"table1/coreecho": [timed, silent], "table1/adacon": []}).to_dict("records")
    assert lines[0]["Device"] == published()["efficiency"]["device"]
    assert lines[0]["With validation (min)"].startswith("240 ")
    assert lines[1]["Epochs"] == "2 + 2"
    assert lines[1]["Data"] == "phantom, tiny"
    assert (lines[1]["With validation (min)"], lines[1]["Without (min)"]) == ("6.00", "4.00")
    assert (lines[2]["With validation (min)"], lines[2]["Without (min)"]) == ("6.00", "not recorded")
    assert len(lines) == 3
    assert efficiency.validation_seconds(timed) == 120


def test_trainings_write_down_what_validation_takes(tiny_records):
    record = tiny_records["table1/coreecho"][0]
    spent = efficiency.validation_seconds(record)
    assert spent is not None
    assert 0 < spent < record.training_seconds
