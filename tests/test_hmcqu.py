"""HMC-QU as downloaded: its workbooks, its names, cycles counted from 1, masks, and the folds that fit the paper."""

import json
import zipfile

import numpy as np
import pytest
import scipy.io
from helpers import sector_frames, write_avi, write_hmcqu_sheet

from coreecho.datasets import read_hmcqu
from coreecho.datasets.hmcqu import stratified_folds
from coreecho.errors import DataError, VideoError
from coreecho.study_video import read_mask, read_study

A4C = [
    ("ES0001 _4CH_1", {"SEG3", "SEG9"}, 1, 6, True),
    ("ES0002 N_4CH_1", set(), 1, 5, True),
    ("ES0003 n_4CH_2", {"SEG6"}, 3, 8, True),
    ("ES000101_4CH_1", set(), 1, 4, False),
]
A2C = [
    ("ES0001_CH2_1", set(), 1, 6, None),
    ("ES0002 N_2CH_1*", {"SEG9"}, 2, 7, None),
    ("ES0003 N_CH2_1", set(), 1, 5, None),
]
MASKS = "LV Ground-truth Segmentation Masks"


def write_wall(path, count):
    wall = np.zeros((count, 224, 224), np.uint8)
    wall[:, 60:160, 60:90] = 1
    path.parent.mkdir(exist_ok=True)
    scipy.io.savemat(path, {"predicted": wall}, do_compression=True)


def write_videos(folder, names, count=8):
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        write_avi(folder / f"{name.rstrip('*')}.avi", sector_frames(count, 48, 64, seed=number)[0], fps=25)


@pytest.fixture
def new(tmp_path):
    """The later release, unpacked one level too deep."""
    root = tmp_path / "archive"
    for view, rows in (("A4C", A4C), ("A2C", A2C)):
        write_videos(root / "HMC-QU" / view, [row[0] for row in rows])
        write_hmcqu_sheet(root / f"{view}.xlsx", rows, masks=view == "A4C", footnote=view == "A2C")
    for name, _, first, last, masked in A4C:
        if masked:
            write_wall(root / MASKS / f"Mask_{name}.mat", last - first + 1)
    return tmp_path


def refusal(folder, **options):
    with pytest.raises(DataError) as caught:
        read_hmcqu(folder, **({"fold": 0} | options))
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_labels_cycles_and_masks_of_the_four_chamber_view(new):
    data = read_hmcqu(new, fold=0, masked_only=False)
    assert data.task == "mi"
    assert [(s.id, s.label, s.frames, s.mask is not None) for s in data.studies] == [
        ("ES0001 _4CH_1", 1, (0, 5), True),
        ("ES0002 N_4CH_1", 0, (0, 4), True),
        ("ES0003 n_4CH_2", 1, (2, 7), True),
        ("ES000101_4CH_1", 0, (0, 3), False),
    ]
    for study in data.studies:
        video, mask = read_study(study), read_mask(study)
        assert len(video) == study.frames[1] - study.frames[0] + 1
        assert mask is None or len(mask) == len(video)
    third = data.studies[2]
    whole = read_study(type(third)(id="x", path=third.path, label=0, split="test"))
    assert np.array_equal(read_study(third).frames, whole.frames[2:8])


def test_by_default_only_echos_with_a_mask_are_kept(new):
    data = read_hmcqu(new, fold=0)
    assert [study.id for study in data.studies] == [row[0] for row in A4C[:3]]
    assert data.dropped == {"no mask": ("ES000101_4CH_1",)}
    assert data.fingerprint() != read_hmcqu(new, fold=0, masked_only=False).fingerprint()


def test_the_two_chamber_view_has_labels_of_its_own_and_a_footnote(new):
    data = read_hmcqu(new, fold=0, view="A2C")
    assert [(s.id, s.label, s.frames) for s in data.studies] == [
        ("ES0001_CH2_1", 0, (0, 5)),
        ("ES0002 N_2CH_1", 1, (1, 6)),
        ("ES0003 N_CH2_1", 0, (0, 4)),
    ]
    assert all(study.path.parent.name == "A2C" for study in data.studies)


def test_the_older_layout_is_read_too(tmp_path):
    write_videos(tmp_path / "HMC-QU Echos/HMC-QU Echos", [row[0] for row in A4C])
    write_hmcqu_sheet(tmp_path / "HMC_QU.xlsx", A4C)
    data = read_hmcqu(tmp_path, fold=0)
    assert [study.label for study in data.studies] == [1, 0, 1]
    assert [study.mask for study in data.studies] == [None] * 3
    assert "holds no A2C.xlsx" in refusal(tmp_path, view="A2C")


def test_spaces_and_case_of_a_name_do_not_matter(new):
    folder = new / "archive/HMC-QU/A4C"
    (folder / "ES0003 n_4CH_2.avi").rename(folder / "ES0003N_4CH_2.avi")
    assert len(read_hmcqu(new, fold=0).studies) == 3


def test_folds_have_the_only_sizes_that_fit_the_published_figures():
    labels = {f"ES{number:04d}": number < 72 for number in range(109)}
    folds = stratified_folds(labels, seed=0)
    assert [len(fold) for fold in folds] == [23, 23, 21, 21, 21]
    assert [sum(labels[name] for name in fold) for fold in folds] == [15, 15, 14, 14, 14]
    assert sorted(name for fold in folds for name in fold) == sorted(labels)
    assert folds == stratified_folds(dict(reversed(labels.items())), seed=0)
    assert folds != stratified_folds(labels, seed=1)


def test_folds_are_written_to_disk_read_back_and_checked(new, tmp_path):
    path = tmp_path / "lists" / "folds.json"
    first = read_hmcqu(new, fold=1, fold_seed=3, folds_file=path)
    stored = json.loads(path.read_text())
    assert (stored["seed"], len(stored["folds"])) == (3, 5)
    assert stored["folds"][1] == [study.id for study in first.studies if study.split == "test"]
    stored["folds"] = stored["folds"][::-1]
    path.write_text(json.dumps(stored))
    again = read_hmcqu(new, fold=3, folds_file=path)
    assert [study.split for study in again.studies] == [study.split for study in first.studies]
    stored["folds"][0] = ["ES9999"]
    path.write_text(json.dumps(stored))
    assert "not five folds" in refusal(new, folds_file=path)
    path.write_text("[" * 100000)
    assert "not five folds" in refusal(new, folds_file=path)


def test_each_echo_is_tested_once(new):
    tested = [s.id for fold in range(5) for s in read_hmcqu(new, fold=fold).studies if s.split == "test"]
    assert sorted(tested) == sorted(row[0] for row in A4C[:3])
    assert "no fold 5" in refusal(new, fold=5)


BAD_ROWS = {
    "SEG9 is 'x', not MI or non-MI": {"C3": "x"},
    "from frame 7 to 6": {"H3": 7},
    "from frame None to 6": {"H3": "one"},
    "from frame 0 to 6": {"H3": 0},
    "neither tick nor cross": {"J3": "?"},
    "no name in the column ECHO": {"A3": None},
    "no such video": {"A3": "ES0009_4CH_1"},
}


@pytest.mark.parametrize("said", BAD_ROWS)
def test_a_row_that_cannot_be_used_is_named_and_can_be_left_out(new, said):
    import openpyxl

    book = openpyxl.load_workbook(new / "archive/A4C.xlsx")
    for cell, value in BAD_ROWS[said].items():
        book.active[cell] = value
    book.save(new / "archive/A4C.xlsx")
    message = refusal(new)
    assert f"row 3: {said}" in message or said in message
    assert "row 3" in message
    assert len(read_hmcqu(new, fold=0, skip_bad=True).studies) == 2


def test_workbooks_that_are_none_are_refused(new):
    path = new / "archive/A4C.xlsx"
    path.write_bytes(b"not a workbook")
    assert "not a readable Excel workbook" in refusal(new)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", bytes(65 * 1024**2))
    assert "unpacks to 68 MB" in refusal(new)
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["ECHO", "Diagnosis"])
    book.save(path)
    assert "no column SEG1, SEG2, ..., Reference Frame, End of Cycle" in refusal(new)


def test_an_echo_listed_or_stored_twice_is_refused(new):
    write_videos(new / "archive/HMC-QU/copy/A4C", ["ES0001_4CH_1"])
    assert "there twice" in refusal(new)
    write_hmcqu_sheet(new / "archive/A4C.xlsx", [*A4C, ("ES0001_4ch_1*", set(), 1, 3, False)])
    assert "listed twice" in refusal(new)


def test_masks_are_checked(new):
    study = read_hmcqu(new, fold=0).studies[0]
    write_wall(study.mask, 5)
    with pytest.raises(VideoError, match="5 frames for 6"):
        read_mask(study)
    scipy.io.savemat(study.mask, {"other": np.ones((6, 4, 4))})
    with pytest.raises(VideoError, match="'predicted'"):
        read_mask(study)
    study.mask.write_bytes(b"MATLAB 5.0 MAT-file" + bytes(range(200)))
    with pytest.raises(VideoError, match=r"not a readable \.mat"):
        read_mask(study)
