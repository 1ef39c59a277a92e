"""The enhanced picture as a stream: to a server, a receiver, or standard output."""

from __future__ import annotations

import io
import logging
import re
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.low_latency import LowLatencyEncoder, low_latency_encoder
from zerodce_rt.live.mailbox import ImageItem, ThreadedOutput
from zerodce_rt.live.meters import OutputMeter
from zerodce_rt.live.picture import PictureTrack
from zerodce_rt.live.sender_process import STANDARD_OUTPUT, Sender, SenderFailed
from zerodce_rt.live.sound import Sound, SoundPacket, track_of
from zerodce_rt.live.sources import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from zerodce_rt.media.packets import with_data
from zerodce_rt.media.paths import without_password

log = logging.getLogger(__name__)

STDOUT = "-"
"""Instead of a URL."""

_KEY_SECONDS = 2
# How long the end may take; a receiver that does not answer is abandoned.
_GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.02
# Packets leave at once. If the sound ends, images wait so many microseconds for it.
_OPTIONS = {"flush_packets": "1", "max_interleave_delta": "20000"}


# Where H.264's sequence parameter set begins.
_SEQUENCE_HEADER = re.compile(rb"\x00\x00\x01[\x07\x27\x47\x67]")


class _Kind(NamedTuple):
    """A way to send.

    Attributes:
        format, options: FFmpeg's name of the container, and its options for it.
        early_seconds: how long before it is shown an image is decoded, by its times. FFmpeg
            writes in the order of decoding times, and an image would wait for a microphone's
            sound, which comes later. RTP does not send these times; other receivers rely on them.
    """

    format: str
    options: dict[str, str]
    early_seconds: float = 0.0


_RTSP = _Kind("rtsp", {"rtsp_transport": "tcp"}, 0.1)
_RTMP = _Kind("flv", {"flvflags": "no_duration_filesize"})
# With the length of each frame in front of it, receivers need not wait for the next one.
_MPEGTS = _Kind("mpegts", {"omit_video_pes_length": "0"})
_WHIP = _Kind("whip", {}, 0.1)
_KINDS = {
    "rtsp": _RTSP, "rtsps": _RTSP, "rtmp": _RTMP, "rtmps": _RTMP, "http": _WHIP, "https": _WHIP,
    "udp": _MPEGTS, STDOUT: _MPEGTS,
}  # fmt: skip
SCHEMES = tuple(scheme for scheme in _KINDS if scheme != STDOUT)


class Publisher(ThreadedOutput):
    """Sends images and sound; nobody waits for whoever receives them.

    A connection that breaks off is made again, with the patience of ``Feed``.

    Attributes:
        meter: of the images that were sent; says what is wrong, too.

    Args:
        url: ``rtsp://`` (pushed over TCP), ``rtmp://``, ``udp://`` (MPEG-TS), ``http://`` (WHIP)
            or the secure form of one; or ``"-"``, which is MPEG-TS on standard output.
        rate: nominal frames a second: for the encoder's rate control.
        mbits: the picture takes at most so many Mbit/s; default: by its size, 4 for 720p at 30
            frames a second and 9 for 1080p.
        sound: gives the sound that there is when a connection is made; default: none.

    Raises:
        ZeroDCEError: for another kind of URL.
    """

    def __init__(
        self, url: str, rate: float, *, mbits: float | None = None,
        sound: Callable[[], Sound | None] = lambda: None,
    ) -> None:  # fmt: skip
        super().__init__("zerodce-publish")
        self._kind = _kind_of(url)
        self._url, self._name = url, "stdout" if url == STDOUT else without_password(url)
        self._rate = Fraction(rate).limit_denominator(1001)
        self._bits = None if mbits is None else 1e6 * mbits
        self._sound = sound
        self.meter = OutputMeter(self._name)
        self.meter.status = "connecting ..."
        self._stop = threading.Event()
        self._thread.start()

    def close(self) -> None:
        """Send what waits, and end the stream."""
        self._stop.set()
        self._mail.end()
        self._thread.join(_GRACE_SECONDS)
        if self._thread.is_alive():
            log.debug("%s does not answer; its thread is abandoned", self._name)

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while isinstance(first := self._mail.get(), ImageItem):
            connected = False
            try:
                with self._connection(first.image) as there:
                    while not there.is_open:
                        # What came before would reach the receiver all at once, and late.
                        first = self._mail.newest() or first
                        if self._stop.wait(_POLL_SECONDS):
                            return
                    connected, pause = True, FIRST_PAUSE_SECONDS
                    log.info("%s: connected", self._name)
                    item: ImageItem | SoundPacket | None = first
                    while item is not None:
                        there.send(item)
                        self._count(item)
                        item = self._mail.get()
                    return
            except SenderFailed as error:
                reason = str(error)
            except Exception as error:  # whatever it is, the window goes on
                log.debug("%s", self._name, exc_info=True)
                reason = f"{type(error).__name__}: {error}"
            if self._url == STDOUT:
                self._failure = ZeroDCEError(f"standard output: cannot be written ({reason})")
                return
            what = "broke off" if connected else "cannot be reached"
            self.meter.status = f"{what} ({reason}); trying again in {pause:g} s"
            log.warning("%s: %s", self._name, self.meter.status)
            if self._stop.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            self._mail.clear()

    def _connection(self, image: NDArray[np.uint8]) -> _Connection:
        height, width = image.shape[:2]
        encoder = low_latency_encoder(
            width & ~1, height & ~1, float(self._rate),
            bits=self._bits, baseline=self._kind.format == "whip",
        )  # fmt: skip
        return _Connection(self._url, self._kind, encoder, self._rate, self._sound(), image)

    def _count(self, item: ImageItem | SoundPacket) -> None:
        if isinstance(item, ImageItem):
            self.meter.sent(time.monotonic(), item.put)
            self.meter.status = None


class _Connection:
    """A stream to a receiver, sent by a process of its own; a context manager.

    Args:
        rate: nominal frames a second.
        sound: that goes along.
        image: sets the size; it is not sent.
    """

    def __init__(
        self, url: str, kind: _Kind, encoder: LowLatencyEncoder, rate: Fraction,
        sound: Sound | None, image: NDArray[np.uint8],
    ) -> None:  # fmt: skip
        header = io.BytesIO()
        streams: Any = av.open(header, "w", format="nut")
        self._first: float | None = None
        self._picture = PictureTrack(
            streams, encoder.name, encoder.options, image, rate,
            key_seconds=_KEY_SECONDS, pix_fmt=encoder.pix_fmt,
        )  # fmt: skip
        self._track = track_of(streams, kind.format, sound)
        self._early = 0.0 if self._track is None else kind.early_seconds
        # Nothing more is ever written to this one; the encoders go on without it.
        streams.mux(self._picture.packets(image, 0.0))
        streams.close()
        self._headers = bytes(self._picture.stream.codec_context.extradata or b"")
        self._sender = Sender(
            _ffmpeg_url(url), kind.format, _OPTIONS | kind.options,
            header.getvalue(),
        )  # fmt: skip

    @property
    def is_open(self) -> bool:
        """Whether the receiver has answered.

        Raises:
            SenderFailed: it will not.
        """
        return self._sender.connected

    def __enter__(self) -> _Connection:
        return self

    def send(self, item: ImageItem | SoundPacket) -> None:
        """Send an image or a packet of sound; an image first.

        Raises:
            SenderFailed: the process has ended.
        """
        if self._first is None:
            self._first = item.seconds
            self._picture.ask_for_key()
        start = self._first - self._early
        if isinstance(item, ImageItem):
            self._put(self._picture.packets(item.image, item.seconds - start))
        elif self._track is not None and item.seconds >= self._first:
            for packet in self._track.packets(item, start):
                self._sender.put(packet, self._track.stream.index)

    def _put(self, packets: list[av.Packet]) -> None:
        """Send packets of the picture."""
        for packet in packets:
            assert packet.dts is not None
            packet.dts -= round(self._early / packet.time_base)
            self._sender.put(self._with_headers(packet), self._picture.stream.index)

    def _with_headers(self, packet: av.Packet) -> av.Packet:
        """A key frame with its headers, which encoders in hardware do not repeat."""
        data = bytes(packet) if packet.is_keyframe else b""
        if not data or _SEQUENCE_HEADER.search(data):
            return packet
        return with_data(packet, self._headers + data)

    def __exit__(self, *_: object) -> None:
        self._sender.close()


def _ffmpeg_url(url: str) -> str:
    if url == STDOUT:
        return STANDARD_OUTPUT
    if url.lower().startswith("udp://") and "pkt_size=" not in url:
        # Seven packets of a transport stream fit into one of the network.
        return f"{url}{'&' if '?' in url else '?'}pkt_size=1316"
    return url


def _kind_of(url: str) -> _Kind:
    scheme = url if url == STDOUT else url.partition("://")[0].lower()
    if scheme in _KINDS and (url == STDOUT or "://" in url):
        return _KINDS[scheme]
    name = without_password(url)
    if scheme == "srt":
        raise ZeroDCEError(
            f"{name}: PyAV's FFmpeg is built without SRT; a server such as MediaMTX takes "
            "rtsp:// and gives srt://"
        )
    valid = ", ".join(f"{scheme}://" for scheme in SCHEMES)
    raise ZeroDCEError(f"{name}: cannot be published to; valid: {valid}, or - (standard output)")
