"""PQ samples to codes in which curves work and back, as ``backends/cpu/pq_kernels.py`` does it."""

import triton
import triton.language as tl

from zerodce_rt.backends import coefficients as index
from zerodce_rt.backends.cuda.curve_kernels import sum_over_cells, tile_cells

LUMA_OFFSET = tl.constexpr(index.LUMA_OFFSET)
LUMA_SCALE = tl.constexpr(index.LUMA_SCALE)
CHROMA_OFFSET = tl.constexpr(index.CHROMA_OFFSET)
CHROMA_OFFSET_ROUNDED = tl.constexpr(index.CHROMA_OFFSET_ROUNDED)
CR_TO_RED = tl.constexpr(index.CR_TO_RED)
CB_TO_BLUE = tl.constexpr(index.CB_TO_BLUE)
BLUE_TO_CB = tl.constexpr(index.BLUE_TO_CB)
RED_TO_CR = tl.constexpr(index.RED_TO_CR)
LARGEST_CODE = tl.constexpr(index.LARGEST_CODE)
# Of the tables over values (``pq_frames``): entries less one.
LAST = tl.constexpr(65535.0)


@triton.jit
def _looked_up(table, scale, x):
    """The value at ``x``, of a table for ``x >= 0`` whose function is odd."""
    value = tl.load(table + tl.minimum(tl.abs(x) * scale + 0.5, LAST).to(tl.int32))
    return tl.where(x >= 0.0, value, -value)


@triton.jit
def _means(codes, inside, c, SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr):
    """Mean luma in [0, 1] of each chroma cell of a tile; a cell at the edge has fewer pixels."""
    luma = (codes.to(tl.float32) - tl.load(c + LUMA_OFFSET)) * tl.load(c + LUMA_SCALE)
    luma = tl.where(inside, tl.minimum(tl.maximum(luma, 0.0), 1.0), 0.0)
    count = sum_over_cells(tl.where(inside, 1.0, 0.0), SHIFT_Y, SHIFT_X)
    return sum_over_cells(luma, SHIFT_Y, SHIFT_X) / tl.maximum(count, 1.0)


@triton.jit
def _chroma(plane_1, plane_2, rows, columns, stride, inside, c,
            SEMIPLANAR: tl.constexpr, DROPPED_BITS: tl.constexpr):  # fmt: skip
    """How far R and B are from luma."""
    if SEMIPLANAR:
        at = rows[:, None] * stride + 2 * columns[None, :]
        cb = tl.load(plane_1 + at, mask=inside, other=0)
        cr = tl.load(plane_1 + at + 1, mask=inside, other=0)
    else:
        at = rows[:, None] * stride + columns[None, :]
        cb = tl.load(plane_1 + at, mask=inside, other=0)
        cr = tl.load(plane_2 + at, mask=inside, other=0)
    offset = tl.load(c + CHROMA_OFFSET)
    red = ((cr >> DROPPED_BITS).to(tl.float32) - offset) * tl.load(c + CR_TO_RED)
    blue = ((cb >> DROPPED_BITS).to(tl.float32) - offset) * tl.load(c + CB_TO_BLUE)
    return red, blue


@triton.jit
def _chroma_codes(red, blue, c):
    """The codes of Cb and Cr for how far R and B are from luma."""
    offset = tl.load(c + CHROMA_OFFSET_ROUNDED)
    largest = tl.load(c + LARGEST_CODE)
    cb = tl.minimum(tl.maximum(blue * tl.load(c + BLUE_TO_CB) + offset, 0.0), largest)
    cr = tl.minimum(tl.maximum(red * tl.load(c + RED_TO_CR) + offset, 0.0), largest)
    return cb.to(tl.int32), cr.to(tl.int32)


# Not compiled anew for heights that are multiples of 16.
@triton.jit(do_not_specialize=["height"])
def pq_to_gamma_kernel(
    src_0, src_1, src_2, dst_0, dst_1, dst_2,
    src_stride, src_chroma_stride, dst_stride, dst_chroma_stride, width, height,
    c, out_c, luma_table, table, scale,
    SEMIPLANAR: tl.constexpr, DROPPED_BITS: tl.constexpr, SHIFT_Y: tl.constexpr,
    SHIFT_X: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """A tile of a PQ frame, to planar samples of 16 bits.

    Args:
        src_0 .. dst_2: planes as in ``Frame``; a semiplanar source has two.
        src_stride .. dst_chroma_stride: samples from one row to the next.
        c, out_c: coefficients of both (``yuv_coefficients``).
        luma_table: uint16, the target's code for each of the source's.
        table: float32, ``pq.to_gamma`` at ``i / scale``.
        SEMIPLANAR, DROPPED_BITS: as in ``PixelFormat``, of the source.
        SHIFT_Y, SHIFT_X: log2 of the chroma subsampling.
        ROWS, COLUMNS: of a tile.
    """
    top = tl.program_id(1) * ROWS
    left = tl.program_id(0) * COLUMNS
    rows, columns, inside = tile_cells(top, left, width, height, 0, 0, ROWS, COLUMNS)
    codes = tl.load(src_0 + rows[:, None] * src_stride + columns[None, :], mask=inside, other=0)
    codes = (codes >> DROPPED_BITS).to(tl.int32)
    luma = tl.load(luma_table + codes)
    tl.store(dst_0 + rows[:, None] * dst_stride + columns[None, :], luma, mask=inside)
    means = _means(codes, inside, c, SHIFT_Y, SHIFT_X)
    chroma_rows, chroma_columns, cell = tile_cells(
        top, left, width, height, SHIFT_Y, SHIFT_X, ROWS, COLUMNS
    )
    red, blue = _chroma(
        src_1, src_2, chroma_rows, chroma_columns, src_chroma_stride, cell, c,
        SEMIPLANAR, DROPPED_BITS,
    )  # fmt: skip
    base = _looked_up(table, scale, means)
    red = _looked_up(table, scale, means + red) - base
    blue = _looked_up(table, scale, means + blue) - base
    cb, cr = _chroma_codes(red, blue, out_c)
    at = chroma_rows[:, None] * dst_chroma_stride + chroma_columns[None, :]
    tl.store(dst_1 + at, cb.to(tl.uint16), mask=cell)
    tl.store(dst_2 + at, cr.to(tl.uint16), mask=cell)


@triton.jit(do_not_specialize=["height"])
def gamma_to_pq_kernel(
    enhanced_0, enhanced_1, enhanced_2, src_0, src_1, src_2, dst_0, dst_1, dst_2,
    enhanced_stride, enhanced_chroma_stride, src_stride, src_chroma_stride,
    dst_stride, dst_chroma_stride, width, height, gain, enhanced_c, c,
    luma_table, table, scale, inverse, inverse_scale, peak,
    SRC_SEMIPLANAR: tl.constexpr, SRC_DROPPED_BITS: tl.constexpr, DST_SEMIPLANAR: tl.constexpr,
    DST_DROPPED_BITS: tl.constexpr, SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The way back; what is above the peak in the PQ source is taken from there.

    Args:
        enhanced_0 .. enhanced_2: planar samples of 16 bits.
        src_0 .. dst_2: planes of the PQ frame before and after; their layouts may differ.
        gain: one float32; at 0, every sample of the source stays as it is.
        enhanced_c, c: coefficients of what is enhanced, and of PQ.
        luma_table: uint16, PQ's code for each that was enhanced.
        table, inverse: float32, ``pq.to_gamma`` and ``pq.from_gamma`` at ``i / scale``.
        peak: in PQ codes in [0, 1].
    """
    top = tl.program_id(1) * ROWS
    left = tl.program_id(0) * COLUMNS
    # Without a curve, all of it is taken from there.
    limit = tl.where(tl.load(gain) == 0.0, -1.0, peak)
    rows, columns, inside = tile_cells(top, left, width, height, 0, 0, ROWS, COLUMNS)
    source = tl.load(src_0 + rows[:, None] * src_stride + columns[None, :], mask=inside, other=0)
    source = (source >> SRC_DROPPED_BITS).to(tl.int32)
    at = rows[:, None] * enhanced_stride + columns[None, :]
    luma = tl.load(luma_table + tl.load(enhanced_0 + at, mask=inside, other=0).to(tl.int32))
    limit_code = limit / tl.load(c + LUMA_SCALE) + tl.load(c + LUMA_OFFSET)
    codes = tl.where(source.to(tl.float32) >= limit_code, source, luma.to(tl.int32))
    sample = dst_0.dtype.element_ty
    at = rows[:, None] * dst_stride + columns[None, :]
    tl.store(dst_0 + at, (codes << DST_DROPPED_BITS).to(sample), mask=inside)

    before = _means(source, inside, c, SHIFT_Y, SHIFT_X)
    means = _means(codes, inside, c, SHIFT_Y, SHIFT_X)
    chroma_rows, chroma_columns, cell = tile_cells(
        top, left, width, height, SHIFT_Y, SHIFT_X, ROWS, COLUMNS
    )
    old_red, old_blue = _chroma(
        src_1, src_2, chroma_rows, chroma_columns, src_chroma_stride, cell, c,
        SRC_SEMIPLANAR, SRC_DROPPED_BITS,
    )  # fmt: skip
    red, blue = _chroma(
        enhanced_1, enhanced_2, chroma_rows, chroma_columns, enhanced_chroma_stride, cell,
        enhanced_c, False, 0,
    )  # fmt: skip
    base = _looked_up(table, scale, means)
    red = _looked_up(inverse, inverse_scale, base + red) - means
    blue = _looked_up(inverse, inverse_scale, base + blue) - means
    stays = before >= limit
    cb, cr = _chroma_codes(tl.where(stays, old_red, red), tl.where(stays, old_blue, blue), c)
    cb = (cb << DST_DROPPED_BITS).to(sample)
    cr = (cr << DST_DROPPED_BITS).to(sample)
    if DST_SEMIPLANAR:
        at = chroma_rows[:, None] * dst_chroma_stride + 2 * chroma_columns[None, :]
        tl.store(dst_1 + at, cb, mask=cell)
        tl.store(dst_1 + at + 1, cr, mask=cell)
    else:
        at = chroma_rows[:, None] * dst_chroma_stride + chroma_columns[None, :]
        tl.store(dst_1 + at, cb, mask=cell)
        tl.store(dst_2 + at, cr, mask=cell)
