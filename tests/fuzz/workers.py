"""Cases in a process of their own, so that one that crashes or hangs is a verdict as well."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tests.fuzz.cases import case_of, run_case, warm_up
from tests.fuzz.outcome import CRASH, HANG, MEMORY, Outcome
from zerodce_rt.bench.hardware import give_back_freed_memory

Run = Callable[[str, int, Path], Outcome]

LIMIT_SECONDS = 20.0
LIMIT_MB = 4096.0
# Kernels may have to be compiled.
_START_SECONDS = 600.0
_END_SECONDS = 5.0
_POLL_SECONDS = 0.2
# What glibc keeps of freed blocks, between blocks of many sizes, is no memory of the program's.
_CASES_BETWEEN_TRIMS = 20
# As ``faulthandler`` writes them.
_FRAME = re.compile(r'File "(.+)", line (\d+) in (\S+)')
_SHOWN_FRAMES = 3
_OURS = ("zerodce_rt", "fuzz")


@dataclass(frozen=True)
class Usage:
    """What a worker holds after a case; zeros where the system does not say.

    Attributes:
        memory_mb: resident memory.
        descriptors: open files.
    """

    memory_mb: float = 0.0
    descriptors: int = 0


class Worker:
    """A process that runs cases; it is replaced when it dies or has to be killed.

    A context manager. To be used by one thread.

    Attributes:
        histories: for each process, what it held after each case.

    Args:
        kinds: what is run once beforehand (see ``cases.warm_up``).
        run: runs a case; a function of a module.
        limit_seconds: a case that takes longer hangs.
        limit_mb: resident memory that a case may take.
    """

    def __init__(
        self, kinds: tuple[str, ...], *, run: Run = run_case, limit_seconds: float = LIMIT_SECONDS,
        limit_mb: float = LIMIT_MB,
    ) -> None:  # fmt: skip
        self._kinds, self._run = kinds, run
        self._limit_seconds, self._limit_mb = limit_seconds, limit_mb
        self._folder = Path(tempfile.mkdtemp(prefix="zerodce-fuzz-"))
        self._log = self._folder / "log.txt"
        self._process: Any = None
        self.histories: list[list[Usage]] = []

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._connection.close()  # an idle process then ends by itself
            self._process.join(_END_SECONDS)
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, kind: str, number: int) -> Outcome:
        """Run a case; what the process then holds is added to ``histories``."""
        if self._process is None:
            self._start()
        started = time.monotonic()
        self._connection.send((kind, number))
        try:
            verdict, detail, answer = self._answer(started + self._limit_seconds)
        except BaseException:
            self._stop()
            raise
        if answer is not None:
            outcome, usage = answer
            self.histories[-1].append(usage)
            return outcome
        self._stop()
        case = case_of(kind, number)
        seconds = time.monotonic() - started
        return Outcome(kind, number, case.name, case.mode, verdict, detail, seconds)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, daemon=True,
            args=(theirs, self._folder / "case", self._log, self._kinds, self._run,
                  self._limit_seconds),
        )  # fmt: skip
        self._process.start()
        theirs.close()
        self.histories.append([])
        verdict, detail, answer = self._answer(time.monotonic() + _START_SECONDS)
        if answer is None:
            self._stop()
            raise RuntimeError(f"a worker does not start: {verdict}: {detail}")

    def _answer(self, until: float) -> tuple[str, str, Any]:
        """Verdict and detail if there is none, and what the process has sent."""
        while not self._connection.poll(_POLL_SECONDS):
            if time.monotonic() > until:
                return HANG, self._with_stack("no answer"), None
            used = memory_mb(self._process.pid)
            if used > self._limit_mb:
                return MEMORY, f"{used:.0f} MB", None
        try:
            return "", "", self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            return CRASH, self._with_stack(f"exit code {self._process.exitcode}"), None

    def _with_stack(self, what: str) -> str:
        """With where the process was, if it has written that to its log."""
        text = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        return " in ".join([what, *innermost(text)])

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None


def innermost(log: str) -> list[str]:
    """Of each thread in our code, the innermost places that ``faulthandler`` has written last.

    >>> innermost("Timeout (0:00:18)!\\nThread 0x7 (most recent call first):\\n"
    ...           '  File "zerodce_rt/reader.py", line 7 in read')
    ['reader.py:7 read']
    """
    last = log[max(log.rfind("Timeout ("), log.rfind("Fatal Python error"), 0) :]
    places = []
    for stack in last.split("(most recent call first):\n")[1:]:
        frames = _FRAME.findall(stack)
        if any(part in _OURS for file, _, _ in frames for part in Path(file).parts):
            shown = [f"{Path(f).name}:{line} {name}" for f, line, name in frames[:_SHOWN_FRAMES]]
            places.append(" < ".join(shown))
    return places


def memory_mb(pid: int | str = "self") -> float:
    """Resident memory of a process; 0 where the system does not say."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _serve(
    connection: Connection, folder: Path, log: Path, kinds: tuple[str, ...], run: Run,
    limit_seconds: float,
) -> None:  # fmt: skip
    """In the new process: warm up, then run one case after the other."""
    with log.open("w", encoding="utf-8") as file:
        # Warnings of many cases would only hide the progress.
        os.dup2(file.fileno(), 2)
        faulthandler.enable(file)
        # Its own lock would stay behind in the system when this process is killed.
        tqdm.set_lock(threading.RLock())
        for kind in kinds:
            warm_up(kind, folder)
        connection.send("ready")
        while True:
            try:
                kind, number = connection.recv()
            except (EOFError, OSError):  # the other end is gone
                return
            faulthandler.dump_traceback_later(0.9 * limit_seconds, file=file)
            outcome = run(kind, number, folder)
            faulthandler.cancel_dump_traceback_later()
            if number % _CASES_BETWEEN_TRIMS == 0:
                give_back_freed_memory()
            connection.send((outcome, Usage(memory_mb(), _descriptor_count())))


def _descriptor_count() -> int:
    folder = Path("/proc/self/fd")
    return len(os.listdir(folder)) if folder.is_dir() else 0
