"""What cameras, streams and files have in common, and the feed that reopens a lost one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.meters import RateMeter
from zerodce_rt.live.sound import Listener, Sound, SoundTap

log = logging.getLogger(__name__)

# Between two attempts to open a lost source; each pause is twice the one before.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
# After so long without an image, that is told.
_SILENT_SECONDS = 2.0


@dataclass(frozen=True)
class CapturedImage:
    """An image of a live source.

    Attributes:
        image: ``(H, W, 3)`` uint8 BGR.
        captured: when it arrived, in seconds on ``time.monotonic``'s clock; from a file, when it
            is due to be shown.
        seconds: the same by the source's own clock, whose steps are steady; that of sources
            without one is ``captured``.
    """

    image: NDArray[np.uint8]
    captured: float
    seconds: float


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


@runtime_checkable
class Seekable(Protocol):
    """A ``Source`` in which one can go back and on."""

    def seek(self, seconds: float) -> None:
        """Go on so far from the last image, back if negative; not beyond the ends."""


@runtime_checkable
class Audible(Protocol):
    """A ``Source`` that may have sound.

    Attributes:
        tap: where it comes out; None without.
    """

    tap: SoundTap | None


AtEnd = Literal["stop", "stay", "again"]
"""What a feed does after the last image of a file: end, wait for ``seek``, or begin again."""


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
        listeners: get every packet of sound.
        at_end: what to do after the last image of a file.
        ended: whether the last image of a file was given, and the feed waits.

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
        self.listeners: list[Listener] = []
        self._source: Source | None = None
        self._asked: float | None = None
        self.at_end: AtEnd = "stop"
        self.ended = False
        self._stop = threading.Event()
        # Set when there is something to do before the next image is due.
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._seek_seconds = 0.0

    def measured(self) -> str:
        """Measured size and rate, for people: ``1280x720 at 29.9 fps``."""
        width, height = self.size
        return f"{width}x{height} at {self.meter.rate(time.monotonic()):.1f} fps"

    @property
    def silent_seconds(self) -> float:
        """For how long the source has been asked for its next image without an answer."""
        asked = self._asked
        return 0.0 if asked is None else time.monotonic() - asked

    @property
    def silence(self) -> str | None:
        """That nothing has come for long, for people; None while it does."""
        seconds = self.silent_seconds
        return (
            f"{self.name} has sent nothing for {seconds:.0f} s"
            if seconds > _SILENT_SECONDS
            else None
        )

    def close(self) -> None:
        """End the iteration as soon as the source answers."""
        self._stop.set()
        self._wake.set()

    @property
    def seekable(self) -> bool:
        """Whether ``seek`` has an effect: in files it has."""
        return isinstance(self._source, Seekable)

    def seek(self, seconds: float) -> None:
        """Go on so far in a file, back if negative; not beyond its ends."""
        with self._lock:
            self._seek_seconds += seconds
        self._wake.set()

    def __iter__(self) -> Iterator[CapturedImage]:
        """Images, each not before it is due, until a file ends or ``close`` is called.

        Raises:
            ZeroDCEError: if the source cannot be opened the first time. Later failures are
                logged, and shown as ``status``. If what it gives cannot be shown.
        """
        opened = lost = reading = False
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                reading = False
                self._source = self._open()
                if isinstance(self._source, Audible) and self._source.tap is not None:
                    self._source.tap.listeners = self.listeners
                reading = True
                if lost:
                    log.warning("%s is back", self.name)
                self.description = self._source.description
                if lost or not opened:
                    log.info("%s: %s", self.name, self.description)
                opened, lost = True, False
                given = False
                for item in self._images(self._source):
                    pause = FIRST_PAUSE_SECONDS
                    given = True
                    yield item
                if self.at_end != "again" or not given:
                    return
                continue
            except ZeroDCEError as error:
                if not opened or (reading and not isinstance(error, SourceLost)):
                    raise
                lost = True
                self.status = f"{error}; trying again in {pause:g} s"
                log.warning("%s", self.status)
            finally:
                self._release()
            if self._stop.wait(pause):
                return
            self.status = f"opening {self.name} ..."
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _images(self, source: Source) -> Iterator[CapturedImage]:
        while True:
            self._wake.clear()
            if self._stop.is_set():
                return
            if not self._seek(source) and self.ended:
                self._wake.wait()
                continue
            self.ended = False
            item = self._read(source)
            if item is None:
                if self.at_end != "stay":
                    return
                self.ended = True
                continue
            self._wake.wait(max(0.0, item.captured - time.monotonic()))
            if self._stop.is_set() or self._seek_seconds:
                continue
            self.status = None
            self.meter.tick(item.captured)
            self.size = item.image.shape[1], item.image.shape[0]
            yield item

    def _seek(self, source: Source) -> bool:
        """Seek if somebody has asked for it; whether that was so."""
        with self._lock:
            seconds, self._seek_seconds = self._seek_seconds, 0.0
        if seconds and isinstance(source, Seekable):
            source.seek(seconds)
            return True
        return False

    @property
    def sound(self) -> Sound | None:
        """How the sound of the open source is coded; None without, as for cameras."""
        source = self._source
        tap = source.tap if isinstance(source, Audible) else None
        return None if tap is None else tap.sound

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
