"""EchoNet-Dynamic's folder as people really have it: suffixes, Excel, doubled folders, bad rows; what is refused."""

import pytest
from helpers import write_echonet_folder

from coreecho.datasets import read_echonet
from coreecho.errors import DataError

GOOD = [
    ("A1", "50.0", "40.0", "80", "TRAIN"),
    ("A2", "55.0", "40.5", "90", "VAL"),
    ("A3", "60.0", "28.0", "70", "TEST"),
]


def refusal(folder, **options):
    """The message of the DataError that reading the folder ends in: one or two lines, no nested ones."""
    with pytest.raises(DataError) as caught:
        read_echonet(folder, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_suffixes_case_spaces_and_excels_mark_do_not_matter(tmp_path):
    rows = [
        ("A1", "50.0", "40.0", "80", "TRAIN"),
        ("A2.avi", "55.0", "40.5", "90", "train "),
        ("A3.AVI", "60.0", "28.0", "70", "Val"),
    ]
    plain = read_echonet(write_echonet_folder(tmp_path / "plain", rows))
    excel = read_echonet(write_echonet_folder(tmp_path / "excel", rows, encoding="utf-8-sig", newline="\r\n"))
    for data in (plain, excel):
        assert [(study.id, study.label, study.split) for study in data.studies] == [
            ("A1", 50.0, "train"),
            ("A2", 55.0, "train"),
            ("A3", 60.0, "val"),
        ]
        assert all(study.path.is_file() for study in data.studies)
    assert plain.fingerprint() == excel.fingerprint()


@pytest.mark.parametrize("inside", ["", "EchoNet-Dynamic", "EchoNet-Dynamic/EchoNet-Dynamic"])
def test_doubled_folders_are_looked_through(tmp_path, inside):
    write_echonet_folder(tmp_path / inside, GOOD)
    data = read_echonet(tmp_path)
    assert (data.root, len(data.studies)) == (tmp_path / inside, 3)


def test_videos_beside_the_lists_are_found(tmp_path):
    write_echonet_folder(tmp_path, GOOD)
    for path in (tmp_path / "Videos").iterdir():
        path.rename(tmp_path / path.name)
    assert len(read_echonet(tmp_path).studies) == 3


def test_several_data_sets_below_a_folder_are_not_chosen_between(tmp_path):
    for name in "ab":
        write_echonet_folder(tmp_path / name, GOOD)
    assert "several data sets" in refusal(tmp_path)


@pytest.fixture
def list_and_files(tmp_path):
    """C4 untraced, C5 without a file, C9 traced but not listed, CX a file but not listed."""
    rows = [
        ("C1", "55.0", "36.0", "80", "TRAIN"),
        ("C2", "45.0", "44.0", "80", "VAL"),
        ("C3", "65.0", "28.0", "80", "TEST"),
        ("C4", "60.0", "32.0", "80", "TEST"),
        ("C5", "30.0", "56.0", "80", "TRAIN"),
    ]
    traced = [(f"{name}.avi", frame) for name in ("C1", "C2", "C3", "C5", "C9") for frame in (2, 14)]
    traced += [("C4.avi", 3), ("C4.avi", 3)]
    return write_echonet_folder(tmp_path, rows, traced, videos=("C1", "C2", "C3", "C4", "CX"))


def test_a_listed_video_without_a_file_is_refused_by_name(list_and_files):
    message = refusal(list_and_files)
    assert "C5" in message
    assert "--skip-bad" in message


def test_untraced_and_missing_videos_are_left_out_with_their_names(list_and_files):
    data = read_echonet(list_and_files, skip_bad=True)
    assert [study.id for study in data.studies] == ["C1", "C2", "C3"]
    assert data.dropped == {"untraced": ("C4",), "missing": ("C5",)}


def test_what_is_left_out_changes_the_fingerprint(list_and_files):
    before = read_echonet(list_and_files, skip_bad=True).fingerprint()
    (list_and_files / "Videos/CX.avi").rename(list_and_files / "Videos/C5.avi")
    assert read_echonet(list_and_files).fingerprint() != before


def test_fold_numbers_of_echonet_pediatric_are_shown_and_a_choice_asked_for(tmp_path):
    rows = [(f"P{i}.avi", f"{60 + i}.5", "", "", str(fold)) for i, fold in enumerate((0, 6, 7, 9))]
    traced = [(f"P{i}.avi", frame) for i in range(4) for frame in ("4", "No Systolic" if i == 3 else "12")]
    write_echonet_folder(tmp_path / "pediatric/pediatric/A4C", rows, traced)
    message = refusal(tmp_path)
    assert "0, 6, 7, 9" in message
    assert "TRAIN, VAL and TEST" in message


def test_words_in_the_frame_column_count_as_no_tracing(tmp_path):
    traced = [(f"{name}.avi", frame) for name in ("A1", "A2", "A3") for frame in ("4", "12")]
    traced[-1] = ("A3.avi", "No Systolic")
    data = read_echonet(write_echonet_folder(tmp_path, GOOD, traced))
    assert data.dropped == {"untraced": ("A3",)}


BAD_LABELS = {
    "E2": (("E2", "", "36.0", "80.0", "TRAIN"), "EF is empty"),
    "E3": (("E3", "0.55", "36.0", "80.0", "TRAIN"), "0.55"),
    "E4": (("E4", '"55,0"', "36.0", "80.0", "VAL"), "'55,0'"),
    "E5": (("E5", "-20.0", "96.0", "80.0", "TEST"), "-20"),
    "E6": (("E6", "70.0", "36.0", "80.0", "TEST"), "= 55"),
    "E7": (("E7", "0.55", "", "", "TEST"), "fraction"),
    "E8": (("E8", "104", "", "", "TEST"), "104"),
    "E9": (("E9", "nan", "", "", "TEST"), "'nan'"),
    "E10": (("E10", "inf", "", "", "TEST"), "'inf'"),
}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_a_label_that_cannot_be_an_ef_is_named_with_its_row(tmp_path, name):
    row, said = BAD_LABELS[name]
    write_echonet_folder(tmp_path, [*GOOD, row])
    message = refusal(tmp_path)
    assert f"{name}: " in message
    assert said in message
    assert "--skip-bad" in message
    data = read_echonet(tmp_path, skip_bad=True)
    assert [study.id for study in data.studies] == ["A1", "A2", "A3"]
    assert data.dropped == {"bad label": (name,)}


def test_all_bad_rows_are_named_at_once(tmp_path):
    write_echonet_folder(tmp_path, [*GOOD, *(BAD_LABELS[name][0] for name in ("E2", "E3", "E4", "E5", "E6"))])
    message = refusal(tmp_path)
    assert all(f"{name}: " in message for name in ("E2", "E3", "E4", "E5", "E6"))


def empty_list(folder):
    (folder / "FileList.csv").write_text("")


def other_columns(folder):
    (folder / "FileList.csv").write_text("Name,Ejection,Split\nA1,50,TRAIN\n")


def no_tracings(folder):
    (folder / "VolumeTracings.csv").unlink()


def no_videos(folder):
    for path in (folder / "Videos").iterdir():
        path.unlink()


def repeated(folder):
    path = folder / "FileList.csv"
    path.write_text(path.read_text() + "a1.AVI,50.0,40.0,80,TEST\n")


def unknown_split(folder):
    path = folder / "FileList.csv"
    path.write_text(path.read_text().replace("VAL", "DEV"))


def binary(folder):
    (folder / "FileList.csv").write_bytes(bytes(range(128, 256)) * 4)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (empty_list, ("FileList.csv", "not a readable CSV")),
        (other_columns, ("FileList.csv", "FileName, EF", "Ejection")),
        (no_tracings, ("VolumeTracings.csv", "no such file")),
        (no_videos, ("no .avi", "Videos")),
        (repeated, ("a1", "twice")),
        (unknown_split, ("row 3", "'DEV'", "TRAIN, VAL or TEST")),
        (binary, ("FileList.csv", "not a readable CSV")),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line_that_says_where(tmp_path, damage, said):
    damage(write_echonet_folder(tmp_path, GOOD))
    message = refusal(tmp_path)
    assert str(tmp_path) in message
    assert all(part in message for part in said), message


def test_an_empty_or_missing_folder_is_refused(tmp_path):
    assert "FileList.csv" in refusal(tmp_path)
    assert "no such folder" in refusal(tmp_path / "nowhere")


def test_an_empty_split_is_refused_by_name_when_it_is_wanted(tmp_path):
    data = read_echonet(write_echonet_folder(tmp_path, GOOD[:2]))
    assert len(data.split("train")) == 1
    with pytest.raises(DataError, match="'test'"):
        data.split("test")


def test_the_mean_label_is_the_training_splits_alone(tmp_path):
    assert read_echonet(write_echonet_folder(tmp_path, GOOD)).mean_label == 50.0


def test_the_phantom_is_read_by_the_same_code(phantom_data):
    counts = {split: len(phantom_data.split(split)) for split in ("train", "val", "test")}
    assert counts == {"train": 8, "val": 4, "test": 5}
    assert all(0 < study.label < 100 for study in phantom_data.studies)


def test_the_fingerprint_follows_labels_splits_and_files_but_not_the_place(tmp_path):
    def fingerprint(name, rows=GOOD, **options):
        return read_echonet(write_echonet_folder(tmp_path / name, rows, **options)).fingerprint()

    first = fingerprint("first")
    assert fingerprint("moved") == first
    relabelled = [("A1", "50.5", "", "", "TRAIN"), *GOOD[1:]]
    resplit = [(*GOOD[0][:4], "VAL"), *GOOD[1:]]
    others = {fingerprint("ef", relabelled), fingerprint("split", resplit), fingerprint("longer", frames=9)}
    assert len(others | {first}) == 4
