"""Work on bands of a frame's rows, shared out to a few threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

# With more threads than this, they compete with decoder and encoder for memory bandwidth.
MAX_THREADS = 8
BANDS_PER_THREAD = 2


class Bands:
    """A pool of threads; work is done when the call returns.

    Args:
        threads: bands worked on at once; default: the usable cores, eight at most.

    Raises:
        ValueError: for less than one thread.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"`threads` must be at least 1, not {threads}")
        self.threads = threads or min(usable_cores(), MAX_THREADS)
        self._pool = ThreadPoolExecutor(self.threads, "zerodce-apply")

    def close(self) -> None:
        self._pool.shutdown()

    def bounds(self, rows: int, least: int = 1) -> list[int]:
        """Where to cut ``0 .. rows``, from 0 to ``rows``.

        Args:
            least: bands have at least so many rows and begin at multiples of it; without so many
                rows there is one.
        """
        # More bands than threads: if a thread has to wait for a core, the others take its bands.
        count = 1 if self.threads == 1 else BANDS_PER_THREAD * self.threads
        units = max(rows // least, 1)
        return sorted({least * (i * units // count) for i in range(count)} | {rows})

    def run(self, band: Callable[[int, int], None], bounds: Sequence[int]) -> None:
        """Call ``band(first, last)`` for each part between two bounds, in one of the threads."""
        bands = iter(list(pairwise(bounds)))

        def work() -> None:
            for first, last in bands:
                band(first, last)

        others = [self._pool.submit(work) for _ in range(self.threads - 1)]
        try:
            work()  # the calling thread takes part rather than wait
        finally:
            for other in others:
                other.result()


def usable_cores() -> int:
    """Cores that this process may run on (fewer than the machine's in a container)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
