"""Roles that lead from a sentence to the line of code that does it, and to the test that proves it.

``{source}`coreecho.losses.rnc_loss``` becomes a link "losses.py, line 40" to that line of a highlighted page inside the
book; ``{test}`tests/test_losses.py::test_name``` does the same for a test; ``{source}`words <coreecho.losses>``` has
words of its own. Names are found by parsing, nothing is imported; an unknown name is a warning, which fails the book.
Only files that are referred to get a page. Where there are no pages (one page, LaTeX), the line is named, not linked.
"""

from __future__ import annotations

import ast
import difflib
import html
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import sidebar
from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole
from sphinx.util.nodes import make_refnode

FOLDER = "sources"
"""Where the pages lie in the book."""
ANCHOR = "line"  # a line's anchor, before its number
STYLES = "source-pages.css"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Line:
    """A line of a file of the project."""

    path: str
    """From the project's folder, such as coreecho/losses.py."""
    number: int
    """From 1; 0 for the file as a whole."""

    @property
    def page(self) -> str:
        """Name of the file's page in the book."""
        return f"{FOLDER}/{self.path.removesuffix('.py')}"

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


class Reference(nodes.Inline, nodes.TextElement):
    """A line that is referred to, before the builder says whether there are pages to link to."""


class LineRole(ReferenceRole):
    """The roles ``source`` and ``test``."""

    def __init__(self, find: Any) -> None:
        super().__init__()
        self.find = find

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """A reference to the line, or the name itself and a warning."""
        root = Path(self.env.srcdir)
        try:
            line = self.find(root, self.target)
        except UnknownNameError as error:
            logger.warning("%s: %s", self.target, error, location=self.get_location(), type="sources")
            return [nodes.literal("", self.target)], []
        self.env.note_dependency(str(root / line.path))  # a line added above moves the number
        referrers(self.env).setdefault(self.env.docname, set()).add(line.path)
        text, classes = (self.title, []) if self.has_explicit_title else (line.text, ["source-line"])
        return [Reference("", text, line=line, name=self.target, classes=classes)], []


def referrers(env: Any) -> dict[str, set[str]]:
    """Files referred to, by page of the book."""
    if not hasattr(env, "source_referrers"):
        env.source_referrers = {}
    return env.source_referrers


def has_pages(builder: Any) -> bool:
    """Whether a builder makes pages of HTML of their own."""
    return builder.format == "html" and builder.name != "singlehtml" and not builder.name.startswith("epub")


class ResolveReferences(SphinxPostTransform):
    """Links where there are pages, plain text where there are none."""

    default_priority = 100

    def run(self, **kwargs: Any) -> None:
        """Changes the document in place."""
        for node in list(self.document.findall(Reference)):
            line, text = node["line"], nodes.inline("", node.astext(), classes=node["classes"])
            if has_pages(self.app.builder):
                anchor = f"{ANCHOR}-{line.number}" if line.number else ""
                link = make_refnode(self.app.builder, self.env.docname, line.page, anchor, text, node["name"])
                node.replace_self(link)
            else:
                node.replace_self(text)


def highlighted(code: str, highlighter: Any) -> str:
    """Code as HTML in the theme's colours, every line numbered and with an anchor; the box can be scrolled by keys."""
    block = highlighter.highlight_block(code, "python", linenos="inline", linespans=ANCHOR)
    return block.replace("<pre>", '<pre tabindex="0" role="region" aria-label="Source code">', 1)


def collect_pages(app: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    """One page for each file that is referred to, and what refers to it."""
    if not has_pages(app.builder):
        return
    by_file: dict[str, list[str]] = {}
    for docname, paths in sorted(referrers(app.env).items()):
        for path in paths:
            by_file.setdefault(path, []).append(docname)
    for path, docnames in sorted(by_file.items()):
        page = Line(path, 0).page
        code = (Path(app.srcdir) / path).read_text(encoding="utf-8")
        links = ", ".join(
            f'<a href="{app.builder.get_relative_uri(page, name)}">{html.escape(app.env.titles[name].astext())}</a>'
            for name in docnames
        )
        body = (
            f'<div class="source-page"><h1>{html.escape(path)}</h1>\n<p>Referred to by: {links}.</p>\n'
            f"{highlighted(code, app.builder.highlighter)}</div>"
        )
        yield page, {"title": path, "body": body}, "page.html"


def purge(app: Any, env: Any, docname: str) -> None:
    """Forgets what a page referred to, before it is read again."""
    referrers(env).pop(docname, None)


def merge(app: Any, env: Any, docnames: Any, other: Any) -> None:
    """Takes over what another process has read."""
    referrers(env).update({name: paths for name, paths in referrers(other).items() if name in docnames})


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_role("source", LineRole(find_source))
    app.add_role("test", LineRole(find_test))
    app.add_node(Reference)
    app.add_post_transform(ResolveReferences)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.connect("html-collect-pages", collect_pages)
    app.add_css_file(STYLES)
    sidebar.connect(app)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
