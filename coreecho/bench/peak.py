"""Peak memory of one call of one side of a benchmark, in a process of its own so that nothing earlier counts.

On a processor it is by how much the resident memory grew at most during the call: interpreter, libraries and what the
benchmark prepared are not in it. On a GPU it is the most that tensors occupied, weights and inputs included.
"""

from __future__ import annotations

import ctypes
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from coreecho.errors import CoReEchoError

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_mb(name: str, side: str) -> float:
    """Starts ``python -m coreecho.bench NAME SIDE``, which runs that side once, and reads its peak in MB.

    Raises:
        CoReEchoError: the process failed; the message ends with its last line.
    """
    command = [sys.executable, "-m", "coreecho.bench", name, side]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CoReEchoError(f"the memory of benchmark {name} ({side}) could not be measured: {last}")
    return float(done.stdout.split()[-1])


def growth_mb(action: Callable[[], object]) -> float:
    """Calls ``action`` once and gives its peak memory in MB, by the rule of this module."""
    if torch.cuda.memory_allocated():  # the benchmark lies on a GPU
        torch.cuda.reset_peak_memory_stats()
        action()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() / 1e6
    weight = torch.ones(64, 64, requires_grad=True)  # libraries load on first use, which is not the action's own
    (weight @ weight).exp().sum().backward()
    _give_back()
    before = _resident()
    kept = action()  # held while the peak is read
    after = _highest()
    del kept
    return max(0.0, after - before)


def _give_back() -> None:
    """Hands freed memory to the system, where the C library can, so that the action does not find it there."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _resident() -> float:
    """MB in memory now, from where the highest mark counts anew; where that is unknown, the highest so far."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return _highest()
    return _status("VmRSS")


def _highest() -> float:
    if STATUS.exists():
        return _status("VmHWM")
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def _status(field: str) -> float:
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    return int(lines[field].split()[0]) * 1024 / 1e6
