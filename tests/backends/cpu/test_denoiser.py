"""The fast denoiser against the plain one, in every format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.noise import PADDING, blank, gap, noisy_video, random_maps
from zerodce_rt.backends.cpu.applier import CPUApplier
from zerodce_rt.backends.cpu.bands import Bands
from zerodce_rt.backends.cpu.cells import FilteredPixels
from zerodce_rt.backends.cpu.denoiser import CPUDenoiser
from zerodce_rt.backends.cpu.reference import ReferenceApplier
from zerodce_rt.backends.cpu.reference_denoiser import ReferenceDenoiser
from zerodce_rt.backends.cpu.slow_start import SlowStart
from zerodce_rt.curve.maps import CurveMaps
from zerodce_rt.frame import FORMATS, Colour, Frame, plane_shapes

FILTERED = sorted(FORMATS)


def difference(a: Frame, b: Frame) -> float:
    """Largest difference between two filtered frames, in 8-bit codes."""
    if isinstance(a, FilteredPixels):
        a, b = as_pixels(a), as_pixels(b)
    assert (a.format, a.width, a.height) == (b.format, b.width, b.height)
    shapes = plane_shapes(a.format, a.width, a.height)
    gaps = [
        np.abs(p[:, :n].astype(float) - q[:, :n].astype(float)).max() / 256
        for p, q, (_, n) in zip(a.planes, b.planes, shapes, strict=True)
    ]
    return float(max(gaps))


def as_pixels(frame: Frame) -> Frame:
    """What was filtered as RGB of 16 bits; the maps of zeros change nothing."""
    plane = np.zeros((frame.height, 3 * frame.width), np.uint16)
    out = Frame(FORMATS["rgb48le"], (plane,), frame.width, frame.height)
    applier = CPUApplier(threads=2) if isinstance(frame, FilteredPixels) else ReferenceApplier()
    applier.apply(frame, CurveMaps(np.zeros((3, 4, 4), np.float32)), out)
    applier.close()
    return out


@pytest.mark.parametrize("name", FILTERED)
@pytest.mark.parametrize(
    ("size", "colour", "interlaced"),
    [
        ((96, 64), Colour("bt709"), False),
        ((101, 67), Colour("bt601", full_range=True), False),
        ((98, 70), Colour("bt709"), True),
        ((50, 81), Colour("bt709"), True),
    ],
)
def test_agrees_with_the_reference(
    name: str, size: tuple[int, int], colour: Colour, interlaced: bool
) -> None:
    fast, plain = CPUDenoiser(Bands(threads=2), SlowStart()), ReferenceDenoiser()
    for frame in noisy_video(name, *size, colour, 5):
        frame = replace(frame, interlaced=interlaced)
        # From floats, single blocks may be told apart by rounding, when the noise is learned.
        allowed = 1.0 if frame.format.bits == 32 else 0.25
        assert difference(fast(frame, 1.0, 2), plain(frame, 1.0, 2)) < allowed


def denoiser(threads: int = 2) -> CPUDenoiser:
    return CPUDenoiser(Bands(threads=threads), SlowStart())


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "bgr24"])
def test_frames_wider_than_a_strip(name: str) -> None:
    fast, plain = denoiser(), ReferenceDenoiser()
    for frame in noisy_video(name, 4102, 20, Colour(), 3):
        assert difference(fast(frame, 1.0, 2), plain(frame, 1.0, 2)) < 0.25


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "yuyv422"])
def test_the_number_of_threads_changes_nothing(name: str) -> None:
    one, more = denoiser(1), denoiser(4)  # of which each takes several bands of rows
    for frame in noisy_video(name, 40, 700, Colour(), 4):
        assert difference(one(frame, 1.0, 3), more(frame, 1.0, 3)) == 0


@pytest.mark.parametrize("name", ["yuv420p", "bgr24"])
def test_without_the_filter_over_space(name: str) -> None:
    fast, plain = denoiser(), ReferenceDenoiser()
    for frame in noisy_video(name, 96, 64, Colour(), 5):
        assert difference(fast(frame, 0.7, 1), plain(frame, 0.7, 1)) < 0.25


@pytest.mark.parametrize("name", FILTERED)
def test_appliers_read_what_was_filtered(name: str) -> None:
    frame = noisy_video(name, 101, 67, Colour("bt601"), 1)[0]
    maps = random_maps(1, 5, 7)
    fast, plain = blank(frame), blank(frame)
    CPUApplier(threads=2).apply(denoiser()(frame, 1.0, 2), maps, fast)
    ReferenceApplier().apply(ReferenceDenoiser()(frame, 1.0, 2), maps, plain)
    # The steepest of these curves makes five codes of one.
    unit = 1 / 255 if frame.format.bits == 32 else 2.0 ** (frame.format.bits - 8)
    assert gap(fast, plain) <= 1.5 * unit
    for plane, other in zip(fast.planes, blank(frame).planes, strict=True):
        assert np.array_equal(plane[:, -PADDING:], other[:, -PADDING:])


def luma_video(scene: Callable[[int], NDArray[np.float64]], frames: int) -> list[Frame]:
    """Scenes of luma codes with noise of the variance 4, 4:2:0."""
    rng, made = np.random.default_rng(1), []
    for index in range(frames):
        codes = scene(index)
        height, width = codes.shape
        noisy = (codes + rng.normal(0, 2, codes.shape)).round().clip(0, 255).astype(np.uint8)
        chroma = rng.normal(128, 1, (2, height // 2, width // 2)).round().astype(np.uint8)
        made.append(Frame(FORMATS["yuv420p"], (noisy, *chroma), width, height))
    return made


def errors(frames: list[Frame], scene: Callable[[int], NDArray[np.float64]], effort: int,
           strength: float = 1.0) -> list[NDArray[np.float64]]:  # fmt: skip
    """What is wrong with the filtered luma of each frame, in 8-bit codes."""
    filter = denoiser()
    return [
        filter(frame, strength, effort).planes[0][:, : frame.width] / 256 - scene(index)
        for index, frame in enumerate(frames)
    ]


def rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def texture(height: int = 128, width: int = 192) -> NDArray[np.float64]:
    """Smooth spots between the codes 25 and 75."""
    noise = np.random.default_rng(2).random((height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return (25 + 50 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.float64)


def test_still_scenes_lose_their_noise() -> None:
    still = texture()
    wrong = errors(luma_video(lambda _: still, 20), lambda _: still, 3)
    assert rms(wrong[0]) < 1.2  # of 2: there is no frame before
    assert rms(wrong[-1]) < 0.65
    weak = errors(luma_video(lambda _: still, 20), lambda _: still, 3, strength=0.1)
    assert 1.5 * rms(wrong[-1]) < rms(weak[-1]) < 1.9


def test_what_moves_leaves_no_trail() -> None:
    def scene(index: int) -> NDArray[np.float64]:
        codes = np.full((96, 192), 30.0)
        codes[30:66, 6 * index : 6 * index + 30] = 70
        return codes

    wrong = errors(luma_video(scene, 16), scene, 3)
    left_behind = wrong[15][34:62, 85:89]  # the patch was here one frame ago
    assert abs(left_behind.mean()) < 1
    assert rms(wrong[15][:, 120:]) < 0.6  # it was never here


def test_a_new_scene_shows_nothing_of_the_last() -> None:
    scenes = texture(), texture()[::-1, ::-1] + 20
    frames = luma_video(lambda index: scenes[index // 8], 9)
    filter = denoiser()
    for frame in frames[:8]:
        filter(frame, 1.0, 3)
    filter.reset()
    after = filter(frames[8], 1.0, 3)
    assert difference(after, denoiser()(frames[8], 1.0, 3)) == 0


def test_clean_frames_stay_as_they_are() -> None:
    still = np.round(texture())
    planes = still.astype(np.uint8), *np.full((2, 64, 96), 128, np.uint8)
    frame = Frame(FORMATS["yuv420p"], planes, 192, 128)
    filter = denoiser()
    for _ in range(8):
        result = filter(frame, 1.0, 3)
    assert rms(result.planes[0][:, :192] / 256 - still) < 0.3


def test_fields_are_not_mixed() -> None:
    calm = noisy_video("yuv420p", 64, 64, Colour(), 5)
    filter, other = denoiser(), denoiser()
    for index, frame in enumerate(calm):
        luma = frame.planes[0].copy()
        luma[1::2] = (luma[1::2] + 40 * index) % 200  # the odd field flickers
        busy = replace(frame, planes=(luma, *frame.planes[1:]), interlaced=True)
        a = filter(replace(frame, interlaced=True), 1.0, 2).planes[0][::2].copy()
        b = other(busy, 1.0, 2).planes[0][::2]
        np.testing.assert_array_equal(a, b)


def test_a_camera_that_moves_is_followed_and_one_that_stands_is_not() -> None:
    wide = texture(192, 320)

    def moving(index: int) -> NDArray[np.float64]:
        x, y = 3 * index, index
        return wide[y : y + 128, x : x + 192]

    frames = luma_video(moving, 30)
    without, followed = (errors(frames, moving, effort) for effort in (2, 3))
    inside = np.s_[16:-16, 16:-16]
    assert rms(followed[-1][inside]) < 0.9 * rms(without[-1][inside])
    still = wide[:128, :192]
    filter = denoiser()
    for frame in luma_video(lambda _: still, 30):
        filter(frame, 1.0, 3)
    [stream] = filter._streams
    assert not stream._motion.searching


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "bgr24", "rgbf32le"])
def test_a_frame_that_stands_alone(name: str) -> None:
    frame = noisy_video(name, 101, 67, Colour(), 1)[0]
    alone = CPUDenoiser(Bands(threads=2), SlowStart(), alone=True)
    assert difference(alone(frame, 1.0, 2), ReferenceDenoiser(alone=True)(frame, 1.0, 2)) < 0.25
