"""Checkpoints: own ones round-trip whole, published ones load strictly, bad ones are refused, and none runs code."""

import argparse
import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from coreecho.checkpoints import FORMAT, load, read_info, save
from coreecho.clips import MEAN, SD
from coreecho.encoders import load_k400, load_r2plus1d
from coreecho.errors import CheckpointError, CoReEchoError
from coreecho.model import MLPHead, R2Plus1D, build_model
from coreecho.settings import ClipSettings, EncoderSettings, Recipe
from coreecho.uniformer import uniformer_small
from coreecho.weightfiles import read_weights, sha256

NARROW = EncoderSettings(widths=(8, 16, 32, 64), depths=(1, 1, 1, 1), strides=(4, 2, 2, 1), head_width=16)
CLIP = ClipSettings(frames=4, stride=2, size=32, pad=2)


def narrow_model(head="mlp", task="ef"):
    return build_model(NARROW, Recipe(head=head, head_dropout=0.2), 50.0, task=task, clip=CLIP).eval()


def assert_same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    assert list(a) == list(b)
    for key, value in a.items():
        assert torch.equal(value, b[key]), key


def refusal(call, *args):
    """The message of the CheckpointError that a call ends in: one or two short lines."""
    with pytest.raises(CheckpointError) as caught:
        call(*args)
    message = str(caught.value)
    assert len(message) < 450
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("head", "task"), [("mlp", "ef"), ("linear", "mi")])
def test_own_checkpoints_come_back_whole(tmp_path, head, task):
    model, path = narrow_model(head, task), tmp_path / "sub" / "model.safetensors"
    written = save(
        model,
        path,
        {"training_data": "phantom demo", "fps": 25.0, "provenance": {"run": "table1/coreecho/seed0", "epochs": 15}},
    )
    loaded, info = load(path)
    assert_same_weights(loaded, model)
    assert not loaded.training
    assert (loaded.clip, loaded.task) == (CLIP, task)
    assert info == written == read_info(path)
    assert (info.encoder, info.head, info.task, info.clip) == (NARROW, head, task, CLIP)
    assert (info.fps, info.training_data, info.mean, info.sd) == (25.0, "phantom demo", MEAN, SD)
    assert info.provenance == {"run": "table1/coreecho/seed0", "epochs": 15}
    assert "Not a medical device" in info.notice
    assert list(path.parent.iterdir()) == [path]
    assert len(sha256(path)) == 64


def test_r2plus1d_checkpoints_keep_their_backbone(tmp_path):
    model = build_model(NARROW, Recipe(backbone="r2plus1d", head="linear"), 55.6)
    save(model, tmp_path / "m", {"training_data": "phantom gpu"})
    loaded, info = load(tmp_path / "m")
    assert info.backbone == "r2plus1d"
    assert_same_weights(loaded, model)


def test_channels_last_weights_are_saved_as_they_are(tmp_path):
    model = narrow_model().to(memory_format=torch.channels_last_3d)
    save(model, tmp_path / "m", {"training_data": "phantom demo"})
    assert_same_weights(load(tmp_path / "m")[0], model)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save(narrow_model(), path, {"training_data": "phantom demo"})
    before = path.read_bytes()

    def full_disk(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full_disk)
    with pytest.raises(CoReEchoError, match="No space left"):
        save(narrow_model(), path, {"training_data": "phantom demo"})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_descriptions_are_checked_when_written(tmp_path):
    assert "colour" in refusal(save, narrow_model(), tmp_path / "m", {"training_data": "x", "colour": 1})
    assert "training_data" in refusal(save, narrow_model(), tmp_path / "m", {})
    assert "fps" in refusal(save, narrow_model(), tmp_path / "m", {"training_data": "x", "fps": "fast"})
    assert not list(tmp_path.iterdir())


CASES = {
    "bare": lambda state: state,
    "dataparallel": lambda state: {
        "epoch": 3,
        "model": {f"module.{key}": value for key, value in state.items()},
        "best_error": torch.tensor(4.0),
    },
    "namespace": lambda state: {
        "opt": argparse.Namespace(model="uniformer_small"),
        "model": state,
        "best_error": np.float64(4.0),
        "epoch": 3,
    },
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("zipped", [True, False])
def test_only_a_leading_module_is_cut_from_keys(tmp_path, case, zipped):
    state = {"patch.weight": torch.ones(2, 2), "submodule.bias": torch.zeros(2), "head.weight": torch.ones(1, 2)}
    torch.save(CASES[case](state), tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    content = read_weights(tmp_path / "w.pth")
    assert list(content["weights"]) == ["patch.weight", "submodule.bias", "head.weight"]
    assert torch.equal(content["weights"]["patch.weight"], torch.ones(2, 2))
    if case == "namespace":
        assert float(content["best_error"]) == 4.0


@pytest.fixture(scope="module")
def published():
    """(encoder with the unused 1-unit head, regressor) of the authors' shape."""
    torch.manual_seed(0)
    return uniformer_small(num_classes=1).eval(), MLPHead(512).eval()


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_authors_checkpoint_loads_without_its_unused_head(tmp_path, published, prefix):
    encoder, regressor = published
    parts = {"model": encoder, "regressor": regressor}
    content = {name: {prefix + k: v for k, v in part.state_dict().items()} for name, part in parts.items()}
    options = argparse.Namespace(model="uniformer_small", frames=36)
    torch.save({"opts": options, **content, "epoch": 22, "best_error": np.float64(3.9)}, tmp_path / "last.pth")
    model, info = load(tmp_path / "last.pth")
    assert info.dropped == ("head.weight", "head.bias")
    assert (info.origin, info.clip, info.licence) == ("authors", ClipSettings(), "CC BY-NC 4.0")
    assert info.provenance["epoch"] == 22
    assert info.provenance["best_error"] == 3.9
    assert info.provenance["sha256"] == sha256(tmp_path / "last.pth")
    assert_same_weights(model.head, regressor)
    clips = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(model(clips), regressor(encoder.embed(clips))[:, 0])


def test_kinetics_weights_load_strictly(tmp_path, published):
    whole = uniformer_small()
    torch.save(whole.state_dict(), tmp_path / "k400.pth")
    bare = uniformer_small(num_classes=0)
    assert load_k400(bare, tmp_path / "k400.pth") == ("head.weight", "head.bias")
    assert torch.equal(bare.blocks4[2].mlp.fc2.weight, whole.blocks4[2].mlp.fc2.weight)
    classes = uniformer_small()
    assert load_k400(classes, tmp_path / "k400.pth") == ()
    assert_same_weights(classes, whole)

    narrow = uniformer_small(0, widths=(64, 128, 320, 256))
    assert "(512,) instead of (256,)" in refusal(load_k400, narrow, tmp_path / "k400.pth")
    assert "regressor" in refusal(load, tmp_path / "k400.pth")
    state = whole.state_dict()
    del state["blocks3.4.attn.qkv.bias"]
    torch.save(state, tmp_path / "less.pth")
    assert "blocks3.4.attn.qkv.bias is missing" in refusal(load_k400, bare, tmp_path / "less.pth")
    torch.save({**whole.state_dict(), "extra": torch.ones(1)}, tmp_path / "more.pth")
    assert "extra is unexpected" in refusal(load_k400, bare, tmp_path / "more.pth")
    torch.save(bare.state_dict(), tmp_path / "headless.pth")
    assert "head.weight" in refusal(load_k400, bare, tmp_path / "headless.pth")


def test_torchvision_weights_load_without_their_classifier(tmp_path):
    source, target = R2Plus1D(), R2Plus1D()
    state = {**source.net.state_dict(), "fc.weight": torch.ones(400, 512), "fc.bias": torch.ones(400)}
    torch.save(state, tmp_path / "r.pth")
    assert load_r2plus1d(target, tmp_path / "r.pth") == ("fc.weight", "fc.bias")
    assert_same_weights(target, source)


class Trap:
    """A pickle that makes a folder when it is opened as pickles usually are."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("zipped", [True, False, None])
def test_code_in_a_file_is_never_run(tmp_path, zipped):
    content, path = {"model": {"a": torch.ones(1)}, "opt": Trap(tmp_path / "trapped")}, tmp_path / "evil.pth"
    if zipped is None:
        path.write_bytes(pickle.dumps({"opt": content["opt"]}))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    message = refusal(load, path)
    assert str(path) in message
    assert not (tmp_path / "trapped").exists()
    if zipped is not None:
        assert "mkdir" in message


def damage(path, kind):
    data = path.read_bytes()
    if kind == "half":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "html":
        path.write_text("<!doctype html><title>404</title>")
    elif kind == "start":
        path.write_bytes(data[:9] + b"\0" * 40 + data[49:])
    else:
        path.unlink()


@pytest.mark.parametrize("kind", ["half", "empty", "html", "start", "missing"])
@pytest.mark.parametrize("layout", ["own", "zip", "old"])
def test_damaged_files_are_named(tmp_path, layout, kind):
    path = tmp_path / "weights"
    if layout == "own":
        save(narrow_model(), path, {"training_data": "phantom demo"})
    else:
        content = {"model": narrow_model().encoder.state_dict(), "regressor": MLPHead(64).state_dict()}
        torch.save(content, path, _use_new_zipfile_serialization=layout == "zip")
    damage(path, kind)
    assert str(path) in refusal(load, path)


def test_unknown_layouts_are_named(tmp_path):
    path = tmp_path / "w"
    torch.save({"weights": {"a": torch.ones(1)}, "step": 3}, path)
    assert "weights, step" in refusal(load, path)
    torch.save([1, 2], path)
    assert "list" in refusal(load, path)
    torch.save({"model": narrow_model().encoder.state_dict(), "regressor": MLPHead(64).state_dict()}, path)
    assert "(8,) instead of (64,)" in refusal(load, path)
    torch.save({"model": {"a": torch.ones(1)}, "regressor": 7}, path)
    assert "regressor" in refusal(load, path)
    save_file({"a": torch.ones(1)}, path)
    assert f"format {FORMAT}" in refusal(load, path)
    save_file({"a": torch.ones(1)}, path, metadata={"coreecho": f'{{"format": {FORMAT}, "task": "ef"}}'})
    assert "training_data" in refusal(load, path)
    assert "PyTorch file" in refusal(load_k400, uniformer_small(0), path)
