"""What holds for frames and comparisons of whatever size, format and colour.

Here and in the other files of this name, inputs are made up by Hypothesis.
"""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.noise import SENTINEL, blank, random_frame, visible
from tests.support.properties import few, frame_sides, seeds, sides
from zerodce_rt.frame import FORMATS, Colour, Frame, PixelFormat, from_array, plane_shapes
from zerodce_rt.media.compare import compose, width_of
from zerodce_rt.media.frames import convert, wrap
from zerodce_rt.names import COMPARE_MODES

formats = st.sampled_from(list(FORMATS.values()))
colours = st.builds(Colour, st.sampled_from(["bt601", "bt709"]), st.booleans())


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
    width=st.integers(64, 150) | st.integers(1, 70), height=st.integers(1, 5), colour=colours,
    divider=st.floats(0, 1),
)  # fmt: skip
@example(width=1, height=1, colour=Colour(), divider=1.0)
@example(width=64, height=1, colour=Colour(), divider=1.0)
@example(width=65, height=3, colour=Colour(), divider=1.0)
def test_both_parts_of_a_comparison_are_their_sources(
    format: PixelFormat, mode: str, width: int, height: int, colour: Colour, divider: float
) -> None:
    before = frame_of(format, width, height, colour, seed=1)
    after = frame_of(format, width, height, colour, seed=2)
    out = blank(frame_of(format, width_of(mode, width), height, colour))
    compose(before, after, mode, out, divider=divider)
    left, right, both = pixels(before), pixels(after), pixels(out)
    assert_padding_is_untouched(out)
    # Two single pixels share their chroma.
    assume(mode == "split" or width > 1 or format.chroma_shift == (0, 0))
    if mode == "side":
        half = out.width // 2
        assert half == max(1, width - width % 2)
        np.testing.assert_array_equal(both, np.hstack([left[:, :half], right[:, :half]]))
        return
    from_left = (both == left).all(axis=(0, 2))
    from_right = (both == right).all(axis=(0, 2))
    begin = int(np.argmin(from_left)) if not from_left.all() else width
    assert 0 <= divider * width - begin < 4
    # Of a picture of this width it has 2 pixels, where there is so much left.
    end = begin + (min(2, width - begin) if width >= 64 else 0)
    assert from_right[end:].all()
    white = both[:, begin:end].reshape(-1, 3)
    assert (white == white[:1]).all()
    if len(white) and format.layout != "packed":
        luma = colour.levels(format.bits)
        assert white[0].tolist() == [luma[0] + luma[1], luma[2], luma[2]]
