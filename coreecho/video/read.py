"""One door for every echo file: the content decides how a file is read, its suffix only where the content is silent."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from coreecho.errors import VideoError
from coreecho.video.avi import count_opencv, read_opencv
from coreecho.video.base import MAX_BYTES, Video, check_count
from coreecho.video.dicom import count_dicom, read_dicom
from coreecho.video.gif import count_gif, read_gif
from coreecho.video.volume import volume_frames, volume_video

Kind = Literal["avi", "mp4", "gif", "dicom", "volume", "other"]

STILLS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
OTHER_VIDEOS = (b"\x1aE\xdf\xa3", b"\0\0\x01\xba", b"\0\0\x01\xb3", b"0&\xb2u\x8ef\xcf\x11", b"FLV\x01", b"OggS")
"""First bytes of Matroska/WebM, MPEG program and video streams, ASF/WMV, FLV and Ogg."""
DICOM_GROUPS = (b"\x08\0", b"\x02\0", b"\0\x08", b"\0\x02")


def read_video(
    path: Path | str,
    *,
    last: int | None = None,
    only: Collection[int] | None = None,
    min_frames: int = 2,
    max_bytes: int = MAX_BYTES,
) -> Video:
    """Decode an AVI, MP4, GIF, DICOM, NIfTI or MetaImage file, or another video that FFmpeg knows.

    Args:
        path: the file; told apart by content, so a wrong suffix does no harm.
        last: index of the last frame wanted (decoding stops there), or none for all.
        only: indices of the frames to keep, in the file's order, or none for all. Frames in between are not converted.
        min_frames: fewest frames that count as a clip; stills are refused by the default of 2.
        max_bytes: largest decoded size.

    Returns:
        frames (T, H, W, 3) in RGB, and what the file says of time and space.

    Raises:
        VideoError: when the file is missing, not a video, damaged, cut off, too short or too large.
    """
    path = Path(path)
    kind = kind_of(path)
    whole = last is None and only is None
    if kind in ("avi", "mp4", "other"):
        video = read_opencv(path, kind, last, only, max_bytes)
    else:
        video = _read_other(path, kind, last, min_frames if whole else 1, max_bytes)
        if only is not None:
            kept = [index for index in range(len(video)) if index in only]
            video = dataclasses.replace(video, frames=video.frames[kept])
    if whole:
        check_count(path, len(video), min_frames)
    return video


def _read_other(path: Path, kind: Kind, last: int | None, min_frames: int, limit: int) -> Video:
    if kind == "dicom":
        return read_dicom(path, last, min_frames, limit)
    return read_gif(path, last, limit) if kind == "gif" else volume_video(path, last, limit)


def count_frames(path: Path | str) -> int:
    """Number of frames by a look at the structure, without decoding; decoding may find fewer.

    Raises:
        VideoError: as `read_video`, where the header already shows it.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind == "dicom":
        return count_dicom(path)
    if kind == "gif":
        return count_gif(path)
    return volume_frames(path) if kind == "volume" else count_opencv(path, kind)


def is_video(path: Path | str) -> bool:
    """Whether the first bytes are those of a file that `read_video` knows (a stray text or system file is not)."""
    try:
        kind_of(Path(path))
    except VideoError:
        return False
    return True


def kind_of(path: Path) -> Kind:
    """How a file is read, by its first bytes.

    Raises:
        VideoError: when it is missing, empty, a still, a text, or unknown.
    """
    try:
        if not path.is_dir() and not stat.S_ISREG(path.stat().st_mode):
            raise VideoError(f"{path}: a pipe or device, not a file; give a file")
        with path.open("rb") as file:
            head = file.read(512)
    except (FileNotFoundError, ValueError):  # a null character in the name
        raise VideoError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise VideoError(f"{path}: cannot be opened ({error.strerror}); give a readable file") from error
    if not head:
        raise VideoError(f"{path.name}: the file is empty; copy it again")
    known = _by_content(head, path.name.lower())
    if known:
        return known
    for magic, name in STILLS.items():
        if head.startswith(magic):
            raise VideoError(f"{path.name}: a {name} still picture, not a clip; choose the moving loop of the study")
    if all(byte in b"\t\n\r\f\x1b" or byte >= 32 for byte in head):
        raise VideoError(f"{path.name}: a text or web page, not a video; download or export the clip again")
    raise VideoError(f"{path.name}: not a video that is known here; give AVI, MP4, GIF, DICOM, NIfTI or mhd")


def _by_content(head: bytes, name: str) -> Kind | None:
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return "mp4"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head[128:132] == b"DICM" or (name.endswith((".dcm", ".dicom")) and head[:2] in DICOM_GROUPS):
        return "dicom"
    if head[344:348] in (b"n+1\0", b"ni1\0") or name.endswith((".nii", ".nii.gz")):
        return "volume"
    if name.endswith((".mhd", ".mha")) and b"=" in head:
        return "volume"
    return "other" if head.startswith(OTHER_VIDEOS) else None
