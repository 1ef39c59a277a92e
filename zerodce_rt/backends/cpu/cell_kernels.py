"""Frames as whole cells: the denoiser's own copy of a frame's samples.

Cells are 2x2 luma samples and the chroma samples over them: one each of Cb and Cr in 4:2:0, two
in 4:2:2, four in 4:4:4. Chroma is kept as planes with one sample a cell, so that all formats are
filtered alike. Where a frame ends inside a cell, its last samples are repeated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.coefficients import (
    BLUE_TO_CB,
    BLUE_WEIGHT,
    CHROMA_OFFSET_ROUNDED,
    GREEN_WEIGHT,
    LUMA_OFFSET_ROUNDED,
    LUMA_SPAN,
    RED_TO_CR,
    RED_WEIGHT,
)
from zerodce_rt.backends.cpu.compiling import ONE, U1, U2, U3, ZERO, U, clamp, compiled
from zerodce_rt.backends.cpu.temporal_kernels import LENGTH, ROW, STRIP, F


@compiled
def load_samples(
    plane: Any, x0: int, dx: int, y0: int, dy: int, columns: int, rows: int, out: Any, first: int,
    last: int,
) -> None:  # fmt: skip
    """Rows ``first .. last`` of samples that lie ``dx`` and ``dy`` apart in a plane.

    ``columns`` and ``rows`` say how many there are; the last ones are repeated to fill ``out``.
    """
    for r in range(first, last):
        source, row = plane[y0 + dy * min(r, rows - 1)], out[r]
        if dx == 1:
            for i in range(columns):
                row[U(i)] = source[U(x0) + U(i)]
        elif dx == 2:
            for i in range(columns):
                row[U(i)] = source[U(x0) + U2 * U(i)]
        else:
            for i in range(columns):
                row[U(i)] = source[U(x0) + U(dx) * U(i)]
        for i in range(columns, out.shape[1]):
            row[i] = row[columns - 1]


@compiled
def _split_packed(source: Any, at: int, n: int, scale: Any, out: Any) -> None:
    """Pixels ``at .. at + n`` of a packed row as three rows in [0, 1]."""
    for i in range(n):
        j = U3 * (U(at) + U(i))
        out[U(i)] = clamp(F(source[j]) * scale, ZERO, ONE)
        out[ROW + U(i)] = clamp(F(source[j + U1]) * scale, ZERO, ONE)
        out[U2 * ROW + U(i)] = clamp(F(source[j + U2]) * scale, ZERO, ONE)


@compiled
def _to_yuv(rgb: Any, red: Any, blue: Any, n: int, c: Any, out: Any) -> None:
    """Three rows as luma, Cb and Cr; ``red`` and ``blue`` say where those two begin."""
    for i in range(n):
        o = U(i)
        r, b = rgb[red + o], rgb[blue + o]
        luma = r * c[RED_WEIGHT] + rgb[ROW + o] * c[GREEN_WEIGHT] + b * c[BLUE_WEIGHT]
        out[o] = luma * c[LUMA_SPAN] + c[LUMA_OFFSET_ROUNDED]
        out[ROW + o] = (b - luma) * c[BLUE_TO_CB] + c[CHROMA_OFFSET_ROUNDED]
        out[U2 * ROW + o] = (r - luma) * c[RED_TO_CR] + c[CHROMA_OFFSET_ROUNDED]


@compiled
def _store_luma(yuv: Any, at: int, n: int, y: Any) -> None:
    for i in range(n):
        y[U(at) + U(i)] = yuv[U(i)]


@compiled
def _store_chroma(values: Any, cell: int, n: int, even: Any, odd: Any) -> None:
    """A row of chroma to the planes for the even and for the odd pixels of ``n`` cells."""
    for i in range(n):
        j, o = U(cell) + U(i), U2 * U(i)
        even[j] = values[o]
        odd[j] = values[o + U1]


@compiled
def load_packed(
    plane: Any, width: int, height: int, bgr: bool, white: Any, c: Any, luma: Any, chroma: Any,
    first: int, last: int,
) -> None:  # fmt: skip
    """Cell rows ``first .. last`` of packed RGB or BGR, as YUV.

    ``white`` is the code of 1.0; ``c`` are the numbers of ``yuv_coefficients``.
    """
    scale = ONE / white
    red, blue = (U2 * ROW, U(0)) if bgr else (U(0), U2 * ROW)
    rgb, yuv = np.empty(3 * LENGTH, F), np.empty(3 * LENGTH, F)
    columns = luma.shape[1]
    for at in range(0, columns, STRIP):
        n = min(STRIP, columns - at)
        seen = max(min(n, width - at), 0)
        for row in range(2 * first, 2 * last):
            source = plane[min(row, height - 1)]
            _split_packed(source, at, seen, scale, rgb)
            for i in range(seen, n):  # what is missing is like the last pixel
                for k in range(3):
                    value = F(source[3 * (width - 1) + k]) * scale
                    rgb[k * LENGTH + i] = clamp(value, ZERO, ONE)
            _to_yuv(rgb, red, blue, n, c, yuv)
            _store_luma(yuv, at, n, luma[row])
            cell, r, even = at // 2, row // 2, 2 * (row & 1)
            cb, cr = yuv[LENGTH:], yuv[2 * LENGTH :]
            _store_chroma(cb, cell, n // 2, chroma[even, r], chroma[even + 1, r])
            _store_chroma(cr, cell, n // 2, chroma[even + 4, r], chroma[even + 5, r])


@compiled
def interleave(phases: Any, across: int, down: int, out: Any, first: int, last: int) -> None:
    """Cell rows ``first .. last`` of chroma planes with one sample a cell as one plane.

    Args:
        across, down: samples in a cell.
    """
    for r in range(first, last):
        for t in range(down):
            row = out[down * r + t]
            for p in range(across):
                source = phases[across * t + p, r]
                if across == 1:
                    for i in range(source.shape[0]):
                        row[U(i)] = source[U(i)]
                else:
                    for i in range(source.shape[0]):
                        row[U2 * U(i) + U(p)] = source[U(i)]


@compiled
def block_statistics(
    plane: Any, before: Any, scale: Any, start: int, step: int, difference: Any, inside: Any,
    level: Any, changed: Any,
) -> None:  # fmt: skip
    """Of rows ``start, start + step, ..`` of blocks of 8x8 samples (see ``denoise.noise``).

    ``scale`` leads to 8-bit codes; ``level`` is the blocks' own mean code.
    """
    k = 0
    square = scale * scale
    for row in range(start, plane.shape[0] // 8, step):
        for column in range(plane.shape[1] // 8):
            energy, spread, total, moved = F(0), F(0), F(0), 0
            for half in range(2):
                sum0, sum1, squares = F(0), F(0), F(0)
                for r in range(8 * row + 4 * half, 8 * row + 4 * half + 4):
                    a, b = plane[r], before[r]
                    for i in range(4):
                        j, m = U(8 * column + i), U(8 * column + 4 + i)
                        x, y = F(a[j]), F(a[m])
                        d0, d1 = x - F(b[j]), y - F(b[m])
                        energy += d0 * d0 + d1 * d1
                        moved += (a[j] != b[j]) + (a[m] != b[m])
                        sum0 += x
                        sum1 += y
                        squares += x * x + y * y
                spread += F(16) * squares - sum0 * sum0 - sum1 * sum1
                total += sum0 + sum1
            difference[k] = energy * square * F(1 / 128)
            inside[k] = spread * square * F(1 / 960)
            level[k] = total * scale * F(1 / 64)
            changed[k] = moved
            k += 1
