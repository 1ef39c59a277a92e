"""Writing a video file: new frames for the main video, everything else copied as it is."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS, PixelFormat
from zerodce_rt.media.frames import nearest_format
from zerodce_rt.media.hwaccel import NVENC, gpu_encoder
from zerodce_rt.media.reader import VideoReader, reason_of
from zerodce_rt.names import CODECS

if TYPE_CHECKING:
    from av.stream import Stream

log = logging.getLogger(__name__)

X26X_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
    "veryslow", "placebo",
)  # fmt: skip

# Visually lossless for most content, and still fast.
_DEFAULT_CRF = {
    "libx264": 18, "libx265": 20, "libsvtav1": 28, "libvpx-vp9": 24,
    "h264_nvenc": 19, "hevc_nvenc": 21, "av1_nvenc": 28,
}  # fmt: skip
_DEFAULT_PRESET = {
    "libx264": "veryfast", "libx265": "veryfast", "libsvtav1": "8",
    "h264_nvenc": "p5", "hevc_nvenc": "p5", "av1_nvenc": "p5",
}  # fmt: skip
_QUIET_OPTIONS = {"libx265": {"x265-params": "log-level=error"}}
_VPX_OPTIONS = {"deadline": "good", "cpu-used": "5", "row-mt": "1", "b": "0"}
# Written by the demuxer about the old container, not by people about the content.
_CONTAINER_KEYS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
# Keys that MP4's own tags can hold; anything else needs the extended "mdta" form.
_MP4_KEYS = frozenset(
    "title artist album_artist album comment composer copyright date description genre grouping "
    "synopsis track disc lyrics creation_time show network episode_id".split()
)
_MOV_SUFFIXES = {".mp4", ".m4v", ".mov"}


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """How the new video is encoded.

    Attributes:
        codec: a key of ``names.CODECS`` or an FFmpeg encoder; default: H.264, for 10 bits and more
            HEVC, in WebM VP9.
        crf: constant quality in the encoder's own scale (0 is best).
        preset: the encoder's speed preset.
        gpu: encode on an NVIDIA GPU where that is possible, with NVENC's own presets.
    """

    codec: str | None = None
    crf: float | None = None
    preset: str | None = None
    gpu: bool = False

    def __post_init__(self) -> None:
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise ValueError(f"crf must be between 0 and 63, not {self.crf:g}")
        if self.codec is not None:
            find_encoder(self.codec)
        x26x = self.codec is None or CODECS.get(self.codec, self.codec) in ("libx264", "libx265")
        if self.preset is not None and x26x and self.preset not in X26X_PRESETS:
            valid = ", ".join(X26X_PRESETS)
            raise ValueError(f"preset must be one of {valid}, not {self.preset!r}")

    def encoder_for(self, suffix: str, bits: int) -> str:
        """The FFmpeg encoder to use for a container and a bit depth."""
        if self.codec:
            return CODECS.get(self.codec, self.codec)
        if suffix == ".webm":
            return "libvpx-vp9"
        return "libx264" if bits == 8 else "libx265"

    def options(self, encoder: str) -> dict[str, str]:
        options = dict(_QUIET_OPTIONS.get(encoder, {}))
        if encoder.startswith("libvpx"):
            options |= _VPX_OPTIONS
        crf = self.crf if self.crf is not None else _DEFAULT_CRF.get(encoder)
        preset = self.preset or _DEFAULT_PRESET.get(encoder)
        if encoder in NVENC.values():
            # Constant quality, as far as NVENC has it.
            options |= {"rc": "vbr", "b": "0", "cq": f"{crf:g}"}
        elif crf is not None:
            options["crf"] = f"{crf:g}"
        if preset is not None:
            options["preset"] = preset
        return options


def find_encoder(name: str) -> av.Codec:
    """The encoder of a short or FFmpeg name.

    Raises:
        ValueError: if this FFmpeg has none, or it does not encode video.
    """
    try:
        codec = av.Codec(CODECS.get(name, name), "w")
    except av.codec.codec.UnknownCodecError:
        codec = None
    if codec is None or codec.type != "video":
        valid = ", ".join(CODECS)
        raise ValueError(
            f"unknown video codec {name!r}; valid: {valid}, or the name of an FFmpeg encoder"
        ) from None
    return codec


class VideoWriter:
    """Writes what a ``VideoReader`` reads, with new frames.

    The file is opened with the first frame, which decides size, format and tags; packets that
    come earlier wait.

    Attributes:
        display_matrix: how players should turn the picture (9 numbers), if at all; heeded when
            the first frame is written.
        frames: written so far.

    Args:
        path: where to write; the caller renames it when it is complete.
        output: the final name, for messages and to choose the container.
        reader: where streams, metadata and times come from.
        width: of the pictures; default: those of the reader.

    Raises:
        ZeroDCEError: if the container cannot hold a stream, or the encoder refuses.
    """

    def __init__(
        self, path: Path, output: Path, reader: VideoReader, settings: EncoderSettings,
        *, width: int | None = None,
    ) -> None:  # fmt: skip
        self._path, self._output, self._reader = path, output, reader
        self._suffix = output.suffix.lower()
        self._settings = settings
        bits = nearest_format(reader.format).bits if reader.format is not None else 8
        self.encoder = settings.encoder_for(self._suffix, bits)
        if settings.gpu:
            self.encoder = self._gpu_encoder(width)
        self._formats = _formats_of(self.encoder)
        # SVT-AV1 writes a page about itself to stderr unless told to report errors only.
        os.environ.setdefault("SVT_LOG", "1")
        self._container: Any = None
        self._streams: dict[int, Stream] = {}
        self._waiting: list[av.Packet] = []
        self._last_pts: int | None = None
        self.display_matrix: list[int] | None = None
        self.frames = 0

    def _gpu_encoder(self, width: int | None) -> str:
        """That of the GPU if it is good for these pictures, else the one that was chosen."""
        reader, name = self._reader, NVENC.get(self.encoder, self.encoder)
        context = reader.stream.codec_context
        format = FORMATS["yuv420p"]
        if reader.format is not None:
            format = nearest_format(reader.format, _formats_of(name))
        return gpu_encoder(
            self.encoder, self._settings.options(name), format,
            width or context.width, context.height,
        )  # fmt: skip

    def format_for(self, format: av.VideoFormat) -> PixelFormat:
        """The pixel format in which frames of ``format`` should be handed to ``write``."""
        return nearest_format(format, self._formats)

    def write(self, item: av.VideoFrame | av.Packet) -> None:
        """Encode a frame or copy a packet; timestamps are those of the input."""
        if isinstance(item, av.Packet):
            if self._container is None:
                self._waiting.append(item)
            else:
                self._copy(item)
            return
        if self._container is None:
            self._open(item)
        try:
            self._mux(self._video.encode(self._timed(item)))
        except av.FFmpegError as error:
            raise ZeroDCEError(f"{self._output}: {self.encoder}: {error}") from error
        self.frames += 1

    def close(self) -> None:
        """Write what the encoder still holds, and the end of the file."""
        if self._container is not None:
            try:
                self._mux(self._video.encode(None))
                self._container.close()
            except (av.FFmpegError, OSError) as error:
                raise ZeroDCEError(f"{self._output}: cannot be finished ({error})") from error

    def abort(self) -> None:
        """Let go of the file without finishing it."""
        if self._container is not None:
            try:
                self._container.close()
            except (av.FFmpegError, OSError) as error:
                log.debug("closing %s: %s", self._path, error)

    def _open(self, frame: av.VideoFrame) -> None:
        reader = self._reader
        options = self._container_options()
        try:
            # FFmpeg would notice a bad place late, and blame the encoder.
            self._path.touch()
            self._container = av.open(str(self._path.absolute()), "w", options=options)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise ZeroDCEError(
                f"{self._output}: cannot be written ({reason_of(error)}); choose another with -o"
            ) from error
        container = self._container
        container.metadata.update(_kept(reader.container.metadata))
        if chapters := reader.container.chapters():
            container.set_chapters(_shifted(chapters, reader))
        # Streams keep the order of the input.
        for stream in reader.container.streams:
            if stream == reader.stream:
                self._video = self._add_video(frame)
            elif stream in reader.copied:
                self._add_copy(stream)
        try:
            container.start_encoding()
        except (av.FFmpegError, OSError, ValueError) as error:
            mend = "check --codec, --crf and --preset, or choose another container"
            if frame.width % 2 or frame.height % 2:
                mend = (
                    f"most encoders want even sizes, and this is {frame.width}x{frame.height}; "
                    "--codec vp9 takes any"
                )
            raise ZeroDCEError(
                f"{self._output}: {self.encoder} was refused ({reason_of(error)}); {mend}"
            ) from error
        for packet in self._waiting:
            self._copy(packet)
        self._waiting.clear()

    def _container_options(self) -> dict[str, str]:
        keys = set(_kept(self._reader.container.metadata))
        if self._suffix == ".mov" or (self._suffix in _MOV_SUFFIXES and keys - _MP4_KEYS):
            return {"movflags": "use_metadata_tags"}
        return {}

    def _add_video(self, frame: av.VideoFrame) -> Any:
        reader, source = self._reader, self._reader.stream
        try:
            stream = self._container.add_stream(
                self.encoder, rate=reader.rate, options=self._settings.options(self.encoder)
            )
        except (ValueError, av.FFmpegError) as error:
            raise ZeroDCEError(
                f"{self._output}: {self.encoder} video cannot be stored in {self._suffix}; "
                "choose another --codec or container"
            ) from error
        context = stream.codec_context
        describe_picture(context, frame)
        context.time_base = stream.time_base = source.time_base
        context.thread_type = "AUTO"
        context.sample_aspect_ratio = source.sample_aspect_ratio or Fraction(0, 1)
        context.flags |= av.codec.context.Flags.frame_duration
        stream.metadata.update(_kept(source.metadata))
        stream.disposition = source.disposition
        if self.display_matrix is not None:
            stream.set_display_matrix(self.display_matrix)
        return stream

    def _add_copy(self, stream: Stream) -> None:
        if (reason := self._refusal(stream)) is not None:
            what = f"stream {stream.index} ({stream.type}, {stream.name or 'unknown codec'})"
            if stream.type in ("audio", "subtitle"):
                raise ZeroDCEError(
                    f"{self._reader.path}: {what} cannot be stored in {self._suffix} "
                    f"({reason}); choose an output name that ends in .mkv"
                )
            log.warning("%s: %s left out: %s cannot hold it", self._reader.path, what, self._suffix)
            return
        self._streams[stream.index] = _copy_of(self._container, stream)

    def _refusal(self, stream: Stream) -> str | None:
        """Why the container will not take a stream, found out by writing a header with it."""
        if stream.codec_context is None and stream.type not in ("data", "attachment"):
            return "unknown codec"
        try:
            with av.open(io.BytesIO(), "w", format=self._container.format.name) as trial:
                _copy_of(trial, stream)
                trial.start_encoding()
        except (ValueError, OSError, av.FFmpegError) as error:
            return str(error)
        return None

    def _copy(self, packet: av.Packet) -> None:
        stream = self._streams.get(packet.stream.index)
        if stream is None:
            return
        if offset := self._offset(packet.time_base):
            packet.pts = None if packet.pts is None else packet.pts - offset
            packet.dts = None if packet.dts is None else packet.dts - offset
        packet.stream = stream
        self._mux(packet)

    def _timed(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame with a pts that grows: damaged files have gaps and repeats."""
        if frame.pts is None:
            frame.pts = (
                0 if self._last_pts is None else self._last_pts + max(1, frame.duration or 1)
            )
        else:
            frame.pts -= self._offset(frame.time_base)
        if self._last_pts is not None and frame.pts <= self._last_pts:
            frame.pts = self._last_pts + 1
        self._last_pts = frame.pts
        return frame

    def _offset(self, time_base: Fraction | None) -> int:
        trim = self._reader.trim_seconds
        return round(trim / time_base) if trim and time_base else 0

    def _mux(self, packets: av.Packet | list[av.Packet]) -> None:
        try:
            self._container.mux(packets)
        except (av.FFmpegError, OSError) as error:
            raise ZeroDCEError(f"{self._output}: cannot be written ({error})") from error


def _formats_of(encoder: str) -> list[str]:
    """The pixel formats that an encoder takes."""
    return [f.name for f in find_encoder(encoder).video_formats or []]


def describe_picture(context: Any, frame: av.VideoFrame) -> None:
    """Give an encoder the size, format and colour tags of the frames to come."""
    context.width, context.height = frame.width, frame.height
    context.pix_fmt = frame.format.name
    context.color_range = int(frame.color_range)
    context.colorspace = int(frame.colorspace)
    context.color_primaries = int(frame.color_primaries)
    context.color_trc = int(frame.color_trc)


def _copy_of(container: Any, stream: Stream) -> Stream:
    copy: Stream = container.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(_kept(stream.metadata))
    copy.disposition = stream.disposition
    return copy


def _kept(metadata: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in metadata.items() if k.lower() not in _CONTAINER_KEYS}


def _shifted(chapters: list[Any], reader: VideoReader) -> list[Any]:
    """Chapters of the part that is kept, on its own clock."""
    kept = []
    for chapter in chapters:
        base = chapter["time_base"]
        offset = round(reader.trim_seconds / base)
        end_of_span = (reader.span.end - reader.span.start) / float(base)
        start, end = max(0, chapter["start"] - offset), chapter["end"] - offset
        if end > 0 and start < end_of_span:
            kept.append(chapter | {"start": start, "end": int(min(end, end_of_span))})
    return kept
