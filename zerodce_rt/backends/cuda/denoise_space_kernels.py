"""The denoiser's filter over space as Triton kernels.

The formulae are those of ``denoise.reference``: each block of 4x4 samples, one around each corner
of the cells, is taken apart into mean, profile of the columns, profile of the rows and rest, and
each part is kept by how far its energy exceeds the noise that is left. With means of columns and
rows, each part's gain less the rest's, and what remains for the mean, a sample x becomes::

    rest * x + (columns - rest) * its column's mean + (rows - rest) * its row's mean
    + (1 + rest - columns - rows) * the block's mean

A sample is in four blocks, whose results are added up under a window.
"""

import triton
import triton.language as tl

from zerodce_rt.backends.cuda.denoise_kernels import (
    CHROMA_SHARE,
    NOW,
    ON,
    TINY,
    VARIANCE,
    hinged,
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
def _halves_noise(
    codes, left, row, columns, cell_columns, inside, h0, h1, h2, h3, h4, h5, h6, h7,
    BLACK: tl.constexpr,
):  # fmt: skip
    """Variance of the noise in 2x2 cells, by their row and columns among those."""
    columns = within(columns, cell_columns // 2)
    code = tl.zeros_like(row + columns).to(tl.float32)
    share = code
    for part in tl.static_range(4):
        at = (2 * row + part // 2) * cell_columns + 2 * columns + part % 2
        code += tl.load(codes + at, mask=inside, other=0).to(tl.float32)
        share += tl.load(left + at, mask=inside, other=0).to(tl.float32)
    v = hinged(code * (0.25 / 256.0) - BLACK, h0, h1, h2, h3, h4, h5, h6, h7)
    return v * tl.sqrt(share * (0.25 / 255.0))


@triton.jit
def _noise_pairs(
    codes, left, row, columns, cell_columns, inside, h0, h1, h2, h3, h4, h5, h6, h7,
    BLACK: tl.constexpr,
):  # fmt: skip
    """``_halves_noise`` of three beside each other: of the left two, and of the right two."""
    v_0 = _halves_noise(
        codes, left, row, columns - 1, cell_columns, inside, h0, h1, h2, h3, h4, h5, h6, h7, BLACK
    )
    v_1 = _halves_noise(
        codes, left, row, columns, cell_columns, inside, h0, h1, h2, h3, h4, h5, h6, h7, BLACK
    )
    v_2 = _halves_noise(
        codes, left, row, columns + 1, cell_columns, inside, h0, h1, h2, h3, h4, h5, h6, h7, BLACK
    )
    return v_0 + v_1, v_1 + v_2


@triton.jit
def _halves_sums(plane, row, columns, cell_columns, inside):
    """Sum of 2x2 samples, and of their squares."""
    columns = within(columns, cell_columns // 2)
    total = tl.zeros_like(row + columns).to(tl.float32)
    squares = total
    for part in tl.static_range(4):
        at = (2 * row + part // 2) * cell_columns + 2 * columns + part % 2
        code = _code(tl.load(plane + at, mask=inside, other=0))
        total += code
        squares += code * code
    return total, squares


@triton.jit
def _whole_gain(total, squares, noise):
    """Gain of a block of 4x4 samples, and what is added to them; ``noise`` is of four samples."""
    energy = tl.maximum(squares - total * total * (1.0 / 16.0), TINY)
    gain = tl.maximum(0.0, 1.0 - (15.0 / 4.0) * noise / energy)
    return gain, (1.0 - gain) * total * (1.0 / 16.0)


@triton.jit
def _whole_gains(
    plane, row, columns, cell_columns, inside, t_0, t_1, q_0, q_1, noise_0, noise_1
):  # fmt: skip
    """Gains of the blocks left and right between two rows of half cells.

    Args:
        row: the lower one.
        t_0 .. q_1: of the upper one, what is returned first.
        noise_0, noise_1: of the blocks.

    Returns:
        Sums of the left two and of the right two of three half cells beside each other, of their
        squares, and ``_whole_gain`` of both blocks.
    """
    sum_0, squares_0 = _halves_sums(plane, row, columns - 1, cell_columns, inside)
    sum_1, squares_1 = _halves_sums(plane, row, columns, cell_columns, inside)
    sum_2, squares_2 = _halves_sums(plane, row, columns + 1, cell_columns, inside)
    sum_0, sum_1 = sum_0 + sum_1, sum_1 + sum_2
    squares_0, squares_1 = squares_0 + squares_1, squares_1 + squares_2
    gain_0, add_0 = _whole_gain(t_0 + sum_0, q_0 + squares_0, noise_0)
    gain_1, add_1 = _whole_gain(t_1 + sum_1, q_1 + squares_1, noise_1)
    return sum_0, sum_1, squares_0, squares_1, gain_0, gain_1, add_0, add_1


@triton.jit
def _store_wholes(
    plane, out, out_stride, out_step, row, columns, cell_columns, seen, on,
    gain_0, gain_1, add_0, add_1, gain_2, gain_3, add_2, add_3,
):  # fmt: skip
    """The 2x2 samples of half cells: what the four blocks make of them, above and below."""
    for part in tl.static_range(4):
        upper = FAR if part // 2 else NEAR
        lower = NEAR if part // 2 else FAR
        before = FAR if part % 2 else NEAR
        behind = NEAR if part % 2 else FAR
        gain = (gain_0 * before + gain_1 * behind) * upper
        gain += (gain_2 * before + gain_3 * behind) * lower
        added = (add_0 * before + add_1 * behind) * upper
        added += (add_2 * before + add_3 * behind) * lower
        y, x = 2 * row + part // 2, 2 * columns + part % 2
        sample = tl.load(plane + y * cell_columns + x, mask=seen, other=0)
        value = tl.where(on, _sample(_code(sample) * gain + added), sample)
        tl.store(out + y.to(tl.int64) * out_stride + x * out_step, value, mask=seen)


@triton.jit(do_not_specialize=["cell_rows"])
def halves_kernel(
    state_chroma, left, codes, coarse, chroma, chroma_stride, chroma_step, cr_at,
    cell_rows, cell_columns, flags, noise,
    BLACK: tl.constexpr, STRIPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Filter the planes of half the size: the cells' mean luma, Cb and Cr.

    Args:
        state_chroma .. codes: see ``temporal_kernel``.
        coarse: the mean luma, filtered; like ``codes``.
        chroma: filtered, uint16: Cb, and ``cr_at`` samples later Cr; rows are ``chroma_stride``
            apart, and samples in them ``chroma_step``.
        STRIPS, ROWS, COLUMNS: see ``temporal_kernel``; of 2x2 cells.
    """
    rows = cell_rows // 2
    columns = (tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    top = (tl.program_id(1) * STRIPS + tl.arange(0, STRIPS))[:, None] * ROWS
    inside = columns < cell_columns // 2
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
    v_0, v_1 = zero, zero
    t_0, t_1, q_0, q_1, g_0, g_1, a_0, a_1 = zero, zero, zero, zero, zero, zero, zero, zero
    t_2, t_3, q_2, q_3, g_2, g_3, a_2, a_3 = zero, zero, zero, zero, zero, zero, zero, zero
    t_4, t_5, q_4, q_5, g_4, g_5, a_4, a_5 = zero, zero, zero, zero, zero, zero, zero, zero
    for step in range(ROWS + 2):
        row = within(top + step - 1, rows)
        v_2, v_3 = _noise_pairs(
            codes, left, row, columns, cell_columns, inside, h0, h1, h2, h3, h4, h5, h6, h7, BLACK
        )
        v_0 += v_2
        v_1 += v_3
        t_0, t_1, q_0, q_1, g_6, g_7, a_6, a_7 = _whole_gains(
            codes, row, columns, cell_columns, inside, t_0, t_1, q_0, q_1, v_0 * MEANS, v_1 * MEANS
        )
        t_2, t_3, q_2, q_3, g_8, g_9, a_8, a_9 = _whole_gains(
            cb, row, columns, cell_columns, inside, t_2, t_3, q_2, q_3, v_0 * share, v_1 * share
        )
        t_4, t_5, q_4, q_5, g_10, g_11, a_10, a_11 = _whole_gains(
            cr, row, columns, cell_columns, inside, t_4, t_5, q_4, q_5, v_0 * share, v_1 * share
        )
        if step >= 2:  # the row above has its four corners
            above = top + step - 2
            seen = inside & (above < rows)
            _store_wholes(
                codes, coarse, cell_columns, 1, above, columns, cell_columns, seen, on,
                g_0, g_1, a_0, a_1, g_6, g_7, a_6, a_7,
            )  # fmt: skip
            _store_wholes(
                cb, chroma, chroma_stride, chroma_step, above, columns, cell_columns, seen, on,
                g_2, g_3, a_2, a_3, g_8, g_9, a_8, a_9,
            )  # fmt: skip
            _store_wholes(
                cr, chroma + cr_at, chroma_stride, chroma_step, above, columns, cell_columns, seen,
                on, g_4, g_5, a_4, a_5, g_10, g_11, a_10, a_11,
            )  # fmt: skip
        v_0, v_1 = v_2, v_3
        g_0, g_1, a_0, a_1 = g_6, g_7, a_6, a_7
        g_2, g_3, a_2, a_3 = g_8, g_9, a_8, a_9
        g_4, g_5, a_4, a_5 = g_10, g_11, a_10, a_11


@triton.jit
def _cell_sums(
    state, left, coarse, row, columns, cell_columns, inside, h0, h1, h2, h3, h4, h5, h6, h7,
    BLACK: tl.constexpr,
):  # fmt: skip
    """Of cells in a row: sums of their even and odd columns, of their upper and lower rows, of
    squares; variance of the noise, and by how much the mean changes."""
    columns = within(columns, cell_columns)
    at = 4 * row * cell_columns + 2 * columns
    a = _code(tl.load(state + at, mask=inside, other=0))
    b = _code(tl.load(state + at + 1, mask=inside, other=0))
    at += 2 * cell_columns
    c = _code(tl.load(state + at, mask=inside, other=0))
    d = _code(tl.load(state + at + 1, mask=inside, other=0))
    at = row * cell_columns + columns
    share = tl.load(left + at, mask=inside, other=0).to(tl.float32) * (1.0 / 255.0)
    mean = (a + b + c + d) * 0.25
    noise = hinged(mean + (MIDDLE - BLACK), h0, h1, h2, h3, h4, h5, h6, h7) * tl.sqrt(share)
    shift = (_code(tl.load(coarse + at, mask=inside, other=0)) - mean) * (1.0 - share * DOUBT)
    return a + c, b + d, a + b, c + d, a * a + b * b + c * c + d * d, noise, shift


@triton.jit
def _row_sums(
    state, left, coarse, row, columns, cell_columns, inside, h0, h1, h2, h3, h4, h5, h6, h7,
    BLACK: tl.constexpr,
):  # fmt: skip
    """``_cell_sums`` of three cells beside each other: the columns' of each, and the others' of the
    left two and of the right two."""
    even_0, odd_0, a_0, b_0, squares_0, noise_0, shift_0 = _cell_sums(
        state, left, coarse, row, columns - 1, cell_columns, inside,
        h0, h1, h2, h3, h4, h5, h6, h7, BLACK,
    )  # fmt: skip
    even_1, odd_1, a_1, b_1, squares_1, noise_1, shift_1 = _cell_sums(
        state, left, coarse, row, columns, cell_columns, inside,
        h0, h1, h2, h3, h4, h5, h6, h7, BLACK,
    )  # fmt: skip
    even_2, odd_2, a_2, b_2, squares_2, noise_2, shift_2 = _cell_sums(
        state, left, coarse, row, columns + 1, cell_columns, inside,
        h0, h1, h2, h3, h4, h5, h6, h7, BLACK,
    )  # fmt: skip
    return (
        even_0, odd_0, even_1, odd_1, even_2, odd_2,
        a_0 + a_1, b_0 + b_1, squares_0 + squares_1, noise_0 + noise_1, shift_0 + shift_1,
        a_1 + a_2, b_1 + b_2, squares_1 + squares_2, noise_1 + noise_2, shift_1 + shift_2,
    )  # fmt: skip


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
def _blocks(
    e_0, o_0, e_1, o_1, e_2, o_2, a_0, b_0, q_0, n_0, s_0, a_1, b_1, q_1, n_1, s_1,
    f_0, p_0, f_1, p_1, f_2, p_2, c_0, d_0, r_0, m_0, t_0, c_1, d_1, r_1, m_1, t_1,
):  # fmt: skip
    """What the blocks between two rows of cells, left and right of each, make of its columns.

    Args:
        e_0 .. s_1: ``_row_sums`` of the upper row; ``f_0 .. t_1``: of the lower one.

    Returns:
        Gains of the even and the odd column, and what is added in each of the blocks' four rows:
        to the even column, and to the odd one.
    """
    rest, column, profile, mean = _corner(
        e_0 + f_0, o_0 + p_0, e_1 + f_1, o_1 + p_1, a_0, b_0, c_0, d_0, q_0 + r_0, n_0 + m_0,
        s_0 + t_0,
    )  # fmt: skip
    rest_1, column_1, profile_1, mean_1 = _corner(
        e_1 + f_1, o_1 + p_1, e_2 + f_2, o_2 + p_2, a_1, b_1, c_1, d_1, q_1 + r_1, n_1 + m_1,
        s_1 + t_1,
    )  # fmt: skip
    even = (column * (e_1 + f_1) + mean) * NEAR + (column_1 * (e_1 + f_1) + mean_1) * FAR
    odd = (column * (o_1 + p_1) + mean) * FAR + (column_1 * (o_1 + p_1) + mean_1) * NEAR
    near, far = profile * NEAR, profile * FAR
    near_1, far_1 = profile_1 * NEAR, profile_1 * FAR
    return (
        rest * NEAR + rest_1 * FAR, rest * FAR + rest_1 * NEAR,
        even + near * a_0 + far_1 * a_1, even + near * b_0 + far_1 * b_1,
        even + near * c_0 + far_1 * c_1, even + near * d_0 + far_1 * d_1,
        odd + far * a_0 + near_1 * a_1, odd + far * b_0 + near_1 * b_1,
        odd + far * c_0 + near_1 * c_1, odd + far * d_0 + near_1 * d_1,
    )  # fmt: skip


@triton.jit
def _store_row(
    state, out, at, seen, on, gain_even, below_even, even, even_below, gain_odd, below_odd, odd,
    odd_below, ABOVE: tl.constexpr, BELOW: tl.constexpr,
):  # fmt: skip
    """One of the two rows of samples of cells: what the blocks above and below make of it."""
    sample = tl.load(state + at, mask=seen, other=0)
    gain, added = gain_even * ABOVE + below_even * BELOW, even * ABOVE + even_below * BELOW
    value = tl.where(on, _sample(_code(sample) * gain + added), sample)
    tl.store(out + at, value, mask=seen)
    sample = tl.load(state + at + 1, mask=seen, other=0)
    gain, added = gain_odd * ABOVE + below_odd * BELOW, odd * ABOVE + odd_below * BELOW
    value = tl.where(on, _sample(_code(sample) * gain + added), sample)
    tl.store(out + at + 1, value, mask=seen)


@triton.jit(do_not_specialize=["cell_rows"])
def luma_kernel(
    state, left, coarse, out, cell_rows, cell_columns, flags, noise,
    BLACK: tl.constexpr, STRIPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Filter the luma.

    Args:
        state, left: see ``temporal_kernel``; ``coarse``: see ``halves_kernel``.
        out: ``(2 cell_rows, 2 cell_columns)`` uint16.
        STRIPS, ROWS, COLUMNS: see ``temporal_kernel``.
    """
    columns = (tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    top = (tl.program_id(1) * STRIPS + tl.arange(0, STRIPS))[:, None] * ROWS
    inside = columns < cell_columns
    on = tl.load(flags + ON) != 0
    now = tl.load(flags + NOW).to(tl.int64)
    plane = cell_rows * cell_columns
    state += now * 4 * plane
    left += now * plane
    h = noise + VARIANCE
    h0, h1, h2, h3 = tl.load(h), tl.load(h + 1), tl.load(h + 2), tl.load(h + 3)
    h4, h5, h6, h7 = tl.load(h + 4), tl.load(h + 5), tl.load(h + 6), tl.load(h + 7)

    zero = tl.zeros((STRIPS, COLUMNS), tl.float32)
    e_0, o_0, e_1, o_1, e_2, o_2 = zero, zero, zero, zero, zero, zero
    a_0, b_0, q_0, n_0, s_0, a_1, b_1, q_1, n_1, s_1 = (
        zero, zero, zero, zero, zero, zero, zero, zero, zero, zero,
    )  # fmt: skip
    gain_even, gain_odd, even_2, even_3, odd_2, odd_3 = zero, zero, zero, zero, zero, zero
    for step in range(ROWS + 2):
        f_0, p_0, f_1, p_1, f_2, p_2, c_0, d_0, r_0, m_0, t_0, c_1, d_1, r_1, m_1, t_1 = _row_sums(
            state, left, coarse, within(top + step - 1, cell_rows), columns, cell_columns, inside,
            h0, h1, h2, h3, h4, h5, h6, h7, BLACK,
        )  # fmt: skip
        below_even, below_odd, even_0, even_1, even_4, even_5, odd_0, odd_1, odd_4, odd_5 = _blocks(
            e_0, o_0, e_1, o_1, e_2, o_2, a_0, b_0, q_0, n_0, s_0, a_1, b_1, q_1, n_1, s_1,
            f_0, p_0, f_1, p_1, f_2, p_2, c_0, d_0, r_0, m_0, t_0, c_1, d_1, r_1, m_1, t_1,
        )  # fmt: skip
        if step >= 2:  # the row above has its four corners
            row = top + step - 2
            seen = inside & (row < cell_rows)
            at = 4 * row * cell_columns + 2 * columns
            _store_row(
                state, out, at, seen, on, gain_even, below_even, even_2, even_0, gain_odd,
                below_odd, odd_2, odd_0, NEAR, FAR,
            )  # fmt: skip
            _store_row(
                state, out, at + 2 * cell_columns, seen, on, gain_even, below_even, even_3, even_1,
                gain_odd, below_odd, odd_3, odd_1, FAR, NEAR,
            )  # fmt: skip
        gain_even, gain_odd = below_even, below_odd
        even_2, even_3, odd_2, odd_3 = even_4, even_5, odd_4, odd_5
        e_0, o_0, e_1, o_1, e_2, o_2 = f_0, p_0, f_1, p_1, f_2, p_2
        a_0, b_0, q_0, n_0, s_0 = c_0, d_0, r_0, m_0, t_0
        a_1, b_1, q_1, n_1, s_1 = c_1, d_1, r_1, m_1, t_1
