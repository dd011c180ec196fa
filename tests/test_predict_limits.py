"""What `predict` tells apart, searches, checks before it computes, and refuses for want of content."""

import errno
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import sector_frames, tiny_model, write_avi

from coreecho import checkpoints, cli, figures, inference, predict
from coreecho.cli import predict as command
from coreecho.echofiles import find_files, told_apart
from coreecho.errors import CoReEchoError, DataError, VideoError
from coreecho.files import check_target

FRAMES = sector_frames(40, 32, 32)[0]


@pytest.fixture
def export(tmp_path):
    """Two patients' studies as hospitals export them, names repeating, beside what is no clip."""
    folder = tmp_path / "export"
    for place, seed in (("A/1", 1), ("B/1", 2)):
        (folder / place).mkdir(parents=True)
        write_avi(folder / place / "IM_0001.avi", sector_frames(40, 32, 32, seed=seed)[0])
        (folder / place / "report.txt").write_text("no clip\n")
    write_avi(folder / "B" / "single.avi", FRAMES)
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(300))
    (folder / "B" / "nothing").mkdir()
    (folder / ".thumbs").mkdir()
    write_avi(folder / ".thumbs" / "hidden.avi", FRAMES)
    (folder / "A" / "back").symlink_to(folder, target_is_directory=True)
    (folder / "A" / "1" / "itself").symlink_to("itself")
    return folder


@pytest.fixture
def say(capsys, checkpoint):
    """Runs `coreecho predict` with the tiny checkpoint: (status, stdout, stderr)."""

    def run(*arguments):
        status = cli.main(["predict", *map(str, arguments), "--checkpoint", str(checkpoint)])
        return status, *capsys.readouterr()

    return run


def below(folder, paths):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_a_folder_is_searched_to_its_ends(export):
    files, skipped = find_files([export])
    assert below(export, files) == ["A/1/IM_0001.avi", "B/1/IM_0001.avi", "B/single.avi"]
    assert below(export, skipped) == [
        ".thumbs", "A/1/itself", "A/1/report.txt", "A/back", "B/1/report.txt", "B/nothing", "DICOMDIR"
    ]  # fmt: skip
    assert find_files([export / ".thumbs"])[0] == [export / ".thumbs" / "hidden.avi"], "asked for, it is searched"
    (export / "A" / "link").symlink_to(export / "B", target_is_directory=True)
    assert find_files([export / "A" / "link"])[0][-1] == export / "A" / "link" / "single.avi"
    (export / "B" / "nothing" / ".more").mkdir()
    with pytest.raises(DataError, match=r"nothing: no echo file .* or below it; hidden and linked folders"):
        find_files([export / "B" / "nothing"])


def test_files_of_one_name_are_told_apart_on_screen(say, export):
    (export / "B" / "1" / "IM_0002.avi").write_bytes(b"")
    (export / "A" / "1" / "IM_0002.avi").write_bytes(b"")
    status, out, err = say(export)
    assert status == 2
    assert [line.split()[-1] for line in out.splitlines()[1:4]] == [
        "A/1/IM_0001.avi", "B/1/IM_0001.avi", "single.avi"
    ]  # fmt: skip
    assert "skipped, no echo files: A/1/itself, A/1/report.txt, B/1/report.txt, B/nothing, DICOMDIR\n" in out
    assert "skipped, hidden or linked folders: .thumbs, A/back\n" in out
    first, second = err.splitlines()
    assert first.startswith("coreecho predict: A/1/IM_0002.avi: the file is empty")
    assert second.startswith("coreecho predict: B/1/IM_0002.avi: the file is empty")


def test_a_note_of_one_file_names_its_path(say, tmp_path):
    for name, fps in (("A", 25), ("B", 60)):
        (tmp_path / name).mkdir()
        write_avi(tmp_path / name / "clip.avi", FRAMES, fps=fps)
    out = say(tmp_path / "A" / "clip.avi", tmp_path / "B" / "clip.avi")[1]
    assert f"note: {tmp_path / 'B' / 'clip.avi'}: 60 frames per second" in out
    assert [line.split()[-1] for line in out.splitlines()[1:3]] == [
        str(tmp_path / name / "clip.avi") for name in "AB"
    ]  # fmt: skip


def test_a_terminal_never_shortens_what_tells_files_apart(say, export, monkeypatch):
    monkeypatch.setattr("coreecho.cli.predict.columns", lambda: 30)
    out = say(export)[1]
    assert "A/1/IM_0001.avi" in out
    assert "B/1/IM_0001.avi" in out


def test_csv_and_json_have_every_path_as_it_was_given(say, export, monkeypatch):
    monkeypatch.chdir(export.parent)
    (export / "A" / "1" / "cut.avi").write_bytes(b"")
    wanted = ["export/A/1/IM_0001.avi", "export/B/1/IM_0001.avi", "export/B/single.avi"]
    status, out, _ = say("export", "--json", "--csv", "table.csv")
    document, table = json.loads(out), pd.read_csv("table.csv")
    assert status == 2
    assert [each["path"] for each in document["predictions"]] == wanted == table["path"].tolist()
    assert [each["file"] for each in document["predictions"]] == [Path(each).name for each in wanted]
    assert table["file"].tolist() == [Path(each).name for each in wanted]
    assert [(each["file"], each["path"]) for each in document["failed"]] == [("cut.avi", "export/A/1/cut.avi")]
    assert "B/1/report.txt" in document["skipped"]
    assert str(export.parent) not in out + Path("table.csv").read_text(), "nothing but what was typed"


def test_a_picture_of_a_repeated_name_is_titled_with_its_path(say, export, tmp_path, monkeypatch):
    titled = []
    real = figures.prediction
    monkeypatch.setattr(figures, "prediction", lambda result: titled.append(result.file) or real(result))
    say(export, "--figure", tmp_path / "out")
    assert titled == ["A/1/IM_0001.avi", "B/1/IM_0001.avi", "single.avi"]


def test_no_two_files_are_called_the_same():
    paths = [Path(each) for each in ("one/A/a.avi", "two/A/a.avi", "one/B/a.avi", "A/a.avi", "one/b.avi")]
    called = told_apart(paths, [Path("one"), Path("two"), Path("A/a.avi")])
    assert len(set(called.values())) == len(paths)
    assert called[Path("one/B/a.avi")] == "B/a.avi"
    assert called[Path("one/b.avi")] == "b.avi"
    assert called[Path("two/A/a.avi")] == "two/A/a.avi"


def denied(*_):
    raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize("way", ["iterdir", "is_dir"])
def test_a_folder_that_may_not_be_listed_is_one_line(say, export, monkeypatch, way):
    monkeypatch.setattr(Path, way, denied)
    status, out, err = say(export)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert str(export) in err
    assert "Permission denied" in err


def test_a_folder_below_that_may_not_be_listed_is_not_passed_over(export, monkeypatch):
    real = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: denied() if path.name == "B" else real(path))
    with pytest.raises(DataError, match=r"B: this folder cannot be listed \(Permission denied\); make it readable"):
        find_files([export])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_closed_folder_is_one_line(say, export):
    (export / "B").chmod(0)
    status, _, err = say(export)
    (export / "B").chmod(0o755)
    assert status == 2
    assert len(err.splitlines()) == 1


def entries(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("option", "place", "several"),
    [
        ("--csv", "folder", False),
        ("--csv", "file/table.csv", False),
        ("--csv", "file/more/table.csv", True),
        ("--csv", "n" * 300 + "/table.csv", False),
        ("--figure", "folder", False),
        ("--figure", "file/clip.png", False),
        ("--figure", "file", True),
        ("--figure", "file/pictures", True),
    ],
)
def test_what_cannot_be_written_is_said_before_the_checkpoint_is_loaded(
    say, export, tmp_path, monkeypatch, option, place, several
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("in the way")
    before = entries(tmp_path)
    monkeypatch.setattr(checkpoints, "load", lambda _: pytest.fail("loaded"))
    status, out, err = say(export if several else export / "B" / "single.avi", option, tmp_path / place)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert option in err
    assert entries(tmp_path) == before


@pytest.mark.parametrize("target", ["table.csv", "new/more/table.csv"])
def test_a_read_only_folder_is_said_before_the_checkpoint_is_loaded(say, export, tmp_path, monkeypatch, target):
    monkeypatch.setattr(checkpoints, "load", lambda _: pytest.fail("loaded"))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: denied())
    status, _, err = say(export, "--csv", tmp_path / target)
    assert status == 2
    assert "table.csv could not be written: Permission denied; free space or choose another folder" in err


def test_looking_at_a_place_leaves_nothing_there(tmp_path):
    for folder in (False, True):
        check_target(tmp_path / "new" / "deep" / "x", "--csv", folder=folder)
        check_target(tmp_path / "x", "--csv", folder=folder)
    check_target(tmp_path, "--figure", folder=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_table_that_fails_at_the_end_costs_no_number(say, export, tmp_path, monkeypatch, form):
    def full(*_):
        raise CoReEchoError("table.csv could not be written: No space left on device")

    monkeypatch.setattr(command, "replace_file", full)
    status, out, err = say(export, "--csv", tmp_path / "table.csv", *form)
    assert status == 2
    assert out.count("IM_0001.avi") >= 2
    assert err.splitlines() == ["coreecho predict: table.csv could not be written: No space left on device"]


def test_a_picture_that_cannot_be_written_costs_no_number(say, export, tmp_path, monkeypatch):
    tries = []

    def full(*_):
        tries.append(1)
        raise CoReEchoError("a.png could not be written: No space left on device")

    monkeypatch.setattr(figures, "save_png", full)
    status, out, err = say(export, "--figure", tmp_path / "out", "--csv", tmp_path / "table.csv")
    assert status == 2
    assert len(out.splitlines()) > 4
    assert err.splitlines() == ["coreecho predict: a.png could not be written: No space left on device"]
    assert len(tries) == 1
    assert len(pd.read_csv(tmp_path / "table.csv")) == 3


def test_a_reader_that_leaves_early_costs_no_table(export, checkpoint, tmp_path, monkeypatch):
    def closed(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr(command, "_print_text", closed)
    arguments = ["predict", str(export), "--checkpoint", str(checkpoint), "--csv", str(tmp_path / "table.csv")]
    with pytest.raises(BrokenPipeError):
        cli.main(arguments)
    assert len(pd.read_csv(tmp_path / "table.csv")) == 3


@pytest.mark.parametrize("level", [(0, 0, 0), (128, 128, 128), (20, 90, 200)])
@pytest.mark.parametrize("side", [(32, 32), (60, 80)])
def test_an_even_picture_is_refused(tmp_path, checkpoint, level, side):
    path = write_avi(tmp_path / "even.avi", np.full((20, *side, 3), level, np.uint8), fps=25)
    for protocol in ("auto", "paper", "seconds"):
        with pytest.raises(VideoError, match=r"^even\.avi: 20 frames \(0\.8 s\) of one even colour: nothing"):
            predict(path, checkpoint, protocol=protocol)


def test_a_picture_with_anything_in_it_is_not_even(tmp_path, checkpoint):
    frames = np.zeros((20, 32, 32), np.uint8)
    frames[-1, 8:24, 8:24] = 90
    assert predict(write_avi(tmp_path / "last.avi", frames, fps=25), checkpoint).clips


@pytest.mark.parametrize(
    ("count", "fps", "size", "protocol", "told"),
    [
        (3, 30, 32, "auto", r"3 frames \(0\.1 s\)"),
        (3, 30, 60, "auto", r"3 frames \(0\.1 s\)"),
        (80, 1000, 60, "auto", r"80 frames \(0\.08 s\)"),
        (80, 1000, 32, "seconds", r"80 frames \(0\.08 s\)"),
    ],
)
def test_what_is_almost_all_padding_is_refused_with_its_own_length(
    tmp_path, checkpoint, count, fps, size, protocol, told
):
    path = write_avi(tmp_path / "cut.avi", sector_frames(count, size, size)[0], fps=fps)
    with pytest.raises(
        VideoError, match=rf"^cut\.avi: too short: {told}, less than a quarter of the 15 frames \(0\.6 s\) that"
    ):
        predict(path, checkpoint, protocol=protocol)


def test_a_quarter_of_a_clip_is_enough(tmp_path, checkpoint):
    path = write_avi(tmp_path / "short.avi", sector_frames(4, 32, 32)[0], fps=25)
    assert any("short: 4 frames" in note for note in predict(path, checkpoint).notes)


@pytest.mark.parametrize(("count", "fps"), [(28, 18), (60, 138)])
def test_short_clips_of_odd_rates_are_padded_as_in_the_paper(tmp_path, count, fps):
    model = tiny_model().eval()
    model.clip = inference.ClipSettings(frames=36, stride=4, size=32)
    path = write_avi(tmp_path / "odd.avi", sector_frames(count, 32, 32)[0], fps=fps)
    info = checkpoints.CheckpointInfo(training_data="EchoNet-Dynamic", fps=50.0, clip=model.clip)
    found = inference.predict_with(model, info, path)
    assert found.protocol == "paper"
    assert any(f"short: {count} frames ({count / fps:.2f} s), a clip spans 141" in note for note in found.notes)


def test_a_file_without_a_rate_is_measured_in_frames(tmp_path, checkpoint):
    nibabel = pytest.importorskip("nibabel")
    nibabel.save(nibabel.Nifti1Image(FRAMES[:3].transpose(2, 1, 0), np.eye(4)), tmp_path / "clip.nii")
    with pytest.raises(VideoError, match=r"too short: 3 frames, less than a quarter"):
        predict(tmp_path / "clip.nii", checkpoint)
