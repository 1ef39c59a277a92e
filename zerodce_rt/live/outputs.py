"""Where enhanced images go besides the window: recordings, and any other ``Output``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.meters import OutputMeter
from zerodce_rt.live.recorder import Recorder
from zerodce_rt.live.sound import Sound, SoundPacket

log = logging.getLogger(__name__)


class Output(Protocol):
    """Takes the enhanced images of a live session; ``run_live`` accepts any number of these.

    >>> class Counter:
    ...     images = 0
    ...     def write(self, image, seconds):
    ...         self.images += 1
    ...     def close(self):
    ...         print(self.images, "images")
    >>> run_live(open_feed("0"), Enhancer.for_video(), outputs=[Counter()])  # doctest: +SKIP

    Both methods are called in the thread that runs the session. Whatever they raise ends the
    session and is raised by ``run_live``.
    """

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Take an image; while this lasts longer than a frame's interval, frames are dropped.

        Args:
            image: ``(H, W, 3)`` uint8 BGR, as it was captured while the enhancement is switched
                off. It must not be changed, now or later. Its size may differ from the last one's.
            seconds: when it was captured, on a clock like ``time.monotonic``'s. Its steps are the
                source's own, without what the network adds to them.
        """

    def close(self) -> None:
        """Called once at the end of the session, whatever ended it."""


@runtime_checkable
class Metered(Protocol):
    """An ``Output`` that counts what leaves it.

    Attributes:
        meter: None while nothing does.
    """

    @property
    def meter(self) -> OutputMeter | None: ...


OutputT = TypeVar("OutputT", bound=Output)


@contextmanager
def closed_at_end(output: OutputT) -> Iterator[OutputT]:
    """Close an output at the end of the block; an error from inside outranks one of closing."""
    try:
        yield output
    except BaseException:
        try:
            output.close()
        except Exception:
            log.warning("%s could not be closed", type(output).__name__, exc_info=True)
        raise
    output.close()


class Recordings:
    """The recordings of a session, one after another; an ``Output`` that is idle between them.

    A recording that breaks off does not raise, so that the window goes on.

    Attributes:
        failure: why a recording broke off, the first if several did; None if none did.

    Args:
        rate: nominal frames a second.
        sound: gives the sound that goes along, if there is any now; default: none.
    """

    def __init__(self, rate: float, sound: Callable[[], Sound | None] = lambda: None) -> None:
        self.failure: ZeroDCEError | None = None
        self._rate, self._sound = rate, sound
        self._recorder: Recorder | None = None
        self._since = 0.0

    def start(self, path: Path) -> None:
        """Start a recording.

        Raises:
            ZeroDCEError: if the file cannot be written.
        """
        self._recorder = Recorder(path, self._rate, sound=self._sound)
        self._since = time.monotonic()

    @property
    def seconds(self) -> float | None:
        """For how long a recording has been running; None if none is."""
        return None if self._recorder is None else time.monotonic() - self._since

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Record an image if a recording is running; arguments as for ``Output``."""
        if self._recorder is not None:
            try:
                self._recorder.write(image, seconds)
            except ZeroDCEError:
                self.stop()  # which reports it

    def write_sound(self, packet: SoundPacket) -> None:
        """Record a packet of sound if a recording is running."""
        if (recorder := self._recorder) is not None:
            recorder.write_sound(packet)

    @property
    def meter(self) -> OutputMeter | None:
        """Of the recording that is running, if one is."""
        return None if (recorder := self._recorder) is None else recorder.meter

    def stop(self) -> Path | None:
        """Finish the recording; its file, or None if none was running or it broke off."""
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return None
        try:
            recorder.close()
        except ZeroDCEError as error:
            self.failure = self.failure or error
            log.error("%s", error)
            return None
        left_out = f", {recorder.dropped} dropped" if recorder.dropped else ""
        log.info("%s: %d frames recorded%s", recorder.path, recorder.frames, left_out)
        return recorder.path

    def close(self) -> None:
        """Finish the recording that is running, if one is."""
        self.stop()
