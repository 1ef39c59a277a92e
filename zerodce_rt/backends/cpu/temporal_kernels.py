"""The denoiser's filter over time, in the style of ``curve_kernels``.

Its formulae are in ``denoise.reference``. A loop is vectorised only if it checks few pairs of
arrays for overlap and looks nothing up: whatever one loop writes lies in one flat array, with rows
of a constant length, and the noise is a sum of hinges.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.cpu.compiling import ONE, U1, U2, U3, U4, ZERO, U, compiled, inlined
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

# Cells of a row worked on at once (see ``curve_kernels``); a row of scratch also holds one more
# cell on each side.
STRIP = 1000
LENGTH = STRIP + 8
ROW = U(LENGTH)

K1, K2, K3, K4, K5, K6, K7 = (F(k) for k in KNOTS[1:])
LAST_KNOT = F(KNOTS[-1])
C1, T1 = F(MEAN_WEIGHT), F(MEAN_LIMIT)
C2, T2 = F(ENERGY_WEIGHT), F(ENERGY_LIMIT)
C3, T3 = F(CHROMA_WEIGHT), F(CHROMA_LIMIT)
Q, F_MIN, R_MIN = F(DRIFT), F(REPEATED), F(LEAST_LEFT)
SHARE = F(1 / 255)
NINTH, THIRTY_SIXTH = F(1 / 9), F(1 / 36)
HALF, EIGHTH = F(0.5), F(0.125)
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
def _innovations(
    ya: Any, yb: Any, before_a: Any, before_b: Any, pa: Any, pb: Any, n: int, scale: Any,
    pixels: Any, changed: Any,
) -> None:  # fmt: skip
    """Of two luma rows: for each column, sum and energy of the innovations, and four samples."""
    for i in range(n):
        j = U(i)
        p0, p1 = F(pa[j]) * TO_CODE, F(pb[j]) * TO_CODE
        x0, x1 = F(ya[j]) * scale, F(yb[j]) * scale
        a, b = x0 - p0, x1 - p1
        pixels[j] = a + b
        pixels[U2 * ROW + j] = a * a + b * b
        pixels[U4 * ROW + j] = x0 + x1 + p0 + p1
    for i in range(n):
        j = U(i)
        changed[j] = (ya[j] ^ before_a[j]) | (yb[j] ^ before_b[j])


@compiled
def _add_chroma(x: Any, p: Any, n: int, scale: Any, first: bool, out: Any) -> None:
    """Add a row's chroma innovations to those of the other rows of its cells."""
    for i in range(n):
        j = U(i)
        d = F(x[j]) * scale - F(p[j]) * TO_CODE
        out[j] = d if first else out[j] + d


@compiled
def _cell_statistics(
    raw: Any, before: Any, state: Any, r: int, lo: int, n: int, scale: Any, black: Any, h: Any,
    chroma_unit: Any, pixels: Any, changed: Any, s: Any,
) -> None:  # fmt: skip
    """Of cell row ``r``, cells ``lo .. lo + n``, in units of the noise.

    To the rows of ``s``: sum and energy of the luma innovations, mean Cb and Cr innovation, and
    whether any luma sample has changed.
    """
    (y, c), (py, pc) = raw, state
    a, b = 2 * r, 2 * r + 1
    x0 = 2 * lo
    _innovations(
        y[a, x0:], y[b, x0:], before[a, x0:], before[b, x0:], py[a, x0:], py[b, x0:], 2 * n,
        scale, pixels, changed,
    )  # fmt: skip
    h0, h1, h2, h3, h4, h5, h6, h7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    for i in range(n):
        j = U2 * U(i)
        k = j + U1
        code = (pixels[U4 * ROW + j] + pixels[U4 * ROW + k]) * EIGHTH - black
        v = hinged(code, h0, h1, h2, h3, h4, h5, h6, h7)
        o = U(i)
        s[o] = (pixels[j] + pixels[k]) * v
        s[ROW + o] = (pixels[U2 * ROW + j] + pixels[U2 * ROW + k]) * v * v
        s[U2 * ROW + o] = v
    phases = c.shape[0] // 2
    for k in range(phases):
        _add_chroma(c[k, r, lo:], pc[k, r, lo:], n, scale, k == 0, pixels)
        _add_chroma(
            c[phases + k, r, lo:], pc[phases + k, r, lo:], n, scale, k == 0, pixels[2 * LENGTH :]
        )
    unit = chroma_unit / F(phases)
    for i in range(n):
        o = U(i)
        v = s[U2 * ROW + o] * unit
        s[U2 * ROW + o] = pixels[o] * v
        s[U3 * ROW + o] = pixels[U2 * ROW + o] * v
        s[U4 * ROW + o] = F(changed[U2 * o] | changed[U2 * o + U1])


@compiled
def _gains(w: Any, left: Any, n: int, gain: Any, left_now: Any) -> None:
    """The filter's gain for each cell, and the share of the noise that is left after it."""
    for i in range(n):
        a = U(i)
        b, c = a + U1, a + U2
        mean = (w[a] + w[b] + w[c]) * THIRTY_SIXTH
        energy = (w[ROW + a] + w[ROW + b] + w[ROW + c]) * THIRTY_SIXTH
        cb = (w[U2 * ROW + a] + w[U2 * ROW + b] + w[U2 * ROW + c]) * NINTH
        cr = (w[U3 * ROW + a] + w[U3 * ROW + b] + w[U3 * ROW + c]) * NINTH
        new = min(ONE, F_MIN + w[U4 * ROW + a] + w[U4 * ROW + b] + w[U4 * ROW + c])
        share = F(left[a]) * SHARE
        total = share + ONE
        bias = (
            C1 * max(ZERO, mean * mean - T1 * total)
            + C2 * max(ZERO, energy - T2 * total)
            + C3 * (max(ZERO, cb * cb - T3 * total) + max(ZERO, cr * cr - T3 * total))
        )
        g = (share + Q) * new + bias
        k = g / (g + ONE)
        gain[a] = k
        left_now[a] = max(min(ONE, k + (ONE - new) * share), R_MIN) * F(255) + HALF


@compiled
def _follow(x: Any, p: Any, gain: Any, n: int, scale: Any, out: Any) -> None:
    """Move the state of a row towards its samples."""
    for i in range(n):
        j = U(i)
        expected = F(p[j])
        out[j] = expected + gain[j] * (F(x[j]) * scale - expected) + HALF


@compiled
def temporal(
    raw: Any, before: Any, state: Any, left: Any, new_state: Any, new_left: Any, scale: Any,
    black: Any, inverse_sigma: Any, chroma_unit: Any, first: int, last: int,
) -> None:  # fmt: skip
    """Cell rows ``first .. last`` of a frame and the state before it: the state after it.

    Args:
        raw: luma and chroma of the frame; ``before``: the luma of the one before.
        state, left: what the filter expects, and the share of the noise that is left in it.
        scale: from the frame's samples to 8-bit codes.
        inverse_sigma: hinges; ``chroma_unit``: luma's sigma over chroma's.
    """
    (y, c), (py, pc), (ny, nc) = raw, state, new_state
    rows, cells = left.shape
    s, w = np.empty(3 * 5 * LENGTH, F), np.empty(5 * LENGTH, F)
    pixels, changed = np.empty(6 * LENGTH, F), np.empty(2 * LENGTH, y.dtype)
    gain, gain2 = np.empty(LENGTH, F), np.empty(2 * LENGTH, F)
    to_state = scale * F(256)
    for at in range(0, cells, STRIP):
        n = min(STRIP, cells - at)
        lo, hi = max(at - 1, 0), min(at + n + 1, cells)
        skip = 1 - (at - lo)  # at the frame's border the cell beside it counts twice
        for row in range(first - 1, last + 1):
            r = min(max(row, 0), rows - 1)
            slot = s[(row + 3) % 3 * 5 * LENGTH :]
            _cell_statistics(
                raw, before, state, r, lo, hi - lo, scale, black, inverse_sigma, chroma_unit,
                pixels, changed, slot[skip:],
            )  # fmt: skip
            for t in range(5):
                if skip:
                    slot[t * LENGTH] = slot[t * LENGTH + 1]
                if hi == at + n:
                    slot[t * LENGTH + n + 1] = slot[t * LENGTH + n]
            if row < first + 1:
                continue
            o = row - 1
            for t in range(5):
                a = U(t) * ROW
                b, d = a + U(5) * ROW, a + U(10) * ROW
                for i in range(n + 2):
                    w[a + U(i)] = s[a + U(i)] + s[b + U(i)] + s[d + U(i)]
            _gains(w, left[o, at:], n, gain, new_left[o, at:])
            for i in range(n):
                gain2[U2 * U(i)] = gain[U(i)]
                gain2[U2 * U(i) + U1] = gain[U(i)]
            for t in range(2):
                p = 2 * o + t
                _follow(y[p, 2 * at :], py[p, 2 * at :], gain2, 2 * n, to_state, ny[p, 2 * at :])
            for k in range(c.shape[0]):
                _follow(c[k, o, at:], pc[k, o, at:], gain, n, to_state, nc[k, o, at:])
