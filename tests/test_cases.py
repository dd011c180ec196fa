"""Difficult inputs and where each is tested: data as people have it, and traps of the tools around this package."""

import ast
import dataclasses
import importlib.util
import re
from pathlib import Path

import cv2
import jupytext
import nbformat
import numpy as np
import pytest
from helpers import pair_differences, picture_difference

from coreecho import figures, phantom, tables
from coreecho.clips import legal_starts, random_starts
from coreecho.experiments import table1
from coreecho.files import project_root
from coreecho.profiles import DEMO
from coreecho.runs import Place
from coreecho.settings import ClipSettings

ROOT = Path(__file__).resolve().parents[1]
# Case -> the tests that rebuild it, by file and the first words of their names. 27 is also held by pytest's settings,
# which turn warnings of the package's own code into errors.
CASES = {
    "01 suffixes, spaces, Excel's mark in EchoNet's lists": [
        "test_datasets: suffixes_case_spaces_and_excels_mark_do_not_matter",
    ],
    "02 the wrong folder: doubled, or videos beside the lists": [
        "test_datasets: doubled_folders",
        "test_datasets: videos_beside_the_lists",
        "test_datasets: several_data_sets",
    ],
    "03 list, tracings and files disagree": [
        "test_datasets: untraced_and_missing",
        "test_datacheck: all_five_sets",
        "test_datacheck: sizes_by_the_list",
    ],
    "05 a folder of mixed files": [
        "test_video_fan: a_mixed_folder",
        "test_predict_files: a_folder_stands_for",
        "test_datacheck: files_without_a_list",
    ],
    "06 DICOM in YBR with burned-in text": [
        "test_video_dicom: ybr_jpeg",
        "test_video_dicom: regions_that_fit",
        "test_video_dicom: nothing_of_the_patient",
        "test_video_fan: text_and_ecg",
    ],
    "08 DICOM pixel kinds, a still": [
        "test_video_dicom: every_pixel_kind",
        "test_video_dicom: stills_bombs_and_damage",
    ],
    "09 broken AVI files": [
        "test_video_files: truncated",
        "test_video_files: wrong_header_count",
        "test_video_files: one_frame",
        "test_datacheck: decoding_finds_damage",
    ],
    "10 CAMUS: ES before ED, x first, CRLF": [
        "test_camus: every_clip_comes_back_upright_and_end_diastole_first",
    ],
    "11 CAMUS as MHD: two patients of one name": [
        "test_camus: the_older_release",
        "test_video_fan: squares_keep_the_proportions",
    ],
    "13 CAMUS: quality of each view": [
        "test_camus: quality_is_the_four_chamber_views",
    ],
    "14 HMC-QU's workbooks": [
        "test_hmcqu: labels_cycles_and_masks",
        "test_hmcqu: the_two_chamber_view",
    ],
    "16 CAMUS masks of 0 and 255": [
        "test_camus: mask_values_of_0_and_255_are_said_plainly",
    ],
    "17 Rank-N-Contrast at large distances": [
        "test_losses: large_features_neither_overflow_nor_lose_their_gradient",
    ],
    "18 Rank-N-Contrast: ties of decimals": [
        "test_losses: ties_do_not_depend_on_where_float32_labels_lie",
    ],
    "19 clip starts and loader workers": [
        "test_clips: starts_are_a_pure_function",
        "test_clips: clips_and_crops_do_not_depend",
        "test_cases: a_video_of_141_frames",
    ],
    "20 Grad-CAM of a video": [
        "test_explain: a_point_is_found",
        "test_explain: what_raises_and_what_lowers",
        "test_explain: a_model_that_looks",
    ],
    "21 UMAP coordinates": [
        "test_embedding: rows_in_another_order",
        "test_embedding: the_same_array",
        "test_embedding: too_few",
    ],
    "23 nbval does not compare pictures": [
        "test_cases: committed_figures",
        "test_cases: a_wrong_figure",
    ],
    "24 a notebook that lags behind its source": [
        "test_cases: a_stale_pair",
        "test_notebooks: source_and_notebook_agree",
    ],
    "25 a book with a failing cell": [
        "test_cases: the_book",
    ],
    "26 checkpoints: DataParallel, a namespace": [
        "test_checkpoints: only_a_leading_module",
        "test_checkpoints: code_in_a_file_is_never_run",
    ],
    "27 imports that libraries dropped": [
        "test_cases: no_module_uses",
    ],
    "28 EchoNet-Pediatric": [
        "test_datasets: fold_numbers",
        "test_datasets: words_in_the_frame_column",
        "test_datacheck: fold_numbers_are_shown",
    ],
    "29 short videos, odd frame rates": [
        "test_datacheck: decoding_finds",
        "test_clips: black_padding",
        "test_cli: a_short_video_and_an_odd_frame_rate",
    ],
    "30 EF columns": [
        "test_datasets: a_label_that_cannot_be_an_ef",
        "test_datasets: all_bad_rows",
        "test_datacheck: each_unusable_label",
    ],
}
# Mean difference of patches of 15 x 15 pixels, of 255: another rasteriser of letters stays below, other points do not.
SAME_PICTURE = 0.4


def test_every_test_that_the_table_names_exists():
    functions = {
        path.stem: re.findall(r"^def test_(\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for path in (ROOT / "tests").glob("test_*.py")
    }
    assert len(CASES) == 25
    missing = [
        (case, file, start)
        for case, names in CASES.items()
        for file, _, start in (name.partition(": ") for name in names)
        if not any(function.startswith(start) for function in functions[file])
    ]
    assert not missing


# 19: the starts of clips


@pytest.mark.parametrize(("frames", "count"), [(28, 4), (120, 4), (141, 4), (144, 4), (145, 5), (174, 34), (1002, 862)])
def test_a_video_of_141_frames_has_the_four_starts_of_one_padded_to_144(frames, count):
    clip = ClipSettings()
    assert legal_starts(frames, clip) == count
    drawn = {start for epoch in range(60) for start in random_starts(clip, 2, 7)("SYN", frames, epoch)}
    assert 0 <= min(drawn) <= max(drawn) < count
    assert count > 5 or drawn == set(range(count))


# 23: figures


@pytest.fixture(scope="module")
def committed():
    """The committed demo records behind Table 1's figure."""
    records = tables.existing(table1(), DEMO.name, Place())
    assert [len(own) for own in records.values()] == [1] * 6 + [3] * 3
    return records


def difference(figure, name, folder):
    figures.save_png(figure, folder / "fresh.png")
    return picture_difference(cv2.imread(str(folder / "fresh.png")), cv2.imread(str(project_root() / "figures" / name)))


def test_committed_figures_show_the_committed_numbers(committed, tmp_path):
    scatter, labels = figures.predicted_against_listed(committed), figures.label_scatter(drawn_labels())
    assert difference(scatter, "table1_scatter.png", tmp_path) < SAME_PICTURE
    assert difference(labels, "phantom_labels.png", tmp_path) < SAME_PICTURE


def drawn_labels(**changes):
    return phantom.sample_labels(dataclasses.replace(DEMO.phantom, **changes))


def test_a_wrong_figure_is_noticed(committed, tmp_path, monkeypatch):
    one_less = dict(list(committed.items())[1:])
    assert difference(figures.predicted_against_listed(one_less), "table1_scatter.png", tmp_path) > SAME_PICTURE
    right = figures.predictions.stacked

    def too_high(name, own):
        labels, predictions, videos = right(name, own)
        return labels, predictions + 3.0, videos

    monkeypatch.setattr(figures.predictions, "stacked", too_high)
    assert difference(figures.predicted_against_listed(committed), "table1_scatter.png", tmp_path) > SAME_PICTURE
    assert difference(figures.label_scatter(drawn_labels(seed=7)), "phantom_labels.png", tmp_path) > SAME_PICTURE


def test_a_red_and_a_green_picture_differ_and_so_do_sizes():
    red, green = np.zeros((90, 120, 3), np.uint8), np.zeros((90, 120, 3), np.uint8)
    red[..., 2], green[..., 1] = 200, 120
    assert picture_difference(red, red) == 0
    assert picture_difference(red, green) > SAME_PICTURE
    assert picture_difference(red, red[:, :105]) == np.inf


# 24: pairs of source and notebook


def test_a_stale_pair_is_told_cell_by_cell_whatever_the_files_times():
    source = jupytext.reads('# %% tags=["parameters"]\nseed = 1\n\n# %%\nprint(seed + 1)\n', fmt="py:percent")
    new, cell = nbformat.v4.new_notebook, nbformat.v4.new_code_cell
    parameters = cell("seed = 1", metadata={"tags": ["parameters"]})
    assert pair_differences(source, new(cells=[parameters, cell("print(seed + 1)")])) == []
    (stale,) = pair_differences(source, new(cells=[parameters, cell("print(seed + 2)")]))
    assert stale == "cell 2: source has 'print(seed + 1)', notebook 'print(seed + 2)'"
    (untagged,) = pair_differences(source, new(cells=[cell("seed = 1"), cell("print(seed + 1)")]))
    assert "parameters" in untagged
    assert "cell 2: source has 'print(seed + 1)', notebook nothing" in pair_differences(source, new(cells=[parameters]))
    assert pair_differences(source, new(cells=[parameters, nbformat.v4.new_markdown_cell("print(seed + 1)")]))


# 25: a book with a failing cell


@pytest.fixture
def check_book():
    specification = importlib.util.spec_from_file_location("check_book", ROOT / ".ci" / "check_book.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.main


@pytest.fixture
def book(tmp_path):
    """Writes a book of one notebook page with these code cells, as built; returns its HTML folder and its source."""

    def write(*cells, html="<p>built</p>"):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Page"), *cells])
        (tmp_path / "pages").mkdir(exist_ok=True)
        nbformat.write(notebook, tmp_path / "pages" / "page.ipynb")
        (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: pages/page\n")
        (tmp_path / "html" / "pages").mkdir(parents=True, exist_ok=True)
        for name in ("index.html", "pages/page.html"):
            (tmp_path / "html" / name).write_text(html)
        return tmp_path / "html", tmp_path

    return write


def code(source, count=1, **error):
    outputs = [nbformat.v4.new_output("error", **error, traceback=[])] if error else []
    return nbformat.v4.new_code_cell(source, execution_count=count, outputs=outputs)


def test_the_book_with_executed_cells_passes(book, check_book, capsys):
    assert check_book(*book(code("1 + 1"), code("", None))) == 0
    assert capsys.readouterr().out.endswith("0 findings\n")


def test_the_book_with_a_failing_or_skipped_cell_fails_and_names_page_and_cell(book, check_book, capsys):
    failing = code('raise RuntimeError("made up")', ename="RuntimeError", evalue="made up")
    assert check_book(*book(code("1 + 1"), failing)) == 1
    assert (
        'pages/page.ipynb: cell 3 (raise RuntimeError("made up")) failed: RuntimeError: made up'
        in capsys.readouterr().out
    )
    assert check_book(*book(code("x = 1\ny = 2", None))) == 1
    assert "pages/page.ipynb: cell 2 (x = 1) was not executed" in capsys.readouterr().out


def test_the_book_that_shows_a_traceback_or_lacks_a_page_fails(book, check_book, capsys):
    html, source = book(code("1 + 1"), html='<div class="output traceback highlight-ipythontb notranslate"></div>')
    assert check_book(html, source) == 1
    assert "pages/page.html: shows the traceback of a failed cell" in capsys.readouterr().out
    (html / "pages" / "page.html").unlink()
    assert check_book(html, source) == 1
    assert "page.html: not built" in capsys.readouterr().out


# 27: what libraries dropped or are about to drop

OLD_MODULES = ("timm.models.layers", "timm.models.registry", "pkg_resources", "distutils", "imp")
OLD_NAMES = {
    "np": {"Inf", "Infinity", "NaN", "NAN", "int", "float", "bool", "object", "str", "float_", "product", "trapz"},
    "torch.cuda.amp": {"autocast", "GradScaler"},
}


def old_names(tree):
    """(line, name) of everything below a syntax tree that is old style."""

    def old(name):
        owner, _, last = name.replace("numpy.", "np.").rpartition(".")
        return last in OLD_NAMES.get(owner, ()) or any(f"{name}.".startswith(f"{module}.") for module in OLD_MODULES)

    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names if old(alias.name)]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [(node.lineno, name) for name in names if old(name)]
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            found += [(node.lineno, name)] if old(name) else []
    return found


def test_no_module_uses_what_libraries_dropped():
    places = [*(ROOT / "coreecho").rglob("*.py"), *(ROOT / "tests").glob("*.py"), *(ROOT / "notebooks").glob("*.py")]
    found = {
        str(path.relative_to(ROOT)): names
        for path in places
        if (names := old_names(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert not found


def test_old_style_code_is_recognised():
    old = "import numpy as np\nbest = -np.Inf\nx = np.int(3)\nfrom timm.models.layers import DropPath\n"
    old += "from numpy import NaN\nimport distutils.util\ny = np.int64(3), np.float32, np.inf\n"
    assert old_names(ast.parse(old)) == [
        (4, "timm.models.layers.DropPath"),
        (5, "numpy.NaN"),
        (6, "distutils.util"),
        (2, "np.Inf"),
        (3, "np.int"),
    ]


@pytest.mark.parametrize("category", [DeprecationWarning, PendingDeprecationWarning, FutureWarning])
def test_warnings_of_the_packages_own_code_are_errors(category):
    # A warning belongs to the module whose code is running: this text runs as if it lay in the package.
    program = compile("import warnings\nwarnings.warn('old', category)\n", "package.py", "exec")
    with pytest.raises(category, match="old"):
        exec(program, {"__name__": "coreecho.video.read", "category": category})
