"""Benchmarks: both sides compute the same, turns and ratios are fair, goals are checked, reports are kept and shown."""

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch

from coreecho import bench, cli
from coreecho.bench import pages, peak, report
from coreecho.bench.bootstrap import bench_bootstrap, literal_bootstrap
from coreecho.bench.items import bench_items, bench_items_pack
from coreecho.bench.measure import Result, Sides, benchmark, compare, run
from coreecho.bench.rnc import bench_rnc, bench_rnc_4096, literal_rnc
from coreecho.errors import CoReEchoError, RecordError, SettingsError
from coreecho.losses import rnc_loss

RESULT = Result(
    name="loss",
    what="a loss; literal: a loop",
    unit="ms",
    literal=2500.0,
    ours=50.0,
    ratio=50.0,
    low=40.0,
    high=61.0,
    repeats=3,
    goal="≥ 20×",
    literal_mb=512.0,
    ours_mb=30.0,
)
ALONE = replace(RESULT, name="alone", literal=None, ratio=None, low=49.0, high=52.0, goal="< 0.04 s", literal_mb=None)
REPORT = report.Report(
    processor="Some CPU (R)",
    gpu=None,
    threads=2,
    load=0.1,
    torch="2.14.1",
    commit="0123456789abcdef",
    uncommitted_changes=False,
    finished="2026-01-02T03:04:05+00:00",
    results=(RESULT, ALONE),
)


@benchmark("pause", "nothing much; literal: the same in a loop", goal="≥ 0×", repeats=2)
def bench_pause(calls: int = 10):
    yield Sides(literal=lambda: [sum(range(50)) for _ in range(calls)], ours=lambda: sum(range(50)))


class Clock:
    """A clock that actions move, each call of one slower than the one before by ``drift``."""

    def __init__(self, monkeypatch, drift=0.0):
        self.now, self.pace, self.drift = 0.0, 1.0, drift
        monkeypatch.setattr(bench.measure.time, "perf_counter", lambda: self.now)

    def spend(self, seconds):
        def action():
            self.now += seconds * self.pace
            self.pace += self.drift

        return action


def test_the_literal_loss_is_the_same_loss():
    torch.manual_seed(1)
    embeddings, labels = torch.randn(12, 8, dtype=torch.float64), torch.arange(6.0).repeat(2)
    assert literal_rnc(embeddings, labels).item() == pytest.approx(rnc_loss(embeddings, labels).item(), rel=1e-9)
    with bench_rnc.prepare(16, 8) as sides:
        for own, literal in zip(sides.ours(), sides.literal(), strict=True):
            torch.testing.assert_close(own, literal)


def test_the_large_loss_has_a_gradient_of_its_size():
    with bench_rnc_4096.prepare(64, 4) as sides:
        assert sides.literal is None
        assert sides.ours()[1].shape == (64, 4)


@pytest.mark.parametrize("item", [bench_items, bench_items_pack])
def test_both_ways_to_an_item_give_the_same_bytes(item):
    with item.prepare(160) as sides:
        ours, literal = sides.ours().numpy(), sides.literal()
    assert (ours == literal.transpose(0, 4, 1, 2, 3)).all()
    assert ours.std() > 10


def test_the_literal_bootstrap_gives_the_same_intervals():
    with bench_bootstrap.prepare(patients=50, systems=3, resamples=100) as sides:
        ours = np.array(sides.ours())
        assert len(sides.literal()) == len(ours) == 3 * 3 + 2 * 3
    rng = np.random.default_rng(0)
    labels = rng.normal(55, 12, 50)
    # Both draw the same patients from the same seed.
    literal = literal_bootstrap(labels, labels + rng.normal(0, 5, (3, 50)), 100)
    np.testing.assert_allclose(ours, literal, rtol=1e-9)


def test_both_take_turns_after_one_round_that_does_not_count(monkeypatch):
    clock, calls = Clock(monkeypatch), []

    def side(name, seconds):
        spend = clock.spend(seconds)
        return lambda: (calls.append(name), spend())

    result = compare(bench_pause, Sides(literal=side("literal", 0.4), ours=side("ours", 0.1)), 3)
    assert calls == ["literal", "ours"] * 4
    assert (result.repeats, result.literal, result.ours, result.ratio) == pytest.approx((3, 400, 100, 4))


def test_short_actions_are_called_many_times_in_a_turn(monkeypatch):
    clock, calls = Clock(monkeypatch), []
    spend = clock.spend(0.001)
    result = compare(bench_pause, Sides(ours=lambda: (calls.append(1), spend())), 2)
    assert len(calls) == 2 + 2 * round(bench.measure.TURN_MS)
    assert result.ours == pytest.approx(1)
    assert result.literal is result.ratio is None


def test_a_machine_that_drifts_keeps_its_ratio(monkeypatch):
    clock = Clock(monkeypatch, drift=0.05)
    result = compare(bench_pause, Sides(literal=clock.spend(0.4), ours=clock.spend(0.1)), 21)
    assert result.ratio == pytest.approx(4, rel=0.06)
    assert result.low <= result.ratio <= result.high


def test_a_share_of_the_work_is_scaled_up_and_own_numbers_are_taken_as_they_are(monkeypatch):
    clock = Clock(monkeypatch)
    sides = Sides(literal=clock.spend(0.1), ours=clock.spend(2), literal_times=100, ours_times=1 / 4)
    result = compare(bench_pause, sides, 1)
    assert (result.literal, result.ours, result.ratio) == pytest.approx((10_000, 500, 20))
    share = compare(replace(bench_pause, unit="%"), Sides(literal=lambda: 30, ours=lambda: 0.0), 2)
    assert (share.literal, share.ours, share.ratio) == (30, 0, None)


def test_memory_is_what_a_call_adds_at_most():
    held = bytearray(30_000_000)

    def action():
        for _ in range(3):
            bytearray(b"x") * 50_000_000

    # The system may take pages back between two looks, which makes a growth too small, but never too large.
    assert 45 < max(peak.growth_mb(action) for _ in range(4)) < 95
    assert len(held) == 30_000_000


def test_memory_of_a_side_is_measured_in_a_process_of_its_own():
    assert 10 < peak.peak_mb("rnc", "ours") < 200


def test_memory_of_both_sides_is_told_beside_their_times(monkeypatch):
    monkeypatch.setattr(bench.measure, "peak_mb", lambda name, side: {"literal": 7.0, "ours": 3.0}[side])
    result = run(bench_pause, repeats=1)
    assert (result.name, result.literal_mb, result.ours_mb) == ("pause", 7, 3)
    assert result.ratio > 0


def test_a_process_that_fails_is_named(monkeypatch):
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr="Traceback ...\nKeyError: 'pause'\n")
    monkeypatch.setattr(peak.subprocess, "run", lambda *arguments, **options: failed)
    with pytest.raises(CoReEchoError, match=r"memory of benchmark pause \(ours\) could not be measured: KeyError"):
        peak.peak_mb("pause", "ours")


def test_an_unknown_benchmark_is_refused_with_those_that_exist(capsys):
    with pytest.raises(SettingsError, match="rnc"):
        bench.run_benchmarks(["speed"])
    assert cli.main(["bench", "--only", "speed"]) == 2
    assert "there is no benchmark 'speed' here; benchmarks: rnc" in capsys.readouterr().err.splitlines()[-1]


def test_every_goal_that_is_listed_can_be_checked():
    for each in bench.BENCHMARKS.values():
        assert report.reached(replace(RESULT, goal=each.goal)) in (None, True, False)
        assert "\n" not in each.what


@pytest.mark.parametrize(
    ("goal", "reached"),
    [
        ("≥ 50×", True),
        ("≥ 51×", False),
        ("< 50 ms", False),
        ("≤ 50 ms", True),
        ("< 0.06 s", True),
        ("≤ 0.03 GB", True),
        ("≤ 29 MB", False),
        ("≥ 20×, memory no higher", True),
        ("≥ 51×, memory no higher", False),
        ("", None),
    ],
)
def test_goals_are_bounds_on_ratio_value_or_memory(goal, reached):
    assert report.reached(replace(RESULT, goal=goal)) is reached


def test_goals_on_what_was_not_measured_stay_open_and_nonsense_is_refused():
    bare = replace(RESULT, literal_mb=None, ours_mb=None, ratio=None)
    for goal in ("memory no higher", "≤ 12 GB", "≥ 2×"):
        assert report.reached(replace(bare, goal=goal)) is None
    kept = replace(RESULT, unit="GB", literal=30.0, ours=11.0, ratio=None, ours_mb=40.0)
    assert report.reached(replace(kept, goal="≤ 12 GB")) is True
    assert report.reached(replace(kept, goal="≤ 10 GB")) is False
    assert report.reached(replace(RESULT, ours_mb=600.0, goal="memory no higher")) is False
    with pytest.raises(CoReEchoError, match="goal 'fast' is no bound"):
        report.reached(replace(RESULT, goal="fast"))


def test_a_report_is_told_in_lines_of_a_hundred_columns():
    lines = REPORT.text().splitlines()
    assert max(map(len, lines)) <= 100
    assert "Some CPU (R)" in lines[0]
    row = next(line for line in lines if line.startswith("loss ")).split()
    assert row == ["loss", "2.5", "s", "50", "ms", "50", "(40-61)", "512", "→", "30", "≥", "20×", "reached"]
    row = next(line for line in lines if line.startswith("alone ")).split()
    assert row == ["alone", "–", "50", "ms", "(49", "ms", "to", "52", "ms)", "–", "→", "30", "<", "0.04", "s", "missed"]


def test_reports_are_kept_one_for_each_device_and_commit(tmp_path):
    path = report.save(REPORT, tmp_path)
    assert path.relative_to(tmp_path).as_posix() == "bench/some-cpu-r-0123456789.json"
    later = replace(REPORT, finished="2026-02-01T00:00:00+00:00", commit="fedcba")
    report.save(later, tmp_path)
    assert report.saved(tmp_path) == [later, REPORT]
    assert report.saved(tmp_path / "elsewhere") == []
    path.write_text(path.read_text()[:-20])
    with pytest.raises(RecordError, match="not a complete measurement"):
        report.saved(tmp_path)
    path.write_text('{"gpu": null}')
    with pytest.raises(RecordError, match="measure again"):
        report.saved(tmp_path)


def test_the_command_prints_keeps_and_gives_json(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench, "BENCHMARKS", {"pause": bench_pause})
    monkeypatch.setattr(bench, "run", lambda each, **options: run(each, repeats=1, memory=False))
    monkeypatch.setattr(report, "default_runs_dir", lambda: tmp_path)
    monkeypatch.setattr(report, "load", lambda: 3.0)
    assert cli.main(["bench", "--json", "--save", "--only", "pause"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["results"][0]["name"] == "pause"
    assert "load 3.00 a core: other work is running" in told.err
    (kept,) = report.saved(tmp_path)
    assert kept.results[0].what == bench_pause.what
    assert kept.load == 3
    assert cli.main(["bench"]) == 0
    told = capsys.readouterr()
    assert "pause" in told.out
    assert "reached" in told.out
    assert len(report.saved(tmp_path)) == 1


def test_the_page_shows_the_newest_report_of_each_device_and_the_history():
    older = replace(REPORT, finished="2025-12-01T00:00:00+00:00", commit="aaaaaaaaaaaa", results=(ALONE,))
    card = replace(REPORT, gpu="Some GPU", finished="2025-11-01T00:00:00+00:00")
    reports = [REPORT, older, card]
    assert pages.newest(reports) == [REPORT, card]
    shown = pages.table(REPORT)
    assert list(shown["Goal"]) == ["≥ 20× reached", "< 0.04 s missed"]
    assert list(shown["Literal"]) == ["2.5 s", "–"]
    assert "Of 2 goals, 1 were reached; missed: alone (< 0.04 s)." in pages.told(REPORT)
    assert "Some GPU with Some CPU (R)" in pages.told(card)
    assert pages.history(reports, "Some CPU (R)").to_dict("list") == {
        "Benchmark": ["alone", "loss"],
        "2025-12-01 aaaaaaa": ["50 ms", "–"],
        "2026-01-02 0123456": ["50 ms", "50×"],
    }


def test_the_figure_has_a_marker_for_each_ratio_and_a_tick_for_each_goal():
    axes = pages.ratio_figure([REPORT, replace(REPORT, gpu="Some GPU")]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["loss"]
    assert axes.get_xlabel() == "time of the literal version over ours (×)"
    assert [float(line.get_xdata()[0]) for line in axes.get_lines() if line.get_label() == "goal"] == [20]
    assert pages.ratio_figure([]).axes
