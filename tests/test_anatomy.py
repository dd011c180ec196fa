"""The parts of the network are the network's: sums, shapes, and the page's words for them."""

import jupytext
import pytest
import torch
from helpers import TINY

from coreecho import anatomy, notebooks
from coreecho.clips import normalise
from coreecho.errors import SettingsError
from coreecho.flops import module_flops
from coreecho.model import CoReEcho, LinearHead, R2Plus1D
from coreecho.profiles import DEMO, PAPER
from coreecho.settings import Run

PROFILES = pytest.mark.parametrize("profile", [DEMO, PAPER, TINY], ids=lambda profile: profile.name)
RUN = Run()


def dissected(profile):
    return anatomy.dissect(anatomy.network(profile, RUN), profile.clip_settings(RUN))


@PROFILES
def test_parts_sum_up_to_the_network(profile):
    model, clip, parts = anatomy.network(profile, RUN), profile.clip_settings(RUN), dissected(profile)
    assert sum(part.parameters for part in parts) == sum(weight.numel() for weight in model.parameters())
    operations = module_flops(model, (1, 3, clip.frames, clip.size, clip.size))
    assert 2 * sum(part.multiply_adds for part in parts) == operations


@PROFILES
def test_stages_are_those_of_the_settings(profile):
    stages = [part for part in dissected(profile) if part.blocks]
    assert [part.blocks for part in stages] == list(profile.encoder.depths)
    assert [part.shape[0] for part in stages] == list(profile.encoder.widths)
    assert [part.kind for part in stages] == ["convolution", "convolution", "attention", "attention"]
    encoder = anatomy.network(profile, RUN).encoder
    assert stages[-1].shape[1:] == encoder.grid(profile.clip_settings(RUN))


def test_shapes_are_those_of_a_real_clip_on_its_way():
    parts = {part.name: part for part in dissected(TINY)}
    clip = TINY.clip_settings(RUN)
    model = anatomy.build_model(TINY.encoder, TINY.recipe(RUN), 50.0).eval()
    x = normalise(torch.zeros((2, 3, clip.frames, clip.size, clip.size), dtype=torch.uint8))
    assert parts["clip"].shape == x.shape[1:]
    assert parts["stage 4"].shape == model.encoder.features(x).shape[1:]
    assert parts["mean"].shape == model.embed(x).shape[1:]
    assert parts["head"].shape == model(x).shape[1:]
    assert parts["stage 1"].shape == model.encoder.patch_embed1(x).shape[1:]


def test_a_network_is_left_as_it_was():
    model = anatomy.build_model(TINY.encoder, TINY.recipe(RUN), 50.0).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    anatomy.dissect(model, TINY.clip_settings(RUN))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_an_encoder_without_stages_is_refused():
    with torch.device("meta"):
        model = CoReEcho(R2Plus1D(), LinearHead(512))
    with pytest.raises(SettingsError, match="the encoder is a R2Plus1D; only a UniFormer"):
        anatomy.dissect(model, DEMO.clip_settings(RUN))


def test_the_paper_s_numbers_as_the_paper_and_its_encoder_s_authors_print_them():
    parts = {part.name: part for part in dissected(PAPER)}
    assert parts["stage 4"].shape == (512, 18, 3, 3)
    assert parts["mean"].shape == (512,)
    encoder = sum(part.parameters for name, part in parts.items() if name != "head")
    assert encoder == 21_195_200


def test_a_table_has_a_line_for_each_part_and_their_sum():
    parts = dissected(PAPER)
    table = anatomy.table(parts)
    assert table["Part"].tolist() == [*map(anatomy.title, parts), "all"]
    counts = [int(text.replace(",", "")) for text in table["Parameters"] if text]
    assert sum(counts[:-1]) == counts[-1] == sum(part.parameters for part in parts)


@pytest.mark.parametrize(("value", "text"), [(256, "256"), (1_024, "1.02 k"), (10_157_056, "10.2 M"), (2e9, "2 G")])
def test_counts_are_short(value, text):
    assert anatomy.count(int(value)) == text


def test_the_drawings_on_the_page_are_described_by_the_network_itself():
    cells = jupytext.read(notebooks.folder() / "architecture.py").cells
    told = [cell.metadata["mystnb"]["image"]["alt"] for cell in cells if "mystnb" in cell.metadata]
    assert told == [anatomy.describe(dissected(profile)) for profile in (PAPER, DEMO)]
