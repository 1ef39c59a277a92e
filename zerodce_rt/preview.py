"""A contact sheet: a few places of a video, or a picture, as several settings would make them.

Its columns are labelled with the options of ``zerodce-rt enhance``, so that a person can choose
before a long run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import UsageError, ZeroDCEError
from zerodce_rt.media.paths import PICTURE_SUFFIXES, check_output, is_picture
from zerodce_rt.media.picture_writer import write_picture
from zerodce_rt.media.pictures import Picture
from zerodce_rt.media.reader import Span, VideoReader
from zerodce_rt.names import DEFAULT_DENOISE
from zerodce_rt.stills import Image, Still, read_still

PLACES = 4
"""Places of a video that are shown if none is given."""

_STRENGTHS = (0.5, 1.0)
_CELL_WIDTH, _HIGHEST_CELL = 480, 480
_PART_HEIGHT = _CELL_WIDTH * 9 // 16
# Nothing is gained by a part pixel by pixel where the whole is hardly reduced.
_SMALL = 0.8
_GAP, _BAR, _TEXT = 6, 30, 17
_BACKGROUND, _INK = 32, (235, 235, 235)
_FONT_WEIGHT = 420


@dataclass(frozen=True)
class _Look:
    """Settings of one column."""

    strength: float
    denoise: float | None

    @property
    def label(self) -> str:
        if self.strength == 0:
            return "as it is"
        text = f"--strength {self.strength:g}"
        return text if self.denoise is None else f"{text} --denoise {self.denoise:g}"


@dataclass(frozen=True)
class _Row:
    """One place with every look: upright ``(H, W, 3)`` uint8 RGB.

    Attributes:
        title: which place.
        aspect: width of a pixel in relation to its height.
    """

    title: str
    images: Sequence[Image]
    aspect: float = 1.0


def preview_sheet(
    source: Path | str,
    *,
    enhancer: Enhancer | None = None,
    at: float | None = None,
    span: Span | None = None,
    sdr: bool = False,
    max_pixels: float | None = None,
) -> NDArray[np.uint8]:
    """A video or a picture as it is, at strengths of 0.5 and 1, each with and without denoising.

    Below each small picture there is its middle, pixel by pixel, which shows the noise.

    Args:
        source: a video or a picture.
        enhancer: its ``strength`` and ``denoise`` are changed meanwhile; default: one for video.
            If its ``denoise`` is above 0, it is the one that is shown.
        at: the place of a video, in seconds from its beginning, whatever ``span`` says; default:
            ``PLACES`` of them.
        span: the part of a video in which the places are; default: all of it.
        sdr: HDR video is turned into SDR before it is enhanced, and not only to be shown.
        max_pixels: as for ``files.enhance_video`` and ``files.enhance_picture``.

    Returns:
        The sheet, ``(H, W, 3)`` RGB.

    Raises:
        ZeroDCEError: a file that cannot be read, or ``at`` after its end or of a picture.
    """
    source = Path(source)
    if at is not None and is_picture(source):
        raise UsageError(f"{source}: is a picture, which has no times; leave out the {at:g}")
    made = Enhancer.for_video() if enhancer is None else enhancer
    strength, denoise = made.strength, made.denoise
    looks = _looks(made)
    try:
        if is_picture(source):
            still = read_still(source, max_pixels=max_pixels)
            rows = [_Row("", _images(still, made, looks))]
        else:
            rows = list(_video_rows(source, made, looks, at, span or Span(), sdr, max_pixels))
    finally:
        made.strength, made.denoise = strength, denoise
        made.reset()
        if enhancer is None:
            made.close()
    return _sheet(rows, [look.label for look in looks])


def write_preview(
    source: Path | str, output: Path | str | None = None, *, overwrite: bool = False, **options: Any
) -> Path:
    """Write the contact sheet of a file.

    Args:
        output: a picture's name, or a folder; default: beside ``source``. Without a name, it is
            that of ``source`` with ``_preview.png`` at its end.
        overwrite: replace an existing one.
        options: those of ``preview_sheet``.

    Returns:
        Where it was written.

    Raises:
        ZeroDCEError: as ``preview_sheet``, or an output that cannot be written.
    """
    source = Path(source)
    name = f"{source.stem}_preview.png"
    path = source.with_name(name) if output is None else Path(output)
    if path.is_dir():
        path = path / name
    check_output(source, path, PICTURE_SUFFIXES, overwrite=overwrite)
    write_picture(path, Picture(preview_sheet(source, **options)))
    return path


def _looks(enhancer: Enhancer) -> list[_Look]:
    choices = [0.0, enhancer.denoise or DEFAULT_DENOISE]
    return [_Look(0.0, None), *(_Look(s, d) for s in _STRENGTHS for d in choices)]


def _images(still: Still, enhancer: Enhancer, looks: Sequence[_Look]) -> list[Image]:
    """One place with every look."""
    images = []
    for look in looks:
        if look.strength == 0:
            images.append(still.before())
            continue
        enhancer.strength, enhancer.denoise = look.strength, look.denoise or 0.0
        images.append(still.after(enhancer))
    return images


def _video_rows(
    source: Path, enhancer: Enhancer, looks: Sequence[_Look], at: float | None, span: Span,
    sdr: bool, max_pixels: float | None,
) -> Iterator[_Row]:  # fmt: skip
    if at is not None:
        span = Span()
    with VideoReader(source, span, max_pixels=max_pixels) as reader:
        length = reader.duration_seconds
    last = math.inf if length is None else span.start + length
    if at is not None and at >= last:
        raise ZeroDCEError(f"{source}: `preview={at:g}` is after its end, at {last:.1f} s")
    if at is not None:
        places = [at]
    elif length is None:
        places = [span.start]
    else:
        places = [span.start + length * (n + 0.5) / PLACES for n in range(PLACES)]
    for place in places:
        still = read_still(source, place, sdr=sdr, max_pixels=max_pixels)
        yield _Row(f"at {_clock(place)}: ", _images(still, enhancer, looks), still.aspect)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{rest:.1f} s" if minutes == 0 else f"{minutes:.0f}:{rest:04.1f}"


def _sheet(rows: Sequence[_Row], labels: Sequence[str]) -> Image:
    """The rows below each other, with labels above them."""
    strips = []
    for row in rows:
        height, width = row.images[0].shape[:2]
        scale = min(_CELL_WIDTH / (width * row.aspect), _HIGHEST_CELL / height)
        size = max(1, round(width * row.aspect * scale)), max(1, round(height * scale))
        small = [_resized(image, size) for image in row.images]
        titles = [f"{row.title}{labels[0]}", *labels[1:]]
        strips.append(_strip(titles, small))
        if width > _CELL_WIDTH and height > _PART_HEIGHT and scale < _SMALL:
            titles = ["the middle, pixel by pixel", *[""] * len(labels[1:])]
            strips.append(_strip(titles, [_middle(image) for image in row.images]))
    height = sum(strip.shape[0] for strip in strips) + _GAP
    width = max(strip.shape[1] for strip in strips)
    sheet = np.full((height, width, 3), _BACKGROUND, np.uint8)
    top = 0
    for strip in strips:
        sheet[top : top + strip.shape[0], : strip.shape[1]] = strip
        top += strip.shape[0]
    return sheet


def _middle(image: Image) -> Image:
    height, width = image.shape[:2]
    top, left = (height - _PART_HEIGHT) // 2, (width - _CELL_WIDTH) // 2
    return image[top : top + _PART_HEIGHT, left : left + _CELL_WIDTH]


def _resized(image: Image, size: tuple[int, int]) -> Image:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _strip(titles: Sequence[str], images: Sequence[Image]) -> Image:
    """Images side by side in columns of one width, each below its title."""
    height = images[0].shape[0]
    width = len(images) * (_CELL_WIDTH + _GAP) + _GAP
    strip = np.full((_BAR + height, width, 3), _BACKGROUND, np.uint8)
    font = cv2.FontFace("sans")
    for number, (title, image) in enumerate(zip(titles, images, strict=True)):
        left = _GAP + number * (_CELL_WIDTH + _GAP)
        cv2.putText(strip, title, (left + 2, _BAR - 9), _INK, font, _TEXT, _FONT_WEIGHT)
        inner = left + (_CELL_WIDTH - image.shape[1]) // 2
        strip[_BAR:, inner : inner + image.shape[1]] = image
    return strip
