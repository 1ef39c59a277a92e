"""``--only-when-dark``: day images stay as they are, and a passing light changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.captured import captured
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.live.darkness import DarkSwitch
from zerodce_rt.live.shots import Brightener


def image(level: float) -> NDArray[np.uint8]:
    noise = np.random.default_rng(1).normal(255 * level, 4, (72, 128, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


def answers(levels: list[float], *, rate: float = 10.0) -> list[bool]:
    switch = DarkSwitch()
    return [switch(image(level), number / rate) for number, level in enumerate(levels)]


def test_the_first_image_decides_and_later_ones_need_time() -> None:
    assert answers([0.1]) == [True]
    assert answers([0.6]) == [False]
    evening = answers([0.6] * 10 + [0.1] * 40)
    assert evening.index(True) == 30, "2 s after it got dark"
    assert all(evening[30:])
    assert answers([0.1] * 10 + [0.6] * 40).index(False) == 30


def test_a_passing_light_or_a_level_between_changes_nothing() -> None:
    assert all(answers([0.1] * 10 + [0.8] * 15 + [0.1] * 20))
    assert all(answers([0.1] * 10 + [0.3] * 100)), "lighter, but not by the factor"
    assert not any(answers([0.5] * 10 + [0.3] * 100)), "darker, but not dark"


def test_time_that_goes_back_begins_anew() -> None:
    switch = DarkSwitch()
    assert switch(image(0.1), 100.0)
    assert switch(image(0.6), 101.0)
    assert switch(image(0.6), 50.0), "not two seconds yet"
    assert not switch(image(0.6), 52.5)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, float("nan")])
def test_a_level_out_of_range(level: float) -> None:
    with pytest.raises(ValueError, match=r"between 0 and 1|level"):
        DarkSwitch(level)


def test_day_is_left_alone_and_night_is_not() -> None:
    bright = Brightener(Enhancer.for_video(), is_dark=DarkSwitch())
    day, night = image(0.6), image(0.1)
    shot = bright(captured(day, 0.0))
    assert shot.after is day
    assert bright.is_day
    assert np.array_equal(bright.again(shot).after, day)
    levels = [float(bright(captured(night, 1 + number / 10)).after.mean()) for number in range(40)]
    assert levels[0] == night.mean()
    assert levels[-1] > 1.5 * night.mean()
    assert not bright.is_day
