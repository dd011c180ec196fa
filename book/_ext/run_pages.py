"""A page of the book for every record, an index of them, and links to them from everywhere in the book.

The page of runs/PROFILE/FOLDER/record.json is runs/PROFILE/FOLDER.html. Pictures and scores are kept in the build
folder by the digest of their record, so that a second build is quick.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import run_drawings
import run_facts
import run_settings
from markupsafe import Markup, escape
from run_facts import Made
from run_links import INDEX, LinkRuns, RunsRole
from sources import has_pages

import coreecho
from coreecho import fixed
from coreecho.records import RECORD

PROVENANCE = "notebooks/provenance"
STYLES = "run-pages.css"
TABLES = {"same-recipe": "table1", "samplings": "table1", "later": "table1"}
"""Notebook that shows a group of rows where it is not called like the group."""
FILES = "_downloads"
"""Folder of the built book that records are copied into, under their page's name."""


@dataclasses.dataclass
class Runs:
    """All records of the book, by what they are called."""

    mades: list[Made]

    def __post_init__(self) -> None:
        """Names that stand for one run only; a row's name that two profiles fill is left alone."""
        found: dict[str, list[Made]] = {}
        for made in self.mades:
            for name in {made.record.folder.name, made.record.key, *made.fills}:
                found.setdefault(name, []).append(made)
        self.pages = {name: own[0].page for name, own in found.items() if len(own) == 1}
        self.by_key = {made.record.key: made for made in self.mades}

    def parent(self, made: Made) -> Made | None:
        """The run whose encoder a run starts from, if its record is here."""
        return self.by_key.get(str(made.record.data.get("parent", "")))

    def children(self, made: Made) -> list[Made]:
        """The runs that start from this one's encoder."""
        return [each for each in self.mades if each.record.data.get("parent") == made.record.key]


def load(app: Any) -> None:
    """Reads the records once, before anything is written."""
    app.coreecho_runs = Runs(run_facts.read(Path(app.srcdir) / "runs") if has_pages(app.builder) else [])


def code_digest() -> bytes:
    """Changes with the code that makes pictures and scores, so that nothing outdated is taken from the build folder.

    The whole package counts: what a score or a chance level calls reaches most of it, and no list of files keeps up.
    """
    package = Path(coreecho.__file__).parent
    made_by = [Path(module.__file__) for module in (run_facts, run_settings, run_drawings)] + [Path(__file__)]
    made_by += sorted(path for path in package.rglob("*") if path.suffix in (".py", ".json"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in made_by)).digest()


def costly(made: Made, cache: Path, code: bytes) -> dict[str, Any]:
    """Scores and pictures of a run, from the build folder where they are already there.

    Args:
        made: the run.
        cache: folder of what is kept.
        code: `code_digest`.
    """
    record = made.record
    name = hashlib.sha256(run_facts.content_of(record) + " ".join(made.fills).encode() + code).hexdigest()
    path = cache / f"{name}.json"
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    stages: dict[str, list[tuple[str, str]]] = {}
    for stage, caption, picture in run_drawings.drawn_curves(record):
        stages.setdefault(stage, []).append((caption, str(picture)))
    drawing = {"ef": run_drawings.scatter, "mi": run_drawings.probabilities}.get(run_facts.task(record))
    scatter = str(drawing(run_facts.videos(made))) if drawing else ""
    found = {"scores": run_facts.scores(made), "stages": list(stages.items()), "scatter": scatter}
    cache.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), encoding="utf-8")
    return found


def video_table(made: Made) -> tuple[list[str], list[list[str]]]:
    """Heads and lines of the table of predictions: one line per test video."""
    table, kind = run_facts.videos(made), run_facts.task(made.record)
    names = list(table["video"]) if made.synthetic else [f"video {number}" for number in range(1, len(table) + 1)]
    pairs = list(zip(names, table["label"], table["prediction"], strict=True))
    if kind == "ef":
        lines = [[name, f"{label:.1f}", f"{told:.1f}", f"{told - label:+.1f}"] for name, label, told in pairs]
        return ["Video", "Listed EF (%)", "Predicted EF (%)", "Difference (EF points)"], lines
    if kind == "mi":
        words = ("no infarction", "infarction")
        lines = [[name, words[int(label)], f"{told:.2f}", words[told >= 0.5]] for name, label, told in pairs]
        return ["Video", "Listed", "Predicted probability of an infarction", "Told"], lines
    return ["Video", "Motion shown", "Motion told"], [[name, f"{label:g}", f"{told:g}"] for name, label, told in pairs]


def sentence(text: str) -> Markup:
    """A setting's sentence as HTML: names in backticks become code."""
    return Markup(re.sub(r"`+([^`]+)`+", r"<code>\1</code>", str(escape(text))))


def context_of(made: Made, app: Any) -> dict[str, Any]:
    """All that the page of a run is filled with."""
    runs, record, pages = app.coreecho_runs, made.record, app.env.found_docs
    fragments = costly(made, Path(app.doctreedir) / "run_pages", app.coreecho_code)
    rows = []
    for name in made.fills:
        group = name.partition("/")[0]
        page = f"notebooks/{TABLES.get(group, group)}"
        rows.append((name, run_facts.row_of(name), page if page in pages else ""))
    listed = app.builder.get_relative_uri(made.page, PROVENANCE) if PROVENANCE in pages and made.fills else ""
    parts = [
        (heading, [(field, value, sentence(text)) for field, value, text in fields])
        for heading, fields in run_settings.settings_of(record)
    ]
    return {
        "made": made,
        "rows": rows,
        "heading": lambda name: run_facts.GROUPS.get(name.partition("/")[0], name),
        "parent": runs.parent(made),
        "children": runs.children(made),
        "starts": fixed.started(record.run, record.profile),
        "untrained": run_facts.untrained(made),
        "selection": record.profile.recipe(record.run).selection,
        "scores": fragments["scores"],
        "stages": [
            (stage, [(caption, Markup(picture)) for caption, picture in own]) for stage, own in fragments["stages"]
        ],
        "scatter": Markup(fragments["scatter"]),
        "videos": video_table(made),
        "settings": parts,
        "provenance": run_facts.provenance(record),
        "listed": f"{listed}#run-{record.key}" if listed else "",
        "files": "../" * made.page.count("/") + f"{FILES}/{made.page}",
    }


def write_files(made: Made, folder: Path) -> None:
    """The record and its predictions where the page's links point to."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made.record.folder / RECORD, folder / RECORD)
    table = run_facts.clips(made)
    table.to_csv(folder / "predictions.csv", index=False, float_format="%.6g", lineterminator="\n")


def collect_pages(app: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The page of every run, and the index."""
    runs: Runs = app.coreecho_runs
    if not has_pages(app.builder):
        return
    app.coreecho_code = code_digest()
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True
    )
    for made in runs.mades:
        write_files(made, Path(app.outdir) / FILES / made.page)
        link = _linker(app, made.page)
        body = templates.get_template("run.html").render(context_of(made, app), link=link)
        yield made.page, page_context(f"Run {made.record.folder.name}", body), "page.html"
    link = _linker(app, INDEX)
    shown = {"profiles": grouped(runs.mades), "provenance": PROVENANCE, "headline": run_facts.headline}
    body = templates.get_template("runs.html").render(shown, link=link)
    yield INDEX, page_context("All runs", body, "h[23]"), "page.html"


def page_context(title: str, body: str, listed: str = "h2") -> dict[str, Any]:
    """What the theme needs of a page: its title, its body, and a list of its sections for the margin."""
    sections = re.findall(rf'<section id="([\w-]+)"><{listed}>(.*?)</h', body)
    items = "".join(
        f'<li><a class="reference internal" href="#{name}">{heading}</a></li>' for name, heading in sections
    )
    toc = f'<ul><li><a class="reference internal" href="#">{escape(title)}</a><ul>{items}</ul></li></ul>'
    return {"title": title, "body": body, "toc": toc, "display_toc": bool(sections)}


def _linker(app: Any, page: str) -> Any:
    """What gives the address of another page, seen from this one."""
    return lambda other: app.builder.get_relative_uri(page, other)


def grouped(mades: list[Made]) -> list[tuple[str, str, list[tuple[str, str, list[Made]]]]]:
    """Records by profile and by the table that they fill first, in the book's order."""
    found = []
    for profile in dict.fromkeys(made.record.profile.name for made in mades):
        own = [made for made in mades if made.record.profile.name == profile]
        labels = ", ".join(dict.fromkeys(made.label for made in own if made.group != run_facts.WEIGHTS))
        parts = {
            key: [made for made in own if made.group == key]
            for key in [*run_facts.GROUPS, *dict.fromkeys(made.group for made in own)]
        }
        groups = [(key, run_facts.GROUPS.get(key, key), part) for key, part in parts.items() if part]
        found.append((profile, labels, groups))
    return found


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_role("runs", RunsRole())
    app.add_post_transform(LinkRuns)
    app.connect("builder-inited", load)
    app.connect("html-collect-pages", collect_pages)
    app.add_css_file(STYLES)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
