"""What the kernels take of a frame and its maps.

In plain tuples: at each call, Numba takes some microseconds longer to recognise named ones.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.curve import light
from zerodce_rt.curve.maps import CurveMaps, source_positions
from zerodce_rt.frame import Frame, PixelFormat

Planes = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""``(y, u, v)`` of a frame; with interleaved chroma, u and v are the same plane."""

ChromaLayout = tuple[int, int, int]
"""``(shift_x, shift_y, step)``: log2 of the subsampling, and the samples from one Cb to the next.

``step`` is 1, or 2 where Cb and Cr are interleaved. The pixels of a row that share a chroma
sample are a cell: 1 or 2 columns.
"""

Ramps = tuple[NDArray[np.intp], NDArray[np.float32], bool]
"""``(start, weight, one_to_one)``: where the pixels of a row lie between map columns.

- ``start``, ``(w + 1,)``: the first pixel right of each map column, and the end.
- ``weight``, ``(columns, cells)``: of the map column to the right, for each pixel of each cell.
  The last pixel of an odd width stands for the missing half of its cell, too.
- ``one_to_one``: map columns are pixel columns, so there is nothing to interpolate.
"""

Grid = tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.float32], Ramps, NDArray[np.float32]]
"""``(maps, row_lower, row_weight, ramps, knots)``: curve maps, and where pixels lie among them.

- ``maps``, ``(3k, h, w)`` or ``(5, h, w)``: contiguous. Of light maps, the values at the knots are
  replaced by the terms of ``light.knot_terms``.
- ``row_lower``, ``(H,)``: the map row above each pixel row.
- ``row_weight``, ``(H,)``: of the map row below it.
- ``knots``, ``(0,)`` or ``(4,)``: those of light maps.
"""


def yuv_planes(frame: Frame) -> Planes:
    return frame.planes[0], frame.planes[1], frame.planes[-1]


def chroma_layout(format: PixelFormat) -> ChromaLayout:
    return *format.chroma_shift, 2 if format.layout == "semiplanar" else 1


def white_code(format: PixelFormat) -> np.float32:
    """The sample that stands for 1.0 in packed RGB."""
    return np.float32(1 if format.bits == 32 else 2**format.bits - 1)


def map_grid(maps: CurveMaps, frame: Frame) -> Grid:
    """A frame's maps as the curve kernels take them."""
    map_height, map_width = maps.values.shape[1:]
    # Light maps are applied to luma, pixel by pixel.
    columns = 1 if maps.light else 1 << frame.format.chroma_shift[0]
    values = maps.values
    if maps.light:
        values = np.concatenate([*light.knot_terms(maps.curves, maps.knots), values[-1:]])
    return (
        np.ascontiguousarray(values, np.float32),
        *_rows(frame.height, map_height, maps.align_corners),
        _ramps(frame.width, columns, map_width, maps.align_corners),
        np.array(maps.knots, np.float32),
    )


@lru_cache(maxsize=16)
def _rows(
    height: int, map_height: int, align_corners: bool
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    lower, weight = source_positions(height, map_height, align_corners=align_corners)
    return lower, weight.astype(np.float32)


@lru_cache(maxsize=16)
def _ramps(width: int, columns: int, map_width: int, align_corners: bool) -> Ramps:
    lower, weight = source_positions(width, map_width, align_corners=align_corners)
    missing = (0, -width % columns)
    lower, weight = np.pad(lower, missing, mode="edge"), np.pad(weight, missing, mode="edge")
    start = np.searchsorted(lower, np.arange(map_width + 1))
    weights = np.ascontiguousarray(weight.reshape(-1, columns).T, np.float32)
    return start, weights, map_width == width and width % columns == 0
