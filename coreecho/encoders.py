"""Encoders that start from weights on disk: Kinetics-400's, torchvision's, or those of another run (section 3)."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from coreecho.checkpoints import CheckpointInfo, read_own
from coreecho.errors import CheckpointError
from coreecho.model import R2Plus1D
from coreecho.uniformer import UniFormer
from coreecho.weightfiles import fit, read_weights


def load_k400(encoder: UniFormer, path: str | Path) -> tuple[str, ...]:
    """Put the published Kinetics-400 weights (``uniformer_small_k400_16x8.pth``) into an encoder of the paper's size.

    The file must be a bare state dict with exactly the 331 published keys; its 400-way head is left out where the
    encoder has none.

    Args:
        encoder: A `coreecho.uniformer.uniformer_small` without a head, or with 400 classes.
        path: The file.

    Returns:
        Names of the weights that were left out.

    Raises:
        CheckpointError: If the file is missing, damaged or of another architecture.
    """
    path = Path(path)
    state = read_weights(path)["weights"]
    dropped: list[str] = []
    if isinstance(encoder.head, nn.Identity):
        dropped = [key for key in ("head.weight", "head.bias") if state.pop(key, None) is not None]
        if len(dropped) < 2:
            raise CheckpointError(
                f"{path} lacks head.weight or head.bias, so it is not the published Kinetics-400 file; "
                "get uniformer_small_k400_16x8.pth from the UniFormer model zoo"
            )
    fit(encoder, state, path)
    return tuple(dropped)


def load_encoder(encoder: nn.Module, path: str | Path) -> CheckpointInfo:
    """Put the encoder of an own checkpoint into a new network; its head is left out.

    Raises:
        CheckpointError: If the file is missing, damaged or of another architecture.
    """
    path = Path(path)
    info, state = read_own(path, weights=True)
    start = "encoder."
    fit(encoder, {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}, path)
    return info


def load_r2plus1d(encoder: R2Plus1D, path: str | Path) -> tuple[str, ...]:
    """Put torchvision's r2plus1d_18 weights (a bare state dict) into AdaCon's encoder, without their classifier.

    Returns:
        Names of the weights that were left out.

    Raises:
        CheckpointError: If the file is missing, damaged or of another architecture.
    """
    state = read_weights(Path(path))["weights"]
    dropped = tuple(key for key in state if key.startswith("fc."))
    fit(encoder.net, {key: value for key, value in state.items() if key not in dropped}, Path(path))
    return dropped
