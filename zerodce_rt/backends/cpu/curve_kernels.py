"""The fused curve kernels: one pass over a frame's own planes, row by row.

What makes them fast:

- Samples of a row are read and written in order, so that the compiler vectorises the loops.
- The maps are interpolated once for each of their own few rows (see ``map_kernels``).
- Pixels of a row that share a chroma sample are a cell: ``columns`` is 1 or 2. With 2, even and
  odd pixels have buffers of their own, and both use the chroma as it lies.
- Every constant is float32: one float64 literal halves the speed.
- Every computed index is unsigned: a signed one may be negative, which would be checked.

Each kernel works on a band of rows, releases the GIL and allocates its own row buffers, so that
several threads can share a frame. A frame may be enhanced in place.

``c`` are the numbers of ``yuv_coefficients``; ``at`` is the first cell of a strip and ``n`` the
number of its cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.coefficients import (
    BLUE_TO_CB,
    BLUE_WEIGHT,
    CB_TO_BLUE,
    CB_TO_GREEN,
    CHROMA_OFFSET,
    CHROMA_OFFSET_ROUNDED,
    CR_TO_GREEN,
    CR_TO_RED,
    GREEN_WEIGHT,
    LARGEST_CODE,
    LUMA_OFFSET,
    LUMA_OFFSET_ROUNDED,
    LUMA_SCALE,
    LUMA_SPAN,
    RED_TO_CR,
    RED_WEIGHT,
)
from zerodce_rt.backends.cpu.arguments import Grid, Planes
from zerodce_rt.backends.cpu.compiling import (
    ONE,
    U1,
    U2,
    U3,
    U4,
    U5,
    ZERO,
    U,
    clamp,
    compiled,
    inlined,
)
from zerodce_rt.backends.cpu.light_kernels import enhance_rgb
from zerodce_rt.backends.cpu.map_kernels import ROW, STRIP, advance, between
from zerodce_rt.frame import PACKED_MATRIX, luma_weights

_RED, _GREEN, _BLUE = (np.float32(w) for w in luma_weights(PACKED_MATRIX))


@inlined
def _step(x: Any, a: Any) -> Any:
    """One iteration (see ``curve.maps.iterate``)."""
    return x + a * (x * x - x)


@inlined
def _curve(x: Any, a: Any) -> Any:
    """Eight iterations with a shared map."""
    for _ in range(8):
        x = _step(x, a)
    return x


@compiled
def iterate(
    x: Any, ring: Any, low: Any, rise: Any, weight: Any, n_maps: int, columns: int, n: int,
    bgr: bool,
) -> None:  # fmt: skip
    """The iterations for the three channels of a strip, in place (see ``curve.maps.iterate``)."""
    size = U(columns) * ROW
    for i in range(3):
        channel = U(2 - i) if bgr else U(i)
        for p in range(columns):
            values = U(i) * size + U(p) * ROW
            first = channel * size + U(p) * ROW
            if n_maps == 3:
                for j in range(n):
                    a = between(ring, low + first, rise + first, U(j), weight)
                    x[values + U(j)] = _curve(x[values + U(j)], a)
            else:
                # Two iterations at a time: x goes to memory and back half as often.
                for k in range(0, n_maps // 3 - 1, 2):
                    one = first + U(3 * k) * size
                    two = one + U3 * size
                    for j in range(n):
                        a = between(ring, low + one, rise + one, U(j), weight)
                        b = between(ring, low + two, rise + two, U(j), weight)
                        x[values + U(j)] = _step(_step(x[values + U(j)], a), b)
                if n_maps // 3 & 1:
                    one = first + U(n_maps - 3) * size
                    for j in range(n):
                        a = between(ring, low + one, rise + one, U(j), weight)
                        x[values + U(j)] = _step(x[values + U(j)], a)


@compiled
def load_chroma(u: Any, v: Any, step: int, at: Any, n: int, c: Any, chroma: Any) -> None:
    """Chroma samples as what they add to R, G and B."""
    offset, to_red, to_blue = c[CHROMA_OFFSET], c[CR_TO_RED], c[CB_TO_BLUE]
    cb_to_green, cr_to_green = c[CB_TO_GREEN], c[CR_TO_GREEN]
    for i in range(n):
        j = U(i)
        if step == 1:
            cb, cr = np.float32(u[at + j]) - offset, np.float32(v[at + j]) - offset
        else:
            cb = np.float32(u[U2 * (at + j)]) - offset
            cr = np.float32(u[U2 * (at + j) + U1]) - offset
        chroma[j] = cr * to_red
        chroma[ROW + j] = cb * cb_to_green + cr * cr_to_green
        chroma[U2 * ROW + j] = cb * to_blue


@compiled
def _store_chroma(
    sums: Any, pixels: int, step: int, at: Any, n: int, c: Any, u: Any, v: Any
) -> None:
    """Chroma samples from sums of B - Y and R - Y over so many pixels."""
    share = ONE / np.float32(pixels)
    to_cb, to_cr = c[BLUE_TO_CB] * share, c[RED_TO_CR] * share
    offset, top = c[CHROMA_OFFSET_ROUNDED], c[LARGEST_CODE]
    for i in range(n):
        j = U(i)
        cb = clamp(sums[j] * to_cb + offset, ZERO, top)
        cr = clamp(sums[ROW + j] * to_cr + offset, ZERO, top)
        if step == 1:
            u[at + j] = cb
            v[at + j] = cr
        else:
            u[U2 * (at + j)] = cb
            u[U2 * (at + j) + U1] = cr


@inlined
def _luma(red: Any, green: Any, blue: Any, c: Any) -> Any:
    return red * c[RED_WEIGHT] + green * c[GREEN_WEIGHT] + blue * c[BLUE_WEIGHT]


@inlined
def _code(luma: Any, c: Any) -> Any:
    return clamp(luma * c[LUMA_SPAN] + c[LUMA_OFFSET_ROUNDED], ZERO, c[LARGEST_CODE])


@inlined
def _load(code: Any, chroma: Any, c: Any) -> Any:
    """R, G or B from a luma sample and what the chroma adds to it."""
    return clamp((np.float32(code) - c[LUMA_OFFSET]) * c[LUMA_SCALE] + chroma, ZERO, ONE)


@compiled
def load_row(y: Any, chroma: Any, columns: int, at: Any, n: int, c: Any, rgb: Any) -> None:
    """A luma row as RGB."""
    for i in range(n):
        j = U(i)
        red, green, blue = chroma[j], chroma[ROW + j], chroma[U2 * ROW + j]
        if columns == 1:
            code = y[at + j]
            rgb[j] = _load(code, red, c)
            rgb[ROW + j] = _load(code, green, c)
            rgb[U2 * ROW + j] = _load(code, blue, c)
        else:
            even, odd = y[U2 * (at + j)], y[U2 * (at + j) + U1]
            rgb[j], rgb[ROW + j] = _load(even, red, c), _load(odd, red, c)
            rgb[U2 * ROW + j], rgb[U3 * ROW + j] = _load(even, green, c), _load(odd, green, c)
            rgb[U4 * ROW + j], rgb[U5 * ROW + j] = _load(even, blue, c), _load(odd, blue, c)


@compiled
def _store_row(rgb: Any, columns: int, at: Any, n: int, c: Any, out: Any, sums: Any) -> None:
    """RGB as a luma row; B - Y and R - Y are added to the sums of each cell."""
    for i in range(n):
        j = U(i)
        if columns == 1:
            r, b = rgb[j], rgb[U2 * ROW + j]
            luma = _luma(r, rgb[ROW + j], b, c)
            out[at + j] = _code(luma, c)
            sums[j] += b - luma
            sums[ROW + j] += r - luma
        else:
            r, r_odd = rgb[j], rgb[ROW + j]
            b, b_odd = rgb[U4 * ROW + j], rgb[U5 * ROW + j]
            luma = _luma(r, rgb[U2 * ROW + j], b, c)
            luma_odd = _luma(r_odd, rgb[U3 * ROW + j], b_odd, c)
            out[U2 * (at + j)] = _code(luma, c)
            out[U2 * (at + j) + U1] = _code(luma_odd, c)
            sums[j] += b - luma + b_odd - luma_odd
            sums[ROW + j] += r - luma + r_odd - luma_odd


@compiled
def enhance_yuv(
    source: Planes, target: Planes, width: int, height: int, layouts: Any, coefficients: Any,
    grid: Grid, first: int, last: int,
) -> None:  # fmt: skip
    """Enhance chroma rows ``first .. last`` of a YUV frame and the luma rows that they cover.

    Args:
        layouts, coefficients: of the source and of the target, which may differ in how chroma
            lies in memory, and in bits.
    """
    (y, u, v), (out_y, out_u, out_v) = source, target
    (shift_x, shift_y, step), (_, _, out_step) = layouts
    c, out_c = coefficients
    maps, row_lower, row_weight, ramps, _ = grid
    columns = 1 << shift_x
    cells = (width + columns - 1) >> shift_x
    n_maps, map_rows = maps.shape[0], maps.shape[1]
    slot = U(n_maps * columns) * ROW
    ring = np.empty(3 * n_maps * columns * STRIP, np.float32)
    rgb = np.empty(3 * columns * STRIP, np.float32)
    chroma = np.empty(3 * STRIP, np.float32)
    sums = np.empty(2 * STRIP, np.float32)
    odd_y, odd_out = np.empty(width + 1, y.dtype), np.empty(width + 1, out_y.dtype)
    for at in range(0, cells, STRIP):
        n = min(STRIP, cells - at)
        # The last pixel of an odd width stands for the missing half of its cell, too.
        odd = columns * (at + n) > width
        newest = -1
        for chroma_row in range(first, last):
            load_chroma(u[chroma_row], v[chroma_row], step, U(at), n, c, chroma)
            sums[:] = ZERO
            top = chroma_row << shift_y
            bottom = min(top + (1 << shift_y), height)
            for row in range(top, bottom):
                lower, weight = row_lower[row], row_weight[row]
                upper = min(lower + 1, map_rows - 1)
                newest = advance(maps, newest, lower, upper, ramps, columns, at, n, ring)
                low, rise = U(lower & 1) * slot, U2 * slot
                y_row, out_row = y[row], out_y[row]
                if odd:
                    odd_y[:width] = y_row[:width]
                    odd_y[width] = y_row[width - 1]
                    y_row, out_row = odd_y, odd_out
                load_row(y_row, chroma, columns, U(at), n, c, rgb)
                iterate(rgb, ring, low, rise, weight, n_maps, columns, n, False)
                _store_row(rgb, columns, U(at), n, out_c, out_row, sums)
                if odd:
                    out_y[row, columns * at : width] = odd_out[columns * at : width]
            pixels = (bottom - top) * columns
            _store_chroma(
                sums, pixels, out_step, U(at), n, out_c, out_u[chroma_row], out_v[chroma_row]
            )


@compiled
def _load_packed(plane: Any, at: Any, n: int, scale: Any, x: Any) -> None:
    """Samples of a row as three rows in [0, 1]."""
    for i in range(n):
        j = U(i)
        at_j = U3 * (at + j)
        x[j] = clamp(np.float32(plane[at_j]) * scale, ZERO, ONE)
        x[ROW + j] = clamp(np.float32(plane[at_j + U1]) * scale, ZERO, ONE)
        x[U2 * ROW + j] = clamp(np.float32(plane[at_j + U2]) * scale, ZERO, ONE)


@compiled
def store_packed(
    x: Any, swapped: bool, at: Any, n: int, white: Any, rounding: Any, out: Any
) -> None:
    """Three rows in [0, 1] as samples of a row; ``swapped``, the third row comes first."""
    first, third = (U2 * ROW, U(0)) if swapped else (U(0), U2 * ROW)
    for i in range(n):
        j = U(i)
        at_j = U3 * (at + j)
        out[at_j] = x[first + j] * white + rounding
        out[at_j + U1] = x[ROW + j] * white + rounding
        out[at_j + U2] = x[third + j] * white + rounding


@compiled
def enhance_packed(
    source: Any, target: Any, width: int, bgr: bool, white: Any, rounding: Any, grid: Grid,
    first: int, last: int,
) -> None:  # fmt: skip
    """Enhance rows ``first .. last`` of packed RGB or BGR.

    ``white`` is the code of 1.0; ``rounding`` is 0.5 for integer samples and 0 for float.
    """
    maps, row_lower, row_weight, ramps, knots = grid
    weights = (_BLUE, _GREEN, _RED) if bgr else (_RED, _GREEN, _BLUE)
    n_maps, map_rows = maps.shape[0], maps.shape[1]
    ring = np.empty(3 * n_maps * STRIP, np.float32)
    x = np.empty(3 * STRIP, np.float32)
    slot = U(n_maps) * ROW
    for at in range(0, width, STRIP):
        n = min(STRIP, width - at)
        newest = -1
        for row in range(first, last):
            lower, weight = row_lower[row], row_weight[row]
            upper = min(lower + 1, map_rows - 1)
            newest = advance(maps, newest, lower, upper, ramps, 1, at, n, ring)
            _load_packed(source[row], U(at), n, ONE / white, x)
            low, rise = U(lower & 1) * slot, U2 * slot
            if knots.shape[0]:
                enhance_rgb(x, ring, low, rise, weight, knots, n, weights)
            else:
                iterate(x, ring, low, rise, weight, n_maps, 1, n, bgr)
            store_packed(x, False, U(at), n, white, rounding, target[row])
