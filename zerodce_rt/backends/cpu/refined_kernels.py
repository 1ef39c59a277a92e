"""Packed pixels that were filtered: their fine chroma is added, and the curve applied, row by row.

The denoiser has filtered their luma, and the mean chroma of each cell; what the chroma of pixels
differs by from that mean is found in the frame itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.coefficients import BLUE_WEIGHT, GREEN_WEIGHT, RED_WEIGHT
from zerodce_rt.backends.cpu.arguments import Grid
from zerodce_rt.backends.cpu.cell_kernels import (
    HALF_STRIP,
    PHASES,
    chroma_of_packed,
    limits_of,
    refine_cells,
)
from zerodce_rt.backends.cpu.compiling import U2, U, compiled
from zerodce_rt.backends.cpu.curve_kernels import iterate, load_chroma, load_row, store_packed
from zerodce_rt.backends.cpu.light_kernels import enhance_rgb
from zerodce_rt.backends.cpu.map_kernels import ROW, STRIP, advance
from zerodce_rt.backends.cpu.temporal_kernels import LENGTH, F


@compiled
def enhance_refined(
    luma: Any, filtered: Any, codes: Any, source: Any, noise: Any, target: Any, bgr: bool, c: Any,
    white: Any, rounding: Any, grid: Grid, first: int, last: int,
) -> None:  # fmt: skip
    """Enhance cell rows ``first .. last`` of packed RGB or BGR.

    Args:
        luma: filtered; ``filtered``: the mean chroma of cells, ``(2, rows, columns)``.
        codes: mean luma of cells.
        source: see ``chroma_of_packed``; must not share memory with ``target``.
        noise: ``(black, variance, factor)``; see ``refine_planes``.
        c: of ``yuv_coefficients``; ``white``, ``rounding``, ``grid``: as for ``enhance_packed``.
    """
    _, width, height, _, _, _ = source
    black, variance, factor = noise
    maps, row_lower, row_weight, ramps, knots = grid
    weights = c[RED_WEIGHT], c[GREEN_WEIGHT], c[BLUE_WEIGHT]
    n_maps, map_rows = maps.shape[0], maps.shape[1]
    slot = U(n_maps) * ROW
    ring = np.empty(3 * n_maps * STRIP, F)
    x, chroma = np.empty(3 * STRIP, F), np.empty(3 * STRIP, F)
    rows, yuv = np.empty(2 * PHASES * LENGTH, F), np.empty(6 * LENGTH, F)
    means, energies = np.empty(2 * LENGTH, F), np.empty(2 * LENGTH, F)
    limits = np.empty(2 * LENGTH, F)
    cells = filtered.shape[2]
    cb, cr = np.empty((2, 2 * cells), np.uint16), np.empty((2, 2 * cells), np.uint16)
    for at in range(0, (width + 1) // 2, HALF_STRIP):
        n = min(HALF_STRIP, cells - at)
        lo, hi = max(at - 1, 0), min(at + n + 1, cells)
        skip = 1 - (at - lo)
        x0, pixels = 2 * at, min(2 * n, width - 2 * at)
        newest = -1
        for r in range(first, last):
            chroma_of_packed(source, r, lo, hi - lo, yuv, cb, False, rows[skip:])
            limits_of(codes[r], at, n, black, variance, factor, limits)
            refine_cells(rows, means, energies, limits, filtered, 2, 2, at, n, r, skip, cb, cr, 0)
            for t in range(2):
                row = 2 * r + t
                if row >= height:
                    break
                lower, weight = row_lower[row], row_weight[row]
                upper = min(lower + 1, map_rows - 1)
                newest = advance(maps, newest, lower, upper, ramps, 1, x0, pixels, ring)
                load_chroma(cb[t], cr[t], 1, U(x0), pixels, c, chroma)
                load_row(luma[row], chroma, 1, U(x0), pixels, c, x)
                low, rise = U(lower & 1) * slot, U2 * slot
                if knots.shape[0]:
                    enhance_rgb(x, ring, low, rise, weight, knots, pixels, weights)
                else:
                    iterate(x, ring, low, rise, weight, n_maps, 1, pixels, False)
                store_packed(x, bgr, U(x0), pixels, white, rounding, target[row])
