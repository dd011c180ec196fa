"""What a mistyped name was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from coreecho.errors import SettingsError

SHOWN = 3


def alike(word: str, known: Iterable[str]) -> list[str]:
    """Up to three names like ``word``, the likest first; a name's last part, after a dot or a space, counts as one."""
    names = {name.lower(): name for name in known}
    by_end = {name.replace(" ", ".").rpartition(".")[2]: names[name] for name in reversed(names)}
    close = get_close_matches(word.lower(), names, SHOWN)
    ends = get_close_matches(word.lower(), by_end, SHOWN)
    return list(dict.fromkeys([*(names[name] for name in close), *(by_end[end] for end in ends)]))[:SHOWN]


def guess(word: str, known: Iterable[str]) -> str:
    """``did you mean a, b? `` with what is like ``word``, or nothing."""
    found = alike(word, known)
    return f"did you mean {', '.join(found)}? " if found else ""


def require(what: str, word: str, known: Iterable[str], remedy: str = "") -> None:
    """Refuses a name that there is not.

    Args:
        what: what it names: ``profile``, ``notebook``, ...
        word: the name.
        known: all names.
        remedy: how to find the names, in place of all of them.

    Raises:
        SettingsError: the name is unknown; the message has those that are like it.
    """
    names = list(known)
    if word not in names:
        raise SettingsError(
            f"there is no {what} {word!r}; {guess(word, names)}{remedy or f'{what}s: ' + ', '.join(names)}"
        )
