"""The networks' layers as one fused Triton kernel: convolution, bias and activation in one pass.

Activations are float16 with channels last, sums float32. The concatenations of the published
networks are not computed: a layer takes two inputs, and its weights are split to match.
"""

import triton
import triton.language as tl

from zerodce_rt.backends.cuda.chained_kernels import wait_for_kernel_before


@triton.jit
def _tap(
    source, pixel_stride, channel_stride, rows, columns, height, width, channels,
    CHANNELS: tl.constexpr,
):  # fmt: skip
    """Input ``(pixels, channels)`` at some rows and columns; zero outside of the picture."""
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    # int64: with maps of the frame's size, above 67 megapixels.
    pixels = (rows * width + columns).to(tl.int64)
    at = pixels[:, None] * pixel_stride + channels[None, :].to(tl.int64) * channel_stride
    return tl.load(source + at, mask=inside[:, None] & (channels[None, :] < CHANNELS), other=0.0)


@triton.jit
def _dense(
    source, pixel_stride, channel_stride, weights, rows, columns, height, width,
    CHANNELS: tl.constexpr, PADDED: tl.constexpr, OUT_PADDED: tl.constexpr,
):  # fmt: skip
    """A 3x3 convolution without bias.

    Args:
        weights: ``(9, PADDED, OUT_PADDED)`` float16.
    """
    channels = tl.arange(0, PADDED)
    outputs = tl.arange(0, OUT_PADDED)
    total = tl.zeros((rows.shape[0], OUT_PADDED), tl.float32)
    for tap in tl.static_range(9):
        values = _tap(
            source, pixel_stride, channel_stride, rows + tap // 3 - 1, columns + tap % 3 - 1,
            height, width, channels, CHANNELS,
        )  # fmt: skip
        at = (tap * PADDED + channels)[:, None] * OUT_PADDED + outputs[None, :]
        total = tl.dot(values, tl.load(weights + at), total)
    return total


@triton.jit
def _separable(
    source, pixel_stride, channel_stride, depth_weights, depth_bias, weights,
    rows, columns, height, width,
    CHANNELS: tl.constexpr, PADDED: tl.constexpr, OUT_PADDED: tl.constexpr,
):  # fmt: skip
    """A 3x3 depthwise convolution, then a 1x1 without bias.

    Args:
        depth_weights: ``(9, PADDED)`` float16.
        depth_bias: ``(PADDED,)`` float16.
        weights: ``(PADDED, OUT_PADDED)`` float16.
    """
    channels = tl.arange(0, PADDED)
    outputs = tl.arange(0, OUT_PADDED)
    bias = tl.load(depth_bias + channels).to(tl.float32)
    total = tl.zeros((rows.shape[0], PADDED), tl.float32) + bias[None, :]
    for tap in tl.static_range(9):
        values = _tap(
            source, pixel_stride, channel_stride, rows + tap // 3 - 1, columns + tap % 3 - 1,
            height, width, channels, CHANNELS,
        )  # fmt: skip
        weight = tl.load(depth_weights + tap * PADDED + channels).to(tl.float32)
        total += values.to(tl.float32) * weight[None, :]
    at = channels[:, None] * OUT_PADDED + outputs[None, :]
    return tl.dot(total.to(tl.float16), tl.load(weights + at))


# Not compiled anew for heights that are multiples of 16.
@triton.jit(do_not_specialize=["height"])
def layer_kernel(
    source_a, source_b, a_pixel_stride, a_channel_stride, b_pixel_stride, b_channel_stride,
    depth_weights_a, depth_bias_a, weights_a, depth_weights_b, depth_bias_b, weights_b, bias,
    out, out_pixel_stride, out_channel_stride, height, width,
    SEPARABLE: tl.constexpr, TWO: tl.constexpr, LAST: tl.constexpr, CHANNELS: tl.constexpr,
    PADDED: tl.constexpr, OUT: tl.constexpr, OUT_PADDED: tl.constexpr, PIXELS: tl.constexpr,
    CHAINED: tl.constexpr = False,
):  # fmt: skip
    """One layer of a ``CurveNet`` for ``PIXELS`` pixels in a row.

    Args:
        source_a, source_b: float16 inputs of ``CHANNELS`` each; b only if ``TWO``.
        depth_weights_a .. weights_b: as in ``_separable``, or ``weights`` as in ``_dense``.
        bias: ``(OUT_PADDED,)`` float16.
        out: float16, ``OUT`` channels.
        LAST: tanh instead of ReLU.
        PADDED, OUT_PADDED: channels rounded up to the powers of two that ``tl.dot`` takes; the
            weights of the added ones are zero.
    """
    wait_for_kernel_before(CHAINED)
    pixels = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    rows, columns = pixels // width, pixels % width
    if SEPARABLE:
        x = _separable(
            source_a, a_pixel_stride, a_channel_stride, depth_weights_a, depth_bias_a, weights_a,
            rows, columns, height, width, CHANNELS, PADDED, OUT_PADDED,
        )  # fmt: skip
    else:
        x = _dense(
            source_a, a_pixel_stride, a_channel_stride, weights_a, rows, columns, height, width,
            CHANNELS, PADDED, OUT_PADDED,
        )  # fmt: skip
    if TWO:
        if SEPARABLE:
            x += _separable(
                source_b, b_pixel_stride, b_channel_stride, depth_weights_b, depth_bias_b,
                weights_b, rows, columns, height, width, CHANNELS, PADDED, OUT_PADDED,
            )  # fmt: skip
        else:
            x += _dense(
                source_b, b_pixel_stride, b_channel_stride, weights_b, rows, columns,
                height, width, CHANNELS, PADDED, OUT_PADDED,
            )  # fmt: skip
    outputs = tl.arange(0, OUT_PADDED)
    x += tl.load(bias + outputs).to(tl.float32)[None, :]
    if LAST:
        # tanh(x), by an exponential, for which every card has an instruction.
        x = 1.0 - 2.0 / (tl.exp(2.0 * x) + 1.0)
    else:
        x = tl.maximum(x, 0.0)
    wide = pixels.to(tl.int64)
    at = wide[:, None] * out_pixel_stride + outputs[None, :].to(tl.int64) * out_channel_stride
    inside = (pixels[:, None] < height * width) & (outputs[None, :] < OUT)
    tl.store(out + at, x.to(tl.float16), mask=inside)
