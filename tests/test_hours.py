"""Hours: work follows from the recipe, plans keep every rule, and nothing is shown as measured that was not."""

import dataclasses
import random

import pytest
from helpers import TINY
from test_efficiency import FEW

from coreecho import efficiency, flops, hours, layout, workload
from coreecho.errors import SettingsError
from coreecho.lineage import parent
from coreecho.profiles import DEMO, PAPER
from coreecho.records import list_records
from coreecho.rows import published
from coreecho.settings import Run
from coreecho.settings_text import override
from coreecho.timing import Timing

ECHONET = workload.ECHONET


def test_stage_one_learns_from_two_clips_and_stage_two_only_looks():
    each = workload.work(Run(), PAPER)
    shown = 7460 // 16 * 16
    assert each.learned == 25 * shown * 2
    assert each.seen == 5 * shown + 30 * 1288 * 3 + 1276 * (1 + 3)
    assert each.flops == flops.forward_flops(PAPER, Run())
    assert each.total == (3 * each.learned + each.seen) * each.flops


def test_one_stage_costs_less_than_two_and_one_view_half_of_two():
    first = workload.work(Run(method="coreecho-stage1"), PAPER)
    assert first.learned == workload.work(Run(), PAPER).learned
    assert first.seen < workload.work(Run(), PAPER).seen
    one = workload.work(Run(method="l1", views="one"), PAPER)
    assert 2 * one.learned == workload.work(Run(method="l1"), PAPER).learned
    crops = workload.work(Run(method="l1", views="same-clip"), PAPER)
    assert crops == workload.work(Run(method="l1"), PAPER)


def test_probing_learns_from_no_clip():
    run = Run(dataset="camus", fold=0, method="probe", init="coreecho", views="one")
    assert workload.work(run, PAPER).learned == 0
    assert workload.work(run, PAPER).seen == 100 * 400 + 100 * 50 + 50
    tuned = workload.work(dataclasses.replace(run, method="finetune"), PAPER)
    assert (tuned.learned, tuned.seen) == (100 * 400, 100 * 50 + 50)


def test_a_smaller_last_batch_is_kept_where_the_recipe_keeps_it():
    run = Run(dataset="hmcqu", fold=0, method="finetune", init="coreecho", views="one")
    assert workload.work(run, PAPER).learned == 50 * (109 - 23)
    assert workload.work(run, override(PAPER, ["hmcqu.finetune.drop_last=true"])).learned == 50 * 80
    assert workload.work(run, override(PAPER, ["hmcqu.finetune.batch_size=17"])).learned == 50 * 85  # 86 leave one over


def test_the_folds_of_hmcqu_hold_every_echo_once():
    sizes = [workload.real_videos(Run(dataset="hmcqu", fold=fold)) for fold in range(5)]
    assert sum(each.test for each in sizes) == 109
    assert {each.train + each.test for each in sizes} == {109}


def test_moving_shapes_have_no_real_size():
    run = Run(dataset="motions", method="pretext", init="scratch", views="one")
    with pytest.raises(SettingsError, match="moving shapes"):
        workload.work(run, DEMO)
    assert workload.work(run, DEMO, workload.Videos(2400, 0, 240)).learned == 60 * 2400


def test_protocols_are_counted():
    one, three, five, every = (
        workload.work(Run(), dataclasses.replace(PAPER, protocol=name)).seen
        for name in ("first", "fixed3", "even5", "all")
    )
    assert (three - one, five - one) == (3 * 1276, 5 * 1276)
    assert every > five


def test_seconds_are_operations_over_speed():
    each = workload.Work(learned=10, seen=4, flops=100)
    assert hours.Speed("x", learning=50.0, looking=200.0).seconds(each) == pytest.approx(
        3 * 10 * 100 / 50 + 4 * 100 / 200
    )


def test_all_runs_and_what_they_start_from_come_once():
    runs = hours.paper_runs(PAPER)
    assert len(runs) == len(set(runs))
    for run in runs:
        above = parent(run, PAPER)
        assert above is None or runs.index(above) < runs.index(run)


@pytest.mark.parametrize("devices", [1, 3, 8, 64])
def test_a_plan_is_no_better_than_its_bounds_and_no_worse_than_list_scheduling_can_be(devices):
    draw = random.Random(devices)
    for _ in range(20):
        times = {run: draw.uniform(1, 100) for run in hours.paper_runs(PAPER)}
        found = layout.lay_out(times, PAPER, devices)
        even = sum(times.values()) / devices
        assert found.seconds >= max(even, found.chain_seconds) - 1e-6
        assert found.seconds <= even + found.chain_seconds * (1 - 1 / devices) + 1e-6
        assert found.busy == pytest.approx(even / found.seconds)
        assert sum(times[run] for run in found.chain) == pytest.approx(found.chain_seconds)
        assert [parent(run, PAPER) for run in found.chain[1:]] == list(found.chain[:-1])


def test_a_child_waits_for_its_parent():
    child = Run(dataset="camus", fold=0, method="finetune", init="coreecho", views="one")
    times = {Run(): 5.0, child: 2.0, Run(method="l1"): 1.0}
    two = layout.lay_out(times, PAPER, 2)
    assert (two.seconds, two.chain, two.chain_seconds) == (7.0, (Run(), child), 7.0)
    assert layout.lay_out(times, PAPER, 1).seconds == 8.0
    assert layout.lay_out({child: 2.0}, PAPER, 1).seconds == 2.0  # its parent is there already


def test_the_longest_chain_goes_first():
    short = [Run(method="l1", seed=seed) for seed in range(4)]
    child = Run(dataset="camus", fold=0, method="finetune", init="coreecho", views="one")
    times = dict.fromkeys(short, 4.0) | {Run(): 3.0, child: 5.0}
    assert layout.lay_out(times, PAPER, 3).seconds == 8.0


def test_a_plan_needs_a_device_and_may_be_empty():
    with pytest.raises(SettingsError, match="0 devices"):
        layout.lay_out({Run(): 1.0}, PAPER, 0)
    assert layout.lay_out({}, PAPER, 2) == layout.Layout(0.0, 0.0, (), 0.0)


def test_the_work_table_counts_each_run_once():
    lines = hours.work_table(PAPER).to_dict("records")
    assert lines[-1]["Table"] == "all"
    assert sum(int(line["Runs"]) for line in lines[:-1]) == int(lines[-1]["Runs"]) == len(hours.paper_runs(PAPER))


def test_more_devices_take_less_time_until_the_longest_chain():
    (line,) = hours.hours_table(PAPER, [hours.assumed(0.2)]).to_dict("records")
    one, eight, many, chain = (float(text.split()[0].replace(",", "")) for text in list(line.values())[1:])
    assert one > eight >= many >= chain
    assert line["1 device (h)"].endswith("(100% busy)")
    total = sum(workload.work(run, PAPER).total for run in hours.paper_runs(PAPER))
    assert one == pytest.approx(total / (0.2 * 989.4e12) / 3600, abs=0.006)


def test_the_speed_that_the_paper_implies_gives_its_hours():
    each = workload.work(Run(), PAPER)
    assert hours.implied(PAPER).seconds(each) == pytest.approx(3600 * published()["efficiency"]["training_hours"])


def test_a_gpu_that_was_not_measured_says_so(tmp_path):
    lines = hours.predicted(PAPER, tmp_path).to_dict("records")
    assert [list(line.values()) for line in lines] == [["GPU: not yet measured on a GPU", "–", "–", "–", "–"]]


def fabricated(monkeypatch, *threads, device="processor"):
    """Measurements as they would be read, one for each number of threads; 0 is a GPU."""
    timings = (Timing(batch=16, warmup=1, timed=2, mean_ms=1.0, sd_ms=0.1),)
    training = (
        Timing(batch=32, warmup=1, timed=2, mean_ms=9.0, sd_ms=0.1),
        Timing(batch=32, warmup=1, timed=2, mean_ms=3.0, sd_ms=0.1, precision="bf16", compiled=True),
    )
    found = [
        efficiency.Efficiency(
            profile="paper", encoder=PAPER.encoder, clip=PAPER.clip, parameters=1, fps=50.0, threads=count,
            device=device if count else "NVIDIA H100 80GB HBM3", torch="2", commit=None,
            uncommitted_changes=False, finished="", timings=timings, training=training,
        )
        for count in threads
    ]  # fmt: skip
    monkeypatch.setattr(hours, "measured", lambda profile, runs_dir: found)


def test_a_measured_gpu_comes_by_itself_and_first(monkeypatch):
    fabricated(monkeypatch, 2, 0)
    lines = hours.predicted(PAPER).to_dict("records")
    assert [line["Speed of one device"] for line in lines] == [
        "NVIDIA H100 80GB HBM3, 32 (bf16, compiled) clips a step",
        "processor, threads: 2, 32 (bf16, compiled) clips a step",
    ]
    (speed,) = hours.speeds(PAPER, gpu=True)
    each = flops.forward_flops(PAPER, Run())
    assert speed.learning == pytest.approx(3 * each / 3e-3)
    assert speed.looking == pytest.approx(each / 1e-3)


def test_utilisation_is_told_where_the_peak_is_known(monkeypatch):
    fabricated(monkeypatch, 2, 0)
    lines = hours.measured_table(PAPER).to_dict("records")
    assert [line["Share of the published peak"] for line in lines[:3]] == ["peak not known"] * 3
    rate = 3 * flops.forward_flops(PAPER, Run()) / 3e-3
    assert lines[-1]["Share of the published peak"] == f"{rate / 989.4e12:.0%}"
    assert lines[-1]["TFLOP/s"] == f"{rate / 1e12:.2f}"


def test_a_measurement_without_training_predicts_nothing(tmp_path):
    efficiency.record(TINY, tmp_path, "cpu", batches=(1,), **FEW)
    (found,) = efficiency.measured(TINY, tmp_path)
    assert hours.speed_of(found, TINY) is None
    assert hours.speeds(TINY, tmp_path, gpu=False) == []


def test_a_prediction_is_set_against_what_trainings_took(tiny_records):
    records = [record for own in tiny_records.values() for record in own]
    record = tiny_records["table1/echocotr"][0]
    each = workload.work(record.run, record.profile, workload.Videos(8, 4, 0))
    assert (each.learned, each.seen) == (2 * 8, 2 * 4)
    speed = hours.Speed("any", *[speed_that_takes(record, each)] * 2)
    lines = hours.check_table(records, speed).to_dict("records")
    assert [(line["Runs of"], line["Number"]) for line in lines] == [
        ("echonet, coreecho", "2"), ("echonet, echocotr", "1"), ("all", "3"),
    ]  # fmt: skip
    assert lines[1]["Took / predicted"] == "1.00"


def test_a_prediction_is_checked_on_the_device_that_was_measured(tiny_records, monkeypatch):
    device = tiny_records["table1/coreecho"][0].provenance["device"]
    runs_dir = tiny_records["table1/coreecho"][0].folder.parents[1]
    fabricated(monkeypatch, 2, device=device)
    assert hours.trust_table(TINY, runs_dir).iloc[-1]["Number"] == str(len(list_records(runs_dir, "tiny")))
    fabricated(monkeypatch, 2, device="another processor")
    assert "no measured training steps" in hours.trust_table(TINY, runs_dir).iloc[0]["Runs of"]


def speed_that_takes(record, each):
    return each.total / record.training_seconds


def test_the_longest_chain_names_its_runs():
    lines = hours.chain_table(PAPER).to_dict("records")
    assert lines
    assert all(line["Run"].startswith("table") for line in lines)
