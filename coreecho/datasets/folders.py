"""Finding a data set below a folder: archives are unpacked twice, renamed and nested, so its root is looked for.

Names are compared without case, since they change on their way over other file systems. Where several differ in
nothing else, the one that is spelt as asked for is taken, and none at all if there is no such one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from coreecho.errors import DataError

DEPTH = 4
"""How many levels below the given folder are looked through."""


class Entries(dict[str, Path]):
    """What a folder holds: lower-case name -> path."""

    def __init__(self, paths: Sequence[Path] = ()) -> None:
        """Keeps all paths of one lower-case name, of which the mapping itself has the last."""
        super().__init__((path.name.lower(), path) for path in paths)
        self.paths = tuple(paths)

    def one(self, name: str) -> Path | None:
        """The path with this name in whatever case, if there is one; see `pick`.

        Raises:
            DataError: several names differ in case only, and none is spelt so.
        """
        if name.lower() not in self:
            return None
        alike = [path for path in self.paths if path.name.lower() == name.lower()]
        found = pick(alike, name)
        if found is None:
            raise DataError(f"{several(alike)} in place of {name}")
        return found


def by_stem(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Files by lower-case name without suffix, for `pick` to choose from."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(path.stem.lower(), []).append(path)
    return found


def pick(alike: Sequence[Path], name: str) -> Path | None:
    """The path that ``name``, with or without suffix, stands for among paths that equal it but for case.

    None where there is no such path, or several of which not exactly one is spelt as asked for.
    """
    if len(alike) == 1:
        return alike[0]
    spelt = [path for path in alike if path.name == name] or [path for path in alike if path.stem == name]
    return spelt[0] if len(spelt) == 1 else None


def several(alike: Sequence[Path]) -> str:
    """What is wrong with paths of which `pick` can choose none, in words."""
    return f"several files but for case ({', '.join(path.name for path in alike)}; keep one)"


def contents(folder: Path) -> list[Path]:
    """All that lies in a folder, hidden or not, by name.

    Raises:
        DataError: the folder cannot be listed.
    """
    return [path for path, _ in _listed(folder)]


def entries(folder: Path) -> tuple[Entries, Entries]:
    """The sub-folders and the files of a folder by lower-case name, in order; hidden ones are passed over.

    Raises:
        DataError: the folder cannot be listed.
    """
    folders: list[Path] = []
    files: list[Path] = []
    for path, is_folder in _listed(folder):
        if not path.name.startswith("."):
            (folders if is_folder else files).append(path)
    return Entries(folders), Entries(files)


def _listed(folder: Path) -> list[tuple[Path, bool]]:
    """Everything in a folder by name, and whether it is a folder itself."""
    try:
        with os.scandir(folder) as found:
            return [(Path(entry.path), entry.is_dir()) for entry in sorted(found, key=lambda entry: entry.name)]
    except OSError as error:
        raise DataError(
            f"{folder}: the folder cannot be listed ({error.strerror}); change its permissions or copy it again"
        ) from None


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
                below += [path for path in folders.paths if not path.is_symlink()]
        level = below
    return found


def files_below(folder: Path, suffix: str, depth: int = 3) -> list[Path]:
    """All files with a suffix (any case) in the folder or up to ``depth`` levels below it, in order."""
    level, found = [folder], []
    for _ in range(depth + 1):
        below = []
        for place in level:
            folders, files = entries(place)
            found += [path for path in files.paths if path.name.lower().endswith(suffix)]
            below += [path for path in folders.paths if not path.is_symlink()]
        level = below
    return found
