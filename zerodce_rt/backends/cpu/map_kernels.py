"""Rows of maps, spread over the pixels of a strip: what all curve kernels begin with.

The maps are interpolated horizontally once for each of their own few rows, as ramps rather than by
gathering, and vertically as each pixel is computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.cpu.arguments import Ramps
from zerodce_rt.backends.cpu.compiling import U, compiled, inlined

# Cells of a row worked on at once. All buffers are flat, with rows of this constant length: with
# strides that it does not know, the compiler would check at run time whether rows overlap.
# CPUs compare the low twelve bits of addresses first. A load that is a little ahead of a store to
# another row waits for it if rows lie about 4096 bytes apart: 1024 or 1008 samples cost 10 to 60 %
# where the buffers happened to lie badly. With 960, rows are 256 bytes off.
STRIP = 960
ROW = U(STRIP)


@inlined
def between(ring: Any, low: Any, rise: Any, i: Any, weight: Any) -> Any:
    """Vertical interpolation of one map value; see ``advance`` for what the ring holds."""
    return ring[low + i] + ring[rise + i] * weight


@compiled
def _expand(row: Any, ramps: Ramps, columns: int, at: int, n: int, out: Any) -> None:
    """Interpolate a row of a map horizontally, for the cells of a strip.

    Pixel ``columns * (at + i) + p`` goes to ``out[p * STRIP + i]``.
    """
    ramp_start, ramp_weight, one_to_one = ramps
    last = row.shape[0] - 1
    first = columns * at
    stop = first + columns * n
    if one_to_one:
        for p in range(columns):
            source, target = row[first + p :], out[p * STRIP :]
            for i in range(n):
                target[i] = source[U(columns) * U(i)]
        return
    k = np.searchsorted(ramp_start, first, side="right") - 1
    x = first
    while x < stop:  # one ramp, between map columns k and k + 1
        low = row[k]
        slope = row[min(k + 1, last)] - low
        end = min(ramp_start[k + 1], stop)
        for p in range(columns):
            # The first cell whose pixel p is on the ramp, and how many there are.
            start = (x - first - p + columns - 1) // columns
            count = (end - first - p + columns - 1) // columns - start
            target, weight = out[p * STRIP + start :], ramp_weight[p, at + start :]
            for i in range(count):
                target[i] = low + slope * weight[i]
        x = end
        k += 1


@compiled
def advance(
    maps: Any, newest: int, lower: int, upper: int, ramps: Ramps, columns: int, at: int, n: int,
    ring: Any,
) -> int:  # fmt: skip
    """Expand the maps' rows up to ``upper`` into the ring.

    The ring has three slots for all maps: the last two rows, the even one first, and by how much
    the newer is above the older. The subtraction is done here, once for many rows of pixels.

    Returns the newest row in the ring.
    """
    n_maps = maps.shape[0]
    size = columns * STRIP
    newest = max(newest, lower - 1)
    if newest == upper:
        return newest
    while newest < upper:
        newest += 1
        slot = (newest & 1) * n_maps * size
        for k in range(n_maps):
            _expand(maps[k, newest], ramps, columns, at, n, ring[slot + k * size :])
    older, newer = (lower & 1) * n_maps * size, (upper & 1) * n_maps * size
    for row in range(0, n_maps * size, STRIP):
        rise, low, high = ring[2 * n_maps * size + row :], ring[older + row :], ring[newer + row :]
        for i in range(n):
            rise[i] = high[i] - low[i]
    return newest
