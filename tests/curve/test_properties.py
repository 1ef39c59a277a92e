"""What holds for curves, their control and working sizes, whatever they are given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.properties import finite, frame_sides, levels, seeds, sides
from zerodce_rt.curve.control import BLACK_LEVEL, ControlSettings, CurveControl, within_level
from zerodce_rt.curve.light import KNOTS
from zerodce_rt.curve.maps import CurveMaps, apply, iterate, monotone, resize_bilinear
from zerodce_rt.curve.working_size import WorkingSize


def random_picture(seed: int, level: float, size: tuple[int, int] = (5, 8)) -> NDArray[np.float32]:
    """Noise that is not taken for a cut where only the seed differs."""
    noise = np.random.default_rng(seed).random((3, *size), np.float32)
    return (np.float32(level) * (0.7 + 0.3 * noise)).astype(np.float32)


def random_maps(seed: int, kind: str, size: tuple[int, int] = (3, 4)) -> CurveMaps:
    """Maps of noise in the whole of their range."""
    count = {"plus": 3, "dcenet": 24, "light": len(KNOTS) + 1}[kind]
    values = 2 * np.random.default_rng(seed).random((count, *size), np.float32) - 1
    if kind == "light":
        values[-1] = 1 + values[-1]
        return monotone(CurveMaps(values, knots=KNOTS))
    return CurveMaps(values)


kinds = st.sampled_from(["plus", "dcenet", "light"])


@given(kinds, seeds, levels)
def test_pictures_stay_pictures(kind: str, seed: int, level: float) -> None:
    picture = random_picture(seed, level).astype(np.float64)
    after = apply(picture, random_maps(seed, kind))
    assert after.shape == picture.shape
    assert after.min() >= -1e-9
    assert after.max() <= 1 + 1e-9
    unchanged = apply(picture, random_maps(seed, kind).scaled(0))
    np.testing.assert_allclose(unchanged, picture, atol=1e-6)


@given(seeds, st.sampled_from(["plus", "dcenet"]))
def test_more_light_stays_more_light(seed: int, kind: str) -> None:
    """Each iteration rises in x for maps in [-1, 1], so that no tone overtakes another."""
    maps = random_maps(seed, kind, (1, 1)).values.astype(np.float64)
    grey = np.linspace(0, 1, 65).reshape(1, 1, -1).repeat(3, axis=0)
    after = iterate(grey, maps)
    assert (np.diff(after, axis=-1) >= -1e-12).all()
    assert np.abs(after[..., [0, -1]] - [0, 1]).max() < 1e-12


@given(seeds, st.integers(1, 6))
def test_light_maps_made_monotone_rise_everywhere(seed: int, cells: int) -> None:
    values = 2 * np.random.default_rng(seed).random((len(KNOTS) + 1, 1, cells), np.float32) - 1
    before = CurveMaps(values, knots=KNOTS)
    after = monotone(before)
    np.testing.assert_array_equal(after.values[-1], values[-1])
    assert (after.curves.min(axis=0) >= before.curves.min(axis=0) - 1e-6).all()
    assert (after.curves.max(axis=0) <= before.curves.max(axis=0) + 1e-6).all()
    assert monotone(after) is after
    for cell in range(cells):
        one = replace(after, values=after.values[:, :, cell : cell + 1])
        grey = np.linspace(0, 1, 301).reshape(1, 1, -1).repeat(3, axis=0)
        level = apply(grey, one)[0, 0]
        # Between the levels at which it is checked, and at a knot, by an 8-bit level at most.
        assert (np.maximum.accumulate(level) - level).max() <= 1.5 / 255


@given(st.data(), sides, sides, st.booleans())
def test_resized_maps_stay_within_their_bounds(
    data: st.DataObject, height: int, width: int, align_corners: bool
) -> None:
    h, w = data.draw(sides), data.draw(sides)
    image = np.random.default_rng(data.draw(seeds)).normal(size=(2, h, w))

    def resized(image: NDArray[Any]) -> NDArray[Any]:
        return resize_bilinear(image, height, width, align_corners=align_corners)

    result = resized(image)
    assert result.shape == (2, height, width)
    assert result.min() >= image.min() - 1e-12
    assert result.max() <= image.max() + 1e-12
    np.testing.assert_allclose(resized(np.full_like(image, 0.3)), 0.3, rtol=1e-15)
    np.testing.assert_allclose(resized(3 * image + 1), 3 * result + 1, atol=1e-12)
    # A mirror image of the result is the result of the mirror image, but for one sample alone.
    if not (align_corners and 1 in (height, width)):
        flipped = resized(image[:, ::-1, ::-1])
        np.testing.assert_allclose(flipped[:, ::-1, ::-1], result, atol=1e-9)
    same = resize_bilinear(image, h, w, align_corners=align_corners)
    np.testing.assert_allclose(same, image, atol=1e-12)


# ---- control

# Equal ones, jumps back and far away, and what a camera gives.
times = st.one_of(
    finite, st.floats(0, 3), st.sampled_from([0.0, 1.0, 1 / 30, 1e308, -1e308]), st.integers(0, 5)
)
# Some are of one scene, others begin a new one.
steps = st.lists(
    st.tuples(times, seeds, st.sampled_from([0.1, 0.12]) | levels), min_size=1, max_size=6
)
durations = st.sampled_from([0.0, 5e-324, 0.1, 0.5, 1e300])
controls = st.builds(
    ControlSettings, strength=levels, smoothing_seconds=durations, estimate_seconds=durations,
    max_level=st.floats(0.1, 1),
)  # fmt: skip
Step = tuple[float, int, float]


def run(control: CurveControl, kind: str, step: Step, *, alone: bool = False) -> CurveMaps:
    seconds, seed, level = step
    return control.update(
        lambda: random_maps(seed, kind), random_picture(seed, level), None if alone else seconds
    )


@given(controls, kinds, steps)
def test_maps_over_time_stay_within_those_that_were_estimated(
    wanted: ControlSettings, kind: str, history: list[Step]
) -> None:
    control = CurveControl(wanted)
    bound = np.zeros((3, 4), np.float32)
    for step in history:
        maps = run(control, kind, step)
        assert np.isfinite(maps.values).all()
        bound = np.maximum(bound, np.abs(random_maps(step[1], kind).curves).max(axis=0))
        assert (np.abs(maps.curves) <= wanted.strength * bound + 1e-5).all()
        assert maps.values.dtype == np.float32


@given(controls, kinds, steps)
def test_without_strength_nothing_changes(
    wanted: ControlSettings, kind: str, history: list[Step]
) -> None:
    control = CurveControl(replace(wanted, strength=0.0))
    for step in history:
        assert not run(control, kind, step).curves.any()


@given(controls, kinds, steps, steps)
def test_after_a_reset_the_past_is_forgotten(
    wanted: ControlSettings, kind: str, past: list[Step], history: list[Step]
) -> None:
    old, new = CurveControl(wanted), CurveControl(wanted)
    for step in past:
        run(old, kind, step)
    old.reset()
    for step in history:
        np.testing.assert_array_equal(run(old, kind, step).values, run(new, kind, step).values)
        assert old.new_scene == new.new_scene


@given(controls, kinds, steps, steps)
def test_a_step_back_forgets_the_past_too(
    wanted: ControlSettings, kind: str, past: list[Step], history: list[Step]
) -> None:
    old, new = CurveControl(wanted), CurveControl(wanted)
    for step in past:
        run(old, kind, step)
    assume(history[0][0] < past[-1][0])
    for step in history:
        np.testing.assert_array_equal(run(old, kind, step).values, run(new, kind, step).values)


@given(controls, kinds, steps, seeds, levels)
def test_a_picture_alone_neither_sees_nor_leaves_a_trace(
    wanted: ControlSettings, kind: str, history: list[Step], seed: int, level: float
) -> None:
    disturbed, alone = CurveControl(wanted), CurveControl(wanted)
    expected = run(CurveControl(wanted), kind, (0.0, seed, level), alone=True)
    for step in history:
        single = run(disturbed, kind, (0.0, seed, level), alone=True)
        np.testing.assert_array_equal(single.values, expected.values)
        np.testing.assert_array_equal(
            run(disturbed, kind, step).values, run(alone, kind, step).values
        )


@st.composite
def videos(draw: st.DrawFn) -> list[Step]:
    """Frames of a video: rounded or not, of a constant rate or another; some begin a scene."""
    count, scene = draw(st.integers(30, 90)), draw(st.integers(5, 60))
    random = np.random.default_rng(draw(seeds))
    gaps = np.full(count, 1 / draw(st.sampled_from([8, 23.976, 25, 29.97, 30, 60])))
    if draw(st.booleans()):
        gaps *= random.choice([0, 0.2, 1, 1, 1, 3], count)
    digits = draw(st.sampled_from([3, 4, 15]))
    moments = [round(float(t), digits) for t in draw(st.floats(-2, 3e5)) + np.cumsum(gaps)]
    cuts = np.cumsum(random.random(count) < 1 / scene) % 2
    return [
        (t, n, 0.1 if cut else 0.4) for n, (t, cut) in enumerate(zip(moments, cuts, strict=True))
    ]


@given(
    videos(), kinds, st.sampled_from([0.0, 0.02, 0.05, 0.13]),
    st.sampled_from([0.0, 0.05, 0.1, 0.3]), st.floats(0, 0.7),
)  # fmt: skip
def test_a_part_of_a_video_is_as_in_the_whole_after_the_warm_up(
    video: list[Step], kind: str, smoothing: float, cell: float, part: float
) -> None:
    wanted = ControlSettings(
        smoothing_seconds=smoothing, estimate_seconds=cell, max_level=0.5, strength=0.8
    )
    whole, late = CurveControl(wanted), CurveControl(wanted)
    expected = [(run(whole, kind, step).values, whole.new_scene) for step in video]
    start = int(part * len(video))
    compared = 0
    for number in range(start, len(video)):
        got = run(late, kind, video[number]).values
        # The part begins one frame before what the maps of this frame may hang on.
        if number > start and video[number][0] - video[start + 1][0] >= wanted.warm_up_seconds:
            np.testing.assert_array_equal(got, expected[number][0])
            assert late.new_scene == expected[number][1]
            compared += 1
    assume(compared)


@given(kinds, seeds, levels, st.floats(0.05, 1))
def test_no_picture_is_lifted_above_the_level(
    kind: str, seed: int, level: float, most: float
) -> None:
    picture, maps = random_picture(seed, level), random_maps(seed, kind, (5, 8))
    maps = replace(maps, values=np.concatenate([-np.abs(maps.curves), maps.values[-1:]])
                   if kind == "light" else -np.abs(maps.values))  # fmt: skip
    full = apply(picture, maps)
    lit = full.max(axis=0) > BLACK_LEVEL
    limited = within_level(maps, picture, most)
    if not lit.any() or full[:, lit].mean() <= most:
        assert limited is maps
        return
    before = float(picture[:, lit].mean())
    after = float(apply(picture, limited)[:, lit].mean())
    if before < most:
        assert limited is maps or after == pytest.approx(most, abs=0.012)
    else:
        assert not limited.curves.any()
        assert after == pytest.approx(before, abs=1e-6)


# ---- working sizes

working_sizes = st.one_of(
    st.builds(WorkingSize, long_side=st.integers(16, 10_000)),
    st.builds(WorkingSize, divisor=st.integers(2, 1000)),
    st.just(WorkingSize()),
)


@given(working_sizes)
def test_the_text_of_a_working_size_is_read_back(size: WorkingSize) -> None:
    assert WorkingSize.parse(str(size)) == WorkingSize.parse(size) == size


@given(st.text() | st.from_regex(r"(1/)?-?\d{1,6}|full.?", fullmatch=True) | st.integers())
def test_a_working_size_is_read_or_refused(value: str | int) -> None:
    try:
        size = WorkingSize.parse(value)
    except ValueError as error:
        assert "`working_size` must be" in str(error)  # noqa: PT017 - most are refused
    else:
        assert int(str(size).removeprefix("1/")) > 1 if value != "full" else size.published


@given(working_sizes, frame_sides, frame_sides)
@example(WorkingSize(long_side=17), 17, 17)
@example(WorkingSize(long_side=18), 4000, 18)
def test_thumbnails_fit_their_frames(size: WorkingSize, height: int, width: int) -> None:
    small_height, small_width = size.of(height, width)
    assert 1 <= small_height <= height
    assert 1 <= small_width <= width
    assert size.of(width, height) == (small_width, small_height)
    scale = 1 / (size.divisor or 1)
    if size.long_side is not None:
        assert max(small_height, small_width) <= size.long_side
        scale = min(1.0, size.long_side / max(height, width))
    # Sides may be multiples of 4.
    assert abs(small_height - height * scale) < 4
    assert abs(small_width - width * scale) < 4
