"""The denoiser's own copies of frames: planes of whole cells (see ``cell_kernels``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.coefficients import yuv_coefficients
from zerodce_rt.backends.cpu.arguments import white_code
from zerodce_rt.backends.cpu.bands import Bands
from zerodce_rt.backends.cpu.cell_kernels import interleave, load_packed, load_samples
from zerodce_rt.frame import Colour, Frame, PixelFormat

MULTIPLE = 4
"""Rows and columns of cells are filled up to this, so that planes can be halved twice."""

# What packed RGB is filtered as.
_PACKED_AS = Colour("bt709", full_range=True)

Planes = tuple[NDArray[Any], NDArray[Any]]
"""Luma, ``(2 rows, 2 columns)``, and chroma, ``(planes, rows, columns)``: Cb's, then Cr's."""


@dataclass(frozen=True)
class Samples:
    """Where one sample of each cell (or all luma samples) lie in a plane of a frame."""

    plane: int
    x0: int
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
        unit: samples of the copies for one 8-bit code.
        dtype: of the copies.
    """

    rows: int
    columns: int
    across: int
    down: int
    work: PixelFormat
    unit: float
    dtype: np.dtype[Any]
    luma: Samples | None
    chroma: tuple[Samples, ...]

    def empty(self, dtype: Any) -> Planes:
        chroma = 2 * self.across * self.down
        return (
            np.empty((2 * self.rows, 2 * self.columns), dtype),
            np.empty((chroma, self.rows, self.columns), dtype),
        )


@lru_cache(maxsize=16)
def cell_layout(format: PixelFormat, width: int, height: int, field: int | None) -> CellLayout:
    """The layout for frames of a format and size, or for one of their fields.

    Args:
        field: 0 for the even rows, 1 for the odd ones, None for all.
    """
    rows_of, first, step = height, 0, 1
    if field is not None:
        rows_of, first, step = (height + 1 - field) // 2, field, 2
    rows, columns = (-(-n // (2 * MULTIPLE)) * MULTIPLE for n in (rows_of, width))
    if format.layout == "packed":
        work = PixelFormat("cells", "planar", 8, (0, 0), dropped_bits=8)
        return CellLayout(rows, columns, 2, 2, work, 256.0, np.dtype(np.uint16), None, ())
    shift_x, shift_y = format.chroma_shift
    across, down = 2 >> shift_x, 2 >> shift_y
    work = PixelFormat(
        "cells", "planar", format.bits, format.chroma_shift, dropped_bits=16 - format.bits
    )
    starts, apart = {
        "planar": (((1, 0), (2, 0)), 1),
        "semiplanar": (((1, 0), (1, 1)), 2),
        "yuyv": (((0, 1), (0, 3)), 4),
    }[format.layout]
    yuyv = format.layout == "yuyv"
    luma = Samples(0, 0, 2 if yuyv else 1, first, step, width, rows_of)
    chroma_columns, chroma_rows = -(-width >> shift_x), -(-height >> shift_y)
    if field is not None:
        chroma_rows = max((chroma_rows + 1 - field) // 2, 1)
    chroma = []
    for plane, x0 in starts:
        for ty in range(down):
            for tx in range(across):
                # A frame of one row or column has no second sample in its cells.
                y, x = min(ty, chroma_rows - 1), min(tx, chroma_columns - 1)
                chroma.append(
                    Samples(
                        plane, x0 + apart * x, apart * across, first + step * y, step * down,
                        -(-(chroma_columns - x) // across), -(-(chroma_rows - y) // down),
                    )
                )  # fmt: skip
    return CellLayout(
        rows, columns, across, down, work, 2.0 ** (format.bits + format.dropped_bits - 8),
        format.dtype, luma, tuple(chroma),
    )  # fmt: skip


def load(frame: Frame, layout: CellLayout, bands: Bands, out: Planes) -> None:
    """Copy a frame (or a field of it) into cells."""
    luma, chroma = out
    band: Callable[[int, int], None]
    if layout.luma is None:
        format = frame.format
        coefficients = yuv_coefficients(_PACKED_AS, 8, 8)
        white = white_code(format)

        def band(first: int, last: int) -> None:
            load_packed(
                frame.planes[0], frame.width, frame.height, format.bgr, white, coefficients,
                luma, chroma, first, last,
            )  # fmt: skip
    else:
        y, *rest = (layout.luma, *layout.chroma)

        def band(first: int, last: int) -> None:
            _load(frame, y, luma, 2 * first, 2 * last)
            for samples, plane in zip(rest, chroma, strict=True):
                _load(frame, samples, plane, first, last)

    bands.run(band, bands.bounds(layout.rows))


def _load(frame: Frame, s: Samples, out: NDArray[Any], first: int, last: int) -> None:
    load_samples(frame.planes[s.plane], s.x0, s.dx, s.y0, s.dy, s.columns, s.rows, out, first, last)


class Together:
    """Puts chroma with one sample a cell together to the planes of a frame.

    Attributes:
        planes: Cb and Cr, which may be larger than the frame's.
    """

    def __init__(self, layout: CellLayout) -> None:
        self._layout = layout
        shape = layout.rows * layout.down, layout.columns * layout.across
        self.planes = np.empty(shape, np.uint16), np.empty(shape, np.uint16)

    def fill(self, chroma: NDArray[np.uint16], first: int, last: int) -> None:
        """Fill the planes for cell rows ``first .. last``."""
        for phases, plane in zip(np.split(chroma, 2), self.planes, strict=True):
            interleave(phases, self._layout.across, self._layout.down, plane, first, last)


def filtered_colour(frame: Frame) -> Colour:
    """How the samples of a frame's cells stand for colours."""
    return _PACKED_AS if frame.format.layout == "packed" else frame.colour
