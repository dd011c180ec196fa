"""Whether progress is shown: on a terminal, with the time left, unless the command line was asked to be quiet.

for study in tqdm(studies, desc="packing", unit="video", disable=progress.silent()):
    ...
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

_asked = {"quiet": False}


def silent(show: bool = True) -> Literal[True] | None:
    """What tqdm's ``disable`` takes: hidden unless ``show`` or where all is quiet; else shown on a terminal only."""
    return None if show and not _asked["quiet"] else True


@contextmanager
def quiet(asked: bool = True) -> Iterator[None]:
    """No progress inside the block, if ``asked``."""
    before = _asked["quiet"]
    _asked["quiet"] = asked or before
    try:
        yield
    finally:
        _asked["quiet"] = before
