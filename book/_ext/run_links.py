"""Names of runs become links to their pages, everywhere in the book.

A literal or a table cell that is a run's folder, key, or name such as table1/coreecho/seed0 becomes a link to the run's
page (names separated by commas: each), a link to a run's line on the page of provenance leads on to its page, and
``{runs}`words``` links to the index. Where there are no pages (one page, LaTeX), all stays as it was.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sources import has_pages
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxRole

INDEX = "runs/index"
"""The page that lists all runs."""
INDEX_LINK = "runs-index"
"""Class of what is to be linked to it."""


class RunsRole(SphinxRole):
    """``{runs}`words```: a link to the index of runs, or the words alone where there are no pages."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """A mark that `LinkRuns` resolves."""
        return [nodes.inline("", self.text, classes=[INDEX_LINK])], []


class LinkRuns(SphinxPostTransform):
    """Names of runs become links to their pages."""

    default_priority = 900
    """After outputs of notebooks have been chosen and other references resolved."""

    def run(self, **kwargs: Any) -> None:
        """Changes the document in place."""
        if not has_pages(self.app.builder):
            return
        self.pages = self.app.coreecho_runs.pages
        for node in list(self.document.findall(nodes.inline)):
            if INDEX_LINK in node["classes"]:
                node.replace_self(self.link(INDEX, nodes.inline("", node.astext())))
        for node in list(self.document.findall(nodes.reference)):
            self.lead_on(node)
        for node in list(self.document.findall(nodes.literal)):
            if node.astext() in self.pages and not inside(node, nodes.reference, nodes.title):
                node.replace_self(self.link(self.pages[node.astext()], node.deepcopy()))
        for cell in list(self.document.findall(nodes.entry)):
            for text in list(cell.findall(nodes.Text)):
                if not inside(text, nodes.reference, nodes.literal, nodes.raw):
                    self.link_parts(text)

    def link(self, page: str, child: nodes.Node) -> nodes.reference:
        """A reference to a page that has no document."""
        address = self.app.builder.get_relative_uri(self.env.docname, page)
        return nodes.reference("", "", child, internal=True, refuri=address)

    def lead_on(self, node: nodes.reference) -> None:
        """A link to a run's line on the page of provenance leads to the run's own page instead."""
        found = re.search(r"(?:^|/)provenance\.html#run-([0-9a-f]{8})$", node.get("refuri", ""))
        if found and found[1] in self.pages:
            node["refuri"] = self.app.builder.get_relative_uri(self.env.docname, self.pages[found[1]])
            node["internal"] = True

    def link_parts(self, text: nodes.Text) -> None:
        """Links for those of a cell's names, separated by commas, that are runs."""
        parts = str(text).split(", ")
        if not any(part in self.pages for part in parts):
            return
        made: list[nodes.Node] = []
        for number, part in enumerate(parts):
            made += [nodes.Text(", ")] if number else []
            child = nodes.Text(part)
            made.append(self.link(self.pages[part], nodes.inline("", "", child)) if part in self.pages else child)
        text.parent.replace(text, made)


def inside(node: nodes.Node, *kinds: type[nodes.Node]) -> bool:
    """Whether a node lies within one of some kinds."""
    while node.parent is not None:
        node = node.parent
        if isinstance(node, kinds):
            return True
    return False
