"""Small builders that several test files share."""

import dataclasses
import itertools

import cv2
import numpy as np
import torch

from coreecho.model import build_model
from coreecho.profiles import get_profile
from coreecho.runs import Place, ensure
from coreecho.settings import Run
from coreecho.settings_text import override
from coreecho.trainer import Trainer


def formula(stream: int, positions: np.ndarray) -> np.ndarray:
    """Integer hash from which all parity weights and inputs come: float64 in [-1, 1), bit-exact everywhere."""
    with np.errstate(over="ignore"):
        one = np.uint64(1)
        x = (positions.astype(np.uint64) + one) * np.uint64(0x9E3779B97F4A7C15)
        x += (np.uint64(stream) + one) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def fill_by_formula(module: torch.nn.Module, first_stream: int = 0) -> None:
    """Fill a module's state dict, key by key, with the float32 values of the parity fixtures."""
    state = module.state_dict()
    for i, (key, value) in enumerate(state.items()):
        v = formula(first_stream + i, np.arange(value.numel()))
        if key.endswith("num_batches_tracked"):
            v = np.zeros(1)
        elif key.endswith("running_mean"):
            v = 0.1 * v
        elif key.endswith("running_var"):
            v = 1 + 0.5 * v
        elif value.ndim > 1:
            v = v * np.sqrt(3 / value[0].numel())
        else:
            v = 0.1 * v if key.endswith(".bias") else 1 + 0.25 * v
        state[key] = torch.tensor(v.astype(np.float32)).reshape(value.shape).to(value.dtype)
    module.load_state_dict(state)


def formula_clip(frames: int, height: int, width: int, streams: tuple[int, int] = (100000, 100001)) -> torch.Tensor:
    """Input clip (1, 3, T, H, W), float32, of the parity fixtures: blocks of 2x8x8 plus fine detail."""
    c, t, h, w = np.indices((3, frames, height, width))
    blocks = formula(streams[0], ((c * 64 + t // 2) * 64 + h // 8) * 64 + w // 8)
    detail = formula(streams[1], np.arange(c.size).reshape(c.shape))
    return torch.tensor((blocks + 0.5 * detail).astype(np.float32))[None]


def sector_frames(count=12, height=120, width=160, seed=0):
    """A flickering sector with a beating dark cavity on black: (count, height, width) uint8, and its mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(float)
    radius, angle = np.hypot(y - 3, x - width / 2), np.arctan2(x - width / 2, y - 3)
    mask = (radius < 0.95 * height) & (np.abs(angle) < 0.75)
    frames = np.zeros((count, height, width), np.uint8)
    for index in range(count):
        beat = 1 + 0.2 * np.cos(2 * np.pi * index / count)
        inside = ((x - width / 2) / (0.13 * width * beat)) ** 2 + ((y - 0.47 * height) / (0.26 * height * beat)) ** 2
        level = np.where(inside < 1, 12, np.where(inside < 1.5, 150, 70))
        frames[index] = np.clip(level + rng.normal(0, 12, level.shape), 2, 255) * mask
    return frames, mask


def write_avi(path, frames, fps=50.0, codec="MJPG"):
    """Write grey (T, H, W) or RGB (T, H, W, 3) frames as a video with OpenCV."""
    frames = np.repeat(frames[..., None], 3, axis=-1) if frames.ndim == 3 else frames
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, frames.shape[2:0:-1])
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path


# A profile that trains in about a second: 8-frame clips of 32x32 and a narrow encoder.
TINY = override(
    get_profile("demo"),
    [
        "name=tiny",
        "phantom.train=8",
        "phantom.val=4",
        "phantom.test=5",
        "phantom.max_frames=44",
        "encoder.widths=[8,8,16,16]",
        "encoder.depths=[1,1,1,1]",
        "encoder.head_width=8",
        "encoder.dropout=0.1",
        "clip.frames=8",
        "clip.stride=2",
        "shared.batch_size=4",
        "shared.epochs=2",
        "shared.refine_epochs=2",
        "shared.selection_clips=1",
        "k400=none",
    ],
)


# Compared systems are trained by the shared recipe, whose batches the few videos fill.
TINY = dataclasses.replace(TINY, own={"pretext": TINY.own["pretext"]}, own_clips={"pretext": TINY.own_clips["pretext"]})


def tiny_place(phantom_folder, runs_dir):
    """Where tiny runs find the session's phantom; records go to ``runs_dir``."""
    return Place(data_root=phantom_folder.parent, runs_dir=runs_dir, device="cpu")


def tiny_model(seed=0, **recipe):
    torch.manual_seed(seed)
    return build_model(TINY.encoder, dataclasses.replace(TINY.shared, **recipe), 55.0, clip=TINY.clip)


def write_echonet_folder(folder, rows, tracings=None, encoding="utf-8", newline="\n", videos=None, size=32, frames=6):
    """A folder in EchoNet-Dynamic's format from rows (FileName, EF, ESV, EDV, Split) of text.

    Args:
        tracings: (FileName, Frame) rows; two frames of every listed video by default.
        videos: stems of the videos that exist; the listed ones by default.
    """
    stems = [row[0].split(".")[0] for row in rows]
    (folder / "Videos").mkdir(parents=True, exist_ok=True)
    lines = ["FileName,EF,ESV,EDV,Split", *(",".join(row) for row in rows)]
    (folder / "FileList.csv").write_bytes(newline.join([*lines, ""]).encode(encoding))
    tracings = [(f"{stem}.avi", frame) for stem in stems for frame in (1, 4)] if tracings is None else tracings
    lines = ["FileName,X1,Y1,X2,Y2,Frame", *(f"{name},1,2,3,4,{frame}" for name, frame in tracings)]
    (folder / "VolumeTracings.csv").write_text("\n".join([*lines, ""]))
    for stem in stems if videos is None else videos:
        write_avi(folder / "Videos" / f"{stem}.avi", sector_frames(frames, size, size)[0])
    return folder


def ensure_and_count(data_root, runs_dir, log):
    """Asks for one tiny run and adds a line to ``log`` for every training; for processes of their own."""
    original = Trainer.fit

    def fit(self):
        with log.open("a") as file:
            file.write("trained\n")
        return original(self)

    Trainer.fit = fit
    torch.set_num_threads(1)
    (record,) = ensure([Run(seed=5)], TINY, Place(data_root=data_root, runs_dir=runs_dir, device="cpu"))
    return record.key


def cavity_mask(count, height, width, grow=False):
    """Labels (count, height, width) of a cavity that shrinks (or grows) within muscle, with an atrium below."""
    y, x = np.mgrid[:height, :width].astype(float)
    labels = np.zeros((count, height, width), np.uint8)
    for index in range(count):
        done = index / max(count - 1, 1)
        scale = 0.75 + 0.25 * done if grow else 1 - 0.25 * done
        radius = np.hypot((x - width / 2) / (0.14 * width), (y - 0.45 * height) / (0.28 * height)) / scale
        labels[index] = np.where(radius < 1, 1, np.where(radius < 1.4, 2, np.where(y > 0.8 * height, 3, 0)))
    return labels


def write_nifti(path, frames, fps_axis=1.0, spacing=0.308):
    """Write (T, H, W) as CAMUS does: x first, (W, H, T)."""
    import nibabel

    image = nibabel.Nifti1Image(np.ascontiguousarray(frames.transpose(2, 1, 0)), np.diag([spacing, spacing, 1, 1]))
    image.header.set_zooms((spacing, spacing, fps_axis))
    nibabel.save(image, path)
    return path


def write_mhd(path, frames, spacing=(0.308, 0.154)):
    """Write (T, H, W) uint8 as MetaImage; ``spacing`` is the width and height of a pixel in mm."""
    count, height, width = frames.shape
    raw = path.with_suffix(".raw")
    raw.write_bytes(np.ascontiguousarray(frames).tobytes())
    lines = ["ObjectType = Image", "NDims = 3", "BinaryData = True", f"ElementSpacing = {spacing[0]} {spacing[1]} 1"]
    lines += [f"DimSize = {width} {height} {count}", "ElementType = MET_UCHAR", f"ElementDataFile = {raw.name}"]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_camus_patient(folder, frames=8, ed=1, es=None, newline="\n", other_quality=None, suffix=".nii.gz", **info):
    """A patient of CAMUS's NIfTI release, four-chamber view; ``info`` changes lines of the cfg file (None: left out).

    The sequence runs as ED and ES say: with ``es`` < ``ed`` it starts at end-systole. Without ``frames`` the sequence
    is an empty file.
    """
    count = frames or 8
    es = count if es is None else es
    folder.mkdir(parents=True, exist_ok=True)
    values = {"ED": ed, "ES": es, "NbFrame": count, "Sex": "F", "ImageQuality": "Good", "EF": 50, "FrameRate": 50.0}
    lines = [f"{key}: {value}" for key, value in (values | info).items() if value is not None]
    (folder / "Info_4CH.cfg").write_bytes(newline.join([*lines, ""]).encode())
    if other_quality:
        text = f"ED: 1\nES: {count}\nNbFrame: {count}\nImageQuality: {other_quality}\nEF: {values['EF']}\n"
        (folder / "Info_2CH.cfg").write_text(text)
    stem = folder / f"{folder.name}_4CH_half_sequence"
    if not frames:
        stem.with_name(f"{stem.name}{suffix}").write_bytes(b"")
        return folder
    labels = cavity_mask(frames, 48, 64, grow=es < ed)
    picture = np.choose(labels, [40, 5, 160, 20]).astype(np.uint8)
    write_nifti(stem.with_name(f"{stem.name}{suffix}"), picture)
    write_nifti(stem.with_name(f"{stem.name}_gt{suffix}"), labels)
    return folder


def write_hmcqu_sheet(path, rows, masks=True, footnote=False):
    """An HMC-QU workbook with its merged two-row header.

    Args:
        rows: (name, set of infarcted segments, first frame, last frame, has a mask).
        masks: whether there is a mask column (not in A2C).
    """
    import openpyxl
    from openpyxl.styles import Font

    segments = ["SEG3", "SEG9", "SEG14", "SEG16", "SEG12", "SEG6"]
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Tabelle1"
    sheet.append(["ECHO", "LABEL", *[None] * 5, "One cardiac-cycle frames", None])
    sheet.append([None, *segments, "Reference Frame", "End of Cycle"])
    for cells in ("A1:A2", "B1:G1", "H1:I1"):
        sheet.merge_cells(cells)
    for name, infarcted, first, last, masked in rows:
        labels = ["MI" if segment in infarcted else "non-MI" for segment in segments]
        sheet.append([name, *labels, first, last, *(["\xfc" if masked else "\xfb"] if masks else [])])
        if masks:
            sheet.cell(sheet.max_row, 10).font = Font(name="Wingdings")
    if masks:
        sheet["J1"], sheet["J2"] = "LV Wall Ground-truth Segmentation Masks", "Available: \xfc Not Available: \xfb"
    if footnote:
        sheet.append([None])
        sheet.append(["* recorded elsewhere"])
    book.save(path)
    return path


def digests(folder):
    """SHA-256 of every file below a folder, by its path within."""
    import hashlib

    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def picture_difference(one, other, patch=15):
    """Mean difference (0 to 255) of two pictures' patches in the colour that differs most; infinite if sizes differ.

    Averages over patches do not see how a letter's edge is drawn, but they see other points, lines or words.
    """
    if one.shape != other.shape:
        return np.inf
    size = (one.shape[1] // patch, one.shape[0] // patch)
    small = [cv2.resize(each.astype(np.float32), size, interpolation=cv2.INTER_AREA) for each in (one, other)]
    return float(np.abs(small[0] - small[1]).max(axis=2).mean())


def pair_differences(source, notebook):
    """Where a notebook's source and its executed twin differ: kind, text or tags of a cell; outputs do not count."""

    def cells(pages):
        return [(cell.cell_type, cell.source, sorted(cell.metadata.get("tags", []))) for cell in pages.cells]

    found = []
    for number, (one, other) in enumerate(itertools.zip_longest(cells(source), cells(notebook)), start=1):
        if one != other:
            whole = one and other and one[1] == other[1]
            told = ["nothing" if each is None else repr(each if whole else each[1]) for each in (one, other)]
            found.append(f"cell {number}: source has {told[0]}, notebook {told[1]}")
    return found
