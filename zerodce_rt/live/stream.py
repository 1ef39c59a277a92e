"""Network streams, and files that play at their own speed, by PyAV."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS
from zerodce_rt.live.clock import GAP_SECONDS, MediaClock
from zerodce_rt.live.sound import tap_of
from zerodce_rt.live.sources import CapturedImage, SourceLost
from zerodce_rt.media.frames import convert
from zerodce_rt.media.hdr import ToneMapper, check_base_layer
from zerodce_rt.media.opening import check_pixels, decoder_options, stream_options
from zerodce_rt.media.reader import VideoReader, demuxed, reason_of

log = logging.getLogger(__name__)

# How long a sender may be silent while connecting, and later.
_TIMEOUT_SECONDS = (10.0, 5.0)
# By default FFmpeg analyses a stream for up to five seconds first. What came meanwhile is decoded
# at once, and costs no delay; without it (``fflags nobuffer``), a sender of short bursts would
# never be seen.
_OPTIONS = {
    "flags": "low_delay",
    "analyzeduration": "1000000",
    "probesize": "1000000",
}
# Live, but in segments of seconds, each of which arrives at once.
_SEGMENTED_FORMATS = ("dash", "hls")
_SCHEME_OPTIONS = {
    "rtsp": {"rtsp_transport": "tcp"},
    "rtsps": {"rtsp_transport": "tcp"},
    "udp": {"overrun_nonfatal": "1"},
}
# So many packets may come before the first one of the sound; and of the sound before the first
# image.
_MOST_EARLY, _MOST_EARLY_SOUNDS = 50, 250
# The clock of what plays is set anew when the decoder is later than this, so that no frames
# are dropped.
_LATE_SECONDS = 0.1


class Stream:
    """A network stream; a ``Source``. One that has an end plays at its own speed.

    Args:
        name: how to call it in messages, where the URL's password must not be.

    Raises:
        SourceLost: if it cannot be reached, or nobody sends.
        ZeroDCEError: if it has no video.
    """

    def __init__(self, url: str, name: str) -> None:
        self._name = name
        options = _OPTIONS | _SCHEME_OPTIONS.get(url.partition("://")[0].lower(), {})
        options |= stream_options()
        try:
            self._container = av.open(
                url, options=options, timeout=_TIMEOUT_SECONDS, metadata_errors="replace"
            )
        except (av.FFmpegError, OSError) as error:
            raise SourceLost(
                f"{name} cannot be opened ({reason_of(error, _TIMEOUT_SECONDS[0])})"
            ) from error
        try:
            stream: Any = self._container.streams.best("video")
            if stream is None or stream.codec_context is None:
                raise ZeroDCEError(f"{name}: has no video that can be decoded")
            check_pixels(name, stream.width, stream.height, None, video=True)
            stream.codec_context.options |= decoder_options(
                width=stream.width, height=stream.height
            )
        except BaseException:
            self._container.close()
            raise
        self._ends = self._container.duration is not None
        segmented = self._container.format.name in _SEGMENTED_FORMATS
        self._player = _Player(self._container, stream, name, paced=self._ends or segmented)
        self.tap = self._player.tap
        self.description = _describe(stream)

    def read(self) -> CapturedImage | None:
        try:
            item = self._player.next()
        except (av.FFmpegError, OSError) as error:
            reason = reason_of(error, _TIMEOUT_SECONDS[1])
            raise SourceLost(f"{self._name} broke off ({reason})") from error
        if item is None and not self._ends:
            raise SourceLost(f"{self._name} was closed by its sender")
        return item

    def close(self) -> None:
        self._container.close()


class FilePlayer:
    """A video file that plays at its own speed; a ``Source``. A damaged one ends early.

    It is ``Seekable``.

    Raises:
        ZeroDCEError: if the file is not a video that can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self._reader = VideoReader(path)
        self._player = _Player(self._reader.container, self._reader.stream, str(path), paced=True)
        self.tap = self._player.tap
        self.description = _describe(self._reader.stream)

    def read(self) -> CapturedImage | None:
        try:
            return self._player.next()
        except (av.FFmpegError, OSError) as error:
            log.warning("%s: damaged (%s)", self._reader.path, reason_of(error))
            return None

    def seek(self, seconds: float) -> None:
        try:
            self._player.seek(seconds)
        except (av.FFmpegError, OSError) as error:
            log.warning("%s: cannot be sought in (%s)", self._reader.path, reason_of(error))

    def close(self) -> None:
        self._reader.container.close()


class _Player:
    """Decodes images for display, which means SDR, and passes packets of sound on.

    Attributes:
        tap: where sound comes out; None if there is none.

    Args:
        name: of the source, for messages.
        paced: give each image the time at which it is due, instead of that of its arrival.
    """

    def __init__(self, container: Any, stream: Any, name: str, *, paced: bool) -> None:
        # Decoding with frame threads delays the picture by a frame for each thread.
        stream.thread_type = "AUTO" if paced else "SLICE"
        self._container, self._stream = container, stream
        self.tap = tap_of(container)
        self._streams = [stream] if self.tap is None else [stream, self.tap.stream]
        self._early = self._until_sound_is_known()
        self._frames = self._decoded()
        self._aspect = stream.sample_aspect_ratio or Fraction(1)
        self._paced = paced
        self._name = name
        self._to_sdr = ToneMapper()
        self._clock = MediaClock(_LATE_SECONDS) if paced else MediaClock()
        # The sound that came while the first image was decoded.
        self._before_clock: deque[av.Packet] = deque(maxlen=_MOST_EARLY_SOUNDS)
        self._first = (container.start_time or 0) / av.time_base
        self._at, self._from, self._sought = self._first, -math.inf, False

    def next(self) -> CapturedImage | None:
        """The next image; None at the end."""
        early: av.VideoFrame | None = None
        for frame in self._frames:
            if frame.time is None or frame.time >= self._from:
                return self._shown(frame)
            early = frame  # decoding begins at a key frame before the place that was sought
        if early is not None:
            return self._shown(early)
        if self._sought:
            self._sought = False
            # Without an index, FFmpeg may land behind the last key frame: decode from the start.
            self._go_to(min(0.0, self._first))
            return self.next()
        return None

    def seek(self, seconds: float) -> None:
        """Go on so far from the last image, back if negative; not beyond the ends."""
        self._from, self._sought = max(self._first, self._at + seconds), True
        self._go_to(self._from)

    def _go_to(self, seconds: float) -> None:
        self._container.seek(round(seconds * av.time_base))
        self._early = []
        self._frames = self._decoded()
        self._clock.forget()
        self._before_clock.clear()

    def _shown(self, frame: av.VideoFrame) -> CapturedImage:
        self._from, self._sought = -math.inf, False
        captured = seconds = time.monotonic()
        if frame.time is not None:
            self._at = frame.time
            seconds = self._clock.moved(frame.time, captured)
            while self._before_clock:
                self._pass_on(self._before_clock.popleft())
        check_base_layer(frame, self._name)
        image = _upright_bgr(self._to_sdr(frame), frame.rotation, self._aspect)
        return CapturedImage(image, seconds if self._paced else captured, seconds)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """All frames that can be decoded; damaged packets are passed over."""
        early, self._early = self._early, []
        for packet in chain(early, demuxed(self._container, self._streams)):
            if packet.stream is not self._stream:
                self._pass_on(packet)
                continue
            with suppress(av.InvalidDataError):
                yield from packet.decode()

    def _until_sound_is_known(self) -> list[av.Packet]:
        """The first packets: with the first image, outputs want to know what sound there is."""
        packets: list[av.Packet] = []
        if self.tap is not None and self.tap.sound is None:
            with suppress(av.FFmpegError, OSError):  # whoever reads on is told again
                for packet in islice(demuxed(self._container, self._streams), _MOST_EARLY):
                    packets.append(packet)
                    if packet.stream is not self._stream:
                        self.tap.give(packet, None)
                        break
        return packets

    def _pass_on(self, packet: av.Packet) -> None:
        if self.tap is None or packet.pts is None or not packet.size:
            return
        seconds = self._clock.at(float(packet.pts * packet.time_base))
        if seconds is None:
            self._before_clock.append(packet)
        elif abs(seconds - time.monotonic()) < GAP_SECONDS:  # else its time is damaged
            self.tap.give(packet, seconds)


def _upright_bgr(frame: av.VideoFrame, rotation: int, aspect: Fraction) -> NDArray[np.uint8]:
    """The frame as players show it: turned by its rotation, with square pixels."""
    size = None
    if aspect > 1:
        size = round(frame.width * aspect), frame.height
    elif 0 < aspect < 1:
        size = frame.width, round(frame.height / aspect)
    turn = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, -180: cv2.ROTATE_180,
            -90: cv2.ROTATE_90_CLOCKWISE}.get(rotation)  # fmt: skip
    image = convert(frame, FORMATS["bgr24"], size=size).to_ndarray()
    return np.asarray(image if turn is None else cv2.rotate(image, turn), np.uint8)


def _describe(stream: Any) -> str:
    context = stream.codec_context
    rate = stream.average_rate or stream.guessed_rate
    text = f"{context.width}x{context.height} {context.name}"
    return f"{text} at {float(rate):.4g} fps" if rate else text
