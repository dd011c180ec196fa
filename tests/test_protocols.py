"""Test-time protocols: which clips are scored, the same ones for every system, and one saved prediction for each."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import TINY, tiny_model
from torch import nn

from coreecho import protocols
from coreecho.clips import legal_starts, normalise
from coreecho.files import project_root
from coreecho.loading import ClipDataset
from coreecho.protocols import predict_clips, protocol_starts
from coreecho.settings import ClipSettings, Protocol

CLIP = ClipSettings()
VIDEOS = {f"SYN{i}": frames for i, frames in enumerate((28, 141, 144, 150, 174, 1002))}


class Mean(nn.Module):
    """Predicts a clip's mean after normalisation."""

    def forward(self, x):
        return x.mean(dim=(1, 2, 3, 4))


def test_first_is_frame_0():
    assert {tuple(protocol_starts("first", CLIP)(video, frames, 0)) for video, frames in VIDEOS.items()} == {(0,)}


def test_fixed3_gives_three_distinct_legal_starts_that_never_change():
    rule = protocol_starts("fixed3", CLIP)
    chosen = {video: list(rule(video, frames, 0)) for video, frames in VIDEOS.items()}
    for video, frames in VIDEOS.items():
        assert len(set(chosen[video])) == 3
        assert all(0 <= start < legal_starts(frames, CLIP) for start in chosen[video])
        assert list(rule(video, frames, epoch=9)) == chosen[video]
        assert list(protocol_starts("fixed3", CLIP)(video, frames, 0)) == chosen[video]
    assert len({tuple(starts) for starts in chosen.values()}) > 1


def test_fixed3_takes_the_official_starts_where_they_are_given():
    assert protocol_starts("fixed3", CLIP, {"SYN0": (2, 0, 3)})("SYN0", 144, 0) == (2, 0, 3)


def test_even5_runs_from_the_first_to_the_last_start():
    assert protocol_starts("even5", CLIP)("SYN4", 174, 0) == [0, 8, 16, 25, 33]
    assert protocol_starts("even5", CLIP)("SYN0", 28, 0) == [0, 1, 2, 3]


def test_all_gives_every_legal_start():
    assert list(protocol_starts("all", CLIP)("SYN3", 150, 0)) == list(range(10))


def test_a_video_with_few_legal_starts_gives_all_it_has():
    dense = ClipSettings(frames=8, stride=1, size=32)
    for protocol in ("first", "fixed3", "even5", "all"):
        assert list(protocol_starts(protocol, dense)("a", 8, 0)) == [0]


@pytest.mark.parametrize("protocol", ["first", "fixed3", "even5", "all"])
def test_every_clip_of_every_video_has_its_own_prediction(phantom_data, protocol):
    studies, rule = phantom_data.split("test"), protocol_starts(protocol, TINY.clip)
    table = predict_clips(Mean(), studies, TINY.clip, rule)
    data = ClipDataset(studies, TINY.clip, rule)
    for index, study in enumerate(studies):
        item, rows = data[0, index], table[table["video"] == study.id]
        assert rows["clip"].tolist() == list(range(len(item.starts)))
        assert rows["start"].tolist() == list(item.starts)
        assert set(rows["label"]) == {study.label}
        expected = normalise(item.clips).mean(dim=(1, 2, 3, 4))
        assert rows["prediction"].to_numpy() == pytest.approx(expected.numpy(), abs=1e-5)


def test_predictions_do_not_depend_on_batches_chunks_order_or_workers(phantom_data, monkeypatch):
    model, studies, rule = tiny_model(), phantom_data.split("test"), protocol_starts("even5", TINY.clip)

    def predictions(studies, **options):
        table = predict_clips(model, studies, TINY.clip, rule, **options)
        return table.sort_values(["video", "clip"])["prediction"].to_numpy()

    expected = predictions(studies)
    assert np.ptp(expected) > 0
    assert predictions(studies[::-1]) == pytest.approx(expected, abs=1e-4)
    assert predictions(studies, workers=1) == pytest.approx(expected, abs=1e-4)
    for chunk in (1, 7):
        monkeypatch.setattr(protocols, "CHUNK", chunk)
        assert predictions(studies) == pytest.approx(expected, abs=1e-4)


def test_prediction_needs_no_gradient_and_restores_the_models_mode(phantom_data):
    model = tiny_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for mode in (True, False):
        model.train(mode)
        predict_clips(model, phantom_data.split("val"), TINY.clip, protocol_starts("first", TINY.clip))
        assert model.training is mode
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_every_protocol_of_the_committed_records_is_told_in_words():
    paths = [*(project_root() / "runs").glob("*/*/predictions.parquet")]
    found = {str(name) for path in paths for name in pd.read_parquet(path, columns=["protocol"])["protocol"].unique()}
    assert found | set(get_args(Protocol)) <= set(protocols.WORDS)
    assert len(set(protocols.WORDS.values())) == len(protocols.WORDS)
    glossary = (project_root() / "book" / "glossary.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in glossary for name in protocols.WORDS)
    assert protocols.in_words("first", resample=True) == "the whole sequence as one clip"
    assert protocols.in_words("another") == "another"
