"""``curve.control`` as Triton kernels, without a host round trip.

The same rules in the same order: the curve is weakened if it would lift the picture above
``max_level``, a cut starts afresh, everything else is followed with a time constant. Unlike
there, maps are estimated for every frame, so none is held for the next.

Small maps take one kernel in one block of threads. Maps of the frame's size take three:
``difference_kernel`` and ``follow_kernel`` over all pixels, and ``decide_kernel`` between them.
"""

import triton
import triton.language as tl

from zerodce_rt.curve import control, maps

CUT_THRESHOLD = tl.constexpr(control.CUT_THRESHOLD)
DARKEST_LEVEL = tl.constexpr(control.DARKEST_LEVEL)
BLACK_LEVEL = tl.constexpr(control.BLACK_LEVEL)
SHARES = tl.constexpr(len(control.PROBE_SHARES) - 1)
ITERATIONS = tl.constexpr(8)
# What the state of large maps keeps beside float16, in steps of 2^-19.
FINE = tl.constexpr(524288.0)
DARK_TONE = tl.constexpr(maps.DARK_TONE)
LEAST_STRENGTH = tl.constexpr(control.LEAST_DENOISE)
# Where each number lies in the parameters.
STRENGTH, FOLLOW, DENOISE = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
BEGINS, ALONE, DISTURBED = tl.constexpr(3), tl.constexpr(4), tl.constexpr(5)


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
def begins_scene(thumbnail, before, parameters, at, plane):
    """1 for the first frame of a scene, else 0; and the thumbnail becomes the one before.

    Args:
        thumbnail: ``(3, plane)`` float16 RGB in [0, 1].
        before: that of the frame before; replaced, but not by a frame that stands alone.
        parameters: of ``FrameParameters``, float32.
        at: the pixels, and some more.
    """
    inside = at < plane
    red = tl.load(thumbnail + at, mask=inside, other=0.0).to(tl.float32)
    green = tl.load(thumbnail + plane + at, mask=inside, other=0.0).to(tl.float32)
    blue = tl.load(thumbnail + 2 * plane + at, mask=inside, other=0.0).to(tl.float32)
    old_red = tl.load(before + at, mask=inside, other=0.0).to(tl.float32)
    old_green = tl.load(before + plane + at, mask=inside, other=0.0).to(tl.float32)
    old_blue = tl.load(before + 2 * plane + at, mask=inside, other=0.0).to(tl.float32)
    samples = 3.0 * plane
    difference = tl.sum(tl.abs(red - old_red) + tl.abs(green - old_green) + tl.abs(blue - old_blue))
    now_level = tl.sum(red + green + blue) / samples
    old_level = tl.sum(old_red + old_green + old_blue) / samples
    level = tl.maximum(tl.maximum(now_level, old_level), DARKEST_LEVEL)
    is_new = tl.where(difference / samples > level * CUT_THRESHOLD, 1.0, 0.0)
    kept = at < tl.where(tl.load(parameters + ALONE) == 0.0, plane, 0)
    # Not above: the sums are a barrier, before which other threads may still read the old ones.
    tl.store(before + at, red.to(tl.float16), mask=kept)
    tl.store(before + plane + at, green.to(tl.float16), mask=kept)
    tl.store(before + 2 * plane + at, blue.to(tl.float16), mask=kept)
    return tl.maximum(is_new, tl.load(parameters + BEGINS))


# Not compiled anew for heights that are multiples of 16.
@triton.jit(do_not_specialize=["height"])
def control_kernel(
    estimate, thumbnail, before, state, out, gain, denoise, parameters, height, width, max_level,
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
        denoise: two float32: the denoiser's strength, 0 for none; and 1 if it is to start anew.
        parameters: of ``FrameParameters``, float32.
        max_level: as in ``ControlSettings``; 1 is no limit.
        iterations: eight; like ``map_count`` not a constant, lest loops over it be unrolled.
        SHARED: three maps for all iterations, instead of three for each.
        STEP: every so many pixels are probed, in each direction.
        SIZE, PROBE: powers of two, not below the number of pixels and of probed ones.
    """
    at = tl.arange(0, SIZE)
    plane = height * width
    inside = at < plane

    is_new = begins_scene(thumbnail, before, parameters, at, plane)
    step = tl.where(is_new > 0.0, 1.0, tl.load(parameters + FOLLOW))
    # A frame that stands alone leaves no traces.
    kept = at < tl.where(tl.load(parameters + ALONE) == 0.0, plane, 0)

    share = _share(
        estimate, thumbnail, height, width, plane, max_level, iterations, SHARED, STEP, PROBE
    )

    largest = tl.zeros((SIZE,), tl.float32)
    for k in range(map_count):
        target = tl.load(estimate + k * plane + at, mask=inside, other=0.0).to(tl.float32) * share
        last = tl.load(state + k * plane + at, mask=inside, other=0.0)
        # At 1 without arithmetic: warming up on uninitialised memory may leave NaN in the state.
        value = tl.where(step >= 1.0, target, last + step * (target - last))
        tl.store(state + k * plane + at, value, mask=kept)
        rounded = value.to(tl.float16)
        tl.store(out + k * plane + at, rounded, mask=inside)
        largest = tl.maximum(largest, tl.abs(rounded.to(tl.float32)))
    strength = tl.load(parameters + STRENGTH)
    tl.store(gain, tl.where(tl.max(largest) > 0.0, strength, 0.0))
    wanted = tl.load(parameters + DENOISE)
    if wanted > 0.0:
        wanted = wanted * _lift(out, at, plane, inside, strength, map_count, SHARED)
        wanted = tl.where(wanted < LEAST_STRENGTH, 0.0, wanted)
    tl.store(denoise, wanted)
    tl.store(denoise + 1, tl.maximum(is_new, tl.load(parameters + DISTURBED)))


@triton.jit
def _lift(maps, at, plane, inside, strength, map_count, SHARED: tl.constexpr):
    """How much maps raise dark tones (see ``curve.maps.lift_of``)."""
    raised = 0.0
    for channel in tl.static_range(3):
        x = strength * 0.0 + DARK_TONE
        if SHARED:
            a = tl.load(maps + channel * plane + at, mask=inside, other=0.0).to(tl.float32)
            mean = tl.sum(a) / plane * strength
            for _ in tl.static_range(ITERATIONS):
                x = x + mean * (x * x - x)
        else:
            for k in range(channel, map_count, 3):
                a = tl.load(maps + k * plane + at, mask=inside, other=0.0).to(tl.float32)
                x = x + tl.sum(a) / plane * strength * (x * x - x)
        raised += x
    return tl.minimum(tl.maximum(raised / (3.0 * DARK_TONE) - 1.0, 0.0), 1.0)


@triton.jit
def fitting_share(number, below, reached, max_level, share, found):
    """The share of the curve that fits, once the level is too high at a number of parts.

    Args:
        below, reached: levels at the number before, and at this one.
        share, found: so far; ``found`` is 0 or 1.
    """
    # At the first share that is too bright: interpolate between it and the last one.
    part = (max_level - below) / tl.maximum(reached - below, 1e-12)
    fitting = tl.where(number == 0, 0.0, (number - 1 + part) * (1.0 / SHARES))
    hit = (reached > max_level) & (found == 0.0)
    return tl.where(hit, fitting, share), tl.where(hit, 1.0, found)


@triton.jit
def _share(
    estimate, thumbnail, height, width, plane, max_level, iterations,
    SHARED: tl.constexpr, STEP: tl.constexpr, PROBE: tl.constexpr,
):  # fmt: skip
    """The share of the curve that keeps the mean at ``max_level`` (see ``within_level``)."""
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
                share, found = fitting_share(part_number, below, reached, max_level, share, found)
                below = reached
    return share


@triton.jit
def difference_kernel(thumbnail, before, sums, samples, SIZE: tl.constexpr):
    """What tells a cut, for ``SIZE`` samples of two pictures; and the new one becomes the old.

    Args:
        thumbnail, before: float16 of ``samples`` each.
        sums: ``(3, blocks)`` float32: of the differences, and of both pictures.
    """
    block = tl.program_id(0)
    blocks = tl.num_programs(0)
    at = block.to(tl.int64) * SIZE + tl.arange(0, SIZE)
    inside = at < samples
    now = tl.load(thumbnail + at, mask=inside, other=0.0).to(tl.float32)
    old = tl.load(before + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(sums + block, tl.sum(tl.abs(now - old)))
    tl.store(sums + blocks + block, tl.sum(now))
    tl.store(sums + 2 * blocks + block, tl.sum(old))
    tl.store(before + at, now.to(tl.float16), mask=inside)


@triton.jit(do_not_specialize=["height"])
def decide_kernel(
    sums, blocks, estimate, thumbnail, parameters, decided, gain, height, width, max_level,
    iterations,
    SHARED: tl.constexpr, STEP: tl.constexpr, PROBE: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """How far to go to an estimate. Runs in one block of threads.

    Args:
        sums: of ``difference_kernel``, by ``blocks`` blocks.
        decided: two float32: how far to go from the last maps to the estimate, where 1 is all the
            way; and the share of the estimate.
        gain: set to 0, for ``follow_kernel``.
        SIZE: sums that are read at once.
        estimate .. PROBE: as for ``control_kernel``.
    """
    plane = (height * width).to(tl.int64)
    totals = tl.zeros((SIZE,), tl.float32)
    now = tl.zeros((SIZE,), tl.float32)
    old = tl.zeros((SIZE,), tl.float32)
    for first in range(0, blocks, SIZE):
        at = first + tl.arange(0, SIZE)
        inside = at < blocks
        totals += tl.load(sums + at, mask=inside, other=0.0)
        now += tl.load(sums + blocks + at, mask=inside, other=0.0)
        old += tl.load(sums + 2 * blocks + at, mask=inside, other=0.0)
    samples = 3.0 * plane
    level = tl.maximum(tl.maximum(tl.sum(now), tl.sum(old)) / samples, DARKEST_LEVEL)
    is_new = tl.where(tl.sum(totals) / samples > level * CUT_THRESHOLD, 1.0, 0.0)
    is_new = tl.maximum(is_new, tl.load(parameters + BEGINS))
    # A frame that stood alone has left its maps here.
    is_new = tl.maximum(is_new, tl.load(parameters + DISTURBED))
    tl.store(decided, tl.where(is_new > 0.0, 1.0, tl.load(parameters + FOLLOW)))
    share = _share(
        estimate, thumbnail, height, width, plane, max_level, iterations, SHARED, STEP, PROBE
    )
    tl.store(decided + 1, share)
    tl.store(gain, 0.0)


@triton.jit
def follow_kernel(
    estimate, maps, fine, decided, parameters, gain, samples, SIZE: tl.constexpr,
):  # fmt: skip
    """Move ``SIZE`` values of the maps towards the estimate.

    Args:
        estimate: float16 of ``samples``.
        maps: float16; what is applied, and, with ``fine``, the state. Replaced.
        fine: int8; what rounding to float16 has taken away, in steps of 2^-19. Replaced.
        decided: of ``decide_kernel``.
        gain: set to the strength, the first of ``parameters``, if any value is not 0; 0 before.
    """
    at = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    inside = at < samples
    step = tl.load(decided)
    target = tl.load(estimate + at, mask=inside, other=0.0).to(tl.float32) * tl.load(decided + 1)
    last = tl.load(maps + at, mask=inside, other=0.0).to(tl.float32)
    last += tl.load(fine + at, mask=inside, other=0).to(tl.float32) * (1.0 / FINE)
    # At 1 without arithmetic: warming up on uninitialised memory may leave NaN in the state.
    value = tl.where(step >= 1.0, target, last + step * (target - last))
    rounded = value.to(tl.float16)
    rest = (value - rounded.to(tl.float32)) * FINE
    rest = tl.minimum(tl.maximum(rest + tl.where(rest < 0.0, -0.5, 0.5), -127.0), 127.0)
    tl.store(maps + at, rounded, mask=inside)
    tl.store(fine + at, rest.to(tl.int8), mask=inside)
    if tl.max(tl.abs(rounded.to(tl.float32))) > 0.0:
        tl.store(gain, tl.load(parameters + STRENGTH))
