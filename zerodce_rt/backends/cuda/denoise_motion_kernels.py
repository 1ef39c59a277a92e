"""The denoiser's state carried along with a moving camera, as Triton kernels.

The rules are those of ``backends.cpu.motion``: blocks of 16x16 luma samples move as one, and are
searched for in pictures of a quarter of the size. The optical flow that the CPU takes works on one
place after the other, and passes on what it has found. Here each block is searched for by itself,
and takes the mean with its neighbours. That finds the same vectors, but for what noise makes of
them: a sample more or less.

- ``pyramid_kernel``: the pictures, of the frame and of the state, and smaller ones of each.
- ``search_kernel``: a block's vector. In whole steps from the smallest picture on, each time from
  what was found in the one before; in the last also in parts of a step, by the slopes there. What
  is compared are windows around the block, less their means.
- ``choose_kernel``: the mean with the neighbours' vectors, where that fits better than none.
- ``move_kernel``: the state as the vectors say, in a third place.

None of them does anything unless ``noise_kernel`` has asked for it.
"""

import triton
import triton.language as tl

from zerodce_rt.backends.cuda.chained_kernels import wait_for_kernel_before
from zerodce_rt.backends.cuda.denoise_kernels import (
    CARRIED,
    MOVED,
    MOVING_FOR,
    NOW,
    OLD,
    SEARCHED,
    SIGMA,
    within,
)
from zerodce_rt.denoise import rules

BLOCK = tl.constexpr(rules.BLOCK_CELLS)
BETTER, MARGIN = tl.constexpr(float(rules.BETTER)), tl.constexpr(rules.MARGIN)

# Samples of the pictures for a block's side, and side of what a tile of them is made from.
SMALL = tl.constexpr(4)
SEARCH_REGISTERS = 128
"""Of a thread of ``search_kernel``; without a bound, ptxas takes fewer and spills on some cards."""
MOST_LEVELS = 5
"""Pictures of each size that there are at most: the smallest has 64 luma samples for one."""
TILE = tl.constexpr(2 ** (MOST_LEVELS - 1))
# Side of the windows that are compared, and their samples.
SIDE = 8
WINDOW = tl.constexpr(SIDE)
SAMPLES = tl.constexpr(SIDE * SIDE)
# Steps in each direction, in the smallest picture and in the others.
FAR_STEPS, NEAR_STEPS = tl.constexpr(3), tl.constexpr(1)
# Times that parts of a step are looked for, and how far they may lead.
REFINEMENTS, FARTHEST = tl.constexpr(3), tl.constexpr(1.0)
# Least squares of slopes, and of what a window is allowed to differ by, in 8-bit codes.
LEAST_SLOPE, LEAST_MISFIT = tl.constexpr(0.01), tl.constexpr(0.01)
# Neighbours that a vector is averaged with: so many in each direction, so many blocks apart.
NEIGHBOURS, APART = tl.constexpr(2), tl.constexpr(2)


@triton.jit
def _picture(cell_rows, cell_columns, LEVEL: tl.constexpr):
    """Where one of the smaller pictures begins, its rows and its columns."""
    rows, columns = cell_rows // 2, cell_columns // 2
    at = rows * 0
    for _ in tl.static_range(LEVEL):
        at += rows * columns
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    return at, rows, columns


@triton.jit
def _shrink(
    plane, out, cell_rows, cell_columns,
    SCALE: tl.constexpr, LEVELS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """A tile of a luma plane in all of the smaller pictures, in 8-bit codes."""
    top, left = tl.program_id(1) * TILE, tl.program_id(0) * COLUMNS
    rows = (top + tl.arange(0, TILE))[:, None]
    columns = (left + tl.arange(0, COLUMNS))[None, :]
    at = within(rows, cell_rows // 2) * SMALL * 2 * cell_columns
    at = at + within(columns, cell_columns // 2) * SMALL
    total = tl.zeros((TILE, COLUMNS), tl.float32)
    for down in tl.static_range(SMALL):
        for right in tl.static_range(SMALL):
            sample = tl.load(plane + at + down * 2 * cell_columns + right)
            total += sample.to(tl.float32)
    value = total * (SCALE / (SMALL * SMALL))
    for level in tl.static_range(LEVELS):
        start, count, width = _picture(cell_rows, cell_columns, level)
        if level > 0:
            value = tl.reshape(value, (TILE >> level, 2, COLUMNS >> level, 2))
            value = tl.sum(tl.sum(value, axis=3), axis=1) * 0.25
        y = ((top >> level) + tl.arange(0, TILE >> level))[:, None]
        x = ((left >> level) + tl.arange(0, COLUMNS >> level))[None, :]
        tl.store(out + start + y * width + x, value, mask=(y < count) & (x < width))


@triton.jit(do_not_specialize=["cell_rows"])
def pyramid_kernel(
    raw, state, small, size, cell_rows, cell_columns, flags,
    SCALE: tl.constexpr, LEVELS: tl.constexpr, COLUMNS: tl.constexpr, CHAINED: tl.constexpr = False,
):  # fmt: skip
    """Make the smaller pictures of a frame's luma, and of the state's.

    Args:
        raw, state, flags: see ``temporal_kernel``.
        small: ``(2, size)`` float32, of the frame and of the state: the pictures in 8-bit codes,
            one behind the other, each of half the size of the one before; written.
        SCALE: from the frame's samples to 8-bit codes.
        LEVELS: pictures of each.
        COLUMNS: of a tile of the largest.
    """
    wait_for_kernel_before(CHAINED)
    if tl.load(flags + SEARCHED) != 0:
        plane = cell_rows * cell_columns
        now = tl.load(flags + NOW).to(tl.int64)
        if tl.program_id(2) == 0:
            _shrink(raw + now * 4 * plane, small, cell_rows, cell_columns, SCALE, LEVELS, COLUMNS)
        else:
            _shrink(
                state + (1 - now) * 4 * plane, small + size, cell_rows, cell_columns, 1.0 / 256.0,
                LEVELS, COLUMNS,
            )  # fmt: skip


@triton.jit
def _window(row, column, cell_rows, cell_columns, LEVEL: tl.constexpr):
    """Rows and columns of the samples around blocks, ``(blocks, SAMPLES)``, in a picture."""
    _, rows, columns = _picture(cell_rows, cell_columns, LEVEL)
    middle: tl.constexpr = SMALL // 2
    top = within((row * SMALL + middle >> LEVEL) - WINDOW // 2, rows - WINDOW + 1)
    left = within((column * SMALL + middle >> LEVEL) - WINDOW // 2, columns - WINDOW + 1)
    part = tl.arange(0, SAMPLES)[None, :]
    return top + part // WINDOW, left + part % WINDOW


@triton.jit
def _misfit(difference):
    """Squares of differences in each window, without their mean."""
    total = tl.sum(difference, axis=1)[:, None]
    return tl.sum(difference * difference, axis=1)[:, None] - total * total * (1.0 / SAMPLES)


@triton.jit
def _whole_steps(
    small, size, y, x, step_y, step_x, cell_rows, cell_columns,
    LEVEL: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """The best of the steps around those that were found before, in whole samples."""
    start, rows, columns = _picture(cell_rows, cell_columns, LEVEL)
    now = tl.load(small + start + y * columns + x)
    before = small + size + start
    least = tl.zeros_like(step_y).to(tl.float32) + float("inf")
    best_y, best_x = step_y, step_x
    for down in range(2 * STEPS + 1):
        try_y = step_y + down - STEPS
        line = within(y + try_y, rows) * columns
        for right in range(2 * STEPS + 1):
            try_x = step_x + right - STEPS
            misfit = _misfit(tl.load(before + line + within(x + try_x, columns)) - now)
            better = misfit < least
            least = tl.where(better, misfit, least)
            best_y, best_x = tl.where(better, try_y, best_y), tl.where(better, try_x, best_x)
    return best_y, best_x


@triton.jit
def _between(picture, y, x, rows, columns):
    """Samples of a picture at places between them."""
    y = tl.minimum(tl.maximum(y, 0.0), (rows - 1).to(tl.float32))
    x = tl.minimum(tl.maximum(x, 0.0), (columns - 1).to(tl.float32))
    row = tl.minimum(y.to(tl.int32), rows - 2)
    column = tl.minimum(x.to(tl.int32), columns - 2)
    part_y, part_x = y - row.to(tl.float32), x - column.to(tl.float32)
    at = picture + row * columns + column
    a, b = tl.load(at), tl.load(at + 1)
    above = a + part_x * (b - a)
    a, b = tl.load(at + columns), tl.load(at + columns + 1)
    return above + part_y * (a + part_x * (b - a) - above)


@triton.jit
def _slopes(picture, upper, lower):
    """Half of what samples differ by, less its mean in each window."""
    slope = (tl.load(picture + upper) - tl.load(picture + lower)) * 0.5
    return slope - tl.sum(slope, axis=1)[:, None] * (1.0 / SAMPLES)


@triton.jit
def _parts_of_steps(
    small, size, y, x, step_y, step_x, cell_rows, cell_columns, LEVEL: tl.constexpr
):  # fmt: skip
    """Steps as they fit best, by the method of Lucas and Kanade, and the misfit of a sample."""
    start, rows, columns = _picture(cell_rows, cell_columns, LEVEL)
    picture = small + start
    now = tl.load(picture + y * columns + x)
    down = _slopes(picture, within(y + 1, rows) * columns + x, within(y - 1, rows) * columns + x)
    right = _slopes(
        picture, y * columns + within(x + 1, columns), y * columns + within(x - 1, columns)
    )
    a = tl.sum(right * right, axis=1)[:, None] + LEAST_SLOPE
    b = tl.sum(right * down, axis=1)[:, None]
    c = tl.sum(down * down, axis=1)[:, None] + LEAST_SLOPE
    share = 1.0 / tl.maximum(a * c - b * b, LEAST_SLOPE * LEAST_SLOPE)
    y, x = y.to(tl.float32), x.to(tl.float32)
    from_y, from_x = step_y.to(tl.float32), step_x.to(tl.float32)
    to_y, to_x = from_y, from_x
    for _ in range(REFINEMENTS):
        difference = _between(picture + size, y + to_y, x + to_x, rows, columns) - now
        u = tl.sum(right * difference, axis=1)[:, None]
        v = tl.sum(down * difference, axis=1)[:, None]
        to_x -= (c * u - b * v) * share
        to_y -= (a * v - b * u) * share
        to_x = tl.minimum(tl.maximum(to_x, from_x - FARTHEST), from_x + FARTHEST)
        to_y = tl.minimum(tl.maximum(to_y, from_y - FARTHEST), from_y + FARTHEST)
    difference = _between(picture + size, y + to_y, x + to_x, rows, columns) - now
    return to_y, to_x, _misfit(difference) * (1.0 / SAMPLES)


@triton.jit
def _blocks(cell_rows, cell_columns, BLOCKS: tl.constexpr):
    """Rows and columns of blocks; how many of both there are; indices, and which there are."""
    down, across = tl.cdiv(cell_rows, BLOCK), tl.cdiv(cell_columns, BLOCK)
    index = (tl.program_id(0) * BLOCKS + tl.arange(0, BLOCKS))[:, None]
    return index // across, index % across, down, across, index, index < down * across


@triton.jit(do_not_specialize=["cell_rows"])
def search_kernel(
    small, size, found, cell_rows, cell_columns, flags,
    COARSEST: tl.constexpr, FINEST: tl.constexpr, BLOCKS: tl.constexpr,
    CHAINED: tl.constexpr = False,
):  # fmt: skip
    """Look for where blocks of the frame are in the state.

    Args:
        small, size: see ``pyramid_kernel``.
        found: ``(3, blocks)`` float32: how far down and to the right, in samples of the largest
            picture, and how good that is; written.
        COARSEST, FINEST: pictures that are searched, by how often they were halved.
        BLOCKS: for a block of threads.
    """
    wait_for_kernel_before(CHAINED)
    if tl.load(flags + SEARCHED) != 0:
        row, column, down, across, index, known = _blocks(cell_rows, cell_columns, BLOCKS)
        y, x = _window(row, column, cell_rows, cell_columns, COARSEST)
        nothing = tl.zeros((BLOCKS, 1), tl.int32)
        step_y, step_x = _whole_steps(
            small, size, y, x, nothing, nothing, cell_rows, cell_columns, COARSEST, FAR_STEPS
        )
        for finer in tl.static_range(COARSEST - FINEST):
            y, x = _window(row, column, cell_rows, cell_columns, COARSEST - 1 - finer)
            step_y, step_x = _whole_steps(
                small, size, y, x, 2 * step_y, 2 * step_x, cell_rows, cell_columns,
                COARSEST - 1 - finer, NEAR_STEPS,
            )  # fmt: skip
        to_y, to_x, misfit = _parts_of_steps(
            small, size, y, x, step_y, step_x, cell_rows, cell_columns, FINEST
        )
        scale: tl.constexpr = 2.0**FINEST
        blocks = down * across
        tl.store(found + index, to_y * scale, mask=known)
        tl.store(found + blocks + index, to_x * scale, mask=known)
        good = 1.0 / (tl.maximum(misfit, 0.0) + LEAST_MISFIT)
        tl.store(found + 2 * blocks + index, good, mask=known)


@triton.jit(do_not_specialize=["cell_rows"])
def choose_kernel(
    small, size, found, vectors, cell_rows, cell_columns, counters, flags, noise,
    BLOCKS: tl.constexpr, CHAINED: tl.constexpr = False,
):  # fmt: skip
    """Choose a vector for each block, or none where that fits hardly better, and count them.

    Args:
        small, size, found: see ``search_kernel``.
        vectors: ``(2, blocks)`` int32: how far down and to the right, in luma samples; written.
        counters: ``MOVED`` is added to.
        noise: see ``temporal_kernel``.
        BLOCKS: for a block of threads.
    """
    wait_for_kernel_before(CHAINED)
    if tl.load(flags + SEARCHED) != 0:
        row, column, down, across, index, known = _blocks(cell_rows, cell_columns, BLOCKS)
        blocks = down * across
        to_y = tl.zeros((BLOCKS, 1), tl.float32)
        to_x, total = to_y, to_y
        for i in range(2 * NEIGHBOURS + 1):
            line = found + within(row + (i - NEIGHBOURS) * APART, down) * across
            for j in range(2 * NEIGHBOURS + 1):
                at = line + within(column + (j - NEIGHBOURS) * APART, across)
                good = tl.load(at + 2 * blocks)
                to_y += good * tl.load(at)
                to_x += good * tl.load(at + blocks)
                total += good
        to_y, to_x = to_y / total, to_x / total
        down_by = tl.floor(to_y * SMALL + 0.5).to(tl.int32)
        right_by = tl.floor(to_x * SMALL + 0.5).to(tl.int32)

        # With a margin, so that neighbours decide alike; every second row is enough.
        rows, columns = cell_rows // 2, cell_columns // 2
        part = tl.arange(0, SAMPLES // 2)[None, :]
        y = tl.minimum(row * SMALL, rows - SMALL) - SMALL // 2 + part // WINDOW * 2
        x = tl.minimum(column * SMALL, columns - SMALL) - SMALL // 2 + part % WINDOW
        inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
        y, x = within(y, rows), within(x, columns)
        now = tl.load(small + y * columns + x)
        still = tl.abs(now - tl.load(small + size + y * columns + x))
        there = _between(
            small + size, y.to(tl.float32) + to_y, x.to(tl.float32) + to_x, rows, columns
        )
        still = tl.sum(tl.where(inside, still, 0.0), axis=1)[:, None]
        moved = tl.sum(tl.where(inside, tl.abs(now - there), 0.0), axis=1)[:, None]
        count = tl.sum(tl.where(inside, 1.0, 0.0), axis=1)[:, None]
        margin = tl.load(noise + SIGMA) * MARGIN
        moves = ((down_by != 0) | (right_by != 0)) & (moved <= still * BETTER - margin * count)
        tl.store(vectors + index, tl.where(moves, down_by, 0), mask=known)
        tl.store(vectors + blocks + index, tl.where(moves, right_by, 0), mask=known)
        tl.atomic_add(counters + MOVED, tl.sum(tl.where(moves & known, 1, 0)))


@triton.jit(do_not_specialize=["cell_rows", "most_still"])
def move_kernel(
    state, state_chroma, left, vectors, cell_rows, cell_columns, most_still, counters, flags,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, CHAINED: tl.constexpr = False,
):  # fmt: skip
    """Carry a tile of the state along, if the camera moves.

    Args:
        state .. left: see ``temporal_kernel``; ``vectors``: see ``choose_kernel``.
        most_still: blocks that may move while the camera stands still.
        flags: ``OLD`` is written if the camera moves.
        ROWS, COLUMNS: of cells in a tile.
    """
    wait_for_kernel_before(CHAINED)
    moved = tl.load(counters + MOVED)
    goes_on = (moved > most_still) | (tl.load(counters + MOVING_FOR) > 1)
    if (tl.load(flags + SEARCHED) != 0) & (moved > 0) & goes_on:
        if (tl.program_id(0) == 0) & (tl.program_id(1) == 0):
            tl.store(flags + OLD, CARRIED)
        rows = (tl.program_id(1) * ROWS + tl.arange(0, ROWS))[:, None]
        columns = (tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
        inside = (rows < cell_rows) & (columns < cell_columns)
        plane = cell_rows * cell_columns
        old = 1 - tl.load(flags + NOW).to(tl.int64)
        across = tl.cdiv(cell_columns, BLOCK)
        block = vectors + rows // BLOCK * across + columns // BLOCK
        down = tl.load(block, mask=inside, other=0)
        right = tl.load(block + tl.cdiv(cell_rows, BLOCK) * across, mask=inside, other=0)
        # What lies outside of the frame is like its border.
        luma = state + old * 4 * plane
        new = state + CARRIED * 4 * plane.to(tl.int64)
        for part in tl.static_range(4):
            y, x = 2 * rows + part // 2, 2 * columns + part % 2
            there = within(y + down, 2 * cell_rows) * 2 * cell_columns
            there = there + within(x + right, 2 * cell_columns)
            value = tl.load(luma + there, mask=inside, other=0)
            tl.store(new + y * 2 * cell_columns + x, value, mask=inside)
        at = rows * cell_columns + columns
        there = within(rows + (down + 1 >> 1), cell_rows) * cell_columns
        there = there + within(columns + (right + 1 >> 1), cell_columns)
        value = tl.load(left + old * plane + there, mask=inside, other=0)
        tl.store(left + CARRIED * plane.to(tl.int64) + at, value, mask=inside)
        for part in tl.static_range(2):
            value = tl.load(state_chroma + (2 * old + part) * plane + there, mask=inside, other=0)
            new = state_chroma + (2 * CARRIED + part) * plane.to(tl.int64)
            tl.store(new + at, value, mask=inside)
