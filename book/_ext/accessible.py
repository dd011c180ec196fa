"""What the theme gets wrong for a reader with a keyboard, a screen reader or a slow machine, mended in the build.

tests/browser finds these faults in a real browser; each mending below names its own.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config


def configure(app: Sphinx, config: Config) -> None:
    """One search field instead of two on a page, a named first colour mode, and a small icon.

    The theme's script asks for the mode and every browser for the icon; both report an error where there is none.
    """
    config.html_theme_options.setdefault("navbar_persistent", [])
    config.html_context.setdefault("default_mode", "auto")
    config.html_favicon = config.html_favicon or "book/_static/favicon.svg"


def mend_scripts(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None) -> None:
    """Drop scripts that a page names twice (a constant declared twice is an error) or that it has no use for.

    Those are MathJax, of more than 1 MB, where there is no formula, and Thebe where it has no button: it runs cells on
    a server, which a book that opens from a disk cannot ask.
    """
    useless = [] if app.config.html_theme_options.get("launch_buttons", {}).get("thebe") else ["thebe"]
    if not re.search(r'class="[^"]*\bmath\b', context.get("body", "")):
        useless.append("mathjax")
    kept: list[Any] = []
    for script in context.get("script_files", []):
        text = f"{script.filename} {script.attributes.get('body', '')}".lower()
        if script not in kept and not any(word in text for word in useless):
            kept.append(script)
    context["script_files"] = kept


def drop_drawn_icons(app: Sphinx, error: Exception | None) -> None:
    """Empty the script of 1.5 MB that draws all icons a second time: pages load the icons' font too."""
    script = Path(app.outdir) / "_static" / "scripts" / "fontawesome.js"
    if error is None and script.is_file():
        script.write_text("/* Icons come from the web font. */\n", encoding="utf-8")


def visit_citation(self: Any, node: nodes.citation) -> None:
    """A work cited, as an item of its list: the role that docutils gives it may not stand in a list."""
    if not isinstance(node.previous_sibling(), nodes.citation):
        self.body.append('<div role="list" class="citation-list">\n')
    self.body.append(self.starttag(node, "div", CLASS="citation", role="listitem"))


def depart_citation(self: Any, node: nodes.citation) -> None:
    """The end of a work cited and, after the last one, of the list."""
    self.body.append("</div>\n")
    if not isinstance(node.next_node(descend=False, siblings=True), nodes.citation):
        self.body.append("</div>\n")


def setup(app: Sphinx) -> dict[str, Any]:
    """For Sphinx."""
    app.add_js_file("book.js", loading_method="defer")
    app.add_node(nodes.citation, override=True, html=(visit_citation, depart_citation))
    app.connect("config-inited", configure)
    # After all that add scripts.
    app.connect("html-page-context", mend_scripts, priority=900)
    app.connect("build-finished", drop_drawn_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
