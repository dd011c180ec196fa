"""`coreecho data check`: which data set a folder holds, what is dropped or wrong, and what decoding shows."""

import json

import pytest
from helpers import sector_frames, write_avi, write_camus_patient, write_echonet_folder, write_hmcqu_sheet

from coreecho.cli import main
from coreecho.datacheck import Options, check_folder
from coreecho.datasets import read_echonet
from coreecho.datasets.pediatric import parse_folds
from coreecho.errors import DataError, SettingsError

ROWS = [
    ("C1", "55.0", "36.0", "80", "TRAIN"),
    ("C2", "45.0", "44.0", "80", "VAL"),
    ("C3", "65.0", "28.0", "80", "TEST"),
    ("C4", "60.0", "32.0", "80", "TEST"),
    ("C5", "30.0", "56.0", "80", "TRAIN"),
]


def fake_videos(folder, names):
    """Files that begin like an AVI and hold nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.avi").write_bytes(b"RIFF\0\0\0\0AVI ")


def fake_echonet(folder, rows, **options):
    names = options.pop("videos", [row[0].split(".")[0] for row in rows])
    write_echonet_folder(folder, rows, videos=(), **options)
    fake_videos(folder / "Videos", names)
    return folder


@pytest.fixture
def mixed(tmp_path):
    """C4 untraced, C5 without a file, C9 traced but not listed, CX a file but not listed."""
    traced = [(f"{name}.avi", frame) for name in ("C1", "C2", "C3", "C5", "C9") for frame in (2, 14)]
    return fake_echonet(
        tmp_path / "EchoNet-Dynamic/EchoNet-Dynamic", ROWS, tracings=traced, videos=("C1", "C2", "C3", "C4", "CX")
    )


def only(folder, **options):
    (report,) = check_folder(folder, Options(**options))
    return report


def test_all_five_sets_of_list_tracings_and_files_are_told(mixed, tmp_path):
    report = only(tmp_path)
    assert (report.root, report.usable, report.splits) == (mixed, 3, {"train": 1, "val": 1, "test": 1})
    assert report.dropped == {
        "untraced (fewer than two traced frames)": ["C4"],
        "file but not listed": ["CX"],
        "traced but not listed": ["C9"],
    }
    assert report.faults == {"listed but no file": ["C5"]}
    assert report.fingerprint == read_echonet(tmp_path, skip_bad=True).fingerprint()


def test_exit_status_is_2_only_when_runs_would_be_wrong(mixed, capsys):
    assert main(["data", "check", str(mixed)]) == 2
    out, err = capsys.readouterr()
    assert "WRONG, listed but no file: 1 (C5)" in out
    assert len(err.splitlines()) == 1
    assert main(["data", "check", str(mixed), "--skip-bad", "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)["data_sets"]
    assert (report["usable"], report["faults"]) == (3, {"listed but no file": ["C5"]})
    main(["data", "check", str(mixed), "--skip-bad"])
    out = capsys.readouterr().out
    assert "left out, listed but no file: 1 (C5)" in out
    assert "WRONG" not in out
    fake_videos(mixed / "Videos", ["C5"])
    assert main(["data", "check", str(mixed)]) == 0
    (mixed / "Videos/C1.avi").write_bytes(b"")
    assert main(["data", "check", str(mixed), "--skip-bad"]) == 2
    assert "DAMAGED: 1 (C1.avi: empty or not a video)" in capsys.readouterr().out


def test_sizes_by_the_list_that_differ_are_remarked(tmp_path):
    folder = fake_echonet(tmp_path, ROWS[:4])
    lines = (folder / "FileList.csv").read_text().splitlines()
    sizes = ["FrameHeight,FrameWidth", "112,112", "112,112", "112,112", "768,1024"]
    (folder / "FileList.csv").write_text("\n".join(f"{a},{b}" for a, b in zip(lines, sizes, strict=True)) + "\n")
    assert [remark for remark in only(folder).remarks if "C4 (1 in all)" in remark]


def test_each_unusable_label_is_named(tmp_path):
    rows = [
        *ROWS[:3],
        ("E2", "", "36", "80", "TRAIN"),
        ("E4", '"55,0"', "36", "80", "VAL"),
        ("E6", "70", "36", "80", "TEST"),
    ]
    (labels,) = only(fake_echonet(tmp_path, rows)).faults.values()
    assert [label.split(":")[0] for label in labels] == ["E2", "E4", "E6"]
    assert "= 55" in labels[2]


PEDIATRIC = [(f"P{i}.avi", f"{60 + i}.5", "", "", str(fold)) for i, fold in enumerate((0, 6, 7, 9))]


@pytest.fixture
def pediatric(tmp_path):
    traced = [(f"P{i}.avi", frame) for i in range(4) for frame in ("4", "No Systolic" if i == 3 else "12")]
    return fake_echonet(tmp_path / "pediatric_echo_avi/pediatric_echo_avi/A4C", PEDIATRIC, tracings=traced)


def test_fold_numbers_are_shown_and_a_rule_is_asked_for_by_name(pediatric, tmp_path, capsys):
    report = only(tmp_path)
    assert report.name == "EchoNet-Pediatric"
    assert "0, 6, 7, 9" in report.damaged[0]
    assert "--folds" in report.damaged[0]
    assert main(["data", "check", str(tmp_path), "--folds", "0-6/7/8-9"]) == 2
    assert "no usable video in split test" in capsys.readouterr().out
    assert main(["data", "check", str(tmp_path), "--folds", "0/7/6,9"]) == 0
    report = only(tmp_path, folds={0: "train", 6: "test", 7: "val", 9: "test"})
    assert report.splits == {"train": 1, "val": 1, "test": 1}
    assert report.dropped == {"untraced (fewer than two traced frames)": ["P3"]}
    data = read_echonet(tmp_path, folds="0/7/6,9")
    assert data.fingerprint() == report.fingerprint != read_echonet(tmp_path, folds="6/7/0,9").fingerprint()


@pytest.mark.parametrize("text", ["0-7", "0-7/8", "0-7/7/9", "a/b/c", "0-/1/2", "0/1/2/3", ""])
def test_fold_rules_in_another_form_are_refused(text):
    with pytest.raises(SettingsError, match="fold"):
        parse_folds(text)


def test_a_rule_that_leaves_a_fold_out_is_refused(pediatric):
    with pytest.raises(DataError, match="do not say what 9 is"):
        read_echonet(pediatric, folds="0-6/7/8")


def test_ones_own_list_has_no_tracings_and_says_so(tmp_path, capsys):
    folder = fake_echonet(tmp_path, ROWS[:3])
    (folder / "VolumeTracings.csv").unlink()
    with pytest.raises(DataError, match="--untraced keep"):
        read_echonet(folder)
    assert main(["data", "check", str(folder)]) == 2
    assert "--untraced keep" in capsys.readouterr().out
    assert main(["data", "check", str(folder), "--untraced", "keep"]) == 0
    write_echonet_folder(tmp_path, ROWS[:3], videos=())
    kept, dropped = read_echonet(folder, untraced="keep"), read_echonet(folder)
    assert len(kept.studies) == len(dropped.studies) == 3
    assert kept.fingerprint() != dropped.fingerprint()


@pytest.mark.parametrize("options", [(), ("--skip-bad",), ("--untraced", "keep")])
def test_a_list_without_a_video_in_one_of_its_splits_is_wrong(tmp_path, capsys, options):
    folder = fake_echonet(tmp_path, [row for row in ROWS if row[4] != "VAL"])
    if "keep" in options:
        (folder / "VolumeTracings.csv").unlink()
    assert main(["data", "check", str(folder), *options]) == 2
    out, err = capsys.readouterr()
    assert "WRONG, no usable video in split val" in out
    assert len(err.splitlines()) == 1
    report = only(folder, untraced="keep" if "keep" in options else "drop")
    assert report.as_dict()["empty_splits"] == ["val"]
    with pytest.raises(DataError, match="'val'"):
        read_echonet(folder, untraced="keep" if "keep" in options else "drop").split("val")
    fake_echonet(tmp_path, ROWS)
    assert main(["data", "check", str(folder), *options]) == 0


def test_a_split_whose_only_video_is_unusable_is_empty(tmp_path):
    rows = [row if row[4] != "VAL" else (row[0], "", *row[2:]) for row in ROWS]
    assert only(fake_echonet(tmp_path, rows), skip_bad=True).empty_splits == ["val"]


def test_camus_groups_and_folds_are_counted(tmp_path):
    for number, (quality, other) in enumerate([("Good", "Poor"), ("Poor", "Good"), ("Medium", "Medium")], start=1):
        folder = tmp_path / "CAMUS_public/database_nifti" / f"patient{number:04d}"
        write_camus_patient(folder, 4, ImageQuality=quality, other_quality=other)
    report = only(tmp_path, decode=True)
    assert (report.name, report.release, report.usable) == ("CAMUS", "NIfTI release", 3)
    assert report.groups["quality of the four-chamber view"] == {"Good": 1, "Medium": 1, "Poor": 1}
    assert report.groups["quality of the worse view"] == {"Good": 0, "Medium": 1, "Poor": 2}
    assert report.published["patients"] == 500
    assert any("subGroup1_training.txt" in remark for remark in report.remarks)
    assert not report.damaged
    assert "quality Good: 1 of 288" in report.text(Options())


def test_camus_lists_that_are_wrong_and_unusable_patients_are_faults(tmp_path):
    write_camus_patient(tmp_path / "patient0001", 0)
    write_camus_patient(tmp_path / "patient0002", 0, EF="?")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/subGroup1_testing.txt").write_text("patient0001\n")
    report = only(tmp_path)
    assert report.faults["patient"] == ["patient0002: EF is '?', not a number"]
    assert "train list of fold 1 is missing" in report.faults["fold lists"][0]
    assert len(report.damaged) == 1  # the empty sequence


def test_hmcqu_has_a_report_for_each_view(tmp_path):
    rows = [
        ("ES0001 _4CH_1", {"SEG3"}, 1, 3, True),
        ("ES0002_4CH_1", set(), 1, 3, True),
        ("ES0003_4CH_1", set(), 1, 3, False),
    ]
    for view in ("A4C", "A2C"):
        fake_videos(tmp_path / "HMC-QU" / view, [row[0] for row in rows])
        write_hmcqu_sheet(tmp_path / f"{view}.xlsx", rows, masks=view == "A4C")
    first, second = check_folder(tmp_path)
    assert (first.usable, first.groups["label"]) == (2, {"MI": 1, "non-MI": 1})
    assert first.counted == {"listed": 3, "infarcted": 1, "with a mask": 2, "infarcted, with a mask": 1}
    assert first.dropped["mask said to be there but is not"] == ["ES0001 _4CH_1", "ES0002_4CH_1"]
    assert (second.usable, second.folds["test"]) == (3, (2, 1, 0, 0, 0))
    (tmp_path / "A2C.xlsx").write_bytes(b"PK")
    first, second = check_folder(tmp_path)
    assert "not a readable Excel workbook" in second.damaged[0]


def test_several_data_sets_below_a_folder_are_all_reported(tmp_path, capsys):
    fake_echonet(tmp_path / "echonet", ROWS[:3])
    write_camus_patient(tmp_path / "camus/patient0001", 4)
    assert main(["data", "check", str(tmp_path), "--json"]) == 0
    assert {one["name"] for one in json.loads(capsys.readouterr().out)["data_sets"]} == {"EchoNet-Dynamic", "CAMUS"}


def test_files_without_a_list_are_read_and_strays_named(tmp_path):
    for name, size in (("a.avi", (112, 112)), ("b.AVI", (90, 120))):
        write_avi(tmp_path / name, sector_frames(12, *size)[0])
    for stray in (".DS_Store", "Thumbs.db", "notes.txt"):
        (tmp_path / stray).write_bytes(b"\0\1stray")
    (tmp_path / "avi").mkdir()
    report = only(tmp_path, decode=True)
    assert report.usable == 2
    assert report.dropped == {"not an echo file": [".DS_Store", "Thumbs.db", "avi/", "notes.txt"]}
    assert not report.wrong(Options())


def test_decoding_finds_damage_wrong_headers_and_the_seconds_that_a_clip_covers(tmp_path, capsys):
    for name, count, fps in (("a", 28, 18), ("b", 60, 138), ("c", 144, 50), ("d", 150, 25), ("one", 1, 50)):
        write_avi(tmp_path / f"{name}.avi", sector_frames(count, 32, 32)[0], fps=fps)
    whole = (tmp_path / "c.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.avi").write_bytes(b"")
    (tmp_path / "page.avi").write_text("<html>please sign in</html>")
    assert main(["data", "check", str(tmp_path), "--decode", "--json"]) == 2
    (report,) = json.loads(capsys.readouterr().out)["data_sets"]
    assert [text.split(":")[0] for text in sorted(report["damaged"])] == ["cut.avi", "empty.avi", "one.avi", "page.avi"]
    (clip,) = [remark for remark in report["remarks"] if remark.startswith("a clip of 36 frames at stride 4")]
    for told in ("b.avi 0.43 s", "c.avi 2.8 s", "d.avi 5.6 s", "a.avi 1.5 s"):
        assert told in clip
    (short,) = [remark for remark in report["remarks"] if "extended with black" in remark]
    assert short.endswith("a.avi, b.avi")
    assert "-0.65" in short


def test_nothing_to_check_is_refused_with_what_was_looked_for(tmp_path, capsys):
    assert main(["data", "check", str(tmp_path)]) == 2
    assert "FileList.csv" in capsys.readouterr().err
    (tmp_path / "MeasurementsList.csv").write_text("x\n")
    assert main(["data", "check", str(tmp_path)]) == 2
    assert "EchoNet-LVH" in capsys.readouterr().err


def test_the_phantom_is_called_one(phantom_folder):
    report = only(phantom_folder, decode=True)
    assert (report.name, report.usable, report.damaged) == ("phantom", 17, [])
    assert not report.published
