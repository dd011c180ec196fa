"""The package's docstrings as reStructuredText, for the page "Python interface".

They are written in Google's style without types, and a description may hold a colon. Sphinx's own reader of that style
(napoleon) takes what stands before such a colon for a type; this one takes a description for a description.
"""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

SECTIONS = {"Args:": "param", "Returns:": "returns", "Raises:": "raises"}


def fields(section: str, block: list[str]) -> Iterator[str]:
    """The lines below a section's heading, without their indentation, as a field list."""
    if section == "Returns:":
        yield f":returns: {block[0]}"
        yield from (f"   {line}" for line in block[1:])
        return
    for line in block:
        item = re.match(r"(\*{0,2}\w+):\s+(.*)", line)
        yield f":{SECTIONS[section]} {item[1]}: {item[2]}" if item else f"   {line.strip()}"


def convert(lines: list[str]) -> list[str]:
    """A docstring with its sections as field lists, everything else as it is."""
    done: list[str] = []
    index = 0
    while index < len(lines):
        section = lines[index].strip()
        index += 1
        if section not in SECTIONS or lines[index - 1] != section:
            done.append(lines[index - 1])
            continue
        block = []
        while index < len(lines) and (not lines[index].strip() or lines[index].startswith("    ")):
            block.append(lines[index][4:])
            index += 1
        while block and not block[-1].strip():
            block.pop()
        done += ["", *fields(section, block), ""]
    return done


def process(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Changes ``lines`` in place, as Sphinx's event asks."""
    lines[:] = convert(lines)


def fields_are_enough(
    app: Any, what: str, name: str, thing: Any, options: Any, *signature: Any
) -> tuple[str, None] | None:
    """No signature for a dataclass: its fields are listed below it, each with its default."""
    return ("", None) if what == "class" and dataclasses.is_dataclass(thing) else None


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", fields_are_enough)
    return {"parallel_read_safe": True}
