"""The sound of a live source: packets as they came, for outputs that store or send them."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import av

from zerodce_rt.media.sound import SoundEncoder, name_channels

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

log = logging.getLogger(__name__)

_AAC_AND_MP3 = frozenset({"aac", "mp3"})
_COPIED: dict[str, frozenset[str]] = {
    "matroska": _AAC_AND_MP3 | {"ac3", "eac3", "flac", "mp2", "opus"},
    "mov": _AAC_AND_MP3 | {"ac3", "pcm_alaw", "pcm_mulaw"},
    "mp4": _AAC_AND_MP3 | {"ac3", "opus"},
    "mpegts": _AAC_AND_MP3 | {"ac3", "mp2"},
    "flv": _AAC_AND_MP3,
    "rtsp": frozenset({"aac", "opus", "pcm_alaw", "pcm_mulaw"}),
    "whip": frozenset(),  # Opus in stereo, and nothing else
}
"""Codecs that go into a container as they are; what players there understand."""


class Sound:
    """How a source's sound is coded; it outlives the source.

    Args:
        stream: of the source, which is open.
        extradata: of the codec, if the stream does not know it.
    """

    def __init__(self, stream: AudioStream, extradata: bytes | None = None) -> None:
        self.codec: str = stream.codec_context.codec.canonical_name
        self.rate: int = stream.codec_context.sample_rate
        # A container that is never written keeps the parameters, extradata included.
        self._keeper: Any = av.open(io.BytesIO(), "w", format="nut")
        self.template: Any = self._keeper.add_stream_from_template(stream, opaque=True)
        name_channels(self.template.codec_context)
        if extradata is not None:
            self.template.codec_context.extradata = extradata
            self._keeper.start_encoding()  # until then, the stream does not have it

    @property
    def kind(self) -> tuple[object, ...]:
        """What must be the same for one track to go on with another's packets."""
        context = self.template.codec_context
        return self.codec, self.rate, context.layout.name, bytes(context.extradata or b"")

    def decoder(self) -> Any:
        """A new decoder."""
        kept = self.template.codec_context
        decoder: Any = av.CodecContext.create(kept.codec.name, "r")
        decoder.sample_rate, decoder.layout = kept.sample_rate, kept.layout
        if kept.extradata:
            decoder.extradata = kept.extradata
        return decoder


@dataclass(frozen=True)
class SoundPacket:
    """A packet of a source's sound.

    Attributes:
        data: as it is coded.
        seconds: when it begins, on the clock of the source's images.
        duration: in seconds; 0 if it is not known.
    """

    sound: Sound
    data: bytes
    seconds: float
    duration: float


Listener = Callable[[SoundPacket], None]
"""Takes a packet soon; called in the thread that reads the source."""


class SoundTap:
    """Where the packets of an open source come out.

    AAC of transport streams has a header (ADTS) in each packet, which other containers do not
    take; here it is without.

    Attributes:
        stream: of the source.
        sound: how they are coded; None until that is known.
        listeners: get each; may be set to those of somebody else.

    Args:
        stream: of the source.
    """

    def __init__(self, stream: AudioStream) -> None:
        context: Any = stream.codec_context
        self.stream = stream
        self._has_headers = context.codec.canonical_name == "aac" and not context.extradata
        self.sound = None if self._has_headers else Sound(stream)
        self.listeners: list[Listener] = []

    def give(self, packet: av.Packet, seconds: float | None) -> None:
        """Pass a packet on.

        Args:
            seconds: when it begins, on the clock of the source's images; None if that has not
                begun.
        """
        data = bytes(packet)
        if self._has_headers:
            config, data = _without_adts(data)
            if self.sound is None and config is not None:
                self.sound = Sound(self.stream, config)
        if self.sound is None or seconds is None:
            return
        duration = float((packet.duration or 0) * packet.time_base)
        item = SoundPacket(self.sound, data, seconds, duration)
        for listener in self.listeners:
            listener(item)


def _without_adts(data: bytes) -> tuple[bytes | None, bytes]:
    """AAC's AudioSpecificConfig, and a packet without the header that says the same.

    By ISO/IEC 13818-7 (ADTS) and 14496-3.
    """
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return None, data
    object_type, frequency = (data[2] >> 6) + 1, data[2] >> 2 & 15
    channels = (data[2] & 1) << 2 | data[3] >> 6
    config = object_type << 11 | frequency << 7 | channels << 3
    return config.to_bytes(2, "big"), data[7 if data[1] & 1 else 9 :]


class SoundSource(Protocol):
    """What has sound, or may have it later.

    Attributes:
        sound: of what is open now; None without.
        listeners: get every packet.
    """

    @property
    def sound(self) -> Sound | None: ...

    @property
    def listeners(self) -> list[Listener]: ...


@runtime_checkable
class SoundOutput(Protocol):
    """An ``Output`` that takes sound as well."""

    def write_sound(self, packet: SoundPacket) -> None:
        """Take a packet soon; called in another thread than ``write``."""


class SoundTrack:
    """The track of a container that has not begun: packets as they came, or encoded again.

    Args:
        format: FFmpeg's name of the container, a key of the table above.
    """

    def __init__(self, container: Any, format: str, sound: Sound) -> None:
        self._kind = sound.kind
        self._encoder: SoundEncoder | None = None
        if sound.codec in _COPIED[format]:
            self.stream: Any = container.add_stream_from_template(sound.template, opaque=True)
            name_channels(self.stream.codec_context)
        else:
            codec, channels = ("opus", 2) if format == "whip" else ("aac", None)
            self._encoder = SoundEncoder(container, sound.decoder(), codec, channels)
            self.stream = self._encoder.stream
        self._time_base = Fraction(1, sound.rate)
        self._last: int | None = None

    def packets(self, packet: SoundPacket, start: float) -> list[av.Packet]:
        """What is to be written for a packet.

        Args:
            start: the time that is 0 in the container; what was before it is left out.
        """
        ticks = round((packet.seconds - start) / self._time_base)
        again = self._last is not None and ticks <= self._last
        if packet.sound.kind != self._kind or ticks < 0 or again:
            return []
        self._last = ticks
        new = av.Packet(packet.data)
        new.pts = new.dts = ticks
        new.duration, new.time_base = round(packet.duration / self._time_base), self._time_base
        new.is_keyframe = True
        if self._encoder is not None:
            # A damaged packet is no reason to end; ValueError is PyAV's for other channels.
            with suppress(av.FFmpegError, ValueError):
                return self._encoder.encode(new)
            return []
        new.stream = self.stream
        return [new]

    def rest(self) -> list[av.Packet]:
        """What is still in the encoder."""
        return [] if self._encoder is None else self._encoder.encode(None)


def tap_of(container: Any) -> SoundTap | None:
    """Where the sound of an open source comes out; None if there is none that is understood."""
    stream = container.streams.best("audio")
    if stream is None or stream.codec_context is None or not stream.codec_context.sample_rate:
        return None
    try:
        return SoundTap(cast("AudioStream", stream))
    except (av.FFmpegError, ValueError) as error:
        log.warning("the sound (%s) is left out: %s", stream.codec_context.name, error)
        return None


def track_of(container: Any, format: str, sound: Sound | None) -> SoundTrack | None:
    """A track for a sound; None without, and, after a line, if the container refuses it."""
    if sound is None:
        return None
    try:
        return SoundTrack(container, format, sound)
    except (av.FFmpegError, ValueError) as error:
        log.warning("the sound (%s) is left out of %s: %s", sound.codec, format, error)
        return None
