"""PyAV's video frames as frames of planes, in the same memory where their formats agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import av
import numpy as np

from zerodce_rt.frame import FORMATS, Colour, Frame, PixelFormat, plane_shapes
from zerodce_rt.media.filters import FrameFilter
from zerodce_rt.media.hdr import peak_nits, transfer_of
from zerodce_rt.media.side_data import side_data

# ITU-T H.273 code points, as FFmpeg numbers them.
_MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
# The same for swscale, which has one code for BT.601.
_SWSCALE_MATRICES = {"bt709": 1, "bt601": 5, "smpte240m": 7, "bt2020": 9}
_FULL_RANGE = 2
_LIMITED_RANGE = 1
# Deprecated formats whose name means "full range", and the same without.
_J_FORMATS = {"yuvj420p": "yuv420p", "yuvj422p": "yuv422p", "yuvj444p": "yuv444p"}
# Untagged video of at least this height is taken for BT.709, as players do.
_HD_LINES = 720


def colour_of(frame: av.VideoFrame) -> Colour:
    """What the frame's tags say; without, BT.709 from 720 lines on, else BT.601."""
    guess = "bt709" if frame.height >= _HD_LINES else "bt601"
    full_range = frame.color_range == _FULL_RANGE or frame.format.name in _J_FORMATS
    colour = Colour(_MATRICES.get(int(frame.colorspace), guess), full_range)
    transfer = transfer_of(int(frame.color_trc))
    if transfer == "gamma":
        return colour
    peak = peak_nits(frame) if transfer == "pq" else colour.peak_nits
    return replace(colour, transfer=transfer, peak_nits=peak)


def _plain_name(format: av.VideoFormat) -> str:
    return _J_FORMATS.get(format.name, format.name)


def nearest_format(format: av.VideoFormat, allowed: Iterable[str] = FORMATS) -> PixelFormat:
    """The supported format that keeps most of ``format``: bits first, then chroma, then size.

    Args:
        allowed: names to choose from, such as those an encoder takes; those that are not in
            ``FORMATS`` are ignored.
    """
    plain = _plain_name(format)
    names = [n for n in allowed if n in FORMATS]
    if plain in names:
        return FORMATS[plain]
    # The colours of a palette are RGB, whatever its index says.
    rgb = bool(format.is_rgb) or format.name == "pal8"
    bits = max(c.bits for c in format.components)
    colours = sum(not c.is_alpha for c in format.components)
    width, height = (
        (1, 1) if rgb else (64 // format.chroma_width(64), 64 // format.chroma_height(64))
    )
    if colours == 1 and not rgb:
        width = height = 64  # grey: no chroma to lose

    def loss(name: str) -> tuple[bool, bool, bool, int, float]:
        candidate = FORMATS[name]
        cell_x, cell_y = 1 << candidate.chroma_shift[0], 1 << candidate.chroma_shift[1]
        return (
            candidate.bits < bits,
            cell_x > width or cell_y > height,
            (candidate.layout == "packed") != rgb,
            candidate.bits,
            1 / (cell_x * cell_y),
        )

    return FORMATS[min(names, key=loss)]


def convert(
    frame: av.VideoFrame, format: PixelFormat, *, size: tuple[int, int] | None = None
) -> av.VideoFrame:
    """The frame in another format, with its matrix and range if both are YUV.

    Args:
        size: width and height to scale to; default: its own. A stream may change its size in
            the middle, and a file cannot.

    Returns:
        ``frame`` itself if nothing has to be changed.
    """
    if size is not None and size != (frame.width, frame.height):
        scaled = frame.reformat(*size)
        copy_timing(frame, scaled)
        frame = scaled
    if _plain_name(frame.format) == format.name:
        return frame
    grey = len([c for c in frame.format.components if not c.is_alpha]) == 1
    if frame.format.name in _J_FORMATS:
        frame.color_range = _FULL_RANGE
    tags = frame.color_range, frame.colorspace
    if grey and frame.format.name != "pal8":
        # swscale takes grey for full range whatever its tag says, and would change its levels.
        frame.color_range = _FULL_RANGE
        converted = frame.reformat(format=format.name, dst_color_range=_FULL_RANGE)
        frame.color_range = converted.color_range = tags[0]
    elif (frame.format.is_rgb or frame.format.name == "pal8") and format.layout != "packed":
        colour = colour_of(frame)
        converted = frame.reformat(
            format=format.name,
            dst_colorspace=_SWSCALE_MATRICES[colour.matrix],
            dst_color_range=_LIMITED_RANGE,
        )
    elif format.layout == "packed":
        colour = colour_of(frame)
        converted = frame.reformat(
            format=format.name,
            src_colorspace=_SWSCALE_MATRICES[colour.matrix],
            src_color_range=_FULL_RANGE if colour.full_range else _LIMITED_RANGE,
        )
    else:
        converted = frame.reformat(format=format.name)
        converted.color_range, converted.colorspace = tags
    copy_timing(frame, converted)
    return converted


def wrap(frame: av.VideoFrame) -> Frame:
    """The frame's planes, in its own memory.

    Raises:
        ValueError: if its format is not one of ``FORMATS`` (see ``convert``).
    """
    name = _plain_name(frame.format)
    if name not in FORMATS:
        raise ValueError(f"pixel format {name} is not supported; valid: {', '.join(FORMATS)}")
    format = FORMATS[name]
    planes = []
    shapes = plane_shapes(format, frame.width, frame.height)
    plane: Any
    for plane, (rows, _) in zip(frame.planes, shapes, strict=True):
        samples = np.frombuffer(plane, format.dtype)
        planes.append(
            samples[: rows * (plane.line_size // format.dtype.itemsize)].reshape(rows, -1)
        )
    interlaced = bool(frame.interlaced_frame)
    return Frame(format, tuple(planes), frame.width, frame.height, colour_of(frame), interlaced)


def samples_of(frame: av.VideoFrame) -> av.VideoFormat:
    """Pixel format of a frame, also of one on the GPU, whose own format is just ``cuda``."""
    return getattr(frame, "sw_format", None) or frame.format  # PyAV 17 has no sw_format


def downloaded(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame in the host's memory; itself if it is there already."""
    samples = samples_of(frame)
    if samples.name == frame.format.name:
        return frame
    plain = frame.reformat(format=samples.name)
    copy_timing(frame, plain)
    return plain


def blank_like(
    frame: av.VideoFrame, *, width: int | None = None, format: str | None = None
) -> av.VideoFrame:
    """A new frame with the format, size, tags and time of another; its pixels are not set.

    Args:
        width: default: that of the other.
        format: name of the pixel format; default: that of the other, but never a deprecated one
            such as yuvj420p, which encoders refuse.
    """
    name = format or _plain_name(frame.format)
    blank = av.VideoFrame(width or frame.width, frame.height, name)
    copy_tags(frame, blank)
    copy_timing(frame, blank)
    return blank


def copy_tags(frame: av.VideoFrame, to: av.VideoFrame) -> None:
    """Give ``to`` the colour tags of ``frame``."""
    to.color_range = _FULL_RANGE if frame.format.name in _J_FORMATS else frame.color_range
    to.colorspace = frame.colorspace
    to.color_primaries = frame.color_primaries
    to.color_trc = frame.color_trc


class CaptionSearch:
    """Tells which frames of a video have closed captions (CEA-608, CEA-708) inside.

    Of frames on the GPU, the first decides for all (see ``side_data``).
    """

    def __init__(self) -> None:
        self._of_first: bool | None = None

    def __call__(self, frame: av.VideoFrame) -> bool:
        on_gpu = frame.format.name == "cuda"
        if on_gpu and self._of_first is not None:
            return self._of_first
        self._of_first = any(name == "A53_CC" for name, _ in side_data(frame))
        return self._of_first


class Twins:
    """Makes frames as ``blank_like`` does, but with all side data, such as captions.

    PyAV cannot add side data to a frame; what goes through a filter keeps it.
    """

    def __init__(self) -> None:
        self._filters: dict[str, FrameFilter] = {}

    def __call__(self, frame: av.VideoFrame, format: str) -> av.VideoFrame:
        if format not in self._filters:
            self._filters[format] = FrameFilter(("format", format))
        (twin,) = self._filters[format](frame)
        twin.make_writable()  # its memory is that of the frame
        copy_tags(frame, twin)
        return twin


def copy_timing(frame: av.VideoFrame, to: av.VideoFrame) -> None:
    """Give ``to`` the pts, time base and duration of ``frame``."""
    to.pts = frame.pts
    if frame.time_base is not None:
        to.time_base = frame.time_base
    to.duration = frame.duration


def display_matrix(frame: av.VideoFrame) -> list[int] | None:
    """How players should turn the picture, as FFmpeg's nine numbers; None if the frame has none."""
    for name, data in side_data(frame):
        if name == "DISPLAYMATRIX":
            return np.frombuffer(data, np.int32).tolist()
    return None
