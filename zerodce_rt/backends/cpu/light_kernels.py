"""The curve of light maps (``curve/light.py``), in the style of ``curve_kernels``.

YUV frames never become RGB: luma goes through the curve as it lies, and chroma is multiplied by
the gain that the means of its cell's luma ask for.

The maps that kernels get are those of ``light_grid``: terms over luma instead of values at knots.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.coefficients import (
    CB_TO_BLUE,
    CB_TO_GREEN,
    CHROMA_OFFSET,
    CHROMA_OFFSET_ROUNDED,
    CR_TO_GREEN,
    CR_TO_RED,
    LARGEST_CODE,
    LUMA_OFFSET,
    LUMA_OFFSET_ROUNDED,
    LUMA_SCALE,
    LUMA_SPAN,
)
from zerodce_rt.backends.cpu.arguments import Grid, Planes
from zerodce_rt.backends.cpu.compiling import ONE, U1, U2, U3, U4, ZERO, U, clamp, compiled, inlined
from zerodce_rt.backends.cpu.map_kernels import ROW, STRIP, advance, between
from zerodce_rt.curve import light

_DAMPING = np.float32(light.DAMPING)
_WHITE = np.float32(light.WHITE)
_LEAST = np.float32(1e-4)
_HALF = np.float32(0.5)


@inlined
def _curve(luma: Any, ring: Any, low: Any, rise: Any, j: Any, weight: Any, t1: Any, t2: Any) -> Any:
    """Eight iterations whose strength depends on luma (see ``light.luma_curve``)."""
    a = between(ring, low, rise, j, weight)
    a += between(ring, low + ROW, rise + ROW, j, weight) * luma
    a += between(ring, low + U2 * ROW, rise + U2 * ROW, j, weight) * max(luma - t1, ZERO)
    a += between(ring, low + U3 * ROW, rise + U3 * ROW, j, weight) * max(luma - t2, ZERO)
    for _ in range(8):
        luma = luma + a * (luma * luma - luma)
    return luma


@inlined
def _gain(luma: Any, enhanced: Any, deviation: Any, saturation: Any) -> Any:
    """See ``light.chroma_gain``; both quotients as one, for divisions are slow."""
    damped, deviated = luma + _DAMPING, max(deviation, _LEAST)
    room = max(max(luma + deviation, _WHITE) - enhanced, ZERO)
    least = min((damped + saturation * (enhanced - luma)) * deviated, room * damped)
    return max(least, ZERO) / (damped * deviated)


@compiled
def enhance_rgb(
    x: Any, ring: Any, low: Any, rise: Any, weight: Any, knots: Any, n: int, weights: Any
) -> None:
    """Three rows of colour in [0, 1], in place; ``weights`` are those of each row in luma."""
    t1, t2 = knots[1], knots[2]
    w0, w1, w2 = weights
    for i in range(n):
        j = U(i)
        a, b, c = x[j], x[ROW + j], x[U2 * ROW + j]
        luma = w0 * a + w1 * b + w2 * c
        enhanced = _curve(luma, ring, low, rise, j, weight, t1, t2)
        saturation = between(ring, low + U4 * ROW, rise + U4 * ROW, j, weight)
        gain = _gain(luma, enhanced, max(max(a, b), c) - luma, saturation)
        x[j] = clamp(enhanced + (a - luma) * gain, ZERO, ONE)
        x[ROW + j] = clamp(enhanced + (b - luma) * gain, ZERO, ONE)
        x[U2 * ROW + j] = clamp(enhanced + (c - luma) * gain, ZERO, ONE)


# Rows of the one buffer that the loops below write to: the compiler vectorises a loop only if it
# can tell that what is written is not read again, which it checks for few arrays.
_BEFORE, _AFTER = U(0), ROW  # luma of a cell's first row, in [0, 1]
_NEXT = U2 * ROW  # how far on the same of its second row lie
_CB, _CR = U4 * ROW, U(5) * ROW
_ROWS = 6

# Rows of another buffer, of cells that share a chroma sample.
_LUMA, _ENHANCED = U(0), ROW
_SATURATION, _SATURATION_RISE = U2 * ROW, U3 * ROW
_MEANS = 4


@compiled
def _luma_row(
    y: Any, ring: Any, low: Any, rise: Any, weight: Any, knots: Any, at: Any, n: int, c: Any,
    out_c: Any, out: Any, row: Any, work: Any,
) -> None:  # fmt: skip
    """A row of luma; its values before and after are left in ``work``, from ``row`` on."""
    t1, t2 = knots[1], knots[2]
    offset, scale = c[LUMA_OFFSET], c[LUMA_SCALE]
    span, out_offset, top = out_c[LUMA_SPAN], out_c[LUMA_OFFSET_ROUNDED], out_c[LARGEST_CODE]
    for i in range(n):
        j = U(i)
        work[row + j] = clamp((np.float32(y[at + j]) - offset) * scale, ZERO, ONE)
    for i in range(n):
        j = U(i)
        work[row + _AFTER + j] = _curve(work[row + j], ring, low, rise, j, weight, t1, t2)
    for i in range(n):
        j = U(i)
        out[at + j] = clamp(work[row + _AFTER + j] * span + out_offset, ZERO, top)


@compiled
def _luma_of_cells(luma: Any, columns: int, rows: int, n: int, means: Any) -> None:
    """Means of luma over cells of so many columns and rows, before and after the curve."""
    share = ONE / np.float32(columns * rows)
    if rows == 2:
        for i in range(columns * n):
            j = U(i)
            luma[_BEFORE + j] += luma[_NEXT + _BEFORE + j]
            luma[_AFTER + j] += luma[_NEXT + _AFTER + j]
    if columns == 2:
        for i in range(n):
            j, k = U(i), U2 * U(i)
            means[_LUMA + j] = (luma[_BEFORE + k] + luma[_BEFORE + k + U1]) * share
        for i in range(n):
            j, k = U(i), U2 * U(i)
            means[_ENHANCED + j] = (luma[_AFTER + k] + luma[_AFTER + k + U1]) * share
    else:
        for i in range(n):
            j = U(i)
            means[_LUMA + j] = luma[_BEFORE + j] * share
            means[_ENHANCED + j] = luma[_AFTER + j] * share


@compiled
def _saturation_of_cells(
    ring: Any, low: Any, rise: Any, columns: int, pixels: int, means: Any
) -> None:
    """The chroma gain's map for cells: one row of maps, and what the next one adds."""
    end = U(pixels - 1)
    for i in range((pixels + columns - 1) // columns):
        j, left = U(i), U(i * columns)
        right = min(left + U(columns - 1), end)
        means[_SATURATION + j] = (ring[low + left] + ring[low + right]) * _HALF
        means[_SATURATION_RISE + j] = (ring[rise + left] + ring[rise + right]) * _HALF


@compiled
def _chroma_row(
    u: Any, v: Any, step: int, at: Any, n: int, c: Any, columns: int, rows: int, weight: Any,
    out_step: int, out_c: Any, out_u: Any, out_v: Any, work: Any, means: Any,
) -> None:  # fmt: skip
    """A row of chroma, for cells of so many columns and rows of luma, which are in ``work``."""
    offset, to_red, to_blue = c[CHROMA_OFFSET], c[CR_TO_RED], c[CB_TO_BLUE]
    cb_to_green, cr_to_green = c[CB_TO_GREEN], c[CR_TO_GREEN]
    out_offset, top = out_c[CHROMA_OFFSET_ROUNDED], out_c[LARGEST_CODE]
    span = to_blue / out_c[CB_TO_BLUE]
    for i in range(n):
        j = U(i)
        if step == 1:
            work[_CB + j] = np.float32(u[at + j]) - offset
            work[_CR + j] = np.float32(v[at + j]) - offset
        else:
            work[_CB + j] = np.float32(u[U2 * (at + j)]) - offset
            work[_CR + j] = np.float32(u[U2 * (at + j) + U1]) - offset
    _luma_of_cells(work, columns, rows, n, means)
    for i in range(n):
        j = U(i)
        cb, cr = work[_CB + j], work[_CR + j]
        luma, enhanced = means[_LUMA + j], means[_ENHANCED + j]
        deviation = max(max(cr * to_red, cb * to_blue), cb * cb_to_green + cr * cr_to_green)
        saturation = between(means, _SATURATION, _SATURATION_RISE, j, weight)
        gain = span * _gain(luma, enhanced, deviation, saturation)
        work[_CB + j], work[_CR + j] = cb * gain, cr * gain
    if out_step == 1:
        for i in range(n):
            out_u[at + U(i)] = clamp(work[_CB + U(i)] + out_offset, ZERO, top)
        for i in range(n):
            out_v[at + U(i)] = clamp(work[_CR + U(i)] + out_offset, ZERO, top)
    else:
        for i in range(n):
            j = U(i)
            out_u[U2 * (at + j)] = clamp(work[_CB + j] + out_offset, ZERO, top)
            out_u[U2 * (at + j) + U1] = clamp(work[_CR + j] + out_offset, ZERO, top)


@compiled
def enhance_light_yuv(
    source: Planes, target: Planes, width: int, height: int, layouts: Any, coefficients: Any,
    grid: Grid, first: int, last: int,
) -> None:  # fmt: skip
    """Enhance chroma rows ``first .. last`` of a YUV frame and the luma rows that they cover.

    Arguments are those of ``curve_kernels.enhance_yuv``, but the grid's ramps are over pixels.
    """
    (y, u, v), (out_y, out_u, out_v) = source, target
    (shift_x, shift_y, step), (_, _, out_step) = layouts
    c, out_c = coefficients
    maps, row_lower, row_weight, ramps, knots = grid
    columns = 1 << shift_x
    n_maps, map_rows = maps.shape[0], maps.shape[1]
    slot = U(n_maps) * ROW
    ring = np.empty(3 * n_maps * STRIP, np.float32)
    work, means = np.empty(_ROWS * STRIP, np.float32), np.empty(_MEANS * STRIP, np.float32)
    for at in range(0, width, STRIP):
        n = min(STRIP, width - at)
        cells = (n + columns - 1) >> shift_x
        newest, averaged = -1, -1
        low, rise, weight = U(0), U2 * slot, ZERO
        for chroma_row in range(first, last):
            top = chroma_row << shift_y
            bottom = min(top + (1 << shift_y), height)
            for row in range(top, bottom):
                lower, weight = row_lower[row], row_weight[row]
                upper = min(lower + 1, map_rows - 1)
                newest = advance(maps, newest, lower, upper, ramps, 1, at, n, ring)
                low = U(lower & 1) * slot
                _luma_row(
                    y[row], ring, low, rise, weight, knots, U(at), n, c, out_c, out_y[row],
                    U(row - top) * _NEXT, work,
                )  # fmt: skip
            if n & (columns - 1):  # the last pixel of an odd width fills its cell
                for k in range(4):
                    work[U(k) * ROW + U(n)] = work[U(k) * ROW + U(n - 1)]
            if newest != averaged:
                averaged = newest
                _saturation_of_cells(ring, low + U4 * ROW, rise + U4 * ROW, columns, n, means)
            _chroma_row(
                u[chroma_row], v[chroma_row], step, U(at >> shift_x), cells, c, columns,
                bottom - top, weight, out_step, out_c, out_u[chroma_row], out_v[chroma_row],
                work, means,
            )  # fmt: skip
