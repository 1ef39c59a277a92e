"""What holds for whatever the pure parts are given: inputs are made up by Hypothesis."""

from __future__ import annotations

import argparse
import math
import string
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.noise import SENTINEL, blank, random_frame, visible
from tests.support.published import random_state
from zerodce_rt.cli.messages import as_options
from zerodce_rt.cli.options import fraction, frame_size, number, seconds
from zerodce_rt.curve.control import BLACK_LEVEL, ControlSettings, CurveControl, within_level
from zerodce_rt.curve.light import KNOTS
from zerodce_rt.curve.maps import CurveMaps, apply, iterate, monotone, resize_bilinear
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS, Colour, Frame, PixelFormat, from_array, plane_shapes
from zerodce_rt.live.effort import MOST, Effort
from zerodce_rt.live.meters import WINDOW_SECONDS, LatencyMeter, RateMeter
from zerodce_rt.media.compare import compose, width_of
from zerodce_rt.media.frames import convert, wrap
from zerodce_rt.media.paths import (
    PICTURE_SUFFIXES,
    VIDEO_SUFFIXES,
    default_output,
    is_picture,
    output_in_folder,
)
from zerodce_rt.media.reader import Span
from zerodce_rt.names import COMPARE_MODES
from zerodce_rt.network.checkpoint import load_weights

# The same examples in every run: a failure must be the change's, not chance's.
settings.register_profile("zerodce-rt", max_examples=60, deadline=None, derandomize=True)
settings.load_profile("zerodce-rt")
few = settings(max_examples=15)

formats = st.sampled_from(list(FORMATS.values()))
sides = st.integers(1, 40)
frame_sides = st.integers(1, 8192)
seeds = st.integers(0, 2**32 - 1)
colours = st.builds(Colour, st.sampled_from(["bt601", "bt709"]), st.booleans())
finite = st.floats(allow_nan=False, allow_infinity=False)


# ---- frames


def frame_of(format: PixelFormat, width: int, height: int, colour: Colour, seed: int = 0) -> Frame:
    return random_frame(format.name, width, height, colour, seed=seed)


def pixels(frame: Frame) -> NDArray[np.float64]:
    """The three samples of each pixel, ``(height, width, 3)``; chroma as often as it is shared."""
    planes, (shift_x, shift_y) = visible(frame), frame.format.chroma_shift
    if frame.format.layout == "packed":
        return planes[0].reshape(frame.height, frame.width, 3)
    if frame.format.layout == "yuyv":
        (all_,) = planes
        planes = [all_[:, 0::2], all_[:, 1::4], all_[:, 3::4]]
    elif frame.format.layout == "semiplanar":
        planes = [planes[0], planes[1][:, 0::2], planes[1][:, 1::2]]
    chroma = [p.repeat(1 << shift_y, 0).repeat(1 << shift_x, 1) for p in planes[1:]]
    return np.stack([p[: frame.height, : frame.width] for p in (planes[0], *chroma)], axis=-1)


@given(formats, frame_sides, frame_sides)
def test_planes_are_as_large_as_ffmpeg_says(format: PixelFormat, width: int, height: int) -> None:
    shapes = plane_shapes(format, width, height)
    if format.bits == 32:  # which not every FFmpeg has, and which is like the others
        format = replace(format, name="rgb24")
    theirs = av.VideoFormat(format.name, width, height)
    chroma = theirs.chroma_width() * theirs.chroma_height()
    if format.layout == "yuyv":  # the last pixel of an odd width has a luma sample for company
        samples = height * 4 * theirs.chroma_width()
    else:
        samples = width * height + 2 * (width * height if format.layout == "packed" else chroma)
    assert sum(rows * columns for rows, columns in shapes) == samples


@given(formats, sides, sides, seeds)
def test_a_frame_of_pyav_is_wrapped_in_its_own_memory(
    format: PixelFormat, width: int, height: int, seed: int
) -> None:
    theirs = av.VideoFrame(width, height, format.name)
    noise = frame_of(format, width, height, Colour(), seed)
    noise.copy_to(wrap(theirs))
    for a, b in zip(visible(noise), visible(wrap(theirs)), strict=True):
        np.testing.assert_array_equal(a, b)
    if format.layout == "packed":
        np.testing.assert_array_equal(pixels(noise), theirs.to_ndarray())
    if format.name in ("nv12", "yuv420p"):  # FFmpeg's own idea of where the samples are
        other = convert(theirs, FORMATS["yuv420p" if format.name == "nv12" else "nv12"])
        np.testing.assert_array_equal(pixels(noise), pixels(wrap(other)))


@given(formats, sides, sides, colours)
def test_copies_have_the_picture_and_not_the_memory(
    format: PixelFormat, width: int, height: int, colour: Colour
) -> None:
    frame = frame_of(format, width, height, colour)
    copy, target = frame.copy(), blank(frame)
    frame.copy_to(target)
    expected = pixels(frame)
    for plane in frame.planes:
        plane[:] = 0
    np.testing.assert_array_equal(pixels(copy), expected)
    np.testing.assert_array_equal(pixels(target), expected)
    assert (copy.format, copy.colour) == (format, colour)
    assert_padding_is_untouched(target)


def assert_padding_is_untouched(frame: Frame) -> None:
    shapes = plane_shapes(frame.format, frame.width, frame.height)
    for plane, (_, samples) in zip(frame.planes, shapes, strict=True):
        assert (plane[:, samples:] == SENTINEL).all()


@given(formats, sides, sides, st.data())
def test_planes_that_do_not_fit_are_refused(
    format: PixelFormat, width: int, height: int, data: st.DataObject
) -> None:
    shapes = plane_shapes(format, width, height)
    wrong = data.draw(st.integers(0, len(shapes) - 1))
    axis, change = data.draw(st.sampled_from([(0, -1), (0, 1), (1, -1)]))
    planes = []
    for index, shape in enumerate(shapes):
        changed = list(shape)
        changed[axis] += change * (index == wrong)
        planes.append(np.zeros(changed, format.dtype))
    with pytest.raises(ValueError, match=f"{width}x{height} needs planes of"):
        Frame(format, tuple(planes), width, height)


@given(
    sides, sides, st.sampled_from(["u1", "<u2", ">u2", "<f4", ">f4"]), st.sampled_from([1, -1, 2]),
    st.sampled_from(["rgb", "bgr"]),
)  # fmt: skip
def test_an_array_becomes_a_frame_of_the_same_pixels(
    width: int, height: int, dtype: str, step: int, order: str
) -> None:
    rng = np.random.default_rng(width)
    image = rng.integers(0, 256, (height, width * abs(step), 3)).astype(dtype)[:, ::step]
    frame = from_array(image, order=order)
    assert (frame.width, frame.height) == (width, height)
    assert frame.format.bgr == (order == "bgr")
    np.testing.assert_array_equal(frame.planes[0].reshape(image.shape), image)
    assert frame.planes[0].dtype.isnative
    plain = image.flags.c_contiguous and image.dtype.isnative
    assert np.shares_memory(frame.planes[0], image) == plain


# ---- before and after in one picture


@few
@pytest.mark.parametrize("mode", COMPARE_MODES)
@pytest.mark.parametrize("format", FORMATS.values(), ids=lambda format: format.name)
@given(
    width=st.integers(64, 150) | st.integers(2, 70), height=st.integers(1, 5), colour=colours,
    divider=st.floats(0, 0.9),
)  # fmt: skip
def test_both_parts_of_a_comparison_are_their_sources(
    format: PixelFormat, mode: str, width: int, height: int, colour: Colour, divider: float
) -> None:
    before = frame_of(format, width, height, colour, seed=1)
    after = frame_of(format, width, height, colour, seed=2)
    out = blank(frame_of(format, width_of(mode, width), height, colour))
    compose(before, after, mode, out, divider=divider)
    left, right, both = pixels(before), pixels(after), pixels(out)
    assert_padding_is_untouched(out)
    if mode == "side":
        half = out.width // 2
        assert width - half <= 1
        np.testing.assert_array_equal(both, np.hstack([left[:, :half], right[:, :half]]))
        return
    from_left = (both == left).all(axis=(0, 2))
    from_right = (both == right).all(axis=(0, 2))
    begin = int(np.argmin(from_left)) if not from_left.all() else width
    assert abs(begin - divider * width) <= 4
    line = int(np.argmax(from_right[begin:]))
    assert from_right[begin + line :].all()
    assert line == (0 if width < 64 else pytest.approx(width / 400, abs=2))
    if line:
        white = both[:, begin : begin + line].reshape(-1, 3)
        assert (white == white[0]).all()
        if format.layout != "packed":
            luma = colour.levels(format.bits)
            assert white[0].tolist() == [luma[0] + luma[1], luma[2], luma[2]]


# ---- working sizes, spans, and the command line


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
def test_thumbnails_fit_their_frames(size: WorkingSize, height: int, width: int) -> None:
    small_height, small_width = size.of(height, width)
    assert 1 <= small_height <= height
    assert 1 <= small_width <= width
    assert size.of(width, height) == (small_width, small_height)
    scale = 1 / (size.divisor or 1)
    if size.long_side is not None:
        assert max(small_height, small_width) <= size.long_side + 2
        scale = min(1.0, size.long_side / max(height, width))
    # Sides may be multiples of 4.
    assert abs(small_height - height * scale) < 4
    assert abs(small_width - width * scale) < 4


numbers = st.floats() | st.integers(-(10**9), 10**9)


@given(numbers, numbers)
def test_a_span_is_refused_or_holds_some_time(start: float, end: float) -> None:
    try:
        span = Span(start=start, end=end)
    except ValueError:
        assert not (start >= 0 and end > start)
    else:
        assert span.start >= 0
        assert span.end > span.start


typed = st.text() | st.text(alphabet="0123456789.:-+e_xX naif/", max_size=12)


@given(st.sampled_from([seconds, frame_size, number, fraction]), typed)
@example(seconds, "1:")
@example(number, "nan")
@example(frame_size, "²x1")
@example(frame_size, "1x²")
def test_options_are_read_or_refused(read: Callable[[str], Any], text: str) -> None:
    try:
        value = read(text)
    except argparse.ArgumentTypeError as error:
        assert str(error)  # noqa: PT017
    else:
        values = value if isinstance(value, tuple) else (value,)
        assert all(v >= 0 for v in values)
        assert read is not fraction or value <= 1


@given(st.integers(0, 99), st.integers(0, 59), st.floats(0, 59.999), st.integers(0, 10**9))
def test_options_are_read_as_they_are_written(h: int, m: int, s: float, n: int) -> None:
    assert seconds(f"{h}:{m:02}:{s!r}") == pytest.approx(3600 * h + 60 * m + s)
    assert seconds(f"{m}:{s!r}") == pytest.approx(60 * m + s)
    assert seconds(repr(s)) == number(repr(s)) == s
    assert frame_size(f"{n}x{h}") == frame_size(f"{n}X{h}") == (n, h)
    assert fraction(repr(s / 60)) == s / 60


words = st.text(alphabet=string.ascii_lowercase + "_", min_size=1, max_size=10)
prose = st.text(alphabet=st.characters(exclude_characters="`", exclude_categories=["Cs"]))


@given(prose, words, st.sampled_from(["", "=True", "=False", "='fast'", "=0.5"]), prose)
def test_settings_become_options_and_nothing_else_changes(
    before: str, name: str, value: str, after: str
) -> None:
    shown = as_options(f"{before}`{name}{value}`{after}")
    assert shown.startswith(before)
    assert shown.endswith(after)
    option = shown.removeprefix(before).removesuffix(after) if after else shown[len(before) :]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument(
        f"--{name.replace('_', '-')}", dest="it", nargs="?", const="True", default=None
    )
    parser.add_argument(f"--no-{name.replace('_', '-')}", dest="it", action="store_const",
                        const="False")  # fmt: skip
    assert parser.parse_args(option.split()).it == (value[1:].strip("'") or "True")
    assert as_options(shown) == shown


# ---- names of outputs

# Without dots inside: "clip.avi.mkv" is also what the output of "clip.avi" is called.
stems = st.text(alphabet="ab_-é夜 0", min_size=1, max_size=6)
suffixes = st.sampled_from(sorted(PICTURE_SUFFIXES | VIDEO_SUFFIXES)).flatmap(
    lambda suffix: st.sampled_from([suffix, suffix.upper()])
)
media_names = st.builds(str.__add__, stems, suffixes)
folders = st.lists(stems, max_size=2).map(lambda parts: Path("in", *parts))


@given(folders, media_names)
def test_the_default_output_is_another_file_beside_the_input(folder: Path, name: str) -> None:
    source = folder / name
    output = default_output(source)
    assert output.parent == folder
    assert output.name.casefold() != name.casefold()
    assert output.stem.startswith(source.stem)
    assert is_picture(output) == is_picture(source)
    assert output.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES
    again = default_output(output)
    assert again.suffix == output.suffix  # what was written is kept from then on
    assert again != output


# Few stems and folders, so that there are names which differ in their suffix alone.
crowd = st.builds(
    lambda folder, stem, suffix: Path("in", folder, stem + suffix),
    st.sampled_from(["", "a"]), st.sampled_from(["a", "b"]), suffixes,
)  # fmt: skip


@given(st.sets(crowd, min_size=2, max_size=12))
def test_outputs_of_a_folder_do_not_collide(sources: set[Path]) -> None:
    out = Path("out")
    outputs = [output_in_folder(source, Path("in"), out) for source in sources]
    assert len(set(outputs)) == len(sources)
    for source, output in zip(sources, outputs, strict=True):
        assert output.relative_to(out).parent == source.relative_to("in").parent
        assert output.suffix == default_output(source).suffix


# ---- curves


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
levels = st.floats(0, 1, width=32)


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


@given(kinds, seeds, levels, st.floats(0.05, 1))
def test_no_picture_is_lifted_above_the_level(
    kind: str, seed: int, level: float, most: float
) -> None:
    picture, maps = random_picture(seed, level), random_maps(seed, kind, (5, 8))
    maps = replace(maps, values=np.concatenate([-np.abs(maps.curves), maps.values[-1:]])
                   if kind == "light" else -np.abs(maps.values))  # fmt: skip
    full = apply(picture, maps)
    lit = full.max(axis=0) > BLACK_LEVEL
    assume(lit.any())
    # Within rounding of the level that the whole curve reaches, see within_level.
    assume(abs(float(full[:, lit].mean()) - most) > 1e-5)
    before = float(picture[:, lit].mean())
    limited = within_level(maps, picture, most)
    after = float(apply(picture, limited)[:, lit].mean())
    assert after <= max(most, before) + 0.012
    if before < most < float(full[:, lit].mean()):
        assert after == pytest.approx(most, abs=0.012)


# ---- weights

layer_names = st.sampled_from(
    [
        "e_conv1.weight",
        "e_conv1.bias",
        "module.e_conv1.weight",
        "e_conv7.point_conv.bias",
        "module.",
    ]
)
wrapper_names = st.sampled_from(["state_dict", "model", "net", "params", "weights", "generator"])
dtypes = st.sampled_from(
    [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool,
     torch.complex64]
)  # fmt: skip
tensors = st.builds(
    lambda shape, dtype: torch.zeros(shape, dtype=dtype),
    st.sampled_from([(), (0,), (3,), (32,), (32, 3, 3, 3)]), dtypes,
)  # fmt: skip
plain_values = st.none() | st.integers() | st.text(max_size=5) | tensors
contents = st.recursive(
    plain_values,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        layer_names | wrapper_names | st.text(max_size=5) | st.integers(), inner, max_size=3
    ),
    max_leaves=6,
)  # fmt: skip


@given(contents)
def test_any_checkpoint_is_refused_in_one_line(content: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(content, path)
        with pytest.raises(ZeroDCEError) as refused:
            load_weights(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert "\n" not in message


@few
@given(st.binary(max_size=200), st.sampled_from([".pth", ".pt", ".safetensors"]))
def test_any_bytes_are_refused(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"weights{suffix}"
        path.write_bytes(content)
        with pytest.raises(ZeroDCEError, match="weights"):
            load_weights(path)


@few
@given(
    st.lists(wrapper_names, max_size=3), st.lists(st.sampled_from(["module.", "net."]), max_size=3),
    st.dictionaries(st.sampled_from(["epoch", "lr"]), plain_values, max_size=2), seeds,
)  # fmt: skip
def test_weights_are_found_however_they_are_wrapped(
    wrappers: list[str], prefixes: list[str], beside: dict[str, Any], seed: int
) -> None:
    state = random_state("plus", seed=seed)
    content: dict[str, Any] = {"".join(prefixes) + name: t for name, t in state.items()}
    for wrapper in wrappers:
        content = {**beside, wrapper: content}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(content, path)
        found = load_weights(path)
    assert found.model == "plus"
    assert found.weights.keys() == state.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(found.weights[name], tensor.numpy())


# ---- live

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


@given(
    st.lists(st.floats(0.001, 3), min_size=1, max_size=60), finite.filter(lambda x: abs(x) < 1e6)
)
def test_the_rate_lies_between_the_slowest_and_the_fastest(gaps: list[float], start: float) -> None:
    meter, ticks = RateMeter(), [start]
    meter.tick(start)
    for gap in gaps:
        ticks.append(ticks[-1] + gap)
        meter.tick(ticks[-1])
    now = ticks[-1]
    recent = [b - a for a, b in pairwise(ticks) if now - a <= WINDOW_SECONDS]
    if recent:
        assert 1 / max(recent) - 1e-6 <= meter.rate(now) <= 1 / min(recent) + 1e-6
    else:
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
