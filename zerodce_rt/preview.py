"""A contact sheet: a few places of a video, or a picture, as several settings would make them.

Its columns are labelled with the options of ``zerodce-rt enhance``, so that a person can choose
before a long run.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import UsageError, ZeroDCEError
from zerodce_rt.frame import FORMATS, from_array
from zerodce_rt.media.frames import blank_like, convert, nearest_format, wrap
from zerodce_rt.media.hdr import ToneMapper, check_base_layer, peak_nits
from zerodce_rt.media.paths import PICTURE_SUFFIXES, check_output, is_picture
from zerodce_rt.media.picture_writer import write_picture
from zerodce_rt.media.pictures import Picture, read_picture
from zerodce_rt.media.reader import Span, VideoReader
from zerodce_rt.names import DEFAULT_DENOISE

PLACES = 4
"""Places of a video that are shown if none is given."""

_STRENGTHS = (0.5, 1.0)
# The denoiser and the curve follow a video: so many frames come before the one that is shown.
_FRAMES_BEFORE = 10
_CELL_WIDTH, _HIGHEST_CELL = 480, 480
_PART_HEIGHT = _CELL_WIDTH * 9 // 16
# Nothing is gained by a part pixel by pixel where the whole is hardly reduced.
_SMALL = 0.8
_GAP, _BAR, _TEXT = 6, 30, 17
_BACKGROUND, _INK = 32, (235, 235, 235)
_FONT_WEIGHT = 420

_Image = NDArray[np.uint8]


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
    images: Sequence[_Image]
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
            If its ``denoise`` is above 0, it is the one that is shown. On a GPU there is none.
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
            rows = [_picture_row(source, made, looks, max_pixels)]
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


def _set(enhancer: Enhancer, look: _Look) -> None:
    enhancer.strength, enhancer.denoise = look.strength, look.denoise or 0.0
    enhancer.reset()


def _picture_row(
    source: Path, enhancer: Enhancer, looks: Sequence[_Look], max_pixels: float | None
) -> _Row:
    picture = read_picture(source, max_pixels)
    before = from_array(picture.rgb)
    images = []
    for look in looks:
        after = before
        if look.strength > 0:
            _set(enhancer, look)
            after = before.empty_like()
            enhancer.enhance(before, after)
        image = after.planes[0].reshape(picture.rgb.shape)
        if image.dtype == np.uint16:
            image = (image >> 8).astype(np.uint8)
        images.append(_turned(image, picture.header))
    return _Row("", images)


def _turned(image: _Image, header: Any) -> _Image:
    """A picture upright, by the orientation in its EXIF tags."""
    if header is None or not header.get_typeof("orientation"):
        return image
    number = int(header.get("orientation"))
    if number in (2, 4, 5, 7):  # mirrored before it is turned
        image = image[:, ::-1]
    turns = {3: 2, 4: 2, 5: 1, 6: -1, 7: -1, 8: 1}.get(number, 0)
    return np.ascontiguousarray(np.rot90(image, turns))


def _video_rows(
    source: Path, enhancer: Enhancer, looks: Sequence[_Look], at: float | None, span: Span,
    sdr: bool, max_pixels: float | None,
) -> Iterator[_Row]:  # fmt: skip
    if at is not None:
        span = Span()
    with VideoReader(source, span, max_pixels=max_pixels) as reader:
        length, rate = reader.duration_seconds, float(reader.rate or 25)
        aspect = float(reader.stream.sample_aspect_ratio or 1)
    last = math.inf if length is None else span.start + length
    if at is not None and at >= last:
        raise ZeroDCEError(f"{source}: `preview={at:g}` is after its end, at {last:.1f} s")
    if at is not None:
        places = [at]
    elif length is None:
        places = [span.start]
    else:
        places = [span.start + length * (n + 0.5) / PLACES for n in range(PLACES)]
    to_sdr = ToneMapper()
    for place in places:
        frames = _frames_until(source, place, rate, max_pixels)
        check_base_layer(frames[0], str(source))
        if sdr:
            frames = [to_sdr(frame) for frame in frames]
        images = []
        for look in looks:
            image = frames[-1] if look.strength == 0 else _enhanced(frames, enhancer, look)
            shown = convert(to_sdr(image), FORMATS["rgb24"])
            samples = np.asarray(shown.to_ndarray(), np.uint8)
            images.append(np.rot90(samples, round(frames[-1].rotation / 90)))
        sideways = frames[-1].rotation % 180 == 90
        title = f"at {_clock(place)}: "
        yield _Row(title, images, 1 / aspect if sideways else aspect)


def _frames_until(
    source: Path, seconds: float, rate: float, max_pixels: float | None
) -> list[av.VideoFrame]:
    """The frame that is shown at a time, after some that come before it."""
    span = Span(start=max(0.0, seconds - _FRAMES_BEFORE / rate))
    frames: deque[av.VideoFrame] = deque(maxlen=_FRAMES_BEFORE + 1)
    with VideoReader(source, span, max_pixels=max_pixels) as reader:
        end = seconds + reader.start_seconds
        for item in reader:
            if isinstance(item, av.Packet):
                continue
            # The next frame is too late, if there is one that is not.
            if frames and item.time is not None and item.time > end:
                break
            frames.append(item)
    return list(frames)


def _enhanced(frames: Sequence[av.VideoFrame], enhancer: Enhancer, look: _Look) -> av.VideoFrame:
    """The last frame, as it is in a video with these settings."""
    _set(enhancer, look)
    peak = peak_nits(frames[0])
    size = frames[-1].width, frames[-1].height
    for frame in frames:
        frame = convert(frame, nearest_format(frame.format), size=size)
        before, target = wrap(frame), blank_like(frame)
        if before.colour.transfer == "pq":
            before = replace(before, colour=replace(before.colour, peak_nits=peak))
        enhancer.enhance(before, wrap(target), seconds=frame.time)
    return target


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{rest:.1f} s" if minutes == 0 else f"{minutes:.0f}:{rest:04.1f}"


def _sheet(rows: Sequence[_Row], labels: Sequence[str]) -> _Image:
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


def _middle(image: _Image) -> _Image:
    height, width = image.shape[:2]
    top, left = (height - _PART_HEIGHT) // 2, (width - _CELL_WIDTH) // 2
    return image[top : top + _PART_HEIGHT, left : left + _CELL_WIDTH]


def _resized(image: _Image, size: tuple[int, int]) -> _Image:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _strip(titles: Sequence[str], images: Sequence[_Image]) -> _Image:
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
