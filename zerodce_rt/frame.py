"""Frames as plain data: planes of samples in a pixel format, and how they stand for colours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Layout = Literal["planar", "semiplanar", "packed", "yuyv"]
Transfer = Literal["gamma", "hlg", "pq"]


@dataclass(frozen=True)
class PixelFormat:
    """How the samples of a frame lie in memory. Those that are supported are in ``FORMATS``.

    Attributes:
        name: FFmpeg's name of the format, such as ``"yuv420p"``.
        layout: ``"planar"``: Y, U and V in a plane each; ``"semiplanar"``: Y, and U and V
            interleaved; ``"packed"``: RGB triples in one plane; ``"yuyv"``: Y, U, Y, V for two
            pixels in one plane.
        bits: significant bits of a sample: 8 to 16, or 32 for float32 in [0, 1].
        chroma_shift: log2 of the chroma subsampling, horizontal and vertical.
        bgr: packed samples are in the order blue, green, red.
        dropped_bits: number of low bits of a 16-bit sample that are not significant.
    """

    name: str
    layout: Layout
    bits: int = 8
    chroma_shift: tuple[int, int] = (0, 0)
    bgr: bool = False
    dropped_bits: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the planes: uint8, uint16 (native byte order) or float32."""
        if self.bits == 32:
            return np.dtype(np.float32)
        return np.dtype(np.uint8 if self.bits + self.dropped_bits == 8 else np.uint16)


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
"""The supported pixel formats by name: 8-bit and 16-bit integer and float RGB and BGR; YUV 4:2:0,
4:2:2 and 4:4:4 of 8, 10, 12 and 16 bits; NV12, P010 and YUYV."""

LUMA_WEIGHTS: dict[str, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
}
"""Weights of red and blue in luma, by matrix: ITU-R BT.601, BT.709, BT.2020 and SMPTE 240M."""

PACKED_MATRIX = "bt709"
"""What luma means for packed RGB."""


def luma_weights(matrix: str) -> tuple[float, float, float]:
    """Weights of red, green and blue in luma."""
    red, blue = LUMA_WEIGHTS[matrix]
    return red, 1 - red - blue, blue


@dataclass(frozen=True)
class Colour:
    """How the samples of a frame stand for colours and light.

    Attributes:
        matrix: of YUV: ``"bt601"``, ``"bt709"``, ``"bt2020"`` or ``"smpte240m"``.
        full_range: of YUV: samples use all codes; else, of 8 bits, luma 16 to 235 and chroma 16
            to 240.
        transfer: from light to samples: ``"gamma"``, and of HDR ``"hlg"`` or ``"pq"``
            (ITU-R BT.2100).
        peak_nits: of PQ: light that is not brightened, nor anything brightened above it.

    Raises:
        ValueError: for another matrix or transfer, or a peak that is not from 100 to 10,000 nits.
    """

    matrix: str = "bt709"
    full_range: bool = False
    transfer: Transfer = "gamma"
    peak_nits: float = 1000.0

    def __post_init__(self) -> None:
        if self.matrix not in LUMA_WEIGHTS:
            valid = ", ".join(LUMA_WEIGHTS)
            raise ValueError(f"`matrix` must be one of {valid}, not {self.matrix!r}")
        if self.transfer not in get_args(Transfer):
            valid = ", ".join(get_args(Transfer))
            raise ValueError(f"`transfer` must be one of {valid}, not {self.transfer!r}")
        if not 100 <= self.peak_nits <= 10_000:
            raise ValueError(f"`peak_nits` must be from 100 to 10000, not {self.peak_nits}")

    def levels(self, bits: int) -> tuple[float, float, float, float]:
        """Codes of samples: luma's black and its distance to white, chroma's zero and its span.

        >>> Colour().levels(8)
        (16.0, 219.0, 128.0, 224.0)

        Args:
            bits: of a sample.
        """
        if self.full_range:
            return 0.0, 2.0**bits - 1, 2.0 ** (bits - 1), 2.0**bits - 1
        unit = 2.0 ** (bits - 8)
        return 16 * unit, 219 * unit, 128 * unit, 224 * unit


@dataclass(frozen=True)
class Frame:
    """A picture in a pixel format.

    >>> format = FORMATS["nv12"]
    >>> planes = tuple(np.zeros(s, format.dtype) for s in plane_shapes(format, 640, 360))
    >>> [plane.shape for plane in Frame(format, planes, 640, 360).planes]
    [(360, 640), (180, 640)]

    Attributes:
        format: one of ``FORMATS``.
        planes: C-contiguous arrays ``(rows, samples)`` of ``format.dtype``, as many and as large
            as ``plane_shapes`` says; rows may be longer (padding, which is never touched). On a
            GPU, PyTorch tensors.
        width, height: in pixels; may be odd.
        colour: how its samples stand for colours; of packed formats, only the transfer counts.
        interlaced: even and odd rows show different moments.

    Raises:
        ValueError: if the planes are too few, too many or too small.
    """

    format: PixelFormat
    planes: tuple[NDArray[Any], ...]
    width: int
    height: int
    colour: Colour = Colour()
    interlaced: bool = False

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
        """A new frame of the same format, size and colour, whose planes are not filled."""
        return replace(self, planes=tuple(np.empty_like(p) for p in self.planes))

    def copy(self) -> Frame:
        """A frame with planes of its own, which hold the same."""
        return replace(self, planes=tuple(p.copy() for p in self.planes))

    def copy_to(self, target: Frame) -> None:
        """Copy the picture, but not its padding, to a frame of the same format and size.

        Raises:
            ValueError: for another format or size.
        """
        if (self.format, self.width, self.height) != (target.format, target.width, target.height):
            raise ValueError(
                f"{self.format.name} {self.width}x{self.height} cannot be copied to "
                f"{target.format.name} {target.width}x{target.height}"
            )
        shapes = plane_shapes(self.format, self.width, self.height)
        for source, out, (_, samples) in zip(self.planes, target.planes, shapes, strict=True):
            out[:, :samples] = source[:, :samples]


def plane_shapes(format: PixelFormat, width: int, height: int) -> list[tuple[int, int]]:
    """Rows and samples in a row of each plane, without padding.

    >>> plane_shapes(FORMATS["yuv420p"], 5, 3)
    [(3, 5), (2, 3), (2, 3)]
    """
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
    """Whether two formats hold the same samples, if in another layout (as NV12 and yuv420p)."""
    if "packed" in (a.layout, b.layout):
        return a == b
    return (a.bits, a.chroma_shift) == (b.bits, b.chroma_shift)


def packed_format(order: str, dtype: str) -> PixelFormat:
    """The packed format of ``order`` ("rgb" or "bgr") and the samples' dtype name.

    Raises:
        ValueError: for another order, or a dtype that is not uint8, uint16 or float32.
    """
    names = {"uint8": "24", "uint16": "48le", "float32": "f32le"}
    if order not in ("rgb", "bgr"):
        raise ValueError(f"`order` must be 'rgb' or 'bgr', not {order!r}")
    if dtype not in names:
        raise ValueError(f"a frame must be uint8, uint16 or float32, not {dtype}")
    return FORMATS[order + names[dtype]]


def from_array(image: NDArray[Any], *, order: str = "rgb") -> Frame:
    """A frame in the memory of an array, or in a copy if that is not C-contiguous and native.

    Args:
        image: ``(H, W, 3)`` uint8, uint16 or float32 (in [0, 1]), gamma-encoded.
        order: of the channels: ``"rgb"`` or ``"bgr"``.

    Raises:
        ValueError: for another shape, dtype or channel order.
    """
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"a frame must have shape (height, width, 3), not {image.shape}")
    format = packed_format(order, image.dtype.name)
    height, width = image.shape[:2]
    native = image.dtype.newbyteorder("=")
    plane = np.ascontiguousarray(image, native).reshape(height, 3 * width)
    return Frame(format, (plane,), width, height)
