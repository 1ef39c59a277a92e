"""The denoiser's filter over time, in the style of ``curve_kernels``.

Its formulae are in ``denoise.reference``. A loop is vectorised only if it checks few pairs of
arrays for overlap and looks nothing up: whatever one loop writes lies in one flat array, with rows
of a constant length, and the noise is a sum of hinges.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.cpu.compiling import ONE, U1, U2, ZERO, U, compiled, inlined
from zerodce_rt.backends.cpu.map_kernels import STRIP
from zerodce_rt.denoise.rules import (
    CHROMA_LIMIT,
    CHROMA_WEIGHT,
    DRIFT,
    ENERGY_LIMIT,
    ENERGY_WEIGHT,
    KNOTS,
    LEAST_LEFT,
    MEAN_LIMIT,
    MEAN_WEIGHT,
    REPEATED,
)

F = np.float32

LENGTH = STRIP + 8  # a row of scratch also holds one more cell on each side
ROW = U(LENGTH)

# Rows of scratch for a row of cells: sum and energy of the luma innovations, mean Cb and Cr
# innovation, whether anything has changed, and what innovations are multiplied by.
MEAN, ENERGY, CB = U(0), ROW, U(2) * ROW
CR, CHANGED, UNIT = U(3) * ROW, U(4) * ROW, U(5) * ROW
SUMMED, STATISTICS = 5, 6

K1, K2, K3, K4, K5, K6, K7 = (F(k) for k in KNOTS[1:])
LAST_KNOT = F(KNOTS[-1])
C1, T1 = F(MEAN_WEIGHT), F(MEAN_LIMIT)
C2, T2 = F(ENERGY_WEIGHT), F(ENERGY_LIMIT)
C3, T3 = F(CHROMA_WEIGHT), F(CHROMA_LIMIT)
Q, F_MIN, R_MIN = F(DRIFT), F(REPEATED), F(LEAST_LEFT)
SHARE = F(1 / 255)
NINTH, THIRTY_SIXTH = F(1 / 9), F(1 / 36)
HALF, QUARTER, EIGHTH = F(0.5), F(0.25), F(0.125)
# The state has 16 bits; 8-bit codes are its upper half.
TO_CODE = F(1 / 256)


@inlined
def hinged(
    code: Any, h0: Any, h1: Any, h2: Any, h3: Any, h4: Any, h5: Any, h6: Any, h7: Any
) -> Any:
    """The function of ``denoise.noise.hinges`` at an 8-bit code above black."""
    c = min(max(code, ZERO), LAST_KNOT)
    return (
        h0 + h1 * c + h2 * max(ZERO, c - K1) + h3 * max(ZERO, c - K2) + h4 * max(ZERO, c - K3)
        + h5 * max(ZERO, c - K4) + h6 * max(ZERO, c - K5) + h7 * max(ZERO, c - K6)
    )  # fmt: skip


@compiled
def _luma_innovations(
    xa: Any, xb: Any, pa: Any, pb: Any, lo: int, n: int, scale: Any, black: Any, h: Any, s: Any
) -> None:
    """Of cells ``lo .. lo + n``: sum and energy of the innovations, in units of the noise."""
    h0, h1, h2, h3, h4, h5, h6, h7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    for i in range(n):
        j = U2 * (U(lo) + U(i))
        k = j + U1
        x0, x1, x2, x3 = F(xa[j]) * scale, F(xa[k]) * scale, F(xb[j]) * scale, F(xb[k]) * scale
        a, b = x0 - F(pa[j]) * TO_CODE, x1 - F(pa[k]) * TO_CODE
        c, d = x2 - F(pb[j]) * TO_CODE, x3 - F(pb[k]) * TO_CODE
        total = a + b + c + d
        code = (x0 + x1 + x2 + x3) * QUARTER - total * EIGHTH  # half-way to what is expected
        unit = hinged(code - black, h0, h1, h2, h3, h4, h5, h6, h7)
        s[MEAN + U(i)] = total * unit
        s[ENERGY + U(i)] = (a * a + b * b + c * c + d * d) * unit * unit
        s[UNIT + U(i)] = unit


@compiled
def _chroma_innovations(
    x: Any, p: Any, r: int, lo: int, n: int, scale: Any, chroma_unit: Any, s: Any
) -> None:
    """Innovations of Cb and Cr of a row's cells, in units of the noise."""
    xb, xr, pb, pr = x[0, r], x[1, r], p[0, r], p[1, r]
    for i in range(n):
        j, o = U(lo) + U(i), U(i)
        unit = s[UNIT + o] * chroma_unit
        s[CB + o] = (F(xb[j]) * scale - F(pb[j]) * TO_CODE) * unit
        s[CR + o] = (F(xr[j]) * scale - F(pr[j]) * TO_CODE) * unit


@compiled
def _changes(a: Any, b: Any, before_a: Any, before_b: Any, lo: int, n: int, s: Any) -> None:
    """Whether samples of a row's cells have changed; each element holds two of them."""
    for i in range(n):
        j = U(lo) + U(i)
        s[CHANGED + U(i)] = F((a[j] ^ before_a[j]) | (b[j] ^ before_b[j]))


@compiled
def _cell_statistics(
    raw: Any, pairs: Any, pairs_before: Any, state: Any, r: int, lo: int, n: int, numbers: Any,
    s: Any,
) -> None:  # fmt: skip
    """Of cell row ``r``, cells ``lo .. lo + n``: the rows of ``s``."""
    (y, c), (py, pc) = raw, state
    scale, chroma_scale, black, h, chroma_unit = numbers
    a, b = 2 * r, 2 * r + 1
    _luma_innovations(y[a], y[b], py[a], py[b], lo, n, scale, black, h, s)
    _chroma_innovations(c, pc, r, lo, n, chroma_scale, chroma_unit, s)
    _changes(pairs[a], pairs[b], pairs_before[a], pairs_before[b], lo, n, s)


@compiled
def _add_rows(s: Any, n: int, w: Any) -> None:
    """Sums over three rows of cells."""
    for t in range(SUMMED):
        a = U(t) * ROW
        b, c = a + U(STATISTICS) * ROW, a + U(2 * STATISTICS) * ROW
        for i in range(n):
            w[a + U(i)] = s[a + U(i)] + s[b + U(i)] + s[c + U(i)]


@compiled
def _gains(w: Any, left: Any, at: int, n: int, gain: Any, left_now: Any) -> None:
    """The filter's gain for each cell, and the share of the noise that is left after it."""
    for i in range(n):
        a, j = U(i), U(at) + U(i)
        b, c = a + U1, a + U2
        mean = (w[MEAN + a] + w[MEAN + b] + w[MEAN + c]) * THIRTY_SIXTH
        energy = (w[ENERGY + a] + w[ENERGY + b] + w[ENERGY + c]) * THIRTY_SIXTH
        cb = (w[CB + a] + w[CB + b] + w[CB + c]) * NINTH
        cr = (w[CR + a] + w[CR + b] + w[CR + c]) * NINTH
        new = min(ONE, F_MIN + w[CHANGED + a] + w[CHANGED + b] + w[CHANGED + c])
        share = F(left[j]) * SHARE
        total = share + ONE
        bias = (
            C1 * max(ZERO, mean * mean - T1 * total)
            + C2 * max(ZERO, energy - T2 * total)
            + C3 * (max(ZERO, cb * cb - T3 * total) + max(ZERO, cr * cr - T3 * total))
        )
        g = (share + Q) * new + bias
        k = g / (g + ONE)
        gain[a] = k
        left_now[j] = max(min(ONE, k + (ONE - new) * share), R_MIN) * F(255) + HALF


@compiled
def _follow_luma(x: Any, p: Any, gain: Any, at: int, n: int, scale: Any, out: Any) -> None:
    """Move the state of a row of luma towards its samples."""
    for i in range(n):
        j = U2 * (U(at) + U(i))
        k = j + U1
        even, odd = F(p[j]), F(p[k])
        out[j] = even + gain[U(i)] * (F(x[j]) * scale - even) + HALF
        out[k] = odd + gain[U(i)] * (F(x[k]) * scale - odd) + HALF


@compiled
def _follow_chroma(x: Any, p: Any, gain: Any, at: int, n: int, scale: Any, out: Any) -> None:
    """The same for a row with one sample a cell."""
    for i in range(n):
        j = U(at) + U(i)
        expected = F(p[j])
        out[j] = expected + gain[U(i)] * (F(x[j]) * scale - expected) + HALF


@compiled
def temporal(
    raw: Any, pairs: Any, pairs_before: Any, state: Any, left: Any, new_state: Any, new_left: Any,
    numbers: Any, first: int, last: int,
) -> None:  # fmt: skip
    """Cell rows ``first .. last`` of a frame and the state before it: the state after it.

    Args:
        raw: luma and chroma of the frame.
        pairs, pairs_before: luma of the frame and of the one before, with two samples of a row in
            each element.
        state, left: what the filter expects, and the share of the noise that is left in it.
        numbers: ``(scale, chroma_scale, black, inverse_sigma, chroma_unit)``: from samples to
            8-bit codes; code of black; hinges; luma's sigma over chroma's.
    """
    (y, c), (py, pc), (ny, nc) = raw, state, new_state
    rows, cells = left.shape
    size = STATISTICS * LENGTH
    s, w, gain = np.empty(3 * size, F), np.empty(SUMMED * LENGTH, F), np.empty(LENGTH, F)
    to_state, chroma_to_state = numbers[0] * F(256), numbers[1] * F(256)
    for at in range(0, cells, STRIP):
        n = min(STRIP, cells - at)
        lo, hi = max(at - 1, 0), min(at + n + 1, cells)
        skip = 1 - (at - lo)  # at the frame's border the cell beside it counts twice
        for row in range(first - 1, last + 1):
            r = min(max(row, 0), rows - 1)
            slot = s[(row + 3) % 3 * size :]
            _cell_statistics(raw, pairs, pairs_before, state, r, lo, hi - lo, numbers, slot[skip:])
            for t in range(SUMMED):
                if skip:
                    slot[t * LENGTH] = slot[t * LENGTH + 1]
                if hi == at + n:
                    slot[t * LENGTH + n + 1] = slot[t * LENGTH + n]
            if row <= first:
                continue
            o = row - 1
            a, b = 2 * o, 2 * o + 1
            _add_rows(s, n + 2, w)
            _gains(w, left[o], at, n, gain, new_left[o])
            _follow_luma(y[a], py[a], gain, at, n, to_state, ny[a])
            _follow_luma(y[b], py[b], gain, at, n, to_state, ny[b])
            for k in range(2):
                _follow_chroma(c[k, o], pc[k, o], gain, at, n, chroma_to_state, nc[k, o])
