"""Frames as whole cells: the denoiser's own copy of a frame's samples.

Cells are 2x2 luma samples and the mean of the chroma samples over them: of one in 4:2:0, two in
4:2:2, four in 4:4:4 and in packed pixels. All formats are so filtered as 4:2:0; what the chroma
samples of a cell differ by is added again at the end, where it is more than noise. Where a frame
ends inside a cell, its last samples are repeated.
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
from zerodce_rt.backends.cpu.map_kernels import STRIP
from zerodce_rt.backends.cpu.temporal_kernels import (
    HALF,
    LENGTH,
    ROW,
    TO_CODE,
    F,
    hinged,
)

# Samples of chroma in a cell, at most.
PHASES = 4
# Cells whose pixels fit into a row of scratch, with one more on each side.
HALF_STRIP = STRIP // 2
TINY, HIGHEST = F(1e-3), F(65535)


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
def _take_pairs(values: Any, n: int, even: Any, odd: Any) -> None:
    for i in range(n):
        o = U2 * U(i)
        even[U(i)] = values[o]
        odd[U(i)] = values[o + U1]


@compiled
def chroma_of_packed(
    source: Any, r: int, at: int, n: int, yuv: Any, luma: Any, keep: bool, chroma: Any
) -> None:
    """Cells ``at .. at + n`` of cell row ``r`` of packed pixels; see ``_chroma_of_planes``.

    ``source`` is ``(plane, width, height, bgr, scale, c)``. If ``keep``, luma is written, too.
    """
    plane, width, height, bgr, scale, c = source
    rgb, out = yuv[: 3 * LENGTH], yuv[3 * LENGTH :]
    red, blue = (U2 * ROW, U(0)) if bgr else (U(0), U2 * ROW)
    x0, pixels = 2 * at, 2 * n
    seen = max(min(pixels, width - x0), 0)
    for t in range(2):
        row = plane[min(2 * r + t, height - 1)]
        _split_packed(row, x0, seen, scale, rgb)
        for i in range(seen, pixels):  # what is missing is like the last pixel
            for k in range(3):
                value = F(row[3 * (width - 1) + k]) * scale
                rgb[k * LENGTH + i] = clamp(value, ZERO, ONE)
        _to_yuv(rgb, red, blue, pixels, c, out)
        if keep:
            _store_luma(out, x0, pixels, luma[2 * r + t])
        for k in range(2):
            first = (PHASES * k + 2 * t) * LENGTH
            values = out[(k + 1) * LENGTH :]
            _take_pairs(values, n, chroma[first:], chroma[first + LENGTH :])


@compiled
def _chroma_of_planes(source: Any, r: int, at: int, n: int, chroma: Any) -> None:
    """Chroma samples of cells ``at .. at + n`` of cell row ``r``, with 256 steps to an 8-bit code.

    To the rows of ``chroma``: up to four samples of Cb in a cell, row by row, then those of Cr.
    ``source`` is ``(cb, cr, x_cb, x_cr, dx, y0, dy, columns, rows, across, down, scale)``: samples
    lie ``dx`` and ``dy`` apart, and there are so many; the last ones are repeated.
    """
    cb, cr, x_cb, x_cr, dx, y0, dy, columns, rows, across, down, scale = source
    for t in range(down):
        row = y0 + dy * min(down * r + t, rows - 1)
        for p in range(across):
            inside = max(min(n, (columns - p + across - 1) // across - at), 0)
            for k in range(2):
                samples = cb[row] if k == 0 else cr[row]
                x = (x_cb if k == 0 else x_cr) + dx * (across * at + p)
                out = chroma[(PHASES * k + across * t + p) * LENGTH :]
                step = U(dx * across)
                for i in range(inside):
                    out[U(i)] = F(samples[U(x) + step * U(i)]) * scale
                last = F(samples[(x_cb if k == 0 else x_cr) + dx * (columns - 1)]) * scale
                for i in range(inside, n):
                    out[i] = last


@compiled
def _add(values: Any, n: int, out: Any) -> None:
    for i in range(n):
        out[U(i)] += values[U(i)]


@compiled
def _mean_chroma(chroma: Any, phases: int, n: int, out: Any) -> None:
    share = ONE / F(phases)
    for k in range(2):
        total = out[k * LENGTH :]
        total[:n] = ZERO
        for m in range(PHASES * k, PHASES * k + phases):
            _add(chroma[m * LENGTH :], n, total)
        for i in range(n):
            total[U(i)] *= share


@compiled
def _store_means(means: Any, at: int, n: int, cb: Any, cr: Any) -> None:
    for i in range(n):
        cb[U(at) + U(i)] = means[U(i)] + HALF
        cr[U(at) + U(i)] = means[ROW + U(i)] + HALF


@compiled
def load_packed(source: Any, luma: Any, chroma: Any, first: int, last: int) -> None:
    """Luma and mean chroma of cell rows ``first .. last`` (see ``chroma_of_packed``)."""
    rows, means = np.empty(2 * PHASES * LENGTH, F), np.empty(2 * LENGTH, F)
    yuv = np.empty(6 * LENGTH, F)
    for at in range(0, chroma.shape[2], HALF_STRIP):
        n = min(HALF_STRIP, chroma.shape[2] - at)
        for r in range(first, last):
            chroma_of_packed(source, r, at, n, yuv, luma, True, rows)
            _mean_chroma(rows, PHASES, n, means)
            _store_means(means, at, n, chroma[0, r], chroma[1, r])


@compiled
def load_chroma(source: Any, chroma: Any, first: int, last: int) -> None:
    """Mean chroma of cell rows ``first .. last`` (see ``_chroma_of_planes``)."""
    phases = source[9] * source[10]
    rows, means = np.empty(2 * PHASES * LENGTH, F), np.empty(2 * LENGTH, F)
    for at in range(0, chroma.shape[2], STRIP):
        n = min(STRIP, chroma.shape[2] - at)
        for r in range(first, last):
            _chroma_of_planes(source, r, at, n, rows)
            _mean_chroma(rows, phases, n, means)
            _store_means(means, at, n, chroma[0, r], chroma[1, r])


@compiled
def _add_squares(values: Any, means: Any, n: int, out: Any) -> None:
    for i in range(n):
        d = (values[U(i)] - means[U(i)]) * TO_CODE
        out[U(i)] += d * d


@compiled
def _energies(chroma: Any, means: Any, phases: int, n: int, out: Any) -> None:
    """Squares of what cells' samples differ from their mean by."""
    for k in range(2):
        total = out[k * LENGTH :]
        total[:n] = ZERO
        for m in range(PHASES * k, PHASES * k + phases):
            _add_squares(chroma[m * LENGTH :], means[k * LENGTH :], n, total)


@compiled
def limits_of(codes: Any, at: int, n: int, black: Any, h: Any, factor: Any, out: Any) -> None:
    """What noise would make of the energies of three cells, for Cb and for Cr."""
    h0, h1, h2, h3, h4, h5, h6, h7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    for i in range(n):
        code = F(codes[U(at) + U(i)]) * TO_CODE - black
        v = factor * hinged(code, h0, h1, h2, h3, h4, h5, h6, h7)
        out[U(i)] = v
        out[ROW + U(i)] = v


@compiled
def _keep(energies: Any, limits: Any, n: int) -> None:
    """Of each cell's deviations, what is more than noise; in place of the limits."""
    for i in range(n):
        j = U(i) + U1
        energy = energies[j] + energies[j - U1] + energies[j + U1]
        limits[U(i)] = max(ZERO, ONE - limits[U(i)] / max(energy, TINY))


@compiled
def _refine_row(
    values: Any, means: Any, keep: Any, filtered: Any, at: int, n: int, out: Any
) -> None:
    """Samples of cells with one in a row, about their filtered means."""
    for i in range(n):
        j, o = U(at) + U(i), U(i) + U1
        value = F(filtered[j]) + keep[U(i)] * (values[o] - means[o])
        out[j] = clamp(value + HALF, ZERO, HIGHEST)


@compiled
def _refine_pairs(
    values: Any, means: Any, keep: Any, filtered: Any, at: int, n: int, out: Any
) -> None:
    """The same for two in a row."""
    for i in range(n):
        j, o = U(at) + U(i), U(i) + U1
        base = F(filtered[j]) + HALF - keep[U(i)] * means[o]
        even, odd = base + keep[U(i)] * values[o], base + keep[U(i)] * values[ROW + o]
        out[U2 * j] = clamp(even, ZERO, HIGHEST)
        out[U2 * j + U1] = clamp(odd, ZERO, HIGHEST)


@compiled
def refine_cells(
    rows: Any, means: Any, energies: Any, limits: Any, filtered: Any, across: int, down: int,
    at: int, n: int, r: int, skip: int, cb: Any, cr: Any, first: int,
) -> None:  # fmt: skip
    """Cells ``at .. at + n`` of cell row ``r``, to rows ``first ..`` of ``cb`` and ``cr``.

    Scratch begins with the cell to the left.
    """
    last, phases = filtered.shape[2] == at + n, across * down
    count = n + 2 - skip - (1 if last else 0)
    _mean_chroma(rows[skip:], phases, count, means[skip:])
    _energies(rows[skip:], means[skip:], phases, count, energies[skip:])
    for k in range(2):
        e, mean, keep = energies[k * LENGTH :], means[k * LENGTH :], limits[k * LENGTH :]
        if skip:
            e[0] = e[1]
        if last:
            e[n + 1] = e[n]
        _keep(e, keep, n)
        out = cb if k == 0 else cr
        for t in range(down):
            values, target = rows[(PHASES * k + across * t) * LENGTH :], out[first + t]
            if across == 1:
                _refine_row(values, mean, keep, filtered[k, r], at, n, target)
            else:
                _refine_pairs(values, mean, keep, filtered[k, r], at, n, target)


@compiled
def refine_planes(
    source: Any, filtered: Any, codes: Any, noise: Any, cb: Any, cr: Any, first: int, last: int
) -> None:
    """Chroma of cell rows ``first .. last`` with all of its samples, about its filtered means.

    Args:
        source: see ``_chroma_of_planes``.
        filtered: means, ``(2, rows, columns)``.
        codes: mean luma; ``noise``: ``(black, variance, factor)``, as in ``shrink_parts``.
    """
    black, variance, factor = noise
    across, down = source[9], source[10]
    rows, means = np.empty(2 * PHASES * LENGTH, F), np.empty(2 * LENGTH, F)
    energies, limits = np.empty(2 * LENGTH, F), np.empty(2 * LENGTH, F)
    cells = filtered.shape[2]
    for at in range(0, cells, HALF_STRIP):
        n = min(HALF_STRIP, cells - at)
        lo, hi = max(at - 1, 0), min(at + n + 1, cells)
        skip = 1 - (at - lo)
        for r in range(first, last):
            _chroma_of_planes(source, r, lo, hi - lo, rows[skip:])
            limits_of(codes[r], at, n, black, variance, factor, limits)
            refine_cells(
                rows, means, energies, limits, filtered, across, down, at, n, r, skip, cb, cr,
                down * r,
            )  # fmt: skip


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
