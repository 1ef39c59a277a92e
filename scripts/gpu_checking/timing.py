"""Times on the card, with the L2 cache hot or flushed, and not bound by the host's launches."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from zerodce_rt.backends.cuda.graphs import graphed

Run = Callable[[], object]

CALLS = 20
"""Calls in one graph or sample: a kernel takes less time than its launch."""

_FEWEST_SAMPLES = 5
# Clocks rise within so long once the card is busy.
_WARM_UP_SECONDS = 0.05
# What is read again after so many times the cache's size is not in it any more.
_TIMES_L2 = 4
# Where PyTorch does not tell; more than any card has.
_LARGEST_L2 = 256 << 20
# About 0.1 ms, in which the host queues what is measured: its launches then take no part in it.
_DELAY_CYCLES = 200_000


def l2_bytes() -> int:
    properties: Any = torch.cuda.get_device_properties(torch.cuda.current_device())
    return int(getattr(properties, "L2_cache_size", 0)) or _LARGEST_L2


def copies_beyond_l2(bytes_a_call: int) -> int:
    """How many buffers to use in turns, so that none is in the cache when it is used again."""
    return 1 + math.ceil(_TIMES_L2 * l2_bytes() / bytes_a_call)


def recorded_us(runs: Sequence[Run], seconds: float) -> float:
    """Median time of one of the calls, which are recorded in turns, at least ``CALLS`` of them."""
    turns = math.ceil(CALLS / len(runs))

    def all_of_them() -> None:
        for run in runs:
            run()

    return device_us(graphed(all_of_them, turns), seconds, calls=1) / (turns * len(runs))


def device_us(run: Run, seconds: float, *, calls: int = CALLS) -> float:
    """Median time of one call on the device, in microseconds; a sample is the mean of a few."""
    return _median_us(itertools.repeat(run), seconds, calls, _delay)


def turns_us(runs: Sequence[Run], seconds: float, *, calls: int = CALLS) -> float:
    """The same of calls in turns."""
    return _median_us(itertools.cycle(runs), seconds, calls, _delay)


def flushed_us(run: Run, seconds: float) -> float:
    """The same with another buffer in the L2 cache before each call."""
    other = torch.empty(_TIMES_L2 * l2_bytes(), dtype=torch.uint8, device="cuda")
    return _median_us(itertools.repeat(run), seconds, 1, other.zero_)


def _delay() -> None:
    torch.cuda._sleep(_DELAY_CYCLES)  # type: ignore[no-untyped-call]


def _median_us(runs: Any, seconds: float, calls: int, before: Run) -> float:
    warm = time.monotonic() + _WARM_UP_SECONDS
    while time.monotonic() < warm:
        for _ in range(calls):
            next(runs)()
        torch.cuda.synchronize()
    times: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times) < _FEWEST_SAMPLES:
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        before()
        start.record()
        for _ in range(calls):
            next(runs)()
        stop.record()
        stop.synchronize()
        times.append(1000 * start.elapsed_time(stop) / calls)
    return float(np.median(times))
