"""The filter that the fast ones are tested against: float64, NumPy, no shortcuts.

Planes hold 8-bit codes as numbers with fractions. Luma is ``(2 rows, 2 columns)`` for so many
cells; chroma is ``(planes, rows, columns)``, one sample a cell in each plane: Cb's, then Cr's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.denoise.learner import Noise
from zerodce_rt.denoise.noise import BLOCK, BlockStatistics
from zerodce_rt.denoise.rules import (
    CHROMA_LIMIT,
    CHROMA_STRICTNESS,
    CHROMA_WEIGHT,
    DRIFT,
    ENERGY_LIMIT,
    ENERGY_WEIGHT,
    KNOTS,
    LEAST_LEFT,
    LUMA_STRICTNESS,
    MEAN_LIMIT,
    MEAN_WEIGHT,
    REPEATED,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class State:
    """What the filter expects of the next frame.

    Attributes:
        luma, chroma: codes.
        left: variance of their noise, as a share of a single frame's; ``(rows, columns)``.
    """

    luma: Array
    chroma: Array
    left: Array


def first_state(luma: Array, chroma: Array) -> State:
    """Before the first frame: it is what is expected, with all of its noise."""
    return State(luma, chroma, np.ones(chroma.shape[1:]))


def over_time(
    luma: Array, chroma: Array, changed: NDArray[np.bool_], state: State, noise: Noise, black: float
) -> State:
    """A Kalman filter for each cell, whose test for bias stands in for a search for motion.

    With the innovations d = x - expected in units of the noise, means over 3x3 cells, and the
    variance that they should have, total = 1 + left:

        bias = 8 max(0, mean(d)^2 - 0.45 total) + 1.5 max(0, mean(d^2) - 2 total)
             + max(0, mean(d_cb)^2 - 3 total) + max(0, mean(d_cr)^2 - 3 total)
        g    = (left + drift) new + bias
        gain = g / (1 + g)

    ``new`` is 1 where the frame tells something new, and less where an encoder has repeated it.

    Args:
        changed: cells of which a luma sample differs from the frame before.
        black: 8-bit code of black.
    """
    new = np.minimum(1, REPEATED + _sum9(changed.astype(np.float64)))
    codes = _cell_means(luma + state.luma) / 2 - black
    # Not the root of the variance there: the kernels interpolate this, too.
    unit = np.interp(codes, KNOTS, 1 / np.sqrt(noise.variances))
    d = (luma - state.luma) * _repeat2(unit)
    chroma_unit = unit / np.sqrt(noise.chroma_share)
    half = len(chroma) // 2
    d_cb = (chroma[:half] - state.chroma[:half]).mean(axis=0) * chroma_unit
    d_cr = (chroma[half:] - state.chroma[half:]).mean(axis=0) * chroma_unit
    mean, energy = _sum9(_cell_means(d)) / 9, _sum9(_cell_means(d * d)) / 9
    cb, cr = _sum9(d_cb) / 9, _sum9(d_cr) / 9
    total = 1 + state.left
    bias = (
        MEAN_WEIGHT * np.maximum(0, mean**2 - MEAN_LIMIT * total)
        + ENERGY_WEIGHT * np.maximum(0, energy - ENERGY_LIMIT * total)
        + CHROMA_WEIGHT * np.maximum(0, cb**2 - CHROMA_LIMIT * total)
        + CHROMA_WEIGHT * np.maximum(0, cr**2 - CHROMA_LIMIT * total)
    )
    g = (state.left + DRIFT) * new + bias
    gain = g / (1 + g)
    return State(
        state.luma + _repeat2(gain) * (luma - state.luma),
        state.chroma + gain * (chroma - state.chroma),
        np.clip(gain + (1 - new) * state.left, LEAST_LEFT, 1),
    )


def over_space(state: State, noise: Noise, black: float) -> tuple[Array, Array]:
    """A two-level pyramid whose detail is kept by how far its energy exceeds the noise left.

    Returns:
        Luma and chroma.
    """
    codes = _cell_means(state.luma) - black
    variance = np.interp(codes, KNOTS, noise.variances) * state.left
    luma = _pyramid(state.luma, variance, LUMA_STRICTNESS)
    chroma_variance = noise.chroma_share * _cell_means(variance)
    chroma = np.stack([_pyramid(c, chroma_variance, CHROMA_STRICTNESS) for c in state.chroma])
    return luma, chroma


def block_statistics(plane: Array, before: Array, start: int, step: int) -> BlockStatistics:
    """See ``learner.Statistics``."""
    blocks, blocks_before = _blocks(plane)[start::step], _blocks(before)[start::step]
    difference = blocks - blocks_before
    quarters = blocks.reshape(*blocks.shape[:2], 2, 4, 2, 4)
    flat = (-1,)
    return BlockStatistics(
        ((difference**2).mean(axis=(2, 3)) / 2).reshape(flat).astype(np.float32),
        quarters.var(axis=(3, 5), ddof=1).mean(axis=(2, 3)).reshape(flat).astype(np.float32),
        blocks.mean(axis=(2, 3)).reshape(flat).astype(np.float32),
        (difference != 0).sum(axis=(2, 3)).reshape(flat).astype(np.int32),
    )


def _blocks(plane: Array) -> Array:
    """``(rows, columns, 8, 8)``: whole blocks."""
    rows, columns = (n // BLOCK for n in plane.shape)
    whole = plane[: rows * BLOCK, : columns * BLOCK]
    return whole.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)


def _pyramid(plane: Array, variance: Array, strictness: tuple[float, float]) -> Array:
    """Clean a plane, given the noise of each 2x2 of its samples."""
    fine, coarse = strictness
    half = _cell_means(plane)
    # The mean of four samples has a quarter of their variance.
    filtered = _shrink(half, coarse * _cell_means(variance) / 4, _cell_means(half))
    return _shrink(plane, fine * variance, filtered)


def _shrink(plane: Array, threshold: Array, base: Array) -> Array:
    """Wiener's rule for the detail that ``base``, of half the size, lacks."""
    enlarged = _enlarge(base)
    detail = plane - enlarged
    energy = _sum9(_cell_means(detail**2)) / 9
    keep = np.maximum(0, 1 - threshold / (energy + 1e-4))
    return enlarged + detail * _repeat2(keep)


def _enlarge(small: Array) -> Array:
    """Bilinear enlargement to twice the size."""
    for axis in (0, 1):
        last = small.shape[axis] - 1
        before = small.take(np.maximum(np.arange(last + 1) - 1, 0), axis)
        after = small.take(np.minimum(np.arange(last + 1) + 1, last), axis)
        pair = np.stack([0.25 * before + 0.75 * small, 0.75 * small + 0.25 * after], axis + 1)
        shape = list(small.shape)
        shape[axis] *= 2
        small = pair.reshape(shape)
    return small


def _cell_means(plane: Array) -> Array:
    rows, columns = plane.shape[0] // 2, plane.shape[1] // 2
    means: Array = plane.reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    return means


def _repeat2(cells: Array) -> Array:
    return cells.repeat(2, axis=0).repeat(2, axis=1)


def _sum9(cells: Array) -> Array:
    """Sums over 3x3 cells; those at the border count twice."""
    rows, columns = cells.shape
    p = np.pad(cells, 1, mode="edge")
    parts = [p[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    return np.asarray(sum(parts))
