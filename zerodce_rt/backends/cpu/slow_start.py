"""A line for people who wait for kernels to be compiled."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from zerodce_rt.frame import PixelFormat

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 2.0


class SlowStart:
    """Knows what has been compiled in this process."""

    def __init__(self) -> None:
        self._compiled: set[tuple[str, str]] = set()
        self._said = False

    @contextmanager
    def reported(self, kernel: str, format: PixelFormat) -> Iterator[None]:
        """Log a line, the first time that the first frame of a format takes long.

        Numba compiles then.
        """
        key = kernel, format.name
        if key in self._compiled:
            yield
            return
        timer = threading.Timer(_PATIENCE_SECONDS, self._say)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
        self._compiled.add(key)

    def _say(self) -> None:
        if not self._said:
            log.info("compiling kernels for this CPU: up to a minute, only once")
        self._said = True
