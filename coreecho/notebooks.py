"""Running the book's notebooks: parameters checked before any training, papermill behind one call.

`execute` runs a notebook into a file of the user's; `refresh` runs one in place, from committed records, in the
normalised form that is kept under version control.
"""

from __future__ import annotations

import ast
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from coreecho.errors import CoReEchoError, SettingsError
from coreecho.files import project_root, writable_folder
from coreecho.profiles import get_profile
from coreecho.progress import silent

FOLDERS = ("data_root", "runs_dir", "figures_dir")
"""Parameters that name a folder."""


def folder() -> Path:
    """Where the notebooks are."""
    return project_root() / "notebooks"


def names() -> list[str]:
    """The notebooks that there are."""
    return sorted(path.stem for path in folder().glob("*.py"))


def source(name: str) -> Path:
    """The notebook file called ``name``.

    Raises:
        SettingsError: no such notebook; the message lists those that exist.
    """
    path = folder() / f"{name}.ipynb"
    if not path.is_file():
        raise SettingsError(f"there is no notebook {name!r} in {folder()}; notebooks: {', '.join(names()) or 'none'}")
    return path


def defaults(name: str) -> dict[str, Any]:
    """The parameters of a notebook and their default values, read from its cell tagged ``parameters``."""
    cells = json.loads(source(name).read_text(encoding="utf-8"))["cells"]
    code = next("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(code).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def parse_parameters(name: str, assignments: Sequence[str]) -> dict[str, Any]:
    """``key=value`` texts as parameters of the notebook ``name``; values are JSON, or plain text.

    Raises:
        SettingsError: an unknown parameter, one of another type than its default, or an unknown profile.
    """
    known = defaults(name)
    parameters: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or key not in known:
            raise SettingsError(f"notebook {name!r} has no parameter {key!r}; write KEY=VALUE with {', '.join(known)}")
        value: Any = text
        if not isinstance(known[key], str):
            with contextlib.suppress(json.JSONDecodeError):
                value = json.loads(text)
        if not _alike(value, known[key]):
            raise SettingsError(
                f"parameter {key} of notebook {name!r} is {text!r}; it must be like its default {known[key]!r}"
            )
        parameters[key] = value
    if "profile" in parameters:
        get_profile(parameters["profile"])
    return parameters


def _alike(value: Any, default: Any) -> bool:
    """Whether a value can stand for a default: same type, and for a list, not empty and of the same elements' type."""
    if type(value) is not type(default):
        return False
    return not isinstance(default, list) or (bool(value) and all(type(each) is type(default[0]) for each in value))


def default_out(name: str) -> Path:
    """Where `execute` writes when nothing else is said."""
    return project_root() / "build" / f"{name}.ipynb"


def with_folders(name: str, parameters: dict[str, Any], out: str | Path | None = None) -> dict[str, Any]:
    """The parameters with a ``figures_dir`` beside the executed copy, ``OUT_figures``, where a notebook takes one.

    Without it a notebook writes to the project's own ``figures/``, whose files are those of its default parameters.
    Folders that were given count from the current folder, not from the notebooks', in which the kernel runs.

    Args:
        name: the notebook.
        parameters: as `parse_parameters` gives them.
        out: the executed copy, as `execute` takes it.

    Raises:
        CoReEchoError: no file can be written to the folder.
    """
    given = {key: str(Path(parameters[key]).resolve()) for key in FOLDERS if parameters.get(key)}
    if "figures_dir" in defaults(name):
        out = Path(out or default_out(name)).resolve()
        given = {"figures_dir": str(out.with_name(f"{out.stem}_figures"))} | given
        writable_folder(Path(given["figures_dir"]))
    return parameters | given


def execute(name: str, parameters: dict[str, Any], out: str | Path | None = None) -> Path:
    """Runs a notebook with papermill and returns the executed copy.

    Raises:
        CoReEchoError: papermill is missing, the copy cannot be written, or a cell failed; the message ends with the
            cell's own error.
    """
    try:
        import papermill
    except ImportError:
        raise CoReEchoError("running notebooks needs papermill; install coreecho[book]") from None
    out = Path(out or default_out(name))
    writable_folder(out.parent)
    if out.is_dir():
        raise CoReEchoError(f"{out} is a folder; give the file that the executed notebook is written to")
    try:
        papermill.execute_notebook(
            str(source(name)),
            str(out),
            parameters,
            kernel_name="python3",
            cwd=str(folder()),
            progress_bar={"desc": name, "disable": silent()},
        )
    except papermill.PapermillExecutionError as error:
        raise CoReEchoError(f"notebook {name}, cell {error.exec_count}: {error.ename}: {error.evalue}") from None
    except PermissionError as error:
        raise CoReEchoError(f"{out}: cannot be written ({error.strerror}); give another file") from None
    return out


def refresh(name: str) -> Path:
    """Runs ``NAME.py`` with its default parameters and writes ``NAME.ipynb`` beside it, with outputs, without timings.

    Cells are identified by their number, so that a rerun that changes nothing changes no byte.

    Raises:
        SettingsError: no such notebook.
        CoReEchoError: a cell failed; the message ends with its error.
    """
    import jupytext
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    if name not in names():
        raise SettingsError(f"there is no notebook {name!r} in {folder()}; notebooks: {', '.join(names()) or 'none'}")
    path = folder() / f"{name}.ipynb"
    notebook = jupytext.read(folder() / f"{name}.py")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{name}-{number:02d}"
    place = {"metadata": {"path": folder()}}
    try:
        with tqdm(total=len(notebook.cells), desc=name, unit="cell", leave=False, disable=silent()) as bar:
            options: dict[str, Any] = {"record_timing": False, "resources": place}
            options["on_cell_complete"] = lambda **_: bar.update()
            NotebookClient(notebook, kernel_name="python3", **options).execute()
    except CellExecutionError as error:
        raise CoReEchoError(f"notebook {name}: {error.ename}: {error.evalue}") from None
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in ("tags", "mystnb") if key in cell.metadata}
        )
    nbformat.write(notebook, path)
    return path
