"""A browser at the other end of a WebRTC connection: its camera comes in, our pictures go out.

No server is asked for addresses (STUN, TURN): both ends are on one machine or in one network.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import re
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from fractions import Fraction

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpCodecCapability,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.codecs import h264, vpx
from aiortc.mediastreams import MediaStreamError

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS
from zerodce_rt.live.meters import LatencyMeter, RateMeter
from zerodce_rt.live.sources import CapturedImage
from zerodce_rt.media.frames import convert

log = logging.getLogger(__name__)

BITS_PER_SECOND = 8_000_000
"""Of each direction: what clean video of 1280x720 needs to stay clean."""

_TIME_BASE = Fraction(1, 90_000)
# ITU-T H.273: WebRTC's video is BT.601 in limited range, if it does not say otherwise.
_BT601, _LIMITED_RANGE = 5, 1
_CONNECT_SECONDS = 20.0


def configure() -> None:
    """Set what aiortc has no settings for; once, before the first connection."""
    # Its limits, 3 and 1.5 Mbit/s, leave blocks. One value instead of a range, since each change
    # makes a new encoder, and so a key frame; what dark pictures need little of would be lowered.
    for codec in (h264, vpx):
        for name in ("MIN_BITRATE", "DEFAULT_BITRATE", "MAX_BITRATE"):
            setattr(codec, name, BITS_PER_SECOND)


class BrowserCamera:
    """The pictures that a browser sends; a ``Source`` for ``Feed``, which reads in a thread."""

    description = "by WebRTC"

    def __init__(self) -> None:
        # The newest only: nobody reads while kernels are compiled for the first time.
        self._newest: queue.Queue[tuple[av.VideoFrame, float] | None] = queue.Queue(1)

    async def receive(self, track: MediaStreamTrack) -> None:
        """Take the frames of a track until it ends."""
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, av.VideoFrame):
                    self._put((frame, time.monotonic()))
        except MediaStreamError:
            self.close()

    def read(self) -> CapturedImage | None:
        """Wait for the next frame; None at the end."""
        item = self._newest.get()
        if item is None:
            self.close()  # for whoever asks again
            return None
        frame, captured = item
        if not frame.colorspace or frame.colorspace == 2:  # unknown
            frame.colorspace = _BT601
        if not frame.color_range:
            frame.color_range = _LIMITED_RANGE
        image = np.asarray(convert(frame, FORMATS["bgr24"]).to_ndarray(), np.uint8)
        return CapturedImage(image, captured, captured)

    def close(self) -> None:
        """Let ``read`` return None, from now on."""
        self._put(None)

    def _put(self, item: tuple[av.VideoFrame, float] | None) -> None:
        while True:
            try:
                return self._newest.put_nowait(item)
            except queue.Full:
                with suppress(queue.Empty):
                    self._newest.get_nowait()


class PictureTrack(MediaStreamTrack):
    """Sends the newest picture that it was given.

    Attributes:
        rate: of the pictures that were sent.
        latency: from capture until they were encoded and sent.
    """

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.rate, self.latency = RateMeter(), LatencyMeter()
        self._newest: tuple[av.VideoFrame, float] | None = None
        self._there = asyncio.Event()
        self._start: float | None = None
        self._last_pts = -1
        self._sending: float | None = None

    def show(self, frame: av.VideoFrame, captured: float) -> None:
        """Send this next, instead of one that still waits; called in the loop's thread.

        Args:
            frame: yuv420p in BT.601 and limited range.
            captured: on ``time.monotonic``'s clock.
        """
        self._newest = frame, captured
        self._there.set()

    async def recv(self) -> av.VideoFrame:
        now = time.monotonic()
        if self._sending is not None:  # the sender comes back when it is through with a frame
            self.rate.tick(now)
            self.latency.add(now - self._sending)
            self._sending = None
        await self._there.wait()
        self._there.clear()
        assert self._newest is not None
        frame, self._sending = self._newest
        if self._start is None:
            self._start = self._sending
        self._last_pts = max(self._last_pts + 1, int((self._sending - self._start) / _TIME_BASE))
        frame.pts, frame.time_base = self._last_pts, _TIME_BASE
        return frame


class Peer:
    """One connection.

    Args:
        track: what to send.
        camera: takes what comes; None: nothing may come.
        on_end: called once when the connection is lost or closed.
    """

    def __init__(
        self, track: PictureTrack, camera: BrowserCamera | None, on_end: Callable[[], None]
    ) -> None:
        self._track, self._camera, self._on_end = track, camera, on_end
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection.on("track", self._receive)
        self._connection.on("connectionstatechange", self._look)

    async def answer(self, offer: str) -> str:
        """Take a browser's offer, with all its candidates.

        Returns:
            The answer, with all of ours.

        Raises:
            ZeroDCEError: for an offer that is none.
        """
        connection = self._connection
        try:
            # Browsers may hide their addresses behind names that cannot be looked up here. Theirs
            # are learned from what they send to ours, unless they have said that these are all.
            offer = offer.replace("a=end-of-candidates\r\n", "")
            await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            connection.addTrack(self._track)
            for transceiver in connection.getTransceivers():
                transceiver.setCodecPreferences(_preferred_codecs())
            await connection.setLocalDescription(await connection.createAnswer())
        except Exception as error:  # aiortc raises whatever happens to it
            log.debug("no connection", exc_info=True)
            raise ZeroDCEError(f"the browser's offer cannot be answered ({error})") from error
        self._start(self._give_up())
        return _with_bitrate(connection.localDescription.sdp)

    async def close(self) -> None:
        """Close the connection."""
        for task in self._tasks:
            task.cancel()
        if self._camera is not None:
            self._camera.close()
        self._track.stop()
        await self._connection.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _receive(self, track: MediaStreamTrack) -> None:
        if track.kind == "video" and self._camera is not None:
            self._start(self._camera.receive(track))

    async def _give_up(self) -> None:
        """End a connection that does not come about."""
        await asyncio.sleep(_CONNECT_SECONDS)
        if self._connection.connectionState in ("new", "connecting"):
            self._on_end()

    def _look(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._on_end()


def _preferred_codecs() -> list[RTCRtpCodecCapability]:
    """VP8 before H.264: aiortc's encoder of the latter takes more than twice as long."""
    codecs = RTCRtpSender.getCapabilities("video").codecs
    return sorted(codecs, key=lambda codec: codec.mimeType != "video/VP8")


def _with_bitrate(sdp: str) -> str:
    """An answer that lets Chromium begin with a clean picture; others ignore it."""
    kilobits = BITS_PER_SECOND // 1000
    limits = (
        f"x-google-start-bitrate={kilobits // 2};x-google-min-bitrate={kilobits // 4};"
        f"x-google-max-bitrate={kilobits}"
    )
    return re.sub(r"(a=rtpmap:(\d+) VP8/90000\r\n)", rf"\1a=fmtp:\2 {limits}\r\n", sdp)
