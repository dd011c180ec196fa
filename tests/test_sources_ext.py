"""The book's roles that lead to a line of code or to a test."""

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("myst_parser")
from sphinx.cmd.build import main as sphinx_build

from coreecho.files import project_root

EXTENSIONS = str(project_root() / "book" / "_ext")
MODULE = '''"""A module."""

LIMIT, STEP = 3, 1


@property
def first():
    """Says one."""
    return 1


class Box:
    """Holds things."""

    size: int = 2

    def open(self):
        """Opens."""


if LIMIT:
    def late():
        """Behind a condition."""
'''
WHERE = {
    "package.module": 0,
    "package.module.LIMIT": 3,
    "package.module.STEP": 3,
    "package.module.first": 7,
    "package.module.Box": 12,
    "package.module.Box.size": 15,
    "package.module.Box.open": 17,
    "package.module.late": 22,
    "package.first": 7,
    "package.renamed.open": 17,
}


@pytest.fixture
def sources(monkeypatch):
    monkeypatch.syspath_prepend(EXTENSIONS)
    import sources

    yield sources
    for name in ("sources", "source_lines"):
        sys.modules.pop(name)


@pytest.fixture
def project(tmp_path):
    """A project with one module, one test and the configuration of a book."""
    files = {
        "conf.py": 'extensions = ["myst_parser", "sources"]\nhtml_theme = "basic"\n',
        "package/__init__.py": "from package.module import Box as renamed\nfrom package.module import first\n",
        "package/module.py": MODULE,
        "package/other.py": "NOTHING = 0\n",
        "tests/test_module.py": "def test_one():\n    assert True\n",
        "index.md": "# Book\n\n[Page](page.md)\n\n```{toctree}\npage\n```\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def build(project: Path, text: str, builder: str = "html") -> tuple[Path, str]:
    """The built book with a page of this text, and what was warned about."""
    (project / "page.md").write_text(f"# Page\n\n{text}\n", encoding="utf-8")
    out, warnings = project / f"_{builder}", project / "warnings.txt"
    assert sphinx_build(["-q", "-E", "-b", builder, "-w", str(warnings), str(project), str(out)]) == 0
    return out, warnings.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "number"), WHERE.items(), ids=WHERE)
def test_a_name_is_found_without_importing_it(sources, project, name, number):
    line = sources.find_source(project, name)
    assert (line.path, line.number) == ("package/module.py", number)
    assert line.text == ("module.py" if number == 0 else f"module.py, line {number}")


def test_an_unknown_name_is_answered_with_its_like(sources, project):
    with pytest.raises(sources.UnknownNameError, match=r"package/module\.py has no frist; near it: first"):
        sources.find_source(project, "package.module.frist")
    with pytest.raises(sources.UnknownNameError, match=r"Box\.shut"):
        sources.find_source(project, "package.module.Box.shut")
    with pytest.raises(sources.UnknownNameError, match="no module"):
        sources.find_source(project, "elsewhere.module")


def test_a_test_is_found_by_its_pytest_name(sources, project):
    assert sources.find_test(project, "tests/test_module.py::test_one").number == 1
    for unknown in ("tests/test_module.py::test_two", "tests/test_none.py"):
        with pytest.raises(sources.UnknownNameError):
            sources.find_test(project, unknown)


def test_links_lead_to_lines_of_pages_inside_the_book(sources, project):
    text = "{source}`package.module.Box` {source}`words <package.module>` {test}`tests/test_module.py::test_one`"
    out, warnings = build(project, text)
    page = (out / "page.html").read_text(encoding="utf-8")
    assert warnings == ""
    links = dict(re.findall(r'href="(sources/[^"]+)"[^>]*><span[^>]*>([^<]+)</span>', page))
    assert links == {
        "sources/package/module.html#line-12": "module.py, line 12",
        "sources/package/module.html": "words",
        "sources/tests/test_module.html#line-1": "test_module.py, line 1",
    }
    shown = (out / "sources/package/module.html").read_text(encoding="utf-8")
    assert re.search(r'id="line-12">.*class</span>.*Box', shown)
    assert 'href="../../page.html"' in shown
    assert not (out / "sources/package/other.html").exists()


def test_an_unknown_name_in_a_page_is_a_warning(sources, project):
    _, warnings = build(project, "{source}`package.module.Bax`")
    assert "page.md:3" in warnings
    assert "Bax" in warnings


def test_without_pages_the_line_is_named(sources, project):
    out, _ = build(project, "{source}`package.module.Box`", "singlehtml")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "module.py, line 12" in page
    assert "sources/package" not in page
