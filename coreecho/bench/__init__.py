"""Speed and memory of this package's parts beside a literal version of each, in one run on one machine.

    coreecho bench                # a table of ratios
    coreecho bench --only rnc     # one of them

A literal version does what the equations, the paper or the published description say, step by step. Each file holds the
benchmarks of one part: generator functions that `measure.benchmark` turns into `Benchmark` objects, which are listed
here. `measure` times them, `peak` measures their memory, `report` keeps what was found, and `pages` shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from coreecho.bench import gpu
from coreecho.bench.bootstrap import bench_bootstrap
from coreecho.bench.encoder import bench_checkpointing, bench_encoder
from coreecho.bench.feeding import bench_feeding, bench_feeding_pack
from coreecho.bench.frozen import bench_frozen, bench_frozen_moved
from coreecho.bench.items import bench_items, bench_items_pack
from coreecho.bench.measure import Benchmark, Result, run
from coreecho.bench.rnc import bench_rnc, bench_rnc_4096
from coreecho.errors import SettingsError

BENCHMARKS: dict[str, Benchmark] = {
    each.name: each
    for each in (
        bench_rnc,
        bench_rnc_4096,
        bench_items,
        bench_items_pack,
        bench_encoder,
        bench_checkpointing,
        bench_feeding,
        bench_feeding_pack,
        bench_frozen,
        bench_frozen_moved,
        bench_bootstrap,
    )
}
"""What any machine can measure, by name."""


def available() -> dict[str, Benchmark]:
    """`BENCHMARKS` and, where there is a GPU, its own."""
    return BENCHMARKS | {each.name: each for each in gpu.benchmarks()}


def run_benchmarks(
    only: Sequence[str] | None = None,
    *,
    repeats: int | None = None,
    memory: bool = True,
    progress: Callable[[Benchmark], object] = lambda each: None,
) -> list[Result]:
    """The named benchmarks, or all that this machine can run.

    Args:
        only: their names.
        repeats: pairs of timed turns, in place of each benchmark's own number.
        memory: measure peak memory too, in processes of their own.
        progress: told each benchmark before it runs.

    Raises:
        SettingsError: an unknown name; the message lists those that exist.
    """
    known = available()
    unknown = [name for name in only or [] if name not in known]
    if unknown:
        raise SettingsError(f"there is no benchmark {unknown[0]!r} here; benchmarks: {', '.join(known)}")
    results = []
    for name in only or known:
        progress(known[name])
        results.append(run(known[name], repeats=repeats, memory=memory))
    return results
