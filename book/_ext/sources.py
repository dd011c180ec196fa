"""Roles that lead from a sentence to the line of code that does it, and to the test that proves it.

``{source}`coreecho.losses.rnc_loss``` becomes a link "losses.py, line 40" to that line of a highlighted page inside the
book; ``{test}`tests/test_losses.py::test_name``` does the same for a test; ``{source}`words <coreecho.losses>``` has
words of its own. `source_lines` finds the lines; an unknown name is a warning, which fails the book. Only files that
are referred to get a page. Where there are no pages (one page, LaTeX), the line is named, not linked.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sidebar
from docutils import nodes
from source_lines import UnknownNameError, find_source, find_test
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole
from sphinx.util.nodes import make_refnode

FOLDER = "sources"
"""Where the pages lie in the book."""
ANCHOR = "line"  # a line's anchor, before its number
STYLES = "source-pages.css"

logger = logging.getLogger(__name__)


def page_of(path: str) -> str:
    """Name of a file's page in the book."""
    return f"{FOLDER}/{path.removesuffix('.py')}"


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
                link = make_refnode(self.app.builder, self.env.docname, page_of(line.path), anchor, text, node["name"])
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
        page = page_of(path)
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
    return {"version": "1", "env_version": 2, "parallel_read_safe": True, "parallel_write_safe": True}
