"""Enhancing files: a video with everything else that is in it, or a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from zerodce_rt.backends import for_pictures
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import check_numbers
from zerodce_rt.frame import from_array
from zerodce_rt.media import compare as comparing
from zerodce_rt.media.encoders import EncoderSettings
from zerodce_rt.media.paths import (
    PICTURE_SUFFIXES,
    VIDEO_SUFFIXES,
    check_output,
)
from zerodce_rt.media.picture_writer import check_quality, write_picture
from zerodce_rt.media.pictures import Picture, read_picture
from zerodce_rt.media.pipes import RawVideo
from zerodce_rt.media.reader import Span
from zerodce_rt.storage.ends import local_ends
from zerodce_rt.storage.remote import place
from zerodce_rt.video.one_piece import Progress, enhance_in_one_piece
from zerodce_rt.video.plan import make_plan
from zerodce_rt.video.segmented import enhance_in_segments
from zerodce_rt.video.task import VideoTask
from zerodce_rt.video.workspace import has_segments


@dataclass(frozen=True)
class VideoResult:
    """What became of a video.

    Attributes:
        output: the new file; its URL, if it is in a storage.
        frames: how many there are in it.
    """

    output: Path | str
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
            numbered pictures, such as ``"frame_%04d.png"``; or the URL of a file in a storage
            that fsspec knows, such as ``"s3://bucket/night.mp4"``, which is copied for the time.
        output: a file name; its ending chooses the container (.mp4, .mkv, .mov, .webm, ...).
            ``"-"`` is standard output, as YUV4MPEG2 and without sound. ``"frame_%04d.png"``
            makes numbered pictures. A URL is that of a storage, to which it is uploaded.
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
    task = VideoTask(
        source=Path(source), output=Path(output), span=_span(span, start, end),
        encoder=_encoder_settings(encoder, codec, crf, preset, audio, hwaccel=hwaccel),
        compare=compare, sdr=sdr, deinterlace=deinterlace, hwaccel=hwaccel, raw=raw, fps=fps,
        max_pixels=max_pixels,
    )  # fmt: skip
    target = place(output)
    with local_ends(
        place(source), target, VIDEO_SUFFIXES, overwrite=overwrite, begun=has_segments
    ) as ends:
        task = replace(task, source=ends.source, output=ends.output)
        overwrite = overwrite or ends.output_is_away
        task.check(overwrite=overwrite)
        enhancer = _enhancer(enhancer, strength, Enhancer.for_video)
        plan = make_plan(task, enhancer.settings) if task.is_to_file else None
        if plan is None:
            frames = enhance_in_one_piece(task, enhancer, overwrite=overwrite, progress=progress)
        else:
            frames = enhance_in_segments(task, plan, enhancer, progress=progress)
    return VideoResult(target if isinstance(target, Path) else str(output), frames)


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
            a camera's raw file (with ``pip install 'zerodce-rt[raw]'``); or the URL of one in a
            storage.
        output: a file name, or the URL of one in a storage; its ending chooses the format: .jpg,
            .jpeg, .png, .tif, .tiff, .webp or .avif.
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
    if compare is not None:
        comparing.check_mode(compare)
    check_numbers(max_pixels=max_pixels)
    check_quality(quality)
    with local_ends(place(source), place(output), PICTURE_SUFFIXES, overwrite=overwrite) as ends:
        overwrite = overwrite or ends.output_is_away
        check_output(ends.source, ends.output, PICTURE_SUFFIXES, overwrite=overwrite)
        picture = read_picture(ends.source, max_pixels)
        enhancer = _enhancer(enhancer, strength, _for_pictures)
        write_picture(ends.output, _enhanced(picture, enhancer, compare), quality)


def _enhanced(picture: Picture, enhancer: Enhancer, compare: str | None) -> Picture:
    before = from_array(picture.rgb)
    after = before.empty_like()
    # A picture has no time, whatever the enhancer follows.
    enhancer.enhance(before, after)
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
    return replace(picture, rgb=both, alpha=alpha)


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
