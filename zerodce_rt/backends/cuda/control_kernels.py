"""``curve.control`` as one Triton kernel, without a host round trip.

The same rules in the same order: the curve is weakened if it would lift the picture above
``max_level``, a cut starts afresh, everything else is followed with a time constant. Unlike
there, maps are estimated for every frame, so none is held for the next.
"""

import triton
import triton.language as tl

from zerodce_rt.curve import control

CUT_THRESHOLD = tl.constexpr(control.CUT_THRESHOLD)
DARKEST_LEVEL = tl.constexpr(control.DARKEST_LEVEL)
BLACK_LEVEL = tl.constexpr(control.BLACK_LEVEL)
SHARES = tl.constexpr(len(control.PROBE_SHARES) - 1)
ITERATIONS = tl.constexpr(8)


@triton.jit
def _curve(x, maps, at, plane, share, mask, iterations, SHARED: tl.constexpr):
    """All iterations of one channel, with maps multiplied by a share."""
    if SHARED:
        a = tl.load(maps + at, mask=mask, other=0.0).to(tl.float32) * share
        for _ in tl.static_range(ITERATIONS):
            x = x + a * (x * x - x)
    else:
        # Not unrolled: the compiler would keep all 24 maps in registers from one share to the
        # next, and there are not enough.
        for i in range(iterations):
            a = tl.load(maps + 3 * i * plane + at, mask=mask, other=0.0).to(tl.float32) * share
            x = x + a * (x * x - x)
    return x


@triton.jit
def _level(red, green, blue, maps, at, plane, share, probe, lit, iterations, SHARED: tl.constexpr):
    """Mean level of the probed pixels that are lit, with maps multiplied by a share."""
    total = tl.sum(
        tl.where(lit, _curve(red, maps, at, plane, share, probe, iterations, SHARED), 0.0)
    )
    total += tl.sum(
        tl.where(lit, _curve(green, maps + plane, at, plane, share, probe, iterations, SHARED), 0.0)
    )
    total += tl.sum(
        tl.where(
            lit, _curve(blue, maps + 2 * plane, at, plane, share, probe, iterations, SHARED), 0.0
        )
    )
    return total / (3.0 * tl.maximum(tl.sum(tl.where(lit, 1.0, 0.0)), 1.0))


@triton.jit
def control_kernel(
    estimate, thumbnail, before, state, out, gain, parameters, height, width, max_level,
    iterations, map_count,
    SHARED: tl.constexpr, STEP: tl.constexpr, SIZE: tl.constexpr, PROBE: tl.constexpr,
):  # fmt: skip
    """Turn an estimate into the maps to apply. Runs in one block of threads.

    Args:
        estimate: ``(map_count, height, width)`` float16 in [-1, 1].
        thumbnail: ``(3, height, width)`` float16 RGB in [0, 1].
        before: the thumbnail of the frame before, float16; replaced.
        state: the maps of the frame before, float32; replaced.
        out: the maps to apply, float16.
        gain: one float32, what to multiply ``out`` with: the strength, or 0 if it is all zeros.
        parameters: two float32: the strength, and how far to go from the last maps to the
            estimate, where 1 is all the way.
        max_level: as in ``ControlSettings``; 1 is no limit.
        iterations: eight; like ``map_count`` not a constant, lest loops over it be unrolled.
        SHARED: three maps for all iterations, instead of three for each.
        STEP: every so many pixels are probed, in each direction.
        SIZE, PROBE: powers of two, not below the number of pixels and of probed ones.
    """
    at = tl.arange(0, SIZE)
    plane = height * width
    inside = at < plane

    red = tl.load(thumbnail + at, mask=inside, other=0.0).to(tl.float32)
    green = tl.load(thumbnail + plane + at, mask=inside, other=0.0).to(tl.float32)
    blue = tl.load(thumbnail + 2 * plane + at, mask=inside, other=0.0).to(tl.float32)
    old_red = tl.load(before + at, mask=inside, other=0.0).to(tl.float32)
    old_green = tl.load(before + plane + at, mask=inside, other=0.0).to(tl.float32)
    old_blue = tl.load(before + 2 * plane + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(before + at, red.to(tl.float16), mask=inside)
    tl.store(before + plane + at, green.to(tl.float16), mask=inside)
    tl.store(before + 2 * plane + at, blue.to(tl.float16), mask=inside)
    samples = 3.0 * plane
    difference = tl.sum(tl.abs(red - old_red) + tl.abs(green - old_green) + tl.abs(blue - old_blue))
    now_level = tl.sum(red + green + blue) / samples
    old_level = tl.sum(old_red + old_green + old_blue) / samples
    level = tl.maximum(tl.maximum(now_level, old_level), DARKEST_LEVEL)
    is_cut = difference / samples > level * CUT_THRESHOLD
    step = tl.where(is_cut, 1.0, tl.load(parameters + 1))

    share = max_level * 0.0 + 1.0
    if max_level < 1.0:
        n = tl.arange(0, PROBE)
        across = (width + STEP - 1) // STEP
        probe_rows, probe_columns = n // across * STEP, n % across * STEP
        probe = probe_rows < height
        spot = probe_rows * width + probe_columns
        red_spot = tl.load(thumbnail + spot, mask=probe, other=0.0).to(tl.float32)
        green_spot = tl.load(thumbnail + plane + spot, mask=probe, other=0.0).to(tl.float32)
        blue_spot = tl.load(thumbnail + 2 * plane + spot, mask=probe, other=0.0).to(tl.float32)
        brightest = _curve(red_spot, estimate, spot, plane, 1.0, probe, iterations, SHARED)
        brightest = tl.maximum(
            brightest,
            _curve(green_spot, estimate + plane, spot, plane, 1.0, probe, iterations, SHARED),
        )
        brightest = tl.maximum(
            brightest,
            _curve(blue_spot, estimate + 2 * plane, spot, plane, 1.0, probe, iterations, SHARED),
        )
        lit = probe & (brightest > BLACK_LEVEL)
        full_level = _level(
            red_spot, green_spot, blue_spot, estimate, spot, plane,
            1.0, probe, lit, iterations, SHARED,
        )  # fmt: skip
        if full_level > max_level:
            share = 0.0
            below = 0.0
            found = 0.0
            for part_number in range(SHARES + 1):
                reached = _level(
                    red_spot, green_spot, blue_spot, estimate, spot, plane,
                    part_number * (1.0 / SHARES), probe, lit, iterations, SHARED,
                )  # fmt: skip
                # At the first share that is too bright: interpolate between it and the last one.
                part = (max_level - below) / tl.maximum(reached - below, 1e-12)
                fitting = tl.where(part_number == 0, 0.0, (part_number - 1 + part) * (1.0 / SHARES))
                hit = (reached > max_level) & (found == 0.0)
                share = tl.where(hit, fitting, share)
                found = tl.where(hit, 1.0, found)
                below = reached

    largest = 0.0
    for k in range(map_count):
        target = tl.load(estimate + k * plane + at, mask=inside, other=0.0).to(tl.float32) * share
        last = tl.load(state + k * plane + at, mask=inside, other=0.0)
        # At 1 without arithmetic: warming up on uninitialised memory may leave NaN in the state.
        value = tl.where(step >= 1.0, target, last + step * (target - last))
        tl.store(state + k * plane + at, value, mask=inside)
        rounded = value.to(tl.float16)
        tl.store(out + k * plane + at, rounded, mask=inside)
        largest = tl.maximum(largest, tl.max(tl.abs(rounded.to(tl.float32))))
    tl.store(gain, tl.where(largest > 0.0, tl.load(parameters), 0.0))
