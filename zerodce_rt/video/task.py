"""What is to become of a video, as plain data that may travel to another process."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from zerodce_rt.errors import check_numbers
from zerodce_rt.media import compare as comparing
from zerodce_rt.media.encoders import EncoderSettings
from zerodce_rt.media.fields import is_interlaced
from zerodce_rt.media.hwaccel import nvdec
from zerodce_rt.media.paths import (
    PICTURE_SUFFIXES,
    PIPE,
    VIDEO_SUFFIXES,
    check_output,
    is_sequence,
)
from zerodce_rt.media.pipes import RawVideo
from zerodce_rt.media.reader import Span, VideoReader
from zerodce_rt.media.sequences import check_apart
from zerodce_rt.media.video_encoder import VideoEncoder

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class VideoTask:
    """One video to enhance; see ``enhance_video`` for what each value means.

    Attributes:
        source, output: as ``enhance_video`` has them.
        hwaccel: decode on the GPU; ``encoder.gpu`` is for encoding.

    Raises:
        ValueError: a setting outside its range.
    """

    source: Path
    output: Path
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    span: Span = field(default_factory=Span)
    compare: str | None = None
    sdr: bool = False
    deinterlace: bool = False
    hwaccel: bool = False
    raw: RawVideo | None = None
    fps: float | Fraction | None = None
    max_pixels: float | None = None

    def __post_init__(self) -> None:
        if self.compare is not None:
            comparing.check_mode(self.compare)
        check_numbers(max_pixels=self.max_pixels, fps=self.fps)
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise ValueError(f"`fps` must be above 0, not {self.fps}")

    @property
    def is_file(self) -> bool:
        """Whether the source is one file."""
        return self.source != PIPE and not is_sequence(self.source)

    @property
    def is_to_file(self) -> bool:
        """Whether the output is one file, which segments can be joined to."""
        return self.output != PIPE and not is_sequence(self.output)

    def check(self, *, overwrite: bool) -> None:
        """Refuse an output that must not be written.

        Raises:
            ZeroDCEError: for such a one.
        """
        if self.output == PIPE:
            return
        if is_sequence(self.source) and is_sequence(self.output):
            check_apart(self.source, self.output)
        suffixes = PICTURE_SUFFIXES if is_sequence(self.output) else VIDEO_SUFFIXES
        source = self.source if self.is_file else None
        check_output(source, self.output, suffixes, overwrite=overwrite)

    def reader(self, span: Span | None = None, device: torch.device | None = None) -> VideoReader:
        """Open the source.

        Args:
            span: to read; default: that of the task.
            device: the GPU on which frames are enhanced.
        """
        decoding = None
        if self.hwaccel and self.is_file:
            decoding = nvdec(self.source, shared=device is not None, max_pixels=self.max_pixels)
        return VideoReader(
            self.source, span or self.span, decoding, max_pixels=self.max_pixels, raw=self.raw,
            fps=self.fps,
        )  # fmt: skip

    def video_encoder(self, reader: VideoReader, device: torch.device | None) -> VideoEncoder:
        """What encodes the frames.

        Args:
            reader: of the source.
            device: the GPU on which frames are enhanced.
        """
        width = reader.stream.codec_context.width
        if self.compare is not None:
            width = comparing.width_of(self.compare, width)
        return VideoEncoder(
            self.output, reader, self.encoder, width=width, hdr=reader.is_hdr and not self.sdr,
            interlaced=is_interlaced(reader.field_order) and not self.deinterlace, device=device,
        )  # fmt: skip
