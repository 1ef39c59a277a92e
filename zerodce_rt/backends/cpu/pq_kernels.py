"""PQ samples to codes in which curves work and back (``curve/pq.py``), through tables.

Luma goes as it lies, so that no detail is lost. The chroma of a cell stands for how far its R and B
are from its luma, and that is what the tables are asked for; both ways at the same means of luma in
PQ, so that the way back is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.coefficients import (
    BLUE_TO_CB,
    CB_TO_BLUE,
    CHROMA_OFFSET,
    CHROMA_OFFSET_ROUNDED,
    CR_TO_RED,
    LARGEST_CODE,
    LUMA_OFFSET,
    LUMA_SCALE,
    RED_TO_CR,
)
from zerodce_rt.backends.cpu.arguments import Planes
from zerodce_rt.backends.cpu.compiling import ONE, U1, U2, ZERO, U, clamp, compiled, inlined

_HALF = np.float32(0.5)


@inlined
def _looked_up(table: Any, scale: Any, x: Any) -> Any:
    """The value at ``x``, of a table for ``x >= 0`` whose function is odd."""
    value = table[U(min(abs(x) * scale + _HALF, np.float32(table.shape[0] - 1)))]
    return value if x >= ZERO else -value


@compiled
def _cell_means(
    y: Any, top: int, bottom: int, columns: int, width: int, c: Any, means: Any
) -> None:
    """Mean luma, in [0, 1], of the cells of rows ``top .. bottom``."""
    offset, scale = c[LUMA_OFFSET], c[LUMA_SCALE]
    means[:] = ZERO
    for row in range(top, bottom):
        line = y[row]
        for x in range(width):
            luma = clamp((np.float32(line[U(x)]) - offset) * scale, ZERO, ONE)
            means[U(x) // U(columns)] += luma
    for i in range(means.shape[0]):
        count = min(columns, width - i * columns) * (bottom - top)
        means[U(i)] /= np.float32(count)


@inlined
def _chroma(u: Any, v: Any, step: int, j: Any, c: Any) -> Any:
    """How far R and B are from luma."""
    if step == 1:
        cb, cr = np.float32(u[j]), np.float32(v[j])
    else:
        cb, cr = np.float32(u[U2 * j]), np.float32(u[U2 * j + U1])
    return (cr - c[CHROMA_OFFSET]) * c[CR_TO_RED], (cb - c[CHROMA_OFFSET]) * c[CB_TO_BLUE]


@compiled
def pq_to_gamma(
    source: Planes, target: Planes, width: int, height: int, layout: Any, c: Any, out_c: Any,
    luma_table: Any, table: Any, scale: Any, first: int, last: int,
) -> None:  # fmt: skip
    """Chroma rows ``first .. last`` and the luma rows that they cover, to planar samples.

    Args:
        luma_table: the target's code for each of the source's.
        table: ``pq.to_gamma`` at ``i / scale``.
    """
    (y, u, v), (out_y, out_u, out_v) = source, target
    shift_x, shift_y, step = layout
    columns = 1 << shift_x
    means = np.empty((width + columns - 1) >> shift_x, np.float32)
    offset, top_code = out_c[CHROMA_OFFSET_ROUNDED], out_c[LARGEST_CODE]
    for chroma_row in range(first, last):
        top = chroma_row << shift_y
        bottom = min(top + (1 << shift_y), height)
        for row in range(top, bottom):
            line, out_line = y[row], out_y[row]
            for x in range(width):
                out_line[U(x)] = luma_table[line[U(x)]]
        _cell_means(y, top, bottom, columns, width, c, means)
        u_row, v_row, out_u_row, out_v_row = u[chroma_row], v[chroma_row], out_u[chroma_row], \
            out_v[chroma_row]  # fmt: skip
        for i in range(means.shape[0]):
            j = U(i)
            red, blue = _chroma(u_row, v_row, step, j, c)
            base = _looked_up(table, scale, means[j])
            red = _looked_up(table, scale, means[j] + red) - base
            blue = _looked_up(table, scale, means[j] + blue) - base
            out_u_row[j] = clamp(blue * out_c[BLUE_TO_CB] + offset, ZERO, top_code)
            out_v_row[j] = clamp(red * out_c[RED_TO_CR] + offset, ZERO, top_code)


@compiled
def gamma_to_pq(
    enhanced: Planes, source: Planes, target: Planes, width: int, height: int, layouts: Any,
    enhanced_c: Any, c: Any, tables: Any, peak: Any, first: int, last: int,
) -> None:  # fmt: skip
    """The way back; what is above the peak in the PQ source is taken from there.

    Args:
        layouts: of source and target, which may differ in how chroma lies in memory.
        tables: ``(luma_table, table, scale, inverse, inverse_scale)``: the target's code for each
            of the enhanced, and ``pq.to_gamma`` and ``pq.from_gamma`` as in ``pq_to_gamma``.
        peak: in PQ codes in [0, 1].
    """
    (y, u, v), (source_y, source_u, source_v), (out_y, out_u, out_v) = enhanced, source, target
    (shift_x, shift_y, step), (_, _, out_step) = layouts
    luma_table, table, scale, inverse, inverse_scale = tables
    columns = 1 << shift_x
    cells = (width + columns - 1) >> shift_x
    means, before = np.empty(cells, np.float32), np.empty(cells, np.float32)
    offset, top_code = c[CHROMA_OFFSET_ROUNDED], c[LARGEST_CODE]
    peak_code = peak / c[LUMA_SCALE] + c[LUMA_OFFSET]
    for chroma_row in range(first, last):
        top = chroma_row << shift_y
        bottom = min(top + (1 << shift_y), height)
        _cell_means(source_y, top, bottom, columns, width, c, before)
        for row in range(top, bottom):
            line, source_line, out_line = y[row], source_y[row], out_y[row]
            for x in range(width):
                i = U(x)
                above = np.float32(source_line[i]) >= peak_code
                out_line[i] = source_line[i] if above else luma_table[line[i]]
        _cell_means(out_y, top, bottom, columns, width, c, means)
        for i in range(cells):
            j = U(i)
            if before[j] >= peak:
                red, blue = _chroma(source_u[chroma_row], source_v[chroma_row], step, j, c)
            else:
                red, blue = _chroma(u[chroma_row], v[chroma_row], 1, j, enhanced_c)
                base = _looked_up(table, scale, means[j])
                red = _looked_up(inverse, inverse_scale, base + red) - means[j]
                blue = _looked_up(inverse, inverse_scale, base + blue) - means[j]
            cb = clamp(blue * c[BLUE_TO_CB] + offset, ZERO, top_code)
            cr = clamp(red * c[RED_TO_CR] + offset, ZERO, top_code)
            if out_step == 1:
                out_u[chroma_row, j] = cb
                out_v[chroma_row, j] = cr
            else:
                out_u[chroma_row, U2 * j] = cb
                out_u[chroma_row, U2 * j + U1] = cr
