"""PyAV frames in, PyAV frames out: formats, tags and times."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from tests.support.media import dark_scene
from zerodce_rt import Enhancer
from zerodce_rt.frame import FORMATS
from zerodce_rt.media.compare import compose, width_of
from zerodce_rt.media.frames import blank_like, colour_of, convert, nearest_format, wrap


def test_interlaced_frames_are_known_for_such() -> None:
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 96, 64, "yuv420p"
    encoder.time_base, encoder.options = Fraction(1, 25), {"flags": "+ildct+ilme"}
    decoder: Any = av.CodecContext.create("h264", "r")
    packets = [*encoder.encode(video_frame("yuv420p", 96, 64)), *encoder.encode(None)]
    [frame] = [f for packet in [*packets, None] for f in decoder.decode(packet)]
    assert wrap(frame).interlaced
    assert wrap(convert(frame, FORMATS["yuv422p"])).interlaced
    assert not wrap(video_frame("yuv420p")).interlaced


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer(working_size=48)


def video_frame(format: str, width: int = 62, height: int = 46) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(dark_scene(0, width, height), "rgb24")
    return frame.reformat(format=format)


@pytest.mark.parametrize(
    "format",
    [
        "yuv420p", "yuvj420p", "nv12", "rgb24", "bgr24", "yuv422p", "yuv444p", "yuv420p10le",
        "yuv422p10le", "yuv420p12le", "yuyv422", "uyvy422", "nv21", "gray", "gbrp", "rgba",
        "bgr0", "p010le", "yuv410p", "rgb48le", "yuva420p",
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [(62, 46), (61, 45)])
def test_a_frame_of_any_format_is_enhanced_in_its_format(
    format: str, size: tuple[int, int], enhancer: Enhancer
) -> None:
    if format == "yuyv422" or format == "uyvy422":
        size = (62, size[1])  # packed 4:2:2 has whole pairs of pixels
    frame = video_frame(format, *size)
    frame.pts, frame.time_base = 1234, Fraction(1, 600)
    frame.color_primaries, frame.color_trc = 1, 1
    bright = enhancer(frame)
    assert bright is not frame
    assert bright.format.name == format
    assert (bright.width, bright.height) == size
    assert (bright.pts, bright.time_base) == (1234, Fraction(1, 600))
    dark_level = frame.to_ndarray(format="rgb24").mean()
    assert bright.to_ndarray(format="rgb24").mean() > 1.8 * dark_level


@pytest.mark.parametrize("format", ["yuv420p", "nv12", "rgb24", "yuv420p10le"])
def test_tags_are_kept(format: str, enhancer: Enhancer) -> None:
    frame = video_frame(format)
    tags = {"color_range": 2, "colorspace": 9, "color_primaries": 9, "color_trc": 14}
    for name, value in tags.items():
        setattr(frame, name, value)
    bright = enhancer(frame)
    assert {name: int(getattr(bright, name)) for name in tags} == tags


def test_video_frame_and_array_agree(enhancer: Enhancer) -> None:
    frame = video_frame("rgb24")
    expected = enhancer(frame.to_ndarray())
    assert np.array_equal(enhancer(frame).to_ndarray(), expected)


@pytest.mark.parametrize(
    ("height", "tag", "expected"),
    [(480, 2, "bt601"), (720, 2, "bt709"), (480, 1, "bt709"), (1080, 5, "bt601"),
     (1080, 6, "bt601"), (1080, 9, "bt2020"), (480, 7, "smpte240m")],
)  # fmt: skip
def test_the_matrix_follows_the_tag_or_else_the_size(height: int, tag: int, expected: str) -> None:
    frame = av.VideoFrame(16, height, "yuv420p")
    frame.colorspace = tag
    assert colour_of(frame).matrix == expected


def test_the_range_follows_the_tag_and_the_format() -> None:
    frame = av.VideoFrame(16, 16, "yuv420p")
    assert not colour_of(frame).full_range
    frame.color_range = 2
    assert colour_of(frame).full_range
    assert colour_of(av.VideoFrame(16, 16, "yuvj420p")).full_range


@pytest.mark.parametrize(
    ("format", "nearest"),
    [
        ("yuyv422", "yuyv422"), ("uyvy422", "yuv422p"), ("nv21", "yuv420p"), ("nv16", "yuv422p"),
        ("gbrp", "rgb24"), ("rgba", "rgb24"), ("bgr0", "rgb24"), ("pal8", "rgb24"),
        ("gray", "yuv420p"), ("gray10le", "yuv420p10le"), ("p010le", "p010le"),
        ("yuv420p9le", "yuv420p10le"), ("yuv444p14le", "yuv444p16le"), ("yuv411p", "yuv422p"),
        ("gbrp10le", "rgb48le"), ("yuvj444p", "yuv444p"),
    ],
)  # fmt: skip
def test_the_nearest_format_has_no_fewer_bits(format: str, nearest: str) -> None:
    assert nearest_format(av.VideoFormat(format, 64, 64)).name == nearest


def test_the_nearest_format_among_what_an_encoder_takes() -> None:
    def among(format: str, *allowed: str) -> str:
        return nearest_format(av.VideoFormat(format, 64, 64), allowed).name

    assert among("yuv422p", "yuv420p", "yuv444p", "yuv420p10le") == "yuv444p"
    assert among("yuv422p10le", "yuv420p", "yuv420p10le") == "yuv420p10le"
    assert among("rgb24", "yuv420p", "yuv444p", "gray") == "yuv444p"
    assert among("yuv420p12le", "yuv420p") == "yuv420p"


@pytest.mark.parametrize("tag", [0, 1, 2])
def test_grey_keeps_its_codes_whatever_its_range(tag: int) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    frame = av.VideoFrame.from_ndarray(grey, "gray")
    frame.color_range = tag
    converted = convert(frame, FORMATS["yuv420p"])
    assert np.array_equal(wrap(converted).planes[0][:, :16], grey)
    assert int(converted.color_range) == tag


def test_wrap_shares_memory_and_refuses_other_formats() -> None:
    frame = av.VideoFrame(20, 10, "yuv420p")
    wrap(frame).planes[0][:] = 99
    assert (frame.to_ndarray(format="gray", src_color_range=2)[0] != 0).all()
    assert bytes(frame.planes[0])[0] == 99
    with pytest.raises(ValueError, match="uyvy422"):
        wrap(av.VideoFrame(20, 10, "uyvy422"))


@pytest.mark.parametrize(
    "format", ["yuv420p", "nv12", "rgb24", "yuv422p10le", "yuv444p", "yuyv422"]
)
@pytest.mark.parametrize("size", [(80, 20), (81, 21)])
@pytest.mark.parametrize("mode", ["split", "side"])
def test_compare_in_every_layout(format: str, size: tuple[int, int], mode: str) -> None:
    before, after = video_frame(format, *size), video_frame(format, *size)
    for frame, value in ((before, 40), (after, 120)):
        for plane in wrap(frame).planes:
            plane[:] = value
    both = blank_like(before, width=width_of(mode, size[0]))
    compose(wrap(before), wrap(after), mode, wrap(both))
    width = size[0] if mode == "split" else 80
    for index, plane in enumerate(wrap(both).planes):
        per_pixel = {"rgb24": 3, "yuyv422": 2}.get(format, 1)
        at = width // 2 if mode == "split" else width
        if index:
            at //= 1 if format in ("yuv444p", "nv12") else 2
        row: Any = plane[plane.shape[0] // 2]
        assert (row[: (at - 4) * per_pixel] == 40).all()
        assert (row[(at + 4) * per_pixel : (at + 14) * per_pixel] == 120).all()
    with pytest.raises(ValueError, match="split, side"):
        compose(wrap(before), wrap(after), "diagonal", wrap(both))
