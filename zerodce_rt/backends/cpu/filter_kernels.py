"""The denoiser's two filters, one behind the other while their rows are in the cache."""

from __future__ import annotations

from typing import Any

from zerodce_rt.backends.cpu.compiling import compiled
from zerodce_rt.backends.cpu.spatial_kernels import halve, shrink_parts
from zerodce_rt.backends.cpu.temporal_kernels import temporal
from zerodce_rt.backends.cpu.wiener_kernels import shrink_wholes

CHUNK = 32
"""Cell rows that are filtered over time before the filter over space follows."""

REACH = 4
"""Cell rows above and below that the filter over space looks at, with its coarse level."""


@compiled
def _average(luma: Any, left: Any, work: Any, first: int, last: int) -> None:
    """Smaller copies of cell rows ``first .. last``."""
    means, half, left_half, _ = work
    halve(luma, means, first, last)
    halve(means, half, first // 2, last // 2)
    halve(left, left_half, first // 2, last // 2)


@compiled
def _filter_halves(chroma: Any, work: Any, noise: Any, out: Any, first: int, last: int) -> None:
    """Filter the mean luma of cell rows ``first .. last``, and the chroma, which has its size."""
    means, half, left_half, coarse = work
    black, variance, means_factor, chroma_factor, _, _ = noise
    a, b = first // 2, last // 2
    shrink_wholes(means, half, left_half, (black, variance, means_factor), coarse, a, b)
    for k in range(2):
        shrink_wholes(chroma[k], half, left_half, (black, variance, chroma_factor), out[k], a, b)


@compiled
def _filter_luma(
    luma: Any, left: Any, work: Any, noise: Any, out: Any, first: int, last: int
) -> None:
    means, _, _, coarse = work
    black, variance, _, _, strictness, doubt = noise
    luma_noise = black, variance, strictness, doubt
    shrink_parts(luma, means, left, luma_noise, coarse, out, first, last)


@compiled
def filter_band(
    raw: Any, pairs: Any, pairs_before: Any, state: Any, left: Any, new_state: Any, new_left: Any,
    numbers: Any, work: Any, noise: Any, out: Any, first: int, last: int,
) -> None:  # fmt: skip
    """Filter cell rows ``first .. last`` over time, and all but the first and last over space.

    The latter need the rows of other bands; see ``filter_border``.

    Args:
        raw .. numbers: see ``temporal``.
        work: planes to be filled: mean luma of 1 and of 2x2 cells, ``left`` of 2x2, and the mean
            luma of cells filtered.
        noise: ``(black, variance, means_strictness, chroma_strictness, strictness, doubt)``;
            the last two are luma's. See ``shrink_parts``.
    """
    rows = left.shape[0]
    (luma, chroma), (out_luma, out_chroma) = new_state, out
    done = 0 if first == 0 else first + REACH
    halves_done = 0 if first == 0 else done - REACH // 2
    for start in range(first, last, CHUNK):
        stop = min(start + CHUNK, last)
        temporal(raw, pairs, pairs_before, state, left, new_state, new_left, numbers, start, stop)
        _average(luma, new_left, work, start, stop)
        end = rows if stop == rows else stop - REACH
        halves_end = rows if stop == rows else end + REACH // 2
        _filter_halves(chroma, work, noise, out_chroma, halves_done, halves_end)
        _filter_luma(luma, new_left, work, noise, out_luma, done, end)
        done, halves_done = end, halves_end


@compiled
def filter_border(state: Any, left: Any, work: Any, noise: Any, out: Any, row: int) -> None:
    """Filter over space what two bands have left on both sides of cell row ``row``."""
    (luma, chroma), (out_luma, out_chroma) = state, out
    half = REACH // 2
    _filter_halves(chroma, work, noise, out_chroma, row - half, row + half)
    _filter_luma(luma, left, work, noise, out_luma, row - REACH, row + REACH)
