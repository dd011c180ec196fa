"""Who a patient is stays in the file: nothing that is printed, written, drawn or shown to the network tells it."""

import io
import json
import struct

import cv2
import numpy as np
import pytest
from helpers import sector_frames, write_avi, write_echonet_folder
from PIL import Image

from coreecho import predict
from coreecho.cli import main
from coreecho.video import crop_to_fan, fan_mask, read_video

pydicom = pytest.importorskip("pydicom")
nibabel = pytest.importorskip("nibabel")
from test_video_dicom import make, regions  # noqa: E402

NAME, IDENTITY, BORN, DAY, SITE, UID = "Plantagenet", "ID-77123", "19610203", "20260914", "Elsewhere", "99999.4711"
PLANTED = (NAME, IDENTITY, BORN, DAY, SITE, UID, "1961-02-03", "2026-09-14")
NOTE = f"{NAME}^Edmund {IDENTITY} {BORN} {DAY} {SITE} {UID}"
FORMATS = ("clip.dcm", "clip.avi", "clip.gif", "clip.nii", "clip.mhd")


def picture(text=""):
    """A sector of 32 frames with letters beside it, (T, H, W, 3), and where the letters are."""
    frames = np.repeat(sector_frames(32, 240, 320)[0][..., None], 3, axis=-1)
    letters = np.zeros(frames.shape[1:], np.uint8)
    for row, part in enumerate(text.split()):
        cv2.putText(letters, part, (2, 14 + 18 * row), cv2.FONT_HERSHEY_PLAIN, 0.8, (255, 255, 255))
        cv2.putText(letters, part[:6], (250, 14 + 18 * row), cv2.FONT_HERSHEY_PLAIN, 0.8, (255, 255, 255))
    free = cv2.dilate(frames.max(axis=(0, 3)), np.ones((9, 9))) == 0
    outside = free & (letters.max(axis=-1) > 0)
    frames[:, outside] = letters[outside]
    return frames, outside


def write_dicom(path, frames):
    tags = {
        "PatientName": f"{NAME}^Edmund", "PatientID": IDENTITY, "PatientBirthDate": BORN, "StudyDate": DAY,
        "SeriesDate": DAY, "AcquisitionDateTime": f"{DAY}120000", "ContentDate": DAY, "InstitutionName": SITE,
        "InstitutionAddress": SITE, "ReferringPhysicianName": NAME, "OperatorsName": NAME, "OtherPatientNames": NAME,
        "PatientComments": NOTE, "ImageComments": NOTE, "StudyDescription": NOTE[:64], "SeriesDescription": NOTE[:64],
        "AccessionNumber": IDENTITY, "StationName": SITE, "StudyInstanceUID": f"1.2.{UID}", "PatientAddress": SITE,
        "SeriesInstanceUID": f"1.3.{UID}", "FrameOfReferenceUID": f"1.4.{UID}", "StudyID": IDENTITY,
        "RequestAttributesSequence": [pydicom.Dataset()], "SequenceOfUltrasoundRegions": regions((0, 0, 319, 239)),
    }  # fmt: skip
    tags["SequenceOfUltrasoundRegions"][0].PhysicalDeltaY = 0.03
    tags["RequestAttributesSequence"][0].ScheduledProcedureStepDescription = NOTE[:64]
    make(path, frames, "RGB", **tags)
    data = pydicom.dcmread(path)
    data.private_block(0x0009, f"{SITE} 1", create=True).add_new(1, "LT", NOTE)
    data.private_block(0x7FE1, f"{SITE} 2", create=True).add_new(1, "UT", NOTE)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = f"1.5.{UID}"
    data.save_as(path)


def add_note_to_avi(path):
    """An INFO list as recorders write it, within the RIFF part."""
    text = NOTE.encode() + b"\0" * (2 - len(NOTE) % 2)
    parts = b"".join(name + struct.pack("<I", len(text)) + text for name in (b"INAM", b"ICMT", b"IART", b"ISBJ"))
    content = bytearray(path.read_bytes() + b"LIST" + struct.pack("<I", len(parts) + 4) + b"INFO" + parts)
    content[4:8] = struct.pack("<I", len(content) - 8)
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """One clip in five formats, each with a patient in whatever place the format has for texts."""
    folder = tmp_path_factory.mktemp("studies")
    frames, _ = picture(NOTE)
    write_dicom(folder / "clip.dcm", frames)
    add_note_to_avi(write_avi(folder / "clip.avi", frames))
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(
        folder / "clip.gif", save_all=True, append_images=images[1:], duration=40, comment=NOTE.encode(), loop=0
    )
    image = nibabel.Nifti1Image(np.ascontiguousarray(frames[..., 0].transpose(2, 1, 0)), np.eye(4))
    image.header["descrip"], image.header["db_name"] = NOTE.encode()[:79], NAME.encode()
    image.header["intent_name"], image.header["aux_file"] = IDENTITY.encode(), BORN.encode()
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", NOTE.encode()))
    nibabel.save(image, folder / "clip.nii")
    header = f"ObjectType = Image\nPatientName = {NOTE}\nComment = {NOTE}\nNDims = 3\nDimSize = 320 240 32\n"
    (folder / "clip.mhd").write_text(f"{header}ElementType = MET_UCHAR\nElementDataFile = clip.raw\n")
    (folder / "clip.raw").write_bytes(np.ascontiguousarray(frames[..., 0]).tobytes())
    for name in FORMATS:
        assert NAME.encode() in (folder / name).read_bytes(), name
    return folder


@pytest.fixture
def said(capsys, caplog):
    """Runs the command line and gives (status, all that it said)."""

    def run(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        return status, out + err + caplog.text

    return run


def texts(folder):
    """Everything below a folder as text: the bytes, and what PNG files keep compressed."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            found += [path.name, content.decode("latin-1"), content.decode("utf-16-le", errors="ignore")]
            if content.startswith(b"\x89PNG"):
                with Image.open(io.BytesIO(content)) as image:
                    image.load()
                    found += [f"{key} {value}" for key, value in image.info.items()]
    return found


def leaks(parts):
    return sorted({planted for planted in PLANTED for part in parts if planted.lower() in part.lower()})


@pytest.mark.parametrize("name", FORMATS)
def test_no_form_of_a_prediction_names_the_patient(studies, checkpoint, said, tmp_path, name):
    heard = []
    for number, form in enumerate(([], ["--json"], ["--protocol", "paper"])):
        out = tmp_path / str(number)
        options = ["--checkpoint", checkpoint, "--figure", out / "figure.png", "--csv", out / "table.csv", *form]
        status, text = said("predict", studies / name, *options)
        assert status == 0, text
        assert name in text
        heard.append(text)
    assert (tmp_path / "0" / "figure.png").is_file()
    assert leaks([*heard, *texts(tmp_path)]) == []


def damaged(content):
    """Cut and disfigured copies of a file."""
    yield from (content[: len(content) * part // 8] for part in (1, 4, 7))
    yield content[:-3]
    rng = np.random.default_rng(0)
    for _ in range(4):
        copy = bytearray(content)
        for place in rng.integers(min(len(copy), 3000), size=12):
            copy[place] ^= 1 << int(rng.integers(8))
        yield bytes(copy)
    for word in (NAME, BORN):
        yield content.replace(word.encode(), word.encode()[:-1] + b"\xff")
        place = content.find(word.encode())
        yield content[:place] + struct.pack("<I", 0x7FFFFFFF) + content[place + 4 :]


@pytest.mark.parametrize("name", FORMATS)
def test_no_error_names_the_patient(studies, checkpoint, said, tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name == "clip.mhd":
        (tmp_path / "clip.raw").write_bytes((studies / "clip.raw").read_bytes())
    heard, failed = [], 0
    for content in damaged((studies / name).read_bytes()):
        (tmp_path / name).write_bytes(content)
        status, text = said("predict", tmp_path / name, "--checkpoint", checkpoint, "--json")
        assert status in (0, 2), text
        assert "Traceback" not in text
        failed += status == 2
        heard.append(text)
    heard.append(said("data", "check", tmp_path, "--decode")[1])
    assert failed >= 4
    assert leaks(heard) == []
    assert {path.name for path in tmp_path.iterdir()} <= {name, "clip.raw"}


def test_many_files_and_checks_name_no_patient(studies, checkpoint, said, tmp_path):
    options = ["--checkpoint", checkpoint, "--figure", tmp_path / "figures", "--csv", tmp_path / "table.csv"]
    heard = [said("predict", studies, *options)]
    heard += [said("data", "check", studies, *extra) for extra in ([], ["--json"], ["--decode"])]
    assert [status for status, _ in heard] == [0, 0, 0, 0], heard
    assert len(list((tmp_path / "figures").iterdir())) == len(FORMATS)
    assert leaks([text for _, text in heard] + texts(tmp_path)) == []


def test_a_pack_and_a_check_of_a_data_set_name_no_patient(said, tmp_path):
    rows = [(f"A{index}", "50", "40", "80", split) for index, split in enumerate(("TRAIN", "VAL", "TEST"))]
    data = write_echonet_folder(tmp_path / "data", rows)
    for path in (data / "Videos").iterdir():
        add_note_to_avi(path)
    heard = [said("data", "check", data, *extra) for extra in ([], ["--json"], ["--decode"])]
    heard.append(said("data", "pack", data, tmp_path / "out" / "pack"))
    heard.append(said("data", "verify", tmp_path / "out" / "pack", data))
    assert [status for status, _ in heard] == [0] * 5, heard
    assert leaks([text for _, text in heard] + texts(tmp_path / "out")) == []


@pytest.mark.parametrize("name", FORMATS)
def test_letters_beside_the_sector_do_not_reach_the_network(studies, checkpoint, tmp_path, name):
    letters = picture(NOTE)[1]
    assert letters.sum() > 300
    video = read_video(studies / name)
    assert video.frames[:, letters].mean() > 120, "they are bright in the file"
    mask = fan_mask(video.frames, video.region)
    assert 0.4 < mask.mean() < 0.7
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    shown = crop_to_fan(video).frames  # coded with loss, letters close to the sector lie within it, but are blacked out
    assert shown[:, letters[box]].mean() < 1
    assert shown[:, ~letters[box]].mean() > 25, "and the heart is there"
    result = predict(studies / name, checkpoint, protocol="seconds")
    write_dicom(tmp_path / "plain.dcm", picture()[0])
    plain = predict(tmp_path / "plain.dcm", checkpoint, protocol="seconds")
    assert result.frames.mean() > 20
    if name == "clip.dcm":
        assert np.array_equal(result.frames, plain.frames), "as if the letters had never been written"
        assert result.ef == plain.ef


def test_a_checkpoint_tells_only_what_its_maker_wrote(checkpoint):
    content = checkpoint.read_bytes()
    size = int.from_bytes(content[:8], "little")
    told = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["coreecho"])
    assert told["training_data"] == "phantom, tiny profile"
    assert told["provenance"] == {}
