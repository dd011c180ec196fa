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
