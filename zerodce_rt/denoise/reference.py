"""The filter that the fast ones are tested against: float64, NumPy, no shortcuts.

Planes hold 8-bit codes as numbers with fractions. Luma is ``(2 rows, 2 columns)`` for so many
cells; chroma is ``(2, rows, columns)``: the mean Cb and Cr of each cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.denoise.learner import Noise
from zerodce_rt.denoise.noise import BLOCK, BlockStatistics
from zerodce_rt.denoise.rules import (
    CHROMA_LIMIT,
    CHROMA_WEIGHT,
    DRIFT,
    ENERGY_LIMIT,
    ENERGY_WEIGHT,
    FINE_STRICTNESS,
    KNOTS,
    LEAST_LEFT,
    MEAN_LIMIT,
    MEAN_WEIGHT,
    REPEATED,
    VIDEO_STRICTNESS,
    WINDOW,
    Strictness,
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
    d_cb, d_cr = (chroma - state.chroma) * chroma_unit
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


def over_space(
    state: State, noise: Noise, black: float, strictness: Strictness = VIDEO_STRICTNESS
) -> tuple[Array, Array]:
    """Wiener's rule in blocks of 4x4 samples, for parts that a picture has more of than noise.

    A block is the sum of its mean, the profiles of its columns and of its rows (their means, less
    the block's), and the rest. With the energy e of a part, which noise of the variance v would
    give n v (n is 3, 3 and 9 for profiles and rest), what is kept of it is

        max(0, 1 - strictness n v / e)

    Blocks begin at every second sample; their results are added up under a sine's window. The
    noise that the filter over time leaves is not white: the root of its share stands for that.
    Planes of half the size, chroma and the means of 2x2 luma samples, have one gain for a block's
    profiles and rest together. What that changes the means by goes into the luma, since its blocks
    are too small for the noise of their own means; where things move it would cost detail.

    Returns:
        Luma and chroma.
    """
    codes, left = _cell_means(state.luma), state.left
    half_codes, half_left = _cell_means(codes), _cell_means(left)
    variance, half_variance = (
        np.interp(c - black, KNOTS, noise.variances) * np.sqrt(share)
        for c, share in ((codes, left), (half_codes, half_left))
    )
    # A mean of four samples has a quarter of their noise.
    means = _shrink_wholes(codes, strictness.means / 4 * half_variance)
    shift = (1 - strictness.moving_doubt * left) * (means - codes)
    threshold = strictness.chroma * noise.chroma_share * half_variance
    chroma = [_shrink_wholes(plane, threshold) for plane in state.chroma]
    return _shrink_parts(state.luma, strictness.luma * variance, shift), np.stack(chroma)


def fine_chroma(apart: Array, state: State, noise: Noise, black: float) -> Array:
    """What the chroma samples of a cell differ by from their mean, where it is more than noise.

    Args:
        apart: the differences, ``(2, rows, down, columns, across)``.
    """
    samples = apart.shape[2] * apart.shape[4]
    variance = noise.chroma_share * np.interp(
        _cell_means(state.luma) - black, KNOTS, noise.variances
    )
    # A sample has so many times the variance of the mean; n - 1 of them are free in each cell.
    limit = FINE_STRICTNESS * variance * samples * 3 * (samples - 1)
    energy = np.pad((apart**2).sum(axis=(2, 4)), ((0, 0), (0, 0), (1, 1)), mode="edge")
    energy = energy[..., :-2] + energy[..., 1:-1] + energy[..., 2:]
    keep = np.maximum(0, 1 - limit / np.maximum(energy, 1e-3))
    return apart * keep[:, :, None, :, None]


def _shrink_parts(plane: Array, threshold: Array, shift: Array) -> Array:
    """Filter a plane; each 2x2 samples have a threshold, and a change of their mean."""
    block = _blocks_around_corners(plane)
    limit, change = (_around_corners(cells) for cells in (threshold, shift))
    mean = block.mean(axis=(-2, -1), keepdims=True)
    column = block.mean(axis=-2, keepdims=True) - mean
    row = block.mean(axis=-1, keepdims=True) - mean
    rest = block - mean - column - row
    kept = mean + change
    for part, repeated, freedom in ((column, 4, 3), (row, 4, 3), (rest, 1, 9)):
        kept = kept + part * _gain(repeated * part**2, freedom * limit)
    return _added_up(kept)


def _shrink_wholes(plane: Array, threshold: Array) -> Array:
    """Filter a plane with one gain for a block, by a threshold for each 2x2 samples."""
    block = _blocks_around_corners(plane)
    mean = block.mean(axis=(-2, -1), keepdims=True)
    rest = block - mean
    return _added_up(mean + rest * _gain(rest**2, 15 * _around_corners(threshold)))


def _gain(squares: Array, limit: Array) -> Array:
    energy = squares.sum(axis=(-2, -1), keepdims=True)
    return np.maximum(0, 1 - limit / np.maximum(energy, 1e-3))


def _blocks_around_corners(plane: Array) -> Array:
    """``(rows + 1, columns + 1, 4, 4)``: the blocks of 2x2 cells; cells are 2x2 samples."""
    rows, columns = plane.shape[0] // 2, plane.shape[1] // 2
    cells = plane.reshape(rows, 2, columns, 2).swapaxes(1, 2)
    around = np.pad(cells, ((1, 1), (1, 1), (0, 0), (0, 0)), mode="edge")
    upper, lower = (
        np.concatenate([part[:, :-1], part[:, 1:]], axis=-1) for part in (around[:-1], around[1:])
    )
    return np.concatenate([upper, lower], axis=-2)


def _added_up(blocks: Array) -> Array:
    """The plane of which these are the blocks, under a sine's window."""
    window = np.array([*WINDOW, *WINDOW[::-1]])
    weighted = blocks * np.outer(window, window)
    rows, columns = 2 * blocks.shape[0] - 2, 2 * blocks.shape[1] - 2
    total = np.zeros((rows + 4, columns + 4))
    for y in range(4):
        for x in range(4):
            total[y : y + rows + 2 : 2, x : x + columns + 2 : 2] += weighted[..., y, x]
    return np.clip(total[2:-2, 2:-2], 0, (2**16 - 1) / 256)


def _around_corners(cells: Array) -> Array:
    """``(rows + 1, columns + 1, 1, 1)``: means of the four cells around each corner."""
    p = np.pad(cells, 1, mode="edge")
    return ((p[:-1, :-1] + p[:-1, 1:] + p[1:, :-1] + p[1:, 1:]) / 4)[..., None, None]


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
