"""One sidebar for all pages that stand outside the book's table of contents.

Sphinx works out the navigation anew for every page, which takes longer than all else about a page of a run or of a
source file. Those pages are nowhere in it, so pages equally deep in the folders have the same one.
"""

from __future__ import annotations

from typing import Any


def share(app: Any, page: str, template: str, context: dict[str, Any], document: Any) -> None:
    """Has the navigation of a page without a document worked out once per depth of folder."""
    whole = context.get("toctree")
    if document is not None or "/" not in page or whole is None:
        return
    known: dict[str, Any] = app.__dict__.setdefault("shared_sidebars", {})

    def toctree(**options: Any) -> Any:
        key = f"{page.count('/')} {sorted(options.items())}"
        if key not in known:
            known[key] = whole(**options)
        return known[key]

    context["toctree"] = toctree


def connect(app: Any) -> None:
    """Puts `share` before the theme, which asks for the navigation."""
    app.connect("html-page-context", share, priority=400)
