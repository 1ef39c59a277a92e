"""The denoiser's filter over space, in the style of ``temporal_kernels``.

A plane is taken apart into a copy of half its size, enlarged bilinearly, and the detail that is
missing in that; the detail is kept by how far its energy exceeds the noise that is left. All
planes have whole cells, so every size halves exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.cpu.compiling import ONE, U1, U2, U3, ZERO, U, compiled
from zerodce_rt.backends.cpu.temporal_kernels import (
    LENGTH,
    ROW,
    SHARE,
    STRIP,
    THIRTY_SIXTH,
    F,
    hinged,
)

QUARTER, THREE_QUARTERS = F(0.25), F(0.75)
TINY = F(1e-4)


@compiled
def _mean_of_four(a: Any, b: Any, n: int, share: Any, out: Any) -> None:
    for i in range(n):
        j = U2 * U(i)
        out[U(i)] = (F(a[j]) + F(a[j + U1]) + F(b[j]) + F(b[j + U1])) * share


@compiled
def halve(plane: Any, scale: Any, out: Any, first: int, last: int) -> None:
    """Rows ``first .. last`` of a plane of half the size: means of 2x2 samples, times ``scale``."""
    for r in range(first, last):
        _mean_of_four(plane[2 * r], plane[2 * r + 1], out.shape[1], scale * QUARTER, out[r])


@compiled
def noise_left(
    luma: Any, left: Any, black: Any, variance: Any, out: Any, first: int, last: int
) -> None:
    """Variance of the noise in the samples of cell rows ``first .. last``.

    Args:
        luma: mean codes of the cells; ``left``: shares of the noise.
        variance: hinges.
    """
    h = variance
    h0, h1, h2, h3, h4, h5, h6, h7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    for r in range(first, last):
        codes, shares, row = luma[r], left[r], out[r]
        for i in range(luma.shape[1]):
            v = hinged(codes[U(i)] - black, h0, h1, h2, h3, h4, h5, h6, h7)
            row[U(i)] = v * F(shares[U(i)]) * SHARE


@compiled
def _take_apart(
    row: Any, near: Any, far: Any, lo: int, n: int, scale: Any, column: Any, out: Any
) -> None:
    """Cells ``lo .. lo + n`` of a row: base and detail, of even samples and of odd ones.

    Args:
        near, far: the rows of the smaller plane that lie above and below.
    """
    for i in range(n):
        j = U(lo) + U(i)
        column[U(i) + U1] = THREE_QUARTERS * near[j] + QUARTER * far[j]
    left, right = max(lo - 1, 0), min(lo + n, near.shape[0] - 1)
    column[0] = THREE_QUARTERS * near[left] + QUARTER * far[left]
    column[n + 1] = THREE_QUARTERS * near[right] + QUARTER * far[right]
    for i in range(n):
        k = U(i)
        even = QUARTER * column[k] + THREE_QUARTERS * column[k + U1]
        odd = THREE_QUARTERS * column[k + U1] + QUARTER * column[k + U2]
        j = U2 * (U(lo) + k)
        out[k] = even
        out[ROW + k] = odd
        out[U2 * ROW + k] = F(row[j]) * scale - even
        out[U3 * ROW + k] = F(row[j + U1]) * scale - odd


@compiled
def _put_together(parts: Any, keep: Any, at: int, n: int, scale: Any, add: Any, out: Any) -> None:
    for i in range(n):
        k = U(i)
        j = U2 * (U(at) + k)
        out[j] = (parts[k] + parts[U2 * ROW + k] * keep[k]) * scale + add
        out[j + U1] = (parts[ROW + k] + parts[U3 * ROW + k] * keep[k]) * scale + add


@compiled
def shrink(
    plane: Any, variance: Any, base: Any, strictness: Any, scale: Any, out_scale: Any, add: Any,
    out: Any, first: int, last: int,
) -> None:  # fmt: skip
    """Cell rows ``first .. last`` of a plane with its detail shrunk by its energy over 3x3 cells.

    Args:
        variance: of the noise in the plane's samples, for each cell, times ``strictness``.
        base: the plane's filtered half-size copy.
        scale: from the plane's samples to 8-bit codes; ``out_scale``, ``add``: from there to
            those of ``out``.
    """
    rows, cells = base.shape
    size = 8 * LENGTH
    parts, energy = np.empty(3 * size, F), np.empty(3 * LENGTH, F)
    column, keep, sums = np.empty(LENGTH, F), np.empty(LENGTH, F), np.empty(LENGTH, F)
    for at in range(0, cells, STRIP):
        n = min(STRIP, cells - at)
        lo, hi = max(at - 1, 0), min(at + n + 1, cells)
        skip = 1 - (at - lo)
        for row in range(first - 1, last + 1):
            c = min(max(row, 0), rows - 1)
            slot = (row + 3) % 3
            above, below = base[max(c - 1, 0)], base[min(c + 1, rows - 1)]
            p = parts[slot * size :]
            _take_apart(plane[2 * c], base[c], above, lo, hi - lo, scale, column, p[skip:])
            _take_apart(
                plane[2 * c + 1], base[c], below, lo, hi - lo, scale, column,
                p[4 * LENGTH + skip :],
            )  # fmt: skip
            e = energy[slot * LENGTH :]
            for i in range(skip, skip + hi - lo):
                k = U(i)
                a, b = p[U2 * ROW + k], p[U3 * ROW + k]
                c2, d = p[U(6) * ROW + k], p[U(7) * ROW + k]
                e[k] = a * a + b * b + c2 * c2 + d * d
            if skip:
                e[0] = e[1]
            if hi == at + n:
                e[n + 1] = e[n]
            if row < first + 1:
                continue
            o = row - 1
            for i in range(n + 2):
                k = U(i)
                sums[k] = energy[k] + energy[ROW + k] + energy[U2 * ROW + k]
            v = variance[o, at:]
            for i in range(n):
                k = U(i)
                mean = (sums[k] + sums[k + U1] + sums[k + U2]) * THIRTY_SIXTH
                keep[k] = max(ZERO, ONE - strictness * v[k] / (mean + TINY))
            p = parts[(o + 3) % 3 * size + 1 :]
            _put_together(p, keep, at, n, out_scale, add, out[2 * o])
            _put_together(p[4 * LENGTH :], keep, at, n, out_scale, add, out[2 * o + 1])
