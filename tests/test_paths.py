"""Folders and files as users have them: paths as text, folders that are refused, names that differ only in case."""

import errno
import importlib
import inspect
import os
import re
from pathlib import Path

import pytest
from helpers import TINY, tiny_model, tiny_place, write_camus_patient, write_echonet_folder

from coreecho import cli, phantom, runs
from coreecho.datacheck import Options, check_folder
from coreecho.datasets import read_camus, read_echonet, read_hmcqu, read_motions
from coreecho.datasets.camus_info import read_info
from coreecho.datasets.folders import contents, entries, files_below, find_below
from coreecho.datasets.starts import read_starts
from coreecho.errors import CoReEchoError, DataError
from coreecho.files import writable_folder
from coreecho.phantom_settings import HmcquPhantomSettings, MotionSettings
from coreecho.place import Place, load_data
from coreecho.plan import Plan
from coreecho.settings import Run
from coreecho.trainer import Trainer
from coreecho.video.packing import attach_pack, find_pack, write_pack

ROOT = Path(__file__).resolve().parents[1]
ROWS = [("v0.avi", "50", "50", "100", "TRAIN"), ("v1", "40", "60", "100", "VAL"), ("v2.avi", "60", "40", "100", "TEST")]


@pytest.fixture
def hearts(tmp_path):
    return write_echonet_folder(tmp_path / "hearts", ROWS)


@pytest.fixture(scope="module")
def echos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paths") / "hmcqu"
    return phantom.write_phantom(folder, HmcquPhantomSettings(echos=20, max_cycles=1), workers=1, progress=False)


@pytest.fixture
def refused(monkeypatch):
    """Makes the system refuse to list folders of a name, whoever runs the tests."""

    def refuse(name):
        scandir = os.scandir

        def denied(path="."):
            if Path(path).name == name:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", denied)

    return refuse


def twin(path, name):
    """The same file beside it under a name that differs in case only."""
    other = path.with_name(name)
    if other.exists():
        pytest.skip("this file system has no case")
    other.write_bytes(path.read_bytes())
    return other


def documented():
    """(name, callable) of every function, and of every method of a class, on the page of the Python interface."""
    text = (ROOT / "book/api.md").read_text(encoding="utf-8")
    for name in re.findall(r"auto(?:function|class):: ([\w.]+)", text):
        module, _, last = name.rpartition(".")
        thing = getattr(importlib.import_module(module), last)
        if inspect.isfunction(thing):
            yield name, thing
        else:
            yield from ((f"{name}.{own}", it) for own, it in vars(thing).items() if inspect.isfunction(it))


def test_documented_functions_take_text_for_a_path():
    takes = {
        f"{name}({parameter.name})": str(parameter.annotation)
        for name, function in documented()
        for parameter in inspect.signature(function).parameters.values()
        if re.search(r"\bPath\b", str(parameter.annotation)) and "Callable" not in str(parameter.annotation)
    }
    # Records of what was found; their fields are made by the functions that read.
    made = ("Dataset.", "Study.", "Report.", "Pack.", "Record.", "Place.")
    wanted = {name: kind for name, kind in takes.items() if not any(each in name for each in made)}
    assert len(wanted) > 10
    assert not [name for name, kind in wanted.items() if "str" not in kind]


def test_text_reads_what_a_path_reads(hearts, echos, tmp_path):
    write_camus_patient(tmp_path / "camus/patient0001")
    for number in range(2, 11):
        write_camus_patient(tmp_path / f"camus/patient{number:04d}", frames=0)
    camus = {"fold": 0, "folds": "contiguous"}
    assert read_echonet(str(hearts)) == read_echonet(hearts)
    assert read_camus(str(tmp_path / "camus"), **camus) == read_camus(tmp_path / "camus", **camus)
    drawn = str(tmp_path / "folds.json")
    assert read_hmcqu(str(echos), fold=1, folds_file=drawn) == read_hmcqu(echos, fold=1)
    assert [report.as_dict() for report in check_folder(str(hearts))] == [r.as_dict() for r in check_folder(hearts)]
    pack = write_pack(read_echonet(hearts), str(hearts / "pack"), progress=False)
    assert find_pack(str(hearts)) == pack.folder == hearts / "pack"
    assert attach_pack(read_echonet(hearts), str(pack.folder)).studies[0].pack == pack.folder.resolve()


def test_a_place_and_a_trainer_take_text(phantom_folder, phantom_data, tmp_path):
    place = Place(data_root=str(phantom_folder.parent), runs_dir=str(tmp_path), pack=str(tmp_path / "p"))
    assert place == Place(data_root=phantom_folder.parent, runs_dir=tmp_path, pack=tmp_path / "p")
    plan = Plan(run=Run(), profile=TINY, data=phantom_data)
    assert Trainer(tiny_model(), plan, str(tmp_path), key="0").folder == tmp_path


def test_videos_that_cannot_be_listed_are_told_of(hearts, refused):
    refused("Videos")
    with pytest.raises(DataError, match=r"Videos: the folder cannot be listed \(Permission denied\); change its"):
        read_echonet(hearts)


@pytest.mark.parametrize("name", ["Videos", "hearts"])
def test_a_check_tells_in_a_line_what_cannot_be_listed(hearts, refused, capsys, name):
    refused(name)
    assert cli.main(["data", "check", str(hearts)]) == 2
    told = capsys.readouterr()
    assert "cannot be listed (Permission denied)" in told.out + told.err


def test_files_that_cannot_be_read_are_told_of(tmp_path):
    (tmp_path / "Info_4CH.cfg").mkdir()  # refused to everyone, root too
    with pytest.raises(DataError, match=r"Info_4CH\.cfg: cannot be read \("):
        read_info(tmp_path / "Info_4CH.cfg")
    (tmp_path / "starts.pkl").touch()
    with pytest.raises(DataError, match=r"starts\.pkl"):
        read_starts(tmp_path / "starts.pkl")


def test_fold_lists_that_cannot_be_read_are_told_of(echos, tmp_path):
    (tmp_path / "folds.json").mkdir()
    with pytest.raises(DataError, match=r"folds\.json: cannot be read \(Is a directory\)"):
        read_hmcqu(echos, fold=0, folds_file=tmp_path / "folds.json")


def test_a_folder_for_files_is_made_or_refused(tmp_path, monkeypatch):
    assert writable_folder(tmp_path / "a/b") == tmp_path / "a/b"
    assert not list((tmp_path / "a/b").iterdir())
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(CoReEchoError, match=r"file.*: no file can be written to this folder .*give another"):
            writable_folder(folder)


@pytest.fixture
def untrained(monkeypatch):
    monkeypatch.setattr(Trainer, "fit", lambda self: pytest.fail("trained"))


def test_runs_are_refused_before_anything_is_announced_where_no_record_can_be_kept(
    phantom_folder, tmp_path, caplog, untrained
):
    (tmp_path / "file").touch()
    with pytest.raises(CoReEchoError, match=r"file.tiny: no file can be written"), caplog.at_level("INFO"):
        runs.ensure([Run()], TINY, tiny_place(phantom_folder, tmp_path / "file"))
    assert not caplog.records
    with pytest.raises(CoReEchoError, match=r"file: no file can be written"):
        load_data(Run(), TINY, Place(data_root=tmp_path / "file"))


def test_training_into_a_file_ends_in_status_2_and_a_line(tmp_path, capsys, untrained):
    (tmp_path / "file").touch()
    run = ["train", "table1/coreecho/seed0", "--runs-dir", str(tmp_path / "file"), "--set", "shared.epochs=3"]
    assert cli.main([*run, "--data-root", str(tmp_path / "data")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "no file can be written to this folder" in err


@pytest.mark.parametrize("what", ["pack", "phantom"])
def test_a_folder_to_be_filled_that_cannot_be_listed_is_told_of(hearts, tmp_path, monkeypatch, what):
    (tmp_path / "out").mkdir()

    def denied(self):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    data = read_echonet(hearts)
    write = {
        "pack": lambda out: write_pack(data, out, progress=False),
        "phantom": lambda out: phantom.write_phantom(out, TINY.phantom, workers=1, progress=False),
    }[what]
    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(DataError, match=r"out.*Permission denied.*another"):
        write(tmp_path / "out")


def test_what_the_system_refuses_anywhere_is_told_in_a_line_but_a_defect_is_not(monkeypatch, capsys, tmp_path):
    def fail(error):
        def check(*_):
            raise error

        monkeypatch.setattr("coreecho.datacheck.check_folder", check)
        return cli.main(["data", "check", str(tmp_path)])

    assert fail(PermissionError(errno.EACCES, "Permission denied", "there/file")) == 2
    assert capsys.readouterr().err == (
        "coreecho data: there/file: Permission denied; change its permissions, free space, or give another path\n"
    )
    with pytest.raises(FileNotFoundError):
        fail(FileNotFoundError(errno.ENOENT, "No such file or directory", "published.json"))


def test_of_two_videos_that_differ_in_case_the_one_in_the_list_is_read(hearts):
    twin(hearts / "Videos/v0.avi", "V0.AVI")
    data = read_echonet(hearts)
    assert [study.path.name for study in data.studies] == ["v0.avi", "v1.avi", "v2.avi"]
    assert not check_folder(hearts)[0].wrong(Options())
    text = (hearts / "FileList.csv").read_text()
    (hearts / "FileList.csv").write_text(text.replace("v0.avi", "V0.AVI"))
    assert read_echonet(hearts).studies[0].path.name == "V0.AVI"


def test_two_videos_of_which_none_is_the_one_in_the_list_are_wrong(hearts):
    twin(hearts / "Videos/v1.avi", "v1.AVI")  # the list has v1
    told = r"v1: several files but for case \(v1\.AVI, v1\.avi; keep one\)"
    with pytest.raises(DataError, match=told):
        read_echonet(hearts)
    (report,) = check_folder(hearts)
    assert report.wrong(Options())
    assert re.search(rf"WRONG, listed video with several files: 1 \({told}\)", report.text(Options()))
    data = read_echonet(hearts, skip_bad=True)
    assert data.dropped == {"several files": ("v1",)}
    assert [study.id for study in data.studies] == ["v0", "v2"]


def test_of_camus_files_that_differ_in_case_the_one_with_the_published_name_is_read(tmp_path):
    for number in range(1, 11):
        write_camus_patient(tmp_path / f"patient{number:04d}", frames=0)
    sequence = tmp_path / "patient0002/patient0002_4CH_half_sequence.nii.gz"
    sequence.touch()
    other = twin(sequence, "PATIENT0002_4ch_half_sequence.nii.gz")
    data = read_camus(tmp_path, fold=0, folds="contiguous")
    assert data.studies[1].path == sequence
    sequence.rename(sequence.with_name("patient0002_4ch_half_sequence.nii.gz"))
    told = "patient0002: several files but for case"
    with pytest.raises(DataError, match=told):
        read_camus(tmp_path, fold=0, folds="contiguous")
    (report,) = check_folder(tmp_path)
    assert report.wrong(Options())
    assert told in report.text(Options())
    other.unlink()
    assert len(read_camus(tmp_path, fold=0, folds="contiguous").studies) == 10


def test_of_fold_lists_that_differ_in_case_the_one_with_the_published_name_is_read(tmp_path):
    names = [f"patient{number:04d}" for number in range(1, 3)]
    for name in names:
        write_camus_patient(tmp_path / name, frames=0)
    for number, (test, train) in enumerate([names, names[::-1]], start=1):
        for part, name in {"testing": test, "training": train, "validation": ""}.items():
            (tmp_path / f"subGroup{number}_{part}.txt").write_text(name)
    first = tmp_path / "subGroup1_testing.txt"
    twin(first, "subgroup1_testing.txt").write_text("patient0099")
    assert read_camus(tmp_path, fold=0).split("test")[0].id == "patient0001"
    first.rename(tmp_path / "SUBGROUP1_testing.txt")
    with pytest.raises(DataError, match=r"several files but for case .*in place of subGroup1_testing"):
        read_camus(tmp_path, fold=0)


@pytest.mark.parametrize("suffix", [".avi", ".mat"])
def test_hmcqu_videos_and_masks_that_differ_in_case_are_refused(echos, tmp_path, suffix):
    import shutil

    root = shutil.copytree(echos, tmp_path / "hmcqu")
    path = files_below(root, suffix)[0]
    twin(path, path.stem.swapcase() + suffix)
    with pytest.raises(DataError, match="is there twice"):
        read_hmcqu(root, fold=0)
    assert any(report.wrong(Options()) for report in check_folder(root))


def test_moving_shapes_of_which_none_is_the_one_in_the_list_are_refused(tmp_path):
    settings = MotionSettings(train=8, test=8)
    root = phantom.write_phantom(tmp_path / "motions", settings, workers=1, progress=False)
    path = files_below(root, ".avi")[0]
    assert len(read_motions(str(root)).studies) == 16
    other = twin(path, path.name.lower())
    assert path in {study.path for study in read_motions(root).studies}
    other.rename(path.with_suffix(".AVI"))
    with pytest.raises(DataError, match=rf"{path.stem}: several files but for case"):
        read_motions(root)


def test_folders_that_differ_in_case_are_all_looked_through(tmp_path):
    for name in ("a", "A"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"{name}.avi").touch()
    if len(contents(tmp_path)) == 1:
        pytest.skip("this file system has no case")
    assert [path.name for path in files_below(tmp_path, ".avi")] == ["A.avi", "a.avi"]
    assert len(find_below(tmp_path, lambda folders, files: "a.avi" in files)) == 2
    folders, _ = entries(tmp_path)
    assert folders.one("a").name == "a"
    assert folders.one("A").name == "A"
    assert folders.one("b") is None
