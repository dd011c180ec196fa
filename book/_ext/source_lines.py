"""The line of the project that a dotted name or a test is defined in; files are parsed, nothing is imported."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """A line of a file of the project."""

    path: str
    """From the project's folder, such as coreecho/losses.py."""
    number: int
    """From 1; 0 for the file as a whole."""

    @property
    def text(self) -> str:
        """How it is named where nothing else is said."""
        name = Path(self.path).name
        return f"{name}, line {self.number}" if self.number else name


class UnknownNameError(LookupError):
    """A role names something that is not in the project; the message says what comes close."""


@lru_cache(maxsize=256)
def _parsed(path: Path, changed: int) -> ast.Module:
    """The syntax tree of a file as it was when it was last changed."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a body, those behind a condition, an attempt or a context too."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            blocks = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
            yield from _statements([inner for block in blocks for inner in block])


def definitions(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """What a module's or class's body defines, by name: functions, classes, constants, fields; the first of each."""
    found: dict[str, ast.stmt] = {}
    for node in _statements(body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.setdefault(node.name, node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in (inner for outer in targets for inner in ast.walk(outer)):
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, node)
    return found


def _inside(path: Path, names: list[str], root: Path) -> Line:
    """The line that defines ``names`` in a file, outermost name first; what a package passes on is followed."""
    tree = _parsed(path, path.stat().st_mtime_ns)
    body, number = tree.body, 0
    for depth, name in enumerate(names):
        known = definitions(body)
        if name not in known:
            passed_on = {
                alias.asname or alias.name: f"{node.module}.{alias.name}"
                for node in ast.walk(tree)
                if depth == 0 and isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
            if name in passed_on:
                return find_source(root, ".".join([passed_on[name], *names[1:]]))
            near = difflib.get_close_matches(name, [*known, *passed_on], n=3)
            hint = f"; near it: {', '.join(near)}" if near else ""
            raise UnknownNameError(f"{path.relative_to(root).as_posix()} has no {'.'.join(names[: depth + 1])}{hint}")
        node = known[name]
        body, number = getattr(node, "body", []), node.lineno
    return Line(path.relative_to(root).as_posix(), number)


def find_source(root: Path, name: str) -> Line:
    """Where a dotted name of the package is defined.

    Args:
        root: the project's folder.
        name: module, module.function, module.Class.method or module.CONSTANT.

    Raises:
        UnknownNameError: there is no such name.
    """
    parts = name.split(".")
    for depth in range(len(parts), 0, -1):
        stem = root.joinpath(*parts[:depth])
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file():
                return _inside(path, parts[depth:], root)
    raise UnknownNameError(f"no module of the project holds {name!r}")


def find_test(root: Path, name: str) -> Line:
    """Where a test is defined.

    Args:
        root: the project's folder.
        name: as pytest names it: ``tests/test_losses.py::test_name``, or the file alone.

    Raises:
        UnknownNameError: there is no such file or test.
    """
    file, *names = name.split("::")
    path = root / file
    if not path.is_file() or path.suffix != ".py":
        raise UnknownNameError(f"there is no file {file}")
    return _inside(path, names, root)
