"""Steps between near-black neighbours, for the floor of light maps (see ``curve/floor.py``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.cpu.compiling import ONE, U1, U2, U3, ZERO, U, compiled
from zerodce_rt.curve import floor
from zerodce_rt.frame import PACKED_MATRIX, luma_weights

_LIMIT = np.float32(255 * floor.NEAR_BLACK)
_RED, _GREEN, _BLUE = (np.float32(w) for w in luma_weights(PACKED_MATRIX))


@compiled
def _add_steps(line: Any, width: int, cell: int, out: Any) -> None:
    """Steps of one row, in 8-bit codes of full range, to the row of cells."""
    cells = out.shape[2]
    for k in range(cells):
        left, right = k * width // cells, max((k + 1) * width // cells - 1, k * width // cells)
        total, count = ZERO, ZERO
        for i in range(left, right):
            a, b = line[U(i)], line[U(i) + U1]
            near = ONE if max(a, b) < _LIMIT else ZERO
            count += near
            total += near * abs(a - b)
        out[0, cell, k] += total
        out[1, cell, k] += count


@compiled
def _finish(width: int, rows: Any, out: Any) -> None:
    cells = out.shape[2]
    for k in range(cells):
        pairs = max((k + 1) * width // cells - 1 - k * width // cells, 1) * rows.shape[1]
        out[:, :, k] /= np.float32(pairs)


@compiled
def steps_of_luma(
    y: Any, apart: int, width: int, rows: Any, offset: Any, scale: Any, out: Any
) -> None:
    """Fill ``out`` (see ``floor.with_floor``) from a plane of luma.

    Args:
        apart: samples in a row from one of luma to the next.
        rows: of ``floor.sampled_rows``.
        offset, scale: the code of black, and 8-bit codes of full range for one of the plane's.
    """
    line = np.empty(width, np.float32)
    out[:] = ZERO
    for cell in range(rows.shape[0]):
        for row in rows[cell]:
            for i in range(width):
                line[i] = (np.float32(y[row, U(i * apart)]) - offset) * scale
            _add_steps(line, width, cell, out)
    _finish(width, rows, out)


@compiled
def steps_of_packed(plane: Any, bgr: bool, width: int, rows: Any, scale: Any, out: Any) -> None:
    """The same from packed RGB or BGR."""
    red, blue = (_BLUE, _RED) if bgr else (_RED, _BLUE)
    line = np.empty(width, np.float32)
    out[:] = ZERO
    for cell in range(rows.shape[0]):
        for row in rows[cell]:
            for i in range(width):
                j = U3 * U(i)
                luma = red * plane[row, j] + _GREEN * plane[row, j + U1]
                line[i] = (luma + blue * plane[row, j + U2]) * scale
            _add_steps(line, width, cell, out)
    _finish(width, rows, out)
