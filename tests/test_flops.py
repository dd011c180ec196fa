"""Operations: counted as by hand, near the published figure, and set against published peaks only."""

import pytest
import torch
from helpers import TINY
from torch import nn

from coreecho import flops
from coreecho.profiles import get_profile
from coreecho.settings import EncoderSettings, Run
from coreecho.uniformer import UniFormer


def test_a_linear_layer_counts_two_operations_for_each_weight_and_row():
    assert flops.module_flops(nn.Linear(7, 5), (3, 7)) == 2 * 3 * 7 * 5


def test_a_depthwise_convolution_is_not_taken_for_a_full_one():
    layer = UniFormer(TINY.encoder, num_classes=0).blocks1[0].attn
    width, kernel, positions = layer.weight.shape[0], 5, 4 * 6 * 6
    assert flops.module_flops(layer, (1, width, 4, 6, 6)) == 2 * positions * width * kernel**3


def test_attention_is_counted_with_its_two_products_of_tokens():
    layer = UniFormer(TINY.encoder, num_classes=0).blocks3[0].attn
    tokens, width = 9, TINY.encoder.widths[2]
    linear = 2 * tokens * width * (3 * width + width)
    attention = 2 * 2 * tokens * tokens * width
    assert flops.module_flops(layer, (1, tokens, width)) == linear + attention


def test_uniformer_small_has_the_published_size():
    # The UniFormer paper prints 41.8 G multiply-adds for 16 frames of 224 x 224.
    with torch.device("meta"):
        model = UniFormer(EncoderSettings(), num_classes=400)
    assert flops.module_flops(model, (1, 3, 16, 224, 224)) == pytest.approx(2 * 41.8e9, rel=0.01)


def test_the_papers_clip_costs_half_of_that_and_a_batch_its_multiple():
    profile = get_profile("paper")
    each = flops.forward_flops(profile, Run())
    assert each == pytest.approx(39e9, rel=0.03)
    assert flops.forward_flops(profile, Run(method="adacon")) > 3 * each
    with torch.device("meta"):
        model = UniFormer(profile.encoder, num_classes=0)
    one = flops.module_flops(model, (1, 3, 36, 112, 112))
    assert flops.module_flops(model, (4, 3, 36, 112, 112)) == 4 * one
    assert 0 < each - one < 1e7


def test_the_count_is_the_same_on_a_device_that_computes():
    model = UniFormer(TINY.encoder, num_classes=0)
    shape = (2, 3, TINY.clip.frames, TINY.clip.size, TINY.clip.size)
    real = flops.module_flops(model, shape)
    assert model.training
    assert real == flops.module_flops(model.to("meta"), shape)


@pytest.mark.parametrize(
    ("device", "precision", "tflops"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989.4),
        ("NVIDIA H200", "tf32", 494.7),
        ("NVIDIA A100-SXM4-80GB", "float32", 19.5),
        ("NVIDIA GeForce RTX 4090", "bf16", 165.2),
        ("Tesla V100-SXM2-16GB", "fp16", 125.0),
    ],
)
def test_published_peaks(device, precision, tflops):
    assert flops.peak(device, precision) == pytest.approx(1e12 * tflops)
    assert flops.utilisation(0.25e12 * tflops, device, precision) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("device", "precision"),
    [
        ("AMD EPYC", "float32"),
        ("NVIDIA H100 PCIe", "bf16"),
        ("NVIDIA H200 NVL", "bf16"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bf16"),
        ("Tesla V100-SXM2-16GB", "bf16"),
    ],
)
def test_no_peak_is_guessed(device, precision):
    assert flops.peak(device, precision) is None
    assert flops.utilisation(1e12, device, precision) is None


def test_every_card_names_its_source():
    assert all(card.source.startswith("NVIDIA ") for card in flops.CARDS)
