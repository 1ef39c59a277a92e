"""What is done to light maps between the network and the curve, without a host round trip.

``dark_steps_kernel`` and ``finish_kernel`` are ``Applier.finished``: the floor of black without a
signal, and curves that rise. ``light_control_kernel`` is ``curve.control`` (see
``control_kernels``).
"""

import triton
import triton.language as tl

from zerodce_rt.backends.cuda.chained_kernels import wait_for_kernel_before
from zerodce_rt.backends.cuda.control_kernels import (
    ALONE,
    BLACK_LEVEL,
    DARK_TONE,
    DENOISE,
    DISTURBED,
    KEEP,
    LEAST_STRENGTH,
    SHARES,
    STRENGTH,
    begins_scene,
    fitting_share,
    takes_target,
)
from zerodce_rt.backends.cuda.curve_kernels import LUMA_OFFSET, LUMA_SCALE
from zerodce_rt.backends.cuda.light_curve_kernels import (
    BLUE,
    GREEN,
    RED,
    curved,
    gain_of,
    neighbours,
    strength_of,
)
from zerodce_rt.backends.cuda.window_kernels import (
    further,
    move_on,
    newest_of,
    weight_of,
)
from zerodce_rt.curve import floor, light

NEAR_BLACK = tl.constexpr(255 * floor.NEAR_BLACK)
FLAT, ALIVE = tl.constexpr(floor.FLAT), tl.constexpr(floor.ALIVE)
FEW, ENOUGH = tl.constexpr(floor.FEW), tl.constexpr(floor.ENOUGH)
LARGEST_FALL = tl.constexpr(light.LARGEST_FALL)
STEPS = tl.constexpr(len(light.RISE_LEVELS) - 1)
BLENDS = tl.constexpr(len(light.BLENDS))
# Targets that are loaded at once.
AT_ONCE = tl.constexpr(4)


@triton.jit
def _code(plane, at, inside, c, PACKED: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr):
    """Luma of pixels in 8-bit codes of full range."""
    if PACKED:
        first = tl.load(plane + at, mask=inside, other=0).to(tl.float32)
        green = tl.load(plane + at + 1, mask=inside, other=0).to(tl.float32)
        last = tl.load(plane + at + 2, mask=inside, other=0).to(tl.float32)
        red = last if BGR else first
        blue = first if BGR else last
        return (red * RED + green * GREEN + blue * BLUE) * (255.0 / WHITE)
    luma = tl.load(plane + at, mask=inside, other=0).to(tl.float32)
    return (luma - tl.load(c + LUMA_OFFSET)) * (tl.load(c + LUMA_SCALE) * 255.0)


@triton.jit(do_not_specialize=["height", "count"])
def dark_steps_kernel(
    plane, stride, width, height, coefficients, steps, count,
    PACKED: tl.constexpr, BGR: tl.constexpr, WHITE: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Steps between near-black neighbours in one cell of the floor's grid.

    Args:
        plane: luma, or packed pixels; ``stride`` samples from one row to the next.
        coefficients: of the source, with its dropped bits; not read for packed frames.
        steps: ``(2, rows, columns)`` float32, see ``floor.floor_gate``; the launch's grid is
            columns and rows.
        count: rows of a cell that are looked at.
        WHITE: the largest code of packed samples; 1 for floats.
        ROWS: not below ``count``; ``COLUMNS``: read at once.
    """
    column = tl.program_id(0)
    cell = tl.program_id(1)
    across = tl.num_programs(0)
    down = tl.num_programs(1)
    n = tl.arange(0, ROWS)
    # As ``floor.sampled_rows``, in integers.
    rows = ((2 * (cell * count + n) + 1) * height // (2 * down * count)).to(tl.int64)
    left = column * width // across
    right = tl.maximum((column + 1) * width // across - 1, left)
    apart: tl.constexpr = 3 if PACKED else 1
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    near_pairs = tl.zeros((ROWS, COLUMNS), tl.float32)
    for first in range(left, right, COLUMNS):
        columns = first + tl.arange(0, COLUMNS)
        inside = (n < count)[:, None] & (columns < right)[None, :]
        at = rows[:, None] * stride + apart * columns[None, :]
        a = _code(plane, at, inside, coefficients, PACKED, BGR, WHITE)
        b = _code(plane, at + apart, inside, coefficients, PACKED, BGR, WHITE)
        near = inside & (tl.maximum(a, b) < NEAR_BLACK)
        total += tl.where(near, tl.abs(a - b), 0.0)
        near_pairs += tl.where(near, 1.0, 0.0)
    pairs = tl.maximum(right - left, 1) * count
    out = steps + cell * across + column
    tl.store(out, tl.sum(total) / pairs)
    tl.store(out + across * down, tl.sum(near_pairs) / pairs)


@triton.jit
def _smoothstep(x, START: tl.constexpr, END: tl.constexpr):
    t = tl.minimum(tl.maximum((x - START) * (1.0 / (END - START)), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@triton.jit
def _gate(steps, rows, columns, height, width):
    """``floor.floor_gate`` of some cells of the grid."""
    n = tl.arange(0, 16)
    near_rows = rows[:, None] + (n // 3 - 1)[None, :]
    near_columns = columns[:, None] + (n % 3 - 1)[None, :]
    there = (near_rows >= 0) & (near_rows < height) & (n < 9)[None, :]
    there = there & (near_columns >= 0) & (near_columns < width)
    at = near_rows * width + near_columns
    cells = tl.sum(tl.where(there, 1.0, 0.0), axis=1)
    total = tl.sum(tl.load(steps + at, mask=there, other=0.0), axis=1) / cells
    share = tl.sum(tl.load(steps + height * width + at, mask=there, other=0.0), axis=1) / cells
    alive = _smoothstep(total / tl.maximum(share, 1e-6), FLAT, ALIVE)
    return 1.0 - _smoothstep(share, FEW, ENOUGH) * (1.0 - alive)


@triton.jit
def _after(levels, a0, a1, a2, a3):
    """Levels after the curves with these values at the knots: ``(pixels, levels)``."""
    luma = tl.broadcast_to(levels[None, :], (a0.shape[0], levels.shape[0]))
    a = strength_of(luma, a0[:, None], a1[:, None], a2[:, None], a3[:, None])
    return curved(luma, a)


@triton.jit
def _falls(lower, upper, a0, a1, a2, a3):
    """Whether curves fall between any two neighbouring levels."""
    rise = _after(upper, a0, a1, a2, a3) - _after(lower, a0, a1, a2, a3)
    return tl.min(rise, axis=1) < -LARGEST_FALL


@triton.jit(do_not_specialize=["height", "width", "grid_height", "grid_width"])
def finish_kernel(
    estimate, steps, levels, out, height, width, grid_height, grid_width,
    scale_y, offset_y, scale_x, offset_x, PIXELS: tl.constexpr, CHAINED: tl.constexpr = False,
):  # fmt: skip
    """``floor.with_floor`` and ``maps.monotone`` for some pixels of light maps.

    Args:
        estimate: ``(5, height, width)`` float16, of the network.
        steps: of ``dark_steps_kernel``, ``(2, grid_height, grid_width)``.
        levels: ``light.RISE_LEVELS``.
        out: float32, of the shape of ``estimate``.
        scale_y .. offset_x: position of a map's pixel in the grid, ``scale * pixel + offset``.
    """
    wait_for_kernel_before(CHAINED)
    plane = height * width
    at = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = at < plane
    low_row, high_row, weight_y = neighbours(at // width, scale_y, offset_y, grid_height)
    low_column, high_column, weight_x = neighbours(at % width, scale_x, offset_x, grid_width)
    left = _gate(steps, low_row, low_column, grid_height, grid_width)
    left += (_gate(steps, high_row, low_column, grid_height, grid_width) - left) * weight_y
    right = _gate(steps, low_row, high_column, grid_height, grid_width)
    right += (_gate(steps, high_row, high_column, grid_height, grid_width) - right) * weight_y
    gate = left + (right - left) * weight_x

    a0 = tl.load(estimate + at, mask=inside, other=0.0).to(tl.float32) * gate
    a1 = tl.load(estimate + plane + at, mask=inside, other=0.0).to(tl.float32)
    a2 = tl.load(estimate + 2 * plane + at, mask=inside, other=0.0).to(tl.float32)
    a3 = tl.load(estimate + 3 * plane + at, mask=inside, other=0.0).to(tl.float32)
    saturation = tl.load(estimate + 4 * plane + at, mask=inside, other=0.0).to(tl.float32)
    n = tl.arange(0, STEPS)
    lower, upper = tl.load(levels + n), tl.load(levels + n + 1)
    falls = _falls(lower, upper, a0, a1, a2, a3)
    blend = tl.where(falls, 1.0, 0.0)
    if tl.max(blend, axis=0) > 0.0:
        mean = (a0 + a1 + a2 + a3) * 0.25
        for number in range(1, BLENDS):
            share = number * (1.0 / BLENDS)
            still = _falls(
                lower, upper, a0 + share * (mean - a0), a1 + share * (mean - a1),
                a2 + share * (mean - a2), a3 + share * (mean - a3),
            )  # fmt: skip
            blend = tl.where((blend == 1.0) & ~still, share, blend)
        a0 += blend * (mean - a0)
        a1 += blend * (mean - a1)
        a2 += blend * (mean - a2)
        a3 += blend * (mean - a3)
    tl.store(out + at, a0, mask=inside)
    tl.store(out + plane + at, a1, mask=inside)
    tl.store(out + 2 * plane + at, a2, mask=inside)
    tl.store(out + 3 * plane + at, a3, mask=inside)
    tl.store(out + 4 * plane + at, saturation, mask=inside)


@triton.jit
def _between(plane, low_row, high_row, weight_y, low_column, high_column, weight_x, width, mask):
    """A map between its samples."""
    left = tl.load(plane + low_row * width + low_column, mask=mask, other=0.0)
    bottom = tl.load(plane + high_row * width + low_column, mask=mask, other=0.0)
    left += (bottom - left) * weight_y
    right = tl.load(plane + low_row * width + high_column, mask=mask, other=0.0)
    bottom = tl.load(plane + high_row * width + high_column, mask=mask, other=0.0)
    right += (bottom - right) * weight_y
    return left + (right - left) * weight_x


@triton.jit
def _shown(x, luma, enhanced, factor):
    return tl.minimum(tl.maximum(enhanced + (x - luma) * factor, 0.0), 1.0)


@triton.jit
def _enhanced(red, green, blue, luma, strength, saturation):
    """Red, green and blue after the curve."""
    enhanced = curved(luma, strength)
    deviation = tl.maximum(tl.maximum(red, green), blue) - luma
    factor = gain_of(luma, enhanced, deviation, saturation)
    return (
        _shown(red, luma, enhanced, factor),
        _shown(green, luma, enhanced, factor),
        _shown(blue, luma, enhanced, factor),
    )


@triton.jit
def _level(red, green, blue, luma, strength, saturation, lit, count):
    """Mean level after the curve of so many probed pixels that are lit."""
    red, green, blue = _enhanced(red, green, blue, luma, strength, saturation)
    return tl.sum(tl.where(lit, red + green + blue, 0.0)) / (3.0 * count)


@triton.jit
def _fitting_share(
    maps, thumbnail, height, width, map_height, map_width, max_level,
    scale_y, offset_y, scale_x, offset_x, STEP: tl.constexpr, PROBE: tl.constexpr,
):  # fmt: skip
    """What the curves are to be multiplied with (see ``control.within_level``)."""
    n = tl.arange(0, PROBE)
    across = (width + STEP - 1) // STEP
    rows, columns = n // across, n % across
    probe = rows * STEP < height
    spot = rows * STEP * width + columns * STEP
    plane = height * width
    red = tl.load(thumbnail + spot, mask=probe, other=0.0).to(tl.float32)
    green = tl.load(thumbnail + plane + spot, mask=probe, other=0.0).to(tl.float32)
    blue = tl.load(thumbnail + 2 * plane + spot, mask=probe, other=0.0).to(tl.float32)
    luma = red * RED + green * GREEN + blue * BLUE

    low_row, high_row, weight_y = neighbours(rows, scale_y, offset_y, map_height)
    low_column, high_column, weight_x = neighbours(columns, scale_x, offset_x, map_width)
    size = map_height * map_width
    a0 = _between(
        maps, low_row, high_row, weight_y, low_column, high_column, weight_x, map_width, probe
    )
    a1 = _between(
        maps + size, low_row, high_row, weight_y, low_column, high_column, weight_x,
        map_width, probe,
    )  # fmt: skip
    a2 = _between(
        maps + 2 * size, low_row, high_row, weight_y, low_column, high_column, weight_x,
        map_width, probe,
    )  # fmt: skip
    a3 = _between(
        maps + 3 * size, low_row, high_row, weight_y, low_column, high_column, weight_x,
        map_width, probe,
    )  # fmt: skip
    a = strength_of(luma, a0, a1, a2, a3)
    saturation = _between(
        maps + 4 * size, low_row, high_row, weight_y, low_column, high_column, weight_x,
        map_width, probe,
    )  # fmt: skip

    full_red, full_green, full_blue = _enhanced(red, green, blue, luma, a, saturation)
    lit = probe & (tl.maximum(tl.maximum(full_red, full_green), full_blue) > BLACK_LEVEL)
    count = tl.maximum(tl.sum(tl.where(lit, 1.0, 0.0)), 1.0)
    share = max_level * 0.0 + 1.0
    if _level(red, green, blue, luma, a, saturation, lit, count) > max_level:
        share = 0.0
        below = 0.0
        found = 0.0
        for number in range(SHARES + 1):
            strength = a * (number * (1.0 / SHARES))
            reached = _level(red, green, blue, luma, strength, saturation, lit, count)
            share, found = fitting_share(number, below, reached, max_level, share, found)
            below = reached
    return share


@triton.jit
def _target(maps, at, inside, share):
    """A map of this frame as it is kept."""
    return (tl.load(maps + at, mask=inside, other=0.0) * share).to(tl.float16)


@triton.jit(do_not_specialize=["height", "width", "map_height", "map_width", "slots"])
def light_control_kernel(
    maps, thumbnail, before, ring, edges, oldest_slot, weights, out, gain, denoise, parameters,
    height, width, map_height, map_width, max_level, scale_y, offset_y, scale_x, offset_x, slots,
    STEP: tl.constexpr, SIZE: tl.constexpr, PROBE: tl.constexpr, MAP_SIZE: tl.constexpr,
    CHAINED: tl.constexpr = False,
):  # fmt: skip
    """Turn finished light maps into those to apply. Runs in one block of threads.

    What one thread stores, another may have to load: so there are barriers in ``begins_scene`` and
    ``move_on``, and of all else nothing that is stored here is loaded here.

    Args:
        maps: ``(5, map_height, map_width)`` float32, of ``finish_kernel``.
        thumbnail: ``(3, height, width)`` float16 RGB in [0, 1].
        before: the thumbnail of the frame before, float16; replaced.
        ring: ``(slots, 5, map_height, map_width)`` float16, the targets; one is replaced.
        edges, oldest_slot, weights: see ``window_kernels``; changed.
        out: the maps to apply, float16.
        gain: one float32, what to multiply the curves of ``out`` with: the strength, or 0 if all
            of them are zeros.
        denoise: two float32: the denoiser's strength, 0 for none; and 1 if it is to start anew.
        parameters: of ``FrameParameters``, float32.
        max_level: as in ``ControlSettings``; 1 is no limit.
        scale_y .. offset_x: position of a probed pixel in the maps, ``scale * pixel + offset``.
        STEP: every so many pixels are probed, in each direction.
        SIZE, PROBE, MAP_SIZE: powers of two, not below the number of pixels, of probed ones, and
            of those of a map.
    """
    wait_for_kernel_before(CHAINED)
    plane = height * width
    strength = tl.load(parameters + STRENGTH)
    wanted_denoise = tl.load(parameters + DENOISE)
    disturbed = tl.load(parameters + DISTURBED)
    # A frame that stands alone leaves no traces.
    stays = tl.load(parameters + ALONE) == 0.0
    is_new = begins_scene(thumbnail, before, parameters, tl.arange(0, SIZE), plane)
    takes = takes_target(parameters, is_new)
    keep = tl.load(parameters + KEEP)
    oldest, first = move_on(edges, oldest_slot, weights, takes, keep, is_new, stays, slots)

    share = max_level * 0.0 + 1.0
    if max_level < 1.0:
        share = _fitting_share(
            maps, thumbnail, height, width, map_height, map_width, max_level,
            scale_y, offset_y, scale_x, offset_x, STEP, PROBE,
        )  # fmt: skip

    map_at = tl.arange(0, MAP_SIZE)
    size = map_height * map_width
    known = map_at < size
    t0 = _target(maps, map_at, known, share)
    t1 = _target(maps + size, map_at, known, share)
    t2 = _target(maps + 2 * size, map_at, known, share)
    t3 = _target(maps + 3 * size, map_at, known, share)
    t4 = _target(maps + 4 * size, map_at, known, 1.0)
    apart = 5 * size
    n0 = newest_of(t0, ring, apart, map_at, size, oldest, takes, slots)
    n1 = newest_of(t1, ring + size, apart, map_at, size, oldest, takes, slots)
    n2 = newest_of(t2, ring + 2 * size, apart, map_at, size, oldest, takes, slots)
    n3 = newest_of(t3, ring + 3 * size, apart, map_at, size, oldest, takes, slots)
    n4 = newest_of(t4, ring + 4 * size, apart, map_at, size, oldest, takes, slots)
    # See ``window_kernels.mean_of``.
    a0, a1, a2, a3, saturation = n0, n1, n2, n3, n4
    for rank in range(first, slots, AT_ONCE):
        for n in tl.static_range(AT_ONCE):
            weight = weight_of(weights, rank + n, slots)
            held = ring + (oldest + rank + n) % slots * apart
            a0 += further(n0, held, map_at, size, weight)
            a1 += further(n1, held + size, map_at, size, weight)
            a2 += further(n2, held + 2 * size, map_at, size, weight)
            a3 += further(n3, held + 3 * size, map_at, size, weight)
            saturation += further(n4, held + 4 * size, map_at, size, weight)
    largest = tl.maximum(tl.maximum(tl.abs(a0), tl.abs(a1)), tl.maximum(tl.abs(a2), tl.abs(a3)))
    # Smaller ones are zeros in ``out``.
    largest = tl.max(largest.to(tl.float16).to(tl.float32))
    dark = tl.zeros((MAP_SIZE,), tl.float32) + DARK_TONE
    at_dark = strength_of(dark, a0, a1, a2, a3)
    at_dark = tl.sum(tl.where(known, at_dark, 0.0)) / size

    # See ``maps.lift_of``.
    raised = curved(strength * 0.0 + DARK_TONE, at_dark * strength)
    lift = tl.minimum(tl.maximum(raised * (1.0 / DARK_TONE) - 1.0, 0.0), 1.0)
    wanted_denoise = wanted_denoise * lift
    wanted_denoise = tl.where(wanted_denoise < LEAST_STRENGTH, 0.0, wanted_denoise)
    tl.store(gain, tl.where(largest > 0.0, strength, 0.0))
    tl.store(denoise, wanted_denoise)
    tl.store(denoise + 1, tl.maximum(is_new, disturbed))

    tl.store(out + map_at, a0.to(tl.float16), mask=known)
    tl.store(out + size + map_at, a1.to(tl.float16), mask=known)
    tl.store(out + 2 * size + map_at, a2.to(tl.float16), mask=known)
    tl.store(out + 3 * size + map_at, a3.to(tl.float16), mask=known)
    tl.store(out + 4 * size + map_at, saturation.to(tl.float16), mask=known)
    taken = map_at < tl.where(stays & (takes == 1), size, 0)
    place = ring + oldest * apart + map_at
    tl.store(place, t0, mask=taken)
    tl.store(place + size, t1, mask=taken)
    tl.store(place + 2 * size, t2, mask=taken)
    tl.store(place + 3 * size, t3, mask=taken)
    tl.store(place + 4 * size, t4, mask=taken)
