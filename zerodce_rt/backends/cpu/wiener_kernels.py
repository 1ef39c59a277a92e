"""The denoiser's filter over space for planes of half the size: each block has one gain.

As ``spatial_kernels``, but with the whole of what a block has besides its mean as one part, at half
the cost: in small planes, blocks hold little that could be told apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.cpu.compiling import ONE, U1, U2, ZERO, U, compiled
from zerodce_rt.backends.cpu.map_kernels import STRIP
from zerodce_rt.backends.cpu.spatial_kernels import (
    FAR,
    MIDDLE,
    NEAR,
    SIXTEENTH,
    TINY,
    load_noise,
    state_of,
)
from zerodce_rt.backends.cpu.temporal_kernels import LENGTH, ROW, TO_CODE, F

# Rows of scratch for a row of cells: sums of samples and of their squares, and their noise.
SUM, SQUARES, NOISE = U(0), ROW, U(2) * ROW
CELL_ROWS = 3
# For a row of corners: gain, and what is added. For a row of blocks: the same for even and odd.
GAIN, ADDED = U(0), ROW
GAIN_EVEN, GAIN_ODD, ADDED_EVEN, ADDED_ODD = U(0), ROW, U(2) * ROW, U(3) * ROW
CORNER_ROWS, BLOCK_ROWS = 2, 4
FIFTEEN_QUARTERS = F(15 / 4)


@compiled
def _load_cells(a: Any, b: Any, lo: int, n: int, s: Any) -> None:
    """Cells ``lo .. lo + n`` of two rows of samples."""
    for i in range(n):
        j, o = U2 * (U(lo) + U(i)), U(i)
        w, x = F(a[j]) * TO_CODE - MIDDLE, F(a[j + U1]) * TO_CODE - MIDDLE
        y, z = F(b[j]) * TO_CODE - MIDDLE, F(b[j + U1]) * TO_CODE - MIDDLE
        s[SUM + o] = w + x + y + z
        s[SQUARES + o] = w * w + x * x + y * y + z * z


@compiled
def _corners(s: Any, s_below: Any, n: int, strictness: Any, g: Any) -> None:
    """Gains of the blocks between two rows of ``n`` cells."""
    for i in range(1, n):
        o = U(i)
        p = o - U1
        total = s[SUM + p] + s[SUM + o] + s_below[SUM + p] + s_below[SUM + o]
        squares = s[SQUARES + p] + s[SQUARES + o] + s_below[SQUARES + p] + s_below[SQUARES + o]
        noise = s[NOISE + p] + s[NOISE + o] + s_below[NOISE + p] + s_below[NOISE + o]
        energy = max(squares - total * total * SIXTEENTH, TINY)
        gain = max(ZERO, ONE - FIFTEEN_QUARTERS * strictness * noise / energy)
        g[GAIN + o] = gain
        g[ADDED + o] = (ONE - gain) * total * SIXTEENTH


@compiled
def _over_columns(g: Any, n: int, blocks: Any) -> None:
    for i in range(1, n - 1):
        o = U(i)
        p = o + U1
        blocks[GAIN_EVEN + o] = NEAR * g[GAIN + o] + FAR * g[GAIN + p]
        blocks[GAIN_ODD + o] = FAR * g[GAIN + o] + NEAR * g[GAIN + p]
        blocks[ADDED_EVEN + o] = NEAR * g[ADDED + o] + FAR * g[ADDED + p]
        blocks[ADDED_ODD + o] = FAR * g[ADDED + o] + NEAR * g[ADDED + p]


@compiled
def _over_rows(
    x: Any, above: Any, below: Any, upper: Any, lower: Any, at: int, n: int, out: Any
) -> None:
    """Add up what the blocks above and below make of a row, by their weights."""
    for i in range(n):
        o = U(i) + U1
        j = U2 * (U(at) + U(i))
        gain = upper * above[GAIN_EVEN + o] + lower * below[GAIN_EVEN + o]
        added = upper * above[ADDED_EVEN + o] + lower * below[ADDED_EVEN + o]
        out[j] = state_of((F(x[j]) * TO_CODE - MIDDLE) * gain + added)
        gain = upper * above[GAIN_ODD + o] + lower * below[GAIN_ODD + o]
        added = upper * above[ADDED_ODD + o] + lower * below[ADDED_ODD + o]
        out[j + U1] = state_of((F(x[j + U1]) * TO_CODE - MIDDLE) * gain + added)


@compiled
def shrink_wholes(
    plane: Any, codes: Any, left: Any, noise: Any, out: Any, first: int, last: int
) -> None:
    """Rows ``first .. last`` of cells of 2x2 samples of a plane (see ``shrink_parts``)."""
    black, variance, strictness = noise
    rows, cells = codes.shape
    cell_size, block_size = CELL_ROWS * LENGTH, BLOCK_ROWS * LENGTH
    sums, blocks = np.empty(2 * cell_size, F), np.empty(2 * block_size, F)
    corners = np.empty(CORNER_ROWS * LENGTH, F)
    for at in range(0, cells, STRIP):
        n = min(STRIP, cells - at)
        lo, hi = max(at - 1, 0), min(at + n + 1, cells)
        skip = 1 - (at - lo)  # at the frame's border the cell beside it counts twice
        for row in range(first - 1, last + 1):
            r = min(max(row, 0), rows - 1)
            now, other = row & 1, ~row & 1
            s, s_before = sums[now * cell_size :], sums[other * cell_size :]
            _load_cells(plane[2 * r], plane[2 * r + 1], lo, hi - lo, s[skip:])
            load_noise(codes[r], left[r], black, variance, lo, hi - lo, s[int(NOISE) + skip :])
            for k in range(CELL_ROWS):
                if skip:
                    s[k * LENGTH] = s[k * LENGTH + 1]
                if hi == at + n:
                    s[k * LENGTH + n + 1] = s[k * LENGTH + n]
            if row < first:
                continue
            below, above = blocks[now * block_size :], blocks[other * block_size :]
            _corners(s_before, s, n + 2, strictness, corners)
            _over_columns(corners, n + 2, below)
            if row > first:
                a, b = 2 * (row - 1), 2 * (row - 1) + 1
                _over_rows(plane[a], above, below, NEAR, FAR, at, n, out[a])
                _over_rows(plane[b], above, below, FAR, NEAR, at, n, out[b])
