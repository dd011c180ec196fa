"""The book's prose against the package: every command and option has its place, every message is one that is said."""

import argparse
import ast
import importlib.util
import re

import pytest
import yaml

from coreecho.cli import build_parser
from coreecho.files import project_root

ROOT = project_root()
COMMANDS = (ROOT / "book" / "commands.md").read_text(encoding="utf-8")
YOUR_DATA = (ROOT / "book" / "your_data.md").read_text(encoding="utf-8")
GAP = "…"


def parsers(parser=None):
    """Every parser of the command line that runs something, with its name."""
    parser = parser or build_parser()
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for child in group.choices.values():
            yield from parsers(child)


def flat(text):
    return " ".join(text.split())


@pytest.mark.parametrize("parser", list(parsers()), ids=lambda parser: parser.prog)
def test_page_shows_every_command_with_all_its_options(parser):
    blocks = COMMANDS.split(f"$ {parser.prog} --help\n")
    assert len(blocks) == 2, f"no block with the help of {parser.prog}; python .ci/book_commands.py fills it"
    shown = flat(blocks[1].split("```")[0])
    for action in parser._actions:
        for word in (*action.option_strings, action.help or ""):
            # argparse puts defaults into the text, and breaks it as wide as the terminal is
            assert flat(word.split("%(")[0]) in shown, f"{parser.prog}: {word!r}; run python .ci/book_commands.py"


def test_page_names_no_command_that_does_not_exist():
    shown = set(re.findall(r"^\$ (coreecho[a-z ]*) --help$", COMMANDS, flags=re.MULTILINE))
    assert shown == {parser.prog for parser in parsers()}


def texts():
    """All texts in the package's code, a gap in place of each value that is put into one."""
    for source in sorted((ROOT / "coreecho").rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def messages():
    """The first column of the tables of messages and notes."""
    return re.findall(r"^\| `([^`]+)` \| [^|]+ \| [^|]+ \|$", YOUR_DATA, flags=re.MULTILINE)


def test_every_message_on_the_page_is_one_of_the_packages():
    said = list(texts())
    unknown = []
    for message in messages():
        pattern = re.compile(".*?".join(map(re.escape, message.split(GAP))), flags=re.DOTALL)
        unknown += [] if any(pattern.search(text) for text in said) else [message]
    assert not unknown
    assert len(messages()) > 40


def test_every_note_of_a_prediction_is_explained():
    source = ast.parse((ROOT / "coreecho" / "inference.py").read_text(encoding="utf-8"))
    tellers = {"_warnings", "_about_checkpoint"}
    functions = [node for node in source.body if isinstance(node, ast.FunctionDef) and node.name in tellers]
    added = [
        node.args[0]
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append"
    ]
    notes = [node for node in added if isinstance(node, ast.JoinedStr | ast.Constant)]
    for note in notes:
        parts = note.values if isinstance(note, ast.JoinedStr) else [note]
        longest = max((str(part.value) for part in parts if isinstance(part, ast.Constant)), key=len)
        assert longest.strip() in YOUR_DATA, f"book/your_data.md does not explain the note with {longest!r}"
    assert len(notes) >= 5


def test_every_page_of_the_book_is_in_its_table_of_contents():
    listed = set(re.findall(r"book/[\w/]+", (ROOT / "_toc.yml").read_text(encoding="utf-8")))
    pages = (
        path.relative_to(ROOT).with_suffix("") for path in (ROOT / "book").rglob("*.md") if "_static" not in path.parts
    )
    assert {path.as_posix() for path in pages} == listed
    assert yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["root"] in listed


def test_glossary_terms_are_unique_and_explained():
    glossary = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8").split("```")[1]
    entries = re.findall(r"^(\S.*)\n  (\S.*)", glossary, flags=re.MULTILINE)
    terms = [term.casefold() for term, _ in entries]
    assert len(terms) == len(set(terms)) >= 20


def test_a_description_with_a_colon_is_not_taken_for_a_type():
    place = importlib.util.spec_from_file_location("docstrings", ROOT / "book" / "_ext" / "docstrings.py")
    docstrings = importlib.util.module_from_spec(place)
    place.loader.exec_module(docstrings)
    lines = ["What it is.", "", "Args:", "    path: the file:", "        any.", "", "Returns:", "    One: or two."]
    assert docstrings.convert([*lines, "", "Raises:", "    VideoError: bad."]) == [
        "What it is.", "", "", ":param path: the file:", "   any.", "", "", ":returns: One: or two.", "", "",
        ":raises VideoError: bad.", "",
    ]  # fmt: skip


def test_buttons_that_lead_elsewhere_are_there_to_be_turned_on_and_off_by_default():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert not [name for name, value in config["launch_buttons"].items() if name.endswith("_url") and value]
    assert not config["repository"]["url"]
    assert config["sphinx"]["recursive_update"] is True, "else the theme's options below hide those of the buttons"
    assert config["sphinx"]["config"]["html_theme_options"]["use_download_button"] is False
    assert not [value for name, value in config["html"].items() if name.startswith("use_") and value]
