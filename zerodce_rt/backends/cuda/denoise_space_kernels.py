"""The denoiser's filter over space as Triton kernels.

The formulae are those of ``denoise.reference``: each block of 4x4 samples, one around each corner
of the cells, is taken apart into mean, profile of the columns, profile of the rows and rest, and
each part is kept by how far its energy exceeds the noise that is left. With means of columns and
rows, each part's gain less the rest's, and what remains for the mean, a sample x becomes::

    rest * x + (columns - rest) * its column's mean + (rows - rest) * its row's mean
    + (1 + rest - columns - rows) * the block's mean

A sample is in four blocks, whose results are added up under a window. Each thread works out the
block to the left of its cell, and has the one to the right from the thread beside it.
"""

import triton
import triton.language as tl

from zerodce_rt.backends.cuda.chained_kernels import wait_for_kernel_before
from zerodce_rt.backends.cuda.denoise_kernels import (
    CHROMA_SHARE,
    NOW,
    ON,
    TINY,
    VARIANCE,
    beside,
    hinged,
    own_columns,
    pairs,
    whole_fours,
    with_left,
    within,
)
from zerodce_rt.denoise import rules

FAR, NEAR = (tl.constexpr(w) for w in rules.WINDOW)
# Codes are taken from the middle of the dark ones, so that squares stay exact.
MIDDLE = tl.constexpr(64.0)
LUMA, CHROMA = (
    tl.constexpr(n) for n in (rules.VIDEO_STRICTNESS.luma, rules.VIDEO_STRICTNESS.chroma)
)
# Of means of four samples, which have a quarter of their noise.
MEANS = tl.constexpr(rules.VIDEO_STRICTNESS.means / 4)
DOUBT = tl.constexpr(rules.VIDEO_STRICTNESS.moving_doubt)


@triton.jit
def _code(samples):
    """Samples of the state as 8-bit codes, less ``MIDDLE``."""
    return samples.to(tl.float32) * (1.0 / 256.0) - MIDDLE


@triton.jit
def _sample(codes):
    """The inverse of ``_code``."""
    value = (codes + MIDDLE) * 256.0 + 0.5
    return tl.minimum(tl.maximum(value, 0.0), 65535.0).to(tl.uint16)


@triton.jit
def _pair_of_codes(plane, at):
    """Two samples beside each other, in a row of ``(strips, columns)`` of them."""
    return tl.split(_code(tl.load(plane + pairs(at))))


@triton.jit
def _halves_noise(
    codes, left, row, columns, cell_columns, h0, h1, h2, h3, h4, h5, h6, h7, BLACK: tl.constexpr
):
    """Variance of the noise in 2x2 cells, by their row and columns among those."""
    code = tl.zeros_like(row + columns).to(tl.float32)
    share = code
    for part in tl.static_range(2):
        at = pairs((2 * row + part) * cell_columns + 2 * columns)
        code_0, code_1 = tl.split(tl.load(codes + at).to(tl.float32))
        share_0, share_1 = tl.split(tl.load(left + at).to(tl.float32))
        code += code_0 + code_1
        share += share_0 + share_1
    v = hinged(code * (0.25 / 256.0) - BLACK, h0, h1, h2, h3, h4, h5, h6, h7)
    return v * tl.sqrt(share * (0.25 / 255.0))


@triton.jit
def _halves_sums(plane, row, columns, cell_columns):
    """Sum of 2x2 samples, and of their squares."""
    at = 2 * row * cell_columns + 2 * columns
    a, b = _pair_of_codes(plane, at)
    c, d = _pair_of_codes(plane, at + cell_columns)
    return a + b + c + d, a * a + b * b + c * c + d * d


@triton.jit
def _whole_gain(total, squares, noise):
    """Gain of a block of 4x4 samples, and what is added to them; ``noise`` is of four samples."""
    energy = tl.maximum(squares - total * total * (1.0 / 16.0), TINY)
    gain = tl.maximum(0.0, 1.0 - (15.0 / 4.0) * noise / energy)
    return gain, (1.0 - gain) * total * (1.0 / 16.0)


@triton.jit
def _whole_gains(plane, row, columns, cell_columns, total, squares, noise):
    """Gains of the blocks left and right between two rows of half cells.

    Args:
        row: the lower one.
        total, squares: of the upper one, what is returned first.
        noise: of the blocks to the left.

    Returns:
        Sums of half cells and those to the left of them, of their squares, and ``_whole_gain`` of
        both blocks.
    """
    more, more_squares = _halves_sums(plane, row, columns, cell_columns)
    more, more_squares = with_left(more), with_left(more_squares)
    gain, added = _whole_gain(total + more, squares + more_squares, noise)
    return more, more_squares, gain, beside(gain, 1), added, beside(added, 1)


@triton.jit
def _whole_row(
    plane, at, seen, on, gain_0, gain_1, add_0, add_1, gain_2, gain_3, add_2, add_3,
    PART: tl.constexpr,
):  # fmt: skip
    """The upper or the lower row of samples of half cells: what the four blocks make of it."""
    above: tl.constexpr = FAR if PART else NEAR
    below: tl.constexpr = NEAR if PART else FAR
    left, right = gain_0 * above + gain_2 * below, gain_1 * above + gain_3 * below
    gain = tl.join(left * NEAR + right * FAR, left * FAR + right * NEAR)
    left, right = add_0 * above + add_2 * below, add_1 * above + add_3 * below
    added = tl.join(left * NEAR + right * FAR, left * FAR + right * NEAR)
    sample = tl.load(plane + at, mask=seen, other=0)
    return tl.where(on, _sample(_code(sample) * gain + added), sample)


@triton.jit
def _store_chroma(out, row, columns, stride, cr_at, cb, cr, seen, INTERLEAVED: tl.constexpr):
    """Pairs of samples of Cb and of Cr."""
    at = row.to(tl.int64) * stride
    if INTERLEAVED:  # all four at once
        at = (at + 4 * columns)[:, :, None] + tl.arange(0, 4)[None, None, :]
        both = tl.reshape(tl.join(cb, cr), (cb.shape[0], cb.shape[1], 4))
        tl.store(out + at, both, mask=seen)
    else:
        at = pairs(at + 2 * columns)
        tl.store(out + at, cb, mask=seen)
        tl.store(out + at + cr_at, cr, mask=seen)


@triton.jit(do_not_specialize=["cell_rows"])
def halves_kernel(
    state_chroma, left, codes, coarse, chroma, chroma_stride, cr_at,
    cell_rows, cell_columns, flags, noise,
    BLACK: tl.constexpr, INTERLEAVED: tl.constexpr,
    STRIPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, CHAINED: tl.constexpr = False,
):  # fmt: skip
    """Filter the planes of half the size: the cells' mean luma, Cb and Cr.

    Args:
        state_chroma .. codes: see ``temporal_kernel``.
        coarse: the mean luma, filtered; like ``codes``.
        chroma: filtered, uint16: Cb, and ``cr_at`` samples later Cr, or the two in turns; rows are
            ``chroma_stride`` apart.
        INTERLEAVED: in turns.
        STRIPS, ROWS, COLUMNS: see ``temporal_kernel``; of 2x2 cells.
    """
    wait_for_kernel_before(CHAINED)
    rows = cell_rows // 2
    cell_columns = whole_fours(cell_columns)
    columns, mine = own_columns(cell_columns // 2, COLUMNS)
    top = (tl.program_id(1) * STRIPS + tl.arange(0, STRIPS))[:, None] * ROWS
    on = tl.load(flags + ON) != 0
    now = tl.load(flags + NOW).to(tl.int64)
    plane = cell_rows * cell_columns
    left += now * plane
    cb = state_chroma + now * 2 * plane
    cr = cb + plane
    h = noise + VARIANCE
    h0, h1, h2, h3 = tl.load(h), tl.load(h + 1), tl.load(h + 2), tl.load(h + 3)
    h4, h5, h6, h7 = tl.load(h + 4), tl.load(h + 5), tl.load(h + 6), tl.load(h + 7)
    share = tl.load(noise + CHROMA_SHARE) * CHROMA

    zero = tl.zeros((STRIPS, COLUMNS), tl.float32)
    v_0 = zero
    t_0, q_0, g_0, g_1, a_0, a_1 = zero, zero, zero, zero, zero, zero
    t_1, q_1, g_2, g_3, a_2, a_3 = zero, zero, zero, zero, zero, zero
    t_2, q_2, g_4, g_5, a_4, a_5 = zero, zero, zero, zero, zero, zero
    for step in range(ROWS + 2):
        row = within(top + step - 1, rows)
        v_1 = with_left(
            _halves_noise(
                codes, left, row, columns, cell_columns, h0, h1, h2, h3, h4, h5, h6, h7, BLACK
            )
        )
        v = v_0 + v_1
        t_0, q_0, g_6, g_7, a_6, a_7 = _whole_gains(
            codes, row, columns, cell_columns, t_0, q_0, v * MEANS
        )
        t_1, q_1, g_8, g_9, a_8, a_9 = _whole_gains(
            cb, row, columns, cell_columns, t_1, q_1, v * share
        )
        t_2, q_2, g_10, g_11, a_10, a_11 = _whole_gains(
            cr, row, columns, cell_columns, t_2, q_2, v * share
        )
        if step >= 2:  # the row above has its four corners
            above = top + step - 2
            seen = (mine & (above < rows))[:, :, None]
            for part in tl.static_range(2):
                at = pairs((2 * above + part) * cell_columns + 2 * columns)
                bright = _whole_row(
                    codes, at, seen, on, g_0, g_1, a_0, a_1, g_6, g_7, a_6, a_7, part
                )
                tl.store(coarse + at, bright, mask=seen)
                new_cb = _whole_row(cb, at, seen, on, g_2, g_3, a_2, a_3, g_8, g_9, a_8, a_9, part)
                new_cr = _whole_row(
                    cr, at, seen, on, g_4, g_5, a_4, a_5, g_10, g_11, a_10, a_11, part
                )
                _store_chroma(
                    chroma, 2 * above + part, columns, chroma_stride, cr_at, new_cb, new_cr, seen,
                    INTERLEAVED,
                )  # fmt: skip
        v_0 = v_1
        g_0, g_1, a_0, a_1 = g_6, g_7, a_6, a_7
        g_2, g_3, a_2, a_3 = g_8, g_9, a_8, a_9
        g_4, g_5, a_4, a_5 = g_10, g_11, a_10, a_11


@triton.jit
def _cell_sums(
    state, left, coarse, row, columns, cell_columns, h0, h1, h2, h3, h4, h5, h6, h7,
    BLACK: tl.constexpr,
):  # fmt: skip
    """Of cells in a row: sums of their even and odd columns, of their upper and lower rows, of
    squares; variance of the noise, and by how much the mean changes."""
    at = 4 * row * cell_columns + 2 * columns
    a, b = _pair_of_codes(state, at)
    c, d = _pair_of_codes(state, at + 2 * cell_columns)
    at = row * cell_columns + columns
    share = tl.load(left + at).to(tl.float32) * (1.0 / 255.0)
    mean = (a + b + c + d) * 0.25
    noise = hinged(mean + (MIDDLE - BLACK), h0, h1, h2, h3, h4, h5, h6, h7) * tl.sqrt(share)
    shift = (_code(tl.load(coarse + at)) - mean) * (1.0 - share * DOUBT)
    return a + c, b + d, a + b, c + d, a * a + b * b + c * c + d * d, noise, shift


@triton.jit
def _corner(c0, c1, c2, c3, r0, r1, r2, r3, squares, noise, shift):
    """Of a block: gain of the rest; of columns and of rows, what is added for a unit of their sum;
    and what is added everywhere. By sums of its columns and rows, and of four cells' else."""
    total = r0 + r1 + r2 + r3
    square = total * total * (1.0 / 16.0)
    columns = (c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3) * 0.25 - square
    rows = (r0 * r0 + r1 * r1 + r2 * r2 + r3 * r3) * 0.25 - square
    rest = squares - square - columns - rows
    limit = noise * LUMA
    gain_c = tl.maximum(0.0, 1.0 - 0.75 * limit / tl.maximum(columns, TINY))
    gain_r = tl.maximum(0.0, 1.0 - 0.75 * limit / tl.maximum(rows, TINY))
    gain_d = tl.maximum(0.0, 1.0 - 2.25 * limit / tl.maximum(rest, TINY))
    mean = (1.0 + gain_d - gain_c - gain_r) * total * (1.0 / 16.0) + 0.25 * shift
    return gain_d, (gain_c - gain_d) * 0.25, (gain_r - gain_d) * 0.25, mean


@triton.jit
def _blocks(e_0, o_0, a_0, b_0, q_0, n_0, s_0, e_1, o_1, a_1, b_1, q_1, n_1, s_1):
    """What the blocks between two rows of cells, left and right of each, make of its columns.

    Args:
        e_0 .. s_0: of the upper row, the columns' sums of cells, and the other ``_cell_sums`` of
            cells and those to the left of them; ``e_1 .. s_1``: of the lower one.

    Returns:
        Gains of the even and the odd column, and what is added in each of the blocks' four rows:
        to the even column, and to the odd one.
    """
    even, odd = e_0 + e_1, o_0 + o_1
    rest, column, profile, mean = _corner(
        beside(even, -1), beside(odd, -1), even, odd, a_0, b_0, a_1, b_1, q_0 + q_1, n_0 + n_1,
        s_0 + s_1,
    )  # fmt: skip
    rest_1, column_1, mean_1 = beside(rest, 1), beside(column, 1), beside(mean, 1)
    to_even = (column * even + mean) * NEAR + (column_1 * even + mean_1) * FAR
    to_odd = (column * odd + mean) * FAR + (column_1 * odd + mean_1) * NEAR
    p_0, p_1, p_2, p_3 = profile * a_0, profile * b_0, profile * a_1, profile * b_1
    r_0, r_1, r_2, r_3 = beside(p_0, 1), beside(p_1, 1), beside(p_2, 1), beside(p_3, 1)
    return (
        rest * NEAR + rest_1 * FAR, rest * FAR + rest_1 * NEAR,
        to_even + p_0 * NEAR + r_0 * FAR, to_even + p_1 * NEAR + r_1 * FAR,
        to_even + p_2 * NEAR + r_2 * FAR, to_even + p_3 * NEAR + r_3 * FAR,
        to_odd + p_0 * FAR + r_0 * NEAR, to_odd + p_1 * FAR + r_1 * NEAR,
        to_odd + p_2 * FAR + r_2 * NEAR, to_odd + p_3 * FAR + r_3 * NEAR,
    )  # fmt: skip


@triton.jit
def blocks_below(
    state, left, coarse, row, columns, cell_rows, cell_columns,
    e_0, o_0, a_0, b_0, q_0, n_0, s_0, h0, h1, h2, h3, h4, h5, h6, h7, BLACK: tl.constexpr,
):  # fmt: skip
    """``_blocks`` between a row of cells and the one above it.

    Args:
        row: the lower one.
        e_0 .. s_0: of the upper one, what is returned first.
    """
    e_1, o_1, a_1, b_1, q_1, n_1, s_1 = _cell_sums(
        state, left, coarse, within(row, cell_rows), columns, cell_columns,
        h0, h1, h2, h3, h4, h5, h6, h7, BLACK,
    )  # fmt: skip
    a_1, b_1, q_1 = with_left(a_1), with_left(b_1), with_left(q_1)
    n_1, s_1 = with_left(n_1), with_left(s_1)
    gain_even, gain_odd, even_0, even_1, even_2, even_3, odd_0, odd_1, odd_2, odd_3 = _blocks(
        e_0, o_0, a_0, b_0, q_0, n_0, s_0, e_1, o_1, a_1, b_1, q_1, n_1, s_1
    )
    return (
        e_1, o_1, a_1, b_1, q_1, n_1, s_1, gain_even, gain_odd,
        even_0, even_1, even_2, even_3, odd_0, odd_1, odd_2, odd_3,
    )  # fmt: skip


@triton.jit
def filtered_row(
    state, at, seen, on, gain_even, below_even, even, even_below, gain_odd, below_odd, odd,
    odd_below, ABOVE: tl.constexpr, BELOW: tl.constexpr,
):  # fmt: skip
    """One of the two rows of samples of cells: what the blocks above and below make of it."""
    sample = tl.load(state + pairs(at), mask=seen[:, :, None], other=0)
    gain = tl.join(gain_even * ABOVE + below_even * BELOW, gain_odd * ABOVE + below_odd * BELOW)
    added = tl.join(even * ABOVE + even_below * BELOW, odd * ABOVE + odd_below * BELOW)
    return tl.where(on, _sample(_code(sample) * gain + added), sample)


@triton.jit(do_not_specialize=["cell_rows"])
def luma_kernel(
    state, left, coarse, out, out_stride, cell_rows, cell_columns, flags, noise,
    BLACK: tl.constexpr, STRIPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    CHAINED: tl.constexpr = False,
):  # fmt: skip
    """Filter the luma.

    Args:
        state, left: see ``temporal_kernel``; ``coarse``: see ``halves_kernel``.
        out: ``(2 cell_rows, 2 cell_columns)`` uint16, whose rows are ``out_stride`` apart,
            a multiple of four.
        STRIPS, ROWS, COLUMNS: see ``temporal_kernel``.
    """
    wait_for_kernel_before(CHAINED)
    cell_columns, out_stride = whole_fours(cell_columns), whole_fours(out_stride)
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
            seen = mine & (row < cell_rows)
            at = 4 * row * cell_columns + 2 * columns
            to = 2 * row * out_stride + 2 * columns
            value = filtered_row(
                state, at, seen, on, gain_even, below_even, even_2, even_0, gain_odd, below_odd,
                odd_2, odd_0, NEAR, FAR,
            )  # fmt: skip
            tl.store(out + pairs(to), value, mask=seen[:, :, None])
            value = filtered_row(
                state, at + 2 * cell_columns, seen, on, gain_even, below_even, even_3, even_1,
                gain_odd, below_odd, odd_3, odd_1, FAR, NEAR,
            )  # fmt: skip
            tl.store(out + pairs(to + out_stride), value, mask=seen[:, :, None])
        gain_even, gain_odd = below_even, below_odd
        even_2, even_3, odd_2, odd_3 = even_4, even_5, odd_4, odd_5
