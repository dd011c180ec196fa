"""The built book is complete and needs no network.

    python .ci/check_book.py build/book/_build/html

Jupyter Book exits with status 0 even when it builds nothing, so each page of _toc.yml is looked for; links between
pages must lead somewhere; and no page may load a script, style or picture from elsewhere. A page names each anchor
once, describes each picture, and weighs, with all it names, less than 3 MB; what a browser must tell is tested in
tests/browser. Pages show the outputs that their notebooks hold, so a notebook with a cell that failed or never ran is
named too. Exits with status 1 on any finding.
"""

import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

# Elements that fetch what they point at while the page is shown; an <a href> is only a link.
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
# <link> relations that only name another page.
NAMES = {"canonical", "next", "prev", "search", "index", "author", "genindex"}
# What a page and all that it names may weigh, in bytes; the explorer's data are apart.
LARGEST = 3_000_000
APART = "explorer"


class Page(HTMLParser):
    """The addresses that one page fetches or links to, its anchors, and whether it shows a failed cell."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.linked: list[str] = []
        self.anchors: set[str] = set()
        self.ids: set[str] = set()
        self.repeated: set[str] = set()
        self.undescribed: list[str] = []
        self.failed = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if values.get("id") in self.ids:
            self.repeated.add(values["id"])
        self.ids.add(values.get("id", ""))
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        self.failed |= {"output", "traceback"} <= set(values.get("class", "").split())
        if tag == "img" and ("alt" not in values or values["alt"] == values.get("src")):
            self.undescribed.append(values.get("src", ""))
        if tag == "a" and "href" in values:
            self.linked.append(values["href"])
        elif tag in FETCHED and FETCHED[tag] in values and not NAMES & set(values.get("rel", "").split()):
            self.fetched.append(values[FETCHED[tag]])


def toc_pages(entry: object) -> list[str]:
    """All page names in a _toc.yml, in order."""
    if isinstance(entry, list):
        return [page for item in entry for page in toc_pages(item)]
    if not isinstance(entry, dict):
        return []
    here = [entry[key] for key in ("root", "file") if key in entry]
    return here + [page for value in entry.values() for page in toc_pages(value)]


def weight(path: Path, page: Page) -> int:
    """Bytes of a page's file and of the files that it names, each once."""
    addresses = [urlsplit(address) for address in page.fetched]
    files = {(path.parent / unquote(parts.path)).resolve() for parts in addresses if not parts.scheme}
    return sum(file.stat().st_size for file in files | {path} if file.is_file() and APART not in file.parts)


def page_findings(path: Path, pages: dict[Path, Page]) -> list[str]:
    page = pages[path]
    found = ["shows the traceback of a failed cell"] if page.failed else []
    found += [f"has the anchor {name} twice" for name in sorted(page.repeated - {""})]
    found += [f"shows {source[:80]} without a description" for source in page.undescribed]
    if weight(path, page) > LARGEST:
        found.append(f"weighs {weight(path, page) / 1e6:.1f} MB with all it loads, more than {LARGEST / 1e6:.0f}")
    for address in pages[path].fetched + pages[path].linked:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            if address in pages[path].fetched and parts.scheme != "data":
                found.append(f"loads {address} from the network")
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.exists():
            found.append(f"points to {address}, which does not exist")
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
            found.append(f"points to {address}, which has no such anchor")
    return found


def cell_findings(path: Path) -> list[str]:
    """The code cells of a notebook that failed or were not executed, by number (all cells counted, from 1)."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError):
        return ["not a notebook"]
    found = []
    for number, cell in enumerate(cells, start=1):
        code = "".join(cell["source"]).strip()
        if cell["cell_type"] != "code" or not code:
            continue
        where = f"cell {number} ({code.splitlines()[0][:60]})"
        errors = [output for output in cell["outputs"] if output["output_type"] == "error"]
        found += [f"{where} failed: {error['ename']}: {error['evalue']}" for error in errors]
        if not errors and cell.get("execution_count") is None:
            found.append(f"{where} was not executed")
    return found


def main(html: Path, source: Path) -> int:
    names = toc_pages(yaml.safe_load((source / "_toc.yml").read_text(encoding="utf-8")))
    wanted = [html / f"{name}.html" for name in names] + [html / "index.html"]
    notebooks = [source / f"{name}.ipynb" for name in names]
    found = [
        f"{path.relative_to(source)}: {finding}"
        for path in notebooks
        if path.is_file()
        for finding in cell_findings(path)
    ]
    found += [f"{page}: not built" for page in wanted if not page.exists()]
    pages = {
        path.resolve(): Page(path) for path in html.rglob("*.html") if "_static" not in path.relative_to(html).parts
    }
    for path in pages:
        found += [f"{path.relative_to(html.resolve())}: {finding}" for finding in page_findings(path, pages)]
    print(*found, sep="\n", end="\n" if found else "")
    heaviest = max(pages, key=lambda path: weight(path, pages[path]))
    print(f"heaviest: {heaviest.relative_to(html.resolve())}, {weight(heaviest, pages[heaviest]) / 1e6:.2f} MB")
    print(f"{len(wanted)} pages wanted, {len(pages)} built, {len(found)} findings")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path()))
