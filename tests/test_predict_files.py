"""Prediction on files as people have them: every container, folders with stray entries, odd rates, Grad-CAM figures."""

import dataclasses
import json
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest
import torch
from helpers import sector_frames, tiny_model, write_avi
from matplotlib.figure import Figure
from PIL import Image

from coreecho import checkpoints, cli, explain, figures, inference, predict
from coreecho.datasets import Study
from coreecho.echofiles import find_files
from coreecho.errors import CheckpointError, DataError, VideoError
from coreecho.figures.style import SALIENCY
from coreecho.protocols import predict_clips, protocol_starts
from coreecho.weightfiles import sha256

FRAMES, MASK = sector_frames(40, 120, 160)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    checkpoints.save(tiny_model(), path, {"training_data": "EchoNet-Dynamic", "fps": 25.0})
    return path


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Five echo files in four containers, two of them named alike, beside entries that are none."""
    folder = tmp_path_factory.mktemp("mixed")
    write_avi(folder / "a.avi", sector_frames(30, 32, 32)[0])
    write_avi(folder / "b.avi", FRAMES)
    write_avi(folder / "c.AVI", FRAMES[:, :, 20:140])
    write_avi(folder / "d.mp4", FRAMES, codec="mp4v")
    write_gif(folder / "a.gif", FRAMES)
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "notes.txt").write_text("not a video\n")
    Image.fromarray(FRAMES[0]).save(folder / "still.png")
    (folder / "more").mkdir()
    return folder


def write_gif(path, frames):
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=rest, duration=40, loop=0)


def write_nifti(path, frames):
    import nibabel

    nibabel.save(nibabel.Nifti1Image(frames.transpose(2, 1, 0), np.diag([0.5, 0.5, 1, 1])), path)


def write_mhd(path, frames):
    count, height, width = frames.shape
    path.write_text(
        f"NDims = 3\nDimSize = {width} {height} {count}\nElementSpacing = 0.5 0.5 1\nElementType = MET_UCHAR\n"
        f"ElementDataFile = {path.stem}.raw\n"
    )
    path.with_suffix(".raw").write_bytes(frames.tobytes())


def run(capsys, *arguments):
    status = cli.main(["predict", *map(str, arguments)])
    return status, *capsys.readouterr()


@pytest.mark.parametrize("suffix", ["avi", "mp4", "gif", "nii.gz", "mhd"])
def test_every_container_gives_an_ef(tmp_path, checkpoint, suffix):
    path = tmp_path / f"clip.{suffix}"
    writers = {"avi": write_avi, "gif": write_gif, "nii.gz": write_nifti, "mhd": write_mhd}
    writers.get(suffix, lambda path, frames: write_avi(path, frames, codec="mp4v"))(path, FRAMES)
    result = predict(path, checkpoint)
    assert 0 < result.ef < 100
    assert result.protocol == "seconds"
    assert result.frames.shape == (8, 32, 32, 3)
    assert result.checkpoint_sha256 == sha256(checkpoint)
    assert any("no frame rate" in note for note in result.notes) == (suffix in ("nii.gz", "mhd"))


def test_text_and_trace_beside_the_sector_never_reach_the_network(tmp_path, checkpoint):
    marked = np.repeat(FRAMES[..., None], 3, axis=-1)
    for index, frame in enumerate(marked):
        cv2.putText(frame, "DOE", (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
        cv2.line(frame, (2 + index, 116), (6 + index, 112), (0, 255, 0), 1)
    marked[:, MASK] = np.repeat(FRAMES[:, MASK, None], 3, axis=-1)
    plain, with_text = tmp_path / "plain.avi", tmp_path / "text.avi"
    write_avi(plain, FRAMES, codec="FFV1")
    write_avi(with_text, marked, codec="FFV1")
    assert np.abs(predict(with_text, checkpoint).ef - predict(plain, checkpoint).ef) < 0.1
    assert np.abs(predict(with_text, checkpoint).frames.astype(int) - predict(plain, checkpoint).frames).max() <= 2


def test_what_is_odd_in_a_file_is_said(tmp_path, checkpoint):
    write_avi(tmp_path / "slow.avi", FRAMES, fps=8)
    assert any("odd frame rate: 8 frames" in note for note in predict(tmp_path / "slow.avi", checkpoint).notes)
    write_avi(tmp_path / "usual.avi", FRAMES, fps=30)
    assert not any("odd frame rate" in note for note in predict(tmp_path / "usual.avi", checkpoint).notes)
    noise = np.random.default_rng(0).integers(0, 255, (20, 60, 80)).astype(np.uint8)
    write_avi(tmp_path / "noise.avi", noise)
    assert any("not a fan" in note for note in predict(tmp_path / "noise.avi", checkpoint).notes)
    dark = np.zeros((20, 60, 80), np.uint8)
    dark[:, 8:16, 8:16] = 200
    write_avi(tmp_path / "dark.avi", dark)
    assert any("no ultrasound sector found" in note for note in predict(tmp_path / "dark.avi", checkpoint).notes)
    with pytest.raises(VideoError, match="one frame only"):
        predict(write_avi(tmp_path / "still.avi", FRAMES[:1]), checkpoint)


def test_a_short_file_is_padded_as_in_training(tmp_path):
    model, path = tiny_model().eval(), write_avi(tmp_path / "short.avi", sector_frames(12, 32, 32)[0])
    weights = tmp_path / "grey.safetensors"
    checkpoints.save(model, weights, {"training_data": "EchoNet-Dynamic", "padding": "grey"})
    found, study = predict(path, weights, explain=True), Study(id="short", path=path, label=50.0, split="test")
    grey, black = (
        predict_clips(model, [study], model.clip, protocol_starts("even5", model.clip), padding=padding)["prediction"]
        for padding in ("grey", "black")
    )
    told = [clip.ef for clip in found.clips]
    assert told == grey.tolist(), "a file is scored by the pass that test videos are scored by"
    assert told != pytest.approx(black.tolist(), abs=1e-3)
    assert any("grey frames, as in training" in note for note in found.notes)
    assert found.saliency is not None


def test_a_prediction_holds_its_first_clip_alone_and_can_do_without(mixed, checkpoint):
    found = predict(mixed / "a.avi", checkpoint, explain=True)
    assert len(found.clips) > 1
    assert found.frames.base is None, "a view keeps the memory of all clips"
    slim = found.without_pictures()
    assert slim.saliency is None
    assert slim.frames.base is None
    assert slim.frames.shape == (0, 32, 32, 3)
    assert slim.as_dict() == found.as_dict()
    assert slim == dataclasses.replace(found, frames=slim.frames, saliency=None)


@pytest.mark.parametrize("figure", [False, True])
def test_of_thousands_of_files_only_numbers_and_notes_are_kept(mixed, checkpoint, tmp_path, monkeypatch, figure):
    kept = []
    monkeypatch.setattr("coreecho.cli.predict._report", lambda _, outcome: kept.extend(outcome.done))
    extra = ["--figure", str(tmp_path)] if figure else []
    assert cli.main(["predict", str(mixed), "--checkpoint", str(checkpoint), *extra]) == 0
    assert len(kept) == 5
    assert max(len(pickle.dumps(each)) for each in kept) < 4096
    assert all(each.frames.base is None for each in kept)
    assert len(list(tmp_path.iterdir())) == 5 * figure


def test_every_file_is_scored_by_the_pass_that_test_videos_are_scored_by(mixed):
    model, info = checkpoints.load(Path(__file__).parents[1] / "checkpoints" / "phantom-demo.safetensors")
    study = Study(id="a", path=mixed / "a.avi", label=50.0, split="test")
    found = inference.predict_with(model, info, study.path, protocol="paper")
    table = predict_clips(model, [study], info.clip, protocol_starts("even5", info.clip), padding=info.padding)
    assert [clip.ef for clip in found.clips] == table["prediction"].tolist()
    assert [clip.start for clip in found.clips] == table["start"].tolist()


def test_a_file_that_does_not_fit_on_the_device_says_what_to_do(mixed, checkpoint, monkeypatch, capsys):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr("coreecho.model.CoReEcho.forward", full)
    status, _, error = run(capsys, mixed / "a.avi", "--checkpoint", checkpoint)
    assert status == 2
    assert "20.00 GiB" in error
    assert "--device cpu" in error
    assert len(error.splitlines()) == 1


def test_numbers_need_neither_the_plots_nor_the_compiler(mixed, checkpoint):
    unneeded = {"matplotlib", "sklearn", "scipy", "torch._dynamo", "timm", "torchvision", "accelerate"}
    program = (
        "import sys; from coreecho import cli\n"
        f"status = cli.main(['predict', {str(mixed / 'b.avi')!r}, '--checkpoint', {str(checkpoint)!r}])\n"
        f"print(status, sorted({unneeded!r} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["0 []"], done.stderr


def test_a_folder_stands_for_the_echo_files_in_it(mixed):
    files, skipped = find_files([mixed])
    assert [path.name for path in files] == ["a.avi", "a.gif", "b.avi", "c.AVI", "d.mp4"]
    assert [path.name for path in skipped] == [".DS_Store", "Thumbs.db", "more", "notes.txt", "still.png"]
    assert find_files([mixed / "notes.txt"]) == ([mixed / "notes.txt"], [])
    (mixed / "more" / "empty.AVI").write_bytes(b"")
    assert find_files([mixed / "more"]) == ([mixed / "more" / "empty.AVI"], []), "broken ones are not passed over"
    (mixed / "more" / "empty.AVI").unlink()
    with pytest.raises(DataError, match="no echo file"):
        find_files([mixed / "more"])


def test_a_folder_is_told_as_a_table_with_what_was_skipped(capsys, mixed, checkpoint, tmp_path):
    out = tmp_path / "pictures"
    status, text, error = run(capsys, mixed, "--checkpoint", checkpoint, "--figure", out, "--csv", tmp_path / "t.csv")
    assert (status, error) == (0, "")
    lines = text.splitlines()
    assert [line.split()[-1] for line in lines[1:6]] == ["a.avi", "a.gif", "b.avi", "c.AVI", "d.mp4"]
    assert "skipped, no echo files: .DS_Store, Thumbs.db, more, notes.txt, still.png" in lines
    assert f"checkpoint: tiny.safetensors, SHA-256 {sha256(checkpoint)}" in lines
    assert sorted(path.name for path in out.iterdir()) == ["a.avi.png", "a.gif.png", "b.png", "c.png", "d.png"]
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 6


def test_bad_files_come_last_and_cost_status_2(capsys, mixed, checkpoint):
    bad = [mixed / "notes.txt", mixed / "absent.avi"]
    status, text, error = run(capsys, bad[0], mixed / "a.avi", bad[1], mixed / "b.avi", "--checkpoint", checkpoint)
    assert status == 2
    assert [line.split()[-1] for line in text.splitlines()[1:3]] == ["a.avi", "b.avi"]
    assert "notes.txt" in error.splitlines()[0]
    assert "absent.avi" in error.splitlines()[1]
    assert len(error.splitlines()) == 2
    assert "failed: 2 of 4 files" in text
    status, text, error = run(capsys, *bad, mixed / "a.avi", "--checkpoint", checkpoint, "--json")
    document = json.loads(text)
    assert status == 2
    assert [each["file"] for each in document["failed"]] == ["notes.txt", "absent.avi"]
    assert [each["file"] for each in document["predictions"]] == ["a.avi"]


def test_json_says_everything_about_the_prediction(capsys, mixed, checkpoint):
    status, text, _ = run(capsys, mixed, "--checkpoint", checkpoint, "--json")
    document = json.loads(text)
    assert status == 0
    assert document["checkpoint"] == {
        "file": "tiny.safetensors", "sha256": sha256(checkpoint), "training_data": "EchoNet-Dynamic"
    }  # fmt: skip
    assert document["skipped"] == [".DS_Store", "Thumbs.db", "more", "notes.txt", "still.png"]
    first = document["predictions"][0]
    assert first["protocol"] == "paper"
    assert first["checkpoint_sha256"] == sha256(checkpoint)
    assert first["spread"] == pytest.approx(np.std([clip["ef"] for clip in first["clips"]]), abs=0.02)
    assert any("Not a medical device" in note for note in first["notes"])


def test_two_files_of_one_name_get_two_pictures(capsys, tmp_path, checkpoint):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_avi(tmp_path / folder / "a.avi", FRAMES[:, 40:72, 64:96])
    arguments = [tmp_path / "one" / "a.avi", tmp_path / "two" / "a.avi", "--checkpoint", checkpoint]
    assert run(capsys, *arguments, "--figure", tmp_path / "out")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.avi-1.png", "a.avi-2.png"]


def test_a_hub_folder_is_a_checkpoint(mixed, tmp_path, capsys, checkpoint):
    checkpoints.load(checkpoint)[0].save_pretrained(tmp_path)
    status, text, _ = run(capsys, mixed / "a.avi", "--checkpoint", tmp_path)
    assert status == 0
    assert sha256(tmp_path / "model.safetensors") in text
    assert predict(mixed / "a.avi", tmp_path).ef == predict(mixed / "a.avi", checkpoint).ef


def test_what_was_left_out_of_a_checkpoint_is_said(mixed):
    info = checkpoints.CheckpointInfo(training_data="EchoNet-Dynamic", dropped=("head.weight", "head.bias"))
    model = tiny_model().eval()
    result = inference.predict_with(model, dataclasses.replace(info, clip=model.clip), mixed / "a.avi")
    assert any("no use for: head.weight, head.bias" in note for note in result.notes)


def texts(figure: Figure) -> str:
    figure.draw_without_rendering()
    return "\n".join(each.get_text() for each in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_the_figure_shows_grad_cam_with_its_sign_and_scale(mixed, checkpoint):
    plain = predict(mixed / "a.avi", checkpoint)
    shown = predict(mixed / "a.avi", checkpoint, explain=True)
    assert plain.saliency is None
    assert shown.ef == plain.ef
    assert shown.saliency.map.shape == (8, 32, 32)
    bright = dataclasses.replace(shown.saliency, map=np.ones((8, 32, 32), np.float32), empty=False)
    drawn = figures.prediction(dataclasses.replace(shown, saliency=bright))
    assert "raises the prediction" in texts(drawn)
    maps = [image for image in drawn.findobj(mpl.image.AxesImage) if image.get_array().ndim == 2]
    assert len(maps) == 8
    assert {image.get_cmap().name for image in maps} == {SALIENCY}
    assert {image.get_clim() for image in maps} == {(0, 1)}, "one scale for the whole clip"
    assert "raises the prediction" not in texts(figures.prediction(plain))


def test_an_empty_map_is_said_and_not_drawn(mixed, checkpoint, monkeypatch):
    empty = explain.Saliency(np.zeros((8, 32, 32), np.float32), True, "raises", np.zeros((4, 2, 2), np.float32))
    monkeypatch.setattr(inference, "saliency", lambda *_: empty)
    result = predict(mixed / "a.avi", checkpoint, explain=True)
    assert any("Grad-CAM is empty" in note for note in result.notes)
    drawn = figures.prediction(result)
    assert "Grad-CAM is empty" in texts(drawn)
    assert all(image.get_array().ndim == 3 for image in drawn.findobj(mpl.image.AxesImage))


def test_without_grad_cam_the_figure_is_drawn_and_a_note_says_so(mixed, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(inference, "available", lambda: False)
    picture = tmp_path / "picture.png"
    status, text, _ = run(capsys, mixed / "a.avi", "--checkpoint", checkpoint, "--figure", picture)
    assert status == 0
    assert "note: no Grad-CAM was computed" in text
    assert "pip install" in text
    assert cv2.imread(str(picture)) is not None


def test_weights_are_left_as_they_were_by_grad_cam(mixed, checkpoint):
    model, info = checkpoints.load(checkpoint)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    inference.predict_with(model, info, mixed / "a.avi", explain=True)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_network_of_whole_sequences_takes_the_file_as_one_clip(tmp_path):
    model = tiny_model()
    model.clip = dataclasses.replace(model.clip, frames=8, stride=1, resample=True)
    model.levels = ((0.2, 0.2, 0.2), (0.3, 0.3, 0.3))
    path = tmp_path / "camus.safetensors"
    checkpoints.save(model, path, {"training_data": "phantom, tiny profile"})
    echo = write_avi(tmp_path / "echo.avi", sector_frames(31, 32, 32)[0])
    result = predict(echo, path)
    assert len(result.clips) == 1
    assert result.frames.shape == (8, 32, 32, 3)
    assert any("one sequence from end-diastole to end-systole" in note for note in result.notes)
    model.levels = ((0.5, 0.5, 0.5), (0.1, 0.1, 0.1))
    checkpoints.save(model, path, {"training_data": "phantom, tiny profile"})
    assert predict(echo, path).ef != pytest.approx(result.ef, abs=1e-4)  # the checkpoint's own grey levels are used


def test_a_network_that_gives_no_ef_is_refused(tmp_path):
    model = tiny_model()
    for task in ("mi", "motion"):
        model.task = task
        path = tmp_path / f"{task}.safetensors"
        checkpoints.save(model, path, {"training_data": "phantom, tiny profile"})
        with pytest.raises(CheckpointError, match="not an EF"):
            predict(write_avi(tmp_path / "echo.avi", FRAMES), path)
