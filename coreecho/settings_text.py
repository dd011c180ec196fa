"""Settings as text and back: JSON for records and checkpoints, ``field=value`` for the command line.

Ranges and types are checked here, where settings come from outside.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from coreecho.errors import SettingsError

T = TypeVar("T")
_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)
"""What checks a class of settings; making one takes longer than its use."""


def to_dict(settings: Any) -> dict[str, Any]:
    """Plain JSON-ready data of a settings object (tuples become lists)."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return plain


def from_dict(kind: type[T], data: Any) -> T:
    """The settings object of class ``kind`` that `to_dict` made ``data`` from.

    Raises:
        SettingsError: a field is missing, unknown or of another type; the message names it.
    """
    try:
        text = json.dumps(data)
    except (ValueError, RecursionError):
        raise SettingsError(f"{kind.__name__} settings are nested too deeply") from None
    try:
        settings: T = _adapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise SettingsError(f"{kind.__name__} settings do not fit this version: {where}: {first['msg']}") from None
    return settings


def override(settings: T, assignments: list[str]) -> T:
    """A copy of a profile or run with ``field=value`` assignments applied; dots reach inner fields.

    Values are JSON, or plain text where that is not JSON: ``shared.epochs=3``, ``clip.frames=16``.

    Raises:
        SettingsError: an assignment without "=", an unknown field, or a value of another type.
    """
    data = to_dict(settings)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        *outer, last = name.split(".")
        inner: dict[str, Any] = data
        for part in outer:
            below = inner.get(part)
            inner = below if isinstance(below, dict) else {}
        if not equals or last not in inner:
            fields = ", ".join(inner or data)
            raise SettingsError(
                f"cannot set {assignment!r}: write FIELD=VALUE (or OUTER.FIELD=VALUE); fields: {fields}"
            )
        try:
            inner[last] = json.loads(text)
        except json.JSONDecodeError:
            inner[last] = text
    return from_dict(type(settings), data)
