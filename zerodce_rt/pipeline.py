"""Three threads and two bounded queues: source -> work -> sink, in order, nothing lost.

Knows nothing of video. The caller's thread only waits, so that Ctrl-C reaches it at once.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")

# How long a blocked thread takes to notice that it should stop.
_POLL_SECONDS = 0.05


class _End:
    """Marks the end of a queue."""


_END = _End()


class Stopped(Exception):
    """Raised inside a worker whose pipeline is being stopped."""


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
    stop = threading.Event()
    first: _Queue[T] = _Queue(queue_size, stop)
    second: _Queue[U] = _Queue(queue_size, stop)
    failures: list[BaseException] = []
    ended = threading.Semaphore(0)

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

    def guarded(stage: Callable[[], None]) -> None:
        try:
            stage()
        except Stopped:
            pass
        except BaseException as error:
            failures.append(error)
            stop.set()
        finally:
            ended.release()

    threads = [
        threading.Thread(target=guarded, args=(stage,), name=f"zerodce-{name}", daemon=True)
        for name, stage in (("read", read), ("work", transform), ("write", write))
    ]
    for thread in threads:
        thread.start()
    try:
        # Not Thread.join: before Python 3.13, one that Ctrl-C interrupts takes a thread that
        # still runs for ended, and the source would be closed under its reader.
        for _ in threads:
            while not ended.acquire(timeout=_POLL_SECONDS):
                pass
        if failures:
            raise failures[0]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        close = getattr(source, "close", None)
        if close is not None:
            _close(close)
