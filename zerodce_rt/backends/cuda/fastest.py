"""One network run in several ways on a GPU; which is fastest depends on the card and the size."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from operator import itemgetter
from statistics import median
from typing import Any

import torch
from triton.errors import TritonError

from zerodce_rt.backends.interfaces import DeviceEstimate, DeviceNetwork

log = logging.getLogger(__name__)

# The median of so many rounds, each the mean of so many calls.
_ROUNDS, _CALLS = 5, 5
# Calls before a graph is recorded.
_WARM_UP_RUNS = 3


class FastestNetwork:
    """Runs each size by whichever network is fastest at it. Is a ``DeviceNetwork``.

    Args:
        networks: by name, for the log; on one device, with the same weights.
    """

    def __init__(self, networks: dict[str, DeviceNetwork]) -> None:
        self._networks = networks
        self._chosen: dict[tuple[int, int], DeviceNetwork] = {}
        first = next(iter(networks.values()))
        self.device, self.map_count = first.device, first.map_count

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        size = height, width
        if size not in self._chosen:
            self._chosen[size] = self._fastest(height, width)
        return self._chosen[size].prepare(height, width)

    def _fastest(self, height: int, width: int) -> DeviceNetwork:
        """Time every network; one that fails is left out, unless all do."""
        image = torch.rand((3, height, width), device=self.device).half()
        out = torch.empty((self.map_count, height, width), device=self.device).half()
        found: list[tuple[float, DeviceNetwork]] = []
        failure: Exception | None = None
        for name, network in self._networks.items():
            try:
                estimate = network.prepare(height, width)
                seconds = seconds_of(partial(estimate, image, out), self.device)
            except (RuntimeError, TritonError) as error:  # such as out of memory
                log.debug("%s at %dx%d: %s", name, width, height, error)
                failure = error
                continue
            log.debug("%s at %dx%d: %.1f us", name, width, height, 1e6 * seconds)
            found.append((seconds, network))
        if failure is not None and not found:
            raise failure
        return min(found, key=itemgetter(0))[1]


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """Median time of a call on a device; on a GPU without the time to launch it."""
    if device.type != "cuda":
        run()
        started = time.perf_counter()
        run()
        return time.perf_counter() - started
    replay = graphed(run)
    return median(seconds_a_call(replay, _CALLS) for _ in range(_ROUNDS))


def seconds_a_call(run: Callable[[], object], calls: int) -> float:
    """Mean time on the GPU of several calls in a row."""
    event: Any = partial(torch.cuda.Event, enable_timing=True)
    start, stop = event(), event()
    start.record()
    for _ in range(calls):
        run()
    stop.record()
    stop.synchronize()
    return start.elapsed_time(stop) / 1000 / calls


def graphed(run: Callable[[], object]) -> Callable[[], None]:
    """Record a call as a CUDA graph; returns what replays it.

    What the call reads and writes must stay in place.
    """
    stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP_RUNS):
            run()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        run()
    return graph.replay
