"""Threads between a source and its results, under one of two policies. Knows nothing of video.

``run_in_order``: source -> work -> sink over bounded queues, in order, nothing lost: for files.
``Newest``: between two stages waits one item at most, and a newer one replaces it: for what is
live. The caller takes the results in a thread of its own choice (windows insist on one).
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

# How long a blocked thread takes to notice that it should stop.
_POLL_SECONDS = 0.05
# How long a live source may take to end; a driver that does not answer is left behind.
_GRACE_SECONDS = 1.0


class _End:
    """Marks the end of a queue."""


_END = _End()


class Stopped(Exception):
    """Raised inside a worker whose pipeline is being stopped."""


class _Threads:
    """Threads that stop together; the first failure is kept."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._ended = threading.Semaphore(0)

    def start(self, **stages: Callable[[], None]) -> None:
        self._threads = [
            threading.Thread(
                target=self._guarded, args=(stage,), name=f"zerodce-{name}", daemon=True
            )
            for name, stage in stages.items()
        ]
        for thread in self._threads:
            thread.start()

    def _guarded(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except Stopped:
            pass
        except BaseException as error:
            self.failures.append(error)
            self.stop.set()
        finally:
            self._ended.release()

    def wait(self) -> None:
        """Until every thread has ended by itself; raises what failed."""
        # Not Thread.join: before Python 3.13, one that Ctrl-C interrupts takes a thread that
        # still runs for ended, and the source would be closed under its reader.
        for _ in self._threads:
            while not self._ended.acquire(timeout=_POLL_SECONDS):
                pass
        self.check()

    def check(self) -> None:
        if self.failures:
            raise self.failures[0]

    def join(self, timeout_seconds: float | None = None) -> bool:
        """Wait for threads that were told to stop; False if one did not in that time."""
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)


class _Queue(Generic[T]):
    """A bounded FIFO whose blocked ends give up when the pipeline stops."""

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
    """Room for one item; a newer one replaces it and is counted."""

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
        """The newest item, None if none came in that time, or the mark of the end."""
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
    """Close a source; its failure must not hide what went wrong before."""
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
    waiting caller (Ctrl-C), stops the others, joins the threads and is raised here.

    Args:
        queue_size: items waiting between two stages; bounds the memory.
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

    threads.start(read=read, work=transform, write=write)
    try:
        threads.wait()
    finally:
        threads.stop.set()
        threads.join()
        close = getattr(source, "close", None)
        if close is not None:
            _close(close)


class LiveSource(Protocol[T_co]):
    """Items that come in their own time, and not again."""

    def __iter__(self) -> Iterator[T_co]: ...

    def close(self) -> None:
        """End the iteration soon; called from another thread than the one that iterates."""


class Newest(Generic[T, U]):
    """Passes the newest item of a live source through ``work``; older ones are dropped.

    A context manager: its threads run inside the ``with`` block. What fails in a thread is
    raised by ``get``. Items and results are never None.
    """

    def __init__(self, source: LiveSource[T], work: Callable[[T], U]) -> None:
        self._source, self._work = source, work
        self._threads = _Threads()
        self._waiting: _Slot[T] = _Slot(self._threads.stop)
        self._results: _Slot[U] = _Slot(self._threads.stop)
        self.ended = False
        """Whether the source has ended and its last result was taken."""

    @property
    def dropped(self) -> int:
        """Items so far for which there was no time."""
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
        """The newest result that was not taken yet; None if none came in that time."""
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
            log.debug("the source does not answer and is left behind")
