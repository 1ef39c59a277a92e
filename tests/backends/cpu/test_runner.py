"""The CPU's runner: what it does with a network's maps, and what it releases."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.noise import gap, random_frame
from zerodce_rt.backends.cpu.applier import CPUApplier
from zerodce_rt.backends.cpu.reference import ReferenceApplier
from zerodce_rt.backends.cpu.runner import CPURunner
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.light import ITERATIONS
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.frame import FORMATS, Colour, Frame


class ConstantEstimator:
    name = "constant"
    knots: tuple[float, ...] = ()

    def __init__(self, value: float) -> None:
        self.value = value

    def estimate(self, thumbnail: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.full_like(thumbnail, self.value)


def test_a_frame_is_done_when_begin_returns() -> None:
    frame = random_frame("rgbf32le", 40, 20, Colour())
    target = frame.empty_like()
    runner = CPURunner(ConstantEstimator(-0.5), ReferenceApplier(), WorkingSize(16))
    finish = runner.begin(frame, target, ControlSettings(), None)
    x = frame.planes[0][:, :120].astype(np.float64)
    for _ in range(ITERATIONS):
        x = x - 0.5 * (x * x - x)
    assert np.abs(target.planes[0][:, :120] - x).max() < 1e-6
    finish()
    assert runner.name == "constant"


def test_maps_of_zero_copy_the_frame() -> None:
    """Also colours outside of RGB's range, of which noise in YUV has many."""
    frame = random_frame("yuv420p", 40, 20, Colour())
    target = frame.empty_like()
    runner = CPURunner(ConstantEstimator(0), ReferenceApplier(), WorkingSize(16))
    runner.begin(frame, target, ControlSettings(), None)()
    assert gap(frame, target) == 0


def test_closing_closes_the_applier(monkeypatch: pytest.MonkeyPatch) -> None:
    applier, calls = ReferenceApplier(), []
    monkeypatch.setattr(applier, "close", lambda: calls.append("close"))
    runner = CPURunner(ConstantEstimator(0), applier, WorkingSize(16))
    runner.close()
    runner.close()
    assert calls


def still_video(count: int) -> list[Frame]:
    """Dark frames of one scene, with noise of their own."""
    rng, format = np.random.default_rng(0), FORMATS["yuv420p"]
    made = []
    for _ in range(count):
        y = (40 + 2 * rng.standard_normal((96, 128))).round().astype(np.uint8)
        u, v = (128 + rng.standard_normal((2, 48, 64))).round().astype(np.uint8)
        made.append(Frame(format, (y, u, v), 128, 96))
    return made


def enhanced(settings: ControlSettings, value: float, frames: list[Frame]) -> list[Frame]:
    runner = CPURunner(ConstantEstimator(value), CPUApplier(threads=2), WorkingSize(32))
    results = []
    for index, frame in enumerate(frames):
        target = frame.empty_like()
        runner.begin(frame, target, settings, index / 30)()
        results.append(target)
    return results


def tremble(frames: list[Frame]) -> float:
    """rms difference of the last two frames' luma."""
    a, b = (frame.planes[0].astype(np.float64) for frame in frames[-2:])
    return float(np.sqrt(np.mean((a - b) ** 2)))


def test_noise_goes_with_the_denoiser_and_stays_without() -> None:
    frames = still_video(12)
    noisy = enhanced(ControlSettings(), -0.6, frames)
    for settings in (ControlSettings(denoise=0), ControlSettings(denoise=1, denoise_effort=0)):
        same = enhanced(settings, -0.6, frames)
        assert max(gap(a, b) for a, b in zip(noisy, same, strict=True)) == 0
    clean = enhanced(ControlSettings(denoise=1), -0.6, frames)
    assert tremble(clean) < 0.15 * tremble(noisy)
    assert clean[-1].planes[0].mean() == pytest.approx(noisy[-1].planes[0].mean(), abs=1.5)


def test_what_the_curve_lifts_less_is_filtered_less() -> None:
    frames = still_video(12)
    shares = []
    for value in (-0.005, -0.02, -0.1):
        clean, noisy = (enhanced(ControlSettings(denoise=on), value, frames) for on in (1.0, 0.0))
        shares.append(tremble(clean) / tremble(noisy))
    assert shares[0] > shares[1] > shares[2]
    assert shares[0] > 0.5


def test_after_a_cut_nothing_of_the_old_scene_is_seen() -> None:
    frames = still_video(8)
    bright = [
        Frame(f.format, (f.planes[0] + np.uint8(70), *f.planes[1:]), f.width, f.height)
        for f in still_video(4)
    ]
    settings = ControlSettings(denoise=1)
    after = enhanced(settings, -0.4, [*frames, *bright])[8]
    [alone] = enhanced(settings, -0.4, bright[:1])
    assert gap(after, alone) == 0


def test_a_picture_that_stands_alone_does_not_disturb_a_video() -> None:
    frames, settings = still_video(6), ControlSettings(denoise=1)
    runner = CPURunner(ConstantEstimator(-0.6), CPUApplier(threads=2), WorkingSize(32))
    results = []
    for index, frame in enumerate(frames):
        target = frame.empty_like()
        runner.begin(frame, target, settings, index / 30)()
        results.append(target)
        runner.begin(still_video(1)[0], frame.empty_like(), settings, None)()
    undisturbed = enhanced(settings, -0.6, frames)
    assert max(gap(a, b) for a, b in zip(results, undisturbed, strict=True)) == 0
