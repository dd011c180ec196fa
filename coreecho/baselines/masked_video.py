"""A vision transformer that guesses hidden patches of video, and what it guesses (EchoCardMAE-type pre-training).

VideoMAE's form (Tong et al., NeurIPS 2022): patches of a few frames, an encoder that is shown a few of them, a small
decoder that guesses others. Blocks are timm's, without the attention biases that the published network of EchoCardMAE
carries but never adds. Weights have the published names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

from coreecho.baselines.median import denoised
from coreecho.model import CoReEcho, OtherEncoder
from coreecho.settings import ClipSettings
from coreecho.weightfiles import fit, read_weights


@dataclass(frozen=True)
class Sizes:
    """Width, depth and attention heads of encoder and decoder; side of a patch in pixels, and frames in it.

    A ``twin`` of the published network is too small to start as that one does: the encoder's matrices start by Xavier's
    rule, and places in time, row and column have numbers of their own instead of one count over all patches.
    """

    encoder: tuple[int, int, int]
    decoder: tuple[int, int, int]
    patch: int
    frames: int = 2
    twin: bool = False


class Norm(nn.LayerNorm):
    """A layer normalisation with vision transformers' smaller constant."""

    def __init__(self, width: int, **others: Any) -> None:
        """Takes the width, and what `nn.LayerNorm` takes by name."""
        super().__init__(width, eps=1e-6, **others)


class Tower(nn.Module):
    """Transformer blocks and the normalisation after them.

    Args:
        sizes: Width, depth and attention heads.
        start: What fills the matrices; biases start at zero.
    """

    def __init__(self, sizes: tuple[int, int, int], start: Callable[[Tensor], object]) -> None:
        super().__init__()
        width, depth, heads = sizes
        self.blocks = nn.Sequential(*(Block(width, heads, norm_layer=Norm) for _ in range(depth)))
        self.norm = Norm(width)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                start(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


class Embedding(nn.Module):
    """Patches as vectors, in the order time, row, column.

    Args:
        sizes: The encoder's width is that of a vector; side and frames of a patch.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        cell = (sizes.frames, sizes.patch, sizes.patch)
        self.proj: nn.Module = nn.Conv3d(3, sizes.encoder[0], cell, stride=cell)

    def forward(self, x: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W) to (B, N, width)."""
        out: Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return out


class Seer(Tower):
    """The encoder's tower, with the patches' embedding."""

    def __init__(self, sizes: Sizes) -> None:
        """Random weights."""
        start = nn.init.xavier_uniform_ if sizes.twin else partial(nn.init.trunc_normal_, std=0.02)
        super().__init__(sizes.encoder, start)
        self.patch_embed = Embedding(sizes)


class Guesser(Tower):
    """The decoder's tower, with the layer that gives a patch's pixels."""

    def __init__(self, sizes: Sizes) -> None:
        """Random weights."""
        super().__init__(sizes.decoder, nn.init.xavier_uniform_)
        self.head = nn.Linear(sizes.decoder[0], 3 * sizes.frames * sizes.patch**2)


class MaskedViT(OtherEncoder):
    """A vision transformer, and the decoder that its pre-training needs.

    Pre-training normalises by ``encoder.norm``, fine-tuning by ``fc_norm``, which starts anew.

    Args:
        clip: Shape of the clips; side and number of frames are multiples of the patch's.
        sizes: Sizes of encoder, decoder and patches.
    """

    def __init__(self, clip: ClipSettings, sizes: Sizes) -> None:
        super().__init__()
        self.width, thin, self.sizes = sizes.encoder[0], sizes.decoder[0], sizes
        self.encoder, self.decoder = Seer(sizes), Guesser(sizes)
        self.encoder_to_decoder = nn.Linear(self.width, thin, bias=False)
        self.mask_token = nn.Parameter(torch.empty(1, 1, thin))
        self.bg_mask_token = nn.Parameter(torch.zeros(1, 1, thin))
        self.fc_norm = Norm(self.width)
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        times, side = clip.frames // sizes.frames, clip.size // sizes.patch
        count = times * side**2
        self.places: Tensor
        self.decoder_places: Tensor
        seen = axes(times, side, self.width) if sizes.twin else sinusoids(count, self.width)
        self.register_buffer("places", seen, persistent=False)
        self.register_buffer("decoder_places", sinusoids(count, thin), persistent=False)

    def tokens(self, x: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W) to patches with their places (B, N, width)."""
        out: Tensor = self.encoder.patch_embed(x) + self.places
        return out

    def embed(self, x: Tensor) -> Tensor:
        """Normalised clips (B, 3, T, H, W), all patches shown, to embeddings (B, width)."""
        out: Tensor = self.fc_norm(self.encoder.blocks(self.tokens(x)).mean(1))
        return out

    def reconstruct(self, x: Tensor, seen: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Guesses the hidden patches from the seen ones.

        Args:
            x: (B, 3, T, H, W) normalised clips.
            seen: (B, K) numbers of the patches that the encoder is shown.
            hidden: (B, M) numbers of those to guess; one token stands for all that are neither.

        Returns:
            Pixels (B, M, P) in the order of `patches`, and the mean feature of the seen patches (B, width).
        """
        z = self.encoder.norm(self.encoder.blocks(chosen(self.tokens(x), seen)))  # (B, K, width)
        places = self.decoder_places.expand(len(x), -1, -1)
        known = self.encoder_to_decoder(z) + chosen(places, seen)
        asked = self.mask_token + chosen(places, hidden)
        y = torch.cat([known, self.bg_mask_token.expand(len(x), -1, -1), asked], dim=1)
        y = self.decoder.blocks(y)[:, -hidden.shape[1] :]  # (B, M, thin)
        return self.decoder.head(self.decoder.norm(y)), z.mean(1)

    def pretrained(self) -> list[nn.Parameter]:
        """The weights that `reconstruct` needs."""
        return [weight for name, weight in self.named_parameters() if not name.startswith("fc_norm.")]

    def finetuned(self) -> list[nn.Parameter]:
        """The weights that `embed` needs."""
        parts = (self.encoder.patch_embed, self.encoder.blocks, self.fc_norm)
        return [weight for part in parts for weight in part.parameters()]


def chosen(tokens: Tensor, numbers: Tensor) -> Tensor:
    """Of tokens (B, N, C) those with the numbers (B, K): (B, K, C)."""
    return tokens.gather(1, numbers[..., None].expand(-1, -1, tokens.shape[-1]))


def sinusoids(count: int, width: int) -> Tensor:
    """Sines (even columns) and cosines (odd ones) of falling frequency, (count, width), as in the first transformer."""
    column = torch.arange(width, dtype=torch.float64)
    angle = torch.arange(count, dtype=torch.float64)[:, None] / 10_000 ** (2 * (column // 2) / width)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


def axes(times: int, side: int, width: int) -> Tensor:
    """`sinusoids` of time (half of the columns), row and column (a quarter each): (times side side, width)."""
    half, quarter = width // 2, width // 4
    time, row, column = sinusoids(times, half), sinusoids(side, quarter), sinusoids(side, width - half - quarter)
    grid = torch.cartesian_prod(torch.arange(times), torch.arange(side), torch.arange(side))
    return torch.cat([time[grid[:, 0]], row[grid[:, 1]], column[grid[:, 2]]], dim=1)


def patches(x: Tensor, side: int, frames: int = 2) -> Tensor:
    """Clips (B, 3, T, H, W) as patches (B, N, P): N in the order time, row, column; P frame, row, column, colour."""
    b, c, t, h, w = x.shape
    x = x.reshape(b, c, t // frames, frames, h // side, side, w // side, side)
    return x.permute(0, 2, 4, 6, 3, 5, 7, 1).flatten(4).flatten(1, 3)


def hidden_errors(vit: MaskedViT, x: Tensor, seen: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Guess less target of the hidden patches (B, M, P) in float32, and the clips' mean features (B, width)."""
    guess, features = vit.reconstruct(x, seen, hidden)
    return guess.float() - chosen(patches(denoised(x), vit.sizes.patch, vit.sizes.frames), hidden), features


def info_nce(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Mean negative log-likelihood of each row's partner among the rows of the other view, both (B, D)."""
    similarity = F.normalize(one, dim=1) @ F.normalize(other, dim=1).T
    return F.cross_entropy(similarity / temperature, torch.arange(len(one), device=one.device))


def load_pretrained(model: CoReEcho, path: Path) -> tuple[str, ...]:
    """Puts published weights into the full-size network: VideoMAE's ViT-S, or EchoCardMAE's pre-training itself.

    Patches of another size are resampled, as EchoCardMAE does with VideoMAE's of 16 pixels; a decoder's last layer of
    another size starts anew, and so does what only EchoCardMAE has.

    Returns:
        Names of the weights that were left out.

    Raises:
        CheckpointError: the file is missing, damaged or of another architecture.
    """
    own = model.encoder.state_dict()
    state = read_weights(path)["weights"]
    name, cell = "encoder.patch_embed.proj.weight", own["encoder.patch_embed.proj.weight"].shape[2:]
    if name in state and state[name].ndim == 5 and state[name].shape[2:] != cell:
        state[name] = F.interpolate(state[name].float(), size=tuple(cell), mode="trilinear", align_corners=False)
    other = [
        key
        for key in ("decoder.head.weight", "decoder.head.bias")
        if key in state and state[key].shape != own[key].shape
    ]
    dropped = tuple(key for key in state if key in other or key.endswith((".q_bias", ".v_bias")))
    anew = ("fc_norm.weight", "fc_norm.bias", "bg_mask_token", *other)
    kept = {key: value for key, value in state.items() if key not in dropped}
    fit(model.encoder, {key: own[key] for key in anew} | kept, path)
    return dropped
