"""One live session of the page: from a feed to pictures for the browser, in threads of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError, plain
from zerodce_rt.live.captures import new_capture, save_snapshot
from zerodce_rt.live.outputs import Output, Recordings, closed_at_end
from zerodce_rt.live.shots import Brightener, Shot
from zerodce_rt.live.sources import Feed
from zerodce_rt.live.views import view_of
from zerodce_rt.names import VIEWS
from zerodce_rt.pipeline import Newest
from zerodce_rt.studio.settings import Look

log = logging.getLogger(__name__)

State = Literal["starting", "playing", "ended", "failed"]

_POLL_SECONDS = 0.05
_END_SECONDS = 3.0
_PATIENCE_SECONDS = 3.0
# Of the picture that is sent; recordings and snapshots have the source's size.
_LONGEST_SIDE = 1280


@dataclass(frozen=True)
class Figures:
    """What a session says of itself, for people.

    Attributes:
        message: why there is no picture just now; empty while there is one.
        source: size and rate of what the source gives.
        width, height: of the picture that is sent, in pixels; of one, if there are two.
        effort: how much of the denoiser there is time for (see ``Enhancer.denoise_effort``).
        recording_seconds: None if no recording runs.
    """

    state: State
    message: str
    source: str
    width: int
    height: int
    backend: str
    dropped: int
    effort: int
    recording_seconds: float | None


class LiveSession:
    """Plays a feed; its settings may be changed at any time, by any thread.

    Args:
        make_enhancer: makes one for video, in the session's thread.
        folder: for snapshots and recordings.
        show: gets each picture, yuv420p in BT.601 and limited range, and when it was captured.
            For the views of both, before is its left half and after its right one.
        rate: nominal frames a second of recordings.
    """

    def __init__(
        self, feed: Feed, make_enhancer: Callable[[], Enhancer], folder: Path,
        show: Callable[[av.VideoFrame, float], None], *, rate: float = 30.0,
    ) -> None:  # fmt: skip
        self._feed, self._make_enhancer = feed, make_enhancer
        self._folder, self._show = folder, show
        self._look, self._view = Look(), "split"
        self._state: State = "starting"
        self._error, self._begun = "", time.monotonic()
        self._size = 0, 0
        self._enhancer: Enhancer | None = None
        self._brightener: Brightener | None = None
        self._pipeline: Newest[Any, Shot] | None = None
        self._shot: Shot | None = None
        self._recordings = Recordings(rate, lambda: feed.sound)
        feed.listeners.append(self._recordings.write_sound)
        # Recordings are written by our thread, and begun and ended by others.
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="zerodce-session", daemon=True)
        self._thread.start()

    @property
    def look(self) -> Look:
        """How pictures are enhanced."""
        return self._look

    def set_look(self, look: Look) -> None:
        """Change how pictures are enhanced."""
        self._look, enhancer = look, self._enhancer
        if enhancer is not None:
            enhancer.strength, enhancer.denoise = look.strength, look.denoise

    def set_view(self, view: str) -> None:
        """Change what is shown.

        Raises:
            ZeroDCEError: if it is none of ``VIEWS``.
        """
        if view not in VIEWS:
            raise ZeroDCEError(f"the view must be one of {', '.join(VIEWS)}, not {view!r}")
        self._view = view

    def figures(self) -> Figures:
        """How it goes."""
        brightener, feed = self._brightener, self._feed
        with self._lock:
            recording = self._recordings.seconds
        return Figures(
            state=self._state, message=self._message(),
            source=feed.measured() if feed.size[0] else "", width=self._size[0],
            height=self._size[1], backend=brightener.backend if brightener else "",
            dropped=self._pipeline.dropped if self._pipeline else 0,
            effort=brightener.denoise_effort if brightener else 3,
            recording_seconds=recording,
        )  # fmt: skip

    def _message(self) -> str:
        if self._state == "failed":
            return self._error
        if self._pipeline is None:
            if time.monotonic() - self._begun < _PATIENCE_SECONDS:
                return "Starting ..."
            return "Starting; the very first time, this takes up to a minute ..."
        if self._state == "playing" and (silence := self._feed.silence) is not None:
            return silence
        if (failure := self._recordings.failure) is not None:
            return plain(str(failure))
        return plain(self._feed.status or "")

    def snapshot(self) -> list[Path]:
        """Save the newest picture, before and after, as PNG.

        Raises:
            ZeroDCEError: if there is none yet, or it cannot be written.
        """
        shot = self._shot
        if shot is None:
            raise ZeroDCEError("there is no picture yet")
        return [*save_snapshot(self._folder, shot)]

    def start_recording(self) -> None:
        """Record the enhanced pictures; nothing happens if that is being done.

        Raises:
            ZeroDCEError: if the file cannot be written.
        """
        with self._lock:
            if self._recordings.seconds is None:
                self._recordings.failure = None
                self._recordings.start(new_capture(self._folder, ".mp4"))

    def stop_recording(self) -> Path | None:
        """End the recording; its file, or None if none was running.

        Raises:
            ZeroDCEError: if no picture came while it ran, so that there is no file.
        """
        with self._lock:
            path = self._recordings.stop()
        if path is not None and not path.exists():
            raise ZeroDCEError("no picture came while it recorded")
        return path

    def close(self) -> None:
        """End the session; a recording that runs is finished."""
        self._stop.set()
        self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        try:
            with ExitStack() as stack:
                enhancer = stack.enter_context(self._make_enhancer())
                feed = self._feed
                self._brightener = Brightener(
                    enhancer, rate=lambda: feed.meter.rate(time.monotonic())
                )
                self._enhancer = enhancer
                self.set_look(self._look)
                output = stack.enter_context(closed_at_end(_Locked(self._recordings, self._lock)))
                self._pipeline = stack.enter_context(Newest(feed, self._brightener))
                self._play(self._pipeline, output)
            self._state = "ended"
        except Exception as error:  # the page shows it, and the others go on
            known = isinstance(error, ZeroDCEError | OSError | ValueError)
            log.error("%s: %s", self._feed.name, error, exc_info=not known)
            self._error, self._state = plain(str(error)), "failed"
        finally:
            self._enhancer = None

    def _play(self, pipeline: Newest[Any, Shot], output: Output) -> None:
        while not self._stop.is_set() and not pipeline.ended:
            shot = pipeline.get(_POLL_SECONDS)
            if shot is None:
                continue
            self._shot, self._state = shot, "playing"
            output.write(shot.after, shot.seconds)
            self._show(self._picture(shot), shot.captured)

    def _picture(self, shot: Shot) -> av.VideoFrame:
        before, after = _small(shot.before), _small(shot.after)
        self._size = after.shape[1], after.shape[0]
        view = "side" if self._view in ("split", "side") else self._view
        image = np.ascontiguousarray(view_of(before, after, view))
        yuv = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)
        return av.VideoFrame.from_ndarray(yuv, "yuv420p")


class _Locked:
    """An ``Output`` that is closed under a lock."""

    def __init__(self, recordings: Recordings, lock: threading.Lock) -> None:
        self._recordings, self._lock = recordings, lock

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        with self._lock:
            self._recordings.write(image, seconds)

    def close(self) -> None:
        with self._lock:
            self._recordings.close()


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image of even width and height that is not too large to be sent."""
    height, width = image.shape[:2]
    scale = min(1.0, _LONGEST_SIDE / max(height, width))
    size = max(2, round(width * scale) & ~1), max(2, round(height * scale) & ~1)
    if scale == 1:
        return image[: size[1], : size[0]]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
