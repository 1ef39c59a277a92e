"""Measuring: warm-up apart, in turns, median and 95th percentile, processor time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_WARM_UP = 3
_MOST_ROUNDS = 200
# Measured calls of one thing before the next has its turn; the first, not measured, fetches
# back what the others drove out of the caches.
_TURN = 4
# Another library's threads (OpenMP's) go on spinning for some time after their work.
_SETTLE_SECONDS = 0.01


@dataclass(frozen=True)
class Timing:
    """Times of one call, in milliseconds.

    Attributes:
        cpu_ms: median processor time of all threads of this process.
    """

    median_ms: float
    p95_ms: float
    cpu_ms: float
    runs: int


def measure(
    cases: dict[str, Callable[[], object]], *, seconds: float, least: int = 2
) -> dict[str, Timing]:
    """Time several things in turns, so that a noisy moment of the machine hits them all alike.

    Args:
        seconds: for all rounds together, though at least ``least`` are run.
    """
    for run in cases.values():
        for _ in range(_WARM_UP):
            run()
    wall: dict[str, list[float]] = {name: [] for name in cases}
    cpu: dict[str, list[float]] = {name: [] for name in cases}
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < least or (time.perf_counter() < end and rounds < _MOST_ROUNDS):
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
