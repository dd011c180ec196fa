"""The whole book as one PDF, printed by Chromium from the built HTML.

    python .ci/print_book.py build/book/_build/html build/coreecho.pdf

The pages of _toc.yml are joined to one, part by part. Sphinx's own single page (``--builder singlehtml``) is not used:
it loses the titles of the parts, gives the same anchor to sections of equal title ("The table"), and looks for pictures
in the wrong folder when the first page lies in one. The page is printed twice, since page numbers of the contents are
only known after the first time. ``COREECHO_CHROMIUM`` names another browser.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Page, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

NAMES = ("chromium", "chromium-browser", "google-chrome")
# What has no sense on paper: anchors' signs, buttons, scripts, cells that the book shows folded.
UNPRINTED = "a.headerlink, button, script, noscript, .onlyprint, details.hide.above-input, .thebelab-cell, .unprinted"
# Width of the text in CSS pixels (96 an inch) on A4 with margins of 16 mm, upright and across.
UPRIGHT, ACROSS = 672, 1001
FOOTER = (
    '<div style="width: 100%; font: 8px sans-serif; color: #444; text-align: center">'
    '<span class="pageNumber"></span> / <span class="totalPages"></span></div>'
)
Part = tuple[str, list[str]]


def parts(toc: dict[str, object]) -> list[Part]:
    """Caption and pages of each part of a _toc.yml; the first page stands alone, without a caption."""

    def pages(entry: object) -> Iterator[str]:
        if isinstance(entry, list):
            for item in entry:
                yield from pages(item)
        elif isinstance(entry, dict):
            if "file" in entry:
                yield entry["file"]
            for value in entry.values():
                yield from pages(value)

    found = toc.get("parts") or [{"caption": "", "chapters": toc.get("chapters", [])}]
    return [("", [str(toc["root"])])] + [(part.get("caption", ""), list(pages(part))) for part in found]


def anchor(page: str, fragment: str = "") -> str:
    """A name that no other page's anchor has."""
    return re.sub(r"[^\w.-]", "-", f"{page}--{fragment}" if fragment else page)


def led(address: str, page: str, html: Path, printed: set[str]) -> str | None:
    """Where a page's link leads in the joined page; None for what is not printed."""
    address_parts = urlsplit(address)
    if address_parts.scheme in ("http", "https", "mailto"):
        return address
    target = (html / f"{page}.html").parent / unquote(address_parts.path)
    name = page
    if address_parts.path:
        name = os.path.relpath(target, html).removesuffix(".html")
    return f"#{anchor(name, unquote(address_parts.fragment))}" if name in printed else None


def chapter(page: str, html: Path, printed: set[str]) -> Tag:
    """A page's text with its headings one level down, its anchors made unique and its links led to the joined page."""
    soup = BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    article = soup.find("article")
    if not isinstance(article, Tag):
        raise SystemExit(f"{html / page}.html has no <article>: is it a page of the book?")
    for element in article.select(UNPRINTED):
        element.decompose()
    for element in article.find_all(id=True):
        element["id"] = anchor(page, element["id"])
    for link in article.find_all("a", href=True):
        address = led(link["href"], page, html, printed)
        if address is None:
            link.unwrap()
        else:
            link["href"] = address
    for picture in article.find_all(src=True):
        if not urlsplit(picture["src"]).scheme:
            picture["src"] = ((html / f"{page}.html").parent / unquote(picture["src"])).resolve().as_uri()
    for details in article.find_all("details"):
        details["open"] = ""
    for heading in reversed(article.find_all(re.compile("^h[1-5]$"))):
        heading.name = f"h{int(heading.name[1]) + 1}"
    article.attrs = {"class": "bd-article chapter", "id": anchor(page)}
    return article


def contents(listed: list[tuple[int, str, str]], numbers: dict[str, int]) -> str:
    """Parts and chapters with their page numbers, as far as these are known."""
    rows = "".join(
        f'<li class="level{level}"><a href="#{name}">{title}</a><span>{numbers.get(name, "")}</span></li>'
        for level, title, name in listed
    )
    return f'<nav class="contents" aria-labelledby="contents"><h2 id="contents">Contents</h2><ul>{rows}</ul></nav>'


class Book:
    """The joined page of the book in one folder, but for the page numbers of its contents."""

    def __init__(self, html: Path, toc: dict[str, object]) -> None:
        self.html = html.resolve()
        self.listed: list[tuple[int, str, str]] = []
        self.body: list[str] = []
        sections = parts(toc)
        printed = {page for _, pages in sections for page in pages}
        for number, (caption, pages) in enumerate(sections):
            if caption:
                self.listed.append((1, caption, f"part-{number}"))
                self.body.append(f'<h1 class="part" id="part-{number}">{caption}</h1>')
            for page in pages:
                article = chapter(page, self.html, printed)
                heading = article.find("h2")
                title = heading.get_text().strip() if heading else page
                if number:
                    self.listed.append((2, title, anchor(page)))
                elif heading:
                    heading.name = "h1"
                    self.title = title
                self.body.append(str(article))

    def head(self) -> str:
        """The styles of the book's pages, print.css last, and the scripts that set formulas and fit tables."""
        first = BeautifulSoup(next(self.html.glob("*/intro.html")).read_text(encoding="utf-8"), "html.parser")
        names = [urlsplit(str(link["href"])).path for link in first.select('link[rel~="stylesheet"]')]
        names = [name.removeprefix("../") for name in names] + ["_static/print.css"]
        styles = "".join(f'<link rel="stylesheet" href="{(self.html / name).as_uri()}">' for name in names)
        scripts = [(self.html / "_static" / name).as_uri() for name in ("mathjax/tex-mml-chtml.js", "print.js")]
        options = '{"options": {"processHtmlClass": "tex2jax_process|mathjax_process|math|output_area"}}'
        return (
            f"<meta charset='utf-8'><title>{self.title}</title>{styles}"
            f"<script>window.MathJax = {options}</script>"
            + "".join(f"<script defer src='{address}'></script>" for address in scripts)
        )

    def text(self, numbers: dict[str, int]) -> str:
        """The HTML of the joined page."""
        body = [self.body[0], contents(self.listed, numbers), *self.body[1:]]
        return (
            f"<!DOCTYPE html><html lang='en' data-theme='light' data-mode='light'><head>{self.head()}</head>"
            f"<body class='printed'><main>{''.join(body)}</main></body></html>"
        )


def mend_outline(pdf: Path, headings: list[str]) -> None:
    """Give the outline the headings' own text: Chromium repeats lines of a heading that it has moved to a new page."""
    writer = PdfWriter(clone_from=pdf)
    entries: list[DictionaryObject] = []

    def walk(entry: DictionaryObject) -> None:
        while True:
            if "/Title" in entry:
                entries.append(entry)
            if "/First" in entry:
                walk(entry["/First"].get_object())
            if "/Next" not in entry:
                return
            entry = entry["/Next"].get_object()

    walk(writer.root_object["/Outlines"].get_object())
    if len(entries) != len(headings):
        raise SystemExit(f"{pdf}: {len(entries)} entries in the outline for {len(headings)} headings")
    for entry, heading in zip(entries, headings, strict=True):
        entry[NameObject("/Title")] = TextStringObject(heading)
    writer.write(pdf)


def numbers_of(pdf: Path) -> dict[str, int]:
    """The page, from 1, of each anchor that the contents name."""
    reader = PdfReader(pdf)
    found = {}
    for name, destination in reader.named_destinations.items():
        number = reader.get_destination_page_number(destination)
        if number is not None:
            found[name.lstrip("/")] = number + 1
    return found


def print_page(page: Page, source: Path, pdf: Path) -> list[str]:
    """Print a joined page; returns the text of its headings."""
    page.goto(source.as_uri())
    page.emulate_media(media="print")
    page.evaluate("() => window.MathJax?.startup?.promise")
    page.evaluate("() => Promise.all([...document.images].map(image => image.decode().catch(() => null)))")
    page.evaluate("([upright, across]) => fitToPaper(upright, across)", [UPRIGHT, ACROSS])
    page.pdf(
        path=pdf,
        prefer_css_page_size=True,
        print_background=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOTER,
        outline=True,
        tagged=True,
    )
    texts = page.eval_on_selector_all("h1, h2, h3, h4, h5, h6", "all => all.map(heading => heading.textContent)")
    return [" ".join(text.split()) for text in texts if text.strip()]


def main(html: Path, pdf: Path, toc: Path) -> None:
    path = os.environ.get("COREECHO_CHROMIUM") or next((found for found in map(shutil.which, NAMES) if found), None)
    if path is None:
        raise SystemExit(f"no browser ({', '.join(NAMES)}): apt-get install chromium, or name one in COREECHO_CHROMIUM")
    book = Book(html, yaml.safe_load(toc.read_text(encoding="utf-8")))
    pdf.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": UPRIGHT, "height": 1000})
        source, numbers = Path(folder) / "book.html", {}
        for _ in range(2):
            source.write_text(book.text(numbers), encoding="utf-8")
            headings = print_page(page, source, pdf)
            numbers = numbers_of(pdf)
        browser.close()
    mend_outline(pdf, headings)
    print(f"{pdf}: {len(PdfReader(pdf).pages)} pages, {pdf.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("html", type=Path, help="the built book's HTML folder")
    parser.add_argument("pdf", type=Path, help="the PDF to write")
    parser.add_argument("--toc", type=Path, default=Path("_toc.yml"), help="another table of contents")
    arguments = parser.parse_args()
    sys.exit(main(arguments.html, arguments.pdf, arguments.toc))
