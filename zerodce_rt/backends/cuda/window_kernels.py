"""``curve.window`` inside Triton kernels: targets, and how much each of them counts.

Targets lie in a ring of slots, as float16. With each goes its edge, the weight of the moment from
which on it has been held, relative to the weight of the present: a frame multiplies all edges with
``exp(-elapsed / smoothing_seconds)``, and none is below that of the window's far end. A target
counts by the difference of two edges, the next one's and its own. So what is computed hangs on the
frames since the oldest target that counts, and on nothing before.

Ranks run from the oldest slot, which the next target overwrites, to the newest.
"""

import triton
import triton.language as tl

from zerodce_rt.curve import window

END = tl.constexpr(window.END)
SCALE = tl.constexpr(1 / (1 - window.END))
RANKS = tl.constexpr(triton.next_power_of_2(window.MOST + 2))


def slots_for(values: int) -> int:
    """Slots for maps of so many values.

    As many as cells that a window can touch, which may begin in the midst of one, and one for the
    target that is held where it begins.
    """
    return window.cells_in_window(values) + 2


@triton.jit
def _edge(edges, oldest, rank, takes, keep, slots):
    """The edge of a target at this frame."""
    edge = tl.maximum(tl.load(edges + (oldest + rank) % slots) * keep, END)
    # The oldest that is left is taken to hold as far as the window reaches.
    return tl.where(rank > takes, edge, END)


@triton.jit
def move_on(edges, oldest_slot, weights, takes, keep, is_new, stays, slots):
    """Weigh the targets at this frame, and move the ring on. Runs in one block of threads.

    Args:
        edges: ``(slots,)`` float32, by slot; as after the frame before, and replaced.
        oldest_slot: one int32, the slot of rank 0; replaced.
        weights: ``(slots,)`` float32, by rank: how much each target counts. The newest gets what
            the others leave, and its own stays 0. Set, for all threads to load.
        takes: 1 if this frame has a target of its own, which takes the slot of rank 0, else 0.
        keep: what this frame multiplies edges with.
        is_new: 1 if this frame begins a scene, else 0.
        stays: whether this frame is one of the video; one that stands alone leaves no traces.

    Returns:
        The slot of rank 0, and the first rank that counts, or ``slots``.
    """
    oldest = tl.load(oldest_slot)
    ranks = tl.arange(0, RANKS)
    start = _edge(edges, oldest, ranks, takes, keep, slots)
    end = _edge(edges, oldest, ranks + 1, takes, keep, slots)
    own = tl.maximum(keep, END)
    last = slots - 1
    end = tl.where(ranks < last, end, own)
    counts = ranks < tl.where(is_new > 0.0, 0, last + takes)
    weight = tl.where(counts, (end - start) * SCALE, 0.0)
    edge = tl.where(ranks < takes, own, start)
    edge = tl.where(is_new > 0.0, END, edge)
    tl.debug_barrier()  # other threads may still have to load what is stored here
    tl.store(edges + (oldest + ranks) % slots, edge, mask=ranks < tl.where(stays, slots, 0))
    tl.store(oldest_slot, (oldest + takes) % slots, mask=stays)
    tl.store(weights + ranks, weight, mask=ranks < slots)
    tl.debug_barrier()  # and may load what other threads have stored
    return oldest, tl.min(tl.where(weight > 0.0, ranks, slots))


@triton.jit
def newest_of(target, ring, apart, at, count, oldest, takes, slots):
    """Values of the newest target, of this frame or an earlier one, as float32.

    Args:
        target: this frame's, float16.
        ring .. count: as for ``mean_of``.
    """
    last = ring + ((oldest + slots - 1) % slots).to(tl.int64) * apart
    held = tl.load(last + at, mask=at < tl.where(takes == 0, count, 0), other=0.0)
    return tl.where(takes == 1, target, held).to(tl.float32)


@triton.jit
def further(newest, target, at, count, weight):
    """What an older target adds to a mean that begins with the newest.

    Args:
        at: the target's values, of which those below ``count`` exist.
    """
    # Warming up on uninitialised memory may have left NaN in what does not count.
    counts = at < tl.where(weight > 0.0, count, 0)
    held = tl.load(target + at, mask=counts, other=0.0).to(tl.float32)
    # A difference: equal targets give what each of them is.
    return weight * (held - newest)


@triton.jit
def mean_of(
    newest, ring, apart, at, count, weights, oldest, first, slots, AT_ONCE: tl.constexpr
):  # fmt: skip
    """Values of the targets in a window, weighted; the oldest is added first.

    Args:
        newest: those of the newest target, float32.
        ring: float16; ``apart`` values from one slot to the next.
        at: the values in a slot, of which those below ``count`` exist.
        weights .. first: of ``move_on``.
        AT_ONCE: slots that are loaded before the first is waited for.
    """
    total = newest
    for rank in range(first, slots, AT_ONCE):
        for n in tl.static_range(AT_ONCE):
            target = ring + ((oldest + rank + n) % slots).to(tl.int64) * apart
            total += further(newest, target, at, count, weight_of(weights, rank + n, slots))
    return total


@triton.jit
def weight_of(weights, rank, slots):
    """A target's weight; 0 for ranks that do not exist."""
    return tl.load(weights + rank, mask=rank < slots, other=0.0)
