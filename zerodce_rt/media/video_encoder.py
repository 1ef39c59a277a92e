"""The new frames of a video, encoded; and video that was encoded before."""

from __future__ import annotations

import logging
import math
import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import av

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS, PixelFormat
from zerodce_rt.media.encoders import (
    KEEP_LIGHT_LEVELS,
    NVENC,
    EncoderSettings,
    describe_picture,
    find_encoder,
)
from zerodce_rt.media.facts import SourceFacts
from zerodce_rt.media.fields import field_options, set_field_order
from zerodce_rt.media.frames import nearest_format
from zerodce_rt.media.hdr import LightLevels
from zerodce_rt.media.hwaccel import Encoding, encoding_on_gpu, gpu_encoder
from zerodce_rt.media.other_streams import kept
from zerodce_rt.media.paths import MOV_SUFFIXES
from zerodce_rt.media.reader import VideoReader, reason_of

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

_ALPHA_MODE = "alpha_mode"
_HDR_BITS = 10


class VideoSource(Protocol):
    """Where a writer's video comes from: frames to encode, or packets."""

    def add_to(self, container: Any, first: Any) -> None:
        """Add a stream for what is such as the first to a container that has not begun."""
        ...

    def started(self) -> None:
        """Learn the times of the container, once it has begun."""
        ...

    def not_started(self, error: Exception) -> ZeroDCEError:
        """What to raise if the container could not begin."""
        ...

    def packets(self, item: Any, offset: int = 0) -> list[av.Packet]:
        """What comes of the next frame or packet, or, for None, what is left.

        Args:
            offset: what is subtracted from its times.
        """
        ...


class VideoEncoder:
    """Encodes the frames that are made of a ``VideoReader``'s.

    Attributes:
        name: FFmpeg's, of the encoder.
        frames_on_gpu: makes frames on the GPU that ``packets`` takes, too; None if it takes none.
        facts: of the source; to be set before the first frame is encoded.

    Args:
        output: the final name, which chooses the container, and is used in messages.
        reader: where metadata and times come from.
        width: of the frames to come; default: that of the reader's.
        hdr: the frames to come are HDR, which takes 10 bits.
        interlaced: the frames to come consist of fields.
        device: the GPU on which frames are enhanced, and may stay for NVENC.

    Raises:
        ZeroDCEError: from any method, if the container cannot hold the video, or the encoder
            refuses its settings or frames.
    """

    facts: SourceFacts | None = None

    def __init__(
        self, output: Path, reader: VideoReader, settings: EncoderSettings,
        *, width: int | None = None, hdr: bool = False, interlaced: bool = False,
        device: torch.device | None = None,
    ) -> None:  # fmt: skip
        self._output, self._reader, self._settings = output, reader, settings
        self._suffix = output.suffix.lower()
        bits = nearest_format(reader.format).bits if reader.format is not None else 8
        if reader.is_hdr:
            bits = max(bits, _HDR_BITS) if hdr else 8
        self.name = settings.encoder_for(self._suffix, bits, interlaced=interlaced)
        self._encoding: Encoding | None = None
        if settings.gpu:
            self._choose_gpu(width, device, becomes_sdr=reader.is_hdr and not hdr)
        self.frames_on_gpu = self._encoding.frames if self._encoding is not None else None
        self._formats = self._usable_formats(bits, hdr=hdr)
        self._field_options = self._options_for_fields() if interlaced else {}
        if _is_transparent(reader):
            log.warning("%s: its transparency is left out", reader.path)
        # SVT-AV1 writes a page about itself to stderr unless it is to report errors only.
        os.environ.setdefault("SVT_LOG", "1")
        self._stream: Any = None
        self._size = 0, 0
        self._time_base: Fraction | None = None
        self._last_pts: int | None = None
        self._least_step = 1
        self._frames = 0

    def _choose_gpu(
        self, width: int | None, device: torch.device | None, *, becomes_sdr: bool
    ) -> None:
        """Take NVENC's encoder if it can encode the frames to come, best from where they are."""
        reader, name = self._reader, NVENC.get(self.name, self.name)
        context = reader.stream.codec_context
        format = FORMATS["yuv420p"]
        if reader.format is not None and not becomes_sdr:
            format = nearest_format(reader.format, _formats_of(name))
        options = self._settings.options(name)
        picture = format, width or context.width, context.height
        self.name = gpu_encoder(self.name, options, *picture)
        if self.name == name and device is not None:
            self._encoding = encoding_on_gpu(name, options, device, *picture)

    def _usable_formats(self, bits: int, *, hdr: bool) -> list[str]:
        """Names of the pixel formats that the encoder may be given."""
        names = [name for name in _formats_of(self.name) if name in FORMATS]
        if not names:
            raise ZeroDCEError(
                f"{self._output}: {self.name} takes none of the pixel formats that can be "
                "enhanced; choose another `codec`"
            )
        most = max(FORMATS[name].bits for name in names)
        if hdr and most < _HDR_BITS:
            raise ZeroDCEError(
                f"{self._output}: {self.name} stores {most} bits, and HDR video takes "
                f"{_HDR_BITS}; choose `codec='h265'` or `sdr=True`"
            )
        if most < bits:
            log.warning("%s: %s keeps %d of its %d bits", self._reader.path, self.name, most, bits)
        if hdr:
            return [name for name in names if FORMATS[name].bits >= _HDR_BITS]
        if self._reader.is_hdr:  # it becomes SDR, for players that know little
            return [name for name in names if FORMATS[name].bits == 8] or names
        return names

    def _options_for_fields(self) -> dict[str, str]:
        options = field_options(self.name, self._reader.field_order)
        if options is None:
            log.warning(
                "%s: is interlaced, and %s codes whole frames, so its players will not know; "
                "`deinterlace=True` makes whole frames of it", self._reader.path, self.name,
            )  # fmt: skip
        return options or {}

    def format_for(self, format: av.VideoFormat) -> PixelFormat:
        """The pixel format that ``packets`` takes for frames of ``format``."""
        return nearest_format(format, self._formats)

    def add_to(self, container: Any, frame: av.VideoFrame) -> None:
        self._size, self._time_base = (frame.width, frame.height), frame.time_base
        facts = self.facts or SourceFacts((frame.width, frame.height))
        light = facts.light
        reader, source = self._reader, self._reader.stream
        try:
            stream = container.add_stream(
                self.name, rate=reader.rate,
                options=self._settings.options(self.name, light) | self._field_options,
                hwaccel=self._encoding.accel if self._encoding is not None else None,
            )  # fmt: skip
        except (ValueError, av.FFmpegError) as error:
            raise ZeroDCEError(
                f"{self._output}: {self.name} video cannot be stored in {self._suffix}; "
                "choose another `codec` or container"
            ) from error
        context = stream.codec_context
        describe_picture(context, frame)
        if self._suffix in MOV_SUFFIXES and stream.codec.canonical_name == "hevc":
            context.codec_tag = "hvc1"  # Apple's players know no other
        if light != LightLevels() and self.name not in KEEP_LIGHT_LEVELS:
            log.warning(
                "%s: what it says of its brightest light and its display is left out, since %s "
                "takes no such metadata", reader.path, self.name,
            )  # fmt: skip
        if self._field_options:
            set_field_order(context, reader.field_order)
        context.time_base = stream.time_base = source.time_base
        context.thread_type = "AUTO"
        context.sample_aspect_ratio = source.sample_aspect_ratio or Fraction(0, 1)
        context.flags |= av.codec.context.Flags.frame_duration
        _describe(stream, reader, facts)
        self._stream = stream

    def started(self) -> None:
        base, stored = self._time_base, self._stream.time_base
        # The container may be coarser than the file that is read.
        self._least_step = max(1, math.ceil(stored / base)) if base and stored else 1

    def not_started(self, error: Exception) -> ZeroDCEError:
        advice = "check `codec`, `crf` and `preset`, or choose another container"
        width, height = self._size
        if width % 2 or height % 2:
            advice = (
                f"most encoders need even sizes, and this is {width}x{height}; "
                "`codec='vp9'` takes any"
            )
        return ZeroDCEError(
            f"{self._output}: {self.name} failed to start ({reason_of(error)}); {advice}"
        )

    def packets(self, frame: av.VideoFrame | None, offset: int = 0) -> list[av.Packet]:
        try:
            timed = None if frame is None else self._timed(frame, offset)
            packets = self._with_dts(self._stream.encode(timed))
        except av.FFmpegError as error:
            raise ZeroDCEError(
                f"{self._output}: {self.name} failed ({reason_of(error)})"
            ) from error
        self._frames += 1
        return packets

    def _timed(self, frame: av.VideoFrame, offset: int) -> av.VideoFrame:
        """The frame with a pts above the last one's: damaged files have gaps and repeats."""
        if frame.pts is None:
            frame.pts = (
                0 if self._last_pts is None else self._last_pts + max(1, frame.duration or 1)
            )
        else:
            frame.pts -= offset
        if self._last_pts is not None and frame.pts < self._last_pts + self._least_step:
            frame.pts = self._last_pts + self._least_step
        self._last_pts = frame.pts
        return frame

    def _with_dts(self, packets: list[av.Packet]) -> list[av.Packet]:
        if self._frames <= 2 and self.name == "libx265":  # it makes up any dts for so few
            for packet in packets:
                packet.dts = packet.pts
        return packets


class EncodedVideo:
    """Video that was encoded before, in segments that follow each other, passed on as it is.

    Args:
        template: the video stream of the first segment.
        reader: where metadata and times come from.
        output: the final name, for messages.
    """

    def __init__(
        self, template: Any, reader: VideoReader, facts: SourceFacts, output: Path
    ) -> None:
        self._template, self._reader, self._output = template, reader, output
        self._facts = facts
        self._stream: Any = None

    def add_to(self, container: Any, packet: av.Packet) -> None:
        try:
            self._stream = stream = container.add_stream_from_template(self._template, opaque=True)
        except (ValueError, av.FFmpegError) as error:
            raise self.not_started(error) from error
        stream.time_base = self._reader.stream.time_base
        _describe(stream, self._reader, self._facts)

    def started(self) -> None:
        pass

    def not_started(self, error: Exception) -> ZeroDCEError:
        return ZeroDCEError(f"{self._output}: its segments cannot be joined ({reason_of(error)})")

    def packets(self, packet: av.Packet | None, offset: int = 0) -> list[av.Packet]:
        if packet is None:
            return []
        packet.stream = self._stream
        packet.pts = None if packet.pts is None else packet.pts - offset
        packet.dts = None if packet.dts is None else packet.dts - offset
        return [packet]


def _describe(stream: Any, reader: VideoReader, facts: SourceFacts) -> None:
    """Give a new stream what is known of the source's beside its pictures."""
    stream.metadata.update(kept(reader.stream.metadata))
    if _is_transparent(reader):
        stream.metadata.pop(_ALPHA_MODE, None)
    stream.disposition = reader.stream.disposition
    if facts.display_matrix is not None:
        stream.set_display_matrix(list(facts.display_matrix))


def _formats_of(encoder: str) -> list[str]:
    """Names of the pixel formats that an encoder takes."""
    return [f.name for f in find_encoder(encoder).video_formats or []]


def _is_transparent(reader: VideoReader) -> bool:
    """Whether pixels have an alpha, which is not among what is enhanced and encoded."""
    if reader.stream.metadata.get(_ALPHA_MODE) == "1":  # VP8 and VP9, which decode without it
        return True
    return reader.format is not None and any(c.is_alpha for c in reader.format.components)
