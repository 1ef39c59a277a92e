"""Recording live images with their real times, to a file that can be played at any moment."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS
from zerodce_rt.media.encoders import EncoderSettings, describe_picture
from zerodce_rt.media.frames import convert
from zerodce_rt.media.output_file import OutputFile
from zerodce_rt.media.reader import reason_of

# Half a second of images at 30 frames a second may wait for the encoder.
_WAITING_IMAGES = 15
_TIME_BASE = Fraction(1, 90_000)
# A fragment ends with each key frame; one that is not complete is lost if the program is killed.
_KEY_SECONDS = 1
_MOV_OPTIONS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
_MKV_OPTIONS = {"cluster_time_limit": str(1000 * _KEY_SECONDS), "flush_packets": "1"}
_CONTAINER_OPTIONS = {".mkv": _MKV_OPTIONS, ".mov": _MOV_OPTIONS, ".mp4": _MOV_OPTIONS}
SUFFIXES = tuple(_CONTAINER_OPTIONS)


class Recorder:
    """Encodes images in a thread of its own; an ``Output`` that never waits for the encoder.

    The file has its final name from the start and can be played at any moment. The first image
    sets its size, rounded down to even numbers; later ones are scaled to it.

    Attributes:
        frames: written so far.
        dropped: left out because the encoder was too slow.

    Args:
        path: a new file; its suffix is one of ``SUFFIXES``.
        rate: nominal frames a second: for the encoder's rate control and the distance of key
            frames.
        settings: of the encoder; default: H.264, ``crf=23``, ``preset="ultrafast"``.

    Raises:
        ZeroDCEError: if the file cannot be written.
        ValueError: for another suffix.
    """

    def __init__(self, path: Path, rate: float, settings: EncoderSettings | None = None) -> None:
        self.path = path
        self.frames = self.dropped = 0
        self._rate = Fraction(rate).limit_denominator(1001)
        self._settings = settings or EncoderSettings(preset="ultrafast", crf=23)
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise ValueError(f"{path}: its name must end in one of {', '.join(SUFFIXES)}")
        try:
            self._file = OutputFile(path)
            self._container: Any = av.open(self._file, "w", options=_CONTAINER_OPTIONS[suffix])
        except (av.FFmpegError, OSError) as error:
            raise ZeroDCEError(f"{path}: cannot be written ({reason_of(error)})") from error
        self._encoder = self._settings.encoder_for(suffix, 8)
        self._stream: Any = None
        self._start = self._last_pts = 0
        self._failure: ZeroDCEError | None = None
        self._queue: queue.Queue[tuple[NDArray[np.uint8], float] | None] = queue.Queue(
            _WAITING_IMAGES
        )
        self._thread = threading.Thread(target=self._run, name="zerodce-record", daemon=True)
        self._thread.start()

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Record an image.

        Args:
            image: ``(H, W, 3)`` uint8 BGR; must not be changed later.
            seconds: its time on a monotonic clock.

        Raises:
            ZeroDCEError: what went wrong with earlier images, such as a full disk.
        """
        if self._failure is not None:
            raise self._failure
        try:
            self._queue.put_nowait((image, seconds))
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write the images that still wait, and the end of the file.

        Raises:
            ZeroDCEError: if something could not be written.
        """
        self._queue.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        # After a failure the queue is still emptied: ``close`` waits for room in it.
        while (item := self._queue.get()) is not None:
            if self._failure is None:
                with self._noting_failure():
                    self._encode(*item)
        with self._noting_failure():
            if self._stream is not None and self._failure is None:
                self._container.mux(self._stream.encode(None))
        with self._noting_failure(), self._file:
            self._container.close()
        if self.frames == 0:
            self.path.unlink(missing_ok=True)

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            known = isinstance(error, (av.FFmpegError, OSError))
            reason = (
                reason_of(self._file.failure or error)
                if known
                else f"{type(error).__name__}: {error}"
            )
            self._failure = self._failure or ZeroDCEError(
                f"{self.path}: recording broke off ({reason}); what came before can be played"
            )

    def _encode(self, image: NDArray[np.uint8], seconds: float) -> None:
        frame = av.VideoFrame.from_ndarray(image, "bgr24")
        # A chroma sample of yuv420p covers two by two pixels.
        size = frame.width & ~1, frame.height & ~1
        if self._stream is not None:
            size = self._stream.codec_context.width, self._stream.codec_context.height
        frame = convert(frame, FORMATS["yuv420p"], size=size)
        if self._stream is None:
            self._open(frame)
            self._start = round(seconds / _TIME_BASE)
            self._last_pts = -1
        pts = max(round(seconds / _TIME_BASE) - self._start, self._last_pts + 1)
        frame.pts, frame.time_base, self._last_pts = pts, _TIME_BASE, pts
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def _open(self, frame: av.VideoFrame) -> None:
        self._stream = self._container.add_stream(
            self._encoder, rate=self._rate, options=self._settings.options(self._encoder)
        )
        context = self._stream.codec_context
        describe_picture(context, frame)
        context.time_base = self._stream.time_base = _TIME_BASE
        context.gop_size = max(1, round(self._rate * _KEY_SECONDS))
        # With B-frames, images would wait for later ones inside the encoder.
        context.max_b_frames = 0
