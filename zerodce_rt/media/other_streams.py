"""The streams beside the main video: copied as they are, or sound that is encoded again."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import av

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media.packets import with_data
from zerodce_rt.media.reader import codec_of, reason_of
from zerodce_rt.media.sound import ENCODERS, SoundEncoder, codec_for, name_channels

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.stream import Stream

log = logging.getLogger(__name__)

# Metadata about the old container, which FFmpeg sets when it reads one.
_CONTAINER_KEYS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
# Of containers in which two packets of a stream may have the same time.
_NONSTRICT = av.format.Flags.ts_nonstrict.value
_MATROSKA = "matroska"
# Recordings of streams repeat the codec's settings. FFmpeg then writes a Matroska file's header
# anew, and damages it: it has no room for all that it writes for AAC.
_NEW_SETTINGS: Final = "new_extradata"


class OtherStreams:
    """Adds streams to a container and passes their packets on, whatever is wrong with them.

    Args:
        container: the output, before it has begun.
        source: the file that is read, for messages.
        suffix: of the output's name.
        audio: see ``EncoderSettings``.
        is_fatal: whether an error of writing is one of the place where the file is written; such
            are raised by all methods, others become a line.
    """

    def __init__(
        self, container: Any, source: Path, suffix: str, audio: str | None,
        is_fatal: Callable[[Exception], bool],
    ) -> None:  # fmt: skip
        self._container, self._source, self._suffix = container, source, suffix
        self._audio, self._is_fatal = audio, is_fatal
        self._copies: dict[int, Stream] = {}
        self._sounds: dict[int, SoundEncoder] = {}
        self._last_dts: dict[int, int] = {}
        self._complaints: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._copies or self._sounds)

    def add(self, stream: Stream) -> None:
        """Add a stream, or say why it is left out.

        Raises:
            ZeroDCEError: it cannot be stored, but could in Matroska.
        """
        what = f"stream {stream.index} ({stream.type}, {codec_of(stream) or 'unknown codec'})"
        is_sound = stream.type == "audio"
        if is_sound and self._audio == "none":
            return
        if is_sound and self._audio in ENCODERS and _can_be_decoded(stream):
            self._add_sound(stream, self._audio)
            return
        format = self._container.format.name
        reason = _refusal(stream, format)
        if reason is None:
            self._copies[stream.index] = _copy_of(self._container, stream)
        elif is_sound and self._audio is None and _can_be_decoded(stream):
            codec = codec_for(self._suffix)
            log.warning(
                "%s: %s cannot be stored in %s, and is encoded as %s",
                self._source, what, self._suffix, codec,
            )  # fmt: skip
            self._add_sound(stream, codec)
        elif (
            stream.type in ("audio", "subtitle")
            and format != _MATROSKA
            and _refusal(stream, _MATROSKA) is None
        ):
            raise ZeroDCEError(
                f"{self._source}: {what} cannot be stored in {self._suffix} ({reason}); choose an "
                "output name that ends in .mkv"
            )
        else:
            log.warning("%s: %s is left out (%s)", self._source, what, reason)

    def write(self, packet: av.Packet) -> None:
        """Pass on a packet, with times of the output."""
        index = packet.stream.index
        if index in self._sounds:
            self._encode(self._sounds[index], packet)
        elif index in self._copies:
            if self._container.format.name == _MATROSKA and packet.has_sidedata(_NEW_SETTINGS):
                packet = _without_new_settings(packet)
            packet.stream = self._copies[index]
            with self._complaining(packet.stream):
                self._mux(packet, packet.stream)

    def finish(self) -> None:
        """Write what is still in encoders."""
        for sound in self._sounds.values():
            self._encode(sound, None)

    def _add_sound(self, stream: Stream, codec: str) -> None:
        encoder = SoundEncoder(self._container, stream.codec_context, codec)
        encoder.stream.metadata.update(kept(stream.metadata))
        encoder.stream.disposition = stream.disposition
        self._sounds[stream.index] = encoder

    def _encode(self, sound: SoundEncoder, packet: av.Packet | None) -> None:
        with self._complaining(sound.stream):
            for encoded in sound.encode(packet):
                self._mux(encoded, sound.stream)

    def _mux(self, packet: av.Packet, stream: Stream) -> None:
        self._put_in_order(packet, stream)
        self._container.mux(packet)

    @contextmanager
    def _complaining(self, stream: Stream) -> Iterator[None]:
        """Leave out what fails, with a line."""
        try:
            yield
        # ValueError is PyAV's for sound that changes its channels in the middle.
        except (av.FFmpegError, OSError, ValueError) as error:
            if self._is_fatal(error):
                raise
            self._complain_once(f"damaged packets are left out ({reason_of(error)})", stream)

    def _put_in_order(self, packet: av.Packet, stream: Stream) -> None:
        """Move a packet whose times go back: muxers refuse those."""
        base, index = stream.time_base or packet.time_base, stream.index
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None:  # such as a cover's
            return
        dts, last = _rescaled(ticks, packet.time_base, base), self._last_dts.get(index)
        loose = stream.type in ("subtitle", "data") or self._container.format.flags & _NONSTRICT
        least = dts if last is None else last if loose else last + 1
        if dts < least:
            self._complain_once("packets whose times go back are moved", stream)
            dts = least
            pts = packet.pts if packet.pts is not None else ticks
            packet.pts = max(dts, _rescaled(pts, packet.time_base, base))
            packet.duration = _rescaled(packet.duration or 0, packet.time_base, base)
            packet.dts, packet.time_base = dts, base
        elif packet.pts is not None and packet.dts is not None and packet.pts < packet.dts:
            packet.pts = packet.dts
        self._last_dts[index] = dts

    def _complain_once(self, what: str, stream: Stream) -> None:
        text = f"{self._source}: stream {stream.index} ({stream.type}): {what}"
        if text not in self._complaints:
            self._complaints.add(text)
            log.warning("%s", text)


def kept(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata without what describes the old container."""
    return {k: v for k, v in metadata.items() if k.lower() not in _CONTAINER_KEYS}


def _without_new_settings(packet: av.Packet) -> av.Packet:
    """A copy without the codec's settings."""
    copy = with_data(packet, bytes(packet))
    for side_data in packet.iter_sidedata():
        if side_data.data_type != _NEW_SETTINGS:
            copy.set_sidedata(side_data)
    return copy


def _rescaled(ticks: int, base: Fraction | None, to: Fraction | None) -> int:
    """A time in another time base, rounded as FFmpeg does."""
    return math.floor(ticks * base / to + Fraction(1, 2)) if base and to else ticks


def _can_be_decoded(stream: Stream) -> bool:
    context: Any = stream.codec_context
    return context is not None and context.sample_rate > 0


def _copy_of(container: Any, stream: Stream) -> Stream:
    copy: Stream = container.add_stream_from_template(stream, opaque=True)
    if stream.type == "audio":
        name_channels(cast("AudioStream", copy).codec_context)
    copy.metadata.update(kept(stream.metadata))
    copy.disposition = stream.disposition
    return copy


def _refusal(stream: Stream, format: str) -> str | None:
    """Why a container cannot hold a stream, by trying to write a header with it."""
    if stream.codec_context is None and stream.type not in ("data", "attachment"):
        return "unknown to this FFmpeg"
    if stream.type == "audio" and not cast("AudioStream", stream).codec_context.sample_rate:
        return "begins too late in the file"
    try:
        with av.open(io.BytesIO(), "w", format=format) as trial:
            _copy_of(trial, stream)
            trial.start_encoding()
    except (ValueError, OSError, av.FFmpegError) as error:
        return reason_of(error)
    return None
