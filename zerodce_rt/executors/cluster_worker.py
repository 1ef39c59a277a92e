"""What a worker on another machine does: it holds an enhancer, and enhances what it is given.

A plain class; ``cluster.py`` makes a Ray actor of it, two of whose methods may run at once.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from zerodce_rt.atomic import search_again
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.executors.logs import forward
from zerodce_rt.executors.worker import sendable
from zerodce_rt.units import Unit, once_more


@dataclass(frozen=True)
class Hello:
    """Who a worker is.

    Attributes:
        node: the scheduler's name for its machine.
        error: why it cannot work, if it cannot.
    """

    host: str
    node: str
    process: int
    version: str
    error: Exception | None = None


@dataclass(frozen=True)
class Look:
    """How far a worker is.

    Attributes:
        frames, expected: of its unit.
        records: that it has logged.
    """

    frames: int
    expected: int | None
    records: list[logging.LogRecord]


@dataclass(frozen=True)
class Result:
    """What became of a unit.

    Attributes:
        frames: of a video.
        error: why it failed, if it did.
        fell_back: the GPU has failed, and the CPU has taken its place.
        records: that were logged.
    """

    frames: int | None = None
    error: Exception | None = None
    fell_back: bool = False
    records: list[logging.LogRecord] = field(default_factory=list)


class _Dismissed(Exception):
    """Raised inside a unit that is to end at once."""


class ClusterWorker:
    """Does units, one after another.

    Args:
        make: makes its enhancer.
        level: of log records that are passed on.
        folder: that paths start from, if it is there: the folders are the same on all machines.
        gpus: how much of a GPU it may use.
    """

    def __init__(self, make: Callable[[], Enhancer], level: int, folder: Path, gpus: float) -> None:
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # they are others'
        with suppress(OSError):
            os.chdir(folder)
        self._make = make
        self._enhancer: Enhancer | None = None
        self._progress: tuple[int, int | None] = 0, None
        self._records: list[logging.LogRecord] = []
        self._dismissed = False
        forward(self._records.append, level)

    def hello(self) -> Hello:
        """Get ready."""
        import ray

        error = None
        try:
            self._enhancer = self._make()
        except Exception as problem:
            error = sendable(problem)
        node = ray.get_runtime_context().get_node_id()
        return Hello(socket.gethostname(), node, os.getpid(), version("zerodce-rt"), error)

    def run(self, unit: Unit, *, again: bool = False) -> Result:
        """Do a unit.

        Args:
            again: another worker was lost with it.
        """
        if again:
            search_again()
            unit = once_more(unit)
        enhancer = self._enhancer
        assert enhancer is not None
        self._progress = 0, None
        backend, frames, problem = enhancer.backend, None, None
        try:
            frames = unit.run(enhancer, self._report)
        except Exception as error:
            problem = sendable(error)
        said, self._records[:] = [*self._records], []
        return Result(frames, problem, enhancer.backend != backend, said)

    def look(self) -> Look:
        """Say how far the unit is; called while ``run`` runs."""
        return Look(*self._progress, [*self._records])

    def dismiss(self) -> None:
        """Have ``run`` end, and delete what it has not finished; called while it runs."""
        self._dismissed = True

    def _report(self, frames: int, expected: int | None) -> None:
        if self._dismissed:
            raise _Dismissed
        self._progress = frames, expected
