"""The hub's folder layout and timm's registry: the same network comes back, wrong folders are refused, no network."""

import json
import subprocess
import sys

import pytest
import torch
from helpers import tiny_model
from safetensors import safe_open

from coreecho import CoReEcho, checkpoints
from coreecho.errors import CheckpointError, SettingsError
from coreecho.hub import CARD_FILE, CONFIG_FILE
from coreecho.timm_entry import register_with_timm
from coreecho.uniformer import UniFormer, uniformer_small
from coreecho.weightfiles import fit

DESCRIPTION = {"training_data": "phantom, tiny", "fps": 25.0, "licence": "CC BY-NC 4.0"}


@pytest.fixture
def folder(tmp_path):
    tiny_model(seed=3).save_pretrained(tmp_path / "model", DESCRIPTION)
    return tmp_path / "model"


@pytest.mark.parametrize("recipe", [{}, {"head": "linear"}, {"head_dropout": 0.1}])
def test_a_model_comes_back_as_it_was(tmp_path, recipe):
    model = tiny_model(seed=3, **recipe).eval()
    model.save_pretrained(tmp_path, DESCRIPTION)
    clip = torch.randn(2, 3, 8, 32, 32)
    for back in (
        CoReEcho.from_pretrained(tmp_path),
        CoReEcho.from_checkpoint(tmp_path),
        CoReEcho.from_checkpoint(tmp_path / "model.safetensors"),
    ):
        assert not back.training
        assert back.clip == model.clip
        assert torch.equal(back(clip), model(clip))


def test_the_folder_has_the_hubs_files(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    config = json.loads((folder / CONFIG_FILE).read_text())
    assert config["encoder"]["widths"] == [8, 8, 16, 16]
    assert config["training_data"] == "phantom, tiny"
    assert config["clip"]["frames"] == 8
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert set(file.keys()) == set(tiny_model().state_dict())
    card = (folder / CARD_FILE).read_text()
    assert card.startswith("---\nlibrary_name: coreecho\n")
    for words in ("phantom, tiny", "CC BY-NC 4.0", "license: other", "Not a medical device", "8 frames, one in 2"):
        assert words in card


def test_what_the_checkpoint_said_survives_a_second_save(folder, tmp_path):
    CoReEcho.from_pretrained(folder).save_pretrained(tmp_path / "again")
    info = checkpoints.load(tmp_path / "again")[1]
    assert (info.training_data, info.fps, info.licence) == ("phantom, tiny", 25.0, "CC BY-NC 4.0")
    tiny_model().save_pretrained(tmp_path / "new")
    assert checkpoints.load(tmp_path / "new")[1].training_data == "not stated"


def spoil_config(folder):
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps({**config, "head": "linear"}))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / CONFIG_FILE).unlink(), "config.json"),
        (lambda folder: (folder / CONFIG_FILE).write_bytes(b"\xff{"), "config.json"),
        (lambda folder: (folder / CONFIG_FILE).write_text("[1]"), "differs"),
        (spoil_config, r"differs .*\(head\)"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors: No such file"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 100), "safetensors"),
    ],
)
def test_a_spoilt_folder_is_refused(folder, spoil, words):
    spoil(folder)
    with pytest.raises(CheckpointError, match=words):
        CoReEcho.from_pretrained(folder)


def test_a_name_on_a_hub_is_not_fetched():
    with pytest.raises(CheckpointError, match="no folder; download the model first"):
        CoReEcho.from_pretrained("someone/coreecho")


def test_weights_that_do_not_fit_are_told_by_missing_and_unexpected(folder, tmp_path):
    model = tiny_model()
    state = {f"x.{key}" if key.startswith("head.2") else key: value for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        fit(model, state, tmp_path / "weights.pth")
    assert "head.2.weight is missing" in str(caught.value)
    assert "x.head.2.weight is unexpected" in str(caught.value)
    assert "in all 2 missing, 2 unexpected, 0 of another shape" in str(caught.value)


def test_timm_makes_the_encoder(tmp_path):
    import timm

    small = {"widths": (8, 8, 16, 16), "depths": (1, 1, 1, 1), "head_width": 8}
    model = timm.create_model("uniformer_small_video", num_classes=5, drop_rate=0.25, **small)
    assert isinstance(model, UniFormer)
    assert model(torch.randn(1, 3, 4, 32, 32)).shape == (1, 5)
    assert model.settings.dropout == 0.25
    assert timm.create_model("uniformer_small_video", num_classes=0, **small)(torch.randn(1, 3, 4, 32, 32)).shape == (
        1,
        16,
    )
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    again = timm.create_model(
        "uniformer_small_video", num_classes=5, checkpoint_path=str(tmp_path / "weights.pth"), **small
    )
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in again.state_dict().items())
    full = timm.create_model("uniformer_small_video")
    assert list(full.state_dict()) == list(uniformer_small().state_dict())
    register_with_timm()  # a second time does no harm


@pytest.mark.parametrize(("options", "words"), [({"pretrained": True}, "checkpoint_path"), ({"in_chans": 1}, "three")])
def test_timm_options_that_cannot_be_met_are_refused(options, words):
    import timm

    with pytest.raises(SettingsError, match=words):
        timm.create_model("uniformer_small_video", **options)


@pytest.mark.parametrize("looks", ["", "import importlib.util; assert importlib.util.find_spec('timm')\n"])
def test_timm_is_not_loaded_unasked_and_registers_when_it_is(looks):
    program = (
        f"import sys, coreecho; {looks or 'pass'}\n"
        "assert 'timm' not in sys.modules\n"
        "import timm; assert timm.is_model('uniformer_small_video')\n"
        "assert all(type(finder).__name__ != '_TimmFinder' for finder in sys.meta_path)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
