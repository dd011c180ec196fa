"""Pickles as plain data: a small stack machine for the opcodes that build values, which imports and calls nothing.

Dictionaries, lists, tuples, numbers, texts, and NumPy's integer arrays and scalars are understood, in all six pickle
protocols; whatever else a pickle asks for is refused by name.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from coreecho.errors import DataError

_ARRAY = {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"}
_BUFFER = {"numpy.core.numeric _frombuffer", "numpy._core.numeric _frombuffer"}
_SCALAR = {"numpy.core.multiarray scalar", "numpy._core.multiarray scalar"}
_DTYPE, _BYTES = "numpy dtype", "_codecs encode"
_KNOWN = _ARRAY | _BUFFER | _SCALAR | {_DTYPE, _BYTES, "numpy ndarray", "__builtin__ bytes", "builtins bytearray"}
_INTEGERS = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)}


class _RefusedError(Exception):
    """A pickle asks for something that is not plain data."""


@dataclass
class _Name:
    """A class or function that the pickle names; it is never looked up."""

    name: str


@dataclass
class _Call:
    """What the pickle would call, and with what; it is only interpreted."""

    name: str
    arguments: tuple[Any, ...]
    state: Any = None


@dataclass
class _Machine:
    """Stack, mark positions and memo of a pickle being read."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def since_mark(self) -> list[Any]:
        """The values above the last mark, taken off."""
        place = self.marks.pop()
        values = self.stack[place:]
        del self.stack[place:]
        return values

    def take(self, count: int) -> list[Any]:
        """The last ``count`` values, taken off."""
        floor = self.marks[-1] if self.marks else 0
        if len(self.stack) - floor < count:
            raise _RefusedError("ends in the middle of a value")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values


def parse_pickle(path: Path) -> Any:
    """The value that a pickle holds, arrays and NumPy numbers as (nested) lists and ints.

    Raises:
        DataError: not a pickle, damaged, or holding anything but plain data.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(path.read_bytes()):
            if opcode.name == "STOP":
                return _Decoder().plain(machine.take(1)[0])
            _step(machine, opcode.name, argument)
        raise _RefusedError("ends in the middle of a value")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); copy it again") from None
    except _RefusedError as error:
        raise DataError(f"{path}: this pickle {error}; it is not a list of numbers and was not loaded") from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise DataError(f"{path}: not a pickle, or a damaged one; copy it again") from None


def _step(machine: _Machine, name: str, argument: Any) -> None:
    stack = machine.stack
    if name in _VALUES:
        stack.append(argument)
    elif name in _BUILDERS:
        _BUILDERS[name](machine)
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        machine.memo[argument] = stack[-1]
    elif name == "MEMOIZE":
        machine.memo[len(machine.memo)] = stack[-1]
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(machine.memo[argument])
    elif name == "GLOBAL":
        stack.append(_named(*argument.split(" ", 1)))
    elif name not in ("PROTO", "FRAME"):
        raise _RefusedError(f"uses {name}")


_VALUES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip


def _named(module: str, name: str) -> _Name:
    if f"{module} {name}" not in _KNOWN:
        raise _RefusedError(f"asks for {module}.{name}"[:100])
    return _Name(f"{module} {name}")


def _reduce(machine: _Machine) -> None:
    function, arguments = machine.take(2)
    machine.stack.append(_Call(function.name, tuple(arguments)))


def _build(machine: _Machine) -> None:
    target, state = machine.take(2)
    if not isinstance(target, _Call):
        raise _RefusedError("changes an object")
    target.state = state
    machine.stack.append(target)


def _set_items(machine: _Machine, pairs: list[Any]) -> None:
    target = machine.stack[-1]
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, str):
            raise _RefusedError("has a dictionary whose keys are not names")
        target[key] = value


def _fill(machine: _Machine, pairs: list[Any]) -> None:
    machine.stack.append({})
    _set_items(machine, pairs)


def _extend(machine: _Machine, values: list[Any]) -> None:
    machine.stack[-1].extend(values)


def _tuple(count: int) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(tuple(machine.take(count)))


_BUILDERS: dict[str, Callable[[_Machine], None]] = {
    "MARK": lambda machine: machine.marks.append(len(machine.stack)),
    "NONE": lambda machine: machine.stack.append(None),
    "NEWTRUE": lambda machine: machine.stack.append(True),
    "NEWFALSE": lambda machine: machine.stack.append(False),
    "EMPTY_DICT": lambda machine: machine.stack.append({}),
    "EMPTY_LIST": lambda machine: machine.stack.append([]),
    "EMPTY_TUPLE": _tuple(0),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda machine: machine.stack.append(tuple(machine.since_mark())),
    "LIST": lambda machine: machine.stack.append(machine.since_mark()),
    "DICT": lambda machine: _fill(machine, machine.since_mark()),
    "APPEND": lambda machine: _extend(machine, machine.take(1)),
    "APPENDS": lambda machine: _extend(machine, machine.since_mark()),
    "SETITEM": lambda machine: _set_items(machine, machine.take(2)),
    "SETITEMS": lambda machine: _set_items(machine, machine.since_mark()),
    "STACK_GLOBAL": lambda machine: machine.stack.append(_named(*machine.take(2))),
    "REDUCE": _reduce,
    "BUILD": _build,
}


@dataclass
class _Decoder:
    """Turns what a pickle describes into values; a value may be named many times over, so their number is limited."""

    left: int = 10**6

    def plain(self, value: Any) -> Any:
        """The value with arrays and scalars decoded."""
        self.spend(1)
        if isinstance(value, dict):
            return {key: self.plain(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)([self.plain(inner) for inner in value])
        if isinstance(value, _Name):
            raise _RefusedError("holds a class or function")
        return self.decode(value) if isinstance(value, _Call) else value

    def spend(self, count: int) -> None:
        """Counts values."""
        self.left -= count
        if self.left < 0:
            raise _RefusedError("unfolds to more than a million values")

    def decode(self, call: _Call) -> Any:
        """Bytes, number or nested lists that a call stands for."""
        if call.name == _BYTES:
            text, encoding = call.arguments
            if encoding != "latin1":
                raise _RefusedError("holds text in an odd encoding")
            return text.encode("latin-1")
        if call.name in _SCALAR:
            dtype, raw = call.arguments
            return np.frombuffer(self.plain(raw), _dtype(dtype), count=1)[0].item()
        if call.name in _ARRAY and call.state is not None:
            _, shape, dtype, fortran, raw = call.state
        elif call.name in _BUFFER:
            raw, dtype, shape, order = call.arguments
            fortran = order == "F"
        else:
            raise _RefusedError(f"calls {call.name.replace(' ', '.')}")
        array = np.frombuffer(self.plain(raw), _dtype(dtype))
        self.spend(array.size)
        return array.reshape(shape, order="F" if fortran else "C").tolist()


def _dtype(call: Any) -> np.dtype[Any]:
    """An integer type from NumPy's description of it: (code, ...) and a state that holds the byte order."""
    if not isinstance(call, _Call) or call.name != _DTYPE or call.arguments[0] not in _INTEGERS:
        raise _RefusedError("holds arrays of something other than whole numbers")
    order = call.state[1] if call.state else "|"
    dtype: np.dtype[Any] = np.dtype(call.arguments[0]).newbyteorder(order if order in ("<", ">", "|") else "=")
    return dtype
