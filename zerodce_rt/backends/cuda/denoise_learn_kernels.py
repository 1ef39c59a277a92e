"""How strong the noise of a video is, learned on the device: ``denoise.learner`` as Triton kernels.

Three of them for each frame, of which the first two do nothing unless the noise is looked at:

- ``statistics_kernel``: of blocks of 8x8 samples, all over the picture.
- ``learn_kernel``: a block of threads for each range of luma codes, of luma and of chroma. It
  needs values in their order, but not all of them: only the one that so many are below. That is
  found digit by digit, by counting, which gives the same as sorting.
- ``noise_kernel``: what to filter the frame for. It also moves the counters on, and decides
  whether motion is searched for.
"""

import math

import triton
import triton.language as tl

from zerodce_rt.backends.cuda.chained_kernels import wait_for_kernel_before
from zerodce_rt.backends.cuda.denoise_kernels import (
    CHROMA_SHARE,
    CHROMA_UNIT,
    FIRST,
    FRAMES,
    HALF_TO_WRITE,
    INVERSE_SIGMA,
    LOOKS,
    MOVED,
    MOVING_FOR,
    NOW,
    OLD,
    ON,
    SEARCHED,
    SIGMA,
    STRENGTH,
    VARIANCE,
    moment,
)
from zerodce_rt.denoise import learner, rules
from zerodce_rt.denoise import noise as levels

BLOCK = tl.constexpr(levels.BLOCK)
BINS = tl.constexpr(levels.BINS)
ROWS_APART = tl.constexpr(learner.ROWS_APART)
FEWEST_CHANGED = tl.constexpr(levels.FEWEST_CHANGED)
FIRST_QUANTILE, FLATTEST = tl.constexpr(levels.FIRST_QUANTILE), tl.constexpr(levels.FLATTEST)
QUANTILE, QUANTILE_SHARE = tl.constexpr(levels.QUANTILE), tl.constexpr(levels.QUANTILE_SHARE)
FEWEST_BLOCKS = tl.constexpr(levels.FEWEST_BLOCKS)
FEWEST_FIRST_BLOCKS = tl.constexpr(levels.FEWEST_FIRST_BLOCKS)
MANY_BLOCKS = tl.constexpr(levels.MANY_BLOCKS)
MEMORY, BLOCKS_MEMORY = tl.constexpr(levels.MEMORY), tl.constexpr(levels.BLOCKS_MEMORY)
FADING = tl.constexpr(levels.FADING)
MOST_TO_BRIGHT = tl.constexpr(math.log2(levels.MOST_TO_BRIGHT))
MOST_TO_DARK = tl.constexpr(math.log2(levels.MOST_TO_DARK))
DARK_KNOTS = tl.constexpr(learner.DARK_KNOTS)
KNOTS = tl.constexpr(len(rules.KNOTS))
LEAST_VARIANCE = tl.constexpr(rules.LEAST_VARIANCE)
LEAST_CHROMA_SHARE = tl.constexpr(rules.LEAST_CHROMA_SHARE)
BRIGHT_FROM, BRIGHT_TO = tl.constexpr(rules.BRIGHT_FROM), tl.constexpr(rules.BRIGHT_TO)
FRAMES_TO_END = tl.constexpr(rules.FRAMES_TO_END)

# Rows of the table: edges and middles of the bins, and the knots; as many in each row.
TABLE = tl.constexpr(32)
EDGES, CENTRES, KNOT_ROW = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
# Further away than any code.
NOWHERE = tl.constexpr(1e9)
# Added to the bin of a block that tells nothing of the noise.
UNTOLD = tl.constexpr(64)
# What is kept of each bin, as rows of so many: variance, blocks, and whether it is confirmed.
KEPT_VARIANCE, KEPT_BLOCKS, KEPT_CONFIRMED = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)

# What ``_kth`` puts in order, and of which blocks.
BY_INSIDE, BY_INDEX, BY_DIFFERENCE = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)


@triton.jit
def rows_to_look_at(first, looks, apart):
    """First row of blocks, and rows from one to the next."""
    start = tl.where(first, 0, looks % apart)
    return start, tl.where(first, apart // ROWS_APART, apart)


@triton.jit
def _sum4(values, BLOCKS: tl.constexpr):
    """Sums of the 4x4 samples of each quarter of a row of blocks: ``(2, BLOCKS, 2)``."""
    quarters = tl.reshape(values, (2, 4, BLOCKS, 2, 4))
    return tl.sum(tl.sum(quarters, axis=4), axis=1)


@triton.jit
def _block_row(
    plane, before, stride, row, first_block, blocks, SCALE: tl.constexpr, BLOCKS: tl.constexpr
):
    """Of a row of blocks (see ``BlockStatistics``): half the energy of their difference, variance
    inside, mean code, and how many samples have changed."""
    rows = (row * BLOCK + tl.arange(0, BLOCK))[:, None]
    columns = (first_block * BLOCK + tl.arange(0, BLOCK * BLOCKS))[None, :]
    inside = (columns < blocks * BLOCK) & (rows >= 0)
    at = rows * stride + columns
    now = tl.load(plane + at, mask=inside, other=0)
    old = tl.load(before + at, mask=inside, other=0)
    changed = tl.where(now != old, 1.0, 0.0)
    x = now.to(tl.float32) * SCALE
    d = x - old.to(tl.float32) * SCALE
    means = _sum4(x, BLOCKS) * (1.0 / 16.0)
    spread = tl.broadcast_to(means[:, None, :, :, None], (2, 4, BLOCKS, 2, 4))
    apart = x - tl.reshape(spread, (BLOCK, BLOCK * BLOCKS))
    energy = tl.sum(tl.sum(_sum4(d * d, BLOCKS), axis=2), axis=0) * (1.0 / 128.0)
    variance = tl.sum(tl.sum(_sum4(apart * apart, BLOCKS), axis=2), axis=0) * (1.0 / 60.0)
    level = tl.sum(tl.sum(means, axis=2), axis=0) * 0.25
    return energy, variance, level, tl.sum(tl.sum(_sum4(changed, BLOCKS), axis=2), axis=0)


@triton.jit
def _note(
    bins, inside, difference, at, known, level, variance, energy, changed, table,
):  # fmt: skip
    """Write what was found of blocks; bins are those of ``denoise.noise``."""
    edges = tl.load(table + EDGES * TABLE + tl.arange(0, TABLE))
    above = tl.where(level[:, None] >= edges[None, :], 1, 0)
    bin = tl.minimum(tl.maximum(tl.sum(above, axis=1) - 1, 0), BINS - 1)
    bin += tl.where(changed > FEWEST_CHANGED, 0, UNTOLD)
    tl.store(bins + at, bin, mask=known)
    tl.store(inside + at, variance, mask=known)
    tl.store(difference + at, energy, mask=known)


@triton.jit(do_not_specialize=["cell_rows", "apart", "most"])
def statistics_kernel(
    raw, raw_chroma, state, cell_rows, cell_columns, apart, most, bins, inside, difference, table,
    counters, parameters,
    SCALE: tl.constexpr, CHROMA_SCALE: tl.constexpr, BLACK: tl.constexpr, BLOCKS: tl.constexpr,
    CHAINED: tl.constexpr = False,
):  # fmt: skip
    """Look at some rows of blocks of luma, or of Cb or Cr.

    Args:
        raw .. state: see ``temporal_kernel``.
        apart: rows of blocks from one that is looked at to the next.
        bins, inside, difference: ``(2, most)`` of luma and of chroma, int32 and float32: written.
        table, counters, parameters: see above and ``moment``.
        SCALE, CHROMA_SCALE: from samples to 8-bit codes.
        BLOCKS: beside each other, for a block of threads.
    """
    wait_for_kernel_before(CHAINED)
    first, _, due, looks, half = moment(counters, parameters)
    if due:
        start, step = rows_to_look_at(first, looks, apart)
        plane = cell_rows * cell_columns
        now = half.to(tl.int64)
        other = tl.where(first, now, 1 - now)
        kind = tl.program_id(2)
        size = tl.where(kind == 0, 2, 1)
        rows, blocks = size * cell_rows // BLOCK, size * cell_columns // BLOCK
        first_block = tl.program_id(0) * BLOCKS
        block = first_block + tl.arange(0, BLOCKS)
        known = block < blocks
        if kind == 0:
            for number in range(tl.program_id(1), (rows - start + step - 1) // step,
                                tl.num_programs(1)):  # fmt: skip
                row = start + number * step
                energy, variance, level, changed = _block_row(
                    raw + now * 4 * plane, raw + other * 4 * plane, 2 * cell_columns, row,
                    first_block, blocks, SCALE, BLOCKS,
                )  # fmt: skip
                _note(
                    bins, inside, difference, number * blocks + block, known, level - BLACK,
                    variance, energy, changed, table,
                )  # fmt: skip
        else:
            # Cb and Cr in turns; a block of chroma covers four of luma.
            part = (looks & 1) * plane
            for number in range(tl.program_id(1), (rows - start + step - 1) // step,
                                tl.num_programs(1)):  # fmt: skip
                row = start + number * step
                energy, variance, _level, changed = _block_row(
                    raw_chroma + now * 2 * plane + part, raw_chroma + other * 2 * plane + part,
                    cell_columns, row, first_block, blocks, CHROMA_SCALE, BLOCKS,
                )  # fmt: skip
                at = (2 * BLOCK * row + BLOCK) * 2 * cell_columns + 2 * BLOCK * block + BLOCK
                expected = tl.load(state + (1 - now) * 4 * plane + at, mask=known, other=0)
                seen = tl.load(raw + now * 4 * plane + at, mask=known, other=0)
                level = tl.where(
                    first, seen.to(tl.float32) * SCALE, expected.to(tl.float32) * (1.0 / 256.0)
                )
                _note(
                    bins, inside, difference, most + number * blocks + block, known, level - BLACK,
                    variance, energy, changed, table,
                )  # fmt: skip


@triton.jit
def _bits(values, at, n):
    """Floats that are not negative, as integers of the same order."""
    return tl.load(values + at, mask=at < n, other=0.0).to(tl.uint32, bitcast=True)


@triton.jit
def _kth(
    bins, inside, difference, n, bin, k, limit, last,
    KEY: tl.constexpr, DIGITS: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """The key of which ``k`` blocks of a bin have a smaller one, as an integer.

    Args:
        KEY: of ``BY_INSIDE``: the variance inside, of all blocks; ``BY_INDEX``: their index, of
            those whose variance inside is ``limit``; ``BY_DIFFERENCE``: the energy of the
            difference, of those that are below that limit, or at it up to the index ``last``.
        DIGITS: of a key, of 4 bits each; eight for floats.
    """
    found = (n * 0).to(tl.uint32)
    digits = tl.arange(0, 16).to(tl.uint32)
    for step in range(DIGITS):
        place = 4 * (DIGITS - 1 - step)
        trial = found + (digits << place.to(tl.uint32))
        smaller = tl.zeros((16,), tl.int32)
        for at in range(0, n, CHUNK):
            i = at + tl.arange(0, CHUNK)
            counted = tl.load(bins + i, mask=i < n, other=-1) == bin
            if KEY == BY_INSIDE:
                key = _bits(inside, i, n)
            elif KEY == BY_INDEX:
                counted = counted & (_bits(inside, i, n) == limit)
                key = i.to(tl.uint32)
            else:
                flat = _bits(inside, i, n)
                counted = counted & ((flat < limit) | ((flat == limit) & (i.to(tl.uint32) <= last)))
                key = _bits(difference, i, n)
            below = counted[:, None] & (key[:, None] < trial[None, :])
            smaller += tl.sum(tl.where(below, 1, 0), axis=0)
        digit = tl.sum(tl.where(smaller <= k, 1, 0), axis=0) - 1
        found += digit.to(tl.uint32) << place.to(tl.uint32)
    return found


@triton.jit
def _count(bins, n, bin, CHUNK: tl.constexpr):
    """Blocks of a bin."""
    count = tl.zeros((CHUNK,), tl.int32)
    for at in range(0, n, CHUNK):
        i = at + tl.arange(0, CHUNK)
        count += tl.where(tl.load(bins + i, mask=i < n, other=-1) == bin, 1, 0)
    return tl.sum(count, axis=0)


@triton.jit
def _flatter(bins, inside, n, bin, limit, CHUNK: tl.constexpr):
    """Those whose variance inside is below a limit."""
    count = tl.zeros((CHUNK,), tl.int32)
    for at in range(0, n, CHUNK):
        i = at + tl.arange(0, CHUNK)
        counted = tl.load(bins + i, mask=i < n, other=-1) == bin
        count += tl.where(counted & (_bits(inside, i, n) < limit), 1, 0)
    return tl.sum(count, axis=0)


@triton.jit(do_not_specialize=["cell_rows", "apart", "most"])
def learn_kernel(
    bins, inside, difference, kept, cell_rows, cell_columns, apart, most, counters, parameters,
    INDEX_DIGITS: tl.constexpr, CHUNK: tl.constexpr, CHAINED: tl.constexpr = False,
):  # fmt: skip
    """Guess or update the noise of a range of codes, as ``NoiseLevels`` does.

    Args:
        bins .. apart, most: see ``statistics_kernel``.
        kept: ``(2, 3, TABLE)`` float32: of luma and of chroma, what is kept of each bin.
        INDEX_DIGITS: of the blocks' indices, of 4 bits each.
        CHUNK: blocks that are looked at together.
    """
    wait_for_kernel_before(CHAINED)
    first, _, due, looks, _ = moment(counters, parameters)
    if due:
        bin, kind = tl.program_id(0), tl.program_id(1)
        bins += kind * most
        inside += kind * most
        difference += kind * most
        kept += kind * 3 * TABLE + bin
        start, step = rows_to_look_at(first, looks, apart)
        size = tl.where(kind == 0, 2, 1)
        rows = (size * cell_rows // BLOCK - start + step - 1) // step
        n = tl.maximum(rows, 0) * (size * cell_columns // BLOCK)
        told = _count(bins, n, bin, CHUNK)
        untold = _count(bins, n, bin + UNTOLD, CHUNK)
        if first:
            # Nothing has changed, so no block has told anything.
            variance = float("nan")
            if untold >= FEWEST_FIRST_BLOCKS:
                k = (untold * FIRST_QUANTILE).to(tl.int32)
                found = _kth(
                    bins, inside, difference, n, bin + UNTOLD, k, 0, 0, BY_INSIDE, 8, CHUNK
                )
                variance = found.to(tl.float32, bitcast=True)
            tl.store(kept + KEPT_VARIANCE * TABLE, variance)
            tl.store(kept + KEPT_BLOCKS * TABLE, untold.to(tl.float32))
            tl.store(kept + KEPT_CONFIRMED * TABLE, 0.0)
        else:
            variance = tl.load(kept + KEPT_VARIANCE * TABLE)
            seen = tl.load(kept + KEPT_BLOCKS * TABLE)
            confirmed = tl.load(kept + KEPT_CONFIRMED * TABLE) != 0.0
            flat = (told * FLATTEST).to(tl.int32)
            if flat >= FEWEST_BLOCKS:
                limit = _kth(bins, inside, difference, n, bin, flat - 1, 0, 0, BY_INSIDE, 8, CHUNK)
                # Of those at the limit, as many as there is room for, in their order.
                room = flat - _flatter(bins, inside, n, bin, limit, CHUNK)
                last = _kth(
                    bins, inside, difference, n, bin, room - 1, limit, 0, BY_INDEX, INDEX_DIGITS,
                    CHUNK,
                )  # fmt: skip
                k = (flat * QUANTILE).to(tl.int32)
                bits = _kth(
                    bins, inside, difference, n, bin, k, limit, last, BY_DIFFERENCE, 8, CHUNK
                )
                found = bits.to(tl.float32, bitcast=True) / QUANTILE_SHARE
                followed = variance * MEMORY + found * (1.0 - MEMORY)
                variance = tl.where(confirmed, followed, found)
                confirmed = confirmed | (found == found)
            else:
                all_seen = (looks + 1) % apart == 0
                # Forget mere guesses; what never changes has no noise to speak of.
                variance = tl.where(all_seen & (confirmed == 0), float("nan"), variance)
                variance *= tl.where(told + untold >= MANY_BLOCKS, FADING, 1.0)
            tl.debug_barrier()  # no thread may write what another has yet to read
            tl.store(kept + KEPT_VARIANCE * TABLE, variance)
            tl.store(kept + KEPT_BLOCKS * TABLE, seen * BLOCKS_MEMORY + told + untold)
            tl.store(kept + KEPT_CONFIRMED * TABLE, tl.where(confirmed, 1.0, 0.0))


@triton.jit
def _variances(kept, table, strength):
    """Of luma or chroma at the knots, as they are filtered for; see ``NoiseLearner.noise``."""
    i = tl.arange(0, TABLE)
    variance = tl.load(kept + KEPT_VARIANCE * TABLE + i, mask=i < BINS, other=float("nan"))
    blocks = tl.load(kept + KEPT_BLOCKS * TABLE + i, mask=i < BINS, other=0.0)
    known = variance == variance
    variance = tl.where(known, variance, 0.0)
    seen = tl.where(known, blocks, -1.0)
    most = tl.max(seen, axis=0)
    best = tl.min(tl.where(known & (seen == most), i, TABLE), axis=0)
    # No bin is believed to be much above one that lies between it and the one seen most often.
    to, by = i[:, None], i[None, :]
    between = ((by >= best) & (by <= to)) | ((by <= best) & (by >= to))
    apart = tl.abs(to - by).to(tl.float32)
    growth = tl.where(to >= best, MOST_TO_BRIGHT, MOST_TO_DARK)
    limit = tl.where(
        between & known[None, :], variance[None, :] * tl.exp2(growth * apart), float("inf")
    )
    believed = tl.min(limit, axis=1)
    # Between the nearest bins that are known; outside of all, as the last of them.
    centres = tl.load(table + CENTRES * TABLE + i)
    knots = tl.load(table + KNOT_ROW * TABLE + tl.arange(0, KNOTS))
    x, centre, value = knots[:, None], centres[None, :], believed[None, :]
    low = tl.max(tl.where(known[None, :] & (centre <= x), centre, -NOWHERE), axis=1)
    high = tl.min(tl.where(known[None, :] & (centre >= x), centre, NOWHERE), axis=1)
    low = tl.where(low == -NOWHERE, high, low)
    high = tl.where(high == NOWHERE, low, high)
    below = tl.sum(tl.where(known[None, :] & (centre == low[:, None]), value, 0.0), axis=1)
    above = tl.sum(tl.where(known[None, :] & (centre == high[:, None]), value, 0.0), axis=1)
    found = below + (knots - low) / tl.maximum(high - low, 1.0) * (above - below)
    found = tl.where(most < 0.0, 0.0, found)
    fade = (knots - BRIGHT_TO) * (-1.0 / (BRIGHT_TO - BRIGHT_FROM))
    fade = tl.minimum(tl.maximum(fade, 0.0), 1.0)
    return tl.maximum(found * fade * strength, LEAST_VARIANCE)


@triton.jit
def _before(values, by):
    """Values moved on by so many places; 0 comes in."""
    i = tl.arange(0, KNOTS)
    return tl.sum(tl.where(i[:, None] == i[None, :] + by, values[None, :], 0.0), axis=1)


@triton.jit
def _store_hinges(out, values, knots):
    """The coefficients of ``denoise.noise.hinges``."""
    i = tl.arange(0, KNOTS)
    span = tl.where(i >= 1, knots - _before(knots, 1), 1.0)
    slope = tl.where(i >= 1, (values - _before(values, 1)) / span, 0.0)
    bend = slope - tl.where(i >= 2, _before(slope, 1), 0.0)
    tl.store(out + i, tl.where(i == 0, values, bend))


@triton.jit
def _median_of_dark(values):
    """Of values at the knots: that of the dark ones, an even number of them."""
    i = tl.arange(0, KNOTS)
    values = tl.where(i < DARK_KNOTS, values, float("inf"))
    smaller = (values[None, :] < values[:, None]) | (
        (values[None, :] == values[:, None]) & (i[None, :] < i[:, None])
    )
    rank = tl.sum(tl.where(smaller, 1, 0), axis=1)
    middle = (rank == DARK_KNOTS // 2 - 1) | (rank == DARK_KNOTS // 2)
    return tl.sum(tl.where(middle, values, 0.0), axis=0) * 0.5


@triton.jit(do_not_specialize=["most_still"])
def noise_kernel(
    kept, table, counters, parameters, flags, noise, most_still, PROBE_EVERY: tl.constexpr,
    CHAINED: tl.constexpr = False,
):  # fmt: skip
    """What to filter a frame for, for the kernels behind this one. Runs in one block of threads.

    Args:
        kept: see ``learn_kernel``; ``table``, ``counters``, ``parameters``: see above.
        flags, noise: see ``denoise_kernels``; written.
        most_still: blocks that may move while the camera stands still.
        PROBE_EVERY: while it does, only so many frames apart is looked whether it moves.
    """
    wait_for_kernel_before(CHAINED)
    first, on, due, looks, half = moment(counters, parameters)
    strength = tl.load(parameters + STRENGTH)
    i = tl.arange(0, KNOTS)
    knots = tl.load(table + KNOT_ROW * TABLE + i)
    luma = _variances(kept, table, strength)
    chroma = _variances(kept + 3 * TABLE, table, strength)
    share = tl.minimum(tl.maximum(_median_of_dark(chroma / luma), LEAST_CHROMA_SHARE), 1.0)
    _store_hinges(noise + VARIANCE, luma, knots)
    _store_hinges(noise + INVERSE_SIGMA, 1.0 / tl.sqrt(luma), knots)
    tl.store(noise + CHROMA_SHARE, share)
    tl.store(noise + CHROMA_UNIT, 1.0 / tl.sqrt(share))
    tl.store(noise + SIGMA, tl.sqrt(_median_of_dark(luma)))
    number = tl.where(first, 1, tl.load(counters + FRAMES) + 1)
    # What the frame before has told of the camera.
    moving_for = tl.load(counters + MOVING_FOR)
    moves = tl.load(counters + MOVED) > most_still
    searched = tl.load(flags + SEARCHED) != 0
    again = tl.where(moves, FRAMES_TO_END, tl.maximum(moving_for - 1, 0))
    moving_for = tl.where(first | (on == 0), 0, tl.where(searched, again, moving_for))
    search = on & (first == 0) & ((moving_for > 0) | (number % PROBE_EVERY == 0))
    tl.debug_barrier()  # no thread may move the counters on before all have read them
    # A frame that is not filtered passes as the first one does, and leaves nothing behind.
    tl.store(flags + FIRST, tl.where(first | (on == 0), 1, 0))
    tl.store(flags + ON, tl.where(on, 1, 0))
    tl.store(flags + NOW, half)
    tl.store(flags + OLD, 1 - half)
    tl.store(flags + SEARCHED, tl.where(search, 1, 0))
    tl.store(counters + MOVING_FOR, moving_for)
    tl.store(counters + MOVED, 0)
    tl.store(counters + FRAMES, tl.where(on, number, 0))
    tl.store(counters + LOOKS, looks + tl.where(due, 1, 0))
    tl.store(counters + HALF_TO_WRITE, 1 - half)
