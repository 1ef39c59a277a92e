"""The window over recent targets: its weights, its grid, and that nothing older counts."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import pairwise

import numpy as np
import pytest

from zerodce_rt.curve.control import ControlSettings, CurveControl
from zerodce_rt.curve.maps import CurveMaps
from zerodce_rt.curve.window import (
    FEWEST,
    LENGTH,
    MOST,
    MOST_VALUES,
    Window,
    cells_in_window,
    enters_cell,
    grid_seconds,
)


def maps(value: float) -> CurveMaps:
    return CurveMaps(np.full((3, 2, 2), value, np.float32))


def filled(times: list[float]) -> Window:
    """Targets that are their own number, from frames at these times."""
    window = Window()
    window.begin(maps(0))
    for number, (before, _) in enumerate(pairwise(times), 1):
        window.add(maps(number), since=before)
    return window


@pytest.mark.parametrize("smoothing", [0.05, 0.2, 5.0])
@pytest.mark.parametrize("later", [0.0, 0.013, 0.3])
def test_the_mean_is_that_of_what_was_held(smoothing: float, later: float) -> None:
    times = [0.0, 0.04, 0.05, 0.2, 0.31, 0.5]
    now = times[-1] + later
    got = filled(times).mean(now, smoothing).values.flat[0]
    middles = now - (np.arange(200_000) + 0.5) / 200_000 * LENGTH * smoothing
    weights = np.exp((middles - now) / smoothing)
    held = np.searchsorted(times[:-1], middles)  # each from the time of the frame before its own
    assert got == pytest.approx(float((held * weights).sum() / weights.sum()), abs=1e-3)


def test_the_mean_moves_smoothly_when_a_target_leaves() -> None:
    times = [n / 10 for n in range(30)]
    means = []
    for now in np.arange(2.9, 3.9, 0.001):
        means.append(float(filled(times).mean(float(now), 0.5).values.flat[0]))
    assert np.abs(np.diff(means, 2)).max() < 1e-4
    assert np.ptp(means) > 0.5


def test_equal_targets_give_what_each_is() -> None:
    value, window = np.float32(-0.3712345), Window()
    window.begin(maps(value))
    for number in range(1, 20):
        window.add(maps(value), since=number / 30)
        assert (window.mean(number / 30 + 0.01, 0.5).values == value).all()


def test_what_has_left_the_window_is_dropped() -> None:
    window = filled([0.0, 1.0, 2.0, 3.0])
    window.mean(3.0, 0.6)  # reaches back to 0.6, where the second of the four is held
    assert len(window._targets) == 3
    window.mean(3.0, 0)
    assert len(window._targets) == 1


@pytest.mark.parametrize(
    ("rate", "expected"), [(30, [0, 3, 6, 9]), (25, [0, 3, 5, 8]), (7, [0, 1, 2, 3, 4, 5, 6, 7])]
)
def test_the_first_frame_in_each_cell_is_estimated(rate: int, expected: list[int]) -> None:
    for digits in (3, 15):
        times = [round(n / rate, digits) for n in range(max(expected) + 1)]
        new = [n for n in range(1, len(times)) if enters_cell(times[n - 1], times[n], 0.1)]
        assert [0, *new] == expected


def test_the_grid_does_not_hang_on_where_a_run_begins() -> None:
    times = [round(n / 29.97, 3) for n in range(500)]
    asked: dict[int, list[float]] = {}
    for start in (0, 137):
        control = CurveControl(ControlSettings(smoothing_seconds=0.5, estimate_seconds=0.1))
        asked[start] = []
        for seconds in times[start:]:

            def estimate(start: int = start, seconds: float = seconds) -> CurveMaps:
                asked[start].append(seconds)
                return maps(0)

            control.update(estimate, np.full((3, 4, 4), 0.1, np.float32), seconds)
    after = asked[0][bisect_left(asked[0], times[138]) :]
    assert asked[137] == [times[137], *after]


def test_the_cells_are_as_asked_for_if_they_fit() -> None:
    small, large = 720, 3 * 2160 * 3840
    assert grid_seconds(0.1, 0.5, small) == grid_seconds(0.1, 0.0, large) == 0.1
    assert grid_seconds(0, 0.5, small) == LENGTH * 0.5 / MOST
    assert grid_seconds(0.1, 0.5, large) == LENGTH * 0.5 / FEWEST
    assert grid_seconds(0, 0, small) == 0
    assert cells_in_window(MOST_VALUES // 20) == 20


@pytest.mark.parametrize("estimate_seconds", [0.0, 0.1])
def test_memory_is_bounded_at_any_rate(estimate_seconds: float) -> None:
    settings = ControlSettings(smoothing_seconds=0.2, estimate_seconds=estimate_seconds)
    control = CurveControl(settings)
    for number in range(3000):
        control.update(lambda: maps(0), np.full((3, 4, 4), 0.1, np.float32), number / 1000)
    assert len(control._window._targets) <= MOST + 2


def test_the_warm_up_is_stated_and_no_shorter() -> None:
    """A step in what is estimated has an influence for as long as is stated, and no longer."""
    settings = ControlSettings(smoothing_seconds=0.1, estimate_seconds=0.2)
    assert settings.warm_up_seconds == pytest.approx(0.6)
    assert ControlSettings(estimate_seconds=0.2).warm_up_seconds == 0.2
    assert ControlSettings().warm_up_seconds == 0
    control, thumbnail = CurveControl(settings), np.full((3, 4, 4), 0.1, np.float32)
    last = -math.inf
    for number in range(200):  # the target of the cell from 0.2 to 0.4 is another
        seconds = number / 100
        found = control.update(lambda n=number: maps(float(n == 20)), thumbnail, seconds)  # type: ignore[misc]
        if found.values.any():
            last = seconds
    assert 0.2 + settings.warm_up_seconds - 0.02 <= last < 0.2 + settings.warm_up_seconds
