"""Frames as whole cells: the denoiser's own copy of a frame's samples.

Cells are 2x2 luma samples and the chroma samples over them: one each of Cb and Cr in 4:2:0, two
in 4:2:2, four in 4:4:4. Chroma is kept as planes with one sample a cell, so that all formats are
filtered alike. Where a frame ends inside a cell, its last samples are repeated.
"""

from __future__ import annotations

from typing import Any

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
from zerodce_rt.backends.cpu.temporal_kernels import F


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
def load_packed(
    plane: Any, width: int, height: int, bgr: bool, white: Any, c: Any, luma: Any, chroma: Any,
    first: int, last: int,
) -> None:  # fmt: skip
    """Cell rows ``first .. last`` of packed RGB or BGR, as YUV.

    ``white`` is the code of 1.0; ``c`` are the numbers of ``yuv_coefficients``.
    """
    red_at, blue_at = (U(2), U(0)) if bgr else (U(0), U(2))
    scale = ONE / white
    end, phase_of_end = (width - 1) // 2, (width - 1) & 1
    for row in range(2 * first, 2 * last):
        source, y = plane[min(row, height - 1)], luma[row]
        cb, cr = chroma[2 * (row & 1) :, row // 2], chroma[4 + 2 * (row & 1) :, row // 2]
        for p in range(2):
            u, v = cb[p], cr[p]
            for i in range((width + 1 - p) // 2):  # cells whose column p is in the frame
                j = U3 * (U2 * U(i) + U(p))
                red = clamp(F(source[j + red_at]) * scale, ZERO, ONE)
                green = clamp(F(source[j + U1]) * scale, ZERO, ONE)
                blue = clamp(F(source[j + blue_at]) * scale, ZERO, ONE)
                value = red * c[RED_WEIGHT] + green * c[GREEN_WEIGHT] + blue * c[BLUE_WEIGHT]
                y[U2 * U(i) + U(p)] = value * c[LUMA_SPAN] + c[LUMA_OFFSET_ROUNDED]
                u[U(i)] = (blue - value) * c[BLUE_TO_CB] + c[CHROMA_OFFSET_ROUNDED]
                v[U(i)] = (red - value) * c[RED_TO_CR] + c[CHROMA_OFFSET_ROUNDED]
        for x in range(width, y.shape[0]):
            y[x] = y[width - 1]
            cb[x & 1, x // 2], cr[x & 1, x // 2] = cb[phase_of_end, end], cr[phase_of_end, end]


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
