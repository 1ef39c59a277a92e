"""One network run in several ways on a GPU; which is fastest depends on the card and the size."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from triton.errors import TritonError

from zerodce_rt.backends.cuda.buffers import maps_buffer
from zerodce_rt.backends.cuda.graphs import RecordingFailed, graphed, seconds_a_call
from zerodce_rt.backends.cuda.winners import Winners
from zerodce_rt.backends.interfaces import DeviceEstimate, DeviceNetwork

log = logging.getLogger(__name__)

SMALL = 128 * 128
"""Pixels up to which nothing is timed: the first network is a good choice, and cuDNN would take
seconds to choose among its algorithms."""

# The median of so many rounds, each the mean of so many calls.
_ROUNDS, _CALLS = 5, 5
# Before the first round: an idle card's clock is low.
_WARM_UP_SECONDS = 0.05


class FastestNetwork:
    """Runs each size by whichever network is fastest at it. Is a ``DeviceNetwork``.

    Attributes:
        chosen: name of the network for each height and width.

    Args:
        networks: by name, for the log; on one device, with the same weights. The first runs
            pictures of at most ``small`` pixels.
        winners: of earlier runs.
    """

    def __init__(
        self, networks: dict[str, DeviceNetwork], winners: Winners, *, small: int = SMALL
    ) -> None:
        self._networks, self._winners, self._small = networks, winners, small
        self.chosen: dict[tuple[int, int], str] = {}
        first = next(iter(networks.values()))
        self.device, self.map_count, self.knots = first.device, first.map_count, first.knots

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        size = height, width
        if size not in self.chosen:
            self.chosen[size] = self._choose(height, width)
        return self._networks[self.chosen[size]].prepare(height, width)

    def _choose(self, height: int, width: int) -> str:
        if height * width <= self._small or len(self._networks) == 1:
            return next(iter(self._networks))
        known = self._winners.get(height, width)
        if known in self._networks:
            return known
        found = self._fastest(height, width)
        self._winners.put(height, width, found)
        return found

    def _fastest(self, height: int, width: int) -> str:
        """Time every network; one that fails is left out, unless all do."""
        image = torch.rand((3, height, width), device=self.device).half()
        out = maps_buffer(self, height, width)
        running: dict[str, Callable[[], float]] = {}
        failure: Exception | None = None
        for name, network in self._networks.items():
            try:
                running[name] = timed(
                    partial(network.prepare(height, width), image, out), self.device
                )
            except RecordingFailed:  # the others would fail, too
                raise
            except (RuntimeError, TritonError) as error:  # such as out of memory
                log.debug("%s at %dx%d: %s", name, width, height, error)
                # Its traceback would keep the memory that it has.
                failure = error.with_traceback(None)
        if failure is not None and not running:
            raise failure
        until = time.monotonic() + _WARM_UP_SECONDS
        while time.monotonic() < until and self.device.type == "cuda":
            for seconds in running.values():
                seconds()
        rounds = [{name: seconds() for name, seconds in running.items()} for _ in range(_ROUNDS)]
        times = {name: median(r[name] for r in rounds) for name in running}
        for name, took in times.items():
            log.debug("%s at %dx%d: %.1f us", name, width, height, 1e6 * took)
        return min(times, key=times.__getitem__)


def timed(run: Callable[[], object], device: torch.device) -> Callable[[], float]:
    """What times a call, which has run once; on a GPU without the time to launch it."""
    if device.type == "cuda":
        return partial(seconds_a_call, graphed(run), _CALLS)
    run()

    def seconds() -> float:
        started = time.perf_counter()
        run()
        return time.perf_counter() - started

    return seconds
