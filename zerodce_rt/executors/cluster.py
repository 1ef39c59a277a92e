"""The machines of a Ray cluster, with workers that each hold an enhancer.

Units travel as paths and numbers; the files themselves are in folders that all machines share, or
in a storage. A worker that is lost, with its machine or without, is replaced by another one, and
its unit begun again: a file has its name only once it is whole, so that nothing is harmed if both
go on. Ray could restart workers by itself, but would neither count what a unit has cost nor give it
to one that is free.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import DeviceError, ZeroDCEError
from zerodce_rt.executors import Outcome, Seen, Source
from zerodce_rt.executors.cluster_worker import ClusterWorker, Hello, Look, Result
from zerodce_rt.executors.logs import Said
from zerodce_rt.executors.ray_connection import connect
from zerodce_rt.executors.room import Node, Room, divide
from zerodce_rt.storage.remote import Remote
from zerodce_rt.units import Unit

log = logging.getLogger(__name__)

_MOST_ATTEMPTS = 5
"""A unit whose worker was lost is begun so often; so are workers in a row that cannot start."""

# Between two looks at how far the workers are.
_INTERVAL_SECONDS = 0.5
# How long a worker may take to delete what it has not finished.
_GRACE_SECONDS = 10.0
# After so long without any worker, a line says so.
_PATIENCE_SECONDS = 20.0


class _Worker:
    """An actor, what it is busy with, and what is awaited of it."""

    def __init__(self, number: int, actor: Any) -> None:
        self.number, self.actor = number, actor
        self.unit: Unit | None = None
        self.hello: Hello | None = None
        self.answer: Any = actor.hello.remote()
        self.looking: Any = None

    @property
    def node(self) -> str | None:
        """Its machine, if it has one yet."""
        return self.hello.node if self.hello else None

    @property
    def is_free(self) -> bool:
        return self.answer is None

    @property
    def is_starting(self) -> bool:
        return self.unit is None and self.answer is not None

    def begin(self, unit: Unit, *, again: bool) -> None:
        self.unit, self.looking = unit, None
        self.answer = self.actor.run.remote(unit, again=again)


class Cluster:
    """Is an ``Executor``.

    Args:
        enhancer: the workers make others like it.
        address: as for ``connect``.
        jobs: how many workers; default: as many as the cluster has room for.
        gpus: of each worker, 0 to 1; default: 1 if the cluster has any.

    Raises:
        ZeroDCEError: there is no cluster, or no room in it.
    """

    def __init__(
        self, enhancer: Enhancer, address: str, *, jobs: int | None = None,
        gpus: float | None = None,
    ) -> None:  # fmt: skip
        self._connected = connect(address)
        import ray

        self._ray = ray
        self._workers: list[_Worker] = []
        self._waiting: deque[Unit] = deque()
        self._attempts: dict[int, int] = {}
        self._failed_starts = 0
        self._looked = 0.0
        self._last_served = time.monotonic()
        self._say = Said()
        try:
            self._room = self._find_room(jobs, gpus)
        except BaseException:
            self.close()
            raise
        self._arguments = (
            enhancer.recipe(threads=self._room.cpus),
            logging.getLogger("zerodce_rt").getEffectiveLevel(),
            Path.cwd(),
            self._room.gpus,
        )
        self._actors = ray.remote(
            num_cpus=self._room.cpus, num_gpus=self._room.gpus, max_concurrency=2,
            scheduling_strategy="SPREAD",
        )(ClusterWorker)  # fmt: skip

    def _find_room(self, jobs: int | None, gpus: float | None) -> Room:
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        nodes = [Node(each.get("CPU", 0.0), each.get("GPU", 0.0)) for each in alive]
        room = divide(nodes, jobs, gpus)
        if not room.jobs:
            raise ZeroDCEError(
                f"the Ray cluster has no room for a worker, which needs {_needs(room)}; if it "
                "grows when it is asked to, say how many workers there shall be with `jobs`"
            )
        return room

    def close(self) -> None:
        ray, workers = self._ray, self._workers
        self._workers = []
        if not ray.is_initialized():
            return
        with suppress(Exception):  # the cluster may be gone
            running = [w.answer for w in workers if w.unit is not None]
            for worker in workers:
                if worker.unit is not None:
                    worker.actor.dismiss.remote()
            if running:
                ray.wait(running, num_returns=len(running), timeout=_GRACE_SECONDS)
        for worker in workers:
            self._kill(worker)
        if self._connected:
            ray.shutdown()

    def run(self, source: Source, seen: Seen) -> Iterator[Outcome]:
        while self._hand_out(source):
            awaited = {w.answer: w for w in self._workers if not w.is_free}
            ready, _ = self._ray.wait([*awaited], num_returns=1, timeout=_INTERVAL_SECONDS)
            for answer in ready:
                if (outcome := self._received(awaited[answer])) is not None:
                    yield outcome
            self._look(seen)

    def _hand_out(self, source: Source) -> bool:
        """Give units to workers that have none.

        Returns:
            Whether there are units that are under way, or wait for a worker.
        """
        self._assign()
        while self._unfinished < self._room.jobs and (unit := source()) is not None:
            self._waiting.append(unit)
            self._assign()
        return self._unfinished > 0

    @property
    def _unfinished(self) -> int:
        return len(self._waiting) + sum(w.unit is not None for w in self._workers)

    def _assign(self) -> None:
        """Give waiting units to free workers, and start workers for the others.

        A worker that is being started gets none yet: it may wait long for its machine.
        """
        for worker in self._workers:
            if worker.is_free and self._waiting:
                unit = self._waiting.popleft()
                worker.begin(unit, again=id(unit) in self._attempts)
        starting = sum(w.is_starting for w in self._workers)
        for _ in range(len(self._waiting) - starting):
            if len(self._workers) < self._room.jobs:
                self._start()

    def _start(self) -> None:
        taken = {worker.number for worker in self._workers}
        number = next(n for n in range(1, len(taken) + 2) if n not in taken)
        self._workers.append(_Worker(number, self._actors.remote(*self._arguments)))

    def _received(self, worker: _Worker) -> Outcome | None:
        """Take a worker's answer; None unless its unit has ended."""
        answer, worker.answer = worker.answer, None
        self._last_served = time.monotonic()
        try:
            said: Hello | Result = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            return self._lost(worker, error)
        if isinstance(said, Hello):
            self._welcome(worker, said)
            return None
        for record in said.records:
            self._say(record)
        if isinstance(said.error, DeviceError):
            return self._lost(worker, said.error)
        unit, worker.unit = worker.unit, None
        assert unit is not None
        if said.fell_back:  # another one may have a GPU that works
            self._dismiss(worker)
        return Outcome(unit, said.frames, said.error or _not_here(unit, worker))

    def _welcome(self, worker: _Worker, hello: Hello) -> None:
        if hello.version != version("zerodce-rt"):
            raise ZeroDCEError(
                f"{hello.host}: has zerodce-rt {hello.version}, and this machine "
                f"{version('zerodce-rt')}; install the same everywhere"
            )
        worker.hello = hello
        if hello.error is not None:
            self._lost(worker, hello.error)
            return
        self._failed_starts = 0
        log.debug("worker %d is process %d of %s", worker.number, hello.process, hello.host)

    def _lost(self, worker: _Worker, error: Exception) -> Outcome | None:
        """Have another worker do the unit of one that is gone, unless that goes on and on."""
        self._dismiss(worker)
        # If its machine is gone, these are as well; they must not cost a unit an attempt each.
        for idle in [w for w in self._workers if w.is_free and w.node == worker.node]:
            self._dismiss(idle)
        unit = worker.unit
        if unit is None:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_ATTEMPTS:
                raise ZeroDCEError(f"no worker can be started in the Ray cluster: {_why(error)}")
            return None
        attempts = self._attempts[id(unit)] = self._attempts.get(id(unit), 0) + 1
        if attempts < _MOST_ATTEMPTS:
            log.warning("%s: its worker on %s was lost (%s); once more",
                        unit.title, _host(worker), _why(error))  # fmt: skip
            self._waiting.appendleft(unit)
            return None
        return Outcome(
            unit, error=ZeroDCEError(
                f"{unit.title}: its worker was lost {attempts} times, the last one on "
                f"{_host(worker)} ({_why(error)})"
            ),
        )  # fmt: skip

    def _dismiss(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self._kill(worker)

    def _kill(self, worker: _Worker) -> None:
        with suppress(Exception):  # it may be gone
            self._ray.kill(worker.actor)

    def _look(self, seen: Seen) -> None:
        """See how far the workers are, now and then."""
        now = time.monotonic()
        if now - self._looked < _INTERVAL_SECONDS:
            return
        self._looked = now
        for worker in self._workers:
            if worker.unit is None:
                continue
            self._last_served = now
            if worker.looking is not None:
                self._take_look(worker, worker.unit, seen)
            if worker.looking is None:
                worker.looking = worker.actor.look.remote()
        if now - self._last_served > _PATIENCE_SECONDS:
            self._last_served = now
            log.warning("waiting for the Ray cluster to have room for a worker, which needs %s",
                        _needs(self._room))  # fmt: skip

    def _take_look(self, worker: _Worker, unit: Unit, seen: Seen) -> None:
        ready, _ = self._ray.wait([worker.looking], timeout=0)
        if not ready:
            return
        worker.looking = None
        with suppress(self._ray.exceptions.RayError):  # what awaits its result learns that, too
            look: Look = self._ray.get(ready[0])
            for record in look.records:
                self._say(record)
            if look.frames:
                seen(unit, str(worker.number), look.frames, look.expected)


def _not_here(unit: Unit, worker: _Worker) -> ZeroDCEError | None:
    """What is wrong if a finished file is only where its worker is."""
    output = unit.output
    if isinstance(output, Remote):
        return None
    # A folder is read anew, while a shared one may still know for a minute that a file was missing.
    with suppress(OSError):
        if output is None or output.name in os.listdir(output.parent):
            return None
    return ZeroDCEError(
        f"{output}: was written on {_host(worker)}, but is not here; all machines of the Ray "
        "cluster must share the folders"
    )


def _host(worker: _Worker) -> str:
    return worker.hello.host if worker.hello else "?"


def _needs(room: Room) -> str:
    gpus = f" and {room.gpus:g} GPU" if room.gpus else ""
    return f"{room.cpus} CPU{'s' if room.cpus > 1 else ''}{gpus}"


def _why(error: Exception) -> str:
    """What an error says, in a sentence: those of Ray are pages, with one that tells."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    if any(line.startswith("Traceback") for line in lines):
        return lines[-1]
    telling = next((line for line in lines if "because" in line), lines[0])
    return telling.partition(". ")[0].rstrip(".")
