"""Several processes on this machine, each with an enhancer of its own."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from zerodce_rt.backends.cpu.bands import usable_cores
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.executors import Outcome, Seen, Source
from zerodce_rt.executors.logs import Said
from zerodce_rt.executors.worker import Seat, serve
from zerodce_rt.units import Unit

log = logging.getLogger(__name__)

_MOST_ATTEMPTS = 3
"""A unit whose worker died, such as for want of memory, is begun so often."""

# How long a worker may take to delete what it has not finished.
_GRACE_SECONDS = 10.0


class _Worker:
    """A process, and the unit that it is busy with."""

    def __init__(self, context: Any, seat: Seat) -> None:
        self.seat = seat
        self.unit: Unit | None = None
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=serve, args=(seat, theirs), name=f"zerodce-{seat.name}", daemon=True
        )
        self.process.start()
        theirs.close()

    def begin(self, unit: Unit) -> None:
        self.unit = unit
        self.connection.send(unit)


class Processes:
    """Is an ``Executor``.

    Args:
        enhancer: the workers make others like it; it may be closed.
        jobs: how many workers; each gets its share of the cores, or a GPU.
    """

    def __init__(self, enhancer: Enhancer, jobs: int) -> None:
        # A fork would have the threads' locks, but not the threads.
        self._context = multiprocessing.get_context("spawn")
        level = logging.getLogger("zerodce_rt").getEffectiveLevel()
        gpus = _gpu_count() if enhancer.device is not None else 0
        make = enhancer.recipe(threads=max(1, usable_cores() // jobs))
        self._seats = [
            Seat(str(n + 1), make, n % gpus if gpus else None, level) for n in range(jobs)
        ]
        self._workers: list[_Worker] = []
        self._attempts: dict[int, int] = {}
        self._again: list[Unit] = []
        self._say = Said()

    def close(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_GRACE_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def run(self, source: Source, seen: Seen) -> Iterator[Outcome]:
        while True:
            self._hand_out(source)
            busy: dict[Any, _Worker] = {
                w.connection: w for w in self._workers if w.unit is not None
            }
            if not busy:
                return
            for ready in wait(busy):
                if (outcome := self._received(busy[ready], seen)) is not None:
                    yield outcome

    def _hand_out(self, source: Source) -> None:
        """Give a unit to each worker that has none; those are started that are needed."""
        while True:
            free = next((w for w in self._workers if w.unit is None), None)
            if free is None and not self._seats:
                return
            unit = self._again.pop() if self._again else source()
            if unit is None:
                return
            if free is None:
                free = _Worker(self._context, self._seats.pop(0))
                self._workers.append(free)
            free.begin(unit)

    def _received(self, worker: _Worker, seen: Seen) -> Outcome | None:
        """Take a worker's message; None unless its unit has ended."""
        unit = worker.unit
        assert unit is not None
        try:
            kind, *values = worker.connection.recv()
        except (EOFError, OSError):
            return self._died(worker, unit)
        if kind == "log":
            self._say(values[0])
        elif kind == "frames":
            seen(unit, worker.seat.name, *values)
        else:
            worker.unit = None
            return Outcome(unit, error=values[0]) if kind == "failed" else Outcome(unit, values[0])
        return None

    def _died(self, worker: _Worker, unit: Unit) -> Outcome | None:
        """Have another worker do the unit of one that is gone, unless that goes on and on."""
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        self._seats.append(worker.seat)
        attempts = self._attempts[id(unit)] = self._attempts.get(id(unit), 0) + 1
        code = worker.process.exitcode
        if attempts < _MOST_ATTEMPTS:
            log.warning("%s: its worker ended unexpectedly (%s); once more", unit.title, code)
            self._again.append(unit)
            return None
        return Outcome(
            unit, error=ZeroDCEError(
                f"{unit.title}: its worker ended unexpectedly {attempts} times (exit code {code}); "
                "if that is for want of memory, fewer `jobs` take less"
            ),
        )  # fmt: skip


def _gpu_count() -> int:
    import torch

    return torch.cuda.device_count()
