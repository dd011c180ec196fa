"""The package keeps its shape: one direction of imports, small documented modules, few dependencies, no stray paths."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "coreecho"
# Data moves one way: a module imports only those named before it.
# fmt: off
ORDER = [
    "errors", "progress", "distributed", "pause", "memory", "phantom_settings", "settings", "settings_text",
    "rival_recipes", "profiles", "lineage", "files", "phantom", "datasets", "video", "echofiles", "study_video",
    "datacheck", "clips", "sequences", "batches", "loading", "feeding", "layers", "uniformer", "model", "flops",
    "anatomy", "machine", "weightfiles", "checkpoints", "encoders", "hub", "timm_entry", "losses", "ranking",
    "objectives", "plan", "schedule", "protocols", "baselines", "stages", "fixed", "place", "opening", "initial",
    "frozen", "trainstate", "optimisation", "stage_data", "trainer", "resampling", "sums", "evaluation", "verdicts",
    "provenance", "records", "ledger", "forecast", "scoring", "runs", "rows", "echonet_rows", "transfer_rows",
    "experiments", "cells", "supplement", "compared", "timing", "efficiency", "workload", "layout", "hours",
    "embedding", "explain", "appendix", "moving", "table_notes", "tables", "evidence", "front", "continuity",
    "stopgradient", "focus", "transfer", "spread", "trace", "curves", "clinical", "claims", "enough", "inference",
    "figures", "explorer", "notebooks", "demo", "bench", "cli",
]
# fmt: on
ENTRY_POINTS = {"__init__", "__main__"}
IMPORT_NAMES = {
    "opencv-python-headless": "cv2",
    "scikit-learn": "sklearn",
    "grad-cam": "pytorch_grad_cam",
    "ipython": "IPython",
    "umap-learn": "umap",
    "pillow": "PIL",
    "jupyter-book": "jupyter_book",
    "pyyaml": "yaml",
    "beautifulsoup4": "bs4",
}
SOURCES = sorted(PACKAGE.rglob("*.py"))
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))


def parse(source: Path) -> ast.Module:
    return ast.parse(source.read_text(encoding="utf-8"), filename=str(source))


def part(source: Path) -> str:
    """The entry of ORDER a file belongs to: its module, or its folder's package."""
    return source.relative_to(PACKAGE).with_suffix("").parts[0]


def absolute_imports(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, dotted name) of every import below a node; ``from a import b`` counts as ``a.b``."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def import_name(requirement: str) -> str:
    name = re.match(r"[\w-]+", requirement).group()
    return IMPORT_NAMES.get(name, name.replace("-", "_"))


def dependency_names() -> tuple[set[str], set[str]]:
    """Top-level names that the core dependencies and those of all extras provide."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {import_name(text) for text in project["dependencies"]}
    extras = [text for group in project["optional-dependencies"].values() for text in group]
    return core, core | {import_name(text) for text in extras} - {"coreecho"}


def written_files() -> list[Path]:
    """Text files that git tracks or would add, but vendored ones."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    files = [ROOT / name for name in names if name and not name.startswith("book/_static/")]
    return [path for path in files if path.is_file() and b"\0" not in path.read_bytes()]


def test_every_module_has_a_place_in_the_order():
    assert {part(source) for source in SOURCES} - ENTRY_POINTS <= set(ORDER)


@every_source
def test_nothing_earlier_imports_anything_later(source):
    if part(source) in ENTRY_POINTS:
        return
    rank = ORDER.index(part(source))
    for line, name in absolute_imports(parse(source)):
        if name.startswith("coreecho.") and name != "coreecho.__version__":
            imported = name.split(".")[1]
            where = f"{source.name}:{line} imports {name}"
            assert imported in ORDER, f"{where}: name the module, not the package"
            assert ORDER.index(imported) <= rank, f"{where}, which comes later"


@every_source
def test_modules_are_documented_and_short(source):
    assert ast.get_docstring(parse(source)), "no module docstring"
    assert len(source.read_text(encoding="utf-8").splitlines()) <= 250


@every_source
def test_functions_are_short(source):
    functions = [node for node in ast.walk(parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert not [f"{node.name}, line {node.lineno}" for node in functions if node.end_lineno - node.lineno >= 50]


@every_source
def test_extras_are_imported_only_where_they_are_used(source):
    core, everything = dependency_names()
    tree = parse(source)
    inside = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for name in absolute_imports(node)
    }
    for line, name in absolute_imports(tree):
        top = name.split(".")[0]
        allowed = everything if (line, name) in inside else core
        assert top in allowed | sys.stdlib_module_names | {"coreecho"}, f"line {line}: {name}"


def test_every_module_imports_without_the_extras():
    core, everything = dependency_names()
    modules = [".".join(source.relative_to(ROOT).with_suffix("").parts) for source in SOURCES]
    program = (
        "import importlib, sys\n"
        # None in sys.modules makes an import of that name fail, as on a machine without it. Core libraries may use
        # pillow and yaml themselves.
        f"sys.modules.update(dict.fromkeys({sorted(everything - core - {'PIL', 'yaml', 'packaging'})!r}))\n"
        f"[importlib.import_module(name.removesuffix('.__init__')) for name in {modules!r} if '__main__' not in name]\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_file_names_a_place_on_one_machine():
    picture = re.compile(r'\s*"image/png": "[\w+/=\\]*",?')  # letters and slashes by chance
    home = re.compile(r"(?<![\w.\]}-])/(?:home|root|Users|work|farm|private)/[\w.]|[A-Z]:\\\\?Users|/tmp" + r"/\w")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in written_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if home.search(line) and not picture.fullmatch(line)
    ]
    assert not found


def test_no_file_names_a_package_registry():
    host = re.compile(r"https?:" + r"//[^\s\"']*(?:pypi|pythonhosted|npmjs|deb\.debian)")
    assert not [str(path) for path in written_files() if host.search(path.read_text(encoding="utf-8"))]


def test_every_setting_is_explained():
    unexplained = []
    for owner in [*parse(PACKAGE / "settings.py").body, *parse(PACKAGE / "phantom_settings.py").body]:
        if not isinstance(owner, ast.ClassDef):
            continue
        for node, below in zip(owner.body, [*owner.body[1:], None], strict=True):
            sentence = (
                below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
            )
            if isinstance(node, ast.AnnAssign) and not str(sentence).rstrip().endswith("."):
                unexplained.append(f"{owner.name}.{node.target.id}")
    assert not unexplained
