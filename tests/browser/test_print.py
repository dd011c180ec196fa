"""The whole book as a PDF: every chapter and the last column of the widest table are in it, no page is empty."""

import importlib.util
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import yaml
from watching import NAMES, ROOT, chromium, toc_pages

bs4 = pytest.importorskip("bs4", reason="no beautifulsoup4: pip install 'coreecho[book]'")
pypdf = pytest.importorskip("pypdf", reason="no pypdf: pip install 'coreecho[dev]'")
pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'coreecho[dev]'")
TOC = ROOT / "_toc.yml"


def squeezed(text):
    """Letters and digits alone: a PDF breaks lines, and sets ligatures, where it will."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).lower()


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("print_book", ROOT / ".ci" / "print_book.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def printed(book, tmp_path_factory):
    """The PDF of the built book, all of it, read again."""
    if chromium() is None:
        pytest.skip(f"no browser ({', '.join(NAMES)}): apt-get install chromium, or name one in COREECHO_CHROMIUM")
    pdf = tmp_path_factory.mktemp("print") / "book.pdf"
    # A process of its own: this one may drive a browser already, for the pages' tests, and can drive only one.
    subprocess.run([sys.executable, ROOT / ".ci" / "print_book.py", book, pdf, "--toc", TOC], check=True)
    return pypdf.PdfReader(pdf)


@pytest.fixture(scope="module")
def looked(printed):
    """Of each page: its text, and pieces of text that begin beside the paper."""
    found = []
    for page in printed.pages:
        outside = []

        def visit(text, transform, matrix, font, size, page=page, outside=outside):
            x = transform[0] * matrix[4] + transform[2] * matrix[5] + transform[4]
            if text.strip() and not 0 <= x <= float(page.mediabox.width):
                outside.append(text)

        found.append((page.extract_text(visitor_text=visit), outside))
    return found


@pytest.fixture(scope="module")
def texts(looked):
    return [squeezed(text) for text, _ in looked]


@pytest.fixture(scope="module")
def articles(book):
    names = toc_pages(yaml.safe_load(TOC.read_text(encoding="utf-8")))
    return {
        name: bs4.BeautifulSoup((book / f"{name}.html").read_text(encoding="utf-8"), "html.parser").find("article")
        for name in names
    }


def title(article):
    return article.find("h1").contents[0].get_text()


def entries(outline):
    for entry in outline:
        if isinstance(entry, list):
            yield from entries(entry)
        else:
            yield entry.title


def test_every_chapter_is_there_and_in_the_outline(texts, printed, articles):
    outline = {squeezed(entry) for entry in entries(printed.outline)}
    whole = "".join(texts)
    for article in articles.values():
        assert squeezed(title(article)) in whole
        assert squeezed(title(article)) in outline


def test_contents_name_the_page_of_each_chapter(looked, articles, texts):
    lines = [line for text, _ in looked[:12] for line in text.splitlines()]
    for article in list(articles.values())[1:]:
        wanted = squeezed(title(article))
        numbers = [int(found[2]) for line in lines if (found := re.match(r"(.*\D)\s*(\d+)$", line.strip()))
                   and squeezed(found[1]) == wanted]  # fmt: skip
        assert any(wanted in texts[number - 1] for number in numbers), title(article)


def test_no_page_is_empty(texts, printed):
    empty = [
        number
        for number, (text, page) in enumerate(zip(texts, printed.pages, strict=True), start=1)
        # a page's own number is on each
        if len(text) < 25 and not page.images
    ]
    assert empty == []


def test_last_column_of_the_widest_tables_is_not_cut(articles, texts):
    tables = [table for article in articles.values() for table in article.find_all("table")]
    tables.sort(key=lambda table: len(table.find("tr").find_all(["th", "td"])), reverse=True)
    whole = "".join(texts)
    assert len(tables) > 10
    for table in tables[:10]:
        row = [cell.get_text() for cell in table.find_all("tr")[-1].find_all(["th", "td"])]
        assert squeezed("".join(row[-2:])) in whole


def test_nothing_sticks_out_of_a_page(looked):
    assert {number: outside for number, (_, outside) in enumerate(looked, start=1) if outside} == {}


def test_fonts_are_embedded_and_the_text_is_tagged(printed):
    for number, page in enumerate(printed.pages, start=1):
        fonts = page["/Resources"].get_object().get("/Font", {})
        for font in fonts.get_object().values() if fonts else ():
            described = font.get_object()
            if described["/Subtype"] == "/Type3":  # drawn within the file
                continue
            inner = described["/DescendantFonts"][0].get_object() if "/DescendantFonts" in described else described
            files = {"/FontFile", "/FontFile2", "/FontFile3"} & set(inner["/FontDescriptor"].get_object())
            assert files, (number, described["/BaseFont"])
    root = printed.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"].startswith("en")


@pytest.mark.parametrize(
    ("address", "leads"),
    [
        ("https://example.org/a", "https://example.org/a"),
        ("#the-table", "#notebooks-table1--the-table"),
        ("../book/method.html", "#book-method"),
        ("../book/method.html#at-test-time", "#book-method--at-test-time"),
        ("../sources/losses.html#L40", None),
        ("../_downloads/a/table1.csv", None),
    ],
)
def test_links_lead_to_what_is_printed(script, address, leads):
    assert script.led(address, "notebooks/table1", Path("/html"), {"book/method", "notebooks/table1"}) == leads


def test_parts_of_a_book_in_order(script):
    toc = {"root": "a", "parts": [{"caption": "One", "chapters": [{"file": "b", "sections": [{"file": "c"}]}]}]}
    assert script.parts(toc) == [("", ["a"]), ("One", ["b", "c"])]
