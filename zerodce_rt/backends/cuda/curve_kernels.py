"""The curve and the thumbnail as fused Triton kernels: one pass over a frame's planes, in tiles.

What makes them fast: samples become RGB, run through the iterations and become samples again in
registers; chroma is spread over its cell and averaged again by reshaping a tile, and the small
maps are interpolated by two matrix products with hat-shaped weights, on tensor cores (without
them, each pixel would read four values of each map: 96 with DCENet).

``tests/backends/cuda`` runs all of this in Triton's interpreter and compiles it for each
generation of cards, neither of which needs a card.
"""

import triton
import triton.language as tl

from zerodce_rt.backends import coefficients as index

# Values of LAYOUT.
PACKED, PLANAR, SEMIPLANAR = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
ITERATIONS = tl.constexpr(8)

# Where each number lies in the coefficients; jitted functions see constexpr globals only.
LUMA_OFFSET = tl.constexpr(index.LUMA_OFFSET)
LUMA_SCALE = tl.constexpr(index.LUMA_SCALE)
CHROMA_OFFSET = tl.constexpr(index.CHROMA_OFFSET)
CHROMA_OFFSET_ROUNDED = tl.constexpr(index.CHROMA_OFFSET_ROUNDED)
CR_TO_RED = tl.constexpr(index.CR_TO_RED)
CB_TO_GREEN = tl.constexpr(index.CB_TO_GREEN)
CR_TO_GREEN = tl.constexpr(index.CR_TO_GREEN)
CB_TO_BLUE = tl.constexpr(index.CB_TO_BLUE)
RED_WEIGHT = tl.constexpr(index.RED_WEIGHT)
GREEN_WEIGHT = tl.constexpr(index.GREEN_WEIGHT)
BLUE_WEIGHT = tl.constexpr(index.BLUE_WEIGHT)
LUMA_SPAN = tl.constexpr(index.LUMA_SPAN)
LUMA_OFFSET_ROUNDED = tl.constexpr(index.LUMA_OFFSET_ROUNDED)
BLUE_TO_CB = tl.constexpr(index.BLUE_TO_CB)
RED_TO_CR = tl.constexpr(index.RED_TO_CR)
LARGEST_CODE = tl.constexpr(index.LARGEST_CODE)


@triton.jit
def _spread(chroma, SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr):
    """Repeat each value of a ``(rows, columns)`` tile over its chroma cell."""
    rows: tl.constexpr = chroma.shape[0]
    columns: tl.constexpr = chroma.shape[1]
    cells = tl.broadcast_to(chroma[:, None, :, None], (rows, 1 << SHIFT_Y, columns, 1 << SHIFT_X))
    return tl.reshape(cells, (rows << SHIFT_Y, columns << SHIFT_X))


@triton.jit
def sum_over_cells(values, SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr):
    """Sum the values of a ``(rows, columns)`` tile over each chroma cell."""
    rows: tl.constexpr = values.shape[0] >> SHIFT_Y
    columns: tl.constexpr = values.shape[1] >> SHIFT_X
    cells = tl.reshape(values, (rows, 1 << SHIFT_Y, columns, 1 << SHIFT_X))
    return tl.sum(tl.sum(cells, axis=3), axis=1)


@triton.jit
def _hat(positions, samples):
    """Weights ``(positions, samples)`` of map samples at positions between them: linear."""
    return tl.maximum(0.0, 1.0 - tl.abs(positions[:, None] - samples[None, :]))


@triton.jit
def _map_tile(
    maps, k, map_height, map_width, map_stride, rows, columns,
    inside, grid_rows, grid_columns, weights_y, weights_x,
    FULL: tl.constexpr,
):  # fmt: skip
    """One map for a tile of pixels: read if it is of the frame's size, else interpolated."""
    plane = maps + tl.cast(map_stride, tl.int64) * k  # above 89 megapixels beyond 2^31
    if FULL:
        at = rows[:, None] * map_width + columns[None, :]
        return tl.load(plane + at, mask=inside, other=0.0).to(tl.float32)
    known = (grid_rows[:, None] < map_height) & (grid_columns[None, :] < map_width)
    at = grid_rows[:, None] * map_width + grid_columns[None, :]
    grid = tl.load(plane + at, mask=known, other=0.0).to(tl.float16)
    stretched = tl.dot(weights_y, grid).to(tl.float16)
    return tl.dot(stretched, weights_x)


@triton.jit
def tile_cells(top, left, width, height, SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr,
           ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    """Rows and columns of a tile's chroma cells, and which of them the frame has."""
    rows = (top >> SHIFT_Y) + tl.arange(0, ROWS >> SHIFT_Y)
    columns = (left >> SHIFT_X) + tl.arange(0, COLUMNS >> SHIFT_X)
    inside = (rows[:, None] < ((height + (1 << SHIFT_Y) - 1) >> SHIFT_Y)) & (
        columns[None, :] < ((width + (1 << SHIFT_X) - 1) >> SHIFT_X)
    )
    # int64: offsets into a plane may exceed 2^31.
    return rows.to(tl.int64), columns, inside


@triton.jit
def _read(
    src_0, src_1, src_2, src_stride, src_chroma_stride, top, left, width, height, c,
    lowest, highest,
    LAYOUT: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr, DROPPED_BITS: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """A tile of a frame as red, green and blue, 0 (black) to 1 (white).

    Args:
        c: the coefficients.
        lowest, highest: what the result is clamped to.
    """
    wide_rows, columns, inside = tile_cells(top, left, width, height, 0, 0, ROWS, COLUMNS)
    if LAYOUT == PACKED:
        at = wide_rows[:, None] * src_stride + 3 * columns[None, :]
        first = tl.load(src_0 + at, mask=inside, other=0).to(tl.float32) * (1.0 / WHITE)
        green = tl.load(src_0 + at + 1, mask=inside, other=0).to(tl.float32) * (1.0 / WHITE)
        last = tl.load(src_0 + at + 2, mask=inside, other=0).to(tl.float32) * (1.0 / WHITE)
        red = last if BGR else first
        blue = first if BGR else last
    else:
        wide_chroma_rows, chroma_columns, cell = tile_cells(
            top, left, width, height, SHIFT_Y, SHIFT_X, ROWS, COLUMNS
        )
        at = wide_rows[:, None] * src_stride + columns[None, :]
        luma_code = tl.load(src_0 + at, mask=inside, other=0) >> DROPPED_BITS
        luma = (luma_code.to(tl.float32) - tl.load(c + LUMA_OFFSET)) * tl.load(c + LUMA_SCALE)
        if LAYOUT == SEMIPLANAR:
            at = wide_chroma_rows[:, None] * src_chroma_stride + 2 * chroma_columns[None, :]
            cb_code = tl.load(src_1 + at, mask=cell, other=0)
            cr_code = tl.load(src_1 + at + 1, mask=cell, other=0)
        else:
            at = wide_chroma_rows[:, None] * src_chroma_stride + chroma_columns[None, :]
            cb_code = tl.load(src_1 + at, mask=cell, other=0)
            cr_code = tl.load(src_2 + at, mask=cell, other=0)
        cb = (cb_code >> DROPPED_BITS).to(tl.float32) - tl.load(c + CHROMA_OFFSET)
        cr = (cr_code >> DROPPED_BITS).to(tl.float32) - tl.load(c + CHROMA_OFFSET)
        red = luma + _spread(cr * tl.load(c + CR_TO_RED), SHIFT_Y, SHIFT_X)
        to_green = cb * tl.load(c + CB_TO_GREEN) + cr * tl.load(c + CR_TO_GREEN)
        green = luma + _spread(to_green, SHIFT_Y, SHIFT_X)
        blue = luma + _spread(cb * tl.load(c + CB_TO_BLUE), SHIFT_Y, SHIFT_X)
    red = tl.minimum(tl.maximum(red, lowest), highest)
    green = tl.minimum(tl.maximum(green, lowest), highest)
    blue = tl.minimum(tl.maximum(blue, lowest), highest)
    return red, green, blue


# Not compiled anew for heights that are multiples of 16.
@triton.jit(do_not_specialize=["height", "map_height"])
def curve_kernel(
    src_0, src_1, src_2, dst_0, dst_1, dst_2,
    src_stride, src_chroma_stride, dst_stride, dst_chroma_stride,
    width, height, maps, map_height, map_width, map_stride,
    scale_y, offset_y, scale_x, offset_x, gain, coefficients, out_coefficients,
    LAYOUT: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr, OUT_WHITE: tl.constexpr,
    DROPPED_BITS: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, SHARED: tl.constexpr, FULL: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, WINDOW_Y: tl.constexpr, WINDOW_X: tl.constexpr,
):  # fmt: skip
    """Enhance a tile of a frame.

    Args:
        src_0 .. dst_2: planes as in ``Frame``; packed frames have one, semiplanar two.
        src_stride .. dst_chroma_stride: samples from one row to the next.
        maps: ``(3k, map_height, map_width)`` float16 in [-1, 1], ``map_stride`` apart.
        scale_y .. offset_x: position of a pixel among the map samples, ``scale * pixel + offset``.
        gain: one float32 that the maps are multiplied with, in memory so that it may change
            between replays of a graph; 0 keeps every sample as it is.
        coefficients: those of ``yuv_coefficients`` for samples as they lie in the source, with
            the bits that are dropped; not read for packed frames.
        out_coefficients: for the codes of the target, without them.
        LAYOUT, BGR: as in ``PixelFormat``.
        WHITE, OUT_WHITE: the largest code of packed samples; 1 for floats.
        DROPPED_BITS: as in ``PixelFormat``, of the target.
        SHIFT_Y, SHIFT_X: log2 of the chroma subsampling.
        SHARED: three maps for all iterations, instead of three for each.
        FULL: the maps are of the frame's size.
        ROWS, COLUMNS: of a tile.
        WINDOW_Y, WINDOW_X: rows and columns of map samples that a tile may touch.
    """
    top = tl.program_id(1) * ROWS
    left = tl.program_id(0) * COLUMNS
    strength = tl.load(gain)
    # YUV samples may stand for colours outside of [0, 1]; without a curve they must stay so.
    lowest = tl.where(strength == 0.0, -float("inf"), 0.0)
    highest = tl.where(strength == 0.0, float("inf"), 1.0)
    rows = top + tl.arange(0, ROWS)
    columns = left + tl.arange(0, COLUMNS)
    inside = (rows[:, None] < height) & (columns[None, :] < width)
    c = out_coefficients

    red, green, blue = _read(
        src_0, src_1, src_2, src_stride, src_chroma_stride, top, left, width, height,
        coefficients, lowest, highest, LAYOUT, BGR, WHITE, 0, SHIFT_Y, SHIFT_X, ROWS, COLUMNS,
    )  # fmt: skip

    # Where the tile lies among the map samples; unused if FULL.
    position_y = tl.minimum(tl.maximum(rows * scale_y + offset_y, 0.0), map_height - 1.0)
    position_x = tl.minimum(tl.maximum(columns * scale_x + offset_x, 0.0), map_width - 1.0)
    first_row = tl.minimum(tl.maximum(top * scale_y + offset_y, 0.0), map_height - 1.0)
    first_column = tl.minimum(tl.maximum(left * scale_x + offset_x, 0.0), map_width - 1.0)
    grid_rows = first_row.to(tl.int32) + tl.arange(0, WINDOW_Y)
    grid_columns = first_column.to(tl.int32) + tl.arange(0, WINDOW_X)
    weights_y = _hat(position_y, grid_rows.to(tl.float32)).to(tl.float16)
    weights_x = tl.trans(_hat(position_x, grid_columns.to(tl.float32)).to(tl.float16))

    for channel in tl.static_range(3):
        if channel == 0:
            x = red
        elif channel == 1:
            x = green
        else:
            x = blue
        if SHARED:
            a = strength * _map_tile(
                maps, channel, map_height, map_width, map_stride, rows, columns, inside,
                grid_rows, grid_columns, weights_y, weights_x, FULL,
            )  # fmt: skip
            for _ in tl.static_range(ITERATIONS):
                x = x + a * (x * x - x)
        else:
            for i in tl.static_range(ITERATIONS):
                a = strength * _map_tile(
                    maps, 3 * i + channel, map_height, map_width, map_stride, rows, columns,
                    inside, grid_rows, grid_columns, weights_y, weights_x, FULL,
                )  # fmt: skip
                x = x + a * (x * x - x)
        if channel == 0:
            red = x
        elif channel == 1:
            green = x
        else:
            blue = x

    sample = dst_0.dtype.element_ty
    wide_rows = rows.to(tl.int64)
    if LAYOUT == PACKED:
        at = wide_rows[:, None] * dst_stride + 3 * columns[None, :]
        half: tl.constexpr = 0.0 if OUT_WHITE == 1.0 else 0.5
        first = blue if BGR else red
        last = red if BGR else blue
        tl.store(dst_0 + at, (first * OUT_WHITE + half).to(sample), mask=inside)
        tl.store(dst_0 + at + 1, (green * OUT_WHITE + half).to(sample), mask=inside)
        tl.store(dst_0 + at + 2, (last * OUT_WHITE + half).to(sample), mask=inside)
    else:
        largest = tl.load(c + LARGEST_CODE)
        luma = (
            red * tl.load(c + RED_WEIGHT)
            + green * tl.load(c + GREEN_WEIGHT)
            + blue * tl.load(c + BLUE_WEIGHT)
        )
        code = luma * tl.load(c + LUMA_SPAN) + tl.load(c + LUMA_OFFSET_ROUNDED)
        code = tl.minimum(tl.maximum(code, 0.0), largest).to(tl.int32) << DROPPED_BITS
        at = wide_rows[:, None] * dst_stride + columns[None, :]
        tl.store(dst_0 + at, code.to(sample), mask=inside)
        # A cell at the edge may have fewer pixels.
        count = tl.maximum(sum_over_cells(tl.where(inside, 1.0, 0.0), SHIFT_Y, SHIFT_X), 1.0)
        cb = sum_over_cells(tl.where(inside, blue - luma, 0.0), SHIFT_Y, SHIFT_X) / count
        cr = sum_over_cells(tl.where(inside, red - luma, 0.0), SHIFT_Y, SHIFT_X) / count
        cb = cb * tl.load(c + BLUE_TO_CB) + tl.load(c + CHROMA_OFFSET_ROUNDED)
        cb = tl.minimum(tl.maximum(cb, 0.0), largest)
        cr = cr * tl.load(c + RED_TO_CR) + tl.load(c + CHROMA_OFFSET_ROUNDED)
        cr = tl.minimum(tl.maximum(cr, 0.0), largest)
        cb_sample = (cb.to(tl.int32) << DROPPED_BITS).to(sample)
        cr_sample = (cr.to(tl.int32) << DROPPED_BITS).to(sample)
        wide_chroma_rows, chroma_columns, cell = tile_cells(
            top, left, width, height, SHIFT_Y, SHIFT_X, ROWS, COLUMNS
        )
        if LAYOUT == SEMIPLANAR:
            at = wide_chroma_rows[:, None] * dst_chroma_stride + 2 * chroma_columns[None, :]
            tl.store(dst_1 + at, cb_sample, mask=cell)
            tl.store(dst_1 + at + 1, cr_sample, mask=cell)
        else:
            at = wide_chroma_rows[:, None] * dst_chroma_stride + chroma_columns[None, :]
            tl.store(dst_1 + at, cb_sample, mask=cell)
            tl.store(dst_2 + at, cr_sample, mask=cell)


@triton.jit(do_not_specialize=["height"])
def rgb_kernel(
    src_0, src_1, src_2, src_stride, src_chroma_stride, width, height, coefficients, out,
    LAYOUT: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr, DROPPED_BITS: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Convert a tile of a frame; arguments are those of ``curve_kernel``.

    Args:
        out: ``(3, height, width)`` RGB in [0, 1], of any float type.
    """
    top = tl.program_id(1) * ROWS
    left = tl.program_id(0) * COLUMNS
    red, green, blue = _read(
        src_0, src_1, src_2, src_stride, src_chroma_stride, top, left, width, height, coefficients,
        0.0, 1.0, LAYOUT, BGR, WHITE, DROPPED_BITS, SHIFT_Y, SHIFT_X, ROWS, COLUMNS,
    )  # fmt: skip
    rows, columns, inside = tile_cells(top, left, width, height, 0, 0, ROWS, COLUMNS)
    number = out.dtype.element_ty
    at = rows[:, None] * width + columns[None, :]
    plane = height * width
    tl.store(out + at, red.to(number), mask=inside)
    tl.store(out + plane + at, green.to(number), mask=inside)
    tl.store(out + 2 * plane + at, blue.to(number), mask=inside)


@triton.jit(do_not_specialize=["height", "out_height"])
def thumbnail_kernel(
    src_0, src_1, src_2, src_stride, src_chroma_stride,
    width, height, coefficients, out, out_height, out_width,
    LAYOUT: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr, DROPPED_BITS: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Average a frame over the box that one pixel of the thumbnail stands for.

    Args:
        out: ``(3, out_height, out_width)`` RGB in [0, 1], of any float type.
        ROWS, COLUMNS: of the frame, read at once; a box may be larger.
    """
    row = tl.program_id(1)
    column = tl.program_id(0)
    c = coefficients
    top = row * height // out_height
    bottom = (row + 1) * height // out_height
    left = column * width // out_width
    right = (column + 1) * width // out_width
    at = row * out_width + column
    plane = out_height * out_width
    if LAYOUT == PACKED:
        scale = 1.0 / (WHITE * (bottom - top) * (right - left))
        first = _box(src_0, src_stride, top, bottom, left, right, 3, 0, 0, ROWS, COLUMNS) * scale
        green = _box(src_0, src_stride, top, bottom, left, right, 3, 1, 0, ROWS, COLUMNS) * scale
        last = _box(src_0, src_stride, top, bottom, left, right, 3, 2, 0, ROWS, COLUMNS) * scale
        red = last if BGR else first
        blue = first if BGR else last
    else:
        luma = _box(src_0, src_stride, top, bottom, left, right, 1, 0, DROPPED_BITS, ROWS, COLUMNS)
        luma = luma / ((bottom - top) * (right - left))
        luma = (luma - tl.load(c + LUMA_OFFSET)) * tl.load(c + LUMA_SCALE)
        top = top >> SHIFT_Y
        bottom = tl.maximum(((bottom - 1) >> SHIFT_Y) + 1, top + 1)
        left = left >> SHIFT_X
        right = tl.maximum(((right - 1) >> SHIFT_X) + 1, left + 1)
        step: tl.constexpr = 2 if LAYOUT == SEMIPLANAR else 1
        cr_plane = src_1 if LAYOUT == SEMIPLANAR else src_2
        cb = _box(
            src_1, src_chroma_stride, top, bottom, left, right, step, 0, DROPPED_BITS,
            ROWS, COLUMNS,
        )  # fmt: skip
        cr = _box(
            cr_plane, src_chroma_stride, top, bottom, left, right, step, step - 1, DROPPED_BITS,
            ROWS, COLUMNS,
        )  # fmt: skip
        count = (bottom - top) * (right - left)
        cb = cb / count - tl.load(c + CHROMA_OFFSET)
        cr = cr / count - tl.load(c + CHROMA_OFFSET)
        red = luma + cr * tl.load(c + CR_TO_RED)
        green = luma + cb * tl.load(c + CB_TO_GREEN) + cr * tl.load(c + CR_TO_GREEN)
        blue = luma + cb * tl.load(c + CB_TO_BLUE)
    number = out.dtype.element_ty
    tl.store(out + at, tl.minimum(tl.maximum(red, 0.0), 1.0).to(number))
    tl.store(out + plane + at, tl.minimum(tl.maximum(green, 0.0), 1.0).to(number))
    tl.store(out + 2 * plane + at, tl.minimum(tl.maximum(blue, 0.0), 1.0).to(number))


@triton.jit
def _box(
    plane, stride, top, bottom, left, right,
    STEP: tl.constexpr, OFFSET: tl.constexpr, DROPPED_BITS: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Sum of a component's samples in a box of a plane.

    Args:
        top, bottom, left, right: of the box, in the component's own samples.
        STEP, OFFSET: every ``STEP``-th sample of a row belongs to it, from ``OFFSET`` on.
    """
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for first_row in range(top, bottom, ROWS):
        rows = first_row + tl.arange(0, ROWS)
        for first_column in range(left, right, COLUMNS):
            columns = first_column + tl.arange(0, COLUMNS)
            inside = (rows[:, None] < bottom) & (columns[None, :] < right)
            at = rows.to(tl.int64)[:, None] * stride + STEP * columns[None, :] + OFFSET
            samples = tl.load(plane + at, mask=inside, other=0)
            if DROPPED_BITS > 0:
                samples = samples >> DROPPED_BITS
            total += samples.to(tl.float32)
    return tl.sum(total)
