"""Comfort at the command line: examples, completion, quiet, tables that fit, answers to what was mistyped."""

import argparse
import ast
import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from coreecho import progress
from coreecho.cli import build_parser, completion, main, tables
from coreecho.cli.suggest import alike
from coreecho.files import project_root

ROOT = project_root()
LEAVES = build_parser().leaves()
EXAMPLES = [line for parser in (build_parser(), *LEAVES) for line in parser.examples]
QUICK = ("coreecho runs list", "coreecho runs list --json", "coreecho completion", "coreecho runs status")
WIDTHS = (30, 60, 80, 120)
ROWS = [
    {"run": f"echonet-{name}-seed0-da518810", "data": "phantom", "mae": 4.0625, "n": 300, "done": True}
    for name in ("coreecho", "ouyang-single", "echographs")
] + [{"run": "pretext", "data": "moving shapes", "accuracy": 0.975}]


def in_book(name):
    text = (ROOT / "book" / "commands.md").read_text(encoding="utf-8")
    return text.split(f"$ {name} --help\n")[1].split("\n```")[0]


def words(example):
    """What the shell hands to the command."""
    line = re.sub(r'^eval "\$\((.*)\)"$', r"\1", example).partition(" > ")[0]
    program, *arguments = shlex.split(line)
    assert program == "coreecho"
    return arguments


@pytest.fixture
def terminal(monkeypatch):
    """Makes standard output a terminal of a given width."""

    def open_one(width):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))

    return open_one


def said(capsys, *arguments):
    """(status, stdout, stderr)"""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = end.code
    return status, *capsys.readouterr()


@pytest.mark.parametrize("parser", LEAVES, ids=lambda parser: parser.prog)
def test_help_ends_in_examples_that_fit_a_terminal(parser, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = parser.format_help()
    assert 2 <= len(parser.examples) <= 4
    assert text.rstrip().endswith(parser.epilog)
    assert max(map(len, text.splitlines())) <= 80
    assert not [line for line in text.splitlines() if re.search(r"\w-$", line)], "broken at a hyphen"


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the book's lines are those of the locked Python's argparse"
)
@pytest.mark.parametrize("parser", LEAVES, ids=lambda parser: parser.prog)
def test_the_book_has_the_help_as_it_is(parser, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert in_book(parser.prog) == parser.format_help().rstrip(), "run python .ci/book_commands.py"


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_understood(example):
    arguments = words(example)
    if "--help" not in arguments:
        assert callable(build_parser().parse_args(arguments).run)


@pytest.mark.parametrize("example", [line for line in EXAMPLES if line.startswith(QUICK)])
def test_quick_examples_do_what_they_say(example, capsys, tmp_path):
    arguments = [str(tmp_path) if word == "DIR" else word for word in words(example)]
    status, out, err = said(capsys, *arguments)
    assert (status, err) == (0, "")
    assert out.strip()


def test_help_and_completion_import_no_heavy_library():
    # The package's own __init__ may import what it likes; the command line's modules must not.
    program = (
        "import sys, types\n"
        "package = types.ModuleType('coreecho')\n"
        f"package.__path__, package.__version__ = [{str(ROOT / 'coreecho')!r}], '0'\n"
        "sys.modules['coreecho'] = package\n"
        "from coreecho.cli import build_parser\n"
        "build_parser().format_help()\n"
        "print(sorted({'torch', 'pandas', 'numpy', 'cv2', 'sklearn', 'matplotlib', 'shtab'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """Asks bash what it completes, in a folder with a clip, weights and a subfolder."""
    if not shutil.which("bash"):
        pytest.skip("no bash")
    folder = tmp_path_factory.mktemp("shell")
    (folder / "coreecho.bash").write_text(completion.script(build_parser(), "bash"))
    for name in ("clip.avi", "weights.safetensors"):
        (folder / name).touch()
    (folder / "echos").mkdir()

    def complete(line):
        typed = ["coreecho", *line.split(" ")]
        program = (
            "source coreecho.bash\n"
            f"COMP_WORDS=({' '.join(map(shlex.quote, typed))}); COMP_CWORD={len(typed) - 1}\n"
            '$(complete -p coreecho | sed "s/.* -F \\([^ ]*\\) .*/\\1/") 2>/dev/null\n'
            'printf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        done = subprocess.run(["bash", "-c", program], cwd=folder, capture_output=True, text=True, check=True)
        assert not done.stderr
        return set(done.stdout.split())

    return complete


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tra", {"train"}),
        ("runs ", {"list", "status", "plan", "fill"}),
        ("data make h", {"hmcqu"}),
        ("train --prof", {"--profile"}),
        ("train --profile ", {"demo", "gpu", "paper"}),
        ("train table1/coreecho/seed0 --device c", {"cpu", "cuda"}),
        ("train table4/scratch/seed0/fold9", {"table4/scratch/seed0/fold9"}),
        ("runs fill table4 table5/scratch/seed0/fold1", {"table5/scratch/seed0/fold1"}),
        ("notebook table", {"table1", "table2", "table3", "table4", "table5"}),
        ("bench --only enc", {"encoder"}),
        ("bench --efficiency d", {"demo"}),
        ("predict cl", {"clip.avi"}),
        ("predict clip.avi --checkpoint w", {"weights.safetensors"}),
        ("data check e", {"echos"}),
        ("-q trai", {"train"}),
        ("completion ", {"bash", "zsh", "tcsh"}),
    ],
)
def test_bash_completes(bash, line, expected):
    assert bash(line) == expected


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_each_shell_has_its_script_with_the_names(capsys, tmp_path, shell):
    status, out, _ = said(capsys, "completion", shell)
    assert status == 0
    for word in ("table4/scratch/seed0/fold3", "pretext", "figure3", "checkpoint", "motions"):
        assert word in out
    if shutil.which(shell):
        (tmp_path / "script").write_text(out)
        subprocess.run([shell, "-n", tmp_path / "script"], check=True, capture_output=True)


@pytest.mark.parametrize("arguments", [["-q", "runs", "list"], ["runs", "list", "--quiet"]])
def test_quiet_is_asked_for_before_or_behind_the_command(capsys, tmp_path, arguments):
    assert build_parser().parse_args(arguments).quiet
    assert said(capsys, *arguments, "--runs-dir", tmp_path)[0] == 0
    assert logging.getLogger("coreecho").level == logging.WARNING
    assert not build_parser().parse_args(["runs", "list"]).quiet
    said(capsys, "runs", "list", "--runs-dir", tmp_path)
    assert logging.getLogger("coreecho").level == logging.INFO


def test_quiet_hides_progress_only_while_the_command_runs():
    assert (progress.silent(), progress.silent(show=False)) == (None, True)
    with progress.quiet():
        assert progress.silent() is True
        with progress.quiet(asked=False):
            assert progress.silent() is True
    assert progress.silent() is None


def test_quiet_prediction_keeps_the_result_and_the_warnings(capsys, phantom_folder, checkpoint):
    avi = sorted((phantom_folder / "Videos").glob("*.avi"))[0]
    status, out, err = said(capsys, "predict", avi, "--checkpoint", checkpoint, "-q")
    assert (status, err) == (0, "")
    assert f"{avi.name}: EF" in out
    assert "Not a medical device" in out
    assert "SHA-256" not in out


def test_no_bar_is_drawn_into_a_log():
    loud, bars = [], 0
    for path in (ROOT / "coreecho").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tqdm":
                disable = [ast.unparse(option.value) for option in node.keywords if option.arg == "disable"]
                bars += 1
                loud += [] if "silent(" in "".join(disable) else [f"{path.name}, line {node.lineno}"]
    assert not loud, "say disable=progress.silent()"
    assert bars >= 10


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_fit_and_keep_their_numbers(width):
    text = tables.table(ROWS, width)
    assert max(map(len, text.splitlines())) <= width
    for row in ROWS:
        assert f"{row.get('mae', row.get('accuracy')):.4f}" in text
    assert ("…" in text) == (width < 80)
    assert len(text.split("\n\n")) == {30: 4, 60: 2, 80: 1, 120: 1}[width]
    assert "phantom" not in tables.table(ROWS, 60, spare=["data"])


def test_a_table_in_a_pipe_has_everything():
    text = tables.table(ROWS, None)
    assert all(row["run"] in text for row in ROWS)
    assert text.splitlines()[0].split() == ["run", "data", "mae", "n", "done", "accuracy"]
    assert len({len(line) for line in text.splitlines()[1:4]}) == 1


def test_shortened_names_keep_both_ends():
    assert tables.shorten("table4/scratch/seed0/fold3", 11) == "table…fold3"
    assert tables.shorten("pretext", 8) == "pretext"
    lines = tables.wrap("  note: " + "frames " * 30, 40).splitlines()
    assert max(map(len, lines)) <= 40
    assert all(line.startswith("      ") for line in lines[1:])


@pytest.mark.parametrize("command", [("runs", "list"), ("runs", "status")])
@pytest.mark.parametrize("width", WIDTHS)
def test_listings_fit_the_terminal_and_json_is_as_ever(capsys, terminal, command, width):
    terminal(width)
    status, out, _ = said(capsys, *command)
    assert status == 0
    assert max(map(len, out.splitlines())) <= width
    assert isinstance(json.loads(said(capsys, *command, "--json")[1]), list)


def test_a_check_and_predictions_fit_the_terminal(capsys, terminal, phantom_folder, checkpoint):
    terminal(60)
    for command in (
        ["data", "check", phantom_folder],
        ["predict", phantom_folder / "Videos", "--checkpoint", checkpoint],
    ):
        status, out, _ = said(capsys, *command)
        long = [line for line in out.splitlines() if len(line) > 60]
        assert status == 0
        assert not [line for line in long if len(max(line.split(), key=len)) < 50], (
            "only a path or a digest may be longer"
        )


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["trian"], "did you mean train"),
        (["status"], "did you mean runs status"),
        (["runs", "lst"], "did you mean list"),
        (["data", "chek", "."], "did you mean check"),
        (["train", "table1/coreecho", "--profil3", "demo"], "did you mean --profile"),
        (["predict", "clip.avi", "--chekpoint", "w"], "did you mean --checkpoint"),
        (["train", "table1/coreecho", "--device", "cudda"], "did you mean cuda"),
        (["train", "table1/coreecho", "--untraced", "kep"], "did you mean keep"),
        (["train", "table1/coreeco/seed0"], "did you mean table1/coreecho"),
        (["runs", "fill", "tabel4"], "did you mean table4"),
        (["notebook", "tabel1"], "did you mean table1"),
        (["notebook", "table1", "-p", "profil=demo"], "did you mean profile"),
        (["train", "table1/coreecho", "--profile", "dmo"], "did you mean demo"),
        (["data", "make", "camsu", "out"], "did you mean camus"),
        (["bench", "--only", "encodr"], "did you mean encoder"),
        (["bench", "--efficiency", "papper"], "did you mean paper"),
        (["train", "table1/coreecho", "--set", "shared.epoch=3"], "did you mean shared.epochs"),
        (["train", "table1/coreecho", "--set", "epochs=3"], "epochs"),
        (["completion", "bsh"], "did you mean bash"),
        (["bench", "rnc"], "coreecho bench: nothing is done with 'rnc'; see coreecho bench --help"),
        (["train", "--profle", "demo"], "did you mean --profile? see coreecho train --help"),
        (["notebook", "table1", "-p", "profil=demo"], "notebook table1 has profile, data_root"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_was_meant_is_suggested_in_one_line(capsys, arguments, meant):
    status, out, err = said(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("coreecho")
    assert meant in err
    assert len(err) < 500


@pytest.mark.parametrize("arguments", [["completion", "bash"], ["runs", "list", "--runs-dir", "nowhere"]])
def test_a_reader_who_has_enough_is_no_error(arguments, tmp_path):
    unread, output = os.pipe()
    os.close(unread)
    program = f"import sys; from coreecho.cli import main; sys.exit(main({arguments!r}))"
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=output, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False
    )
    os.close(output)
    assert (done.returncode, done.stderr) == (141, "")


def test_nothing_is_suggested_where_nothing_is_alike(capsys):
    assert alike("xyzzy", ["train", "runs"]) == []
    assert alike("EPOCHS", ["shared.epochs", "own.epochs"])[0].endswith(".epochs")
    err = said(capsys, "fly")[2]
    assert "did you mean" not in err
    assert "commands: data, train" in err


def test_every_action_that_takes_a_path_completes_files_or_folders():
    for parser in LEAVES:
        for action in parser._actions:
            if isinstance(action, argparse.Action) and getattr(action.type, "__name__", "") == "Path":
                assert action.completes in ("file", "folder"), f"{parser.prog}: {action.dest}"
