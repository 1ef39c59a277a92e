"""The brightness limit, smoothing over time, and strength."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from zerodce_rt.curve.control import CUT_THRESHOLD, ControlSettings, CurveControl, within_level
from zerodce_rt.curve.maps import CurveMaps, apply


def maps(value: float) -> CurveMaps:
    return CurveMaps(np.full((3, 6, 8), value, np.float32))


def picture(level: float, size: tuple[int, int] = (6, 8)) -> NDArray[np.float32]:
    return np.full((3, *size), level, np.float32)


def control(smoothing_seconds: float = 0.5, strength: float = 1.0) -> CurveControl:
    return CurveControl(ControlSettings(smoothing_seconds=smoothing_seconds, strength=strength))


def followed(time_constants: float) -> float:
    """How far a step is followed; after four time constants, all of the window has seen it."""
    return min((1 - math.exp(-time_constants)) / (1 - math.exp(-4)), 1)


def step(
    control: CurveControl,
    estimate: CurveMaps,
    thumbnail: NDArray[np.float32],
    seconds: float | None,
) -> CurveMaps:
    return control.update(lambda: estimate, thumbnail, seconds)


def value(result: CurveMaps) -> float:
    assert np.ptp(result.values) == 0
    assert result.values.dtype == np.float32
    return float(result.values.flat[0])


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_strength_scales_the_maps(strength: float) -> None:
    result = step(control(0, strength), maps(-0.8), picture(0.1), None)
    assert value(result) == pytest.approx(-0.8 * strength)


def level_after(maps: CurveMaps, thumbnail: NDArray[np.float32]) -> float:
    return float(apply(thumbnail, maps).mean())


@pytest.mark.parametrize("k", [1, 8])
@pytest.mark.parametrize("size", [(6, 8), (90, 160), (160, 90), (1, 200), (1, 1)])
@pytest.mark.parametrize("max_level", [0.3, 0.5, 0.8])
def test_the_mean_is_limited_to_the_level(k: int, size: tuple[int, int], max_level: float) -> None:
    random = np.random.default_rng(0)
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    slope = (0.05 + 0.2 * (y / size[0] + x / size[1]) / 2).astype(np.float32)
    thumbnail = np.stack([slope, slope * 0.8, slope * 0.6])
    estimate = CurveMaps(-(0.85 + 0.1 * random.random((3 * k, *size), np.float32)))
    assert level_after(estimate, thumbnail) > 0.85
    held = within_level(estimate, thumbnail, max_level)
    assert level_after(held, thumbnail) == pytest.approx(max_level, abs=0.012)
    # All maps are scaled alike, so that colours and structure are kept.
    np.testing.assert_allclose(np.ptp(held.values / estimate.values), 0, atol=1e-6)


def test_maps_that_stay_within_the_level_are_returned_as_they_are() -> None:
    estimate, thumbnail = maps(-0.5), picture(0.1)
    reached = level_after(estimate, thumbnail)
    assert within_level(estimate, thumbnail, reached + 1e-3) is estimate
    assert within_level(estimate, thumbnail, 1.0) is estimate
    assert value(within_level(estimate, thumbnail, reached - 1e-3)) > -0.5


def test_black_bars_do_not_count() -> None:
    picture_alone, framed = picture(0.45), np.zeros((3, 12, 8), np.float32)
    framed[:, 3:9] = picture_alone
    alone = value(within_level(maps(-0.9), picture_alone, 0.5))
    tall = CurveMaps(np.full((3, 12, 8), -0.9, np.float32))
    assert value(within_level(tall, framed, 0.5)) == pytest.approx(alone)
    black = np.zeros_like(framed)
    assert within_level(tall, black, 0.5) is tall


@pytest.mark.parametrize("level", [0.501, 0.7, 1.0])
def test_a_bright_picture_gets_no_curve(level: float) -> None:
    assert value(within_level(maps(-0.9), picture(level), 0.5)) == 0


def test_maps_that_darken_a_bright_picture_are_kept() -> None:
    estimate = maps(0.3)
    assert within_level(estimate, picture(0.6), 0.5) is estimate


def test_limited_maps_are_smoothed_then_scaled_by_strength() -> None:
    settings = ControlSettings(strength=0.5, smoothing_seconds=0.5, max_level=0.5)
    calm, thumbnail = CurveControl(settings), picture(0.4)
    limit = value(within_level(maps(-0.9), thumbnail, 0.5))
    assert -0.2 < limit < 0
    step(calm, maps(0), thumbnail, 0.0)
    result = value(step(calm, maps(-0.9), thumbnail, 0.5))
    assert result == pytest.approx(0.5 * followed(1) * limit, abs=1e-5)


def test_strength_does_not_accumulate_over_time() -> None:
    calm = control(0.5, strength=0.5)
    for i in range(20):
        result = step(calm, maps(-0.8), picture(0.1), i / 30)
    assert value(result) == pytest.approx(-0.4)


def test_the_first_frame_is_not_smoothed() -> None:
    assert value(step(control(), maps(-0.8), picture(0.1), 5.0)) == pytest.approx(-0.8)


@pytest.mark.parametrize("steps", [1, 10])
def test_a_step_is_followed_with_the_time_constant(steps: int) -> None:
    # From 0 to 1 with time constant T: about 1 - exp(-t / T), however t is divided into frames.
    calm = control(0.5)
    step(calm, maps(0), picture(0.1), 2.0)
    for i in range(1, steps + 1):
        result = step(calm, maps(1), picture(0.1), 2.0 + 0.5 * i / steps)
    assert value(result) == pytest.approx(followed(1), abs=1e-5)


def test_uneven_frame_times_give_the_same_result() -> None:
    calm = control(0.2)
    step(calm, maps(0), picture(0.1), 0.0)
    for seconds in (0.02, 0.021, 0.15, 0.3):
        result = step(calm, maps(-1), picture(0.1), seconds)
    assert value(result) == pytest.approx(-followed(0.3 / 0.2), abs=1e-5)


def test_trembling_is_damped() -> None:
    # Estimates of -.5 +- .1 at 30 frames/s with T = .5 s: each frame moves the maps by
    # f = 1 - exp(-1/15) = 6.4 % of the difference, so in the end they tremble by
    # f / (2 - f) = 3.3 % of what the estimates do.
    calm, results = control(0.5), []
    for i in range(200):
        results.append(value(step(calm, maps(-0.5 + 0.1 * (-1) ** i), picture(0.1), i / 30)))
    assert max(np.abs(np.array(results[150:]) + 0.5)) == pytest.approx(0.1 * 0.0333, rel=0.05)


def test_a_cut_is_not_smoothed() -> None:
    calm = control()
    step(calm, maps(-0.8), picture(0.1), 0.0)
    assert value(step(calm, maps(0.2), picture(0.5), 1 / 30)) == pytest.approx(0.2)
    # ... and what follows is smoothed again.
    assert value(step(calm, maps(-0.8), picture(0.5), 2 / 30)) == pytest.approx(
        0.2 - followed(1 / 15), abs=1e-5
    )


@pytest.mark.parametrize(("share", "cut"), [(0.9, False), (1.1, True)])
def test_the_cut_threshold_is_relative_to_the_level(share: float, cut: bool) -> None:
    # Half of the pixels change by +d, half by -d: mean difference d, mean level unchanged.
    before = picture(0.2)
    change = CUT_THRESHOLD * 0.2 * share
    after = before + np.float32(change) * np.array([1, -1] * 4, np.float32)
    calm = control()
    step(calm, maps(-0.8), before, 0.0)
    followed = value(step(calm, maps(0.2), after, 1 / 30))
    assert (followed == pytest.approx(0.2)) is cut


def test_a_new_picture_size_is_a_cut() -> None:
    calm = control()
    step(calm, maps(-0.8), picture(0.1), 0.0)
    assert value(step(calm, maps(0.2), picture(0.1, (6, 9)), 1 / 30)) == pytest.approx(0.2)


@pytest.mark.parametrize("level", [0.0, 0.005, 0.1, 0.6])
def test_noise_is_no_cut(level: float) -> None:
    random = np.random.default_rng(0)
    calm = control()
    step(calm, maps(0), picture(level), 0.0)
    for i in range(1, 10):
        noisy = (picture(level) + random.normal(0, 0.1 * max(level, 0.02), (3, 6, 8))).clip(0, 1)
        result = value(step(calm, maps(1), noisy.astype(np.float32), i / 30))
        assert result == pytest.approx(followed(i / 15), abs=1e-5)


def test_a_slow_fade_is_no_cut() -> None:
    # From .02 to .8 over 60 frames: forty times brighter, but by little from frame to frame.
    calm = control()
    levels = np.geomspace(0.02, 0.8, 60)
    for i, level in enumerate(levels):
        result = value(step(calm, maps(0 if i == 0 else 1), picture(level), i / 30))
        assert result == pytest.approx(followed(i / 15), abs=1e-4)


def test_a_step_back_in_time_is_not_smoothed() -> None:
    calm = control()
    step(calm, maps(-0.8), picture(0.1), 10.0)
    assert value(step(calm, maps(0.2), picture(0.1), 3.0)) == pytest.approx(0.2)
    assert value(step(calm, maps(-0.8), picture(0.1), 3.1)) == pytest.approx(
        0.2 - followed(0.2), abs=1e-5
    )


def test_a_repeated_time_changes_nothing() -> None:
    calm = control()
    step(calm, maps(-0.8), picture(0.1), 1.0)
    assert value(step(calm, maps(0.2), picture(0.1), 1.0)) == pytest.approx(-0.8)


def test_an_estimate_is_used_until_it_is_old_or_a_cut_comes() -> None:
    calm = CurveControl(ControlSettings(smoothing_seconds=0.5, estimate_seconds=0.1))
    asked: list[int] = []

    def frame(number: int, thumbnail: NDArray[np.float32], estimate: float) -> float:
        def ask() -> CurveMaps:
            asked.append(number)
            return maps(estimate)

        # Rounded to milliseconds, as some containers do.
        return value(calm.update(ask, thumbnail, round(number / 30, 3)))

    results = [frame(i, picture(0.1), 0 if i == 0 else -1) for i in range(8)]
    assert asked == [0, 3, 6]
    # The estimate of frame 0 holds until frame 3, whose own is then followed frame by frame.
    assert results[:3] == [0, 0, 0]
    assert results[3:] == pytest.approx([-followed(i / 15) for i in range(1, 6)], abs=1e-2)
    assert frame(8, picture(0.5), -0.3) == pytest.approx(-0.3)
    assert asked == [0, 3, 6, 8]
    # A step back in time needs an estimate of its own; so does a picture without a time.
    assert frame(4, picture(0.5), -0.4) == pytest.approx(-0.4)
    alone = calm.update(lambda: maps(-0.6), picture(0.5), None)
    assert value(alone) == pytest.approx(-0.6)
    assert frame(5, picture(0.5), 0) == pytest.approx(-0.4)


def test_estimates_are_reused_without_smoothing_too() -> None:
    calm = CurveControl(ControlSettings(estimate_seconds=0.1))
    results = [value(step(calm, maps(-i / 10), picture(0.1), i / 20)) for i in range(5)]
    assert results == pytest.approx([0, 0, -0.2, -0.2, -0.4])


def test_reset_starts_a_new_scene() -> None:
    calm = control()
    step(calm, maps(-0.8), picture(0.1), 1.0)
    calm.reset()
    assert value(step(calm, maps(0.2), picture(0.1), 1.01)) == pytest.approx(0.2)


def test_pictures_without_time_are_never_smoothed() -> None:
    calm = control()
    for level in (-0.8, 0.2, -0.5):
        assert value(step(calm, maps(level), picture(0.1), None)) == pytest.approx(level)


def test_smoothing_can_be_off() -> None:
    calm = control(0)
    for i, level in enumerate((-0.8, 0.2, -0.5)):
        assert value(step(calm, maps(level), picture(0.1), i / 30)) == pytest.approx(level)


def test_the_estimate_is_not_written_to() -> None:
    calm, first = control(), maps(-0.8)
    step(calm, first, picture(0.1), 0.0)
    step(calm, maps(0.2), picture(0.1), 0.1)
    assert value(first) == pytest.approx(-0.8)


def test_align_corners_is_kept() -> None:
    calm = control(0.5, strength=0.5)
    for seconds in (0.0, 0.1):
        estimate = CurveMaps(maps(-0.8).values, align_corners=True)
        assert step(calm, estimate, picture(0.1), seconds).align_corners


@pytest.mark.parametrize(
    ("setting", "bad"),
    [
        ("strength", -0.1), ("strength", 1.5), ("strength", math.nan),
        ("smoothing_seconds", -1.0), ("smoothing_seconds", math.inf),
        ("smoothing_seconds", math.nan),
        ("estimate_seconds", -0.1), ("estimate_seconds", math.nan),
        ("denoise", -0.1), ("denoise", 1.1), ("denoise", math.nan), ("denoise_effort", 4),
        ("max_level", 0.0), ("max_level", 1.1), ("max_level", math.nan),
    ],
)  # fmt: skip
def test_settings_are_validated(setting: str, bad: float) -> None:
    with pytest.raises(ValueError, match=f"`{setting}` must be .*not {bad}"):
        ControlSettings(**{setting: bad})  # type: ignore[arg-type]
