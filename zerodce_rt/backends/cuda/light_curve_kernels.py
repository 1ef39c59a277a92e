"""The curve of light maps as fused Triton kernels: one pass over a frame's planes, in tiles.

As in ``curve_kernels``, the small maps are interpolated by matrix products with hat-shaped weights.
YUV frames never become RGB: luma goes through the curve as it lies, and chroma is multiplied by
the gain that the means of its cell's luma ask for (see ``backends/cpu/light_kernels.py``).

The strength of the curve is that at black, and from each knot to the next the difference of the
two, times how far luma is on the way. It is the same as the terms of ``light.knot_terms``, but
those are large where knots are close, and float16 could not hold them well.
"""

import triton
import triton.language as tl

from zerodce_rt.backends.cuda.curve_kernels import (
    CB_TO_BLUE,
    CB_TO_GREEN,
    CHROMA_OFFSET,
    CHROMA_OFFSET_ROUNDED,
    CR_TO_GREEN,
    CR_TO_RED,
    ITERATIONS,
    LARGEST_CODE,
    LUMA_OFFSET,
    LUMA_OFFSET_ROUNDED,
    LUMA_SCALE,
    LUMA_SPAN,
    SEMIPLANAR,
    _hat,
    sum_over_cells,
    tile_cells,
)
from zerodce_rt.curve import light
from zerodce_rt.frame import PACKED_MATRIX, luma_weights

KNOT_1, KNOT_2, KNOT_3 = (tl.constexpr(knot) for knot in light.KNOTS[1:])
DAMPING = tl.constexpr(light.DAMPING)
WHITE_LEVEL = tl.constexpr(light.WHITE)
LEAST_DEVIATION = tl.constexpr(1e-4)
RED, GREEN, BLUE = (tl.constexpr(weight) for weight in luma_weights(PACKED_MATRIX))
# Positions between map samples are rounded to multiples of 1 / FINEST: so many, and their
# distances to 1, are exact in float16, and the weights of two neighbours add up to 1.
FINEST = tl.constexpr(2048.0)


@triton.jit
def _way(luma, FROM: tl.constexpr, TO: tl.constexpr):
    """How far luma is on the way from one knot to the next: 0 to 1, and 0 or 1 beyond."""
    return tl.minimum(tl.maximum(luma - FROM, 0.0), TO - FROM) * (1.0 / (TO - FROM))


@triton.jit
def strength_of(luma, a0, a1, a2, a3):
    """The strength of the curve at a luma, from its values at the knots."""
    strength = a0 + (a1 - a0) * _way(luma, 0.0, KNOT_1)
    strength += (a2 - a1) * _way(luma, KNOT_1, KNOT_2)
    # Beyond the last knot it goes on as before it.
    return strength + (a3 - a2) * (tl.maximum(luma - KNOT_2, 0.0) * (1.0 / (KNOT_3 - KNOT_2)))


@triton.jit
def curved(luma, strength):
    """Luma after the eight iterations."""
    for _ in tl.static_range(ITERATIONS):
        luma = luma + strength * (luma * luma - luma)
    return luma


@triton.jit
def gain_of(luma, enhanced, deviation, saturation):
    """See ``light.chroma_gain``; both quotients as one, for divisions are slow."""
    damped = luma + DAMPING
    deviated = tl.maximum(deviation, LEAST_DEVIATION)
    room = tl.maximum(tl.maximum(luma + deviation, WHITE_LEVEL) - enhanced, 0.0)
    least = tl.minimum((damped + saturation * (enhanced - luma)) * deviated, room * damped)
    return tl.maximum(least, 0.0) / (damped * deviated)


@triton.jit
def curved_chroma(cb, cr, luma, enhanced, saturation, strength, c, out_c):
    """Codes of cells' Cb and Cr after the curve.

    Args:
        cb, cr: codes, less that of grey.
        luma, enhanced: the cells' means.
        strength .. out_c: see ``light_yuv_kernel``.
    """
    deviation = tl.maximum(cr * tl.load(c + CR_TO_RED), cb * tl.load(c + CB_TO_BLUE))
    to_green = cb * tl.load(c + CB_TO_GREEN) + cr * tl.load(c + CR_TO_GREEN)
    deviation = tl.maximum(deviation, to_green)
    factor = gain_of(luma, enhanced, deviation, saturation)
    span = tl.load(c + CB_TO_BLUE) / tl.load(out_c + CB_TO_BLUE)
    factor = tl.where(strength == 0.0, 1.0, factor) * span
    grey, largest = tl.load(out_c + CHROMA_OFFSET_ROUNDED), tl.load(out_c + LARGEST_CODE)
    cb = tl.minimum(tl.maximum(cb * factor + grey, 0.0), largest)
    return cb, tl.minimum(tl.maximum(cr * factor + grey, 0.0), largest)


@triton.jit
def neighbours(pixels, scale, offset, samples):
    """The samples on both sides of pixels, and the weight of the upper ones."""
    position = tl.minimum(tl.maximum(pixels * scale + offset, 0.0), samples - 1.0)
    lower = position.to(tl.int32)
    return lower, tl.minimum(lower + 1, samples - 1), position - lower.to(tl.float32)


@triton.jit
def _position(pixels, scale, offset, samples):
    """Where pixels lie among map samples."""
    position = tl.minimum(tl.maximum(pixels * scale + offset, 0.0), samples - 1.0)
    return tl.floor(position * FINEST + 0.5) * (1.0 / FINEST)


@triton.jit
def _around(
    maps, map_height, map_width, top, left, scale_y, offset_y, scale_x, offset_x,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, WINDOW_Y: tl.constexpr, WINDOW_X: tl.constexpr,
):  # fmt: skip
    """The map samples around a tile.

    Returns:
        Pointers to those of the first map, and which of them exist; their columns; and the
        weights that interpolate them, ``(ROWS, WINDOW_Y)`` and ``(WINDOW_X, COLUMNS)`` float16.
    """
    first_row = _position(top, scale_y, offset_y, map_height).to(tl.int32)
    first_column = _position(left, scale_x, offset_x, map_width).to(tl.int32)
    grid_rows = first_row + tl.arange(0, WINDOW_Y)
    grid_columns = first_column + tl.arange(0, WINDOW_X)
    known = (grid_rows[:, None] < map_height) & (grid_columns[None, :] < map_width)
    grid = maps + grid_rows[:, None] * map_width + grid_columns[None, :]
    rows, columns = top + tl.arange(0, ROWS), left + tl.arange(0, COLUMNS)
    position_y = _position(rows, scale_y, offset_y, map_height)
    position_x = _position(columns, scale_x, offset_x, map_width)
    weights_y = _hat(position_y, grid_rows.to(tl.float32)).to(tl.float16)
    weights_x = tl.trans(_hat(position_x, grid_columns.to(tl.float32)).to(tl.float16))
    return grid, known, grid_columns, weights_y, weights_x


@triton.jit
def _interpolated(grid, known, weights_y, weights_x):
    """A map for a tile, from the map's samples around it.

    Dark tones multiply what is lost in float16 by several times, so the sums between the two
    products are kept as two such numbers each; everything else is exact.
    """
    samples = tl.load(grid, mask=known, other=0.0).to(tl.float16)
    stretched = tl.dot(weights_y, samples)
    rounded = stretched.to(tl.float16)
    rest = (stretched - rounded.to(tl.float32)).to(tl.float16)
    return tl.dot(rest, weights_x, tl.dot(rounded, weights_x))


@triton.jit
def _enhanced(luma, strength, grid, known, map_stride, weights_y, weights_x):
    """A tile of luma after the curve.

    Args:
        strength: what the curve is multiplied with.
        grid .. weights_x: of ``_around``.
    """
    a0 = _interpolated(grid, known, weights_y, weights_x)
    a1 = _interpolated(grid + map_stride, known, weights_y, weights_x)
    a2 = _interpolated(grid + 2 * map_stride, known, weights_y, weights_x)
    a3 = _interpolated(grid + 3 * map_stride, known, weights_y, weights_x)
    return curved(luma, strength * strength_of(luma, a0, a1, a2, a3))


@triton.jit(do_not_specialize=["height", "map_height"])
def light_yuv_kernel(
    src_0, src_1, src_2, dst_0, dst_1, dst_2,
    src_stride, src_chroma_stride, dst_stride, dst_chroma_stride,
    width, height, maps, map_height, map_width, map_stride,
    scale_y, offset_y, scale_x, offset_x, gain, coefficients, out_coefficients,
    LAYOUT: tl.constexpr, OUT_LAYOUT: tl.constexpr, DROPPED_BITS: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    WINDOW_Y: tl.constexpr, WINDOW_X: tl.constexpr,
):  # fmt: skip
    """Enhance a tile of a YUV frame.

    Args:
        src_0 .. dst_2: planes as in ``Frame``; semiplanar frames have two.
        src_stride .. dst_chroma_stride: samples from one row to the next.
        maps: ``(5, map_height, map_width)``, float16 or float32, ``map_stride`` apart: values at
            the knots, and the saturation.
        scale_y .. offset_x: position of a pixel among the map samples, ``scale * pixel + offset``.
        gain: one float32 that the curves are multiplied with; 0 keeps every sample as it is.
        coefficients: of the source, those of ``yuv_coefficients`` with its dropped bits, so that
            codes are read as they lie: what fills those bits counts.
        out_coefficients: of the target, without its dropped bits.
        LAYOUT, OUT_LAYOUT: of source and target.
        DROPPED_BITS: of the target.
        SHIFT_Y, SHIFT_X: log2 of the chroma subsampling.
        ROWS, COLUMNS: of a tile.
        WINDOW_Y, WINDOW_X: rows and columns of map samples that a tile may touch.
    """
    top = tl.program_id(1) * ROWS
    left = tl.program_id(0) * COLUMNS
    strength = tl.load(gain)
    # Luma may be below black or above white; without a curve it must stay so.
    lowest = tl.where(strength == 0.0, -float("inf"), 0.0)
    highest = tl.where(strength == 0.0, float("inf"), 1.0)
    rows = top + tl.arange(0, ROWS)
    wide_rows, columns, inside = tile_cells(top, left, width, height, 0, 0, ROWS, COLUMNS)
    c = coefficients
    out_c = out_coefficients

    grid, known, grid_columns, weights_y, weights_x = _around(
        maps, map_height, map_width, top, left, scale_y, offset_y, scale_x, offset_x,
        ROWS, COLUMNS, WINDOW_Y, WINDOW_X,
    )  # fmt: skip

    at = wide_rows[:, None] * src_stride + columns[None, :]
    luma = tl.load(src_0 + at, mask=inside, other=0).to(tl.float32)
    luma = (luma - tl.load(c + LUMA_OFFSET)) * tl.load(c + LUMA_SCALE)
    luma = tl.minimum(tl.maximum(luma, lowest), highest)
    enhanced = _enhanced(luma, strength, grid, known, map_stride, weights_y, weights_x)

    sample = dst_0.dtype.element_ty
    largest = tl.load(out_c + LARGEST_CODE)
    code = enhanced * tl.load(out_c + LUMA_SPAN) + tl.load(out_c + LUMA_OFFSET_ROUNDED)
    code = tl.minimum(tl.maximum(code, 0.0), largest).to(tl.int32) << DROPPED_BITS
    at = wide_rows[:, None] * dst_stride + columns[None, :]
    tl.store(dst_0 + at, code.to(sample), mask=inside)

    chroma_rows, chroma_columns, cell = tile_cells(
        top, left, width, height, SHIFT_Y, SHIFT_X, ROWS, COLUMNS
    )
    step: tl.constexpr = 2 if LAYOUT == SEMIPLANAR else 1
    cr_plane = src_1 + 1 if LAYOUT == SEMIPLANAR else src_2
    at = chroma_rows[:, None] * src_chroma_stride + step * chroma_columns[None, :]
    grey = tl.load(c + CHROMA_OFFSET)
    cb = tl.load(src_1 + at, mask=cell, other=0).to(tl.float32) - grey
    cr = tl.load(cr_plane + at, mask=cell, other=0).to(tl.float32) - grey

    # A cell at the edge may have fewer pixels.
    first_columns = chroma_columns << SHIFT_X
    last_columns = tl.minimum(first_columns + ((1 << SHIFT_X) - 1), width - 1)
    first_rows = (chroma_rows << SHIFT_Y).to(tl.int32)
    last_rows = tl.minimum(first_rows + ((1 << SHIFT_Y) - 1), height - 1)
    pixels = (last_rows - first_rows + 1)[:, None] * (last_columns - first_columns + 1)[None, :]
    share = 1.0 / tl.maximum(pixels, 1).to(tl.float32)
    mean_luma = sum_over_cells(tl.where(inside, luma, 0.0), SHIFT_Y, SHIFT_X) * share
    mean_enhanced = sum_over_cells(tl.where(inside, enhanced, 0.0), SHIFT_Y, SHIFT_X) * share

    # The saturation of a cell is the mean over its last row.
    cell_weights = weights_x
    if SHIFT_X > 0:
        first_position = _position(first_columns, scale_x, offset_x, map_width)
        last_position = _position(last_columns, scale_x, offset_x, map_width)
        samples = grid_columns.to(tl.float32)
        means = 0.5 * (_hat(first_position, samples) + _hat(last_position, samples))
        cell_weights = tl.trans(means.to(tl.float16))
    saturation = _interpolated(grid + 4 * map_stride, known, weights_y, cell_weights)
    if SHIFT_Y > 0:
        is_last = rows == tl.minimum(rows | ((1 << SHIFT_Y) - 1), height - 1)
        saturation = sum_over_cells(tl.where(is_last[:, None], saturation, 0.0), SHIFT_Y, 0)

    cb, cr = curved_chroma(cb, cr, mean_luma, mean_enhanced, saturation, strength, c, out_c)
    cb_sample = (cb.to(tl.int32) << DROPPED_BITS).to(sample)
    cr_sample = (cr.to(tl.int32) << DROPPED_BITS).to(sample)
    out_step: tl.constexpr = 2 if OUT_LAYOUT == SEMIPLANAR else 1
    out_cr_plane = dst_1 + 1 if OUT_LAYOUT == SEMIPLANAR else dst_2
    at = chroma_rows[:, None] * dst_chroma_stride + out_step * chroma_columns[None, :]
    tl.store(dst_1 + at, cb_sample, mask=cell)
    tl.store(out_cr_plane + at, cr_sample, mask=cell)


@triton.jit(do_not_specialize=["height", "map_height"])
def light_rgb_kernel(
    src, dst, src_stride, dst_stride, width, height, maps, map_height, map_width, map_stride,
    scale_y, offset_y, scale_x, offset_x, gain,
    BGR: tl.constexpr, WHITE: tl.constexpr, OUT_WHITE: tl.constexpr, ROWS: tl.constexpr,
    COLUMNS: tl.constexpr, WINDOW_Y: tl.constexpr, WINDOW_X: tl.constexpr,
):  # fmt: skip
    """Enhance a tile of packed RGB or BGR; arguments are those of ``light_yuv_kernel``.

    Args:
        WHITE, OUT_WHITE: the largest code of the samples of source and target; 1 for floats.
    """
    top = tl.program_id(1) * ROWS
    left = tl.program_id(0) * COLUMNS
    strength = tl.load(gain)
    wide_rows, columns, inside = tile_cells(top, left, width, height, 0, 0, ROWS, COLUMNS)

    grid, known, _, weights_y, weights_x = _around(
        maps, map_height, map_width, top, left, scale_y, offset_y, scale_x, offset_x,
        ROWS, COLUMNS, WINDOW_Y, WINDOW_X,
    )  # fmt: skip

    at = wide_rows[:, None] * src_stride + 3 * columns[None, :]
    # Floats may lie outside of [0, 1]; without a curve they must stay so.
    lowest = tl.where(strength == 0.0, -float("inf"), 0.0)
    highest = tl.where(strength == 0.0, float("inf"), 1.0)
    first = tl.load(src + at, mask=inside, other=0).to(tl.float32) * (1.0 / WHITE)
    green = tl.load(src + at + 1, mask=inside, other=0).to(tl.float32) * (1.0 / WHITE)
    last = tl.load(src + at + 2, mask=inside, other=0).to(tl.float32) * (1.0 / WHITE)
    first = tl.minimum(tl.maximum(first, lowest), highest)
    green = tl.minimum(tl.maximum(green, lowest), highest)
    last = tl.minimum(tl.maximum(last, lowest), highest)
    red_weight: tl.constexpr = BLUE if BGR else RED
    blue_weight: tl.constexpr = RED if BGR else BLUE
    luma = first * red_weight + green * GREEN + last * blue_weight

    enhanced = _enhanced(luma, strength, grid, known, map_stride, weights_y, weights_x)
    saturation = _interpolated(grid + 4 * map_stride, known, weights_y, weights_x)
    deviation = tl.maximum(tl.maximum(first, green), last) - luma
    factor = gain_of(luma, enhanced, deviation, saturation)
    half: tl.constexpr = 0.0 if OUT_WHITE == 1.0 else 0.5
    sample = dst.dtype.element_ty
    at = wide_rows[:, None] * dst_stride + 3 * columns[None, :]
    for channel in tl.static_range(3):
        if channel == 0:
            x = first
        elif channel == 1:
            x = green
        else:
            x = last
        lit = tl.minimum(tl.maximum(enhanced + (x - luma) * factor, 0.0), 1.0)
        x = tl.where(strength == 0.0, x, lit)
        tl.store(dst + at + channel, (x * OUT_WHITE + half).to(sample), mask=inside)
