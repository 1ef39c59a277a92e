"""The denoiser's filter over space, in the style of ``temporal_kernels``.

Its formula is in ``denoise.reference``: each block of 4x4 samples is taken apart into its mean, the
profiles of its columns and of its rows, and the rest, and each part is kept by how far its energy
exceeds the noise that is left. A block lies around each corner of the cells, so that each sample is
in four; their results are added up under a window.

With means of columns and rows, each part's gain less the rest's, and what remains for the mean, a
sample x becomes::

    rest * x + (columns - rest) * its column's mean + (rows - rest) * its row's mean
    + (1 + rest - columns - rows) * the block's mean
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.cpu.compiling import ONE, U1, U2, ZERO, U, clamp, compiled, inlined
from zerodce_rt.backends.cpu.map_kernels import STRIP
from zerodce_rt.backends.cpu.temporal_kernels import (
    HALF,
    LENGTH,
    ROW,
    SHARE,
    TO_CODE,
    F,
    hinged,
)
from zerodce_rt.denoise.rules import WINDOW

# Codes are taken from the middle of the dark ones, so that squares stay exact.
MIDDLE = F(64)
NEAR, FAR = F(WINDOW[1]), F(WINDOW[0])
QUARTER, SIXTEENTH = F(0.25), F(1 / 16)
TINY = F(1e-3)
FULL_CODE, HIGHEST = F(256), F(65535)

# Rows of scratch for a row of cells: samples by column parity and row; sums of both rows' and of
# both columns', sum of squares; noise, and the change of the mean.
EVEN_0, ODD_0, EVEN_1, ODD_1 = U(0), ROW, U(2) * ROW, U(3) * ROW
EVENS, ODDS, ROW_0, ROW_1, SQUARES = U(0), ROW, U(2) * ROW, U(3) * ROW, U(4) * ROW
NOISE, SHIFT = U(4) * ROW, U(5) * ROW
SAMPLE_ROWS, SUM_ROWS = 6, 5
# For a row of corners, what their blocks make of samples: the gain of the rest, what is added to
# each of four columns (with the mean), and to each of four rows.
REST, COLUMN_0, COLUMN_1, COLUMN_2 = U(0), ROW, U(2) * ROW, U(3) * ROW
COLUMN_3, PROFILE_0, PROFILE_1 = U(4) * ROW, U(5) * ROW, U(6) * ROW
PROFILE_2, PROFILE_3 = U(7) * ROW, U(8) * ROW
CORNER_ROWS = 9
# For a row of blocks: gains of even and odd samples, and what is added to each of four rows.
GAIN_EVEN, GAIN_ODD = U(0), ROW
EVEN, ODD = [U(2 + 2 * t) * ROW for t in range(4)], [U(3 + 2 * t) * ROW for t in range(4)]
ADD_E0, ADD_E1, ADD_E2, ADD_E3 = EVEN
ADD_O0, ADD_O1, ADD_O2, ADD_O3 = ODD
BLOCK_ROWS = 10


@compiled
def halve(plane: Any, out: Any, first: int, last: int) -> None:
    """Rows ``first .. last`` of a plane of half the size: means of 2x2 samples."""
    for r in range(first, last):
        a, b, row = plane[2 * r], plane[2 * r + 1], out[r]
        for i in range(out.shape[1]):
            j = U2 * U(i)
            row[U(i)] = (F(a[j]) + F(a[j + U1]) + F(b[j]) + F(b[j + U1])) * QUARTER + HALF


@compiled
def _load_cells(upper: Any, lower: Any, lo: int, n: int, s: Any, t: Any) -> None:
    """Cells ``lo .. lo + n`` of two rows of samples, and sums of them."""
    for i in range(n):
        j, o = U2 * (U(lo) + U(i)), U(i)
        a, b = F(upper[j]) * TO_CODE - MIDDLE, F(upper[j + U1]) * TO_CODE - MIDDLE
        c, d = F(lower[j]) * TO_CODE - MIDDLE, F(lower[j + U1]) * TO_CODE - MIDDLE
        s[EVEN_0 + o] = a
        s[ODD_0 + o] = b
        s[EVEN_1 + o] = c
        s[ODD_1 + o] = d
        t[EVENS + o] = a + c
        t[ODDS + o] = b + d
        t[ROW_0 + o] = a + b
        t[ROW_1 + o] = c + d
        t[SQUARES + o] = a * a + b * b + c * c + d * d


@compiled
def load_noise(codes: Any, left: Any, black: Any, h: Any, lo: int, n: int, out: Any) -> None:
    """Variance of the noise in the samples of cells ``lo .. lo + n``."""
    h0, h1, h2, h3, h4, h5, h6, h7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    for i in range(n):
        j = U(lo) + U(i)
        v = hinged(F(codes[j]) * TO_CODE - black, h0, h1, h2, h3, h4, h5, h6, h7)
        out[U(i)] = v * np.sqrt(F(left[j]) * SHARE)


@compiled
def _load_shift(means: Any, left: Any, doubt: Any, lo: int, n: int, t: Any, s: Any) -> None:
    """By how much the means of cells ``lo .. lo + n`` change."""
    for i in range(n):
        j, o = U(lo) + U(i), U(i)
        change = F(means[j]) * TO_CODE - MIDDLE - (t[EVENS + o] + t[ODDS + o]) * QUARTER
        s[SHIFT + o] = change * (ONE - doubt * F(left[j]) * SHARE)


@compiled
def _corners(s: Any, t: Any, s_below: Any, t_below: Any, n: int, strictness: Any, g: Any) -> None:
    """Of the blocks between two rows of ``n`` cells: gains, and what they make of means."""
    for i in range(1, n):
        o = U(i)
        p = o - U1
        c0, c1 = t[EVENS + p] + t_below[EVENS + p], t[ODDS + p] + t_below[ODDS + p]
        c2, c3 = t[EVENS + o] + t_below[EVENS + o], t[ODDS + o] + t_below[ODDS + o]
        r0, r1 = t[ROW_0 + p] + t[ROW_0 + o], t[ROW_1 + p] + t[ROW_1 + o]
        r2 = t_below[ROW_0 + p] + t_below[ROW_0 + o]
        r3 = t_below[ROW_1 + p] + t_below[ROW_1 + o]
        squares = t[SQUARES + p] + t[SQUARES + o] + t_below[SQUARES + p] + t_below[SQUARES + o]
        noise = s[NOISE + p] + s[NOISE + o] + s_below[NOISE + p] + s_below[NOISE + o]
        shift = s[SHIFT + p] + s[SHIFT + o] + s_below[SHIFT + p] + s_below[SHIFT + o]
        total = r0 + r1 + r2 + r3
        square = total * total * SIXTEENTH
        columns = (c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3) * QUARTER - square
        rows = (r0 * r0 + r1 * r1 + r2 * r2 + r3 * r3) * QUARTER - square
        rest = squares - square - columns - rows
        limit = strictness * noise
        gain_c = max(ZERO, ONE - F(0.75) * limit / max(columns, TINY))
        gain_r = max(ZERO, ONE - F(0.75) * limit / max(rows, TINY))
        gain_d = max(ZERO, ONE - F(2.25) * limit / max(rest, TINY))
        mean = (ONE + gain_d - gain_c - gain_r) * total * SIXTEENTH + QUARTER * shift
        column, profile = (gain_c - gain_d) * QUARTER, (gain_r - gain_d) * QUARTER
        g[REST + o] = gain_d
        g[COLUMN_0 + o] = column * c0 + mean
        g[COLUMN_1 + o] = column * c1 + mean
        g[COLUMN_2 + o] = column * c2 + mean
        g[COLUMN_3 + o] = column * c3 + mean
        g[PROFILE_0 + o] = profile * r0
        g[PROFILE_1 + o] = profile * r1
        g[PROFILE_2 + o] = profile * r2
        g[PROFILE_3 + o] = profile * r3


@compiled
def _over_columns(g: Any, n: int, blocks: Any) -> None:
    """Add up what the blocks left and right of each cell make of its columns."""
    for i in range(1, n - 1):
        o = U(i)
        p = o + U1
        left, right = g[REST + o], g[REST + p]
        blocks[GAIN_EVEN + o] = NEAR * left + FAR * right
        blocks[GAIN_ODD + o] = FAR * left + NEAR * right
        even = NEAR * g[COLUMN_2 + o] + FAR * g[COLUMN_0 + p]
        odd = FAR * g[COLUMN_3 + o] + NEAR * g[COLUMN_1 + p]
        left, right = g[PROFILE_0 + o], g[PROFILE_0 + p]
        blocks[ADD_E0 + o] = even + NEAR * left + FAR * right
        blocks[ADD_O0 + o] = odd + FAR * left + NEAR * right
        left, right = g[PROFILE_1 + o], g[PROFILE_1 + p]
        blocks[ADD_E1 + o] = even + NEAR * left + FAR * right
        blocks[ADD_O1 + o] = odd + FAR * left + NEAR * right
        left, right = g[PROFILE_2 + o], g[PROFILE_2 + p]
        blocks[ADD_E2 + o] = even + NEAR * left + FAR * right
        blocks[ADD_O2 + o] = odd + FAR * left + NEAR * right
        left, right = g[PROFILE_3 + o], g[PROFILE_3 + p]
        blocks[ADD_E3 + o] = even + NEAR * left + FAR * right
        blocks[ADD_O3 + o] = odd + FAR * left + NEAR * right


@inlined
def state_of(value: Any) -> Any:
    return clamp((value + MIDDLE) * FULL_CODE + HALF, ZERO, HIGHEST)


@compiled
def _over_rows(s: Any, above: Any, below: Any, at: int, n: int, upper: Any, lower: Any) -> None:
    """Add up what the blocks above and below make of the two rows of a row of cells."""
    for i in range(n):
        o = U(i) + U1
        j = U2 * (U(at) + U(i))
        gain, gain_below = above[GAIN_EVEN + o], below[GAIN_EVEN + o]
        x = (NEAR * gain + FAR * gain_below) * s[EVEN_0 + o]
        upper[j] = state_of(x + NEAR * above[ADD_E2 + o] + FAR * below[ADD_E0 + o])
        x = (FAR * gain + NEAR * gain_below) * s[EVEN_1 + o]
        lower[j] = state_of(x + FAR * above[ADD_E3 + o] + NEAR * below[ADD_E1 + o])
        gain, gain_below = above[GAIN_ODD + o], below[GAIN_ODD + o]
        x = (NEAR * gain + FAR * gain_below) * s[ODD_0 + o]
        upper[j + U1] = state_of(x + NEAR * above[ADD_O2 + o] + FAR * below[ADD_O0 + o])
        x = (FAR * gain + NEAR * gain_below) * s[ODD_1 + o]
        lower[j + U1] = state_of(x + FAR * above[ADD_O3 + o] + NEAR * below[ADD_O1 + o])


@compiled
def shrink_parts(
    plane: Any, codes: Any, left: Any, noise: Any, means: Any, out: Any, first: int, last: int
) -> None:
    """Rows ``first .. last`` of cells of 2x2 samples of a plane with the state's 16 bits.

    Args:
        codes: mean luma of each cell, by which its noise is known; ``left``: share of the noise
            that the filter over time has left in it.
        noise: ``(black, variance, strictness, doubt)``: the noise by luma code, as hinges; how
            strictly it is removed; and which share of ``means`` does not count where the filter
            over time has removed nothing.
        means: of the cells, filtered themselves.
    """
    black, variance, strictness, doubt = noise
    rows, cells = codes.shape
    sample_size, sum_size, block_size = (
        SAMPLE_ROWS * LENGTH,
        SUM_ROWS * LENGTH,
        BLOCK_ROWS * LENGTH,
    )
    samples, sums = np.empty(2 * sample_size, F), np.empty(2 * sum_size, F)
    corners, blocks = np.empty(CORNER_ROWS * LENGTH, F), np.empty(2 * block_size, F)
    for at in range(0, cells, STRIP):
        n = min(STRIP, cells - at)
        lo, hi = max(at - 1, 0), min(at + n + 1, cells)
        skip = 1 - (at - lo)  # at the frame's border the cell beside it counts twice
        for row in range(first - 1, last + 1):
            r = min(max(row, 0), rows - 1)
            now, other = row & 1, ~row & 1
            s, s_before = samples[now * sample_size :], samples[other * sample_size :]
            t, t_before = sums[now * sum_size :], sums[other * sum_size :]
            _load_cells(plane[2 * r], plane[2 * r + 1], lo, hi - lo, s[skip:], t[skip:])
            load_noise(codes[r], left[r], black, variance, lo, hi - lo, s[int(NOISE) + skip :])
            _load_shift(means[r], left[r], doubt, lo, hi - lo, t[skip:], s[skip:])
            for k in range(SAMPLE_ROWS):
                if skip:
                    s[k * LENGTH] = s[k * LENGTH + 1]
                if hi == at + n:
                    s[k * LENGTH + n + 1] = s[k * LENGTH + n]
            for k in range(SUM_ROWS):
                if skip:
                    t[k * LENGTH] = t[k * LENGTH + 1]
                if hi == at + n:
                    t[k * LENGTH + n + 1] = t[k * LENGTH + n]
            if row < first:
                continue
            below, above = blocks[now * block_size :], blocks[other * block_size :]
            _corners(s_before, t_before, s, t, n + 2, strictness, corners)
            _over_columns(corners, n + 2, below)
            if row > first:
                o = 2 * (row - 1)
                _over_rows(s_before, above, below, at, n, out[o], out[o + 1])
