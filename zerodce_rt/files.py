"""Enhancing files: a video with everything else that is in it, or a picture."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

from zerodce_rt.atomic import finished_file
from zerodce_rt.backends import for_pictures
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import check_numbers
from zerodce_rt.frame import Frame, from_array, same_samples
from zerodce_rt.media import compare as comparing
from zerodce_rt.media.encoders import KEEP_CAPTIONS, EncoderSettings
from zerodce_rt.media.fields import deinterlaced, is_interlaced
from zerodce_rt.media.frames import (
    CaptionSearch,
    Twins,
    blank_like,
    convert,
    display_matrix,
    downloaded,
    nearest_format,
    samples_of,
    wrap,
    wrap_on_gpu,
)
from zerodce_rt.media.hdr import (
    ToneMapper,
    check_base_layer,
    dynamic_metadata,
    light_levels,
    peak_nits,
    transfer_of,
)
from zerodce_rt.media.hwaccel import nvdec
from zerodce_rt.media.paths import (
    PICTURE_SUFFIXES,
    PIPE,
    VIDEO_SUFFIXES,
    check_output,
    is_sequence,
)
from zerodce_rt.media.picture_writer import check_quality, write_picture
from zerodce_rt.media.pictures import read_picture
from zerodce_rt.media.pipes import PipeWriter, RawVideo
from zerodce_rt.media.reader import Span, VideoReader
from zerodce_rt.media.sequences import SequenceWriter, check_apart
from zerodce_rt.media.writer import VideoWriter
from zerodce_rt.pipeline import run_in_order

log = logging.getLogger(__name__)

Writer = VideoWriter | PipeWriter | SequenceWriter

PendingFrame = Callable[[], av.VideoFrame]
"""Waits for an enhanced frame."""

Progress = Callable[[int, "int | None"], None]
"""Called with the frames done and the frames expected, if the file says how many."""


@dataclass(frozen=True)
class VideoResult:
    """What became of a video.

    Attributes:
        output: the new file.
        frames: how many there are in it.
    """

    output: Path
    frames: int


def enhance_video(
    source: Path | str,
    output: Path | str,
    *,
    enhancer: Enhancer | None = None,
    strength: float | None = None,
    start: float | None = None,
    end: float | None = None,
    codec: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    encoder: EncoderSettings | None = None,
    span: Span | None = None,
    compare: str | None = None,
    sdr: bool = False,
    deinterlace: bool = False,
    audio: str | None = None,
    hwaccel: bool = False,
    raw: RawVideo | None = None,
    fps: float | Fraction | None = None,
    overwrite: bool = False,
    max_pixels: float | None = None,
    progress: Progress | None = None,
) -> VideoResult:
    """Enhance a video file; all its other streams, tags and times are kept.

    >>> enhance_video("night.mp4", "bright.mp4", end=10.0, crf=16)  # doctest: +SKIP
    VideoResult(output=PosixPath('bright.mp4'), frames=300)

    Args:
        source: a file that FFmpeg reads; ``"-"``, which is standard input, as YUV4MPEG2; or
            numbered pictures, such as ``"frame_%04d.png"``.
        output: a file name; its ending chooses the container (.mp4, .mkv, .mov, .webm, ...).
            ``"-"`` is standard output, as YUV4MPEG2 and without sound. ``"frame_%04d.png"``
            makes numbered pictures.
        enhancer: default: ``Enhancer.for_video()``. It starts a new scene.
        strength: 0 (unchanged) to 1 (default) of the default enhancer.
        start, end: the part to keep, in seconds from the beginning; default: all of it.
        codec: ``"h264"`` (default), ``"h265"`` (default from 10 bits), ``"av1"``, ``"vp9"``
            (default in .webm), or the name of an FFmpeg encoder.
        crf: constant quality, 0 (best) to 63, in the encoder's own scale; default: 18 for H.264.
        preset: the encoder's speed preset; default: ``"veryfast"`` for H.264 and HEVC.
        encoder, span: the same as settings, instead of ``codec``, ``crf``, ``preset`` and
            ``audio``, and of ``start`` and ``end``.
        compare: ``"split"`` or ``"side"`` puts before and after in one picture.
        sdr: turn HDR video (HLG, PQ) into SDR, for players and sites without HDR; otherwise it
            stays what it is.
        deinterlace: make whole frames of interlaced video; otherwise it stays interlaced.
        audio: ``"copy"``, ``"opus"``, ``"aac"`` or ``"none"``; default: copied, and encoded again
            only if the container cannot hold it.
        hwaccel: decode with NVDEC and encode with NVENC where the GPU can; what it cannot is
            reported in the log, and done on the CPU.
        raw: standard input and output are bare frames of this kind.
        fps: of numbered pictures; default: 25.
        overwrite: replace an existing output.
        max_pixels: larger frames are refused, which would take all memory; default: 70 million.
        progress: called from a worker thread after each frame, with the frames done and the
            frames expected (None if the file does not say).

    Returns:
        The output's path and number of frames.

    Raises:
        ZeroDCEError: a problem with the files that the user can fix; no output is left, but of
            numbered pictures those that are complete.
        ValueError: a setting outside its range, or given twice.
    """
    source, output = Path(source), Path(output)
    if compare is not None:
        comparing.check_mode(compare)
    encoder = _encoder_settings(encoder, codec, crf, preset, audio, hwaccel=hwaccel)
    span = _span(span, start, end)
    check_numbers(max_pixels=max_pixels)
    if output != PIPE:
        named = None if source == PIPE or is_sequence(source) else source
        if is_sequence(source) and is_sequence(output):
            check_apart(source, output)
        suffixes = PICTURE_SUFFIXES if is_sequence(output) else VIDEO_SUFFIXES
        check_output(named, output, suffixes, overwrite=overwrite)
    enhancer = _enhancer(enhancer, strength, Enhancer.for_video)
    decoding = None
    check_numbers(fps=fps)
    if fps is not None and not 0 < fps < math.inf:
        raise ValueError(f"`fps` must be above 0, not {fps}")
    if hwaccel and source != PIPE and not is_sequence(source):
        decoding = nvdec(source, shared=enhancer.on_gpu, max_pixels=max_pixels)
    with VideoReader(source, span, decoding, max_pixels=max_pixels, raw=raw, fps=fps) as reader:
        width = reader.stream.codec_context.width
        if compare is not None:
            width = comparing.width_of(compare, width)
        open_writer = partial(
            VideoWriter, output=output, reader=reader, settings=encoder, width=width,
            hdr=reader.is_hdr and not sdr,
            interlaced=is_interlaced(reader.field_order) and not deinterlace,
        )  # fmt: skip
        in_parts = output == PIPE or is_sequence(output)
        with nullcontext() if in_parts else finished_file(output) as unfinished:
            writer: Writer
            if unfinished is not None:
                writer = open_writer(unfinished)
            elif output == PIPE:
                writer = PipeWriter(reader, raw)
            else:
                writer = SequenceWriter(output, overwrite=overwrite)
            stage = _FrameStage(enhancer, writer, source, compare, sdr=sdr)
            expected = reader.frame_count

            def write(item: PendingFrame | av.Packet) -> None:
                if isinstance(item, av.Packet):
                    writer.write(item)
                    return
                writer.write(item())
                if progress is not None:
                    progress(writer.frames, expected)

            try:
                run_in_order(deinterlaced(reader) if deinterlace else reader, stage, write)
                writer.close()
            except BaseException:
                writer.abort()
                raise
    return VideoResult(output, writer.frames)


def enhance_picture(
    source: Path | str,
    output: Path | str,
    *,
    enhancer: Enhancer | None = None,
    strength: float | None = None,
    compare: str | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    max_pixels: float | None = None,
) -> None:
    """Enhance a picture of any kind; depth, alpha, EXIF and ICC profile are kept.

    >>> enhance_picture("photo.jpg", "bright.png")  # doctest: +SKIP

    Args:
        source: a JPEG, PNG, WebP, TIFF, AVIF, HEIC, BMP, GIF (its first frame) or JPEG 2000, or
            a camera's raw file (with ``pip install 'zerodce-rt[raw]'``).
        output: a file name; its ending chooses the format: .jpg, .jpeg, .png, .tif, .tiff, .webp
            or .avif.
        enhancer: default: an ``Enhancer`` on the CPU, which starts sooner than a GPU.
        strength: 0 (unchanged) to 1 (default) of the default enhancer.
        compare: ``"split"`` or ``"side"`` puts before and after in one picture.
        quality: of JPEG, WebP and AVIF, 1 (smallest file) to 100 (best); default: 95, of AVIF 90.
        overwrite: replace an existing output.
        max_pixels: a larger picture is refused, which would take all memory; default: 300 million.

    Raises:
        ZeroDCEError: a problem with the files that the user can fix; no output is left.
        ValueError: a setting outside its range, or ``strength`` together with ``enhancer``.
    """
    source, output = Path(source), Path(output)
    if compare is not None:
        comparing.check_mode(compare)
    check_numbers(max_pixels=max_pixels)
    check_quality(quality)
    check_output(source, output, PICTURE_SUFFIXES, overwrite=overwrite)
    picture = read_picture(source, max_pixels)
    before = from_array(picture.rgb)
    after = before.empty_like()
    # A picture has no time, whatever the enhancer follows.
    _enhancer(enhancer, strength, _for_pictures).enhance(before, after)
    alpha = picture.alpha
    if compare is not None:
        both = np.empty(
            (before.height, comparing.width_of(compare, before.width), 3), picture.rgb.dtype
        )
        comparing.compose(before, after, compare, from_array(both))
        if alpha is not None and compare == "side":
            half = both.shape[1] // 2
            alpha = np.concatenate([alpha[:, :half], alpha[:, :half]], axis=1)
    else:
        both = after.planes[0].reshape(picture.rgb.shape)
    write_picture(output, replace(picture, rgb=both, alpha=alpha), quality)


def _for_pictures(strength: float) -> Enhancer:
    return Enhancer(strength=strength, backend=for_pictures("auto", small=True))


def _enhancer(
    given: Enhancer | None, strength: float | None, make: Callable[..., Enhancer]
) -> Enhancer:
    """The enhancer that was given, or a default one of a strength."""
    if given is not None and strength is not None:
        raise ValueError("give `strength` or `enhancer`, not both")
    if given is not None:
        return given
    return make(strength=1.0 if strength is None else strength)


def _encoder_settings(
    given: EncoderSettings | None, codec: str | None, crf: float | None, preset: str | None,
    audio: str | None, *, hwaccel: bool,
) -> EncoderSettings:  # fmt: skip
    if given is None:
        given = EncoderSettings(codec=codec, crf=crf, preset=preset, audio=audio)
    elif not isinstance(given, EncoderSettings):
        raise TypeError(f"`encoder` must be EncoderSettings, not {given!r}; a name is `codec`")
    elif (codec, crf, preset, audio) != (None, None, None, None):
        raise ValueError("give `codec`, `crf`, `preset` and `audio`, or `encoder`, not both")
    return replace(given, gpu=True) if hwaccel else given


def _span(given: Span | None, start: float | None, end: float | None) -> Span:
    if given is not None and (start, end) != (None, None):
        raise ValueError("give `start` and `end`, or `span`, not both")
    if given is not None and not isinstance(given, Span):
        raise TypeError(f"`span` must be a Span, not {given!r}")
    if given is not None:
        return given
    bounds = {"start": start, "end": end}
    return Span(**{name: value for name, value in bounds.items() if value is not None})


class _FrameStage:
    """The middle of the pipeline: frames begin to be enhanced, packets pass.

    Frames are waited for in the next stage, so that a GPU may have several in flight.
    """

    def __init__(
        self, enhancer: Enhancer, writer: Writer, source: Path, compare: str | None,
        *, sdr: bool,
    ) -> None:  # fmt: skip
        self._enhancer, self._writer, self._source = enhancer, writer, source
        self._compare = compare
        self._to_sdr = ToneMapper() if sdr else None
        self._size: tuple[int, int] | None = None
        self._peak_nits = 0.0
        self._twins, self._has_captions = Twins(), CaptionSearch()
        self._captions_said = False
        enhancer.reset()

    def __call__(self, item: av.VideoFrame | av.Packet) -> PendingFrame | av.Packet:
        if isinstance(item, av.Packet):
            return item
        if self._size is None:
            self._begin(item)
        original = item
        wanted = self._writer.format_for(samples_of(item))
        mapped = self._to_sdr is not None and transfer_of(int(item.color_trc)) != "gamma"
        if self._to_sdr is not None and mapped:
            item = self._to_sdr(downloaded(item))
        # What was HDR keeps its bits until it is enhanced.
        format = nearest_format(item.format) if mapped else wanted
        before = wrap_on_gpu(item) if self._can_stay(item) else None
        if before is None or not same_samples(before.format, format):
            item = convert(downloaded(item), format, size=self._size)
            before = wrap(item)
        if before.colour.transfer == "pq":
            # Not every frame says it again.
            before = replace(before, colour=replace(before.colour, peak_nits=self._peak_nits))
        if (original.width, original.height) == self._size and self._has_captions(original):
            self._warn_of_captions()
            enhanced = self._twins(downloaded(original), format.name)
        else:
            enhanced = blank_like(item, format=format.name)
        finish = self._enhancer.begin(before, wrap(enhanced), seconds=item.time)

        # Without ``before``, whose memory a decoder on the GPU wants back soon.
        def finished() -> av.VideoFrame:
            finish()
            return enhanced

        result = finished if self._compare is None else partial(self._both, before, finished)
        return (lambda: convert(result(), wanted)) if mapped else result

    def _begin(self, first: av.VideoFrame) -> None:
        """Note what the first frame says of all, and say what cannot be kept."""
        check_base_layer(first, str(self._source))
        self._size = first.width, first.height
        self._writer.display_matrix = display_matrix(first)
        self._peak_nits = peak_nits(first)
        if self._to_sdr is None:
            self._writer.light = light_levels(first)
            if (kind := dynamic_metadata(first)) is not None:
                log.warning(
                    "%s: its %s metadata describes each picture as it was, and is left out",
                    self._source, kind,
                )  # fmt: skip

    def _warn_of_captions(self) -> None:
        encoder = self._writer.encoder
        if not self._captions_said and (self._compare or encoder not in KEEP_CAPTIONS):
            why = "a comparison" if self._compare else encoder
            log.warning(
                "%s: %s does not keep the closed captions inside the video", self._source, why
            )
        self._captions_said = True

    def _both(self, before: Frame, finished: PendingFrame) -> av.VideoFrame:
        """A comparison of a frame with itself enhanced."""
        assert self._compare is not None
        enhanced = finished()
        both = blank_like(enhanced, width=comparing.width_of(self._compare, enhanced.width))
        comparing.compose(before, wrap(enhanced), self._compare, wrap(both))
        return both

    def _can_stay(self, item: av.VideoFrame) -> bool:
        """Whether nothing but the enhancer must see a frame that is on the GPU."""
        same_size = (item.width, item.height) == self._size
        return self._enhancer.on_gpu and self._compare is None and same_size
