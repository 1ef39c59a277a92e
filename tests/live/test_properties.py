"""What holds for the effort and the meters, however images come."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.properties import finite
from zerodce_rt.live.effort import MOST, Effort
from zerodce_rt.live.meters import WINDOW_SECONDS, LatencyMeter, RateMeter

shares = st.floats(0, 10)
images = st.tuples(shares, st.floats(0.001, 1), st.floats(0, 5))


@given(st.lists(images, max_size=120))
def test_the_effort_moves_by_steps_within_its_bounds(sequence: list[tuple[float, ...]]) -> None:
    effort, now, lowered = Effort(), 0.0, -math.inf
    for share, period, pause in sequence:
        before, now = effort.value, now + pause
        effort.spent(share * period, period, now)
        assert 0 <= effort.value <= MOST
        assert abs(effort.value - before) <= 1
        if effort.value < before:
            lowered = now
        if effort.value > before:  # what was too much is not tried again at once
            assert now - lowered > WINDOW_SECONDS


@given(st.floats(0, 0.25), st.floats(0.65, 20), st.lists(images, max_size=60))
def test_the_effort_ends_where_the_time_allows(
    little: float, much: float, past: list[tuple[float, ...]]
) -> None:
    for share, expected in ((little, MOST), (much, 0)):
        effort, now = Effort(), 0.0
        for spent, period, pause in past:
            now += pause
            effort.spent(spent * period, period, now)
        for _ in range(300):
            now += WINDOW_SECONDS
            effort.spent(share, 1.0, now)
        assert effort.value == expected


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), finite.filter(lambda x: abs(x) < 1e6))
@example([0.0], 0.0)
@example([0.5, 0.0, 0.0], 5.0)
def test_the_rate_lies_between_the_slowest_and_the_fastest(gaps: list[float], start: float) -> None:
    meter, ticks = RateMeter(), [start]
    meter.tick(start)
    for gap in gaps:
        ticks.append(ticks[-1] + gap)
        meter.tick(ticks[-1])
    now = ticks[-1]
    recent = [b - a for a, b in pairwise(ticks) if now - a <= WINDOW_SECONDS]
    if any(recent):
        fastest = 1 / min(recent) if min(recent) else math.inf
        assert (1 - 1e-9) / max(recent) <= meter.rate(now) <= fastest * (1 + 1e-9)
    else:  # one image alone, or all at the same time
        assert meter.rate(now) == 0
    assert meter.rate(now + WINDOW_SECONDS + 0.001) == 0


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50), st.integers(1, 20))
def test_the_latency_is_in_the_middle_of_the_last_ones(delays: list[float], size: int) -> None:
    meter = LatencyMeter(size)
    for delay in delays:
        meter.add(delay)
    last = [1000 * d for d in delays[-size:]]
    median = meter.median_ms()
    assert 2 * sum(d <= median for d in last) >= len(last)
    assert 2 * sum(d >= median for d in last) >= len(last)
    meter_backwards = LatencyMeter(size)
    for delay in reversed(delays[-size:]):
        meter_backwards.add(delay)
    assert meter_backwards.median_ms() == median
