"""Live sources behind one interface, and the feed that brings a lost one back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.meters import RateMeter

log = logging.getLogger(__name__)

# Between two attempts to open a source that was lost; each pause is twice the one before.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 10.0


@dataclass(frozen=True)
class Picture:
    """One picture of a live source.

    Attributes:
        image: ``(H, W, 3)`` uint8 BGR.
        captured: when it arrived, on ``time.monotonic``'s clock; for a file's picture, when it
            is due.
    """

    image: NDArray[np.uint8]
    captured: float


class SourceLost(ZeroDCEError):
    """A source that cannot be opened or gives no more pictures; it may come back."""


class Source(Protocol):
    """An open camera, stream or file.

    Attributes:
        description: what was negotiated with it, for people.
    """

    description: str

    def read(self) -> Picture | None:
        """The next picture, waiting for it; None at the end of a file.

        Raises:
            SourceLost: if there will be no more.
        """

    def close(self) -> None: ...


class Feed:
    """The pictures of a source, which is opened again when it is lost.

    A source that cannot even be opened at first is an error. Iterated by one thread; everything
    else may be called from another.

    Attributes:
        name: of the source, for people.
        status: why there are no pictures just now; None while they come.
        description: what was negotiated with the source.
        size: width and height of its last picture.
        meter: of the pictures that the source gives.
        slow_advice: what to do if they are fewer than was asked for.

    Args:
        open_source: opens the source.
    """

    def __init__(
        self, name: str, open_source: Callable[[], Source], *, slow_advice: str = ""
    ) -> None:
        self.name, self.slow_advice, self._open = name, slow_advice, open_source
        self.status: str | None = f"opening {name} ..."
        self.description = ""
        self.size = 0, 0
        self.meter = RateMeter()
        self._source: Source | None = None
        self._asked: float | None = None
        self._stop = threading.Event()

    def measured(self) -> str:
        """What the source really gives, for people: ``1280x720 at 29.9 fps``."""
        width, height = self.size
        return f"{width}x{height} at {self.meter.rate(time.monotonic()):.1f} fps"

    @property
    def silent_seconds(self) -> float:
        """For how long the source has left a question for the next picture unanswered."""
        asked = self._asked
        return 0.0 if asked is None else time.monotonic() - asked

    def close(self) -> None:
        """Let the iteration end as soon as the source answers."""
        self._stop.set()

    def __iter__(self) -> Iterator[Picture]:
        """Pictures until a file ends or ``close`` is called.

        Raises:
            ZeroDCEError: if the source cannot be opened the first time.
        """
        opened = False
        pause = _FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                self._source = self._open()
                if opened:
                    log.warning("%s is back", self.name)
                self.description = self._source.description
                log.info("%s: %s", self.name, self.description)
                opened = True
                for picture in self._pictures(self._source):
                    pause = _FIRST_PAUSE_SECONDS
                    yield picture
                return
            except ZeroDCEError as error:
                if not opened:
                    raise
                self.status = f"{error}; trying again in {pause:g} s"
                log.warning("%s", self.status)
            finally:
                self._release()
            if self._stop.wait(pause):
                return
            self.status = f"opening {self.name} ..."
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _pictures(self, source: Source) -> Iterator[Picture]:
        while (picture := self._read(source)) is not None:
            if self._stop.wait(max(0.0, picture.captured - time.monotonic())):
                return
            self.status = None
            self.meter.tick(picture.captured)
            self.size = picture.image.shape[1], picture.image.shape[0]
            yield picture

    def _read(self, source: Source) -> Picture | None:
        self._asked = time.monotonic()
        try:
            return source.read()
        finally:
            self._asked = None

    def _release(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()
