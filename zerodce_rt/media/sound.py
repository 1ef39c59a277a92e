"""Sound that is encoded again: it was asked for, or the container cannot hold it as it is."""

from __future__ import annotations

from typing import Any

import av

ENCODERS = {"opus": "libopus", "aac": "aac"}
"""FFmpeg's encoder of each codec that can be asked for."""

# Transparent to most ears.
_BITS_PER_SECOND_PER_CHANNEL = {"libopus": 64_000, "aac": 96_000}
# FFmpeg's usual layout of so many channels; and those of them that Opus has otherwise.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_OPUS_LAYOUTS = _LAYOUTS | {3: "3.0", 4: "quad"}


def name_channels(context: Any) -> None:
    """Give sound that has no layout the usual one: AVI has none, and MP4 fails without."""
    nameless = all(channel.name == "NONE" for channel in context.layout.channels)
    if nameless and context.channels in _LAYOUTS:
        context.layout = _LAYOUTS[context.channels]


def codec_for(suffix: str) -> str:
    """The codec, a key of ``ENCODERS``, that a container can hold."""
    return "opus" if suffix == ".webm" else "aac"


class SoundEncoder:
    """Decodes the packets of a track, and encodes what they hold, at the same times.

    Attributes:
        stream: the new track.

    Args:
        container: the output, before it has begun.
        decoder: an ``AudioCodecContext``, of the track whose packets come, in order.
        codec: a key of ``ENCODERS``.
        channels: of the new track; default: as many as there are.
    """

    def __init__(
        self, container: Any, decoder: Any, codec: str, channels: int | None = None
    ) -> None:
        encoder = av.Codec(ENCODERS[codec], "w")
        assert encoder.audio_rates
        rate = decoder.sample_rate
        if rate not in encoder.audio_rates:
            rate = 48_000
        self._decoder = decoder
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple[Any, ...] = ()
        channels = channels or min(max(decoder.channels, 1), max(_LAYOUTS))
        layouts = _OPUS_LAYOUTS if codec == "opus" else _LAYOUTS
        self.stream: Any = container.add_stream(encoder.name, rate=rate)
        context = self.stream.codec_context
        context.layout = layouts[channels]
        context.bit_rate = _BITS_PER_SECOND_PER_CHANNEL[encoder.name] * channels

    def encode(self, packet: av.Packet | None) -> list[av.Packet]:
        """New packets for one of the source, or None at the end.

        Raises:
            av.FFmpegError: for a damaged packet.
        """
        encoded: list[av.Packet] = []
        for frame in self._decoder.decode(packet):
            for converted in self._converted(frame):
                encoded += self.stream.encode(converted)
        if packet is None:
            encoded += self.stream.encode(None)
        return encoded

    def _converted(self, frame: av.AudioFrame) -> list[av.AudioFrame]:
        """In the encoder's format; in recordings of television, the layout changes at times."""
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if kind != self._kind or self._resampler is None:
            context, self._kind = self.stream.codec_context, kind
            self._resampler = av.AudioResampler(context.format, context.layout, context.sample_rate)
        return self._resampler.resample(frame)
