"""Finding a data set below a folder: archives are unpacked twice, renamed and nested, so its root is looked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from coreecho.errors import DataError

DEPTH = 4
"""How many levels below the given folder are looked through."""
Entries = dict[str, Path]
"""What a folder holds: lower-case name -> path."""


def entries(folder: Path) -> tuple[Entries, Entries]:
    """The sub-folders and the files of a folder by lower-case name, in order; hidden ones are passed over.

    Raises:
        DataError: the folder cannot be listed.
    """
    folders: Entries = {}
    files: Entries = {}
    try:
        with os.scandir(folder) as found:
            for entry in sorted(found, key=lambda entry: entry.name):
                if not entry.name.startswith("."):
                    (folders if entry.is_dir(follow_symlinks=True) else files)[entry.name.lower()] = Path(entry.path)
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be listed ({error.strerror})") from None
    return folders, files


def find_below(folder: Path, matches: Callable[[Entries, Entries], bool], depth: int = DEPTH) -> list[Path]:
    """The folders, at most ``depth`` levels down, whose (sub-folders, files) match; nothing below a match is looked at.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the one that holds the data set")
    level, found = [folder], []
    for _ in range(depth + 1):
        below = []
        for place in level:
            folders, files = entries(place)
            if matches(folders, files):
                found.append(place)
            else:
                below += [path for path in folders.values() if not path.is_symlink()]
        level = below
    return found


def files_below(folder: Path, suffix: str, depth: int = 3) -> list[Path]:
    """All files with a suffix (any case) in the folder or up to ``depth`` levels below it, in order."""
    level, found = [folder], []
    for _ in range(depth + 1):
        below = []
        for place in level:
            folders, files = entries(place)
            found += [path for name, path in files.items() if name.endswith(suffix)]
            below += [path for path in folders.values() if not path.is_symlink()]
        level = below
    return found
