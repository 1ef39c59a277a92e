"""Threads from a source to its results, with one of two policies. Knows nothing of video.

``run_in_order``, for files: source -> work -> sink over bounded queues, in order, nothing is lost.
``Newest``, for live sources: at most one item waits between two stages, and a newer one replaces
it. The caller takes the results in its own thread, since windows need a certain one.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")
T_co = TypeVar("T_co", covariant=True)

# After so long, a blocked thread looks whether it should stop.
_POLL_SECONDS = 0.05
# How long a live source may take to end; the thread of a driver that hangs is abandoned.
_GRACE_SECONDS = 1.0
# The same for a file, which may lie on a slow disk.
_STALLED_SECONDS = 5.0


class _End:
    """The last item of a queue."""


_END = _End()


class Stopped(Exception):
    """Raised inside a worker whose pipeline is being stopped."""


class _Threads:
    """Threads that stop together when one fails; keeps the failures."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.failures: list[BaseException] = []
        self._threads: dict[str, threading.Thread] = {}
        self._all_started = threading.Event()
        self._ended = threading.Semaphore(0)

    def start(self, **stages: Callable[[], None]) -> None:
        """Start the threads: all, or none of them does anything if Ctrl-C comes in between."""
        threads = {
            name: threading.Thread(
                target=self._guarded, args=(stage,), name=f"zerodce-{name}", daemon=True
            )
            for name, stage in stages.items()
        }
        try:
            for thread in threads.values():
                thread.start()
        except BaseException:
            self.stop.set()
            raise
        self._threads = threads
        self._all_started.set()

    def _guarded(self, stage: Callable[[], None]) -> None:
        try:
            while not self._all_started.wait(_POLL_SECONDS):
                if self.stop.is_set():
                    raise Stopped
            stage()
        except Stopped:
            pass
        except BaseException as error:
            self.failures.append(error)
            self.stop.set()
        finally:
            self._ended.release()

    def wait(self) -> None:
        """Wait until every thread has ended by itself, or one has failed; raise its failure."""
        # Not Thread.join: before Python 3.13, if Ctrl-C interrupts it, it takes a running thread
        # for ended, and the source would be closed while it is read.
        for _ in self._threads:
            while not self._ended.acquire(timeout=_POLL_SECONDS):
                self.check()
        self.check()

    def check(self) -> None:
        """Raise the first failure, if there is one."""
        if self.failures:
            raise self.failures[0]

    def join(self, timeout_seconds: float | None = None, *names: str) -> bool:
        """Wait for the threads after ``stop`` was set; False if one still runs after that time.

        Args:
            names: of those to wait for; default: all.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        threads = [t for n, t in self._threads.items() if not names or n in names]
        for thread in threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
        # An exception holds the frames of the functions that it came through, and they hold this:
        # decoders and encoders would stay until the next garbage collection.
        self.failures.clear()
        return not any(thread.is_alive() for thread in threads)


class _Queue(Generic[T]):
    """A bounded FIFO; ``put`` and ``get`` raise ``Stopped`` when the pipeline stops."""

    def __init__(self, size: int, stop: threading.Event) -> None:
        self._queue: queue.Queue[T | _End] = queue.Queue(size)
        self._stop = stop

    def put(self, item: T | _End) -> None:
        while not self._stop.is_set():
            try:
                return self._queue.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
        raise Stopped

    def get(self) -> T | _End:
        while not self._stop.is_set():
            try:
                return self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
        raise Stopped


class _Slot(Generic[T]):
    """Holds the newest item. One that is replaced before it was taken counts as dropped."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._changed = threading.Condition()
        self._items: list[T] = []
        self._ended = False
        self.dropped = 0

    def put(self, item: T) -> None:
        if self._stop.is_set():
            raise Stopped
        with self._changed:
            self.dropped += len(self._items)
            self._items = [item]
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()

    def get(self, timeout_seconds: float) -> T | _End | None:
        """The newest item; None if none came in that time, ``_END`` after the last."""
        with self._changed:
            if not self._items and not self._ended:
                self._changed.wait(timeout_seconds)
            if self._items:
                return self._items.pop()
            return _END if self._ended else None

    def __iter__(self) -> Iterator[T]:
        while not isinstance(item := self.get(_POLL_SECONDS), _End):
            if self._stop.is_set():
                raise Stopped
            if item is not None:
                yield item


def _close(close: Callable[[], None]) -> None:
    """Close a source; a failure to do so must not hide an earlier error."""
    failing = sys.exc_info()[0] is not None
    try:
        close()
    except Exception:
        if not failing:
            raise
        log.warning("the source could not be closed", exc_info=True)


def run_in_order(
    source: Iterable[T],
    work: Callable[[T], U],
    sink: Callable[[U], None],
    *,
    queue_size: int = 4,
) -> None:
    """Pass every item of ``source`` through ``work`` to ``sink``, each in its own thread.

    Returns when the last item has left ``sink``. An exception in any of the three, or in the
    waiting caller (Ctrl-C), stops the others and is raised here after the threads were joined. The
    thread of a source that does not answer then, such as a lost network folder, is abandoned.

    Args:
        source: closed at the end, if it has a method ``close``, unless it does not answer.
        queue_size: how many items may wait between two stages; bounds the memory.
    """
    threads = _Threads()
    first: _Queue[T] = _Queue(queue_size, threads.stop)
    second: _Queue[U] = _Queue(queue_size, threads.stop)

    def read() -> None:
        for item in source:
            first.put(item)
        first.put(_END)

    def transform() -> None:
        while not isinstance(item := first.get(), _End):
            second.put(work(item))
        second.put(_END)

    def write() -> None:
        while not isinstance(item := second.get(), _End):
            sink(item)

    try:
        threads.start(read=read, work=transform, write=write)
        threads.wait()
    finally:
        threads.stop.set()
        threads.join(None, "work", "write")
        if not threads.join(_STALLED_SECONDS, "read"):
            log.warning("the source does not answer; its thread is abandoned")
        elif (close := getattr(source, "close", None)) is not None:
            _close(close)


class LiveSource(Protocol[T_co]):
    """Gives items at a rate of its own."""

    def __iter__(self) -> Iterator[T_co]: ...

    def close(self) -> None:
        """End the iteration soon. Called from another thread than the one that iterates."""


class Newest(Generic[T, U]):
    """Passes the newest item of a live source through ``work``; older ones are dropped.

    A context manager: its threads run inside the ``with`` block, and the source is closed at its
    end. What fails in a thread is raised by ``get``. Items and results must not be None.

    Attributes:
        ended: whether the source has ended and its last result was taken.
    """

    def __init__(self, source: LiveSource[T], work: Callable[[T], U]) -> None:
        self._source, self._work = source, work
        self._threads = _Threads()
        self._waiting: _Slot[T] = _Slot(self._threads.stop)
        self._results: _Slot[U] = _Slot(self._threads.stop)
        self.ended = False

    @property
    def dropped(self) -> int:
        """Number of items so far that a newer one replaced."""
        return self._waiting.dropped + self._results.dropped

    def __enter__(self) -> Newest[T, U]:
        self._threads.start(read=self._read, work=self._transform)
        return self

    def _read(self) -> None:
        for item in self._source:
            self._waiting.put(item)
        self._waiting.end()

    def _transform(self) -> None:
        for item in self._waiting:
            self._results.put(self._work(item))
        self._results.end()

    def get(self, timeout_seconds: float) -> U | None:
        """Take the newest result; None if no new one came in that time."""
        if self.ended:
            time.sleep(timeout_seconds)
            return None
        result = self._results.get(timeout_seconds)
        self._threads.check()
        if isinstance(result, _End):
            self.ended = True
            return None
        return result

    def __exit__(self, *_: object) -> None:
        self._threads.stop.set()
        _close(self._source.close)
        if not self._threads.join(_GRACE_SECONDS):
            log.debug("the source does not answer; its thread is abandoned")
