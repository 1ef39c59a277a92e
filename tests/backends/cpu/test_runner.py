"""The CPU's runner: what it does with a network's maps, and what it releases."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.noise import gap, random_frame
from zerodce_rt.backends.cpu.reference import ReferenceApplier
from zerodce_rt.backends.cpu.runner import CPURunner
from zerodce_rt.curve import maps as curve
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.frame import Colour


class ConstantEstimator:
    name = "constant"

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
    for _ in range(curve.ITERATIONS):
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
