"""Timing of calls, in turns: wall time with its spread, and CPU time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_WARM_UP = 3
_MIN_ROUNDS, _MAX_ROUNDS = 3, 200
# Timed calls of one case before it is the next one's turn. A call before them, which is not timed,
# brings back to the caches what the other cases have displaced.
_TURN = 4
# A call that takes longer than this has a turn of its own, so that turns stay short; it is not
# noticeably faster with warm caches.
_LONG_SECONDS = 0.05
# Threads of other libraries (OpenMP) keep spinning for a while after their work.
_SETTLE_SECONDS = 0.01


@dataclass(frozen=True)
class Timing:
    """How long a call takes.

    Attributes:
        median_ms: median of the wall time in milliseconds.
        p25_ms, p75_ms: quartiles of the medians of each turn: how much it varies over time.
        p95_ms: 95th percentile of all calls.
        cpu_ms: median of the CPU time of all threads of this process, in milliseconds.
        runs: timed calls.
    """

    median_ms: float
    p25_ms: float
    p75_ms: float
    p95_ms: float
    cpu_ms: float
    runs: int

    @property
    def spread(self) -> float:
        """Distance of the quartiles, as a share of the median."""
        return (self.p75_ms - self.p25_ms) / max(self.median_ms, 1e-9)


def measure(cases: dict[str, Callable[[], object]], *, seconds: float) -> dict[str, Timing]:
    """Time several calls in turns, so that other load on the machine affects all of them alike.

    Args:
        cases: what to call, by name.
        seconds: for all of them together, warm-up not counted. Each gets three turns at least.
    """
    calls: dict[str, int] = {}
    for name, run in cases.items():
        for _ in range(_WARM_UP):
            start = time.perf_counter()
            run()
        calls[name] = 1 if time.perf_counter() - start > _LONG_SECONDS else _TURN
    wall: dict[str, list[list[float]]] = {name: [] for name in cases}
    cpu: dict[str, list[float]] = {name: [] for name in cases}
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < _MIN_ROUNDS or (time.perf_counter() < end and rounds < _MAX_ROUNDS):
        for name, run in cases.items():
            time.sleep(_SETTLE_SECONDS)
            if calls[name] > 1:
                run()
            turn = []
            for _ in range(calls[name]):
                cpu_start, start = time.process_time(), time.perf_counter()
                run()
                turn.append((time.perf_counter() - start) * 1000)
                cpu[name].append((time.process_time() - cpu_start) * 1000)
            wall[name].append(turn)
        rounds += 1
    return {name: _summary(wall[name], cpu[name]) for name in cases}


def _summary(turns: list[list[float]], cpu: list[float]) -> Timing:
    every = [call for turn in turns for call in turn]
    p25, p75 = np.percentile([np.median(turn) for turn in turns], (25, 75))
    return Timing(
        median_ms=round(float(np.median(every)), 4),
        p25_ms=round(float(p25), 4),
        p75_ms=round(float(p75), 4),
        p95_ms=round(float(np.percentile(every, 95)), 4),
        cpu_ms=round(float(np.median(cpu)), 4),
        runs=len(every),
    )
