"""The denoiser's filter of luma and the curve of light maps as one Triton kernel, for 4:2:0.

What the filter makes of a cell's four samples goes through the curve in registers, and the chroma
of a cell needs no more than that. So neither reads what the other wrote, and a thread that goes
down its column of cells needs the maps at two columns only: ``stretch_kernel`` interpolates them
along the rows beforehand, and what is left are two numbers to go between.
"""

import triton
import triton.language as tl

from zerodce_rt.backends.cuda.curve_kernels import (
    CHROMA_OFFSET,
    LARGEST_CODE,
    LUMA_OFFSET,
    LUMA_OFFSET_ROUNDED,
    LUMA_SCALE,
    LUMA_SPAN,
    SEMIPLANAR,
)
from zerodce_rt.backends.cuda.denoise_kernels import (
    NOW,
    ON,
    VARIANCE,
    own_columns,
    pairs,
    whole_fours,
)
from zerodce_rt.backends.cuda.denoise_space_kernels import FAR, NEAR, blocks_below, filtered_row
from zerodce_rt.backends.cuda.light_curve_kernels import (
    curved,
    curved_chroma,
    neighbours,
    strength_of,
)


@triton.jit
def stretch_kernel(
    maps, map_width, lines, width, line_width, scale_x, offset_x, COLUMNS: tl.constexpr
):  # fmt: skip
    """Interpolate the rows of maps for all columns of a frame.

    Args:
        maps: ``(count, map_height, map_width)``, contiguous.
        lines: ``(count, map_height, line_width)`` float32; the frame's last column is repeated.
        width: of the frame.
        scale_x, offset_x: see ``light_yuv_kernel``.
        COLUMNS: of a block; the launch's grid is blocks in a line, and lines.
    """
    line = tl.program_id(1)
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    row = maps + line * map_width
    left, right, weight = neighbours(tl.minimum(columns, width - 1), scale_x, offset_x, map_width)
    value = tl.load(row + left).to(tl.float32)
    value += (tl.load(row + right).to(tl.float32) - value) * weight
    tl.store(lines + line * line_width + columns, value, mask=columns < line_width)


@triton.jit
def _between(lines, upper, lower, weight):
    """A map between two of its rows."""
    value = tl.load(lines + upper)
    return value + (tl.load(lines + lower) - value) * weight


@triton.jit
def _maps_row(lines, row, columns, map_height, line_width, scale_y, offset_y):
    """Where the two map rows around a row of pixels lie in ``lines``, and the weight of the lower
    one."""
    low, high, weight = neighbours(row, scale_y, offset_y, map_height)
    upper = pairs(low * line_width + 2 * columns)
    lower = pairs(high * line_width + 2 * columns)
    return upper, lower, weight[:, :, None]


@triton.jit
def _curved_row(sample, lines, upper, lower, weight, size, strength, lowest, highest, c):
    """Luma of pairs of pixels, 0 to 1, before and after the curve."""
    luma = (sample.to(tl.float32) - tl.load(c + LUMA_OFFSET)) * tl.load(c + LUMA_SCALE)
    luma = tl.minimum(tl.maximum(luma, lowest), highest)
    a0 = _between(lines, upper, lower, weight)
    a1 = _between(lines + size, upper, lower, weight)
    a2 = _between(lines + 2 * size, upper, lower, weight)
    a3 = _between(lines + 3 * size, upper, lower, weight)
    return luma, curved(luma, strength * strength_of(luma, a0, a1, a2, a3))


@triton.jit
def _store_luma(out, at, enhanced, c, seen, DROPPED_BITS: tl.constexpr):
    code = enhanced * tl.load(c + LUMA_SPAN) + tl.load(c + LUMA_OFFSET_ROUNDED)
    code = tl.minimum(tl.maximum(code, 0.0), tl.load(c + LARGEST_CODE)).to(tl.int32)
    tl.store(out + at, (code << DROPPED_BITS).to(out.dtype.element_ty), mask=seen)


@triton.jit
def _mean(upper, lower, share_right, share_lower):
    """Mean over cells, whose right and lower pixels count as much as these say."""
    upper_0, upper_1 = tl.split(upper)
    lower_0, lower_1 = tl.split(lower)
    upper_0 += (upper_1 - upper_0) * share_right
    lower_0 += (lower_1 - lower_0) * share_right
    return upper_0 + (lower_0 - upper_0) * share_lower


@triton.jit(do_not_specialize=["height", "map_height", "cell_rows"])
def luma_curve_kernel(
    state, left, coarse, chroma, chroma_stride, chroma_cr_at, cell_rows, cell_columns, flags, noise,
    dst_0, dst_1, dst_2, dst_stride, dst_chroma_stride, width, height,
    lines, map_height, scale_y, offset_y, gain, coefficients, out_coefficients,
    BLACK: tl.constexpr, INTERLEAVED: tl.constexpr, OUT_LAYOUT: tl.constexpr,
    DROPPED_BITS: tl.constexpr, STRIPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Filter the luma, and enhance it and the filtered chroma.

    Args:
        state, left, coarse: see ``luma_kernel``; ``chroma .. chroma_cr_at``: see ``halves_kernel``.
        dst_0 .. height: of the frame to write, as for ``light_yuv_kernel``.
        lines: see ``stretch_kernel``.
        map_height .. offset_y, gain: see ``light_yuv_kernel``.
        coefficients, out_coefficients: of the filtered frame, and of the one to write.
        OUT_LAYOUT, DROPPED_BITS: of the latter.
        BLACK, STRIPS, ROWS, COLUMNS: see ``temporal_kernel``.
    """
    cell_columns = whole_fours(cell_columns)
    columns, mine = own_columns(cell_columns, COLUMNS)
    top = (tl.program_id(1) * STRIPS + tl.arange(0, STRIPS))[:, None] * ROWS
    on = tl.load(flags + ON) != 0
    now = tl.load(flags + NOW).to(tl.int64)
    plane = cell_rows * cell_columns
    state += now * 4 * plane
    left += now * plane
    h = noise + VARIANCE
    h0, h1, h2, h3 = tl.load(h), tl.load(h + 1), tl.load(h + 2), tl.load(h + 3)
    h4, h5, h6, h7 = tl.load(h + 4), tl.load(h + 5), tl.load(h + 6), tl.load(h + 7)

    c = coefficients
    out_c = out_coefficients
    strength = tl.load(gain)
    # Luma may be below black or above white; without a curve it must stay so.
    lowest = tl.where(strength == 0.0, -float("inf"), 0.0)
    highest = tl.where(strength == 0.0, float("inf"), 1.0)
    size = map_height * 2 * cell_columns
    mine = mine & (2 * columns < width)
    both = pairs(2 * columns) < width
    # A cell at the edge may have fewer pixels.
    share_right = tl.where(2 * columns + 1 < width, 0.5, 0.0)

    zero = tl.zeros((STRIPS, COLUMNS), tl.float32)
    e_0, o_0, a_0, b_0, q_0, n_0, s_0 = zero, zero, zero, zero, zero, zero, zero
    gain_even, gain_odd, even_2, even_3, odd_2, odd_3 = zero, zero, zero, zero, zero, zero
    for step in range(ROWS + 2):
        (
            e_0, o_0, a_0, b_0, q_0, n_0, s_0, below_even, below_odd,
            even_0, even_1, even_4, even_5, odd_0, odd_1, odd_4, odd_5,
        ) = blocks_below(
            state, left, coarse, top + step - 1, columns, cell_rows, cell_columns,
            e_0, o_0, a_0, b_0, q_0, n_0, s_0, h0, h1, h2, h3, h4, h5, h6, h7, BLACK,
        )  # fmt: skip
        if step >= 2:  # the row above has its four corners
            row = top + step - 2
            seen = mine & (2 * row < height)
            seen_below = mine & (2 * row + 1 < height)
            at = 4 * row * cell_columns + 2 * columns
            sample = filtered_row(
                state, at, seen, on, gain_even, below_even, even_2, even_0, gain_odd, below_odd,
                odd_2, odd_0, NEAR, FAR,
            )  # fmt: skip
            upper, lower, weight = _maps_row(
                lines, 2 * row, columns, map_height, 2 * cell_columns, scale_y, offset_y
            )
            luma, lit = _curved_row(
                sample, lines, upper, lower, weight, size, strength, lowest, highest, c
            )
            out = (2 * row).to(tl.int64) * dst_stride + 2 * columns
            _store_luma(dst_0, pairs(out), lit, out_c, seen[:, :, None] & both, DROPPED_BITS)

            sample = filtered_row(
                state, at + 2 * cell_columns, seen, on, gain_even, below_even, even_3, even_1,
                gain_odd, below_odd, odd_3, odd_1, FAR, NEAR,
            )  # fmt: skip
            # Below the last row it is taken once more, for the saturation is that of the last.
            upper, lower, weight = _maps_row(
                lines, tl.minimum(2 * row + 1, height - 1), columns, map_height, 2 * cell_columns,
                scale_y, offset_y,
            )  # fmt: skip
            luma_below, lit_below = _curved_row(
                sample, lines, upper, lower, weight, size, strength, lowest, highest, c
            )
            _store_luma(
                dst_0, pairs(out + dst_stride), lit_below, out_c, seen_below[:, :, None] & both,
                DROPPED_BITS,
            )  # fmt: skip

            share_lower = tl.where(2 * row + 1 < height, 0.5, 0.0)
            mean_luma = _mean(luma, luma_below, share_right, share_lower)
            mean_lit = _mean(lit, lit_below, share_right, share_lower)
            first, last = tl.split(_between(lines + 4 * size, upper, lower, weight))
            step_x: tl.constexpr = 2 if INTERLEAVED else 1
            at = row.to(tl.int64) * chroma_stride + step_x * columns
            cb = tl.load(chroma + at, mask=seen, other=0).to(tl.float32)
            cr = tl.load(chroma + chroma_cr_at + at, mask=seen, other=0).to(tl.float32)
            cb, cr = curved_chroma(
                cb - tl.load(c + CHROMA_OFFSET), cr - tl.load(c + CHROMA_OFFSET),
                mean_luma, mean_lit, 0.5 * (first + last), strength, c, out_c,
            )  # fmt: skip
            sample_type = dst_1.dtype.element_ty
            cb = (cb.to(tl.int32) << DROPPED_BITS).to(sample_type)
            cr = (cr.to(tl.int32) << DROPPED_BITS).to(sample_type)
            at = row.to(tl.int64) * dst_chroma_stride
            if OUT_LAYOUT == SEMIPLANAR:
                tl.store(dst_1 + pairs(at + 2 * columns), tl.join(cb, cr), mask=seen[:, :, None])
            else:
                tl.store(dst_1 + at + columns, cb, mask=seen)
                tl.store(dst_2 + at + columns, cr, mask=seen)
        gain_even, gain_odd = below_even, below_odd
        even_2, even_3, odd_2, odd_3 = even_4, even_5, odd_4, odd_5
