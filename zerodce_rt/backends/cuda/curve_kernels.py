"""The fused CUDA kernels, in Triton: one pass over a frame's own planes, tile by tile.

What makes them fast: samples become RGB, run through the iterations and become samples again in
registers; chroma is spread over its cell and averaged again by reshaping a tile, and the small
maps are interpolated by two matrix products with hat-shaped weights, which tensor cores do
(naively, each pixel would read four values of each map: 96 with DCENet).

``tests/backends/cuda`` runs all of this in Triton's interpreter and compiles it for each
generation of cards, neither of which needs one.
"""

import triton
import triton.language as tl

# Values of LAYOUT.
PACKED, PLANAR, SEMIPLANAR = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
ITERATIONS = tl.constexpr(8)


@triton.jit
def _spread(chroma, SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr):
    """Repeat each value of a ``(rows, columns)`` tile over its chroma cell."""
    rows: tl.constexpr = chroma.shape[0]
    columns: tl.constexpr = chroma.shape[1]
    cells = tl.broadcast_to(chroma[:, None, :, None], (rows, 1 << SHIFT_Y, columns, 1 << SHIFT_X))
    return tl.reshape(cells, (rows << SHIFT_Y, columns << SHIFT_X))


@triton.jit
def _gather(values, SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr):
    """Sum a tile over each chroma cell."""
    rows: tl.constexpr = values.shape[0] >> SHIFT_Y
    columns: tl.constexpr = values.shape[1] >> SHIFT_X
    cells = tl.reshape(values, (rows, 1 << SHIFT_Y, columns, 1 << SHIFT_X))
    return tl.sum(tl.sum(cells, axis=3), axis=1)


@triton.jit
def _hat(positions, samples):
    """Weight of each sample of a grid at each position, by linear interpolation."""
    return tl.maximum(0.0, 1.0 - tl.abs(positions[:, None] - samples[None, :]))


@triton.jit
def _map_tile(
    maps, k, map_height, map_width, map_stride, rows, columns,
    inside, grid_rows, grid_columns, weights_y, weights_x,
    FULL: tl.constexpr,
):  # fmt: skip
    """One map for a tile of pixels: read at full size, or interpolated from the small grid."""
    plane = maps + k * map_stride
    if FULL:
        at = rows[:, None] * map_width + columns[None, :]
        return tl.load(plane + at, mask=inside, other=0.0).to(tl.float32)
    known = (grid_rows[:, None] < map_height) & (grid_columns[None, :] < map_width)
    at = grid_rows[:, None] * map_width + grid_columns[None, :]
    grid = tl.load(plane + at, mask=known, other=0.0).to(tl.float16)
    stretched = tl.dot(weights_y, grid).to(tl.float16)
    return tl.dot(stretched, weights_x)


@triton.jit
def _cells(top, left, width, height, SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr,
           ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    """Rows and columns of a tile's chroma cells, and which of them the frame has."""
    rows = (top >> SHIFT_Y) + tl.arange(0, ROWS >> SHIFT_Y)
    columns = (left >> SHIFT_X) + tl.arange(0, COLUMNS >> SHIFT_X)
    inside = (rows[:, None] < ((height + (1 << SHIFT_Y) - 1) >> SHIFT_Y)) & (
        columns[None, :] < ((width + (1 << SHIFT_X) - 1) >> SHIFT_X)
    )
    # Offsets of 64 bits: a frame of 16 bits a sample may hold more than 2^31 of them.
    return rows.to(tl.int64), columns, inside


@triton.jit
def _read(
    src_0, src_1, src_2, src_stride, src_chroma_stride, top, left, width, height, c,
    lowest, highest,
    LAYOUT: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr, DROPPED_BITS: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """A tile of a frame as red, green and blue, where 0 is black and 1 is white."""
    wide_rows, columns, inside = _cells(top, left, width, height, 0, 0, ROWS, COLUMNS)
    if LAYOUT == PACKED:
        at = wide_rows[:, None] * src_stride + 3 * columns[None, :]
        first = tl.load(src_0 + at, mask=inside, other=0).to(tl.float32) * (1.0 / WHITE)
        green = tl.load(src_0 + at + 1, mask=inside, other=0).to(tl.float32) * (1.0 / WHITE)
        last = tl.load(src_0 + at + 2, mask=inside, other=0).to(tl.float32) * (1.0 / WHITE)
        red = last if BGR else first
        blue = first if BGR else last
    else:
        wide_chroma_rows, chroma_columns, cell = _cells(
            top, left, width, height, SHIFT_Y, SHIFT_X, ROWS, COLUMNS
        )
        at = wide_rows[:, None] * src_stride + columns[None, :]
        luma_code = tl.load(src_0 + at, mask=inside, other=0) >> DROPPED_BITS
        luma = (luma_code.to(tl.float32) - tl.load(c)) * tl.load(c + 1)
        if LAYOUT == SEMIPLANAR:
            at = wide_chroma_rows[:, None] * src_chroma_stride + 2 * chroma_columns[None, :]
            cb_code = tl.load(src_1 + at, mask=cell, other=0)
            cr_code = tl.load(src_1 + at + 1, mask=cell, other=0)
        else:
            at = wide_chroma_rows[:, None] * src_chroma_stride + chroma_columns[None, :]
            cb_code = tl.load(src_1 + at, mask=cell, other=0)
            cr_code = tl.load(src_2 + at, mask=cell, other=0)
        cb = (cb_code >> DROPPED_BITS).to(tl.float32) - tl.load(c + 2)
        cr = (cr_code >> DROPPED_BITS).to(tl.float32) - tl.load(c + 2)
        red = luma + _spread(cr * tl.load(c + 4), SHIFT_Y, SHIFT_X)
        green = luma + _spread(cb * tl.load(c + 5) + cr * tl.load(c + 6), SHIFT_Y, SHIFT_X)
        blue = luma + _spread(cb * tl.load(c + 7), SHIFT_Y, SHIFT_X)
    red = tl.minimum(tl.maximum(red, lowest), highest)
    green = tl.minimum(tl.maximum(green, lowest), highest)
    blue = tl.minimum(tl.maximum(blue, lowest), highest)
    return red, green, blue


@triton.jit
def curve_kernel(
    src_0, src_1, src_2, dst_0, dst_1, dst_2,
    src_stride, src_chroma_stride, dst_stride, dst_chroma_stride,
    width, height, maps, map_height, map_width, map_stride,
    scale_y, offset_y, scale_x, offset_x, gain, coefficients,
    LAYOUT: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr, DROPPED_BITS: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, SHARED: tl.constexpr, FULL: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, WINDOW_Y: tl.constexpr, WINDOW_X: tl.constexpr,
):  # fmt: skip
    """Enhance a tile of a frame.

    Args:
        src_0 .. dst_2: planes as ``Frame`` has them; packed frames have one, semiplanar two.
        src_stride .. dst_chroma_stride: samples from one row to the next.
        maps: ``(3 * k, map_height, map_width)`` float16, planes ``map_stride`` apart.
        scale_y .. offset_x: where pixels fall on the grid, ``scale * pixel + offset``.
        gain: one float32 that the maps are multiplied with, in memory so that it may change
            between replays of a graph; 0 keeps every sample.
        coefficients: the 16 of ``appliers.yuv.yuv_coefficients``.
        WHITE: the largest code of packed samples; 1 for floats.
        DROPPED_BITS: low bits of a sample that carry nothing (6 in P010).
        WINDOW_Y, WINDOW_X: grid rows and columns that a tile may touch.
    """
    top = tl.program_id(1) * ROWS
    left = tl.program_id(0) * COLUMNS
    strength = tl.load(gain)
    # Samples may stand for colours outside of RGB. With no curve they stay as they are.
    lowest = tl.where(strength == 0.0, -float("inf"), 0.0)
    highest = tl.where(strength == 0.0, float("inf"), 1.0)
    rows = top + tl.arange(0, ROWS)
    columns = left + tl.arange(0, COLUMNS)
    inside = (rows[:, None] < height) & (columns[None, :] < width)
    c = coefficients

    red, green, blue = _read(
        src_0, src_1, src_2, src_stride, src_chroma_stride, top, left, width, height, c,
        lowest, highest, LAYOUT, BGR, WHITE, DROPPED_BITS, SHIFT_Y, SHIFT_X, ROWS, COLUMNS,
    )  # fmt: skip

    # Where the tile lies on the grid; unused with maps of the frame's size.
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
        half: tl.constexpr = 0.0 if WHITE == 1.0 else 0.5
        first = blue if BGR else red
        last = red if BGR else blue
        tl.store(dst_0 + at, (first * WHITE + half).to(sample), mask=inside)
        tl.store(dst_0 + at + 1, (green * WHITE + half).to(sample), mask=inside)
        tl.store(dst_0 + at + 2, (last * WHITE + half).to(sample), mask=inside)
    else:
        largest = tl.load(c + 15)
        luma = red * tl.load(c + 8) + green * tl.load(c + 9) + blue * tl.load(c + 10)
        code = luma * tl.load(c + 11) + tl.load(c + 12)
        code = tl.minimum(tl.maximum(code, 0.0), largest).to(tl.int32) << DROPPED_BITS
        at = wide_rows[:, None] * dst_stride + columns[None, :]
        tl.store(dst_0 + at, code.to(sample), mask=inside)
        # A cell at the edge may lack pixels.
        count = tl.maximum(_gather(tl.where(inside, 1.0, 0.0), SHIFT_Y, SHIFT_X), 1.0)
        cb = _gather(tl.where(inside, blue - luma, 0.0), SHIFT_Y, SHIFT_X) / count
        cr = _gather(tl.where(inside, red - luma, 0.0), SHIFT_Y, SHIFT_X) / count
        cb = tl.minimum(tl.maximum(cb * tl.load(c + 13) + tl.load(c + 3), 0.0), largest)
        cr = tl.minimum(tl.maximum(cr * tl.load(c + 14) + tl.load(c + 3), 0.0), largest)
        cb_sample = (cb.to(tl.int32) << DROPPED_BITS).to(sample)
        cr_sample = (cr.to(tl.int32) << DROPPED_BITS).to(sample)
        wide_chroma_rows, chroma_columns, cell = _cells(
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


@triton.jit
def rgb_kernel(
    src_0, src_1, src_2, src_stride, src_chroma_stride, width, height, coefficients, out,
    LAYOUT: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr, DROPPED_BITS: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """A frame as ``(3, height, width)`` RGB in [0, 1], of any float type."""
    top = tl.program_id(1) * ROWS
    left = tl.program_id(0) * COLUMNS
    red, green, blue = _read(
        src_0, src_1, src_2, src_stride, src_chroma_stride, top, left, width, height, coefficients,
        0.0, 1.0, LAYOUT, BGR, WHITE, DROPPED_BITS, SHIFT_Y, SHIFT_X, ROWS, COLUMNS,
    )  # fmt: skip
    rows, columns, inside = _cells(top, left, width, height, 0, 0, ROWS, COLUMNS)
    number = out.dtype.element_ty
    at = rows[:, None] * width + columns[None, :]
    plane = height * width
    tl.store(out + at, red.to(number), mask=inside)
    tl.store(out + plane + at, green.to(number), mask=inside)
    tl.store(out + 2 * plane + at, blue.to(number), mask=inside)


@triton.jit
def thumbnail_kernel(
    src_0, src_1, src_2, src_stride, src_chroma_stride,
    width, height, coefficients, out, out_height, out_width,
    LAYOUT: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr, DROPPED_BITS: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Average the box of a frame that one pixel of the thumbnail stands for.

    Args:
        out: ``(3, out_height, out_width)`` RGB in [0, 1], of any float type.
        ROWS, COLUMNS: of the frame that are read at once; boxes may be larger.
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
        luma = (luma / ((bottom - top) * (right - left)) - tl.load(c)) * tl.load(c + 1)
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
        cb = cb / count - tl.load(c + 2)
        cr = cr / count - tl.load(c + 2)
        red = luma + cr * tl.load(c + 4)
        green = luma + cb * tl.load(c + 5) + cr * tl.load(c + 6)
        blue = luma + cb * tl.load(c + 7)
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
    """Sum of a plane's samples in a box; every ``STEP``-th sample belongs to it."""
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
