"""Frames as whole cells, and what finer chroma adds to them, as Triton kernels.

As in ``backends.cpu.cell_kernels``: all formats are filtered as 4:2:0, by the mean of a cell's
chroma samples; what those differ by is added again at the end, where it is more than noise.
"""

import triton
import triton.language as tl

from zerodce_rt.backends.cuda.chained_kernels import wait_for_kernel_before
from zerodce_rt.backends.cuda.curve_kernels import (
    BLUE_TO_CB,
    BLUE_WEIGHT,
    CB_TO_BLUE,
    CB_TO_GREEN,
    CHROMA_OFFSET,
    CR_TO_GREEN,
    CR_TO_RED,
    GREEN_WEIGHT,
    LUMA_OFFSET,
    LUMA_OFFSET_ROUNDED,
    LUMA_SCALE,
    LUMA_SPAN,
    PACKED,
    RED_TO_CR,
    RED_WEIGHT,
    SEMIPLANAR,
)
from zerodce_rt.backends.cuda.denoise_kernels import (
    CHROMA_SHARE,
    HALF_TO_WRITE,
    ON,
    TINY,
    VARIANCE,
    hinged,
)
from zerodce_rt.denoise import rules

FINE = tl.constexpr(rules.FINE_STRICTNESS)


@triton.jit
def packed_pixel(plane, at, c, inside, BGR: tl.constexpr, WHITE: tl.constexpr):
    """Pixels of packed RGB: luma, Cb and Cr, with 256 steps to an 8-bit code.

    Args:
        at: index of their first samples; ``c``: coefficients of such codes.
    """
    first = tl.load(plane + at, mask=inside, other=0).to(tl.float32) * (1.0 / WHITE)
    green = tl.load(plane + at + 1, mask=inside, other=0).to(tl.float32) * (1.0 / WHITE)
    last = tl.load(plane + at + 2, mask=inside, other=0).to(tl.float32) * (1.0 / WHITE)
    first = tl.minimum(tl.maximum(first, 0.0), 1.0)
    green = tl.minimum(tl.maximum(green, 0.0), 1.0)
    last = tl.minimum(tl.maximum(last, 0.0), 1.0)
    red = last if BGR else first
    blue = first if BGR else last
    luma = red * tl.load(c + RED_WEIGHT) + green * tl.load(c + GREEN_WEIGHT)
    luma += blue * tl.load(c + BLUE_WEIGHT)
    cb = (blue - luma) * tl.load(c + BLUE_TO_CB) + tl.load(c + CHROMA_OFFSET)
    cr = (red - luma) * tl.load(c + RED_TO_CR) + tl.load(c + CHROMA_OFFSET)
    return luma * tl.load(c + LUMA_SPAN) + tl.load(c + LUMA_OFFSET_ROUNDED), cb, cr


@triton.jit
def chroma_sample(
    src_1, src_2, stride, rows, columns, width, chroma_height, inside,
    LAYOUT: tl.constexpr, SHIFT_X: tl.constexpr,
):  # fmt: skip
    """Samples of Cb and Cr of YUV, by their rows and columns; the frame's last ones go on."""
    last_column = (width + (1 << SHIFT_X) - 1 >> SHIFT_X) - 1
    at = tl.minimum(rows, chroma_height - 1).to(tl.int64) * stride
    columns = tl.minimum(columns, last_column)
    if LAYOUT == SEMIPLANAR:
        cb = tl.load(src_1 + at + 2 * columns, mask=inside, other=0)
        cr = tl.load(src_1 + at + 2 * columns + 1, mask=inside, other=0)
    else:
        cb = tl.load(src_1 + at + columns, mask=inside, other=0)
        cr = tl.load(src_2 + at + columns, mask=inside, other=0)
    return cb, cr


# Neither compiled anew for other heights, nor for the second field, whose first row may lie
# anywhere: rows and columns that go on beyond the frame are read one by one.
@triton.jit(
    do_not_specialize=["height", "chroma_height", "cell_rows"],
    do_not_specialize_on_alignment=["src_0", "src_1", "src_2"],
)
def load_kernel(
    src_0, src_1, src_2, src_stride, src_chroma_stride, width, height, chroma_height, coefficients,
    raw, raw_chroma, cell_rows, cell_columns, counters,
    LAYOUT: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, UNIT: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Copy a tile of a frame, or of a field, into cells.

    Args:
        src_0 .. height: as for ``curve_kernel``.
        chroma_height: rows of chroma. A field may have one less than half its rows of luma.
        coefficients: of codes with 256 steps to an 8-bit one; not read for YUV.
        raw: ``(2, 2 cell_rows, 2 cell_columns)``, of the frame's samples; of packed pixels uint16.
        raw_chroma: ``(2, 2, cell_rows, cell_columns)``; of the frame's samples where a cell has
            one, else uint16 with 256 steps to an 8-bit code.
        counters: see ``moment``.
        UNIT: of the frame's samples, to an 8-bit code.
        ROWS, COLUMNS: of cells in a tile.
    """
    top = tl.program_id(1) * ROWS
    left = tl.program_id(0) * COLUMNS
    half = tl.load(counters + HALF_TO_WRITE).to(tl.int64)
    plane = cell_rows * cell_columns
    raw += half * 4 * plane
    raw_chroma += half * 2 * plane
    rows = (top + tl.arange(0, ROWS))[:, None]
    columns = (left + tl.arange(0, COLUMNS))[None, :]
    inside = (rows < cell_rows) & (columns < cell_columns)
    sample = raw_chroma.dtype.element_ty
    at = rows * cell_columns + columns
    if LAYOUT == PACKED:
        cb_total = tl.zeros((ROWS, COLUMNS), tl.float32)
        cr_total = tl.zeros((ROWS, COLUMNS), tl.float32)
        for part in tl.static_range(4):
            y = 2 * rows + part // 2
            x = 2 * columns + part % 2
            pixel = tl.minimum(y, height - 1).to(tl.int64) * src_stride
            pixel += 3 * tl.minimum(x, width - 1)
            luma, cb, cr = packed_pixel(src_0, pixel, coefficients, inside, BGR, WHITE)
            tl.store(raw + y * 2 * cell_columns + x, luma.to(tl.uint16), mask=inside)
            cb_total += cb
            cr_total += cr
        tl.store(raw_chroma + at, (cb_total * 0.25 + 0.5).to(sample), mask=inside)
        tl.store(raw_chroma + plane + at, (cr_total * 0.25 + 0.5).to(sample), mask=inside)
    else:
        y = (2 * top + tl.arange(0, 2 * ROWS))[:, None]
        x = (2 * left + tl.arange(0, 2 * COLUMNS))[None, :]
        known = (y < 2 * cell_rows) & (x < 2 * cell_columns)
        source = tl.minimum(y, height - 1).to(tl.int64) * src_stride + tl.minimum(x, width - 1)
        luma = tl.load(src_0 + source, mask=known, other=0)
        tl.store(raw + y * 2 * cell_columns + x, luma, mask=known)
        across: tl.constexpr = 2 >> SHIFT_X
        down: tl.constexpr = 2 >> SHIFT_Y
        if across * down == 1:
            cb, cr = chroma_sample(
                src_1, src_2, src_chroma_stride, rows, columns, width, chroma_height, inside,
                LAYOUT, SHIFT_X,
            )  # fmt: skip
            tl.store(raw_chroma + at, cb, mask=inside)
            tl.store(raw_chroma + plane + at, cr, mask=inside)
        else:
            cb_total = tl.zeros((ROWS, COLUMNS), tl.float32)
            cr_total = tl.zeros((ROWS, COLUMNS), tl.float32)
            for part in tl.static_range(across * down):
                cb, cr = chroma_sample(
                    src_1, src_2, src_chroma_stride, down * rows + part // across,
                    across * columns + part % across, width, chroma_height, inside,
                    LAYOUT, SHIFT_X,
                )  # fmt: skip
                cb_total += cb.to(tl.float32)
                cr_total += cr.to(tl.float32)
            scale: tl.constexpr = 256.0 / (UNIT * across * down)
            tl.store(raw_chroma + at, (cb_total * scale + 0.5).to(sample), mask=inside)
            tl.store(raw_chroma + plane + at, (cr_total * scale + 0.5).to(sample), mask=inside)


@triton.jit
def _fine_sample(
    src_0, src_1, src_2, src_stride, src_chroma_stride, width, height, chroma_height, coefficients,
    rows, columns, inside, part, LAYOUT: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, UNIT: tl.constexpr,
):  # fmt: skip
    """One of the chroma samples of cells, with 256 steps to an 8-bit code."""
    across: tl.constexpr = 2 >> SHIFT_X
    down: tl.constexpr = 2 >> SHIFT_Y
    y = down * rows + part // across
    x = across * columns + part % across
    if LAYOUT == PACKED:
        at = tl.minimum(y, height - 1).to(tl.int64) * src_stride + 3 * tl.minimum(x, width - 1)
        _, cb, cr = packed_pixel(src_0, at, coefficients, inside, BGR, WHITE)
    else:
        cb, cr = chroma_sample(
            src_1, src_2, src_chroma_stride, y, x, width, chroma_height, inside, LAYOUT, SHIFT_X
        )
        cb, cr = cb.to(tl.float32) * (256.0 / UNIT), cr.to(tl.float32) * (256.0 / UNIT)
    return cb, cr


@triton.jit
def _deviations(
    src_0, src_1, src_2, src_stride, src_chroma_stride, width, height, chroma_height, coefficients,
    rows, columns, inside, LAYOUT: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, UNIT: tl.constexpr,
):  # fmt: skip
    """Mean Cb and Cr of cells, and the squares of what their samples differ by, in 8-bit codes."""
    samples: tl.constexpr = (2 >> SHIFT_X) * (2 >> SHIFT_Y)
    cb_mean = tl.zeros_like(rows + columns).to(tl.float32)
    cr_mean = cb_mean
    cb_energy, cr_energy = cb_mean, cb_mean
    for part in tl.static_range(samples):
        cb, cr = _fine_sample(
            src_0, src_1, src_2, src_stride, src_chroma_stride, width, height, chroma_height,
            coefficients, rows, columns, inside, part, LAYOUT, BGR, WHITE, SHIFT_Y, SHIFT_X, UNIT,
        )  # fmt: skip
        cb_mean += cb * (1.0 / samples)
        cr_mean += cr * (1.0 / samples)
    for part in tl.static_range(samples):
        cb, cr = _fine_sample(
            src_0, src_1, src_2, src_stride, src_chroma_stride, width, height, chroma_height,
            coefficients, rows, columns, inside, part, LAYOUT, BGR, WHITE, SHIFT_Y, SHIFT_X, UNIT,
        )  # fmt: skip
        cb, cr = (cb - cb_mean) * (1.0 / 256.0), (cr - cr_mean) * (1.0 / 256.0)
        cb_energy += cb * cb
        cr_energy += cr * cr
    return cb_mean, cr_mean, cb_energy, cr_energy


@triton.jit(
    do_not_specialize=["height", "chroma_height", "cell_rows"],
    do_not_specialize_on_alignment=["src_0", "src_1", "src_2"],
)
def fine_kernel(
    src_0, src_1, src_2, src_stride, src_chroma_stride, width, height, chroma_height, coefficients,
    luma, filtered, codes, out, out_stride, cr_at, cell_rows, cell_columns, flags, noise,
    LAYOUT: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr,
    SHIFT_Y: tl.constexpr, SHIFT_X: tl.constexpr, UNIT: tl.constexpr,
    BLACK: tl.constexpr, OUT_WHITE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    CHAINED: tl.constexpr = False,
):  # fmt: skip
    """Chroma with all of a frame's samples, about the filtered means of cells; of packed pixels,
    the whole result. See ``denoise.reference.fine_chroma``.

    Args:
        src_0 .. coefficients, LAYOUT .. UNIT: see ``load_kernel``.
        luma: filtered, ``(2 cell_rows, 2 cell_columns)``, of packed pixels.
        filtered: Cb and Cr, ``(2, cell_rows, cell_columns)``; ``codes``: see ``temporal_kernel``.
        out: Cb, uint16, and ``cr_at`` samples later Cr; of packed pixels, those. Rows are
            ``out_stride`` apart.
        OUT_WHITE: what stands for 1 in packed pixels.
        ROWS, COLUMNS: of cells in a tile.
    """
    wait_for_kernel_before(CHAINED)
    rows = (tl.program_id(1) * ROWS + tl.arange(0, ROWS))[:, None]
    columns = (tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    inside = (rows < cell_rows) & (columns < cell_columns)
    on = tl.load(flags + ON) != 0
    plane = cell_rows * cell_columns
    at = rows * cell_columns + columns
    h = noise + VARIANCE
    code = tl.load(codes + at, mask=inside, other=0).to(tl.float32) * (1.0 / 256.0) - BLACK
    variance = hinged(
        code, tl.load(h), tl.load(h + 1), tl.load(h + 2), tl.load(h + 3), tl.load(h + 4),
        tl.load(h + 5), tl.load(h + 6), tl.load(h + 7),
    )  # fmt: skip
    # A sample has so many times the variance of the mean, and one less is free in each cell.
    across: tl.constexpr = 2 >> SHIFT_X
    down: tl.constexpr = 2 >> SHIFT_Y
    samples: tl.constexpr = across * down
    limit = variance * tl.load(noise + CHROMA_SHARE) * (FINE * 3.0 * (samples - 1) * samples)

    cb_mean, cr_mean, cb_energy, cr_energy = _deviations(
        src_0, src_1, src_2, src_stride, src_chroma_stride, width, height, chroma_height,
        coefficients, rows, columns, inside, LAYOUT, BGR, WHITE, SHIFT_Y, SHIFT_X, UNIT,
    )  # fmt: skip
    for side in tl.static_range(2):
        if side == 0:
            beside = tl.maximum(columns - 1, 0)
        else:
            beside = tl.minimum(columns + 1, cell_columns - 1)
        _, _, cb_more, cr_more = _deviations(
            src_0, src_1, src_2, src_stride, src_chroma_stride, width, height, chroma_height,
            coefficients, rows, beside, inside, LAYOUT, BGR, WHITE, SHIFT_Y, SHIFT_X, UNIT,
        )  # fmt: skip
        cb_energy += cb_more
        cr_energy += cr_more
    cb_keep = tl.maximum(0.0, 1.0 - limit / tl.maximum(cb_energy, TINY))
    cr_keep = tl.maximum(0.0, 1.0 - limit / tl.maximum(cr_energy, TINY))
    cb_clean = tl.load(filtered + at, mask=inside, other=0).to(tl.float32)
    cr_clean = tl.load(filtered + plane + at, mask=inside, other=0).to(tl.float32)

    half: tl.constexpr = 0.0 if OUT_WHITE == 1.0 else 0.5
    c = coefficients
    for part in tl.static_range(samples):
        cb, cr = _fine_sample(
            src_0, src_1, src_2, src_stride, src_chroma_stride, width, height, chroma_height,
            coefficients, rows, columns, inside, part, LAYOUT, BGR, WHITE, SHIFT_Y, SHIFT_X, UNIT,
        )  # fmt: skip
        new_cb = tl.where(on, cb_clean + cb_keep * (cb - cb_mean), cb)
        new_cr = tl.where(on, cr_clean + cr_keep * (cr - cr_mean), cr)
        y = down * rows + part // across
        x = across * columns + part % across
        if LAYOUT == PACKED:
            at = y * 2 * cell_columns + x
            bright = tl.load(luma + at, mask=inside, other=0).to(tl.float32)
            bright = (bright - tl.load(c + LUMA_OFFSET)) * tl.load(c + LUMA_SCALE)
            new_cb = new_cb - tl.load(c + CHROMA_OFFSET)
            new_cr = new_cr - tl.load(c + CHROMA_OFFSET)
            red = bright + new_cr * tl.load(c + CR_TO_RED)
            green = bright + new_cb * tl.load(c + CB_TO_GREEN) + new_cr * tl.load(c + CR_TO_GREEN)
            blue = bright + new_cb * tl.load(c + CB_TO_BLUE)
            seen = inside & (y < height) & (x < width)
            source = y.to(tl.int64) * src_stride + 3 * x
            target = y.to(tl.int64) * out_stride + 3 * x
            for k in tl.static_range(3):
                value = (
                    (blue if BGR else red)
                    if k == 0
                    else (green if k == 1 else (red if BGR else blue))
                )
                value = tl.minimum(tl.maximum(value, 0.0), 1.0)
                same = tl.load(src_0 + source + k, mask=seen, other=0).to(tl.float32)
                value = tl.where(on, value * OUT_WHITE, same * (OUT_WHITE / WHITE))
                tl.store(out + target + k, (value + half).to(out.dtype.element_ty), mask=seen)
        else:
            target = y.to(tl.int64) * out_stride + x
            new_cb = tl.minimum(tl.maximum(new_cb + 0.5, 0.0), 65535.0)
            new_cr = tl.minimum(tl.maximum(new_cr + 0.5, 0.0), 65535.0)
            tl.store(out + target, new_cb.to(tl.uint16), mask=inside)
            tl.store(out + target + cr_at, new_cr.to(tl.uint16), mask=inside)
