"""How busy other programs keep the machine while something is measured."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

_STAT = "/proc/stat"
# Shares of CPU time, and of a median, above which figures are rough.
BUSY, SPREAD = 0.1, 0.25


@dataclass(frozen=True)
class _Moment:
    """Seconds of CPU time since some moment: of this process, of all programs, and in all."""

    own: float
    busy: float
    total: float


class LoadMeter:
    """Measures the share of CPU time that other programs take from its making on."""

    def __init__(self) -> None:
        self._start = _now()
        self._own, self._clock = _own_seconds(), time.monotonic()

    def others(self) -> float | None:
        """0 to 1 of the CPU time of the cores that this process may use.

        Linux counts it exactly. Elsewhere it is what the load of the last minute leaves after
        this process's own; None where the system does not say (Windows).
        """
        end = _now()
        if self._start is not None and end is not None and end.total > self._start.total:
            busy = end.busy - self._start.busy - (end.own - self._start.own)
            return _share(busy / (end.total - self._start.total))
        seconds = time.monotonic() - self._clock
        if not hasattr(os, "getloadavg") or seconds <= 0:
            return None
        own = (_own_seconds() - self._own) / seconds
        return _share((os.getloadavg()[0] - own) / (os.cpu_count() or 1))


def _share(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 3)


def _own_seconds() -> float:
    """CPU time of all threads of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _now() -> _Moment | None:
    """The counts so far; None where the system has none."""
    try:
        with open(_STAT, encoding="ascii") as file:
            lines = [line.split() for line in file if line.startswith("cpu")]
        usable = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        tick = os.sysconf("SC_CLK_TCK")
        # User, nice, system, idle, waiting for a disk, two kinds of interrupts, and what another
        # virtual machine had. What follows is part of the first two.
        cores = [[int(n) / tick for n in times[:8]] for name, *times in lines if name in usable]
        total = sum(map(sum, cores))
        return _Moment(_own_seconds(), total - sum(t[3] + t[4] for t in cores), total)
    except (OSError, AttributeError, ValueError, IndexError):
        return None
