"""DICOM clips of every pixel kind give the same picture, and nothing of the patient leaves the file."""

import io
import logging
import traceback
import warnings

import numpy as np
import pytest
from helpers import sector_frames
from PIL import Image

from coreecho.errors import VideoError
from coreecho.video import count_frames, read_video

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless  # noqa: E402

NAME = "SECRETNAME^JANE"


@pytest.fixture(scope="module")
def grey():
    return sector_frames(6, 48, 64)[0]


def make(path, stored, kind, syntax=ExplicitVRLittleEndian, bits=8, frames=None, **tags):
    """Write (T, H, W) or (T, H, W, 3) values, or encapsulated bytes, as an ultrasound file."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.3"
    data = Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = meta.MediaStorageSOPClassUID, "1.2.3", "US"
    data.PatientName, data.PatientID, data.PatientBirthDate = NAME, "SECRETID", "19340506"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = (
        (16 if bits > 8 else 8),
        bits,
        bits - 1,
        0,
    )
    data.PhotometricInterpretation = kind
    data.Rows, data.Columns = (48, 64) if isinstance(stored, bytes) else stored.shape[1:3]
    colour = kind.startswith(("RGB", "YBR"))
    data.SamplesPerPixel = 3 if colour else 1
    if colour:
        data.PlanarConfiguration = 0
    data.NumberOfFrames = frames if frames is not None else len(stored)
    data.FrameTime, data.FrameIncrementPointer = 20.0, 0x00181063
    for tag, value in tags.items():
        if value is None:
            delattr(data, tag)
        else:
            setattr(data, tag, value)
    data.PixelData = stored if isinstance(stored, bytes) else stored.tobytes()
    data["PixelData"].VR = "OW" if bits > 8 else "OB"
    data.save_as(path, enforce_file_format=True)
    return path


def regions(*boxes, data_type=1):
    items = []
    for left, top, right, bottom in boxes:
        item = Dataset()
        item.RegionSpatialFormat, item.RegionDataType = 1, data_type
        item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
        item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
        item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
        item.PhysicalDeltaX, item.PhysicalDeltaY = 0.03, 0.05
        items.append(item)
    return items


def palette_tags(table):
    tags = {}
    for name, values in zip(("Red", "Green", "Blue"), table, strict=True):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{name}PaletteColorLookupTableData"] = values.astype("<u2").tobytes()
    return tags


def test_every_pixel_kind_gives_the_same_grey_clip(tmp_path, grey):
    rgb = np.repeat(grey[..., None], 3, axis=-1)
    order = np.random.default_rng(0).permutation(256)
    files = [
        make(tmp_path / "mono2.dcm", grey, "MONOCHROME2"),
        make(tmp_path / "mono1.dcm", 255 - grey, "MONOCHROME1"),
        make(tmp_path / "mono12.dcm", grey.astype("<u2") << 4, "MONOCHROME2", bits=12),
        make(tmp_path / "rgb.dcm", rgb, "RGB"),
        make(tmp_path / "planar.dcm", np.moveaxis(rgb, -1, 1), "RGB", PlanarConfiguration=1, Rows=48, Columns=64),
        make(tmp_path / "palette.dcm", np.argsort(order).astype(np.uint8)[grey], "PALETTE COLOR",
             **palette_tags([order << 8] * 3)),
        make(tmp_path / "palette8.dcm", np.argsort(order).astype(np.uint8)[grey], "PALETTE COLOR",
             **palette_tags([order] * 3)),
        make(tmp_path / "window.dcm", (grey.astype("<u2") + 1000), "MONOCHROME2", bits=12,
             WindowCenter=1128, WindowWidth=256),
    ]  # fmt: skip
    for file in files:
        video = read_video(file)
        assert video.frames.shape == (6, 48, 64, 3), file.name
        assert np.abs(video.frames.astype(int) - grey[..., None]).max() <= 2, file.name
        assert (video.fps, count_frames(file)) == (50.0, 6)


def test_ybr_jpeg_is_converted_exactly_once(tmp_path, grey):
    colour = np.repeat(grey[..., None], 3, axis=-1)
    colour[:, 4:20, 4:20] = (0, 200, 0)
    frames = []
    for frame in colour:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=95)
        frames.append(buffer.getvalue())
    path = make(tmp_path / "ybr.dcm", encapsulate(frames), "YBR_FULL_422", JPEGBaseline8Bit, frames=6)
    found = read_video(path).frames.astype(int)
    assert np.abs(found[:, 6:18, 6:18] - (0, 200, 0)).mean() < 6
    tissue = found[:, 24:, 24:]
    assert np.abs(tissue[..., 0] - tissue[..., 1]).max() < 6
    assert np.abs(tissue - grey[:, 24:, 24:, None]).mean() < 4
    np.testing.assert_array_equal(read_video(path, last=2).frames, found[:3])


def test_lossless_jpeg_2000_keeps_every_pixel(tmp_path, grey):
    frames = []
    for frame in grey:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
        frames.append(buffer.getvalue())
    path = make(tmp_path / "j2k.dcm", encapsulate(frames), "MONOCHROME2", JPEG2000Lossless, frames=len(grey))
    np.testing.assert_array_equal(read_video(path).frames, np.repeat(grey[..., None], 3, axis=-1))


def test_rle_is_lossless(tmp_path, grey):
    path = make(tmp_path / "rle.dcm", np.repeat(grey[..., None], 3, axis=-1), "RGB")
    data = pydicom.dcmread(path)
    data.compress(RLELossless, generate_instance_uid=False)
    data.save_as(path)
    np.testing.assert_array_equal(read_video(path).frames[..., 2], grey)


@pytest.mark.parametrize(
    ("tags", "fps"),
    [
        ({"FrameTime": 40.0}, 25.0),
        ({"FrameTimeVector": [0, 25, 25, 25, 25, 25], "FrameIncrementPointer": 0x00181065}, 40.0),
        ({"FrameTime": None, "CineRate": "30"}, 30.0),
        ({"FrameTime": None, "RecommendedDisplayFrameRate": "60"}, 60.0),
        ({"FrameTime": 0.0}, None),
        ({"FrameTime": None}, None),
    ],
)
def test_frame_rate_comes_from_the_tag_that_knows(tmp_path, grey, tags, fps):
    video = read_video(make(tmp_path / "t.dcm", grey, "MONOCHROME2", **tags))
    assert video.fps == fps
    assert ("the file states no usable frame rate" in video.notes) == (fps is None)


def test_regions_that_fit_are_used_and_others_ignored(tmp_path, grey):
    def read(items):
        return read_video(make(tmp_path / "r.dcm", grey, "MONOCHROME2", SequenceOfUltrasoundRegions=items))

    fitting = read(regions((4, 2, 59, 45)))
    assert fitting.region == (4, 2, 60, 46)
    assert fitting.spacing == pytest.approx((0.5, 0.3))
    assert fitting.notes == ()
    too_large = read(regions((20, 4, 300, 236)))
    assert (too_large.region, too_large.spacing) == (None, None)
    assert any("does not fit" in note for note in too_large.notes)
    assert read(regions((0, 0, 9, 9), (10, 2, 59, 45))).region == (10, 2, 60, 46)
    assert read(regions((4, 2, 59, 45), data_type=10)).region is None


def test_stills_bombs_and_damage_are_refused_before_decoding(tmp_path, grey):
    with pytest.raises(VideoError, match="still picture, not a clip"):
        read_video(make(tmp_path / "one.dcm", grey[:1], "MONOCHROME2"))
    bomb = make(tmp_path / "bomb.dcm", grey, "MONOCHROME2", frames=900_000)
    with pytest.raises(VideoError, match="announces 8"):
        read_video(bomb)
    short = make(tmp_path / "short.dcm", grey, "MONOCHROME2", frames=9)
    with pytest.raises(VideoError, match=r"short\.dcm: damaged"):
        read_video(short)
    no_decoder = make(
        tmp_path / "jls.dcm", encapsulate([b"\xff\xd8\xff\xd9"] * 2), "MONOCHROME2", JPEGLSLossless, frames=2
    )
    with pytest.raises(VideoError, match=r"jls\.dcm"):
        read_video(no_decoder)


def test_no_pixels_and_no_pydicom(tmp_path, grey, monkeypatch):
    path = make(tmp_path / "report.dcm", grey, "MONOCHROME2")
    data = pydicom.dcmread(path)
    for tag in ("PixelData", "Rows", "Columns"):
        delattr(data, tag)
    data.save_as(path)
    with pytest.raises(VideoError, match="without a picture"):
        read_video(path)
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(VideoError, match=r"pip install 'coreecho\[dicom\]'"):
        read_video(path)


def damaged(path):
    data = bytearray(path.read_bytes())
    place = data.index(b"\x28\x00\x10\x00US")
    data[place + 8 : place + 10] = b"\x39\x30"  # Rows: 12345
    path.write_bytes(data)
    return path


@pytest.mark.filterwarnings("ignore:Invalid value for VR DA")
def test_nothing_of_the_patient_leaves_the_file(tmp_path, grey, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    outsized = regions((20, 4, 300, 236))
    files = [
        make(tmp_path / "a.dcm", grey, "MONOCHROME1", SequenceOfUltrasoundRegions=outsized),
        make(tmp_path / "b.dcm", grey[:1], "MONOCHROME2"),
        damaged(make(tmp_path / "c.dcm", grey, "MONOCHROME2")),
        make(tmp_path / "d.dcm", grey, "MONOCHROME2", PatientBirthDate="SECRETDATE"),
    ]
    capfd.readouterr()
    caplog.clear()
    said = ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for file in files:
            try:
                video = read_video(file)
                said += repr(video) + str(video.notes)
            except VideoError as error:
                trace = traceback.format_exception(error)
                said += "".join(trace)
                said += str(error)
    out, err = capfd.readouterr()
    said += out + err + caplog.text + "".join(str(warning.message) for warning in caught)
    assert "a.dcm" not in repr(video)
    assert "b.dcm" in said
    assert "c.dcm" in said
    for word in ("SECRET", "JANE", "19340506"):
        assert word not in said


def test_a_real_clip_of_pydicom():
    video = read_video(pydicom.data.get_testdata_file("examples_ybr_color.dcm"))
    assert video.frames.shape == (30, 240, 320, 3)
    assert video.fps == pytest.approx(30, abs=0.01)
    tissue = video.frames[:, 60:180, 120:200].astype(int)
    assert np.abs(tissue[..., 0] - tissue[..., 1]).max() < 12
