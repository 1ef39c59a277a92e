"""``curve.control`` as Triton kernels, without a host round trip.

The same rules in the same order: the curve is weakened if it would lift the picture above
``max_level``, a cut starts afresh, everything else is a mean over recent targets (see
``window_kernels``). Unlike there, maps are estimated for every frame, but those between the
targets are not used.

Small maps take one kernel in one block of threads. Maps of the frame's size take four:
``difference_kernel`` and ``follow_kernel`` over all pixels, and ``decide_kernel`` between them;
``lift_kernel`` after them sets the strength of the denoiser.
"""

import triton
import triton.language as tl

from zerodce_rt.backends.cuda.chained_kernels import wait_for_kernel_before
from zerodce_rt.backends.cuda.window_kernels import mean_of, move_on, newest_of
from zerodce_rt.curve import control, maps

CUT_THRESHOLD = tl.constexpr(control.CUT_THRESHOLD)
DARKEST_LEVEL = tl.constexpr(control.DARKEST_LEVEL)
BLACK_LEVEL = tl.constexpr(control.BLACK_LEVEL)
SHARES = tl.constexpr(len(control.PROBE_SHARES) - 1)
ITERATIONS = tl.constexpr(8)
DARK_TONE = tl.constexpr(maps.DARK_TONE)
LEAST_STRENGTH = tl.constexpr(control.LEAST_DENOISE)
# Where each number lies in the parameters.
STRENGTH, KEEP, DENOISE = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
BEGINS, ALONE, DISTURBED = tl.constexpr(3), tl.constexpr(4), tl.constexpr(5)
TARGET = tl.constexpr(6)
# Slots of the ring that are loaded at once: with more, there are not enough registers.
AT_ONCE = tl.constexpr(4)


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
    tl.debug_barrier()  # other threads may still have to load the old one
    tl.store(before + at, red.to(tl.float16), mask=kept)
    tl.store(before + plane + at, green.to(tl.float16), mask=kept)
    tl.store(before + 2 * plane + at, blue.to(tl.float16), mask=kept)
    return tl.maximum(is_new, tl.load(parameters + BEGINS))


@triton.jit
def takes_target(parameters, is_new):
    """1 if the frame's estimate becomes a target, else 0."""
    return ((is_new > 0.0) | (tl.load(parameters + TARGET) > 0.0)).to(tl.int32)


# Not compiled anew for heights that are multiples of 16.
@triton.jit(do_not_specialize=["height", "slots"])
def control_kernel(
    estimate, thumbnail, before, ring, edges, oldest_slot, weights, out, gain, denoise, parameters,
    height, width, max_level, iterations, map_count, slots,
    SHARED: tl.constexpr, STEP: tl.constexpr, SIZE: tl.constexpr, PROBE: tl.constexpr,
):  # fmt: skip
    """Turn an estimate into the maps to apply. Runs in one block of threads.

    Args:
        estimate: ``(map_count, height, width)`` float16 in [-1, 1].
        thumbnail: ``(3, height, width)`` float16 RGB in [0, 1].
        before: the thumbnail of the frame before, float16; replaced.
        ring: ``(slots, map_count, height, width)`` float16, the targets; changed.
        edges, oldest_slot, weights: see ``window_kernels``; changed.
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
    takes = takes_target(parameters, is_new)
    keep = tl.load(parameters + KEEP)
    # A frame that stands alone leaves no traces.
    stays = tl.load(parameters + ALONE) == 0.0
    oldest, first = move_on(edges, oldest_slot, weights, takes, keep, is_new, stays, slots)
    taken = at < tl.where(stays & (takes == 1), plane, 0)

    share = _share(
        estimate, thumbnail, height, width, plane, max_level, iterations, SHARED, STEP, PROBE
    )

    largest = tl.zeros((SIZE,), tl.float32)
    apart = map_count * plane
    for k in range(map_count):
        target = tl.load(estimate + k * plane + at, mask=inside, other=0.0).to(tl.float32) * share
        target = target.to(tl.float16)
        maps = ring + k * plane
        newest = newest_of(target, maps, apart, at, plane, oldest, takes, slots)
        value = mean_of(newest, maps, apart, at, plane, weights, oldest, first, slots, AT_ONCE)
        tl.store(maps + oldest * apart + at, target, mask=taken)
        rounded = value.to(tl.float16)
        tl.store(out + k * plane + at, rounded, mask=inside)
        largest = tl.maximum(largest, tl.abs(rounded.to(tl.float32)))
    strength = tl.load(parameters + STRENGTH)
    tl.debug_barrier()  # other threads may load the maps below
    tl.store(gain, tl.where(tl.max(largest) > 0.0, strength, 0.0))
    wanted = tl.load(parameters + DENOISE)
    if wanted > 0.0:
        raised = 0.0
        for channel in tl.static_range(3):
            x = strength * 0.0 + DARK_TONE
            for k in range(channel, 3 if SHARED else map_count, 3):
                a = tl.load(out + k * plane + at, mask=inside, other=0.0).to(tl.float32)
                x = _raised(x, tl.sum(a) / plane * strength, SHARED)
            raised += x
        wanted = _lifted(wanted, raised)
    tl.store(denoise, wanted)
    tl.store(denoise + 1, tl.maximum(is_new, tl.load(parameters + DISTURBED)))


@triton.jit
def _raised(x, mean, SHARED: tl.constexpr):
    """A tone after what a map with this mean does to it: one iteration, or all that share it."""
    for _ in tl.static_range(ITERATIONS if SHARED else 1):
        x = x + mean * (x * x - x)
    return x


@triton.jit
def _lifted(wanted, raised):
    """The denoiser's strength: what is wanted of it, by how much the curve lifts dark tones.

    Args:
        raised: sum of what ``DARK_TONE`` becomes in the three channels; see ``maps.lift_of``.
    """
    wanted *= tl.minimum(tl.maximum(raised / (3.0 * DARK_TONE) - 1.0, 0.0), 1.0)
    return tl.where(wanted < LEAST_STRENGTH, 0.0, wanted)


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
def difference_kernel(
    thumbnail, before, sums, parameters, samples, SIZE: tl.constexpr,
    CHAINED: tl.constexpr = False,
):  # fmt: skip
    """What tells a cut, for ``SIZE`` samples of two pictures; and the new one becomes the old.

    Args:
        thumbnail: float16 of ``samples``.
        before: that of the frame before; replaced, but not by a frame that stands alone.
        sums: ``(3, blocks)`` float32: of the differences, and of both pictures.
    """
    wait_for_kernel_before(CHAINED)
    block = tl.program_id(0)
    blocks = tl.num_programs(0)
    at = block.to(tl.int64) * SIZE + tl.arange(0, SIZE)
    inside = at < samples
    now = tl.load(thumbnail + at, mask=inside, other=0.0).to(tl.float32)
    old = tl.load(before + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(sums + block, tl.sum(tl.abs(now - old)))
    tl.store(sums + blocks + block, tl.sum(now))
    tl.store(sums + 2 * blocks + block, tl.sum(old))
    stays = tl.load(parameters + ALONE) == 0.0
    tl.store(before + at, now.to(tl.float16), mask=at < tl.where(stays, samples, 0))


@triton.jit(do_not_specialize=["height", "slots"])
def decide_kernel(
    sums, blocks, estimate, thumbnail, edges, oldest_slot, parameters, decided, weights, gain,
    denoise, height, width, max_level, iterations, slots,
    SHARED: tl.constexpr, STEP: tl.constexpr, PROBE: tl.constexpr, SIZE: tl.constexpr,
    CHAINED: tl.constexpr = False,
):  # fmt: skip
    """What an estimate becomes, and how much the targets count. Runs in one block of threads.

    Args:
        sums: of ``difference_kernel``, by ``blocks`` blocks.
        decided: four float32, three of ``_decide_window``, and the share of the estimate.
        gain: set to 0, for ``follow_kernel``.
        denoise: of its two float32, the second is set: 1 if the denoiser is to start anew.
        SIZE: sums that are read at once.
        estimate .. PROBE: as for ``control_kernel``.
    """
    wait_for_kernel_before(CHAINED)
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
    tl.store(denoise + 1, tl.maximum(is_new, tl.load(parameters + DISTURBED)))
    _decide_window(edges, oldest_slot, parameters, is_new, decided, weights, slots)
    share = _share(
        estimate, thumbnail, height, width, plane, max_level, iterations, SHARED, STEP, PROBE
    )
    tl.store(decided + 3, share)
    tl.store(gain, 0.0)


@triton.jit
def _decide_window(
    edges, oldest_slot, parameters, is_new, decided, weights, slots
):  # fmt: skip
    """How much each target counts; and the ring moves on.

    Args:
        decided: three float32 of four: 1 if the estimate becomes a target, else 0; the slot that
            was the oldest, which that target takes; and the first rank that counts.
    """
    takes = takes_target(parameters, is_new)
    keep = tl.load(parameters + KEEP)
    stays = tl.load(parameters + ALONE) == 0.0
    oldest, first = move_on(edges, oldest_slot, weights, takes, keep, is_new, stays, slots)
    tl.store(decided, takes.to(tl.float32))
    tl.store(decided + 1, oldest.to(tl.float32))
    tl.store(decided + 2, first.to(tl.float32))


@triton.jit(do_not_specialize=["slots"])
def window_kernel(
    edges, oldest_slot, parameters, begins, decided, weights, slots, CHAINED: tl.constexpr = False,
):  # fmt: skip
    """``_decide_window`` where all else is decided elsewhere. Runs in one block of threads.

    Args:
        begins: one float32: 1 if the frame begins a scene, else 0.
        decided: the fourth, the share of the estimate, is set to 1.
    """
    wait_for_kernel_before(CHAINED)
    is_new = tl.load(begins)
    _decide_window(edges, oldest_slot, parameters, is_new, decided, weights, slots)
    tl.store(decided + 3, 1.0)


# Not compiled anew for other heights.
@triton.jit(do_not_specialize=["plane", "slots"])
def follow_kernel(
    estimate, ring, maps, decided, weights, parameters, gain, map_sums, samples, plane, slots,
    SIZE: tl.constexpr, CHAINED: tl.constexpr = False,
):  # fmt: skip
    """Store ``SIZE`` values of a target, and take the mean over all of them.

    Args:
        estimate: float16 of ``samples``.
        ring: ``(slots, samples)`` float16, the targets; one is replaced.
        maps: float16; what is applied.
        decided, weights: of ``decide_kernel``.
        gain: set to the strength, the first of ``parameters``, if any value is not 0; 0 before.
        map_sums: float32: of what belongs to map k in block b, at ``k + b``, which is one place
            for each pair of them that there is. ``plane`` values belong to each map.
    """
    wait_for_kernel_before(CHAINED)
    block = tl.program_id(0).to(tl.int64)
    at = block * SIZE + tl.arange(0, SIZE)
    inside = at < samples
    takes = tl.load(decided).to(tl.int32)
    oldest = tl.load(decided + 1).to(tl.int32)
    stays = tl.load(parameters + ALONE) == 0.0
    target = tl.load(estimate + at, mask=inside, other=0.0).to(tl.float32)
    target = (target * tl.load(decided + 3)).to(tl.float16)
    newest = newest_of(target, ring, samples, at, samples, oldest, takes, slots)
    first = tl.load(decided + 2).to(tl.int32)
    total = mean_of(newest, ring, samples, at, samples, weights, oldest, first, slots, 2)
    taken = at < tl.where(stays & (takes == 1), samples, 0)
    tl.store(ring + oldest.to(tl.int64) * samples + at, target, mask=taken)
    rounded = total.to(tl.float16)
    tl.store(maps + at, rounded, mask=inside)
    if tl.max(tl.abs(rounded.to(tl.float32))) > 0.0:
        tl.store(gain, tl.load(parameters + STRENGTH))
    last_one = tl.minimum(block * SIZE + SIZE, samples) - 1
    n = tl.arange(0, SIZE)
    for k in range(block * SIZE // plane, last_one // plane + 1):
        begin = (k * plane - block * SIZE).to(tl.int32)
        mine = (n >= begin) & (n < begin + plane)
        tl.store(map_sums + k + block, tl.sum(tl.where(mine, total, 0.0)))


@triton.jit(do_not_specialize=["plane"])
def lift_kernel(
    map_sums, parameters, denoise, plane, map_count,
    SHARED: tl.constexpr, SIZE: tl.constexpr, CHUNK: tl.constexpr, CHAINED: tl.constexpr = False,
):  # fmt: skip
    """How strongly to remove noise before such maps are applied. Runs in one block of threads.

    Args:
        map_sums, plane, SIZE: of ``follow_kernel``.
        parameters: of ``FrameParameters``, float32.
        denoise: the first is set: the denoiser's strength, 0 for none.
        map_count: not a constant, lest the loop over it be unrolled.
        CHUNK: sums that are read at once.
    """
    wait_for_kernel_before(CHAINED)
    wanted = tl.load(parameters + DENOISE)
    if wanted > 0.0:
        strength = tl.load(parameters + STRENGTH)
        raised = 0.0
        for channel in tl.static_range(3):
            x = strength * 0.0 + DARK_TONE
            for k in range(channel, 3 if SHARED else map_count, 3):
                mean = _total(map_sums, k, plane.to(tl.int64), SIZE, CHUNK) / plane
                x = _raised(x, mean * strength, SHARED)
            raised += x
        wanted = _lifted(wanted, raised)
    tl.store(denoise, wanted)


@triton.jit
def _total(map_sums, k, plane, SIZE: tl.constexpr, CHUNK: tl.constexpr):
    """Sum of the values of map k, over the blocks of ``follow_kernel`` that have some of them."""
    first = k * plane // SIZE
    last = ((k + 1) * plane - 1) // SIZE
    total = tl.zeros((CHUNK,), tl.float32)
    for start in range(first, last + 1, CHUNK):
        block = start + tl.arange(0, CHUNK)
        total += tl.load(map_sums + k + block, mask=block <= last, other=0.0)
    return tl.sum(total)
