"""Files made to do harm: names that lead out of a folder, pickles that run programs, sizes that fill the memory."""

import gzip
import json
import pickle
import resource
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzz_seeds import echonet, folds, frames, gif, hmcqu, last, own, pack
from helpers import write_avi, write_echonet_folder, write_hmcqu_sheet, write_mhd

from coreecho import checkpoints
from coreecho.cli import main
from coreecho.datacheck import Options, check_folder
from coreecho.datasets import Study, read_camus, read_echonet, read_hmcqu
from coreecho.datasets.starts import read_starts, starts_for
from coreecho.errors import CheckpointError, CoReEchoError, DataError, RecordError, VideoError
from coreecho.study_video import read_mask
from coreecho.trainstate import TrainState
from coreecho.video import Video, count_frames, read_video, read_volume, resample_seconds, to_square
from coreecho.video.pack import open_pack
from coreecho.weightfiles import read_weights

pytest.importorskip("nibabel")
pytest.importorskip("openpyxl")

LEADING_OUT = ("../secret", "../../secret", "/etc/passwd", "a/b", "a\\..\\secret", "sec\0ret")


@pytest.fixture
def data(tmp_path):
    """A folder for data; what lies beside it must stay unread."""
    write_avi(tmp_path / "secret.avi", frames())
    (tmp_path / "secret.raw").write_bytes(frames().tobytes())
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def little_memory():
    """At most 400 MB more than now may be asked for, so that what is refused is refused before."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + 400 * 2**20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def refusal(call, *arguments, kind=CoReEchoError, **options):
    with pytest.raises(kind) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert "MemoryError" not in message
    return message


@pytest.mark.parametrize("name", LEADING_OUT)
def test_a_list_that_names_a_file_elsewhere_is_refused_by_that_name(data, name):
    rows = [("A0", "50", "40", "80", "TRAIN"), ("A1", "50", "40", "80", "VAL"), ("A2", "50", "40", "80", "TEST")]
    write_echonet_folder(data, rows)
    text = (data / "FileList.csv").read_text()
    (data / "FileList.csv").write_text(text.replace("A2", name))
    message = refusal(read_echonet, data, untraced="keep")
    assert name in message
    assert "no such video" in message
    assert all(study.path.parent == data / "Videos" for study in read_echonet(data, skip_bad=True).studies)


@pytest.mark.parametrize("name", LEADING_OUT)
def test_lists_of_starts_and_folds_name_videos_not_files(data, name):
    (data / "s.csv").write_text(f"FileName,start0,start1,start2\n{name},1,2,3\n")
    assert "no starts for 1 of 1" in refusal(starts_for, ["A"], read_starts(data / "s.csv"), data / "s.csv")
    listed = folds(data / "camus")
    listed.write_text(listed.read_text() + name + "\n")
    assert "not a patient" in refusal(read_camus, data / "camus", fold=2)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b"])
def test_a_workbook_that_names_a_file_elsewhere_is_refused_by_that_name(data, name):
    hmcqu(data)
    rows = [(f"ES000{index} _4CH_1", {"SEG3"}, 1, 5, True) for index in range(4)]
    write_hmcqu_sheet(data / "A4C.xlsx", [*rows, (name, set(), 1, 5, True)])
    message = refusal(read_hmcqu, data, fold=0)
    assert name in message
    assert "no such video" in message
    stored = data / "folds.json"
    stored.write_text(json.dumps({"folds": [[name]] * 5}))
    assert "not five folds" in refusal(read_hmcqu, data, fold=0, skip_bad=True, folds_file=stored)


@pytest.mark.parametrize(
    "name", ["../secret.raw", "{outside}/secret.raw", "..\\secret.raw", "..", ".", "/", "sec\0ret.raw"]
)
def test_a_header_cannot_point_out_of_its_folder(data, name):
    path = write_mhd(data / "seq.mhd", frames())
    text = path.read_text().replace("seq.raw", name.format(outside=data.parent))
    path.write_text(text)
    assert "missing" in refusal(read_video, path, kind=VideoError)


@pytest.mark.parametrize("name", ["../A0", "/etc/passwd"])
def test_names_in_a_pack_are_names_only(data, name):
    index = pack(data, "index.json")
    content = json.loads(index.read_text())
    content["videos"][0]["id"] = name
    index.write_text(json.dumps(content))
    found = open_pack(index.parent)
    assert found.frames(name).shape[0] == 6, "its bytes come from the pack, whatever it is called"
    assert "stale" in refusal(found.check, read_echonet(data / "data").studies)


class Executed:
    """What a hostile pickle holds: loading it the usual way makes a file."""

    def __init__(self, marker, how):
        self.marker, self.how = marker, how

    def __reduce__(self):
        import os

        if self.how == "system":
            return os.system, (f"touch {self.marker}",)
        return (eval, (f"open({str(self.marker)!r}, 'w')",)) if self.how == "eval" else (open, (str(self.marker), "w"))


@pytest.mark.parametrize("how", ["system", "eval", "open"])
@pytest.mark.parametrize("kind", ["weights", "weights in the old layout", "bare pickle", "starts", "resume"])
def test_no_pickle_is_executed(data, how, kind):
    marker = data / "executed"
    hostile = Executed(marker, how)
    if kind == "starts":
        path = data / "test_start_indexes.pkl"
        path.write_bytes(pickle.dumps({"A": hostile}))
        message = refusal(read_starts, path, kind=DataError)
    elif kind == "resume":
        torch.save({**torch.load(last(data)), "history": hostile}, data / "last.pt")
        message = refusal(TrainState("0" * 8).load, data, kind=RecordError)
    else:
        path = data / "weights.pth"
        content = {"model": {"a": torch.ones(1)}, "regressor": {"b": torch.ones(1)}, "args": hostile}
        if kind == "bare pickle":
            path.write_bytes(pickle.dumps(hostile, protocol=4))
        else:
            torch.save(content, path, _use_new_zipfile_serialization=kind == "weights")
        message = refusal(read_weights, path, kind=CheckpointError)
        assert main(["predict", str(data.parent / "secret.avi"), "--checkpoint", str(path)]) == 2
    assert not marker.exists()
    assert str(data) in message
    pickle.loads(pickle.dumps(hostile))
    assert marker.exists(), "the pickle would have done harm"


def bomb(path, size, head=b""):
    """A gzip of ``size`` zeros after ``head``."""
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(head)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return path


def nifti_head(folder, **fields):
    import nibabel

    header = nibabel.Nifti1Header(endianness="<")
    header.set_data_dtype(np.uint8)
    header.set_data_shape((64, 48, 6))
    header["vox_offset"], header["magic"] = 352, b"n+1"
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock + b"\0\0\0\0"


@pytest.mark.usefixtures("little_memory")
def test_a_nifti_is_never_unpacked_beyond_what_its_pixels_take(data):
    many = bomb(data / "many.nii.gz", 600 << 20, nifti_head(data))
    assert read_volume(many)[0].shape == (6, 48, 64), "what follows the pixels is not unpacked"
    sides = np.array([3, 30000, 30000, 30000, 1, 1, 1, 1])
    for name, fields in {"wide": {"dim": sides}, "late": {"vox_offset": 2e9}, "nan": {"vox_offset": np.nan}}.items():
        path = bomb(data / f"{name}.nii.gz", 32 << 20, nifti_head(data, **fields))
        refusal(read_video, path, kind=VideoError)
        if name == "wide":
            assert "27000.0 GB" in refusal(read_video, path)
    extended = nifti_head(data)[:348] + b"\1\0\0\0" + struct.pack("<II", 0x7FFFFFF0, 4)
    assert read_volume(bomb(data / "notes.nii.gz", 32 << 20, extended))[0].shape == (6, 48, 64)


@pytest.mark.usefixtures("little_memory")
def test_metaimages_announce_in_vain(data):
    path = write_mhd(data / "seq.mhd", frames())
    text = path.read_text()
    for size in ("60000 60000 60000", "9" * 400 + " 2 2", "-4 4 4", "9" * 5000 + " 2 2"):
        path.write_text(text.replace("64 48 6", size))
        refusal(read_video, path, kind=VideoError)
    path.write_text(text.replace("ElementDataFile", "CompressedData = True\nElementDataFile"))
    packer = zlib.compressobj(9)
    packed = [*(packer.compress(bytes(1 << 20)) for _ in range(600)), packer.flush()]
    (data / "seq.raw").write_bytes(b"".join(packed))
    assert read_video(path).frames.shape == (6, 48, 64, 3), "no more is unpacked than the header needs"


@pytest.mark.usefixtures("little_memory")
def test_dicoms_announce_in_vain(data):
    pydicom = pytest.importorskip("pydicom")
    from test_video_dicom import make

    assert "GB" in refusal(read_video, make(data / "a.dcm", frames(), "MONOCHROME2", frames=10**9))
    assert "GB" in refusal(read_video, make(data / "b.dcm", frames(), "MONOCHROME2", Rows=65535, Columns=65535))
    assert "GB" in refusal(
        read_video, make(data / "c.dcm", frames(), "MONOCHROME2", Rows=1, Columns=1, frames=2**31 - 1)
    )
    path = make(data / "deflated.dcm", frames(), "MONOCHROME2", pydicom.uid.DeflatedExplicitVRLittleEndian)
    assert len(read_video(path)) == 6
    content = path.read_bytes()
    start = 144 + int(pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = zlib.decompress(content[start:], -15)
    packed = b"".join([packer.compress(body), *(packer.compress(bytes(1 << 24)) for _ in range(66)), packer.flush()])
    path.write_bytes(content[:start] + packed)
    assert "GB" in refusal(read_video, path)
    assert "GB" in refusal(count_frames, path)


@pytest.mark.usefixtures("little_memory")
def test_a_canvas_of_gigapixels_is_refused(data):
    path = gif(data)
    content = bytearray(path.read_bytes())
    for width, height in ((65535, 65535), (12000, 9000), (60000, 5000)):
        content[6:10] = struct.pack("<HH", width, height)
        path.write_bytes(content)
        refusal(read_video, path, kind=VideoError)


@pytest.mark.usefixtures("little_memory")
def test_an_avi_of_huge_frames_is_refused(data):
    path = write_avi(data / "clip.avi", frames())
    content = path.read_bytes()
    small, huge = struct.pack("<II", 64, 48), struct.pack("<II", 60000, 60000)
    path.write_bytes(content.replace(small, huge))
    assert read_video(path).frames.shape[1:] == (48, 64, 3), "the pictures themselves say how large they are"
    start = b"\xff\xc0\x00\x11\x08"
    sizes = content.split(start)
    assert len(sizes) > 6
    path.write_bytes(start.join([sizes[0], *(struct.pack(">HH", 60000, 60000) + part[4:] for part in sizes[1:])]))
    refusal(read_video, path, kind=VideoError)


@pytest.mark.usefixtures("little_memory")
def test_a_workbook_that_unpacks_to_gigabytes_is_refused(data):
    path = hmcqu(data)
    whole = {}
    with zipfile.ZipFile(path) as archive:
        whole = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in whole.items():
            archive.writestr(name, content)
        with archive.open("xl/media/zeros.bin", "w") as file:
            for _ in range(600):
                file.write(bytes(1 << 20))
    assert "unpacks to" in refusal(read_hmcqu, data, fold=0)
    laughs = "".join(f'<!ENTITY l{index} "{f"&l{index - 1};" * 10}">' for index in range(1, 10))
    text = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><sst><si><t>&l9;</t></si></sst>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in whole.items():
            archive.writestr(name, text if "workbook.xml" in name and "rels" not in name else content)
    assert "not a readable Excel workbook" in refusal(read_hmcqu, data, fold=0)


@pytest.mark.usefixtures("little_memory")
def test_outlines_that_unpack_to_gigabytes_are_refused(data):
    def element(kind, content):
        return struct.pack("<II", kind, len(content)) + content

    zeros = zlib.compressobj(9)
    packed = b"".join([*(zeros.compress(bytes(1 << 20)) for _ in range(600)), zeros.flush()])
    head = b"MATLAB 5.0".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    (data / "m.mat").write_bytes(head + element(15, packed))
    study = Study(id="A", path=data / "m.mat", label=1.0, split="test", mask=data / "m.mat")
    assert "unpacks to" in refusal(read_mask, study, kind=VideoError)
    array = element(6, struct.pack("<II", 6, 0)) + element(5, struct.pack("<iii", 30000, 20000, 2))
    array += b"\0" * (-len(array) % 8) + element(1, b"predicted".ljust(16, b"\0")) + element(9, bytes(8))
    (data / "m.mat").write_bytes(head + element(14, array))
    refusal(read_mask, study, kind=VideoError)


@pytest.mark.usefixtures("little_memory")
def test_weights_that_announce_gigabytes_are_refused(data):
    path = own(data)
    content = path.read_bytes()
    for length in (2**63, 2**40, 2**31, 10**8):
        path.write_bytes(struct.pack("<Q", length) + content[8:])
        assert "damaged" in refusal(checkpoints.load, path, kind=CheckpointError)
    net = data / "net.pth"
    torch.save({"model": {"a": torch.zeros(1 << 18)}}, net)
    with zipfile.ZipFile(net) as source, zipfile.ZipFile(data / "zip.pth", "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            target.writestr(part.filename, source.read(part))
    assert "compressed" in refusal(read_weights, data / "zip.pth", kind=CheckpointError)


HUGE = {
    "widths": ("encoder", {"widths": [64, 128, 10**6, 10**6]}),
    "depths": ("encoder", {"depths": [1, 1, 10**9, 1]}),
    "strides": ("encoder", {"strides": [10**6, 2, 2, 2]}),
    "hidden": ("head_hidden", 10**9),
    "dropout": ("head_dropout", 7.0),
    "clip": ("clip", {"frames": 10**6, "stride": 10**3}),
    "size": ("clip", {"size": 10**6}),
}


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("part", HUGE)
def test_a_description_of_a_network_larger_than_its_weights_is_refused(data, part):
    path = own(data)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    told = json.loads(header["__metadata__"]["coreecho"])
    name, value = HUGE[part]
    told[name] = {**told[name], **value} if isinstance(value, dict) else value
    header["__metadata__"]["coreecho"] = json.dumps(told)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    assert str(path) in refusal(checkpoints.load, path, kind=CheckpointError)


@pytest.mark.usefixtures("little_memory")
def test_a_frame_rate_cannot_fill_the_memory():
    video = Video(np.zeros((100, 112, 112, 3), np.uint8), 0.001)
    assert "cut the clip" in refusal(resample_seconds, video, 50, kind=VideoError)
    assert "cut the clip" in refusal(to_square, video, 10**5, kind=VideoError)


def test_an_odd_epoch_in_the_authors_file_does_no_harm(data):
    content = {"model": {"a": torch.ones(1)}, "regressor": {"b": torch.ones(1)}, "epoch": "many", "best_error": {}}
    torch.save(content, data / "a.pth")
    assert "do not fit" in refusal(checkpoints.load, data / "a.pth", kind=CheckpointError)


def test_links_that_lead_nowhere_are_named(data):
    """A link within a data folder is followed, since people keep videos on another disk; only videos are read so."""
    echonet(data)
    path = sorted((data / "Videos").glob("*.avi"))[0]
    path.unlink()
    path.symlink_to(data / "nowhere.avi")
    assert path.name in refusal(read_echonet(data).fingerprint)
    path.unlink()
    path.symlink_to("/etc/passwd")
    (report,) = check_folder(data)
    assert any(path.name in each for each in report.damaged)
    assert "root" not in report.text(Options()).replace(str(report.root), "")


def test_a_column_that_is_there_twice_is_not_chosen_between(data):
    echonet(data)
    lines = (data / "FileList.csv").read_text().splitlines()
    (data / "FileList.csv").write_text("\n".join([f"{lines[0]}, EF", *(f"{line},10" for line in lines[1:])]))
    assert "no single column EF" in refusal(read_echonet, data)


def test_fifos_and_devices_are_no_videos(data):
    import os

    os.mkfifo(data / "clip.avi")
    for path in (data / "clip.avi", Path("/dev/zero")):
        assert "not a file" in refusal(read_video, path, kind=VideoError)
