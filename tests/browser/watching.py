"""What tests of the book in a browser share: where both are, which pages are looked at, a page and its troubles."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from coreecho.files import project_root

ROOT = project_root()
BOOK = Path(os.environ.get("COREECHO_BOOK", ROOT / "build" / "book" / "_build" / "html"))
NAMES = ("chromium", "chromium-browser", "google-chrome")
# A browser that is only to show pages of this machine: no sandbox, since it may run as root in a container; no screen,
# no enquiries of its own.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium():
    """The browser's path, or None."""
    named = os.environ.get("COREECHO_CHROMIUM")
    return named or next((path for path in map(shutil.which, NAMES) if path), None)


def toc_pages(entry):
    """All page names of a _toc.yml, in order."""
    if isinstance(entry, list):
        return [page for item in entry for page in toc_pages(item)]
    if not isinstance(entry, dict):
        return []
    return [entry[key] for key in ("root", "file") if key in entry] + [
        page for value in entry.values() for page in toc_pages(value)
    ]


def book_pages():
    """Every page of the table of contents, and the first generated page of each kind (all are too many here).

    What every page must have that can be told without a browser is checked on all of them by .ci/check_book.py.
    """
    listed = toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
    first = {}
    for path in sorted(BOOK.rglob("*.html")):
        name = path.relative_to(BOOK).with_suffix("").as_posix()
        if name not in listed and name != "index" and not name.startswith(("_", ".")):
            first.setdefault(name.split("/")[0], name)
    return listed + list(first.values())


class Sight:
    """One page, open in a browser that has seen nothing before, with all that happened while it loaded."""

    def __init__(self, browser, site, name, **settings):
        self.name = name
        self.troubles = []
        self.bytes = 0
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        self.page = self.context.new_page()
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("requestfailed", lambda request: self.troubles.append(f"failed: {request.url}"))
        self.page.on("response", lambda response: self.receive(response, site))
        self.page.goto(f"{site}/{name}.html")
        self.settle()

    def hear(self, message):
        if message.type in ("error", "warning"):
            self.troubles.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def receive(self, response, site):
        if response.url.startswith("data:"):
            return
        if not response.url.startswith(f"{site}/"):
            self.troubles.append(f"outside: {response.url}")
        elif response.status >= 400:
            self.troubles.append(f"{response.status}: {response.url}")
        elif "/_static/explorer/" not in response.url:
            self.bytes += int(response.headers.get("content-length", 0))

    def settle(self):
        """Wait until formulas are set and all pictures, those further down too, have come."""
        self.page.evaluate("() => window.MathJax?.startup?.promise")
        self.page.evaluate(
            """() => Promise.all([...document.images].map(image => {
                image.loading = "eager";
                return image.decode().catch(() => null);
            }))"""
        )

    def colour(self, mode):
        """Light or dark; returns when the colours have changed over."""
        self.page.evaluate(
            """async mode => {
                document.documentElement.dataset.mode = mode;
                document.documentElement.dataset.theme = mode;
                for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
                await Promise.allSettled(document.getAnimations()
                    .filter(change => change instanceof CSSTransition).map(change => change.finished));
            }""",
            mode,
        )


def faults(page, **options):
    """What axe-core finds in a page that is serious or critical: rule, elements, what to do."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="no axe: pip install 'coreecho[dev]'")
    page.evaluate(axe.AXE_SCRIPT)
    found = page.evaluate(
        "options => axe.run(document, options)", {"resultTypes": ["violations"], "preload": False, **options}
    )
    return [
        {"rule": fault["id"], "impact": fault["impact"], "why": node["failureSummary"], "element": node["html"][:200]}
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
