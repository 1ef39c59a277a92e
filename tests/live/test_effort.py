"""How much of the denoiser there is time for."""

from __future__ import annotations

from zerodce_rt.live.effort import MOST, Effort

PERIOD = 1 / 30


def run(effort: Effort, share: float, seconds: float, start: float) -> float:
    """Count images that take such a share of the time between them; returns the time after."""
    now = start
    while now < start + seconds:
        now += PERIOD
        effort.spent(share * PERIOD, PERIOD, now)
    return now


def test_with_time_everything_is_done() -> None:
    effort = Effort()
    run(effort, 0.5, 10, 0)
    assert effort.value == MOST


def test_without_time_one_part_after_another_is_left_out() -> None:
    effort = Effort()
    seen = [effort.value]
    now = 0.0
    for _ in range(8):
        now = run(effort, 0.9, 1.1, now)
        seen.append(effort.value)
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {3, 2, 1, 0}


def test_it_comes_back_when_there_is_time_and_tries_less_often_each_time() -> None:
    effort = Effort()
    now = run(effort, 0.9, 1.5, 0)
    assert effort.value == MOST - 1
    pauses = []
    for _ in range(3):
        began = now
        while effort.value < MOST:
            now = run(effort, 0.1, PERIOD, now)
        pauses.append(now - began)
        while effort.value == MOST:  # and it is too much again
            now = run(effort, 0.9, PERIOD, now)
    assert pauses == sorted(pauses)
    assert pauses[-1] > 2 * pauses[0]
    run(effort, 0.1, 120, now)
    assert effort.value == MOST


def test_a_single_slow_image_changes_nothing() -> None:
    effort = Effort()
    now = run(effort, 0.4, 1.0, 0)
    effort.spent(10 * PERIOD, PERIOD, now)
    run(effort, 0.4, 3, now)
    assert effort.value == MOST
