"""Directives of the book's first page, filled from committed files: ``headline``, ``tally`` and ``front-clip``."""

from __future__ import annotations

from typing import Any

import pandas as pd
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from coreecho import front
from coreecho.files import project_root
from coreecho.place import Place


class Headline(SphinxDirective):
    """The comparison in three lines, as a table, and what follows from it."""

    def run(self) -> list[nodes.Node]:
        """A table with the header of its data frame."""
        self.env.note_reread()  # records are no files that Sphinx watches
        frame = front.headline(Place())
        table = nodes.table(classes=["table"])
        group = nodes.tgroup(cols=len(frame.columns))
        group += [nodes.colspec(colwidth=1) for _ in frame.columns]
        group += nodes.thead("", _row(list(frame.columns)))
        group += nodes.tbody("", *[_row(list(line)) for line in frame.itertuples(index=False)])
        table += group
        return [table, nodes.paragraph(text=front.finding(Place()))]


def _row(texts: list[str]) -> nodes.row:
    return nodes.row("", *[nodes.entry("", nodes.paragraph(text=text)) for text in texts])


class Tally(SphinxDirective):
    """How many claims hold, as a list."""

    def run(self) -> list[nodes.Node]:
        """Read from the page's own table of claims."""
        path = project_root() / "figures" / "claims.csv"
        self.env.note_dependency(str(path))
        lines = front.tally(pd.read_csv(path))
        return [nodes.bullet_list("", *[nodes.list_item("", nodes.paragraph(text=line)) for line in lines])]


class FrontClip(SphinxDirective):
    """The moving clip, in pages that are looked at in a browser."""

    def run(self) -> list[nodes.Node]:
        """HTML as it stands."""
        self.env.note_reread()
        return [nodes.raw("", front.clip(Place()), format="html")]


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("headline", Headline)
    app.add_directive("tally", Tally)
    app.add_directive("front-clip", FrontClip)
    return {"parallel_read_safe": True}
