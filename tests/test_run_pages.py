"""A page of the book for every record, and links to it."""

import dataclasses
import re
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from fabricated import LABELS, VIDEOS, record

pytest.importorskip("myst_parser")
from sphinx.cmd.build import main as sphinx_build

import coreecho
from coreecho import fixed, trace
from coreecho.evaluation import average_clips, bootstrap
from coreecho.experiments import all_rows
from coreecho.files import project_root
from coreecho.plan import Plan
from coreecho.profiles import get_profile
from coreecho.records import run_key, write_record
from coreecho.tables import format_interval

EXTENSIONS = str(project_root() / "book" / "_ext")
MODULES = ("run_pages", "run_facts", "run_settings", "run_drawings", "run_links", "sources", "source_lines")
STAGES = {"stage one": ("rnc", 3), "stage two": ("error", 2)}


@pytest.fixture(scope="module")
def extension():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXTENSIONS)
        import run_pages

        yield run_pages
    for name in MODULES:
        sys.modules.pop(name, None)


def history():
    return [
        {"stage": stage, "epoch": epoch, "chosen": epoch, "learning_rate": 1e-3, "val_mae": 5.0 - epoch,
         "val_mse": 30.0, "seconds": 60.0, name: 2.6 - 0.1 * epoch}
        for stage, (name, epochs) in STAGES.items() for epoch in range(epochs)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Records of the demo profile: two of Table 1 on a phantom, and one of the paper profile on real data."""
    root = tmp_path_factory.mktemp("book")
    found = {}
    for name, row, label in (
        ("parent", "table1/coreecho", "phantom"),
        ("child", "table1/echocotr", "phantom"),
        ("hearts", "table1/coreecho", "EchoNet-Dynamic"),
    ):
        profile = get_profile("demo" if label == "phantom" else "paper")
        draft = record(root / "runs" / profile.name, row, label=label, profile=profile)
        predictions = pd.read_parquet(draft.folder / "predictions.parquet")
        key = run_key(draft.run, profile, "0") if name != "child" else "0c0ffee0"
        data = dict(draft.data) | ({"parent": found["parent"].key} if name == "child" else {})
        folder = draft.folder.rename(draft.folder.with_name(f"{draft.run.slug}-{key}"))
        found[name] = dataclasses.replace(draft, folder=folder, key=key, data=data, history=history())
        write_record(found[name], predictions)
    return root, found


def build(made, builder="html"):
    """The built book over these records."""
    root, found = made
    parent = found["parent"]
    files = {
        "conf.py": 'extensions = ["myst_parser", "run_pages"]\nhtml_theme = "basic"\nexclude_patterns = ["runs"]\n'
        "myst_all_links_external = True\n",  # as in what a notebook prints
        "index.md": "# Book\n\n```{toctree}\nbook/phantom\nnotebooks/table1\nnotebooks/provenance\n```\n",
        "book/phantom.md": "# Phantom\n\nSee {runs}`all of them`.\n",
        "notebooks/table1.md": f"# Table `{parent.key}`\n\nRun `{parent.folder.name}`, not `{parent.key}0`.\n\n"
        f"| Run | Cell |\n|---|---|\n| [{parent.key}](provenance.html#run-{parent.key}) | {parent.key}, other |\n",
        "notebooks/provenance.md": f'# Provenance\n\n| Run |\n|---|\n| <span id="run-{parent.key}"></span>'
        f"{parent.folder.name} |\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    out = root / f"_{builder}"
    options = ["-q", "-W", "-b", builder, "-d", str(root / "_trees"), "-E"]
    assert sphinx_build([*options, str(root), str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def book(extension, made):
    return build(made)


def page_of(out, record):
    return (out / "runs" / record.profile.name / f"{record.folder.name}.html").read_text(encoding="utf-8")


def test_every_record_has_a_page_with_all_there_is_to_know(book, made):
    out, parent = book, made[1]["parent"]
    page = page_of(out, parent)
    assert '<p class="admonition-title">Phantom</p>' in page
    assert "table1/coreecho/seed0" in page
    for own in bootstrap(LABELS, average_clips(parent.predictions())["prediction"]).items():
        assert format_interval(own[1], own[0]) in page
    assert page.count(' role="img"') == page.count("<desc ") == 7  # three curves a stage, and the scatter
    assert "Rank-N-Contrast loss" in page
    assert "3 epochs, from 2.6 to 2.4; lowest 2.4 in epoch 3. The weights are those of epoch 3." in page
    assert "Peak learning rate of stage one" in page
    assert parent.key in page
    assert all(video in page for video in VIDEOS)
    anchors = re.findall(r' id="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))


def test_records_can_be_downloaded(book, made):
    out, parent = book, made[1]["parent"]
    page = page_of(out, parent)
    for name in re.findall(r'href="\.\./\.\./(_downloads/[^"]+)"', page):
        assert (out / name).is_file()
    table = pd.read_csv(out / "_downloads" / "runs" / "demo" / parent.folder.name / "predictions.csv")
    assert len(table) == 4 * len(VIDEOS)
    assert table["prediction"].notna().all()


def test_videos_of_real_data_are_not_named(book, made):
    out, hearts = book, made[1]["hearts"]
    page = page_of(out, hearts)
    table = (out / "_downloads" / "runs" / "paper" / hearts.folder.name / "predictions.csv").read_text()
    assert "EchoNet-Dynamic" in page
    assert "Phantom</p>" not in page
    assert not [video for video in VIDEOS if re.search(rf"\b{video}\b", page + table)]
    assert "video 40" in page
    assert table.startswith("protocol,video,clip,label,prediction")


def test_a_record_of_other_settings_fills_no_row(book, made):
    page = page_of(book, made[1]["child"])
    assert "It fills no row of a table." in page
    assert f"runs/demo/{made[1]['parent'].folder.name}.html" not in page  # beside it, not below
    assert f'href="{made[1]["parent"].folder.name}.html"' in page


def test_runs_are_linked_from_the_other_pages(book, made):
    out, parent = book, made[1]["parent"]
    target = f'href="../runs/demo/{parent.folder.name}.html"'
    page = (out / "notebooks" / "table1.html").read_text(encoding="utf-8")
    body = page[page.index("<section") : page.index("</section>")]
    assert body.count(target) == 3  # the literal, the link to provenance, the key in a cell; not the title
    assert "other</" in body
    assert target in (out / "notebooks" / "provenance.html").read_text(encoding="utf-8")
    assert 'href="../runs/index.html"' in (out / "book" / "phantom.html").read_text(encoding="utf-8")


def test_the_index_lists_every_run_under_what_it_fills(book, made):
    page = (book / "runs" / "index.html").read_text(encoding="utf-8")
    for each in made[1].values():
        assert f'href="{each.profile.name}/{each.folder.name}.html"' in page
    assert page.index("<h3>Table 1</h3>") < page.index("Runs that no row uses")


def test_a_second_build_draws_nothing_anew(extension, book, made, monkeypatch):
    first = page_of(book, made[1]["parent"])
    drawn = []
    monkeypatch.setattr(extension.run_drawings, "drawn_curves", lambda record: drawn.append(record) or [])
    assert page_of(build(made), made[1]["parent"]) == first
    assert not drawn


def test_without_pages_names_stay_as_they_are(extension, made):
    page = (build(made, "singlehtml") / "index.html").read_text(encoding="utf-8")
    assert made[1]["parent"].folder.name in page
    assert "runs/demo" not in page
    assert "all of them" in page


def test_every_setting_has_its_sentence(extension):
    known = extension.run_settings.sentences()
    assert known["Recipe"]["temperature"].startswith("Temperature tau")
    assert set(known) >= {"Run", "Recipe", "ClipSettings", "EncoderSettings", "PhantomSettings"}


def test_every_group_of_rows_has_a_heading(extension):
    headings = extension.run_facts.GROUPS
    assert {name.partition("/")[0] for name in all_rows()} <= set(headings)
    assert headings == trace.GROUPS | {extension.run_facts.OTHERS: "Runs that no row uses"}


@pytest.mark.parametrize("name", ["losses.py", "ranking.py", "tables.py", "transfer/scores.py", "published.json"])
def test_nothing_that_was_drawn_by_other_code_is_kept(extension, tmp_path, monkeypatch, name):
    package = Path(coreecho.__file__).parent
    copy = shutil.copytree(package, tmp_path / "coreecho", ignore=shutil.ignore_patterns("__pycache__"))
    before = extension.code_digest()
    monkeypatch.setattr(coreecho, "__file__", str(copy / "__init__.py"))
    assert extension.code_digest() == before
    with (copy / name).open("a") as file:
        file.write("\n")
    assert extension.code_digest() != before


def test_the_settings_of_a_page_are_those_that_training_used(extension, made):
    settings, record = extension.run_settings, made[1]["parent"]
    for method, temperature in (("rnc-original", "2"), ("supremix", "0.3"), ("coreecho", "1")):
        other = dataclasses.replace(record, run=dataclasses.replace(record.run, method=method))
        recipe = {name: (value, text) for name, value, text in dict(settings.settings_of(other))["Recipe"]}
        assert recipe["temperature"][0] == temperature
        assert ("SupReMix" in recipe["temperature"][1]) == (method == "supremix")
        scheduled = "'onecycle'" in recipe["refine_learning_rate"][1]
        assert scheduled == (method == "rnc-original") != ("Constant" in recipe["refine_learning_rate"][1])
    fields = [name for name, *_ in dict(settings.settings_of(record))["Recipe"]]
    unused = fixed.unused(Plan(run=record.run, profile=record.profile))
    assert fields == [each.name for each in dataclasses.fields(record.profile.shared) if each.name not in unused]


@pytest.mark.parametrize("method", ["ouyang", "echographs", "echographs-known", "uvt", "uvt-mirror", "echocardmae"])
def test_a_system_with_a_network_of_its_own_lists_no_setting_of_another(extension, made, method):
    record = made[1]["parent"]
    other = dataclasses.replace(record, run=dataclasses.replace(record.run, method=method, views="one"))
    found = {
        heading: {name: value for name, value, _ in own} for heading, own in extension.run_settings.settings_of(other)
    }
    assert found["Run"]["init"] == "random"
    assert "Encoder" not in found
    assert found["Recipe"]["backbone"] == "own"
    assert "head" not in found["Recipe"]
    usual = {heading: {name for name, *_ in own} for heading, own in extension.run_settings.settings_of(record)}
    assert {"widths", "depths", "strides"} <= usual["Encoder"]


def test_protocols_are_told_in_words_and_clips_not_trained_for_as_such(extension, made):
    facts, record = extension.run_facts, made[1]["parent"]
    lines = [line[0] for line in facts.scores(facts.Made(record, ()))[1]]
    assert lines == ["three fixed clips (fixed3)", "first clip (first)"]
    assert not facts.untrained(facts.Made(record, ()))
    known = dataclasses.replace(record, run=dataclasses.replace(record.run, method="echographs-known"))
    (said,) = facts.untrained(facts.Made(known, ()))
    assert said.startswith("first clip (first): clips of a kind that this system was not trained for")
