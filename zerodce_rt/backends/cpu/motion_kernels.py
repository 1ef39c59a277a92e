"""The denoiser's state carried along with a moving camera, by blocks, in whole pixels.

Blocks are 16x16 luma samples: 8x8 cells, and 4x4 samples of the small pictures that motion is
searched in. Vectors ``(dx, dy)`` are in luma samples, from a place in the frame to where the state
has the same thing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.cpu.compiling import U1, U2, U3, U4, U, compiled
from zerodce_rt.backends.cpu.temporal_kernels import F

SMALL = 4
"""Side of a block in the small pictures, and of what becomes one sample of them."""


@compiled
def quarter(luma: Any, scale: Any, out: Any, first: int, last: int) -> None:
    """Rows ``first .. last`` of a picture of a quarter of the size, in 8-bit codes."""
    n = out.shape[1]
    sums = np.empty(4 * n, F)
    share = scale * F(1 / 16)
    for r in range(first, last):
        a, b, c, d = luma[4 * r], luma[4 * r + 1], luma[4 * r + 2], luma[4 * r + 3]
        row = out[r]
        for i in range(4 * n):
            j = U(i)
            sums[j] = F(a[j]) + F(b[j]) + F(c[j]) + F(d[j])
        for i in range(n):
            j = U4 * U(i)
            row[U(i)] = (sums[j] + sums[j + U1] + sums[j + U2] + sums[j + U3]) * share


@compiled
def choose_vectors(now: Any, before: Any, flow: Any, better: Any, margin: Any, vectors: Any) -> int:
    """For each block the mean flow in whole pixels, or none where that fits hardly better.

    Args:
        now, before: small pictures of the frame and of the state.
        flow: ``(rows, columns, 2)``, in their pixels.
        better: share of the differences without motion that may be left with it, less
            ``margin``, in 8-bit codes for each sample.

    Returns:
        The number of blocks that move.
    """
    rows, columns = now.shape
    moving = 0
    for block_row in range(vectors.shape[0]):
        for block_column in range(vectors.shape[1]):
            top, left = min(4 * block_row, rows - 4), min(4 * block_column, columns - 4)
            x, y = F(0), F(0)
            for r in range(top, top + 4):
                for c in range(left, left + 4):
                    x += flow[r, c, 0]
                    y += flow[r, c, 1]
            x, y = x * F(1 / 16), y * F(1 / 16)
            dx, dy = int(np.rint(4 * x)), int(np.rint(4 * y))
            if dx != 0 or dy != 0:
                whole_x, whole_y = int(np.floor(x)), int(np.floor(y))
                part_x, part_y = x - F(whole_x), y - F(whole_y)
                still, moved, count = F(0), F(0), F(0)
                # With a margin, so that neighbours decide alike.
                for r in range(max(top - 2, 0), min(top + 6, rows), 2):
                    for c in range(max(left - 2, 0), min(left + 6, columns)):
                        count += F(1)
                        still += abs(now[r, c] - before[r, c])
                        r0 = min(max(r + whole_y, 0), rows - 2)
                        c0 = min(max(c + whole_x, 0), columns - 2)
                        a = before[r0, c0] + part_x * (before[r0, c0 + 1] - before[r0, c0])
                        b = before[r0 + 1, c0] + part_x * (
                            before[r0 + 1, c0 + 1] - before[r0 + 1, c0]
                        )
                        moved += abs(now[r, c] - (a + part_y * (b - a)))
                if moved > better * still - margin * count:
                    dx, dy = 0, 0
                else:
                    moving += 1
            vectors[block_row, block_column, 0] = dx
            vectors[block_row, block_column, 1] = dy
    return moving


@compiled
def move(
    plane: Any, vectors: Any, size: int, divisor: int, out: Any, first: int, last: int
) -> None:
    """Block rows ``first .. last`` of a plane, taken from where their vectors point to.

    Args:
        size: of the blocks in samples of the plane; ``divisor``: luma samples for one of its own.
    """
    rows, columns = plane.shape
    for block_row in range(first, last):
        for r in range(block_row * size, min(block_row * size + size, rows)):
            target = out[r]
            block = 0
            while block * size < columns:
                x0 = block * size
                dx, dy = vectors[block_row, block, 0], vectors[block_row, block, 1]
                block += 1
                while (  # neighbours that move alike are copied at once
                    block * size < columns
                    and vectors[block_row, block, 0] == dx
                    and vectors[block_row, block, 1] == dy
                ):
                    block += 1
                n = min(block * size, columns) - x0
                if divisor == 2:
                    dx, dy = (dx + 1) >> 1, (dy + 1) >> 1
                source = plane[min(max(r + dy, 0), rows - 1)]
                # What lies outside of the frame is like its border.
                lead = min(max(-(x0 + dx), 0), n)
                tail = min(max(x0 + n + dx - columns, 0), n)
                for i in range(lead):
                    target[x0 + i] = source[0]
                for i in range(n - lead - tail):
                    target[U(x0 + lead) + U(i)] = source[U(x0 + lead + dx) + U(i)]
                for i in range(n - tail, n):
                    target[x0 + i] = source[columns - 1]
