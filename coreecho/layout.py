"""Runs laid out on devices as a cluster would: parents first, each run on one device, the longest chain ahead first.

This is list scheduling: no plan of this kind takes longer than the work shared evenly plus the longest chain.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from coreecho.errors import SettingsError
from coreecho.lineage import parent, with_ancestors
from coreecho.settings import Profile, Run


@dataclass(frozen=True)
class Layout:
    """Runs laid out on devices."""

    seconds: float
    """From the first start to the last end."""
    busy: float
    """Share of the devices' time in which they compute."""
    chain: tuple[Run, ...]
    """The longest line of runs, each the parent of the next; no number of devices takes less time."""
    chain_seconds: float


def lay_out(times: Mapping[Run, float], profile: Profile, devices: int) -> Layout:
    """Lays out runs on devices: parents first, one device each, the longest chain still ahead first.

    Args:
        times: seconds of every run.
        profile: says which run starts from which; a parent without a time counts as done.
        devices: how many there are.

    Raises:
        SettingsError: there is no device.
    """
    if devices < 1:
        raise SettingsError(f"{devices} devices; give 1 or more")
    children = _children(times, profile)
    ahead: dict[Run, float] = {}  # time of the longest chain from a run on, the run included
    for run in reversed(with_ancestors(list(times), profile)):
        if run in times:
            ahead[run] = times[run] + max((ahead[child] for child in children.get(run, [])), default=0.0)
    chain: list[Run] = []
    while below := children.get(chain[-1] if chain else None, []):
        chain.append(max(below, key=lambda run: ahead[run]))
    end = _lay_out(times, children, ahead, devices)
    return Layout(
        end, sum(times.values()) / (devices * end) if end else 0.0, tuple(chain), max(ahead.values(), default=0)
    )


def _children(times: Mapping[Run, float], profile: Profile) -> dict[Run | None, list[Run]]:
    """Which runs wait for which; under none those that can start at once."""
    children: dict[Run | None, list[Run]] = {}
    for run in times:
        above = parent(run, profile)
        children.setdefault(above if above in times else None, []).append(run)
    return children


def _lay_out(
    times: Mapping[Run, float], children: Mapping[Run | None, list[Run]], ahead: Mapping[Run, float], devices: int
) -> float:
    """When the last run ends."""
    order = {run: number for number, run in enumerate(times)}  # ties go to the first, whatever a heap makes of them
    ready = [(-ahead[run], order[run], run) for run in children.get(None, [])]
    heapq.heapify(ready)
    running: list[tuple[float, int, Run]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < devices:
            run = heapq.heappop(ready)[2]
            heapq.heappush(running, (now + times[run], order[run], run))
        now, _, done = heapq.heappop(running)
        for child in children.get(done, []):
            heapq.heappush(ready, (-ahead[child], order[child], child))
    return now
