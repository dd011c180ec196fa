"""Files of weights that others made: read without executing anything, and fitted to a network name by name.

PyTorch files are pickles, and a pickle can run code. They are opened with PyTorch's restricted unpickler and a short
list of harmless types; anything else in them is refused with the way out named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from coreecho.errors import CheckpointError

State = dict[str, Tensor]

NUMPY_SCALAR: Any = np.float64(0).__reduce__()[0]
HARMLESS: list[Any] = [
    argparse.Namespace,  # the authors' last.pth keeps its command-line options
    (NUMPY_SCALAR, "numpy._core.multiarray.scalar"),  # and best_error, under NumPy 2's name or NumPy 1's
    (NUMPY_SCALAR, "numpy.core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(name)) for name in ("f4", "f8", "i4", "i8")),
]


def kind_of(path: Path) -> Literal["safetensors", "torch"]:
    """What a file is, told by its first bytes and not by its name.

    Raises:
        CheckpointError: If it is missing or neither.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror}; check the path") from None
    if start[8:9] == b"{":
        return "safetensors"
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
        return "torch"
    found = "is empty" if not start else "is neither a safetensors nor a PyTorch file"
    raise CheckpointError(f"{path} {found}; copy or download it again")


def read_weights(path: str | Path) -> dict[str, Any]:
    """What a PyTorch file holds, read without executing anything in it.

    Returns:
        ``weights``: the state dict, be it the whole file or its ``model`` or ``state_dict``; ``regressor``: the
        authors' head or None; everything else as it is. A leading ``module.`` (DataParallel) is cut from each key.

    Raises:
        CheckpointError: If the file is missing, damaged, holds other objects, or no weights.
    """
    path = Path(path)
    if kind_of(path) != "torch":
        raise CheckpointError(f"{path} is a safetensors file; a PyTorch file (.pt, .pth) is needed here")
    content = unpickle(path)
    if _is_state(content):
        content = {"model": content}
    names = [name for name in ("model", "state_dict") if isinstance(content, dict) and _is_state(content.get(name))]
    if not names:
        found = ", ".join(map(str, list(content)[:5])) if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f"{path} holds no weights that are known here (found: {found}); expected a state dict")
    regressor = content.get("regressor")
    if regressor is not None and not _is_state(regressor):
        raise CheckpointError(
            f"the entry 'regressor' of {path} is no state dict; the authors' checkpoint has one there"
        )
    rest = {key: value for key, value in content.items() if key not in (names[0], "regressor")}
    return {**rest, "weights": _cut(content[names[0]]), "regressor": None if regressor is None else _cut(regressor)}


def read_safetensors(path: Path, name: str, *, weights: bool) -> tuple[Any, State]:
    """The JSON document under ``name`` in a safetensors file's header (none without), and the weights, if wanted.

    Raises:
        CheckpointError: If the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(name, "null"))
            return header, {key: file.get_tensor(key) for key in file.keys()} if weights else {}  # noqa: SIM118
    except Exception as error:  # the library raises many types on a damaged header, and quotes what it found
        reason = " ".join(str(error).split())[:120]
        raise CheckpointError(f"{path} is damaged ({reason}); copy or train it again") from None


def is_number(value: Any) -> bool:
    """Whether a value of a file can be taken as one number."""
    return isinstance(value, int | float | np.number) or (isinstance(value, Tensor) and value.numel() == 1)


def fit(module: nn.Module, state: State, path: Path) -> None:
    """Load a state dict strictly, and say in one sentence why it does not fit if it does not.

    Raises:
        CheckpointError: If a weight is missing, unexpected, or of another shape.
    """
    check_fit(module, state, path)
    module.load_state_dict(state)


def check_fit(module: nn.Module, state: State, path: Path) -> None:
    """Compare names and shapes alone; the module may be on the device "meta", where it takes no memory.

    Raises:
        CheckpointError: If a weight is missing, unexpected, or of another shape.
    """
    expected = module.state_dict()
    other = [
        f"{key} has shape {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    missing = [f"{key} is missing" for key in expected if key not in state]
    unexpected = [f"{key} is unexpected" for key in state if key not in expected]
    if faults := [*other[:1], *missing[:2], *unexpected[:2]]:
        more = f"; in all {len(missing)} missing, {len(unexpected)} unexpected, {len(other)} of another shape"
        raise CheckpointError(
            f"the weights in {path} do not fit the network: {', '.join(faults)}{more}; "
            "use a checkpoint of this architecture and width"
        )


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, 64 hex digits.

    Raises:
        CheckpointError: If the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}; check the path") from None


def unpickle(path: Path) -> Any:
    """What a PyTorch file holds; only tensors, plain values and the `HARMLESS` types are ever made.

    Raises:
        CheckpointError: If the file is missing, damaged, unpacks to more than its own size, or holds anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        unpacked = 0  # the older layout, or damaged: the unpickler says so
    if unpacked > path.stat().st_size:
        raise CheckpointError(
            f"{path} is compressed and unpacks to {unpacked / 1e6:.0f} MB; PyTorch writes no such files"
        )
    try:
        with torch.serialization.safe_globals(HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old layouts, which the reader of the message cannot change
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused is None:
            raise CheckpointError(f"{path} is damaged; copy or download it again") from None
        raise CheckpointError(
            f"{path} holds more than weights ({refused[1]:.80}) and was not opened, since that could run code; "
            "ask its maker for a file with the state dict alone"
        ) from None
    except Exception as error:  # the unpickler fails in many ways on damaged bytes: KeyError, EOFError, RuntimeError...
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise CheckpointError(f"{path} is damaged ({reason}); copy or download it again") from None


def _is_state(content: Any) -> TypeGuard[State]:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items())
    )


def _cut(state: State) -> State:
    return {key.removeprefix("module."): value for key, value in state.items()}
