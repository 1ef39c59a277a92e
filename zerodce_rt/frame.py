"""A frame as plain data: planes in the pixel format they came in, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Layout = Literal["planar", "semiplanar", "packed", "yuyv"]


@dataclass(frozen=True)
class PixelFormat:
    """How a frame's samples lie in memory; names are FFmpeg's.

    Attributes:
        layout: planar Y, U, V; semiplanar Y and interleaved UV; packed RGB triples; yuyv, as many
            cameras send: Y, U, Y, V for two pixels.
        bits: significant bits of a sample; 32 stands for float32 in [0, 1].
        chroma_shift: log2 of the chroma subsampling, horizontally and vertically.
        bgr: packed samples run blue, green, red.
        dropped_bits: low bits of each sample's 16 that carry nothing.
    """

    name: str
    layout: Layout
    bits: int = 8
    chroma_shift: tuple[int, int] = (0, 0)
    bgr: bool = False
    dropped_bits: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        if self.bits == 32:
            return np.dtype(np.float32)
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)


def _formats() -> dict[str, PixelFormat]:
    formats = [
        PixelFormat("rgb24", "packed"),
        PixelFormat("bgr24", "packed", bgr=True),
        PixelFormat("rgb48le", "packed", 16),
        PixelFormat("bgr48le", "packed", 16, bgr=True),
        PixelFormat("rgbf32le", "packed", 32),
        PixelFormat("bgrf32le", "packed", 32, bgr=True),
    ]
    for chroma, shift in (("420", (1, 1)), ("422", (1, 0)), ("444", (0, 0))):
        formats.append(PixelFormat(f"yuv{chroma}p", "planar", 8, shift))
        formats += [
            PixelFormat(f"yuv{chroma}p{bits}le", "planar", bits, shift) for bits in (10, 12, 16)
        ]
    formats.append(PixelFormat("nv12", "semiplanar", 8, (1, 1)))
    formats.append(PixelFormat("p010le", "semiplanar", 10, (1, 1), dropped_bits=6))
    formats.append(PixelFormat("yuyv422", "yuyv", 8, (1, 0)))
    return {f.name: f for f in formats}


FORMATS = _formats()
"""Every pixel format that the appliers read and write, by name."""

# Weights of red and blue in luma: ITU-R BT.601, BT.709, BT.2020 and SMPTE 240M.
LUMA_WEIGHTS: dict[str, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
}


@dataclass(frozen=True)
class Colour:
    """How Y, Cb, Cr samples stand for RGB.

    Attributes:
        matrix: a key of ``LUMA_WEIGHTS``.
        full_range: samples use all codes (0..255) instead of 16..235 and 16..240.
    """

    matrix: str = "bt709"
    full_range: bool = False

    def __post_init__(self) -> None:
        if self.matrix not in LUMA_WEIGHTS:
            valid = ", ".join(LUMA_WEIGHTS)
            raise ValueError(f"matrix must be one of {valid}, not {self.matrix!r}")

    def levels(self, bits: int) -> tuple[float, float, float, float]:
        """Offset and span of luma, then of chroma, in sample codes of ``bits`` bits."""
        if self.full_range:
            return 0.0, 2.0**bits - 1, 2.0 ** (bits - 1), 2.0**bits - 1
        unit = 2.0 ** (bits - 8)
        return 16 * unit, 219 * unit, 128 * unit, 224 * unit


@dataclass(frozen=True)
class Frame:
    """One picture in its own format.

    Attributes:
        planes: C-contiguous 2-D arrays ``(rows, samples)`` of the format's dtype; a row may
            be longer than the picture is wide (padding, never touched).
        width, height: picture size in pixels; odd sizes are fine.
        colour: meaningful for YUV formats only.
    """

    format: PixelFormat
    planes: tuple[NDArray[Any], ...]
    width: int
    height: int
    colour: Colour = Colour()

    def __post_init__(self) -> None:
        expected = plane_shapes(self.format, self.width, self.height)
        shapes = [p.shape for p in self.planes]
        if len(shapes) != len(expected) or any(
            s[0] != e[0] or s[1] < e[1] for s, e in zip(shapes, expected, strict=True)
        ):
            raise ValueError(
                f"{self.format.name} {self.width}x{self.height} needs planes of "
                f"{expected}, not {shapes}"
            )

    def empty_like(self) -> Frame:
        """A frame of the same kind with planes of its own, not filled."""
        return replace(self, planes=tuple(np.empty_like(p) for p in self.planes))

    def copy_to(self, target: Frame) -> None:
        """Copy the picture, without its padding, to a frame of the same format and size."""
        shapes = plane_shapes(self.format, self.width, self.height)
        for source, out, (_, samples) in zip(self.planes, target.planes, shapes, strict=True):
            out[:, :samples] = source[:, :samples]


def plane_shapes(format: PixelFormat, width: int, height: int) -> list[tuple[int, int]]:
    """Rows and samples per row of each plane, without padding."""
    if format.layout == "packed":
        return [(height, 3 * width)]
    if format.layout == "yuyv":
        return [(height, 4 * -(-width // 2))]
    x, y = format.chroma_shift
    chroma_width, chroma_height = -(-width >> x), -(-height >> y)
    if format.layout == "semiplanar":
        return [(height, width), (chroma_height, 2 * chroma_width)]
    return [(height, width)] + 2 * [(chroma_height, chroma_width)]


def same_samples(a: PixelFormat, b: PixelFormat) -> bool:
    """Whether two YUV formats differ in nothing but where their samples lie."""
    if "packed" in (a.layout, b.layout):
        return a == b
    return (a.bits, a.chroma_shift) == (b.bits, b.chroma_shift)


def from_array(image: NDArray[Any], *, order: str = "rgb") -> Frame:
    """Wrap an ``(H, W, 3)`` array of uint8, uint16 or float32 (in [0, 1]); copied only if strided.

    Raises:
        ValueError: for another shape, dtype or channel order.
    """
    names = {"uint8": "24", "uint16": "48le", "float32": "f32le"}
    if order not in ("rgb", "bgr"):
        raise ValueError(f"order must be 'rgb' or 'bgr', not {order!r}")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"a frame must have shape (height, width, 3), not {image.shape}")
    if image.dtype.name not in names:
        raise ValueError(f"a frame must be uint8, uint16 or float32, not {image.dtype.name}")
    height, width = image.shape[:2]
    native = image.dtype.newbyteorder("=")
    plane = np.ascontiguousarray(image, native).reshape(height, 3 * width)
    return Frame(FORMATS[order + names[image.dtype.name]], (plane,), width, height)
