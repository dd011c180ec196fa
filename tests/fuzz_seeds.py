"""A small valid file for every reader, and how it is read; `fuzzing` damages them."""

import argparse
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io
import torch
from helpers import (
    sector_frames,
    tiny_model,
    write_avi,
    write_camus_patient,
    write_echonet_folder,
    write_hmcqu_sheet,
    write_mhd,
    write_nifti,
)
from PIL import Image

from coreecho import checkpoints
from coreecho.datacheck import check_folder
from coreecho.datasets import Study, read_camus, read_echonet, read_hmcqu
from coreecho.datasets.starts import read_starts
from coreecho.records import PREDICTIONS, RECORD, Record, digest_of, read_record, write_record
from coreecho.settings import Profile, Run
from coreecho.study_video import read_mask, read_study
from coreecho.trainstate import TrainState
from coreecho.video import count_frames, read_video, read_volume, resample_seconds, to_square
from coreecho.video.pack import open_pack
from coreecho.video.packing import write_pack
from coreecho.weightfiles import read_weights


@dataclass(frozen=True)
class Reader:
    """How an example is made in a folder (its file is returned) and read."""

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    text: bool = False


def target(seeds: Path, reader: str) -> Path:
    """The file of a reader's example that is damaged."""
    return seeds / json.loads((seeds / "targets.json").read_text())[reader]


def write_all(seeds: Path) -> Path:
    """Every reader's example, each in a folder of its own."""
    targets = {}
    for name, reader in READERS.items():
        (seeds / name).mkdir(parents=True, exist_ok=True)
        targets[name] = str(reader.make(seeds / name).relative_to(seeds))
    (seeds / "targets.json").write_text(json.dumps(targets))
    (seeds.parent / "secret.txt").write_text("SECRET,1,2,3\n")
    return seeds


def frames():
    return sector_frames(6, 48, 64)[0]


def echonet(folder: Path) -> Path:
    rows = [(f"A{index}", "50", "40", "80", split) for index, split in enumerate(("TRAIN", "VAL", "TEST"))]
    return write_echonet_folder(folder, rows)


def read_list(path: Path) -> None:
    check_folder(path.parent)
    read_echonet(path.parent, skip_bad=True).fingerprint()


def hmcqu(folder: Path) -> Path:
    rows = [(f"ES000{index} _4CH_1", {"SEG3"} if index < 3 else set(), 1, 5, True) for index in range(5)]
    (folder / "HMC-QU" / "A4C").mkdir(parents=True)
    for name, *_ in rows:
        write_avi(folder / "HMC-QU" / "A4C" / f"{name}.avi", frames())
    return write_hmcqu_sheet(folder / "A4C.xlsx", rows)


def read_book(path: Path) -> None:
    check_folder(path.parent)
    read_hmcqu(path.parent, fold=0, skip_bad=True).fingerprint()


def mat(folder: Path, compressed: bool) -> Path:
    wall = np.zeros((6, 20, 20))
    wall[:, 5:9, 5:9] = 1
    scipy.io.savemat(folder / "Mask_A.mat", {"note": "x", "predicted": wall}, do_compression=compressed)
    return folder / "Mask_A.mat"


def read_wall(path: Path) -> None:
    read_mask(Study(id="A", path=path, label=1.0, split="test", mask=path))


def camus(folder: Path) -> Path:
    for number in range(10):
        write_camus_patient(folder / f"patient{number:04d}", frames=3)
    return folder / "patient0003" / "Info_4CH.cfg"


def read_patients(path: Path) -> None:
    folder = path.parents[1]
    check_folder(folder)
    data = read_camus(folder, fold=1, folds="contiguous", skip_bad=True)
    data.fingerprint()
    for study in data.studies[3:4]:
        read_study(study)
        read_mask(study)


def folds(folder: Path) -> Path:
    camus(folder)
    lists = folder / "lists"
    lists.mkdir()
    names = [f"patient{number:04d}" for number in range(10)]
    for fold in range(10):
        rest = [name for name in names if name != names[fold]]
        for part, told in (("training", rest[2:]), ("validation", rest[:2]), ("testing", [names[fold]])):
            (lists / f"subGroup{fold + 1}_{part}.txt").write_text("\n".join([*told, ""]))
    return lists / "subGroup3_training.txt"


def read_folds(path: Path) -> None:
    check_folder(path.parents[1])
    read_camus(path.parents[1], fold=0)


def mhd(folder: Path, compressed: bool = False) -> Path:
    return write_mhd(folder / "seq.mhd", frames())


def gif(folder: Path) -> Path:
    pictures = [Image.fromarray(frame) for frame in frames()]
    pictures[0].save(folder / "clip.gif", save_all=True, append_images=pictures[1:], duration=40, loop=0)
    return folder / "clip.gif"


def dicom(folder: Path, kind: str) -> Path:
    import pydicom
    from pydicom.encaps import encapsulate
    from test_video_dicom import make, regions

    path, grey = folder / "clip.dcm", frames()
    tags = {"SequenceOfUltrasoundRegions": regions((2, 2, 60, 46))}
    if kind == "jpeg":
        pieces = []
        for frame in grey:
            buffer = io.BytesIO()
            Image.fromarray(frame).convert("RGB").save(buffer, "JPEG")
            pieces.append(buffer.getvalue())
        syntax = pydicom.uid.JPEGBaseline8Bit
        return make(path, encapsulate(pieces), "YBR_FULL_422", syntax, frames=len(pieces), **tags)
    make(path, np.repeat(grey[..., None], 3, axis=-1), "RGB", **tags)
    if kind == "rle":
        data = pydicom.dcmread(path)
        data.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        data.save_as(path)
    return path


def read_clip(path: Path) -> None:
    """As far as the network's grid; the frame count too, whatever came of the decode."""
    try:
        video = to_square(read_video(path), 32)
        if video.fps:
            resample_seconds(video, 50)
    finally:
        count_frames(path)


def read_picture_series(path: Path) -> None:
    read_volume(path)
    read_clip(path)


def starts_csv(folder: Path) -> Path:
    rows = [f"A{index}.avi,{index},{index + 9},{index + 30}" for index in range(9)]
    (folder / "test_start_indexes.csv").write_text("\n".join(["FileName,start0,start1,start2", *rows, ""]))
    return folder / "test_start_indexes.csv"


def starts_pickle(folder: Path) -> Path:
    import pickle

    content = {f"A{index}": [index, np.int64(index + 9), index + 30] for index in range(9)}
    content |= {f"B{index}": np.array([index, 40, 80]) for index in range(9)}
    (folder / "test_start_indexes.pkl").write_bytes(pickle.dumps(content, protocol=4))
    return folder / "test_start_indexes.pkl"


def pack(folder: Path, name: str) -> Path:
    write_pack(read_echonet(echonet(folder / "data")), folder / "pack", progress=False)
    return folder / "pack" / name


def read_pack(path: Path) -> None:
    found = open_pack(path.parent)
    found.check(read_echonet(path.parents[1] / "data").studies)
    found.verify()
    for name in found:
        found.clip(name, [0])


def record(folder: Path, name: str) -> Path:
    import pandas as pd

    table = pd.DataFrame(
        {
            "protocol": "fixed3",
            "video": ["A", "B"],
            "clip": 0,
            "start": [0, 4],
            "label": [50.0, 60.0],
            "prediction": 5.5,
        }
    )
    profile = Profile(name="tiny", summary="tiny")
    write_record(
        Record(folder, "0" * 8, Run(), profile, {"name": "x"}, [{"epoch": 0}], {"fixed3": {"mae": 1.0}}, {}), table
    )
    return folder / name


def read_run(path: Path) -> None:
    read_record(path.parent).predictions("fixed3")


def read_run_resigned(path: Path) -> None:
    """With digests that fit, as a forger would write them, so that damage reaches what lies behind the check."""
    import hashlib

    source = path.parent / RECORD
    kept = source.read_bytes()
    try:
        content = json.loads(kept)
        content.pop("digest")
        content["predictions_sha256"] = hashlib.sha256((path.parent / PREDICTIONS).read_bytes()).hexdigest()
        source.write_text(json.dumps(content | {"digest": digest_of(content)}))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    try:
        read_run(path)
    finally:
        source.write_bytes(kept)


def last(folder: Path) -> Path:
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = TrainState("0" * 8)
    state.finish_epoch({"epoch": 0, "stage": 0, "val_mae": 1.0}, "mae", net)
    state.save(folder, {"objective": net.state_dict(), "optimizers": {"all": optimizer.state_dict()}})
    return folder / "last.pt"


def read_last(path: Path) -> None:
    TrainState("0" * 8).load(path.parent)


def own(folder: Path) -> Path:
    checkpoints.save(tiny_model(), folder / "model.safetensors", {"training_data": "phantom", "fps": 25.0})
    return folder / "model.safetensors"


def authors(folder: Path, modern: bool) -> Path:
    state = {f"module.layer{index}.weight": torch.ones(index + 1, 3) for index in range(4)}
    content = {"model": state, "regressor": {"0.weight": torch.ones(1, 4)}, "epoch": 3, "best_error": np.float64(4.2)}
    content["args"] = argparse.Namespace(lr=0.1)
    torch.save(content, folder / "last.pth", _use_new_zipfile_serialization=modern)
    return folder / "last.pth"


def video(suffix: str, codec: str) -> Callable[[Path], Path]:
    return lambda folder: write_avi(folder / f"clip{suffix}", frames(), codec=codec)


def part(make: Callable[..., Path], *arguments: object) -> Callable[[Path], Path]:
    return lambda folder: make(folder, *arguments)


READERS = {
    "echonet-list": Reader(lambda folder: echonet(folder) / "FileList.csv", read_list, text=True),
    "echonet-tracings": Reader(lambda folder: echonet(folder) / "VolumeTracings.csv", read_list, text=True),
    "hmcqu-book": Reader(hmcqu, read_book),
    "hmcqu-mask": Reader(part(mat, False), read_wall),
    "hmcqu-mask-compressed": Reader(part(mat, True), read_wall),
    "camus-cfg": Reader(camus, read_patients, text=True),
    "camus-folds": Reader(folds, read_folds, text=True),
    "nifti": Reader(lambda folder: write_nifti(folder / "a.nii", frames()), read_picture_series),
    "nifti-gz": Reader(lambda folder: write_nifti(folder / "a.nii.gz", frames()), read_picture_series),
    "mhd": Reader(mhd, read_picture_series, text=True),
    "raw": Reader(lambda folder: mhd(folder).with_suffix(".raw"), lambda path: read_clip(path.with_suffix(".mhd"))),
    "avi-mjpeg": Reader(video(".avi", "MJPG"), read_clip),
    "avi-mpeg4": Reader(video(".avi", "XVID"), read_clip),
    "avi-ffv1": Reader(video(".avi", "FFV1"), read_clip),
    "mp4": Reader(video(".mp4", "mp4v"), read_clip),
    "gif": Reader(gif, read_clip),
    "dicom": Reader(part(dicom, "plain"), read_clip),
    "dicom-rle": Reader(part(dicom, "rle"), read_clip),
    "dicom-jpeg": Reader(part(dicom, "jpeg"), read_clip),
    "starts-csv": Reader(starts_csv, read_starts, text=True),
    "starts-pickle": Reader(starts_pickle, read_starts),
    "pack-index": Reader(part(pack, "index.json"), read_pack, text=True),
    "pack-data": Reader(part(pack, "frames.u8"), read_pack),
    "record": Reader(part(record, RECORD), read_run, text=True),
    "record-forged": Reader(part(record, RECORD), read_run_resigned, text=True),
    "predictions-forged": Reader(part(record, PREDICTIONS), read_run_resigned),
    "resume": Reader(last, read_last),
    "checkpoint": Reader(own, checkpoints.load),
    "authors": Reader(part(authors, True), read_weights),
    "authors-old": Reader(part(authors, False), read_weights),
}
