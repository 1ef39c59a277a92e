"""The denoiser's two filters, one behind the other while their rows are in the cache."""

from __future__ import annotations

from typing import Any

from zerodce_rt.backends.cpu.compiling import compiled
from zerodce_rt.backends.cpu.spatial_kernels import QUARTER, halve, shrink_blocks
from zerodce_rt.backends.cpu.temporal_kernels import temporal

CHUNK = 16
"""Cell rows that are filtered over time before the filter over space follows."""

REACH = 8
"""Cell rows above and below that the filter over space looks at, with its coarse levels."""


@compiled
def _average(state: Any, left: Any, work: Any, first: int, last: int) -> None:
    """Smaller copies of cell rows ``first .. last``."""
    luma, chroma = state
    (means, half, quarter), (left_half, left_quarter), _, (chroma_means, _) = work
    halve(luma, means, first, last)
    first, last = first // 2, last // 2
    halve(means, half, first, last)
    halve(left, left_half, first, last)
    for k in range(chroma.shape[0]):
        halve(chroma[k], chroma_means[k], first, last)
    first, last = first // 2, last // 2
    halve(half, quarter, first, last)
    halve(left_half, left_quarter, first, last)


@compiled
def _filter_means(work: Any, noise: Any, first: int, last: int) -> None:
    """Filter the means of cell rows ``first .. last``; a mean has a quarter of the noise."""
    (means, half, quarter), (left_half, left_quarter), coarse, chroma = work
    (chroma_means, chroma_coarse), (black, variance, factor, chroma_factor) = chroma, noise
    none, chroma_none = (means, False), (half, False)
    luma_noise = black, variance, factor * QUARTER
    chroma_noise = black, variance, chroma_factor * QUARTER
    shrink_blocks(means, half, left_half, luma_noise, none, coarse, first // 2, last // 2)
    for k in range(chroma_means.shape[0]):
        shrink_blocks(
            chroma_means[k], quarter, left_quarter, chroma_noise, chroma_none, chroma_coarse[k],
            first // 4, last // 4,
        )  # fmt: skip


@compiled
def _filter_samples(
    state: Any, left: Any, work: Any, noise: Any, out: Any, first: int, last: int
) -> None:
    """Filter the samples of cell rows ``first .. last``."""
    (luma, chroma), (out_luma, out_chroma) = state, out
    (means, half, _), (left_half, _), coarse, (_, chroma_coarse) = work
    black, variance, factor, chroma_factor = noise
    luma_noise, chroma_noise = (black, variance, factor), (black, variance, chroma_factor)
    shrink_blocks(luma, means, left, luma_noise, (coarse, True), out_luma, first, last)
    for k in range(chroma.shape[0]):
        shrink_blocks(
            chroma[k], half, left_half, chroma_noise, (chroma_coarse[k], True), out_chroma[k],
            first // 2, last // 2,
        )  # fmt: skip


@compiled
def filter_band(
    raw: Any, before: Any, state: Any, left: Any, new_state: Any, new_left: Any, time_numbers: Any,
    work: Any, noise: Any, out: Any, first: int, last: int,
) -> None:  # fmt: skip
    """Filter cell rows ``first .. last`` over time, and all but the first and last over space.

    The latter need the rows of other bands; see ``filter_border``.

    Args:
        raw, before, state, left, new_state, new_left: see ``temporal``, as for the four
            ``time_numbers``.
        work: planes to be filled: mean luma of 1, 2x2 and 4x4 cells; ``left`` of 2x2 and 4x4;
            filtered means of luma; means of chroma and the same filtered.
        noise: ``(black, variance, factor, chroma_factor)``; see ``shrink_blocks``.
    """
    rows = left.shape[0]
    scale, black, inverse_sigma, chroma_unit = time_numbers
    done = 0 if first == 0 else first + REACH
    means_done = 0 if first == 0 else done - REACH // 2
    for start in range(first, last, CHUNK):
        stop = min(start + CHUNK, last)
        temporal(
            raw, before, state, left, new_state, new_left, scale, black, inverse_sigma,
            chroma_unit, start, stop,
        )  # fmt: skip
        _average(new_state, new_left, work, start, stop)
        end = rows if stop == rows else stop - REACH
        if end > done:
            means_end = rows if stop == rows else end + REACH // 2
            _filter_means(work, noise, means_done, means_end)
            _filter_samples(new_state, new_left, work, noise, out, done, end)
            done, means_done = end, means_end


@compiled
def filter_border(state: Any, left: Any, work: Any, noise: Any, out: Any, row: int) -> None:
    """Filter over space what two bands have left on both sides of cell row ``row``."""
    half = REACH // 2
    _filter_means(work, noise, row - half, row + half)
    _filter_samples(state, left, work, noise, out, row - REACH, row + REACH)
