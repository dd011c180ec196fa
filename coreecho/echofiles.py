"""Which files of a folder are echo files, told by their first bytes or by their suffix; and what each is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from coreecho.errors import DataError
from coreecho.video import is_video

SUFFIXES = (".avi", ".mp4", ".mov", ".gif", ".dcm", ".dicom", ".nii", ".nii.gz", ".mhd", ".mha")
INDEX = "DICOMDIR"
"""Name of the table of contents of a DICOM export (PS3.10): a DICOM file by its first bytes, and never a clip."""


def find_files(paths: Sequence[str | Path]) -> tuple[list[Path], list[Path]]:
    """Echo files by name; a folder stands for those in it and below it, told by their first bytes or their suffix.

    What is found in a folder is sorted and begins with the folder as it was given. Hidden folders and links to folders
    are not searched: a link may lead back, or to files that nobody asked for.

    Returns:
        the files, and what lies in the folders but is no echo file (a system file, a text, a still, the index of a
        DICOM export, an empty folder, a folder that is not searched). A file that is called like one counts as one, so
        that a broken one is reported and not passed over.

    Raises:
        DataError: a folder holds no echo file, or may not be listed.
    """
    files: list[Path] = []
    skipped: list[Path] = []
    for path in map(Path, paths):
        if not _is_folder(path):
            files.append(path)
            continue
        inside = {each: _is_echo(each) for each in _below(path)}
        echoes = [each for each, echo in inside.items() if echo]
        others = [each for each, echo in inside.items() if not echo]
        if not echoes:
            more = "; hidden and linked folders are not searched" if any(map(unsearched, others)) else ""
            raise DataError(
                f"{path}: no echo file lies in this folder or below it{more}; give files, or a folder that holds some"
            )
        files += echoes
        skipped += others
    return files, skipped


def unsearched(path: Path) -> bool:
    """Whether `find_files` leaves a folder out because it is hidden or a link."""
    return (path.name.startswith(".") or path.is_symlink()) and path.is_dir()


def told_apart(paths: Sequence[Path], given: Sequence[Path], *, names: bool = True) -> dict[Path, str]:
    """What to call each file: its name; where others have the same, its path.

    Args:
        paths: all files that are named together.
        given: what was asked for: the files, or folders that they were found in.
        names: whether a name alone may do.

    Returns:
        a text for each path, different for different ones: the name, or the path below the folder that was given, or,
        where that is shared as well, all of the path as it was given.
    """
    unique = list(dict.fromkeys(paths))
    folders = set(given)

    def below(path: Path) -> str:
        folder = next((each for each in path.parents if each in folders), None)
        return str(path if folder is None else path.relative_to(folder))

    called: dict[Path, str] = {}
    forms: list[Callable[[Path], str]] = [lambda path: path.name, below, str]
    for form in forms if names else forms[1:]:
        left = [path for path in unique if path not in called]
        counts = Counter(map(form, left))
        called |= {path: form(path) for path in left if counts[form(path)] == 1}
    return called


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}); give a readable file or folder") from None


def _is_echo(path: Path) -> bool:
    if not path.is_file() or path.name.upper() == INDEX:
        return False
    return path.name.lower().endswith(SUFFIXES) or is_video(path)


def _below(folder: Path) -> list[Path]:
    """All files below a folder, sorted, and the folders below it that are empty or not searched.

    Raises:
        DataError: one of the folders may not be listed: what lies in it would be missing unseen.
    """
    found: list[Path] = []
    waiting = [folder]
    while waiting:
        at = waiting.pop()
        try:
            inside = list(at.iterdir())
            folders = {each for each in inside if each.is_dir() and not unsearched(each)}
        except OSError as error:
            raise DataError(
                f"{at}: this folder cannot be listed ({error.strerror}); make it readable, or give files"
            ) from None
        if not inside and at != folder:
            found.append(at)
        waiting += folders
        found += [each for each in inside if each not in folders]
    return sorted(found)
