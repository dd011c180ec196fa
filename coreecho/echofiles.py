"""Which files of a folder are echo files, told by their first bytes or by their suffix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from coreecho.errors import DataError
from coreecho.video import is_video

SUFFIXES = (".avi", ".mp4", ".mov", ".gif", ".dcm", ".dicom", ".nii", ".nii.gz", ".mhd", ".mha")


def find_files(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Echo files by name; a folder stands for those that lie in it, sorted, told by their first bytes or their suffix.

    Returns:
        the files, and what lies in the folders but is no echo file (a system file, a text, a still, a folder). A file
        that is called like one counts as one, so that a broken one is reported and not passed over.

    Raises:
        DataError: a folder holds no echo file.
    """
    files: list[Path] = []
    skipped: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(path.iterdir())
        echoes = [
            each for each in inside if each.is_file() and (each.name.lower().endswith(SUFFIXES) or is_video(each))
        ]
        if not echoes:
            raise DataError(f"{path}: no echo file lies in this folder; give files, or a folder that holds some")
        files += echoes
        skipped += [each for each in inside if each not in echoes]
    return files, skipped
