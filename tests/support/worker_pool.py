"""Jobs in processes that may crash, hang or go bad: every job gets its line all the same.

A process is used for one job after another until it dies, takes too long, or says something that
means it can no longer be trusted; then another takes its place. Knows nothing of what jobs do.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any, Literal

# A process that was killed, but hangs in a driver, is not waited for any longer.
_END_SECONDS = 5.0
# How often to look whether a process is dead whose pipe one of its own children holds open.
_POLL_SECONDS = 0.5

State = Literal["passed", "failed", "not run"]


class NotRunError(Exception):
    """Raised by a job that this machine cannot do, with what it lacks."""


@dataclass(frozen=True)
class Job:
    """What runs in a process.

    Attributes:
        call: a function of a module, or a ``partial`` of one. If it returns an iterator, its
            values are handed over one by one, and those before a failure are not lost.
        limit_seconds: it hangs if it takes longer.
        spends: its process is not used for another job.
    """

    name: str
    call: Callable[[], object]
    limit_seconds: float = 60.0
    spends: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        reason: why it failed or was not run, in one line.
        seconds: in the process that finished it, its start included.
        blamed: what it failed with in a process that had gone bad, if it was run again.
    """

    name: str
    state: State
    reason: str = ""
    seconds: float = 0.0
    blamed: str = ""

    @property
    def line(self) -> str:
        return f"{self.name}: {self.reason}" if self.reason else self.name


class WorkerPool:
    """Runs jobs in several processes at once. A context manager.

    Args:
        workers: processes.
        poison: texts; a failure with one of them may be an earlier job's fault. The process is
            replaced and the job runs again in a fresh one, where a second failure is its own.
        start_seconds: added to the limit of a process's first job, for what it has to import.
        keep_after_failure: use a process again whose job has raised an exception.
        log: what the processes write to standard error is added to it.
    """

    def __init__(
        self, workers: int, *, poison: Sequence[str] = (), start_seconds: float = 60.0,
        keep_after_failure: bool = True, log: Path | None = None,
    ) -> None:  # fmt: skip
        self._size, self._poison, self._start_seconds = workers, tuple(poison), start_seconds
        self._keep_after_failure, self._log = keep_after_failure, log
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in (*self._idle, *self._busy):
            worker.stop(self._log)
        self._idle, self._busy = [], []

    def run(
        self, jobs: Iterable[Job], *, until: float | None = None,
        on_value: Callable[[str, Any], object] = lambda name, value: None,
    ) -> Iterator[Outcome]:  # fmt: skip
        """The outcomes, in the order in which they come.

        Args:
            until: on ``time.monotonic()``; what is not done then is not run.
            on_value: called with the job's name for each value of a job.
        """
        waiting = deque((job, "") for job in jobs)
        while waiting or self._busy:
            if until is not None and time.monotonic() >= until:
                yield from self._give_up(job for job, _ in waiting)
                return
            while waiting and len(self._busy) < self._size:
                while self._idle and self._idle[-1].is_dead:  # after its job, not because of one
                    self._idle.pop().stop(self._log)
                job, blamed = waiting.popleft()
                fresh = bool(blamed) or not self._idle
                worker = _Worker() if fresh else self._idle.pop()
                worker.begin(job, blamed, self._start_seconds if fresh else 0.0)
                self._busy.append(worker)
            for worker in self._those_with_news(until):
                outcome = worker.outcome(on_value)
                if outcome is None:
                    continue
                self._busy.remove(worker)
                # Only an exception can be an earlier job's fault: who dies or hangs is told apart.
                poisoned = worker.raised and any(p in outcome.reason for p in self._poison)
                trusted = outcome.state != "failed" or (worker.raised and self._keep_after_failure)
                if poisoned or not trusted or worker.job.spends:
                    worker.stop(self._log)
                else:
                    self._idle.append(worker)
                if poisoned and not worker.blamed:
                    waiting.appendleft((worker.job, outcome.reason))
                else:
                    yield outcome

    def _those_with_news(self, until: float | None) -> list[_Worker]:
        """Wait until a process has said something, has died or is too late, or for a while."""
        next_limit = min(w.limit for w in self._busy)
        timeout = min(next_limit, until or next_limit) - time.monotonic()
        ready = connection.wait([w.pipe for w in self._busy], min(max(timeout, 0.0), _POLL_SECONDS))
        return [w for w in self._busy if w.pipe in ready or w.is_over]

    def _give_up(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        for worker in self._busy:
            worker.stop(self._log)
            yield Outcome(worker.job.name, "not run", "the time was up while it ran")
        self._busy = []
        for job in jobs:
            yield Outcome(job.name, "not run", "the time was up")


class _Worker:
    """One process.

    Attributes:
        job: the one that runs, or ran last.
        blamed: what it failed with in another process.
        limit: on ``time.monotonic()``.
        raised: its failure was an exception, so that the process lives.
    """

    def __init__(self) -> None:
        descriptor, name = tempfile.mkstemp(prefix="worker-", suffix=".log")
        os.close(descriptor)
        self._stderr, self._seen = Path(name), 0
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # Not daemonic, for those may have no processes of their own, such as a compiler's.
        self._process = context.Process(target=_serve, args=(theirs, name))
        self._process.start()
        theirs.close()

    def begin(self, job: Job, blamed: str, start_seconds: float) -> None:
        self.job, self.blamed, self.raised = job, blamed, False
        self._seen = self._stderr.stat().st_size
        self._started = time.monotonic()
        self.limit = self._started + start_seconds + job.limit_seconds
        with contextlib.suppress(OSError):  # from a process that has died meanwhile
            self.pipe.send_bytes(pickle.dumps(job.call))

    @property
    def is_dead(self) -> bool:
        return self._process.exitcode is not None

    @property
    def is_over(self) -> bool:
        return self.is_dead or time.monotonic() >= self.limit

    def outcome(self, on_value: Callable[[str, Any], object]) -> Outcome | None:
        """Take all that the process has sent; how the job has ended, if it has."""
        try:
            while self.pipe.poll():
                kind, content = self.pipe.recv()
                if kind == "value":
                    on_value(self.job.name, content)
                else:
                    self.raised = kind == "failed"
                    return self._end(kind, content)
        except (EOFError, OSError):
            self._process.join(_END_SECONDS)
            return self._end("failed", self._death())
        if self.is_dead:
            return self._end("failed", self._death())
        if time.monotonic() >= self.limit:
            limit = self.limit - self._started
            return self._end("failed", f"takes longer than {limit:g} s")
        return None

    def _end(self, state: State, reason: str) -> Outcome:
        seconds = time.monotonic() - self._started
        return Outcome(self.job.name, state, reason, seconds, self.blamed)

    def _death(self) -> str:
        code = self._process.exitcode
        how = f"exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):  # a signal without a name
                how = signal.Signals(-code).name
        said = self._stderr.read_bytes()[self._seen :].decode(errors="replace").split("\n")
        lines = [line.strip() for line in said if line.strip()]
        telling = [line for line in lines if "error" in line.lower()]
        return ": ".join([f"its process died ({how})", *(telling or lines[-1:])[:1]])

    def stop(self, log: Path | None) -> None:
        """End the process and all that it has started."""
        if not self.is_dead:
            try:
                os.killpg(self._process.pid or 0, signal.SIGKILL)
            except (AttributeError, OSError):  # Windows; not yet a group of its own
                self._process.kill()
        self._process.join(_END_SECONDS)
        self.pipe.close()
        if log is not None and (text := self._stderr.read_bytes()):
            with log.open("ab") as file:
                file.write(text)
        self._stderr.unlink(missing_ok=True)


def _serve(pipe: connection.Connection, stderr: str) -> None:
    """The loop of a process: run what is sent, and answer."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # so that what it starts ends with it
    descriptor = os.open(stderr, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 2)
    faulthandler.enable()
    while True:
        try:
            content = pipe.recv_bytes()
        except EOFError:
            return
        values: object = None
        try:
            values = pickle.loads(content)()
            for value in values if isinstance(values, Iterator) else ():
                pipe.send(("value", value))
        except NotRunError as reason:
            pipe.send(("not run", " ".join(str(reason).split())))
        except Exception as error:
            if not isinstance(error, AssertionError):
                sys.excepthook(type(error), error, error.__traceback__)
            pipe.send(("failed", " ".join(f"{type(error).__name__}: {error}".split())))
        else:
            pipe.send(("passed", ""))
        sys.stderr.flush()
        del values
        gc.collect()  # what the job has left in cycles is not to be in the next one's way


def leave(code: int) -> None:
    """End this process, also beside one that a driver does not let die."""
    sys.stdout.flush()
    sys.stderr.flush()
    if multiprocessing.active_children():
        os._exit(code)
    sys.exit(code)
