"""Reading a video file: the decoded frames of its main video, and all other packets as they are."""

from __future__ import annotations

import heapq
import logging
import math
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from inspect import GEN_RUNNING, getgeneratorstate
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
from av.stream import Disposition

from zerodce_rt.errors import ZeroDCEError, check_numbers
from zerodce_rt.media.fields import described, field_order_of
from zerodce_rt.media.hdr import transfer_of
from zerodce_rt.media.opening import check_pixels, decoder_options, open_file
from zerodce_rt.media.paths import PIPE, is_sequence
from zerodce_rt.media.pipes import RawVideo, open_input
from zerodce_rt.media.sequences import open_sequence
from zerodce_rt.media.timeline import Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

    from zerodce_rt.media.hwaccel import Decoding

log = logging.getLogger(__name__)

# Streams are interleaved loosely: so long after the end, no packet from before it can follow.
_INTERLEAVE_SLACK_SECONDS = 10.0
# How far before a time a key frame is looked for, where no index tells.
_SEEK_MARGINS_SECONDS = (0, 2, 10, 60)
_INDEXED = ("mov", "matroska")
# Without a list of their streams at the start.
_LATE_FORMATS = ("flv", "mpeg", "mpegts")
_COPIED_TYPES = ("audio", "subtitle", "video", "data", "attachment")


@dataclass(frozen=True, kw_only=True)
class Span:
    """A part of a file; the default is all of it.

    Attributes:
        start, end: seconds from the beginning of the file, 0 or more; a frame at ``end`` is not
            part of it.

    Raises:
        ValueError: if ``start`` is negative, or not before ``end``.
    """

    start: float = 0.0
    end: float = math.inf

    def __post_init__(self) -> None:
        check_numbers(start=self.start, end=self.end)
        if not 0 <= self.start < self.end:
            raise ValueError(
                f"`start` must be 0 or more and before `end`, not {self.start} and {self.end}"
            )


class VideoReader:
    """A video that is open for reading; a context manager.

    It is a file, standard input (see ``pipes``), or numbered pictures (see ``sequences``).

    Attributes:
        stream: the main video, which is decoded.
        format: pixel format of its frames, if the file says so.
        is_hdr: its transfer is PQ or HLG.
        field_order: as FFmpeg numbers it; see ``fields.is_interlaced``.
        copied: the other streams, whose packets are passed on.

    Args:
        span: the part to read; default: all of it.
        decoding: decode on the GPU; default: on the CPU.
        max_pixels: of a frame; default: ``names.MAX_VIDEO_PIXELS``.
        raw: what standard input holds; default: YUV4MPEG2.
        fps: of numbered pictures.

    Raises:
        ZeroDCEError: no such file, not a video, no video stream, frames that are too large.
    """

    def __init__(
        self, path: Path, span: Span | None = None, decoding: Decoding | None = None,
        *, max_pixels: float | None = None, raw: RawVideo | None = None,
        fps: float | Fraction | None = None,
    ) -> None:  # fmt: skip
        self._is_pipe = path == PIPE
        self.path = path = Path("standard input") if self._is_pipe else path
        self.span = span or Span()
        self._items: Generator[av.VideoFrame | av.Packet, None, None] | None = None
        try:
            if self._is_pipe:
                self.container = open_input(raw, max_pixels)
            elif is_sequence(path):
                self.container = open_sequence(path, fps, max_pixels)
            else:
                self.container = open_file(path, max_pixels, decoding.accel if decoding else None)
        except (av.FFmpegError, OSError) as error:
            reason = reason_of(error)
            if isinstance(error, av.ArgumentError):  # also FFmpeg's for what is not whitelisted
                reason = "its container is not one that is read"
                if self._is_pipe:
                    reason = "not YUV4MPEG2; bare frames need `size`, `pix_fmt` and `fps`"
            raise ZeroDCEError(f"{path}: not a video that can be read ({reason})") from error
        try:
            self.stream = self._main_stream()
            context = self.stream.codec_context
            check_pixels(path, context.width, context.height, max_pixels, video=True)
            # The header may promise less than what comes.
            context.options |= decoder_options(
                max_pixels, width=context.width, height=context.height
            )
            if decoding is None:
                self.stream.thread_type = "AUTO"
                self.format = context.format
            else:
                self.format = decoding.format
            self.field_order = field_order_of(self.container, self.stream)
            self.is_hdr = transfer_of(int(context.color_trc or 0)) != "gamma"
        except BaseException:
            self.container.close()
            raise
        self.copied: list[Stream] = [
            s for s in self.container.streams if s != self.stream and s.type in _COPIED_TYPES
        ]
        if self.container.chapters():
            # MP4 keeps its chapters' titles in a track that the writer makes anew.
            self.copied = [s for s in self.copied if (s.type, codec_of(s)) != ("data", "bin_data")]

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        items, self._items = self._items, None  # which refers back to this
        # What is closed while another thread reads it would crash.
        if items is None or getgeneratorstate(items) != GEN_RUNNING:
            self.container.close()

    def _main_stream(self) -> VideoStream:
        stream = cast("VideoStream | None", self.container.streams.best("video"))
        if stream is None or _is_cover(stream):
            kinds = ", ".join(sorted({s.type for s in self.container.streams})) or "nothing"
            raise ZeroDCEError(f"{self.path}: has no video stream (it holds {kinds})")
        if stream.codec_context is None:
            raise ZeroDCEError(f"{self.path}: its video codec is unknown to this FFmpeg")
        return stream

    @property
    def start_seconds(self) -> float:
        """The timestamp at which the file begins (0 for most)."""
        return (self.container.start_time or 0) / av.time_base

    @property
    def duration_seconds(self) -> float | None:
        """Length of the part to be read, if the file says so."""
        stream, whole = self.stream, None
        if stream.duration and stream.time_base:
            whole = float(stream.duration * stream.time_base)
        elif self.container.duration:
            whole = self.container.duration / av.time_base
        if whole is None:
            return None
        return max(0.0, min(whole, self.span.end) - self.span.start)

    @property
    def frame_count(self) -> int | None:
        """Expected number of frames, for a progress bar; None if it is not known."""
        if self._whole and self.stream.frames:
            return self.stream.frames
        rate, duration = self.rate, self.duration_seconds
        return round(duration * rate) if rate and duration else None

    @property
    def rate(self) -> Fraction | None:
        """Average frame rate, if the file says so."""
        return self.stream.average_rate or self.stream.guessed_rate

    @property
    def trim_seconds(self) -> Fraction:
        """What must be subtracted from every timestamp: 0 unless the start is cut off."""
        if self.span.start == 0:
            return Fraction(0)
        return Fraction(self.span.start + self.start_seconds).limit_denominator(1_000_000)

    def __iter__(self) -> Iterator[av.VideoFrame | av.Packet]:
        """Frames and packets in file order, with the timestamps of the file.

        Raises:
            ZeroDCEError: if the file is damaged, or holds no frame of the span.
        """
        self._items = self._read()
        return self._items

    def _read(self) -> Generator[av.VideoFrame | av.Packet, None, None]:
        begin = self.span.start + self.start_seconds
        end = self.span.end + self.start_seconds
        frames = 0
        seconds = begin
        try:
            for item in self._decoded(begin, end):
                if isinstance(item, av.Packet):
                    if self._wanted(item, begin, end):
                        yield item
                    continue
                seconds = item.time if item.time is not None else seconds
                if self._whole or begin <= seconds < end:
                    frames += 1
                    yield item
        except (av.FFmpegError, OSError) as error:
            if self._is_pipe and frames:  # what has gone through cannot be taken back
                log.warning("%s: broke off (%s)", self.path, reason_of(error))
                return
            at_seconds = max(0.0, seconds - self.start_seconds)
            rescue = f"; `end={at_seconds:.2f}` keeps the part before" if frames else ""
            raise ZeroDCEError(
                f"{self.path}: damaged after {at_seconds:.2f} s ({reason_of(error)}){rescue}"
            ) from error
        if not frames:
            raise ZeroDCEError(
                f"{self.path}: no video frame "
                + ("could be decoded" if self._whole else "between `start` and `end`")
                + self._length
            )
        self._warn_if_short(seconds)

    def others(self) -> Iterator[av.Packet]:
        """The packets of the copied streams alone, as iterating over all gives them."""
        begin = self.span.start + self.start_seconds
        end = self.span.end + self.start_seconds
        for packet in self._placed(begin, end):
            if packet.stream.index != self.stream.index and self._wanted(packet, begin, end):
                yield packet

    def _decoded(self, begin: float, end: float) -> Iterator[av.VideoFrame | av.Packet]:
        """All from the key frame before ``begin`` on, until nothing before ``end`` is left."""
        stored: list[int] = []

        def stamped(frames: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
            for frame in frames:
                if stored:
                    frame.pts = heapq.heappop(stored)
                yield frame

        for packet in self._placed(begin, end):
            if packet.stream.index != self.stream.index:
                yield packet
            else:
                if self._stores_no_pts and packet.dts is not None:
                    heapq.heappush(stored, packet.dts)
                yield from stamped(self.stream.decode(packet))
        if not self._whole:
            yield from stamped(self._remaining())
        self._warn_of_late_streams()

    def _placed(self, begin: float, end: float) -> Iterator[av.Packet]:
        """All packets from the key frame before ``begin`` on, until none before ``end`` is left."""
        if self.span.start > 0 and not self._is_pipe:
            self._seek(begin)
        wanted = [self.stream, *(s for s in self.copied if s.type != "attachment")]
        for packet in Timeline(self.path).placed(demuxed(self.container, wanted)):
            at = _seconds(packet.dts if packet.dts is not None else packet.pts, packet)
            if at is None or at < end:
                yield packet
            elif at >= end + _INTERLEAVE_SLACK_SECONDS:
                break

    def _seek(self, seconds: float) -> None:
        """Go to a key frame before a time, or to the beginning."""
        for margin in _SEEK_MARGINS_SECONDS:
            at = seconds - margin
            if at <= self.start_seconds:
                break
            self.container.seek(int(at * av.time_base))
            if any(name in _INDEXED for name in self.container.format.name.split(",")):
                return
            # Others go to a packet near that time, of whatever kind.
            if self._next_key_seconds() <= seconds:
                self.container.seek(int(at * av.time_base))
                return
        # At the time of its beginning, FFmpeg would look for what comes after it.
        self.container.seek(int((self.start_seconds - 1) * av.time_base))

    def _next_key_seconds(self) -> float:
        """When the next key frame is shown."""
        for packet in demuxed(self.container, [self.stream]):
            at = _seconds(packet.pts, packet)
            if packet.is_keyframe and at is not None:
                return at
        return math.inf

    @property
    def _whole(self) -> bool:
        """Whether all of the file is read."""
        return self.span == Span()

    @property
    def _length(self) -> str:
        """How long the file is, for a message."""
        duration = self.container.duration
        return f"; the file is {duration / av.time_base:.1f} s long" if duration else ""

    @property
    def _stores_no_pts(self) -> bool:
        """Whether the file has decoding times only, as AVI has; FFmpeg guesses those of display.

        Its guesses are wrong with B-frames. Decoders give frames in display order, so the
        decoding times in rising order are right.
        """
        return self.container.format.name == "avi"

    def _wanted(self, packet: av.Packet, begin: float, end: float) -> bool:
        if packet.size == 0:  # the flush packet that ends each stream
            return False
        at = _seconds(packet.pts if packet.pts is not None else packet.dts, packet)
        if at is None or self._whole or _is_cover(packet.stream):
            return True
        length = _seconds(packet.duration, packet) or 0.0
        return at + length > begin and at < end

    def _remaining(self) -> list[av.VideoFrame]:
        """Frames still inside the decoder when reading stopped before the end of the file."""
        try:
            frames = self.stream.decode(None)
        except av.EOFError:  # already flushed: the file ended inside the span
            return []
        for frame in frames:
            # Otherwise it comes from the packet, and here there is none.
            frame.time_base = self.stream.time_base
        return frames

    def _warn_of_late_streams(self) -> None:
        known = len(self.container.streams)
        if self.container.format.name not in _LATE_FORMATS:
            return
        if more := _count_streams(self.container) - known:
            log.warning(
                "%s: streams that begin in the middle of the file are left out: %d",
                self.path, more,
            )  # fmt: skip

    def _warn_if_short(self, last_seconds: float) -> None:
        expected = self.duration_seconds
        # Some containers count their length from 0, and not from where they begin.
        start = min(0.0, self.start_seconds) if self._whole else self.start_seconds
        got = last_seconds - start - self.span.start + (1 / float(self.rate) if self.rate else 0.0)
        if expected and math.isfinite(expected) and got < 0.9 * expected - 2:
            log.warning(
                "%s: ends at %.1f s although it says %.1f s; it may have been cut short",
                self.path, got, expected,
            )  # fmt: skip


def demuxed(container: InputContainer, streams: Sequence[Stream]) -> Iterator[av.Packet]:
    """The packets of some of a container's streams, in file order.

    PyAV does not give those of a stream that has begun in the middle.
    """
    with suppress(IndexError):  # PyAV's, when it comes to the end of such a stream
        yield from container.demux(streams)


def _count_streams(container: Any) -> int:
    """All that FFmpeg has found by now; PyAV itself lists those that it found at the start."""
    return len(re.findall(r"^  Stream #", described(container), re.MULTILINE))


def _is_cover(stream: Stream) -> bool:
    """Whether a video stream is a still picture, such as an album's cover."""
    return bool(stream.disposition & Disposition.attached_pic)


def codec_of(stream: Stream) -> str | None:
    """FFmpeg's name of a stream's codec; None if FFmpeg does not know it."""
    # PyAV raises AttributeError without a codec context.
    return getattr(stream, "name", None)


def _seconds(ticks: int | None, packet: av.Packet) -> float | None:
    return None if ticks is None or not packet.time_base else float(ticks * packet.time_base)


def reason_of(error: Exception, timeout_seconds: float | None = None) -> str:
    """FFmpeg's description of an error, without its number and the file's name.

    Args:
        timeout_seconds: after which FFmpeg was to give up; it has a strange description for that.
    """
    if isinstance(error, av.ExitError):
        waited = "too long" if timeout_seconds is None else f"{timeout_seconds:g} s"
        return f"nothing has come for {waited}"
    return getattr(error, "strerror", None) or str(error)
