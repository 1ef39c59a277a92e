"""The fused CPU kernels: one pass over a frame's own planes, row by row.

What makes them fast: rows are stride-1 so that the compiler vectorises them; the maps are
interpolated horizontally once per row of the small grid, as ramps and never as gathers, and
vertically as each pixel is computed; with one chroma sample for two pixels, even and odd columns
lie apart, so that both use it as it is; every constant is float32 (one float64 literal halves
the speed) and every computed index unsigned (a signed one may be negative, and is checked).

Each kernel works on a band of rows, releases the GIL and allocates its own row buffers, so
several threads can share a frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np

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

# Cells of a row (one pixel, or two that share a chroma sample) worked on at once. All buffers
# are flat and have rows of this constant length: with strides that it does not know the compiler
# would have to check at run time whether the rows overlap.
STRIP = 1024
ROW = U(STRIP)


@inlined
def _step(x: Any, a: Any) -> Any:
    """One iteration (see ``curve.iterate``)."""
    return x + a * (x * x - x)


@inlined
def _curve(x: Any, a: Any) -> Any:
    """Eight iterations with a shared map."""
    for _ in range(8):
        x = _step(x, a)
    return x


@inlined
def _between(ring: Any, low: Any, high: Any, i: Any, weight: Any) -> Any:
    """Vertical interpolation of one map value."""
    return ring[low + i] + (ring[high + i] - ring[low + i]) * weight


@compiled
def _expand(row: Any, cells: Any, weights: Any, columns: int, at: int, n: int, out: Any) -> None:
    """Horizontal interpolation of a map's row for the cells ``at .. at + n``.

    Pixels ``cells[c] .. cells[c + 1]`` lie right of sample c. Pixel ``columns * j + p``, whose
    weight is ``weights[p, j]``, goes to ``out[p * STRIP + j - at]``.
    """
    last = row.shape[0] - 1
    first = columns * at
    stop = first + columns * n
    if row.shape[0] == weights.size:
        for p in range(columns):
            source, target = row[first + p :], out[p * STRIP :]
            for i in range(n):
                target[i] = source[U(columns) * U(i)]
        return
    c = np.searchsorted(cells, first, side="right") - 1
    x = first
    while x < stop:
        low = row[c]
        slope = row[min(c + 1, last)] - low
        end = min(cells[c + 1], stop)
        for p in range(columns):
            # The first of the ramp's pixels in column p, and the first behind it.
            start = (x - first - p + columns - 1) // columns
            count = (end - first - p + columns - 1) // columns - start
            target, weight = out[p * STRIP + start :], weights[p, at + start :]
            for i in range(count):
                target[i] = low + slope * weight[i]
        x = end
        c += 1


@compiled
def _advance(
    maps: Any, newest: int, lower: int, upper: int, cells: Any, weights: Any, columns: int,
    at: int, n: int, ring: Any,
) -> int:  # fmt: skip
    """Bring the ring, which holds the two newest rows of every map, up to a row; the newest."""
    size = columns * STRIP
    newest = max(newest, lower - 1)
    while newest < upper:
        newest += 1
        slot = (newest & 1) * maps.shape[0] * size
        for k in range(maps.shape[0]):
            _expand(maps[k, newest], cells, weights, columns, at, n, ring[slot + k * size :])
    return newest


@compiled
def _iterate(
    x: Any, ring: Any, low: Any, high: Any, weight: Any, maps: int, columns: int, n: int, bgr: bool
) -> None:
    """The iterations for the three channels of a strip, in place (see ``curve.iterate``)."""
    size = U(columns) * ROW
    for i in range(3):
        channel = U(2 - i) if bgr else U(i)
        for p in range(columns):
            values = U(i) * size + U(p) * ROW
            first = channel * size + U(p) * ROW
            if maps == 3:
                for j in range(n):
                    a = _between(ring, low + first, high + first, U(j), weight)
                    x[values + U(j)] = _curve(x[values + U(j)], a)
            else:
                # Two iterations at a time: fewer trips of x to memory and back.
                for k in range(0, maps // 3 - 1, 2):
                    one = first + U(3 * k) * size
                    two = one + U3 * size
                    for j in range(n):
                        a = _between(ring, low + one, high + one, U(j), weight)
                        b = _between(ring, low + two, high + two, U(j), weight)
                        x[values + U(j)] = _step(_step(x[values + U(j)], a), b)
                if maps // 3 & 1:
                    one = first + U(maps - 3) * size
                    for j in range(n):
                        a = _between(ring, low + one, high + one, U(j), weight)
                        x[values + U(j)] = _step(x[values + U(j)], a)


@compiled
def _load_chroma(u: Any, v: Any, step: int, at: Any, n: int, c: Any, chroma: Any) -> None:
    """Chroma samples as their shares of R, G and B."""
    offset, to_r, to_gu, to_gv, to_b = c[2], c[4], c[5], c[6], c[7]
    for i in range(n):
        j = U(i)
        if step == 1:
            cb, cr = np.float32(u[at + j]) - offset, np.float32(v[at + j]) - offset
        else:
            cb = np.float32(u[U2 * (at + j)]) - offset
            cr = np.float32(u[U2 * (at + j) + U1]) - offset
        chroma[j] = cr * to_r
        chroma[ROW + j] = cb * to_gu + cr * to_gv
        chroma[U2 * ROW + j] = cb * to_b


@compiled
def _store_chroma(
    sums: Any, pixels: int, step: int, at: Any, n: int, c: Any, u: Any, v: Any
) -> None:
    """Chroma samples as the mean B - Y and R - Y of each cell."""
    share = ONE / np.float32(pixels)
    to_cb, to_cr, offset, top = c[13] * share, c[14] * share, c[3], c[15]
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
    return red * c[8] + green * c[9] + blue * c[10]


@inlined
def _code(luma: Any, c: Any) -> Any:
    return clamp(luma * c[11] + c[12], ZERO, c[15])


@inlined
def _load(code: Any, share: Any, c: Any) -> Any:
    """A channel's value from a luma sample and the channel's share of the chroma."""
    return clamp((np.float32(code) - c[0]) * c[1] + share, ZERO, ONE)


@compiled
def _load_row(y: Any, chroma: Any, columns: int, at: Any, n: int, c: Any, rgb: Any) -> None:
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
    y: Any, u: Any, v: Any, out_y: Any, out_u: Any, out_v: Any,
    width: int, height: int, shift_x: int, shift_y: int, step: int,
    first: int, last: int, coefficients: Any,
    maps: Any, row_lower: Any, row_weight: Any, cells: Any, weights: Any,
) -> None:  # fmt: skip
    """Enhance chroma rows ``first .. last`` of a YUV frame and the luma rows that they cover.

    ``step`` is 1 for planar chroma and 2 for interleaved UV (then u and v are one plane).
    ``coefficients`` come from ``yuv.yuv_coefficients``; ``maps`` are ``(3k, h, w)`` float32;
    ``row_lower`` to ``weights`` come from ``cpu._rows`` and ``cpu._cells``.
    """
    columns, count = 1 << shift_x, (width + (1 << shift_x) - 1) >> shift_x
    n_maps, map_rows = maps.shape[0], maps.shape[1]
    slot = U(n_maps * columns) * ROW
    ring = np.empty(2 * n_maps * columns * STRIP, np.float32)
    rgb = np.empty(3 * columns * STRIP, np.float32)
    chroma = np.empty(3 * STRIP, np.float32)
    sums = np.empty(2 * STRIP, np.float32)
    odd_y, odd_out = np.empty(width + 1, y.dtype), np.empty(width + 1, y.dtype)
    for at in range(0, count, STRIP):
        n = min(STRIP, count - at)
        # The last pixel of an odd width stands for the missing half of its cell, too.
        odd = columns * (at + n) > width
        newest = -1
        for chroma_row in range(first, last):
            _load_chroma(u[chroma_row], v[chroma_row], step, U(at), n, coefficients, chroma)
            sums[:] = ZERO
            top = chroma_row << shift_y
            bottom = min(top + (1 << shift_y), height)
            for row in range(top, bottom):
                lower, weight = row_lower[row], row_weight[row]
                upper = min(lower + 1, map_rows - 1)
                newest = _advance(maps, newest, lower, upper, cells, weights, columns, at, n, ring)
                low, high = U(lower & 1) * slot, U(upper & 1) * slot
                source, target = y[row], out_y[row]
                if odd:
                    odd_y[:width] = source[:width]
                    odd_y[width] = source[width - 1]
                    source, target = odd_y, odd_out
                _load_row(source, chroma, columns, U(at), n, coefficients, rgb)
                _iterate(rgb, ring, low, high, weight, n_maps, columns, n, False)
                _store_row(rgb, columns, U(at), n, coefficients, target, sums)
                if odd:
                    out_y[row, columns * at : width] = odd_out[columns * at : width]
            _store_chroma(
                sums, (bottom - top) * columns, step, U(at), n, coefficients,
                out_u[chroma_row], out_v[chroma_row],
            )  # fmt: skip


@compiled
def _load_packed(src: Any, at: Any, n: int, scale: Any, x: Any) -> None:
    for i in range(n):
        j = U(i)
        at_j = U3 * (at + j)
        x[j] = clamp(np.float32(src[at_j]) * scale, ZERO, ONE)
        x[ROW + j] = clamp(np.float32(src[at_j + U1]) * scale, ZERO, ONE)
        x[U2 * ROW + j] = clamp(np.float32(src[at_j + U2]) * scale, ZERO, ONE)


@compiled
def _store_packed(x: Any, at: Any, n: int, top: Any, rounding: Any, out: Any) -> None:
    for i in range(n):
        j = U(i)
        at_j = U3 * (at + j)
        out[at_j] = x[j] * top + rounding
        out[at_j + U1] = x[ROW + j] * top + rounding
        out[at_j + U2] = x[U2 * ROW + j] * top + rounding


@compiled
def enhance_packed(
    src: Any, out: Any, width: int, first: int, last: int, bgr: bool, top: Any, rounding: Any,
    maps: Any, row_lower: Any, row_weight: Any, cells: Any, weights: Any,
) -> None:  # fmt: skip
    """Enhance rows ``first .. last`` of packed RGB or BGR.

    ``top`` is the code of white; ``rounding`` is 0.5 for integer samples and 0 for float.
    """
    n_maps, map_rows = maps.shape[0], maps.shape[1]
    ring = np.empty(2 * n_maps * STRIP, np.float32)
    x = np.empty(3 * STRIP, np.float32)
    slot = U(n_maps) * ROW
    for at in range(0, width, STRIP):
        n = min(STRIP, width - at)
        newest = -1
        for row in range(first, last):
            lower, weight = row_lower[row], row_weight[row]
            upper = min(lower + 1, map_rows - 1)
            newest = _advance(maps, newest, lower, upper, cells, weights, 1, at, n, ring)
            _load_packed(src[row], U(at), n, ONE / top, x)
            low, high = U(lower & 1) * slot, U(upper & 1) * slot
            _iterate(x, ring, low, high, weight, n_maps, 1, n, bgr)
            _store_packed(x, U(at), n, top, rounding, out[row])
