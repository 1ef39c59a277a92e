"""Video from standard input and to standard output, between two other programs.

As YUV4MPEG2, which says its size and rate, or as bare frames.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from zerodce_rt.errors import ZeroDCEError, check_numbers
from zerodce_rt.frame import FORMATS, PixelFormat
from zerodce_rt.media.encoders import describe_picture
from zerodce_rt.media.facts import SourceFacts
from zerodce_rt.media.fields import set_field_order
from zerodce_rt.media.frames import nearest_format
from zerodce_rt.media.opening import decoder_options
from zerodce_rt.media.output_file import OutputFile

if TYPE_CHECKING:
    from av.container import InputContainer

    from zerodce_rt.media.reader import VideoReader

_Y4M = "yuv4mpegpipe"
_Y4M_FORMATS = [n for n, f in FORMATS.items() if f.layout == "planar"]
USUAL_RATE = Fraction(25)
"""Frames in a second, if nobody says."""


@dataclass(frozen=True, kw_only=True)
class RawVideo:
    """What bare frames are, which do not say it themselves.

    Attributes:
        size: width and height in pixels.
        pix_fmt: FFmpeg's name of the pixel format; one of ``FORMATS``.
        fps: frames in a second.

    Raises:
        ValueError: a size below 1, another pixel format, a rate that is not above 0.
    """

    size: tuple[int, int]
    pix_fmt: str = "yuv420p"
    fps: float | Fraction = USUAL_RATE

    def __post_init__(self) -> None:
        check_numbers(fps=self.fps)
        if min(self.size) < 1:
            raise ValueError(f"`size` must be 1x1 or more, not {self.size[0]}x{self.size[1]}")
        if self.pix_fmt not in FORMATS:
            raise ValueError(f"`pix_fmt` must be one of {', '.join(FORMATS)}, not {self.pix_fmt!r}")
        if not 0 < self.fps < float("inf"):
            raise ValueError(f"`fps` must be above 0, not {self.fps}")


def open_input(raw: RawVideo | None, max_pixels: float | None) -> InputContainer:
    """Standard input as a container.

    Raises:
        av.FFmpegError: it is not what was said.
    """
    stream: Any = os.fdopen(os.dup(0), "rb", buffering=0)
    options = decoder_options(max_pixels)
    if raw is None:
        return av.open(stream, format=_Y4M, options=options)
    width, height = raw.size
    rate = Fraction(raw.fps).limit_denominator(1_000_000)
    options |= {"video_size": f"{width}x{height}", "pixel_format": raw.pix_fmt,
                "framerate": f"{rate.numerator}/{rate.denominator}"}  # fmt: skip
    return av.open(stream, format="rawvideo", options=options)


class PipeWriter:
    """Writes the frames of a ``VideoReader`` to standard output; other streams are left out.

    Attributes:
        frames: written so far.
        name, facts, frames_on_gpu: as those of ``VideoEncoder``; neither a rotation nor light
            levels can be passed on.

    Args:
        raw: write bare frames of this format instead of YUV4MPEG2.

    Raises:
        ZeroDCEError: from any method, if standard output cannot be written.
    """

    name = "rawvideo"
    frames_on_gpu = None

    def __init__(self, reader: VideoReader, raw: RawVideo | None = None) -> None:
        self._reader, self._raw = reader, raw
        self._formats = _Y4M_FORMATS if raw is None else [raw.pix_fmt]
        self._file: OutputFile | None = None
        self._container: Any = None
        self._stream: Any = None
        self.facts: SourceFacts | None = None
        self.frames = 0

    def format_for(self, format: av.VideoFormat) -> PixelFormat:
        """The pixel format that ``write`` takes for frames of ``format``."""
        return nearest_format(format, self._formats)

    def write(self, item: av.VideoFrame | av.Packet) -> None:
        if isinstance(item, av.Packet):
            return
        try:
            if self._container is None:
                self._open(item)
            item.pts, item.time_base = self.frames, 1 / self._stream.codec_context.rate
            self._container.mux(self._stream.encode(item))
        except (av.FFmpegError, OSError) as error:
            raise self._failed(error) from error
        self.frames += 1

    def close(self) -> None:
        if self._container is not None:
            try:
                self._container.close()
            except (av.FFmpegError, OSError) as error:
                raise self._failed(error) from error
        self.abort()

    def abort(self) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self, frame: av.VideoFrame) -> None:
        self._file = OutputFile(os.dup(1))
        format = _Y4M if self._raw is None else "rawvideo"
        # Beyond 8 bits, YUV4MPEG2 is an extension, which every program of today knows.
        container = av.open(self._file, "w", format=format, options={"strict": "-1"})
        self._stream = container.add_stream("rawvideo", rate=self._reader.rate or USUAL_RATE)
        describe_picture(self._stream.codec_context, frame)
        set_field_order(self._stream.codec_context, self._reader.field_order)
        self._container = container

    def _failed(self, error: Exception) -> ZeroDCEError:
        cause = (self._file.failure if self._file is not None else None) or error
        if isinstance(cause, BrokenPipeError):
            return ZeroDCEError("standard output: the program that reads it has ended")
        reason = getattr(cause, "strerror", None) or str(cause)
        return ZeroDCEError(f"standard output: cannot be written ({reason})")
