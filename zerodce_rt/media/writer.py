"""Writing a video file: new frames for the main video, and everything else as it was read."""

from __future__ import annotations

import logging
import math
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from zerodce_rt.atomic import is_of_the_place
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS, PixelFormat
from zerodce_rt.media.encoders import (
    KEEP_LIGHT_LEVELS,
    NVENC,
    EncoderSettings,
    describe_picture,
    find_encoder,
)
from zerodce_rt.media.fields import field_options, set_field_order
from zerodce_rt.media.frames import nearest_format
from zerodce_rt.media.hdr import LightLevels
from zerodce_rt.media.hwaccel import gpu_encoder
from zerodce_rt.media.other_streams import OtherStreams, kept
from zerodce_rt.media.output_file import OutputFile
from zerodce_rt.media.reader import VideoReader, reason_of

log = logging.getLogger(__name__)

# Metadata keys that MP4 has a tag for; others need the "mdta" form.
_MP4_KEYS = frozenset(
    "title artist album_artist album comment composer copyright date description genre grouping "
    "synopsis track disc lyrics creation_time show network episode_id".split()
)
_ALPHA_MODE = "alpha_mode"
# FFmpeg's own is 1000: a millisecond.
_MOST_TICKS = 20_000_000
_HDR_BITS = 10
_MOV_SUFFIXES = {".mp4", ".m4v", ".mov"}


class VideoWriter:
    """Writes what a ``VideoReader`` reads, with new frames.

    The file is opened with the first frame, which decides size, format and tags; earlier packets
    wait for it.

    Attributes:
        encoder: FFmpeg's name of the encoder.
        display_matrix: how players should turn the picture, as FFmpeg's nine numbers, or None;
            to be set before the first frame is written.
        light: static metadata of HDR video; to be set before the first frame is written.
        frames: written so far.

    Args:
        path: where to write; the caller renames the file when it is complete.
        output: the final name, which chooses the container, and is used in messages.
        reader: where streams, metadata and times come from.
        width: of the frames to come; default: that of the reader's.
        hdr: the frames to come are HDR, which takes 10 bits.
        interlaced: the frames to come consist of fields.

    Raises:
        ZeroDCEError: from any method, if the file cannot be written, the container cannot hold a
            stream, or the encoder refuses its settings or frames.
    """

    def __init__(
        self, path: Path, output: Path, reader: VideoReader, settings: EncoderSettings,
        *, width: int | None = None, hdr: bool = False, interlaced: bool = False,
    ) -> None:  # fmt: skip
        self._path, self._output, self._reader = path, output, reader
        self._suffix = output.suffix.lower()
        self._settings = settings
        bits = nearest_format(reader.format).bits if reader.format is not None else 8
        if reader.is_hdr:
            bits = max(bits, _HDR_BITS) if hdr else 8
        self.encoder = settings.encoder_for(self._suffix, bits, interlaced=interlaced)
        if settings.gpu:
            self.encoder = self._gpu_encoder(width, becomes_sdr=reader.is_hdr and not hdr)
        self._formats = self._usable_formats(bits, hdr=hdr)
        self._field_options = self._options_for_fields() if interlaced else {}
        self._transparent = _is_transparent(reader)
        if self._transparent:
            log.warning("%s: its transparency is left out", reader.path)
        # SVT-AV1 writes a page about itself to stderr unless it is to report errors only.
        os.environ.setdefault("SVT_LOG", "1")
        self._container: Any = None
        self._others: OtherStreams | None = None
        self._file: OutputFile | None = None
        self._waiting: list[av.Packet] = []
        self._last_pts: int | None = None
        self._least_step = 1
        self._trim_seconds = reader.trim_seconds
        self.display_matrix: list[int] | None = None
        self.light = LightLevels()
        self.frames = 0

    def _gpu_encoder(self, width: int | None, *, becomes_sdr: bool) -> str:
        """NVENC's encoder if it can encode the frames to come, else the one on the CPU."""
        reader, name = self._reader, NVENC.get(self.encoder, self.encoder)
        context = reader.stream.codec_context
        format = FORMATS["yuv420p"]
        if reader.format is not None and not becomes_sdr:
            format = nearest_format(reader.format, _formats_of(name))
        return gpu_encoder(
            self.encoder, self._settings.options(name), format,
            width or context.width, context.height,
        )  # fmt: skip

    def _usable_formats(self, bits: int, *, hdr: bool) -> list[str]:
        """Names of the pixel formats that the encoder may be given."""
        names = [name for name in _formats_of(self.encoder) if name in FORMATS]
        if not names:
            raise ZeroDCEError(
                f"{self._output}: {self.encoder} takes none of the pixel formats that can be "
                "enhanced; choose another `codec`"
            )
        most = max(FORMATS[name].bits for name in names)
        if hdr and most < _HDR_BITS:
            raise ZeroDCEError(
                f"{self._output}: {self.encoder} stores {most} bits, and HDR video takes "
                f"{_HDR_BITS}; choose `codec='h265'` or `sdr=True`"
            )
        if most < bits:
            log.warning(
                "%s: %s keeps %d of its %d bits", self._reader.path, self.encoder, most, bits
            )
        if hdr:
            return [name for name in names if FORMATS[name].bits >= _HDR_BITS]
        if self._reader.is_hdr:  # it becomes SDR, for players that know little
            return [name for name in names if FORMATS[name].bits == 8] or names
        return names

    def _options_for_fields(self) -> dict[str, str]:
        options = field_options(self.encoder, self._reader.field_order)
        if options is None:
            log.warning(
                "%s: is interlaced, and %s codes whole frames, so its players will not know; "
                "`deinterlace=True` makes whole frames of it", self._reader.path, self.encoder,
            )  # fmt: skip
        return options or {}

    def format_for(self, format: av.VideoFormat) -> PixelFormat:
        """The pixel format that ``write`` takes for frames of ``format``."""
        return nearest_format(format, self._formats)

    def write(self, item: av.VideoFrame | av.Packet) -> None:
        """Encode a frame, or copy a packet, both with the timestamps of the input."""
        if isinstance(item, av.Packet):
            if self._container is None:
                self._waiting.append(item)
            else:
                self._pass_on(item)
            return
        if self._container is None:
            self._open(item)
        try:
            self._mux(self._with_dts(self._video.encode(self._timed(item))))
        except av.FFmpegError as error:
            raise ZeroDCEError(
                f"{self._output}: {self.encoder} failed ({reason_of(error)})"
            ) from error
        self.frames += 1

    def close(self) -> None:
        """Write the frames that are still in the encoder, and the end of the file."""
        if self._container is not None and self._file is not None and self._others is not None:
            try:
                self._mux(self._with_dts(self._video.encode(None)))
                self._others.finish()
                self._container.close()
                self._file.close()
            except (av.FFmpegError, OSError) as error:
                raise self._not_written(error) from error
            self._others = None

    def abort(self) -> None:
        """Close the file without finishing it."""
        try:
            if self._container is not None:
                self._container.close()
        except (av.FFmpegError, OSError) as error:
            log.debug("closing %s: %s", self._path, error)
        finally:
            if self._file is not None:
                self._file.close()
            self._others = None  # which refers back: encoders and their threads would stay

    def _open(self, frame: av.VideoFrame) -> None:
        reader = self._reader
        try:
            self._file = OutputFile(self._path)
            self._container = av.open(self._file, "w", options=self._container_options())
        except (av.FFmpegError, OSError, ValueError) as error:
            raise ZeroDCEError(
                f"{self._output}: cannot be written ({reason_of(error)}); choose another `output`"
            ) from error
        container = self._container
        if frame.pts is not None and frame.time_base and frame.pts < 0:
            # In MP4, frames before 0 are not shown.
            self._trim_seconds = frame.pts * frame.time_base
        container.metadata.update(kept(reader.container.metadata))
        if chapters := reader.container.chapters():
            container.set_chapters(_shifted(chapters, reader, self._trim_seconds))
        self._others = others = OtherStreams(
            container, reader.path, self._suffix, self._settings.audio, self._place_failed
        )
        # Streams keep the order of the input.
        for stream in reader.container.streams:
            if stream == reader.stream:
                self._video = self._add_video(frame)
            elif stream in reader.copied:
                others.add(stream)
        try:
            container.start_encoding()
        except (av.FFmpegError, OSError, ValueError) as error:
            if self._place_failed(error):
                raise self._not_written(error) from error
            advice = "check `codec`, `crf` and `preset`, or choose another container"
            if frame.width % 2 or frame.height % 2:
                advice = (
                    f"most encoders need even sizes, and this is {frame.width}x{frame.height}; "
                    "`codec='vp9'` takes any"
                )
            raise ZeroDCEError(
                f"{self._output}: {self.encoder} failed to start ({reason_of(error)}); {advice}"
            ) from error
        base, stored = frame.time_base, self._video.time_base
        # The container may be coarser than the file that is read.
        self._least_step = max(1, math.ceil(stored / base)) if base and stored else 1
        for packet in self._waiting:
            self._pass_on(packet)
        self._waiting.clear()

    def _container_options(self) -> dict[str, str]:
        if self._suffix == ".mkv":
            # Sound may begin some milliseconds before 0, as encoders need it; FFmpeg would move all
            # that the file holds.
            return {"avoid_negative_ts": "disabled"}
        if self._suffix not in _MOV_SUFFIXES:
            return {}
        options = {"movie_timescale": str(_movie_timescale(self._reader))}
        keys = set(kept(self._reader.container.metadata))
        if self._suffix == ".mov" or keys - _MP4_KEYS:
            options["movflags"] = "use_metadata_tags"
        return options

    def _add_video(self, frame: av.VideoFrame) -> Any:
        reader, source = self._reader, self._reader.stream
        try:
            stream = self._container.add_stream(
                self.encoder, rate=reader.rate,
                options=self._settings.options(self.encoder, self.light) | self._field_options,
            )  # fmt: skip
        except (ValueError, av.FFmpegError) as error:
            raise ZeroDCEError(
                f"{self._output}: {self.encoder} video cannot be stored in {self._suffix}; "
                "choose another `codec` or container"
            ) from error
        context = stream.codec_context
        describe_picture(context, frame)
        if self._suffix in _MOV_SUFFIXES and stream.codec.canonical_name == "hevc":
            context.codec_tag = "hvc1"  # Apple's players know no other
        if self.light != LightLevels() and self.encoder not in KEEP_LIGHT_LEVELS:
            log.warning(
                "%s: what it says of its brightest light and its display is left out, since %s "
                "takes no such metadata", reader.path, self.encoder,
            )  # fmt: skip
        if self._field_options:
            set_field_order(context, reader.field_order)
        context.time_base = stream.time_base = source.time_base
        context.thread_type = "AUTO"
        context.sample_aspect_ratio = source.sample_aspect_ratio or Fraction(0, 1)
        context.flags |= av.codec.context.Flags.frame_duration
        stream.metadata.update(kept(source.metadata))
        if self._transparent:
            stream.metadata.pop(_ALPHA_MODE, None)
        stream.disposition = source.disposition
        if self.display_matrix is not None:
            stream.set_display_matrix(self.display_matrix)
        return stream

    def _pass_on(self, packet: av.Packet) -> None:
        """Write a packet of another stream."""
        assert self._others is not None
        if offset := self._offset(packet.time_base):
            packet.pts = None if packet.pts is None else packet.pts - offset
            packet.dts = None if packet.dts is None else packet.dts - offset
        try:
            self._others.write(packet)
        except (av.FFmpegError, OSError) as error:
            raise self._not_written(error) from error

    def _timed(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame with a pts above the last one's: damaged files have gaps and repeats."""
        if frame.pts is None:
            frame.pts = (
                0 if self._last_pts is None else self._last_pts + max(1, frame.duration or 1)
            )
        else:
            frame.pts -= self._offset(frame.time_base)
        if self._last_pts is not None and frame.pts < self._last_pts + self._least_step:
            frame.pts = self._last_pts + self._least_step
        self._last_pts = frame.pts
        return frame

    def _offset(self, time_base: Fraction | None) -> int:
        return round(self._trim_seconds / time_base) if self._trim_seconds and time_base else 0

    def _with_dts(self, packets: list[av.Packet]) -> list[av.Packet]:
        if self.frames <= 2 and self.encoder == "libx265":  # it makes up any dts for so few
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def _mux(self, packets: list[av.Packet]) -> None:
        try:
            self._container.mux(packets)
        except (av.FFmpegError, OSError) as error:
            raise self._not_written(error) from error

    def _place_failed(self, error: Exception) -> bool:
        """Whether an error is one of the place where the file is written."""
        return is_of_the_place(error) or (self._file is not None and self._file.failure is not None)

    def _not_written(self, error: Exception) -> ZeroDCEError:
        if not self._place_failed(error) and self._others:
            # Our own packets are sound.
            return ZeroDCEError(
                f"{self._reader.path}: its streams beside the video are damaged and cannot be "
                f"copied to {self._suffix} ({reason_of(error)}); another container may take them"
            )
        failure = self._file.failure if self._file is not None else None
        return ZeroDCEError(f"{self._output}: cannot be written ({reason_of(failure or error)})")


def _formats_of(encoder: str) -> list[str]:
    """Names of the pixel formats that an encoder takes."""
    return [f.name for f in find_encoder(encoder).video_formats or []]


def _movie_timescale(reader: VideoReader) -> int:
    """Ticks for MP4's edit lists, in which every stream can say exactly when it begins."""
    streams = [reader.stream, *(s for s in reader.copied if s.type == "audio")]
    scales = [s.time_base.denominator for s in streams if s.time_base]
    exact = math.lcm(*scales)
    return exact if exact <= _MOST_TICKS else min(max(scales), _MOST_TICKS)


def _is_transparent(reader: VideoReader) -> bool:
    """Whether pixels have an alpha, which is not among what is enhanced and encoded."""
    if reader.stream.metadata.get(_ALPHA_MODE) == "1":  # VP8 and VP9, which decode without it
        return True
    return reader.format is not None and any(c.is_alpha for c in reader.format.components)


def _shifted(chapters: list[Any], reader: VideoReader, trim_seconds: Fraction) -> list[Any]:
    """The chapters within the part that is kept, with times from its start."""
    inside = []
    for chapter in chapters:
        base = chapter["time_base"]
        offset = round(trim_seconds / base)
        end_of_span = (reader.span.end - reader.span.start) / float(base)
        start, end = max(0, chapter["start"] - offset), chapter["end"] - offset
        if end > 0 and start < end_of_span:
            inside.append(chapter | {"start": start, "end": int(min(end, end_of_span))})
    return inside
