"""The denoiser's own copies of frames: planes of whole cells (see ``cell_kernels``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.coefficients import yuv_coefficients
from zerodce_rt.backends.cpu.arguments import white_code
from zerodce_rt.backends.cpu.bands import Bands
from zerodce_rt.backends.cpu.cell_kernels import (
    load_chroma,
    load_packed,
    load_samples,
    refine_planes,
)
from zerodce_rt.frame import PACKED_MATRIX, Colour, Frame, PixelFormat

MULTIPLE = 4
"""Rows and columns of cells are filled up to this, so that planes can be halved twice."""

# What packed RGB is filtered as.
_PACKED_AS = Colour(PACKED_MATRIX, full_range=True)

Planes = tuple[NDArray[Any], NDArray[Any]]
"""Luma, ``(2 rows, 2 columns)``, and Cb and Cr, ``(2, rows, columns)``."""

_ALL_BITS = np.dtype(np.uint16)


@dataclass(frozen=True)
class Samples:
    """Where the luma or chroma samples of a frame, or of a field of it, lie in its planes.

    Attributes:
        starts: index of each plane, and of the first sample in its rows.
        dx: samples from one to the next.
        y0, dy: first row, and rows from one to the next.
        columns, rows: how many samples there are.
    """

    starts: tuple[tuple[int, int], ...]
    dx: int
    y0: int
    dy: int
    columns: int
    rows: int


@dataclass(frozen=True)
class CellLayout:
    """How a frame is copied into cells.

    Attributes:
        rows, columns: of cells, filled up to ``MULTIPLE``.
        across, down: chroma samples in a cell.
        work: the format of the filtered frame: planes of 16-bit samples, of which the upper bits
            are those of the frame's own.
        dtypes: of the copies of luma and chroma.
        units: their samples for one 8-bit code.
        luma, chroma: where the samples lie; None for packed pixels.
    """

    rows: int
    columns: int
    across: int
    down: int
    work: PixelFormat
    dtypes: tuple[np.dtype[Any], np.dtype[Any]]
    units: tuple[float, float]
    luma: Samples | None = None
    chroma: Samples | None = None

    @property
    def whole(self) -> bool:
        """Whether each cell has one chroma sample, which needs not be averaged."""
        return self.across == self.down == 1

    def empty(self, dtypes: tuple[np.dtype[Any], np.dtype[Any]] = (_ALL_BITS, _ALL_BITS)) -> Planes:
        return (
            np.empty((2 * self.rows, 2 * self.columns), dtypes[0]),
            np.empty((2, self.rows, self.columns), dtypes[1]),
        )


@lru_cache(maxsize=16)
def cell_layout(format: PixelFormat, width: int, height: int, field: int | None) -> CellLayout:
    """The layout for frames of a format and size, or for one of their fields.

    Args:
        field: 0 for the even rows, 1 for the odd ones, None for all.
    """
    luma_rows, first, step = height, 0, 1
    if field is not None:
        luma_rows, first, step = (height + 1 - field) // 2, field, 2
    rows, columns = (-(-n // (2 * MULTIPLE)) * MULTIPLE for n in (luma_rows, width))
    if format.layout == "packed":
        work = PixelFormat("cells", "planar", 8, (1, 1), dropped_bits=8)
        return CellLayout(rows, columns, 2, 2, work, (_ALL_BITS, _ALL_BITS), (256.0, 256.0))
    shift_x, shift_y = format.chroma_shift
    chroma_columns, chroma_rows = -(-width >> shift_x), -(-height >> shift_y)
    if field is not None:
        chroma_rows = max((chroma_rows + 1 - field) // 2, 1)
    starts, apart = {
        "planar": (((1, 0), (2, 0)), 1),
        "semiplanar": (((1, 0), (1, 1)), 2),
        "yuyv": (((0, 1), (0, 3)), 4),
    }[format.layout]
    work = PixelFormat(
        "cells", "planar", format.bits, format.chroma_shift, dropped_bits=16 - format.bits
    )
    unit = 2.0 ** (format.bits + format.dropped_bits - 8)
    whole = (shift_x, shift_y) == (1, 1)
    return CellLayout(
        rows, columns, 2 >> shift_x, 2 >> shift_y, work,
        (format.dtype, format.dtype if whole else _ALL_BITS), (unit, unit if whole else 256.0),
        Samples(((0, 0),), 2 if format.layout == "yuyv" else 1, first, step, width, luma_rows),
        Samples(starts, apart, first, step, chroma_columns, chroma_rows),
    )  # fmt: skip


def load(frame: Frame, layout: CellLayout, bands: Bands, out: Planes) -> None:
    """Copy a frame (or a field of it) into cells."""
    luma, chroma = out

    def packed(first: int, last: int) -> None:
        load_packed(source, luma, chroma, first, last)

    def planes(first: int, last: int) -> None:
        assert layout.luma is not None
        assert layout.chroma is not None
        _load(frame, layout.luma, (luma,), 2 * first, 2 * last)
        if layout.whole:
            _load(frame, layout.chroma, chroma, first, last)
        else:
            load_chroma(source, chroma, first, last)

    source = chroma_source(frame, layout)
    bands.run(packed if layout.luma is None else planes, bands.bounds(layout.rows))


def _load(frame: Frame, s: Samples, out: Iterable[NDArray[Any]], first: int, last: int) -> None:
    for (plane, x0), target in zip(s.starts, out, strict=True):
        load_samples(
            frame.planes[plane], x0, s.dx, s.y0, s.dy, s.columns, s.rows, target, first, last
        )


def chroma_source(frame: Frame, layout: CellLayout) -> tuple[Any, ...]:
    """What the kernels take of a frame to find its chroma."""
    s = layout.chroma
    if s is None:
        coefficients = yuv_coefficients(_PACKED_AS, 8, 8)
        scale = np.float32(1) / white_code(frame.format)
        return (frame.planes[0], frame.width, frame.height, frame.format.bgr, scale, coefficients)
    (cb, x_cb), (cr, x_cr) = s.starts
    return (
        frame.planes[cb], frame.planes[cr], x_cb, x_cr, s.dx, s.y0, s.dy, s.columns, s.rows,
        layout.across, layout.down, np.float32(256 / layout.units[0]),
    )  # fmt: skip


@dataclass(frozen=True)
class FilteredPixels(Frame):
    """Packed pixels, filtered as 4:2:0; what their chroma lacks is in the pixels themselves.

    Attributes:
        filtered, codes, source, noise: see ``enhance_refined``.
    """

    filtered: Any = None
    codes: Any = None
    source: Any = None
    noise: Any = None


def noise_of_samples(noise: tuple[Any, ...], layout: CellLayout) -> tuple[Any, ...]:
    """What noise would make of the differences between the chroma samples of cells.

    Args:
        noise: black, variance, and by what that of a cell's mean is multiplied.

    Returns:
        The same for the sum over three cells of what their samples differ by from their means:
        a sample has as many times the variance as there are, and one less of them is free.
    """
    samples = layout.across * layout.down
    black, variance, factor = noise
    return black, variance, np.float32(factor * 3 * (samples - 1) * samples)


class FineChroma:
    """The chroma of frames in planes that have more than one sample a cell.

    Attributes:
        planes: Cb and Cr, which may be larger than the frame's.
    """

    def __init__(self, layout: CellLayout) -> None:
        self._layout = layout
        shape = layout.rows * layout.down, layout.columns * layout.across
        self.planes = np.empty(shape, np.uint16), np.empty(shape, np.uint16)

    def fill(
        self, frame: Frame, filtered: NDArray[np.uint16], codes: NDArray[np.uint16],
        noise: tuple[Any, ...], bands: Bands,
    ) -> None:  # fmt: skip
        """Fill the planes; see ``refine_planes``."""
        source = chroma_source(frame, self._layout)

        def band(first: int, last: int) -> None:
            refine_planes(source, filtered, codes, noise, *self.planes, first, last)

        bands.run(band, bands.bounds(self._layout.rows))


def filtered_colour(frame: Frame) -> Colour:
    """How the samples of a frame's cells stand for colours."""
    return _PACKED_AS if frame.format.layout == "packed" else frame.colour
