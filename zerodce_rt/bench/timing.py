"""Timing of calls, in turns: median and 95th percentile of wall time, and CPU time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_WARM_UP = 3
_MIN_ROUNDS, _MAX_ROUNDS = 2, 200
# Timed calls of one case before it is the next one's turn. A call before them, which is not timed,
# brings back to the caches what the other cases have displaced.
_TURN = 4
# Threads of other libraries (OpenMP) keep spinning for a while after their work.
_SETTLE_SECONDS = 0.01


@dataclass(frozen=True)
class Timing:
    """How long a call takes.

    Attributes:
        median_ms: median of the wall time in milliseconds.
        p95_ms: its 95th percentile.
        cpu_ms: median of the CPU time of all threads of this process, in milliseconds.
        runs: timed calls.
    """

    median_ms: float
    p95_ms: float
    cpu_ms: float
    runs: int


def measure(cases: dict[str, Callable[[], object]], *, seconds: float) -> dict[str, Timing]:
    """Time several calls in turns, so that other load on the machine affects all of them alike.

    Args:
        cases: what to call, by name.
        seconds: for all of them together, warm-up not counted. Each gets two turns at least.
    """
    for run in cases.values():
        for _ in range(_WARM_UP):
            run()
    wall: dict[str, list[float]] = {name: [] for name in cases}
    cpu: dict[str, list[float]] = {name: [] for name in cases}
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < _MIN_ROUNDS or (time.perf_counter() < end and rounds < _MAX_ROUNDS):
        for name, run in cases.items():
            time.sleep(_SETTLE_SECONDS)
            run()
            for _ in range(_TURN):
                cpu_start, start = time.process_time(), time.perf_counter()
                run()
                wall[name].append((time.perf_counter() - start) * 1000)
                cpu[name].append((time.process_time() - cpu_start) * 1000)
        rounds += 1
    return {name: _summary(wall[name], cpu[name]) for name in cases}


def _summary(wall: list[float], cpu: list[float]) -> Timing:
    median, p95 = np.median(wall), np.percentile(wall, 95)
    return Timing(
        round(float(median), 4), round(float(p95), 4), round(float(np.median(cpu)), 4), len(wall)
    )
