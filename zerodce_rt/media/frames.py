"""Between PyAV's video frames and our plain planes, without copying where formats agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import av
import numpy as np

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS, Colour, Frame, PixelFormat, plane_shapes

# ITU-T H.273 code points, as FFmpeg numbers them.
_MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
# The same for swscale, which knows one BT.601.
_SWSCALE_MATRICES = {"bt709": 1, "bt601": 5, "smpte240m": 7, "bt2020": 9}
_HDR_TRANSFERS = {16: "PQ (HDR10)", 18: "HLG"}
_FULL_RANGE = 2
_LIMITED_RANGE = 1
# Names that say "full range" in the format itself; the layout is that of the plain name.
_J_FORMATS = {"yuvj420p": "yuv420p", "yuvj422p": "yuv422p", "yuvj444p": "yuv444p"}
# Those of NVDEC whose planes PyAV hands out.
_NVDEC_FORMATS = ("nv12", "p010le")
# From this height on, untagged video is taken for BT.709, as players do.
_HD_LINES = 720


class FrameEnhancer(Protocol):
    """Whoever turns planes into enhanced planes."""

    def enhance(self, source: Frame, target: Frame, *, seconds: float | None = None) -> None: ...


def refuse_hdr(color_trc: int, where: str) -> None:
    """Raise for PQ and HLG video: the curves are made for gamma-encoded pictures.

    Raises:
        ZeroDCEError: naming the transfer function and the way out.
    """
    if color_trc in _HDR_TRANSFERS:
        raise ZeroDCEError(
            f"{where}: is HDR video with {_HDR_TRANSFERS[color_trc]} transfer, which is not "
            "supported; convert it to SDR (BT.709) first"
        )


def colour_of(frame: av.VideoFrame) -> Colour:
    """Matrix and range by the frame's tags; untagged is BT.709 from 720 lines, else BT.601."""
    guess = "bt709" if frame.height >= _HD_LINES else "bt601"
    full_range = frame.color_range == _FULL_RANGE or frame.format.name in _J_FORMATS
    return Colour(_MATRICES.get(int(frame.colorspace), guess), full_range)


def _plain_name(format: av.VideoFormat) -> str:
    return _J_FORMATS.get(format.name, format.name)


def nearest_format(format: av.VideoFormat, allowed: Iterable[str] = FORMATS) -> PixelFormat:
    """The supported format that keeps most of ``format``: bits first, then chroma, then cost.

    Args:
        allowed: FFmpeg names to choose from (those an encoder takes); others are ignored.
    """
    plain = _plain_name(format)
    names = [n for n in allowed if n in FORMATS]
    if plain in names:
        return FORMATS[plain]
    # An indexed colour is worth more than the 8 bits of its index.
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
    """The frame in another format, keeping matrix and range, or gaining them if it was RGB.

    Args:
        size: width and height to scale to (a stream may change its size; a file has one).
    """
    if size is not None and size != (frame.width, frame.height):
        scaled = frame.reformat(*size)
        _copy_timing(frame, scaled)
        frame = scaled
    if _plain_name(frame.format) == format.name:
        return frame
    grey = len([c for c in frame.format.components if not c.is_alpha]) == 1
    if frame.format.name in _J_FORMATS:
        frame.color_range = _FULL_RANGE
    tags = frame.color_range, frame.colorspace
    if grey and frame.format.name != "pal8":
        # swscale takes grey for full range whatever its tag says, and would rescale it.
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
    _copy_timing(frame, converted)
    return converted


def wrap(frame: av.VideoFrame) -> Frame:
    """A view of the frame's planes, of its own memory.

    Raises:
        ValueError: if the frame's format is none of ``FORMATS`` (see ``convert``).
    """
    name = _plain_name(frame.format)
    if name not in FORMATS:
        raise ValueError(f"pixel format {name} is not one that can be enhanced in place")
    format = FORMATS[name]
    planes = []
    shapes = plane_shapes(format, frame.width, frame.height)
    plane: Any
    for plane, (rows, _) in zip(frame.planes, shapes, strict=True):
        samples = np.frombuffer(plane, format.dtype)
        planes.append(
            samples[: rows * (plane.line_size // format.dtype.itemsize)].reshape(rows, -1)
        )
    return Frame(format, tuple(planes), frame.width, frame.height, colour_of(frame))


def samples_of(frame: av.VideoFrame) -> av.VideoFormat:
    """The format of a frame's samples, wherever they are."""
    return getattr(frame, "sw_format", None) or frame.format  # PyAV 17 does not know the former


def wrap_on_gpu(frame: av.VideoFrame) -> Frame | None:
    """A view of the planes of a frame that NVDEC left on the GPU, as PyTorch's tensors.

    Returns:
        None for a frame elsewhere, and for those whose planes are not to be had there.
    """
    name = samples_of(frame).name
    if frame.format.name != "cuda" or name not in _NVDEC_FORMATS:
        return None
    if frame.width % 2 or frame.height % 2:  # PyAV leaves out the last row and column of chroma
        return None
    return Frame(FORMATS[name], tensors_of(frame), frame.width, frame.height, colour_of(frame))


def tensors_of(frame: av.VideoFrame) -> Any:
    """A semiplanar frame's planes, in its own memory, as PyTorch's tensors of two dimensions."""
    from torch.utils.dlpack import from_dlpack

    # By the capsule: PyTorch would ask for a stream, which PyAV does not know.
    return tuple(from_dlpack(plane.__dlpack__()).flatten(1) for plane in frame.planes)


def downloaded(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame in the processor's memory, wherever it was decoded."""
    samples = samples_of(frame)
    if samples.name == frame.format.name:
        return frame
    plain = frame.reformat(format=samples.name)
    _copy_timing(frame, plain)
    return plain


def blank_like(
    frame: av.VideoFrame, *, width: int | None = None, format: str | None = None
) -> av.VideoFrame:
    """A new frame with the format, size, tags and time of another; its pixels are not set.

    Args:
        format: a name to use; default: the plain one, which encoders take (never yuvj420p).
    """
    name = format or _plain_name(frame.format)
    blank = av.VideoFrame(width or frame.width, frame.height, name)
    blank.color_range = _FULL_RANGE if frame.format.name in _J_FORMATS else frame.color_range
    blank.colorspace = frame.colorspace
    blank.color_primaries = frame.color_primaries
    blank.color_trc = frame.color_trc
    _copy_timing(frame, blank)
    return blank


def _copy_timing(frame: av.VideoFrame, to: av.VideoFrame) -> None:
    to.pts = frame.pts
    if frame.time_base is not None:
        to.time_base = frame.time_base
    to.duration = frame.duration


def display_matrix(frame: av.VideoFrame) -> list[int] | None:
    """The nine numbers that say how players should turn the picture, if there are any."""
    data: Any
    for data in frame.side_data.keys():  # noqa: SIM118 - its iterator gives the values
        if data.type.name == "DISPLAYMATRIX":
            return [int(n) for n in np.frombuffer(data, np.int32)]
    return None


def enhanced_video_frame(enhancer: FrameEnhancer, frame: av.VideoFrame) -> av.VideoFrame:
    """Enhance a PyAV frame of any format; the result has its format, tags and time.

    Raises:
        ZeroDCEError: for HDR frames.
    """
    refuse_hdr(int(frame.color_trc), "this frame")
    work = convert(frame, nearest_format(frame.format))
    enhanced = blank_like(work, format=work.format.name)
    enhancer.enhance(wrap(work), wrap(enhanced), seconds=frame.time)
    if work is frame:
        return enhanced
    back = enhanced.reformat(format=frame.format.name)
    _copy_timing(frame, back)
    return back
