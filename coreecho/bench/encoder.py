"""UniFormer-S (section 2.1) beside the plain module that its equations suggest, on one processor.

The plain version runs the same weights through PyTorch's own layers in their default memory layout: convolutions over
(B, C, T, H, W), attention with its whole matrix of weights, normalisation over channels by flattening and transposing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coreecho.bench.measure import Action, Sides, benchmark
from coreecho.bench.peak import growth_mb
from coreecho.layers import MLP, Linear, Pointwise
from coreecho.settings import ClipSettings, EncoderSettings
from coreecho.uniformer import Attention, AttentionBlock, ConvBlock, PatchEmbed, UniFormer

Features = Callable[[UniFormer, Tensor], Tensor]
CLIPS, MEASURED = 32, 8


@benchmark(
    "encoder",
    "UniFormer-S, one clip of 36x112x112, forward + backward; literal: PyTorch's layers as the equations name them",
    goal="≥ 1.8×",
)
def bench_encoder(
    encoder: EncoderSettings | None = None, clip: ClipSettings | None = None, clips: int = 1
) -> Iterator[Sides]:
    """A step of training without its loss: the last feature map, and the gradient of every parameter."""
    ours, x, upstream = _prepared(encoder or EncoderSettings(), clip or ClipSettings(), clips)
    literal = copy.deepcopy(ours)
    yield Sides(
        literal=_action(literal, literal_features, x, upstream), ours=_action(ours, UniFormer.features, x, upstream)
    )


@benchmark(
    "checkpointing",
    f"GB that a step on {CLIPS} clips adds ({MEASURED} are measured), with --save-memory; literal: plain module",
    goal="≤ 12 GB",
    repeats=1,
    unit="GB",
)
def bench_checkpointing(
    encoder: EncoderSettings | None = None, clip: ClipSettings | None = None, clips: int = MEASURED
) -> Iterator[Sides]:
    """What a step adds to memory at its highest, gradients included; each clip adds as much."""
    ours, x, upstream = _prepared(encoder or EncoderSettings(), clip or ClipSettings(), clips)
    literal = copy.deepcopy(ours)
    ours.checkpointing = True
    steps = (_action(literal, literal_features, x, upstream), _action(ours, UniFormer.features, x, upstream))
    plain, saving = (lambda step=step: CLIPS / clips * growth_mb(step) / 1e3 for step in steps)
    yield Sides(literal=plain, ours=saving)


def literal_features(net: UniFormer, x: Tensor) -> Tensor:
    """What `UniFormer.features` gives, (B, 3, T, H, W) to (B, C_E, t, h, w), layer by layer."""
    for i in range(1, 5):
        x = _patches(getattr(net, f"patch_embed{i}"), x)
        if i == 1:
            x = F.dropout(x, net.pos_drop.p, net.training)
        for block in getattr(net, f"blocks{i}"):
            x = x + _convolution(block.pos_embed, x)
            x = _convolution_block(block, x) if i < 3 else _attention_block(block, x)
    out: Tensor = net.norm(x)
    return out


def _patches(embed: PatchEmbed, x: Tensor) -> Tensor:
    x = _convolution(embed.proj, x)
    return _as_map(embed.norm(_as_tokens(x)), x)


def _convolution_block(block: ConvBlock, x: Tensor) -> Tensor:
    mixed = _convolution(block.attn, _convolution(block.conv1, block.norm1(x)))
    x = x + _convolution(block.conv2, mixed)
    return x + _mlp(block.mlp, block.norm2(x))


def _attention_block(block: AttentionBlock, x: Tensor) -> Tensor:
    tokens = _as_tokens(x)
    tokens = tokens + _attention(block.attn, block.norm1(tokens))
    tokens = tokens + _mlp(block.mlp, block.norm2(tokens))
    return _as_map(tokens, x)


def _attention(layer: Attention, x: Tensor) -> Tensor:
    b, n, c = x.shape
    split = _linear(layer.qkv, x).reshape(b, n, 3, layer.heads, c // layer.heads)
    q, k, v = split.permute(2, 0, 3, 1, 4)  # each (B, heads, N, D)
    weights = (q @ k.transpose(-2, -1) / (c // layer.heads) ** 0.5).softmax(dim=-1)  # (B, heads, N, N)
    mixed = (weights @ v).transpose(1, 2).reshape(b, n, c)
    return F.dropout(_linear(layer.proj, mixed), layer.proj_drop.p, layer.training)


def _mlp(layers: MLP, x: Tensor) -> Tensor:
    for number, layer in enumerate((layers.fc1, layers.fc2)):
        x = _convolution(layer, x) if isinstance(layer, Pointwise) else _linear(layer, x)
        x = F.dropout(x if number else F.gelu(x), layers.drop.p, layers.training)
    return x


def _convolution(layer: nn.Conv3d, x: Tensor) -> Tensor:
    # The way in which the padding is stored is not part of the equations: it is a triple here.
    padding = layer.kernel_size[0] // 2
    spatial = padding if layer.kernel_size[0] == layer.kernel_size[1] else 0
    return F.conv3d(x, layer.weight, layer.bias, layer.stride, (padding, spatial, spatial), groups=layer.groups)


def _linear(layer: Linear, x: Tensor) -> Tensor:
    return F.linear(x, layer.weight, layer.bias)


def _as_tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)  # (B, T*H*W, C)


def _as_map(tokens: Tensor, like: Tensor) -> Tensor:
    # A copy, for a view of one clip would have strides that send BatchNorm's backward astray (torch 2.14).
    return tokens.transpose(1, 2).contiguous().view(len(like), -1, *like.shape[2:])  # (B, C, T, H, W)


def _prepared(settings: EncoderSettings, clip: ClipSettings, clips: int) -> tuple[UniFormer, Tensor, Tensor]:
    """Encoder in training mode, clips (B, 3, T, H, W), and a gradient of norm 1 for its last feature map."""
    numbers = torch.Generator().manual_seed(0)
    net = UniFormer(settings, num_classes=0).train()
    x = torch.randn(clips, 3, clip.frames, clip.size, clip.size, generator=numbers)
    upstream = torch.randn(clips, net.width, *net.grid(clip), generator=numbers)
    return net, x, upstream / upstream.norm()


def _action(net: UniFormer, features: Features, x: Tensor, upstream: Tensor) -> Action:
    def action() -> tuple[Tensor, list[Tensor | None]]:
        net.zero_grad(set_to_none=True)
        out = features(net, x)
        out.backward(upstream)
        return out.detach(), [parameter.grad for parameter in net.parameters()]

    return action
