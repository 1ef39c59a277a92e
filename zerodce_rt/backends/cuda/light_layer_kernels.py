"""The light network's layers as fused Triton kernels (see ``network/light_wiring.py``).

Activations are float16 with channels last, sums float32. Pictures are a few hundred pixels, so
what counts is how often a block of threads waits for memory: it reads many taps of the 3x3 window
at once, and a layer's outputs are spread over blocks.
"""

import triton
import triton.language as tl

from zerodce_rt.backends.cuda.chained_kernels import wait_for_kernel_before
from zerodce_rt.backends.cuda.light_curve_kernels import neighbours
from zerodce_rt.network import light_wiring

LOG_OFFSET = tl.constexpr(light_wiring.LOG_OFFSET)
LOG_STOPS = tl.constexpr(light_wiring.LOG_STOPS)
GAIN_CENTRE = tl.constexpr(light_wiring.GAIN_CENTRE)
# Channels that are resized at once: each takes four values, and registers are few.
MOST_RESIZED = tl.constexpr(64)


@triton.jit
def _convolved(
    total, source, weights, rows, columns, outputs, height, width,
    CHANNELS: tl.constexpr, OUT_PADDED: tl.constexpr, STRIDE: tl.constexpr, IMAGE: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Add a 3x3 convolution to ``total``, ``(pixels, outputs)``.

    Args:
        source: ``(height, width, CHANNELS)``; if ``IMAGE``, ``(3, height, width)``, to which its
            logarithms are added as further channels.
        weights: rows for each tap's channels, in this order; then of zeros.
        rows, columns: of the outputs.
        BLOCK: rows of weights read at once.
    """
    for first in range(0, 9 * CHANNELS, BLOCK):
        k = first + tl.arange(0, BLOCK)
        tap, channel = k // CHANNELS, k % CHANNELS
        y = (rows * STRIDE)[:, None] + (tap // 3 - 1)[None, :]
        x = (columns * STRIDE)[:, None] + (tap % 3 - 1)[None, :]
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width) & (k < 9 * CHANNELS)[None, :]
        pixel = y * width + x
        if IMAGE:
            at = (channel % 3)[None, :] * (height * width) + pixel
            plain = tl.load(source + at, mask=inside, other=0.0).to(tl.float32)
            logs = tl.log2(plain + LOG_OFFSET) * (1.0 / LOG_STOPS) + 1.0
            values = tl.where(inside & (channel >= 3)[None, :], logs, plain).to(tl.float16)
        else:
            values = tl.load(source + pixel * CHANNELS + channel[None, :], mask=inside, other=0.0)
        at = k[:, None] * OUT_PADDED + outputs[None, :]
        total = tl.dot(values, tl.load(weights + at), total)
    return total


@triton.jit
def _resized_convolved(
    total, source, weights, rows, columns, outputs, height, width, low_height, low_width,
    scale_y, offset_y, scale_x, offset_x,
    CHANNELS: tl.constexpr, PADDED: tl.constexpr, OUT_PADDED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The same of a source that is first resized to ``(height, width)``.

    Args:
        source: ``(low_height, low_width, CHANNELS)``.
        weights: ``(9, PADDED, OUT_PADDED)``.
        scale_y .. offset_x: position of a pixel in the source, ``scale * pixel + offset``.
    """
    size: tl.constexpr = BLOCK if BLOCK < MOST_RESIZED else MOST_RESIZED
    for first in range(0, 9 * PADDED, size):
        tap = first // PADDED
        channels = first % PADDED + tl.arange(0, size)
        y, x = rows + (tap // 3 - 1), columns + (tap % 3 - 1)
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        mask = inside[:, None] & (channels < CHANNELS)[None, :]
        top, bottom, weight_y = neighbours(y, scale_y, offset_y, low_height)
        left, right, weight_x = neighbours(x, scale_x, offset_x, low_width)
        top, bottom = source + top * low_width * CHANNELS, source + bottom * low_width * CHANNELS
        left, right = left * CHANNELS, right * CHANNELS
        a = tl.load((top + left)[:, None] + channels[None, :], mask=mask, other=0.0)
        b = tl.load((top + right)[:, None] + channels[None, :], mask=mask, other=0.0)
        c = tl.load((bottom + left)[:, None] + channels[None, :], mask=mask, other=0.0)
        d = tl.load((bottom + right)[:, None] + channels[None, :], mask=mask, other=0.0)
        a, c = a.to(tl.float32), c.to(tl.float32)
        upper = a + (b.to(tl.float32) - a) * weight_x[:, None]
        lower = c + (d.to(tl.float32) - c) * weight_x[:, None]
        values = (upper + (lower - upper) * weight_y[:, None]).to(tl.float16)
        at = (first + tl.arange(0, size))[:, None] * OUT_PADDED + outputs[None, :]
        total = tl.dot(values, tl.load(weights + at), total)
    return total


@triton.jit(do_not_specialize=["in_height", "in_width", "height", "width"])
def light_layer_kernel(
    source, skip, weights, bias, out, in_height, in_width, height, width,
    scale_y, offset_y, scale_x, offset_x,
    CHANNELS: tl.constexpr, PADDED: tl.constexpr, SKIPPED: tl.constexpr, OUT: tl.constexpr,
    OUT_PADDED: tl.constexpr, STRIDE: tl.constexpr, IMAGE: tl.constexpr, RESIDUAL: tl.constexpr,
    HEAD: tl.constexpr, PIXELS: tl.constexpr, OUTPUTS: tl.constexpr, BLOCK: tl.constexpr,
    CHAINED: tl.constexpr = False,
):  # fmt: skip
    """A 3x3 convolution, with what comes before and after it.

    Args:
        source: ``(in_height, in_width, CHANNELS)``; if there is ``skip``, resized to its size.
        skip: ``(height, width, SKIPPED)``, further channels; not read if ``SKIPPED`` is 0.
        weights: of ``source``, then of ``skip``; see above.
        bias: ``(OUT_PADDED,)`` float32.
        out: ``(height, width, OUT)``; if ``HEAD``, ``(OUT, height, width)``.
        scale_y .. offset_x: see ``_resized_convolved``.
        IMAGE: the source is the thumbnail.
        RESIDUAL: the source is added to the result.
        HEAD: the result is maps within their limits, instead of through ReLU.
        PIXELS, OUTPUTS: what a block of threads computes.
        BLOCK: see ``_convolved``.
    """
    wait_for_kernel_before(CHAINED)
    pixels = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    outputs = tl.program_id(1) * OUTPUTS + tl.arange(0, OUTPUTS)
    rows, columns = pixels // width, pixels % width
    total = tl.zeros((PIXELS, OUTPUTS), tl.float32)
    if SKIPPED > 0:
        total = _resized_convolved(
            total, source, weights, rows, columns, outputs, height, width, in_height, in_width,
            scale_y, offset_y, scale_x, offset_x, CHANNELS, PADDED, OUT_PADDED, BLOCK,
        )  # fmt: skip
        total = _convolved(
            total, skip, weights + 9 * PADDED * OUT_PADDED, rows, columns, outputs, height, width,
            SKIPPED, OUT_PADDED, 1, False, BLOCK,
        )  # fmt: skip
    else:
        total = _convolved(
            total, source, weights, rows, columns, outputs, in_height, in_width,
            CHANNELS, OUT_PADDED, STRIDE, IMAGE, BLOCK,
        )  # fmt: skip
    total += tl.load(bias + outputs)[None, :]
    inside = (pixels < height * width)[:, None] & (outputs < OUT)[None, :]
    if HEAD:
        # tanh(x), by an exponential, for which every card has an instruction.
        total = 1.0 - 2.0 / (tl.exp(2.0 * total) + 1.0)
        total = tl.where((outputs == OUT - 1)[None, :], GAIN_CENTRE * (1.0 + total), total)
        at = outputs[None, :] * (height * width) + pixels[:, None]
    else:
        total = tl.maximum(total, 0.0)
        at = pixels[:, None] * OUT + outputs[None, :]
        if RESIDUAL:
            total += tl.load(source + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, total.to(tl.float16), mask=inside)


@triton.jit(do_not_specialize=["pixels"])
def whole_kernel(
    source, weights_mean, weights_most, bias, out_weights, out_bias, out, pixels,
    CHANNELS: tl.constexpr, PADDED: tl.constexpr, ROWS: tl.constexpr, CHAINED: tl.constexpr = False,
):  # fmt: skip
    """Add to each channel what two small layers make of the whole picture. Runs in one block.

    Args:
        source: ``(pixels, CHANNELS)``, 0 or more.
        weights_mean, weights_most: ``(PADDED, PADDED)`` from the mean and from the largest value
            of each channel to the hidden layer; ``bias``: ``(PADDED,)`` float32, of the latter.
        out_weights, out_bias: from there to the channels.
        out: of the shape of ``source``.
        ROWS: pixels read at once.
    """
    n = tl.arange(0, PADDED)
    square = n[:, None] * PADDED + n[None, :]
    # First of all, so that they arrive while the picture is read, or even made.
    from_mean = tl.load(weights_mean + square)
    from_most = tl.load(weights_most + square)
    to_out = tl.load(out_weights + square)
    wait_for_kernel_before(CHAINED)
    total = tl.zeros((ROWS, PADDED), tl.float32)
    most = tl.zeros((ROWS, PADDED), tl.float32)
    for first in range(0, pixels, ROWS):
        rows = first + tl.arange(0, ROWS)
        inside = (rows < pixels)[:, None] & (n < CHANNELS)[None, :]
        at = rows[:, None] * CHANNELS + n[None, :]
        x = tl.load(source + at, mask=inside, other=0.0).to(tl.float32)
        total += x
        most = tl.maximum(most, x)
    mean = tl.sum(total, axis=0) / pixels
    largest = tl.max(most, axis=0)
    products = mean[:, None] * from_mean.to(tl.float32)
    products += largest[:, None] * from_most.to(tl.float32)
    hidden = tl.maximum(tl.sum(products, axis=0) + tl.load(bias + n), 0.0)
    added = tl.sum(hidden[:, None] * to_out.to(tl.float32), axis=0) + tl.load(out_bias + n)
    for first in range(0, pixels, ROWS):
        rows = first + tl.arange(0, ROWS)
        inside = (rows < pixels)[:, None] & (n < CHANNELS)[None, :]
        at = rows[:, None] * CHANNELS + n[None, :]
        x = tl.load(source + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(out + at, tl.maximum(x + added[None, :], 0.0).to(tl.float16), mask=inside)
