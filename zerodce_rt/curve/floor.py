"""The floor of light maps: black without a signal stays black.

A network cannot tell, from a thumbnail, shadow from the black of a night sky that an encoder has
flattened. Lifting the latter gives grey fog, and colours to the encoder's blocks. But the pixels
can: where there is signal there is noise, so that near-black neighbours differ; flat black has no
steps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.curve.maps import CurveMaps, resize_bilinear

GRID = 16
"""Cells along a frame's long side for which the steps are measured."""

NEAR_BLACK = 9 / 255
"""Luma in [0, 1] below which pixels count."""

ROWS_PER_CELL = 6
"""How many of a cell's rows are looked at, at most."""

FLAT, ALIVE = 0.15, 0.45
"""Mean steps, in 8-bit codes, of flat black and of black with a signal."""

FEW, ENOUGH = 0.005, 0.02
"""Share of near-black pairs from which they begin to count, and fully do."""


def grid_of(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of cells for a frame.

    >>> grid_of(1080, 1920)
    (9, 16)
    """
    cell = max(height, width, GRID) / GRID
    return max(1, round(height / cell)), max(1, round(width / cell))


def sampled_rows(height: int, cells: int) -> NDArray[np.intp]:
    """The rows of a frame that are looked at, spread evenly: ``(cells, n)``."""
    count = max(1, min(ROWS_PER_CELL, height // cells))
    rows = (np.arange(cells * count) + 0.5) * height / (cells * count)
    return rows.astype(np.intp).reshape(cells, count)


def with_floor(maps: CurveMaps, gate: NDArray[np.float32]) -> CurveMaps:
    """Light maps whose curve at black is taken back where there is no signal.

    Args:
        gate: of ``floor_gate``.

    Returns:
        New maps. Only the values at the first knot, which is black, differ: gating all of them
        would show the cells as blotches.
    """
    size = maps.values.shape[1:]
    if gate.shape != size:
        gate = resize_bilinear(gate, *size)
    values = maps.values.copy()
    values[0] *= gate
    return replace(maps, values=values)


def floor_gate(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where there is a signal: 0 for flat black, 1 for anything else.

    Args:
        steps: ``(2, h, w)`` for the cells of a grid: the sum, over pairs of horizontal neighbours
            that are both near black, of their difference in 8-bit codes; and the number of such
            pairs; both divided by the number of all pairs.

    Returns:
        ``(h, w)`` in [0, 1], from the mean step of each cell and its eight neighbours.
    """
    total, share = (_neighbourhood(s) for s in steps)
    alive = smoothstep((total / np.maximum(share, 1e-6) - FLAT) / (ALIVE - FLAT))
    believed = smoothstep((share - FEW) / (ENOUGH - FEW))
    return (1 - believed * (1 - alive)).astype(np.float32)


def _neighbourhood(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over 3 x 3 cells, of those that there are."""
    height, width = values.shape
    padded, ones = (np.pad(v, 1) for v in (values, np.ones_like(values)))

    def sums(v: NDArray[Any]) -> NDArray[Any]:
        shifted = [v[y : y + height, x : x + width] for y in range(3) for x in range(3)]
        return np.sum(shifted, axis=0)

    return sums(padded) / sums(ones)


def smoothstep(x: NDArray[Any]) -> NDArray[Any]:
    """From 0 to 1 where x is, without a bend at either end."""
    x = x.clip(0, 1)
    return x * x * (3 - 2 * x)
