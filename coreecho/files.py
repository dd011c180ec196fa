"""Where things are kept, and how a file is replaced so that no reader ever sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from coreecho.errors import CoReEchoError


def project_root() -> Path:
    """The checkout that this package runs from, or the current folder for an installed wheel.

    The environment variable ``COREECHO_HOME`` overrides both. Notebooks resolve every path from here, never from the
    current folder, which differs between papermill, nbval and Jupyter.
    """
    home = os.environ.get("COREECHO_HOME")
    if home:
        return Path(home)
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def default_runs_dir() -> Path:
    """Where records are looked for and written when nothing else is said."""
    return project_root() / "runs"


def default_data_root() -> Path:
    """Where phantoms are made when nothing else is said."""
    return project_root() / "data"


def writable_folder(folder: Path) -> Path:
    """Makes a folder, and those above it, and sees that a file can be written there; asked before hours of work.

    Raises:
        CoReEchoError: it cannot be made, is a file, or takes no file; nothing is left in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-"):
            return folder
    except OSError as error:
        raise CoReEchoError(
            f"{folder}: no file can be written to this folder ({error.strerror or error}); "
            "change its permissions or give another folder"
        ) from None


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Calls ``write`` with a temporary path beside ``path``, then puts the result in its place at once.

    Raises:
        CoReEchoError: the disk is full or the folder cannot be written to; ``path`` is left as it was.
    """
    partial: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
        os.close(handle)
        partial = Path(name)
        write(partial)
        partial.chmod(0o644)
        partial.replace(path)
    except OSError as error:
        raise CoReEchoError(
            f"{path} could not be written: {error.strerror or error}; free space or choose another folder"
        ) from None
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def check_target(path: Path, option: str, *, folder: bool = False) -> None:
    """Refuses a file, or with ``folder`` a folder of files, that `replace_file` could not write; leaves nothing behind.

    Args:
        path: what is to be written later; folders above it may be missing.
        option: where the name comes from, such as ``--csv``.
        folder: whether ``path`` is a folder to write files into.

    Raises:
        CoReEchoError: something else is in its place, or nothing may be written there.
    """
    try:
        if not folder and path.is_dir():
            raise CoReEchoError(f"{option} {path}: a folder is in the place of the file; name a file, or remove it")
        place = path if folder else path.parent
        there = next((each for each in (place, *place.parents) if each.exists()), place)
        if not there.is_dir():
            raise CoReEchoError(f"{option} {path}: {there} is a file, not a folder; choose another folder")
        with tempfile.TemporaryFile(dir=there):  # rights alone do not tell: a disk may be full or read-only
            pass
    except OSError as error:
        raise CoReEchoError(
            f"{option} {path} could not be written: {error.strerror or error}; free space or choose another folder"
        ) from None
