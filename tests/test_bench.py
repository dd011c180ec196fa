"""Benchmarks: literal versions compute the same, pairs take turns, ratios are medians of pairs."""

import json
import time

import pytest
import torch

from coreecho import bench, cli
from coreecho.errors import SettingsError
from coreecho.losses import rnc_loss


def test_the_literal_loss_is_the_same_loss():
    torch.manual_seed(1)
    embeddings, labels = torch.randn(12, 8, dtype=torch.float64), torch.arange(6.0).repeat(2)
    assert bench.literal_rnc(embeddings, labels).item() == pytest.approx(rnc_loss(embeddings, labels).item(), rel=1e-9)


def test_both_take_turns_after_one_untimed_round():
    calls = []
    result = bench.compare(
        "name", "what", lambda: (calls.append("literal"), time.sleep(0.02)), lambda: calls.append("ours"), 3
    )
    assert calls == ["literal", "ours"] * 4
    assert result.repeats == 3
    assert result.literal_ms >= 20 > result.ours_ms
    assert result.ratio > 10


def test_a_machine_that_drifts_keeps_its_ratio(monkeypatch):
    clock, pace = [0.0], [0.0]

    def spend(seconds):
        def action():
            clock[0] += seconds * (1 + pace[0])
            pace[0] += 0.05  # each call is slower than the one before

        return action

    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock[0])
    result = bench.compare("name", "what", spend(0.4), spend(0.1), 21)
    assert result.ratio == pytest.approx(4, rel=0.06)


def test_every_benchmark_runs_and_is_told_as_text_and_as_json(monkeypatch, capsys):
    compare = bench.compare
    monkeypatch.setattr(bench, "compare", lambda *arguments: compare(*arguments[:-1], repeats=1))
    assert cli.main(["bench", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    results = [bench.Result(**result) for result in told["results"]]
    assert [result.name for result in results] == list(bench.BENCHMARKS)
    assert all(result.literal_ms > 0 and result.ours_ms > 0 and result.repeats == 1 for result in results)
    monkeypatch.setattr(bench, "BENCHMARKS", {result.name: lambda result=result: result for result in results})
    first = results[0]
    assert cli.main(["bench", "--only", first.name]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert told["device"] in heading
    assert line.startswith(first.what)
    assert f"ratio {first.ratio:.1f} (1 pairs)" in line


def test_an_unknown_benchmark_is_refused_with_those_that_exist(capsys):
    with pytest.raises(SettingsError, match="rnc"):
        bench.run_benchmarks(["speed"])
    assert cli.main(["bench", "--only", "speed"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
