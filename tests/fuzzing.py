"""Damaged and hostile input for every reader, made from seeds and read in a process that is watched.

    python tests/fuzzing.py rebuild READER NUMBER FOLDER    # writes the input that a failing test names

An input is told by its reader and its number alone. `run` reads many of them in one child process, so that a crash, a
hang or a greedy allocation of a native decoder is caught and blamed on the input that caused it.
"""

import gzip
import io
import json
import os
import re
import resource
import select
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fuzz_seeds
import numpy as np

SECONDS, MEMORY, START_SECONDS = 10, 2 * 1024**3, 180
"""Most that one input may take, and that a child may take to start and to read every undamaged example."""
UNDAMAGED = -1
"""Number of the example itself; it must be read without an error."""


@dataclass(frozen=True)
class Result:
    """What became of one input: read, refused (with the product's own error), or a fault of the product."""

    reader: str
    number: int
    mutation: str
    outcome: str
    detail: str = ""
    megabytes: float = 0
    seconds: float = 0


def place(rng: np.random.Generator, size: int) -> int:
    """A position, as often in the first 256 bytes, where headers are, as anywhere."""
    return int(rng.integers(max(1, min(size, 256) if rng.random() < 0.5 else size)))


def flip(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 9))):
        data[place(rng, len(data))] ^= 1 << int(rng.integers(8))


def overwrite(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    start, count = place(rng, len(data)), int(rng.integers(1, 40))
    value = (b"\0", b"\xff", b"\x80", rng.bytes(1))[rng.integers(4)]
    data[start : start + count] = value * len(data[start : start + count])


def truncate(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    del data[place(rng, len(data)) :]


def delete(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    start = place(rng, len(data))
    del data[start : start + int(rng.integers(1, max(2, len(data) // 4)))]


def duplicate(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    start = place(rng, len(data))
    data[start:start] = data[start : start + int(rng.integers(1, max(2, len(data) // 4)))]


def inflate(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    start = place(rng, len(data))
    word = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\0\0\0\x40", b"\0\0\0\0")[rng.integers(5)]
    data[start : start + 4] = word


def splice(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    data[place(rng, len(data)) :] = other[place(rng, len(other)) :]


BINARY = (flip, overwrite, truncate, delete, duplicate, inflate, splice)
STRANGE = (
    "\0", "\ufeff", '"', "'", "\r", "\n", "\t", ",", ",,,", ":", "\\", "{", "[", "]", "é\u202e\U0001f9e1", "\ud800",
    "../../secret", "/etc/passwd", "C:\\secret", "NaN", "Infinity", "-1", "0", "1e308", "1e999", "9" * 30, "9" * 5000,
    "9223372036854775808", "null", "true", "[" * 3000, " " * 70, "x" * 9000,
)  # fmt: skip


def insert(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    start = place(rng, len(data))
    data[start:start] = STRANGE[rng.integers(len(STRANGE))].encode("utf-8", "surrogatepass")


def replace_word(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    words = list(re.finditer(rb"[^\s,:=;\"]+", data))
    if words:
        word = words[rng.integers(len(words))]
        data[slice(*word.span())] = STRANGE[rng.integers(len(STRANGE))].encode("utf-8", "surrogatepass")


def change_lines(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    lines = data.split(b"\n")
    first, second = (int(number) for number in rng.integers(len(lines), size=2))
    lines[first : first + 1] = [[], [lines[first]] * 2, [lines[second]]][rng.integers(3)]
    data[:] = b"\n".join(lines)


def drop_column(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    separator = b"," if b"," in data else b" "
    column = int(rng.integers(4))
    rows = [row.split(separator) for row in data.split(b"\n")]
    data[:] = b"\n".join(separator.join(row[:column] + row[column + 1 :]) for row in rows)


VALUES = (
    None,
    True,
    [],
    {},
    "",
    "x" * 90,
    -1,
    0,
    3,
    2**31,
    2**63,
    10**400,
    1e308,
    0.5,
    "../../secret",
    [[1]] * 40,
    {"a": 1},
)


def change_value(content: Any, rng: np.random.Generator) -> Any:
    """Some value within a JSON document changed, left out or moved; a text that is a document itself is one too."""
    if isinstance(content, str) and content[:1] == "{":
        return json.dumps(change_value(json.loads(content), rng))
    keys = (
        list(content) if isinstance(content, dict) else list(range(len(content))) if isinstance(content, list) else []
    )
    if not keys or rng.random() < 0.05:
        return VALUES[rng.integers(len(VALUES))]
    key = keys[rng.integers(len(keys))]
    deed = rng.random()
    if deed < 0.15:
        del content[key]
    elif deed < 0.25:
        content[key] = content[keys[rng.integers(len(keys))]]
    else:
        content[key] = change_value(content[key], rng)
    return content


def damage_document(data: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """A JSON file, or the JSON header of a safetensors file, that stays JSON."""
    bare = data[:1] == b"{"
    size = len(data) if bare else int.from_bytes(data[:8], "little")
    start = 0 if bare else 8
    text = json.dumps(change_value(json.loads(data[start : start + size]), rng)).encode()
    return text if bare else len(text).to_bytes(8, "little") + text + data[8 + size :], "value"


TEXT = (insert, replace_word, replace_word, change_lines, drop_column)


def damage(data: bytes, other: bytes, rng: np.random.Generator, *, text: bool) -> tuple[bytes, str]:
    """One to three mutations, and their names."""
    changed, names = bytearray(data), []
    for _ in range(int(rng.integers(1, 4))):
        pool = TEXT if text and rng.random() < 0.7 else BINARY
        mutation = pool[rng.integers(len(pool))]
        if changed:
            mutation(changed, other, rng)
            names.append(mutation.__name__)
    return bytes(changed), "+".join(names)


def damage_inside(data: bytes, other: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """As `damage`, but of what a gzip or zip file holds, so that its own checksums stay right."""
    if data[:2] == b"\x1f\x8b":
        inner, names = damage(gzip.decompress(data), other, rng, text=False)
        return gzip.compress(inner, mtime=0), f"gzip:{names}"
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as made:
        parts = source.infolist()
        chosen = int(rng.integers(len(parts)))
        for number, part in enumerate(parts):
            content = source.read(part)
            if number == chosen:
                content, names = damage(content, other, rng, text=part.filename.endswith(".xml"))
                names = f"{part.filename}:{names}"
            made.writestr(part, content, part.compress_type)
    return target.getvalue(), names


def mutant(seeds: Path, reader: str, number: int) -> tuple[bytes, str]:
    """The bytes of an input and what was done to the example."""
    own = fuzz_seeds.target(seeds, reader).read_bytes()
    if number == UNDAMAGED:
        return own, "undamaged"
    rng = np.random.default_rng([zlib.crc32(reader.encode()), number])
    names = sorted(fuzz_seeds.READERS)
    other = fuzz_seeds.target(seeds, names[rng.integers(len(names))]).read_bytes()
    if (own[:1] == b"{" or own[8:9] == b"{") and rng.random() < 0.6:
        return damage_document(own, rng)
    if own[:2] in (b"\x1f\x8b", b"PK") and rng.random() < 0.7:
        return damage_inside(own, other, rng)
    return damage(own, other, rng, text=fuzz_seeds.READERS[reader].text)


def jobs(count: int) -> list[tuple[str, int]]:
    """The first ``count`` inputs, spread evenly over the readers."""
    names = list(fuzz_seeds.READERS)
    return [(names[index % len(names)], index // len(names)) for index in range(count)]


def run(inputs: Sequence[tuple[str, int]], seeds: Path, work: Path, seconds: float = SECONDS) -> list[Result]:
    """Reads inputs in child processes, the undamaged examples first; a new one takes over where one died."""
    results: list[Result] = []
    todo = [(name, UNDAMAGED) for name in fuzz_seeds.READERS] + list(inputs)
    while todo:
        found = _one_child(todo, seeds, work, seconds)
        results += found
        todo = todo[len(found) :]
    return results


def _one_child(todo: Sequence[tuple[str, int]], seeds: Path, work: Path, seconds: float) -> list[Result]:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    listed = work.with_suffix(".json")
    listed.write_text(json.dumps(todo))
    command = [sys.executable, "-X", "faulthandler", __file__, "work", str(seeds), str(work), str(listed)]
    settings = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    settings |= {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
    errors = work.with_suffix(".stderr")
    results: list[Result] = []
    with errors.open("wb") as log:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=settings)
    assert child.stdout is not None
    try:
        begun, limit = ["?", 0, "start of the child"], float(START_SECONDS)
        while len(results) < len(todo):
            if not select.select([child.stdout], [], [], limit)[0]:
                return [*results, Result(*begun, "fault", f"hang: more than {limit:g} s")]
            line = child.stdout.readline()
            if not line:
                said = [text for text in errors.read_text(errors="replace").splitlines() if text.strip()][-12:]
                return [*results, Result(*begun, "fault", f"the process ended with {child.wait()}: {said}")]
            told = json.loads(line)
            if len(told) == 3:
                begun, limit = told, seconds
            else:
                results.append(Result(*begun, *told))
        return results
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def _work(seeds: Path, work: Path, listed: Path) -> None:
    """The child: reads inputs one after another and tells what became of each."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is not mistaken for a report
    examples = work / "data"
    shutil.copytree(seeds, examples)
    sys.path.insert(0, str(Path(__file__).parent))
    from coreecho.errors import CoReEchoError

    guard = Guard(work, seeds)
    todo = json.loads(listed.read_text())
    for index, (name, number) in enumerate(todo):
        content, mutation = mutant(seeds, name, number)
        print(json.dumps([name, number, mutation]), file=out, flush=True)
        if number != UNDAMAGED and (index == 0 or todo[index - 1][1] == UNDAMAGED):
            guard.limit_memory()
        path = fuzz_seeds.target(examples, name)
        path.write_bytes(content)
        before, start = guard.begin(), time.perf_counter()
        try:
            fuzz_seeds.READERS[name].read(path)
            outcome, detail = "read", ""
        except CoReEchoError as error:
            outcome, detail = "refused", f"{type(error).__name__}: {error}"
            if number == UNDAMAGED or len(detail.splitlines()) > 2 or len(detail) > 1500:
                outcome = "fault"
        except BaseException as error:
            import traceback

            frames = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
            outcome, detail = "fault", f"{type(error).__name__}: {str(error)[:300]} at {' < '.join(frames[::-1][:8])}"
        taken = time.perf_counter() - start
        megabytes = guard.end() - before
        if guard.seen:
            outcome, detail = "fault", f"forbidden: {guard.seen[:3]}"
        elif number != UNDAMAGED and megabytes * 2**20 > MEMORY:
            outcome, detail = "fault", f"{megabytes:.0f} MB of memory; {detail}"
        path.write_bytes(mutant(seeds, name, UNDAMAGED)[0])
        print(json.dumps([outcome, detail, megabytes, taken]), file=out, flush=True)


class Guard:
    """Watches what reading does: files written elsewhere, secrets read, programs started, connections, memory."""

    FORBIDDEN = (
        "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pty.spawn", "webbrowser.open",
        "socket.connect", "socket.getaddrinfo", "code.__new__", "marshal.loads", "pickle.find_class",
    )  # fmt: skip
    CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")

    def __init__(self, work: Path, seeds: Path) -> None:
        """Allows changes below ``work`` alone; the folder of the examples holds nothing that may be read either."""
        self.work, self.seeds = str(work), str(seeds)
        self.seen: list[str] = []
        self.on = False
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Called by Python on every such event."""
        if not self.on:
            return
        if event in self.FORBIDDEN and not self._importing(event):
            self.seen.append(f"{event} {arguments!s:.100}")
        elif event in self.CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & 0o1103):
            target = str(arguments[0])
            if not target.startswith(self.work) and target not in ("/dev/null", "/dev/shm"):
                self.seen.append(f"{event} {target}")
        elif event == "open" and ("secret" in str(arguments[0]) or str(arguments[0]) == "/etc/passwd"):
            self.seen.append(f"read {arguments[0]}")

    @staticmethod
    def _importing(event: str) -> bool:
        """Whether a module is being loaded for the first time, which reads compiled code."""
        if event not in ("marshal.loads", "code.__new__"):
            return False
        frame = sys._getframe()
        while frame is not None:
            if "importlib" in frame.f_code.co_filename:
                return True
            frame = frame.f_back
        return event == "code.__new__"

    def limit_memory(self) -> None:
        """From now on the process cannot grow by more than an input may take, with half as much again for threads."""
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY + MEMORY // 2, resource.RLIM_INFINITY))

    def begin(self) -> float:
        """Memory in MB before an input; the peak is counted anew."""
        Path("/proc/self/clear_refs").write_text("5")
        self.seen.clear()
        self.on = True
        return self._megabytes("VmRSS")

    def end(self) -> float:
        """Highest memory in MB since `begin`."""
        self.on = False
        return self._megabytes("VmHWM")

    @staticmethod
    def _megabytes(name: str) -> float:
        found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1]) / 1024


def _rebuild(reader: str, number: str, folder: str) -> None:
    fuzz_seeds.write_all(Path(folder))
    content, mutation = mutant(Path(folder), reader, int(number))
    fuzz_seeds.target(Path(folder), reader).write_bytes(content)
    print(f"{fuzz_seeds.target(Path(folder), reader)}: {mutation}")


if __name__ == "__main__":
    commands: dict[str, Callable[..., None]] = {"work": _work, "rebuild": _rebuild}
    call = commands[sys.argv[1]]
    call(*(map(Path, sys.argv[2:]) if call is _work else sys.argv[2:]))
