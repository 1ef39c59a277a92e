"""What cameras, streams and files have in common, and the feed that reopens a lost one."""

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

# Between two attempts to open a lost source; each pause is twice the one before.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 10.0


@dataclass(frozen=True)
class CapturedImage:
    """An image of a live source.

    Attributes:
        image: ``(H, W, 3)`` uint8 BGR.
        captured: when it arrived, in seconds on ``time.monotonic``'s clock; from a file, when it
            is due to be shown.
    """

    image: NDArray[np.uint8]
    captured: float


class SourceLost(ZeroDCEError):
    """A source cannot be opened, or gives no more images; it may come back."""


class Source(Protocol):
    """An open camera, stream or file.

    Attributes:
        description: size, format and rate as agreed with it, for people.
    """

    description: str

    def read(self) -> CapturedImage | None:
        """Wait for the next image; None at the end of a file.

        Raises:
            SourceLost: if there will be no more.
        """

    def close(self) -> None: ...


class Feed:
    """The images of a source, which is opened again when it is lost.

    One thread iterates; everything else may be called from any thread.

    Attributes:
        name: of the source, for people.
        status: why there are no images just now; None while they come.
        description: size, format and rate as agreed with the source, for people.
        size: width and height of its last image in pixels.
        meter: rate of the images that the source gives.
        slow_advice: what to do if the rate is lower than was asked for, for people.

    Args:
        open_source: opens the source; called again after it was lost.
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
        """Measured size and rate, for people: ``1280x720 at 29.9 fps``."""
        width, height = self.size
        return f"{width}x{height} at {self.meter.rate(time.monotonic()):.1f} fps"

    @property
    def silent_seconds(self) -> float:
        """For how long the source has been asked for its next image without an answer."""
        asked = self._asked
        return 0.0 if asked is None else time.monotonic() - asked

    def close(self) -> None:
        """End the iteration as soon as the source answers."""
        self._stop.set()

    def __iter__(self) -> Iterator[CapturedImage]:
        """Images, each not before it is due, until a file ends or ``close`` is called.

        Raises:
            ZeroDCEError: if the source cannot be opened the first time. Later failures are
                logged, and shown as ``status``.
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
                for item in self._images(self._source):
                    pause = _FIRST_PAUSE_SECONDS
                    yield item
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

    def _images(self, source: Source) -> Iterator[CapturedImage]:
        while (item := self._read(source)) is not None:
            if self._stop.wait(max(0.0, item.captured - time.monotonic())):
                return
            self.status = None
            self.meter.tick(item.captured)
            self.size = item.image.shape[1], item.image.shape[0]
            yield item

    def _read(self, source: Source) -> CapturedImage | None:
        self._asked = time.monotonic()
        try:
            return source.read()
        finally:
            self._asked = None

    def _release(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()
