"""The fused CPU kernels against the float64 reference, in every pixel format."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from tests.support.noise import SENTINEL, blank, gap, light_maps, random_frame, random_maps
from zerodce_rt.backends.cpu import create_applier
from zerodce_rt.backends.cpu.applier import CPUApplier
from zerodce_rt.backends.cpu.map_kernels import STRIP
from zerodce_rt.backends.cpu.reference import ReferenceApplier
from zerodce_rt.backends.cpu.reference_frames import from_rgb, to_rgb
from zerodce_rt.curve import maps as curve
from zerodce_rt.curve.maps import CurveMaps
from zerodce_rt.frame import FORMATS, LUMA_WEIGHTS, Colour, Frame, from_array, plane_shapes

reference = create_applier("reference")


def some_maps(count: int, height: int, width: int, *, align_corners: bool = False) -> CurveMaps:
    """Light maps if ``count`` is 0, else RGB maps for so many iterations."""
    if count == 0:
        return light_maps(height, width, align_corners=align_corners)
    return random_maps(count, height, width, align_corners=align_corners)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("count", [0, 1, 8])
@pytest.mark.parametrize(
    ("size", "grid", "align_corners"),
    [
        ((97, 61), (9, 16), False),
        ((64, 48), (12, 16), True),
        ((33, 35), (35, 33), False),  # maps of the frame's own size
        ((33, 35), (36, 34), False),  # and of one more each way
        ((7, 5), (1, 3), True),
        ((1, 1), (1, 1), False),
    ],
)
def test_the_kernels_agree_with_the_reference(
    name: str, count: int, size: tuple[int, int], grid: tuple[int, int], align_corners: bool
) -> None:
    colour = Colour("bt601" if count == 1 else "bt709", full_range=align_corners)
    frame = random_frame(name, *size, colour)
    maps = some_maps(count, *grid, align_corners=align_corners)
    expected, got = blank(frame), blank(frame)
    reference.apply(frame, maps, expected)
    create_applier("cpu", threads=3).apply(frame, maps, got)
    assert gap(expected, got) <= (1e-5 if frame.format.bits == 32 else 1)
    for plane, (_, samples) in zip(got.planes, plane_shapes(frame.format, *size), strict=True):
        assert (plane[:, samples:] == SENTINEL).all(), "padding was touched"


@pytest.mark.parametrize("name", ["yuv420p", "nv12", "yuv444p", "yuv422p10le", "bgr24"])
@pytest.mark.parametrize("count", [0, 1, 3, 8])
@pytest.mark.parametrize("width", [2 * STRIP, 2 * STRIP + 1, 4 * STRIP + 3])
def test_frames_wider_than_a_strip(name: str, count: int, width: int) -> None:
    frame = random_frame(name, width, 5, Colour())
    for map_width in (80, width):
        maps = some_maps(count, 2, map_width)
        expected, got = blank(frame), blank(frame)
        reference.apply(frame, maps, expected)
        create_applier("cpu", threads=1).apply(frame, maps, got)
        assert gap(expected, got) <= 1


@pytest.mark.parametrize("matrix", LUMA_WEIGHTS)
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("name", ["yuv420p", "nv12", "yuv422p10le"])
@pytest.mark.parametrize("count", [0, 1])
def test_every_matrix_and_range(name: str, matrix: str, full_range: bool, count: int) -> None:
    frame = random_frame(name, 40, 30, Colour(matrix, full_range))
    maps = some_maps(count, 5, 7)
    expected, got = blank(frame), blank(frame)
    reference.apply(frame, maps, expected)
    create_applier("cpu").apply(frame, maps, got)
    assert gap(expected, got) <= 1


@pytest.mark.parametrize("name", [n for n in FORMATS if FORMATS[n].bits != 32])
def test_zero_maps_keep_ordinary_pictures(name: str) -> None:
    """Converting to RGB and back keeps every colour that RGB has."""
    rng = np.random.default_rng(3)
    frame = random_frame(name, 32, 24, Colour())
    smooth = np.repeat(np.repeat(0.2 + 0.6 * rng.random((3, 12, 16)), 2, axis=1), 2, axis=2)
    from_rgb(smooth, frame)
    got = blank(frame)
    create_applier("cpu").apply(frame, CurveMaps(np.zeros((3, 4, 4), np.float32)), got)
    assert gap(frame, got) <= 1


@pytest.mark.parametrize(
    ("rgb", "matrix", "full_range", "yuv"),
    [
        # Computed by hand from ITU-R BT.601 and BT.709: Y = 16 + 219 Y', C = 128 + 224 C'.
        ((1.0, 1.0, 1.0), "bt709", False, (235, 128, 128)),
        ((0.0, 0.0, 0.0), "bt601", False, (16, 128, 128)),
        ((1.0, 0.0, 0.0), "bt601", False, (81, 90, 240)),
        ((1.0, 0.0, 0.0), "bt709", False, (63, 102, 240)),
        ((0.0, 0.0, 1.0), "bt709", True, (18, 255, 116)),
        ((0.0, 1.0, 0.0), "bt601", True, (150, 44, 21)),
    ],
)
def test_the_reference_follows_the_standards(
    rgb: tuple[float, float, float], matrix: str, full_range: bool, yuv: tuple[int, int, int]
) -> None:
    frame = random_frame("yuv444p", 2, 2, Colour(matrix, full_range))
    from_rgb(np.broadcast_to(np.array(rgb)[:, None, None], (3, 2, 2)), frame)
    assert tuple(int(p[0, 0]) for p in frame.planes) == yuv
    assert np.abs(to_rgb(frame)[:, 0, 0] - rgb).max() < 0.01


def test_the_reference_applies_the_curve() -> None:
    image = np.random.default_rng(0).random((3, 6, 5))
    frame = from_array(np.ascontiguousarray(image.transpose(1, 2, 0)).astype(np.float32))
    out = frame.empty_like()
    maps = random_maps(8, 2, 3)
    ReferenceApplier().apply(frame, maps, out)
    expected = curve.apply(image, maps).transpose(1, 2, 0).reshape(6, 15)
    assert np.abs(out.planes[0] - expected).max() < 1e-6


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("size", "small"), [((97, 61), (9, 16)), ((33, 35), (35, 33))])
def test_thumbnails_agree(name: str, size: tuple[int, int], small: tuple[int, int]) -> None:
    # Smooth pictures: the kernel averages before it converts to RGB, which clips, and a chroma
    # sample over the border of two boxes counts in both.
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    picture = np.stack([0.3 + 0.3 * x / size[0], 0.3 + 0.3 * y / size[1], 0.5 - 0.2 * x / size[0]])
    frame = random_frame(name, *size, Colour("bt709"))
    from_rgb(picture, frame)
    expected = reference.thumbnail(frame, *small)
    got = create_applier("cpu").thumbnail(frame, *small)
    assert got.shape == (3, *small)
    assert got.dtype == np.float32
    assert np.abs(expected - got).max() < 0.02


@pytest.mark.parametrize("applier", ["cpu", "reference"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_frame_may_be_enhanced_in_place(name: str, applier: str) -> None:
    frame, maps = random_frame(name, 33, 13, Colour()), random_maps(8, 3, 5)
    expected = blank(frame)
    with closing(create_applier(applier, threads=2)) as both:
        both.apply(frame, maps, expected)
        both.apply(frame, maps, frame)
    assert gap(expected, frame) == 0


def test_closing_ends_the_threads() -> None:
    frame = random_frame("rgb24", 64, 64, Colour())
    others = set(threading.enumerate())
    applier = create_applier("cpu", threads=3)
    applier.apply(frame, random_maps(1, 2, 2), frame.empty_like())
    started = [t for t in threading.enumerate() if t not in others]
    own = [t for t in started if t.name.startswith("zerodce-apply")]  # one may time compiling
    assert own
    applier.close()
    applier.close()
    assert not any(t.is_alive() for t in own)
    reference.close()


def test_bad_arguments() -> None:
    applier = create_applier("cpu")
    frame = random_frame("rgb24", 8, 8, Colour())
    with pytest.raises(ValueError, match="format and size"):
        applier.apply(frame, random_maps(1, 2, 2), random_frame("bgr24", 8, 8, Colour()))
    with pytest.raises(ValueError, match="'cpu' or 'reference'"):
        create_applier("abacus")
    with pytest.raises(ValueError, match="at least 1"):
        create_applier("cpu", threads=0)
    with pytest.raises(ValueError, match="needs planes"):
        Frame(FORMATS["yuv420p"], (np.zeros((8, 8), np.uint8),), 8, 8)
    with pytest.raises(ValueError, match="bt709"):
        Colour("bt1886")


def test_slow_compilation_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("zerodce_rt.backends.cpu.slow_start._PATIENCE_SECONDS", 0.01)
    applier = CPUApplier(threads=1)
    frame = random_frame("rgb24", 8, 8, Colour())

    def slow(*_: object) -> None:
        time.sleep(0.1)

    monkeypatch.setattr(applier._bands, "run", slow)
    with caplog.at_level(logging.INFO, logger="zerodce_rt"):
        applier.apply(frame, random_maps(1, 2, 2), frame.empty_like())
        applier.apply(frame, random_maps(1, 2, 2), frame.empty_like())
        other = random_frame("bgr24", 8, 8, Colour())
        applier.apply(other, random_maps(1, 2, 2), other.empty_like())
    assert caplog.text.count("compiling") == 1
