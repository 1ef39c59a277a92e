"""The fused CPU kernels: one pass over a frame's own planes, row by row.

What makes them fast: rows are stride-1 so that the compiler vectorises them; the maps are
interpolated vertically on the small grid once a row, then walked cell by cell, so that the
horizontal interpolation is a ramp and never a gather; row buffers stay in cache; every
constant is float32 (one float64 literal halves the speed).

Each kernel works on a band of rows, releases the GIL and allocates its own row buffers, so
several threads can share a frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

ZERO = np.float32(0)
HALF = np.float32(0.5)
ONE = np.float32(1)

_jit = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")


@_jit
def _clamp(x: Any, low: Any, high: Any) -> Any:
    return min(max(x, low), high)


@_jit
def _interpolate_rows(maps: Any, lower: int, weight: Any, out: Any) -> None:
    """Vertical interpolation of every map for one row of the frame."""
    upper = min(lower + 1, maps.shape[1] - 1)
    for c in range(maps.shape[0]):
        low, high, row = maps[c, lower], maps[c, upper], out[c]
        for x in range(maps.shape[2]):
            row[x] = low[x] + (high[x] - low[x]) * weight


@_jit
def _expand(row: Any, cells: Any, weights: Any, out: Any) -> None:
    """Horizontal interpolation: pixels ``cells[c] .. cells[c + 1]`` lie right of sample c."""
    last = row.shape[0] - 1
    for c in range(cells.shape[0] - 1):
        start, low = cells[c], row[c]
        slope = row[min(c + 1, last)] - low
        for x in range(start, cells[c + 1]):
            out[x] = low + slope * weights[x]


@_jit
def _curve_row(x: Any, rows: Any, channel: int, cells: Any, weights: Any, a: Any) -> None:
    """The iterations for one channel of one row, in place (see ``curve.iterate``)."""
    width = x.shape[0]
    if rows.shape[0] == 3:
        _expand(rows[channel], cells, weights, a)
        for i in range(width):
            value, ai = x[i], a[i]
            for _ in range(8):
                value = value + ai * (value * value - value)
            x[i] = value
    else:
        for k in range(channel, rows.shape[0], 3):
            _expand(rows[k], cells, weights, a)
            for i in range(width):
                value = x[i]
                x[i] = value + a[i] * (value * value - value)


@_jit
def _load_chroma(
    u: Any, v: Any, row: int, step: int, width: int, shift: int, c: Any, out: Any
) -> None:
    """One chroma row as its shares of R, G and B, spread to the frame's width."""
    offset, to_r, to_gu, to_gv, to_b = c[2], c[4], c[5], c[6], c[7]
    u_row, v_row = u[row], v[row]
    red, green, blue = out[0], out[1], out[2]
    count = (width + (1 << shift) - 1) >> shift
    for x in range(count):
        if step == 1:
            cb, cr = np.float32(u_row[x]) - offset, np.float32(v_row[x]) - offset
        else:
            cb, cr = np.float32(u_row[2 * x]) - offset, np.float32(u_row[2 * x + 1]) - offset
        r, g, b = cr * to_r, cb * to_gu + cr * to_gv, cb * to_b
        if shift == 0:
            red[x], green[x], blue[x] = r, g, b
        else:
            # The buffers hold one sample more than the width, for the odd last cell.
            red[2 * x], green[2 * x], blue[2 * x] = r, g, b
            red[2 * x + 1], green[2 * x + 1], blue[2 * x + 1] = r, g, b


@_jit
def _load_luma(y_row: Any, chroma: Any, c: Any, rgb: Any) -> None:
    offset, scale = c[0], c[1]
    red, green, blue = rgb[0], rgb[1], rgb[2]
    for x in range(rgb.shape[1]):
        luma = (np.float32(y_row[x]) - offset) * scale
        red[x] = _clamp(luma + chroma[0, x], ZERO, ONE)
        green[x] = _clamp(luma + chroma[1, x], ZERO, ONE)
        blue[x] = _clamp(luma + chroma[2, x], ZERO, ONE)


@_jit
def _store_luma(rgb: Any, c: Any, y_row: Any, sums: Any) -> None:
    """Write one luma row and add its B - Y and R - Y to the chroma cells' sums."""
    kr, kg, kb, span, offset, top = c[8], c[9], c[10], c[11], c[12], c[15]
    red, green, blue = rgb[0], rgb[1], rgb[2]
    sum_b, sum_r = sums[0], sums[1]
    for x in range(rgb.shape[1]):
        luma = red[x] * kr + green[x] * kg + blue[x] * kb
        y_row[x] = _clamp(luma * span + offset, ZERO, top)
        sum_b[x] += blue[x] - luma
        sum_r[x] += red[x] - luma


@_jit
def _store_chroma(
    sums: Any, row: int, rows: int, step: int, width: int, shift: int, c: Any, u: Any, v: Any
) -> None:
    """Write one chroma row: the mean over each cell."""
    to_cb, to_cr, offset, top = c[13], c[14], c[3], c[15]
    u_row, v_row = u[row], v[row]
    per_row = ONE / np.float32(rows)
    count = (width + (1 << shift) - 1) >> shift
    for x in range(count):
        if shift == 0:
            b, r, share = sums[0, x], sums[1, x], per_row
        elif 2 * x + 1 < width:
            b = sums[0, 2 * x] + sums[0, 2 * x + 1]
            r = sums[1, 2 * x] + sums[1, 2 * x + 1]
            share = per_row * HALF
        else:
            b, r, share = sums[0, 2 * x], sums[1, 2 * x], per_row
        cb = _clamp(b * share * to_cb + offset, ZERO, top)
        cr = _clamp(r * share * to_cr + offset, ZERO, top)
        if step == 1:
            u_row[x] = cb
            v_row[x] = cr
        else:
            u_row[2 * x] = cb
            u_row[2 * x + 1] = cr


@_jit
def enhance_yuv(
    y: Any, u: Any, v: Any, out_y: Any, out_u: Any, out_v: Any,
    width: int, height: int, shift_x: int, shift_y: int, step: int,
    first: int, last: int, coefficients: Any,
    maps: Any, row_lower: Any, row_weight: Any, cells: Any, weights: Any,
) -> None:  # fmt: skip
    """Enhance chroma rows ``first .. last`` of a YUV frame and the luma rows that they cover.

    ``step`` is 1 for planar chroma and 2 for interleaved UV (then u and v are one plane).
    ``coefficients`` come from ``cpu.yuv_coefficients``; ``maps`` are ``(3k, h, w)`` float32.
    """
    rgb = np.empty((3, width), np.float32)
    chroma = np.empty((3, width + 1), np.float32)
    sums = np.empty((2, width), np.float32)
    rows = np.empty((maps.shape[0], maps.shape[2]), np.float32)
    a = np.empty(width, np.float32)
    for chroma_row in range(first, last):
        _load_chroma(u, v, chroma_row, step, width, shift_x, coefficients, chroma)
        sums[:] = ZERO
        top = chroma_row << shift_y
        bottom = min(top + (1 << shift_y), height)
        for row in range(top, bottom):
            _load_luma(y[row], chroma, coefficients, rgb)
            _interpolate_rows(maps, row_lower[row], row_weight[row], rows)
            for channel in range(3):
                _curve_row(rgb[channel], rows, channel, cells, weights, a)
            _store_luma(rgb, coefficients, out_y[row], sums)
        _store_chroma(
            sums, chroma_row, bottom - top, step, width, shift_x, coefficients, out_u, out_v
        )


@_jit
def enhance_packed(
    src: Any, out: Any, width: int, first: int, last: int, bgr: bool, top: Any, rounding: Any,
    maps: Any, row_lower: Any, row_weight: Any, cells: Any, weights: Any,
) -> None:  # fmt: skip
    """Enhance rows ``first .. last`` of packed RGB or BGR.

    ``top`` is the code of white; ``rounding`` is 0.5 for integer samples and 0 for float.
    """
    x = np.empty(width, np.float32)
    rows = np.empty((maps.shape[0], maps.shape[2]), np.float32)
    a = np.empty(width, np.float32)
    scale = ONE / top
    for row in range(first, last):
        _interpolate_rows(maps, row_lower[row], row_weight[row], rows)
        src_row, out_row = src[row], out[row]
        for channel in range(3):
            at = 2 - channel if bgr else channel
            for i in range(width):
                x[i] = _clamp(np.float32(src_row[3 * i + at]) * scale, ZERO, ONE)
            _curve_row(x, rows, channel, cells, weights, a)
            for i in range(width):
                out_row[3 * i + at] = x[i] * top + rounding


@_jit
def _box_row(plane: Any, top: int, bottom: int, samples: int, sums: Any) -> None:
    """Column sums over rows ``top .. bottom``."""
    sums[:] = ZERO
    for row in range(top, bottom):
        line = plane[row]
        for x in range(samples):
            sums[x] += np.float32(line[x])


@_jit
def thumbnail_yuv(
    y: Any, u: Any, v: Any, width: int, height: int, shift_x: int, shift_y: int, step: int,
    coefficients: Any, out: Any,
) -> None:  # fmt: skip
    """Box-average a YUV frame to ``(3, h, w)`` float32 RGB in [0, 1]."""
    c = coefficients
    chroma_width = (width + (1 << shift_x) - 1) >> shift_x
    y_sums = np.empty(width, np.float32)
    u_sums = np.empty(chroma_width * step, np.float32)
    v_sums = np.empty(chroma_width, np.float32)
    h, w = out.shape[1], out.shape[2]
    for i in range(h):
        top, bottom = i * height // h, (i + 1) * height // h
        c_top = top >> shift_y
        c_bottom = max(((bottom - 1) >> shift_y) + 1, c_top + 1)
        _box_row(y, top, bottom, width, y_sums)
        _box_row(u, c_top, c_bottom, chroma_width * step, u_sums)
        if step == 1:
            _box_row(v, c_top, c_bottom, chroma_width, v_sums)
        for j in range(w):
            left, right = j * width // w, (j + 1) * width // w
            c_left = left >> shift_x
            c_right = max(((right - 1) >> shift_x) + 1, c_left + 1)
            luma, cb, cr = ZERO, ZERO, ZERO
            for x in range(left, right):
                luma += y_sums[x]
            for x in range(c_left, c_right):
                if step == 1:
                    cb += u_sums[x]
                    cr += v_sums[x]
                else:
                    cb += u_sums[2 * x]
                    cr += u_sums[2 * x + 1]
            luma /= np.float32((bottom - top) * (right - left))
            count = np.float32((c_bottom - c_top) * (c_right - c_left))
            luma = (luma - c[0]) * c[1]
            cb, cr = cb / count - c[2], cr / count - c[2]
            out[0, i, j] = _clamp(luma + cr * c[4], ZERO, ONE)
            out[1, i, j] = _clamp(luma + cb * c[5] + cr * c[6], ZERO, ONE)
            out[2, i, j] = _clamp(luma + cb * c[7], ZERO, ONE)


@_jit
def thumbnail_packed(src: Any, width: int, height: int, bgr: bool, top: Any, out: Any) -> None:
    """Box-average packed RGB or BGR to ``(3, h, w)`` float32 RGB in [0, 1]."""
    sums = np.empty(3 * width, np.float32)
    h, w = out.shape[1], out.shape[2]
    for i in range(h):
        first, last = i * height // h, (i + 1) * height // h
        _box_row(src, first, last, 3 * width, sums)
        for j in range(w):
            left, right = j * width // w, (j + 1) * width // w
            scale = ONE / (top * np.float32((last - first) * (right - left)))
            for channel in range(3):
                total = ZERO
                at = 2 - channel if bgr else channel
                for x in range(left, right):
                    total += sums[3 * x + at]
                out[channel, i, j] = _clamp(total * scale, ZERO, ONE)
