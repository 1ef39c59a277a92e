"""The denoiser's filter over time as a Triton kernel, and what all of its kernels share.

The rules are those of ``denoise``, the formulae those of ``denoise.reference``. Everything is done
by cells, as on the CPU: 2x2 luma samples and the mean of the chroma samples over them. Planes hold
whole cells, ``(2 rows, 2 columns)`` of luma and ``(2, rows, columns)`` of Cb and Cr, with the
frame's last samples repeated; the state has 16 bits, 256 steps to an 8-bit code.

A block of threads takes some columns of cells, one for each thread of a warp, and goes down over a
few rows: what it found in one row serves the next two. What lies to the left and right of a cell
its neighbours have found, and threads of a warp hand it to each other (see ``beside``). So the
outer two columns of a tile serve their neighbours only, and the next tile has them as well.

What is kept from one frame to the next lies in memory twice. A frame reads one and writes the
other; the device knows which, so that one recorded graph serves all frames. While the camera moves,
the state is read from a third place, to which it has been carried along.
"""

import triton
import triton.language as tl

from zerodce_rt.backends.cuda.chained_kernels import wait_for_kernel_before
from zerodce_rt.denoise import learner, rules

# Where each number lies in the parameters of a frame.
STRENGTH, NEW_SCENE = tl.constexpr(0), tl.constexpr(1)
# ... in the counters, which stay from frame to frame: frames and looks at the noise since the scene
# began, which half of the memory the next frame writes, for how many frames the camera is still
# taken to move, and how many blocks have moved, if that was looked for.
FRAMES, LOOKS, HALF_TO_WRITE = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
MOVING_FOR, MOVED = tl.constexpr(3), tl.constexpr(4)
COUNTERS = 5
# ... in the flags, which ``noise_kernel`` sets for the kernels behind it: whether a frame is the
# first, whether it is filtered, where it is written, where the state before it lies, and whether
# motion is searched for.
FIRST, ON, NOW = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
OLD, SEARCHED = tl.constexpr(3), tl.constexpr(4)
FLAGS = 5
# ... and in the noise: hinges of its variance and of 1 / sigma, luma's sigma over chroma's, the
# variance of chroma's noise as a share of luma's, and sigma in the dark.
VARIANCE, INVERSE_SIGMA = tl.constexpr(0), tl.constexpr(8)
CHROMA_UNIT, CHROMA_SHARE, SIGMA = tl.constexpr(16), tl.constexpr(17), tl.constexpr(18)
NUMBERS = 19
# Where the state lies when it has been carried along.
CARRIED = tl.constexpr(2)
# The least energy that is divided by.
TINY = tl.constexpr(1e-3)

LEARNING_FRAMES = tl.constexpr(learner.LEARNING_FRAMES)
LEARN_EVERY = tl.constexpr(learner.LEARN_EVERY)

KNOT_1, KNOT_2, KNOT_3, KNOT_4, KNOT_5, KNOT_6, KNOT_7 = (
    tl.constexpr(float(k)) for k in rules.KNOTS[1:]
)
MEAN_WEIGHT, MEAN_LIMIT = tl.constexpr(rules.MEAN_WEIGHT), tl.constexpr(rules.MEAN_LIMIT)
ENERGY_WEIGHT, ENERGY_LIMIT = tl.constexpr(rules.ENERGY_WEIGHT), tl.constexpr(rules.ENERGY_LIMIT)
CHROMA_WEIGHT, CHROMA_LIMIT = tl.constexpr(rules.CHROMA_WEIGHT), tl.constexpr(rules.CHROMA_LIMIT)
DRIFT, REPEATED = tl.constexpr(rules.DRIFT), tl.constexpr(rules.REPEATED)
LEAST_LEFT = tl.constexpr(rules.LEAST_LEFT)


@triton.jit
def moment(counters, parameters):
    """Where a frame stands in its video.

    Returns:
        Whether it is the first of a scene, whether it is filtered, whether its noise is looked at,
        looks before this one, and the half of the memory to write.
    """
    on = tl.load(parameters + STRENGTH) > 0.0
    frames = tl.load(counters + FRAMES)
    first = (frames == 0) | (tl.load(parameters + NEW_SCENE) != 0.0)
    due = on & (first | (frames < LEARNING_FRAMES) | (frames % LEARN_EVERY == 0))
    looks = tl.where(first, 0, tl.load(counters + LOOKS))
    return first, on, due, looks, tl.load(counters + HALF_TO_WRITE)


@triton.jit
def hinged(code, h0, h1, h2, h3, h4, h5, h6, h7):
    """The function of ``denoise.noise.hinges`` at an 8-bit code above black."""
    c = tl.minimum(tl.maximum(code, 0.0), KNOT_7)
    total = h0 + h1 * c + h2 * tl.maximum(0.0, c - KNOT_1) + h3 * tl.maximum(0.0, c - KNOT_2)
    total += h4 * tl.maximum(0.0, c - KNOT_3) + h5 * tl.maximum(0.0, c - KNOT_4)
    return total + h6 * tl.maximum(0.0, c - KNOT_5) + h7 * tl.maximum(0.0, c - KNOT_6)


@triton.jit
def within(index, count):
    """The rows or columns, or the nearest that there are."""
    return tl.minimum(tl.maximum(index, 0), count - 1)


@triton.jit
def whole_fours(count):
    """Rows or columns of cells, which are a multiple of four, so that Triton knows it."""
    return count // 4 * 4


@triton.jit
def own_columns(count, COLUMNS: tl.constexpr):
    """A tile's columns, the frame's last ones repeated; and which of them it writes."""
    n = tl.arange(0, COLUMNS)
    columns = tl.program_id(0) * (COLUMNS - 2) + n - 1
    mine = (n > 0) & (n < COLUMNS - 1) & (columns < count)
    return within(columns, count)[None, :], mine[None, :]


@triton.jit
def beside(values, STEP: tl.constexpr):
    """What the columns ``STEP`` further to the right have. No memory is needed for it where a row
    of the tile lies in one warp."""
    n: tl.constexpr = values.shape[1]
    index = within(tl.arange(0, n) + STEP, n)[None, :]
    return tl.gather(values, tl.broadcast_to(index, values.shape), 1)


@triton.jit
def with_left(values):
    """Sums of columns and those to the left of them."""
    return beside(values, -1) + values


@triton.jit
def pairs(at):
    """Indices of two samples beside each other, by that of the first, which is even; they are read
    and written at once."""
    return at[:, :, None] + tl.arange(0, 2)[None, None, :]


@triton.jit
def _innovation(sample, expected, first, TO_STATE: tl.constexpr):
    """A sample in 8-bit codes, and by how much it differs from what was expected."""
    x = sample.to(tl.float32) * (TO_STATE / 256.0)
    return x, tl.where(first, 0.0, x - expected.to(tl.float32) * (1.0 / 256.0))


@triton.jit
def _cell(
    raw, before, state, raw_chroma, state_chroma, plane, row, columns, cell_columns,
    first, chroma_unit, h0, h1, h2, h3, h4, h5, h6, h7,
    TO_STATE: tl.constexpr, CHROMA_TO_STATE: tl.constexpr, BLACK: tl.constexpr,
):  # fmt: skip
    """Of cells in a row, in units of the noise: sum and energy of the luma innovations, those of
    Cb and Cr; and whether a luma sample has changed."""
    total = tl.zeros_like(row + columns).to(tl.float32)
    energy, codes, changed = total, total, total
    for part in tl.static_range(2):
        at = pairs((2 * row + part) * (2 * cell_columns) + 2 * columns)
        sample_0, sample_1 = tl.split(tl.load(raw + at))
        before_0, before_1 = tl.split(tl.load(before + at))
        expected_0, expected_1 = tl.split(tl.load(state + at))
        changed = tl.where((sample_0 != before_0) | (sample_1 != before_1), 1.0, changed)
        x_0, d_0 = _innovation(sample_0, expected_0, first, TO_STATE)
        x_1, d_1 = _innovation(sample_1, expected_1, first, TO_STATE)
        total += d_0 + d_1
        energy += d_0 * d_0 + d_1 * d_1
        codes += x_0 + x_1
    # Half-way to what is expected.
    unit = hinged(codes * 0.25 - total * 0.125 - BLACK, h0, h1, h2, h3, h4, h5, h6, h7)
    at = row * cell_columns + columns
    _, cb = _innovation(
        tl.load(raw_chroma + at), tl.load(state_chroma + at), first, CHROMA_TO_STATE
    )
    at += plane
    _, cr = _innovation(
        tl.load(raw_chroma + at), tl.load(state_chroma + at), first, CHROMA_TO_STATE
    )
    chroma = unit * chroma_unit
    changed = tl.where(first, 0.0, changed)
    return total * unit, energy * unit * unit, cb * chroma, cr * chroma, changed


@triton.jit
def _over_three(values):
    """Sums over three columns beside each other."""
    return with_left(values) + beside(values, 1)


@triton.jit
def _gain(mean, energy, cb, cr, new, share):
    """The filter's gain, and the share of the noise that is left after it, by sums over 3x3 cells
    of what ``_cell`` finds, how much the frame tells that is new, and the share before."""
    mean, energy, cb, cr = mean * (1 / 36), energy * (1 / 36), cb * (1 / 9), cr * (1 / 9)
    total = share + 1.0
    bias = (
        tl.maximum(0.0, mean * mean - total * MEAN_LIMIT) * MEAN_WEIGHT
        + tl.maximum(0.0, energy - total * ENERGY_LIMIT) * ENERGY_WEIGHT
        + tl.maximum(0.0, cb * cb - total * CHROMA_LIMIT) * CHROMA_WEIGHT
        + tl.maximum(0.0, cr * cr - total * CHROMA_LIMIT) * CHROMA_WEIGHT
    )
    g = (share + DRIFT) * new + bias
    gain = g / (g + 1.0)
    return gain, tl.maximum(tl.minimum(1.0, gain + (1.0 - new) * share), LEAST_LEFT)


@triton.jit
def _follow(raw, state, new_state, at, gain, seen, first, TO_STATE: tl.constexpr):
    """Move samples of the state towards those of the frame; returns what they become."""
    x = tl.load(raw + at, mask=seen, other=0).to(tl.float32) * TO_STATE
    expected = tl.load(state + at, mask=seen, other=0).to(tl.float32)
    # At the first frame without arithmetic: there is nothing in the memory yet.
    value = tl.where(first, x, expected + gain * (x - expected) + 0.5).to(tl.uint16)
    tl.store(new_state + at, value, mask=seen)
    return value


@triton.jit(do_not_specialize=["cell_rows"])
def temporal_kernel(
    raw, raw_chroma, state, state_chroma, left, codes, cell_rows, cell_columns, flags, noise,
    TO_STATE: tl.constexpr, CHROMA_TO_STATE: tl.constexpr, BLACK: tl.constexpr,
    STRIPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, CHAINED: tl.constexpr = False,
):  # fmt: skip
    """A Kalman filter for each cell; see ``denoise.reference.over_time``.

    Args:
        raw, raw_chroma: see ``load_kernel``; the other half is the frame before.
        state: ``(3, 2 cell_rows, 2 cell_columns)`` uint16, and ``state_chroma``,
            ``(3, 2, cell_rows, cell_columns)``; a third of them is read, another written.
        left: ``(3, cell_rows, cell_columns)`` uint8: the share of a frame's noise that is left,
            in 255ths; likewise.
        codes: the new state's mean luma of each cell, uint16.
        flags, noise: see above.
        TO_STATE, CHROMA_TO_STATE: steps of the state for one of the raw samples.
        BLACK: 8-bit code.
        STRIPS, ROWS, COLUMNS: so many strips of so many rows of cells; in each, one row after the
            other. The outer two columns are not written.
    """
    wait_for_kernel_before(CHAINED)
    cell_columns = whole_fours(cell_columns)
    columns, mine = own_columns(cell_columns, COLUMNS)
    top = (tl.program_id(1) * STRIPS + tl.arange(0, STRIPS))[:, None] * ROWS
    first = tl.load(flags + FIRST) != 0
    now = tl.load(flags + NOW).to(tl.int64)
    plane = cell_rows * cell_columns
    before = raw + (1 - now) * 4 * plane
    raw += now * 4 * plane
    raw_chroma += now * 2 * plane
    old = tl.load(flags + OLD).to(tl.int64)
    new_state = state + now * 4 * plane
    state += old * 4 * plane
    new_chroma = state_chroma + now * 2 * plane
    state_chroma += old * 2 * plane
    new_left = left + now * plane
    left += old * plane

    chroma_unit = tl.load(noise + CHROMA_UNIT)
    h = noise + INVERSE_SIGMA
    h0, h1, h2, h3 = tl.load(h), tl.load(h + 1), tl.load(h + 2), tl.load(h + 3)
    h4, h5, h6, h7 = tl.load(h + 4), tl.load(h + 5), tl.load(h + 6), tl.load(h + 7)

    nothing = tl.zeros((STRIPS, COLUMNS), tl.float32)
    mean_0, energy_0, cb_0, cr_0, changed_0 = nothing, nothing, nothing, nothing, nothing
    # Not the same value: Triton would take what the loop moves from row 1 to row 0 for constant.
    none = tl.zeros((STRIPS, COLUMNS), tl.float32)
    mean_1, energy_1, cb_1, cr_1, changed_1 = none, none, none, none, none
    for step in range(ROWS + 2):
        row = top + step - 1
        mean_2, energy_2, cb_2, cr_2, changed_2 = _cell(
            raw, before, state, raw_chroma, state_chroma, plane, within(row, cell_rows), columns,
            cell_columns, first, chroma_unit, h0, h1, h2, h3, h4, h5, h6, h7,
            TO_STATE, CHROMA_TO_STATE, BLACK,
        )  # fmt: skip
        mean_2, energy_2, changed_2 = (
            _over_three(mean_2), _over_three(energy_2), _over_three(changed_2)
        )  # fmt: skip
        cb_2, cr_2 = _over_three(cb_2), _over_three(cr_2)
        if step >= 2:  # the row above has its three
            row -= 1
            seen = mine & (row < cell_rows)
            at = row * cell_columns + columns
            share = tl.load(left + at, mask=seen, other=0).to(tl.float32) * (1.0 / 255.0)
            share = tl.where(first, 1.0, share)
            new = tl.minimum(1.0, changed_0 + changed_1 + changed_2 + REPEATED)
            gain, remaining = _gain(
                mean_0 + mean_1 + mean_2, energy_0 + energy_1 + energy_2, cb_0 + cb_1 + cb_2,
                cr_0 + cr_1 + cr_2, new, share,
            )  # fmt: skip
            tl.store(new_left + at, (remaining * 255.0 + 0.5).to(tl.uint8), mask=seen)
            luma = tl.zeros((STRIPS, COLUMNS), tl.float32)
            for part in tl.static_range(2):
                samples = pairs((2 * row + part) * (2 * cell_columns) + 2 * columns)
                value = _follow(
                    raw, state, new_state, samples, gain[:, :, None], seen[:, :, None], first,
                    TO_STATE,
                )  # fmt: skip
                value_0, value_1 = tl.split(value.to(tl.float32))
                luma += value_0 + value_1
            tl.store(codes + at, (luma * 0.25 + 0.5).to(tl.uint16), mask=seen)
            for part in tl.static_range(2):
                _follow(
                    raw_chroma, state_chroma, new_chroma, at + part * plane, gain, seen, first,
                    CHROMA_TO_STATE,
                )  # fmt: skip
        mean_0, energy_0, cb_0, cr_0, changed_0 = mean_1, energy_1, cb_1, cr_1, changed_1
        mean_1, energy_1, cb_1, cr_1, changed_1 = mean_2, energy_2, cb_2, cr_2, changed_2
