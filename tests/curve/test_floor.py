"""Black without a signal stays black."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.noise import light_maps, random_frame
from zerodce_rt.backends.cpu import create_applier
from zerodce_rt.backends.cpu.runner import CPURunner
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.floor import floor_gate, grid_of, sampled_rows, with_floor
from zerodce_rt.curve.light import KNOTS
from zerodce_rt.curve.maps import CurveMaps
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.frame import FORMATS, Colour, Frame, from_array

SIZE = 180, 320


def steps_of(luma: NDArray[np.float64]) -> NDArray[np.float32]:
    """Steps of a grey picture given in 8-bit codes."""
    grey = np.repeat(luma.clip(0, 255).round().astype(np.uint8)[..., None], 3, axis=2)
    frame = from_array(np.ascontiguousarray(grey))
    return create_applier("reference").dark_steps(frame, *grid_of(*SIZE))


def noisy_black(seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(4, 1.5, SIZE)


@pytest.mark.parametrize("size", [(1080, 1920), (1920, 1080), (9, 5), (1, 1), (2, 4000)])
def test_the_rows_looked_at_are_in_the_frame(size: tuple[int, int]) -> None:
    cells, across = grid_of(*size)
    rows = sampled_rows(size[0], cells)
    assert 1 <= across <= 16
    assert rows.shape[0] == cells
    assert 0 <= rows.min() <= rows.max() < size[0]
    assert (np.diff(rows.ravel()) >= 1).all()


def test_flat_black_is_gated_and_noise_is_not() -> None:
    assert floor_gate(steps_of(np.full(SIZE, 3.0))).max() == 0
    assert floor_gate(steps_of(noisy_black())).min() == 1


def test_a_picture_without_black_is_not_gated() -> None:
    assert floor_gate(steps_of(np.full(SIZE, 60.0))).min() == 1


def test_half_a_picture_is_gated_by_itself() -> None:
    luma = noisy_black()
    luma[:, 160:] = 2
    gate = floor_gate(steps_of(luma))
    assert gate[:, :6].min() > 0.9
    assert gate[:, 10:].max() == 0


def test_only_the_values_at_black_change() -> None:
    maps = light_maps(9, 16)
    gated = with_floor(maps, floor_gate(steps_of(np.full(SIZE, 3.0))))
    assert (gated.values[0] == 0).all()
    assert (gated.values[1:] == maps.values[1:]).all()
    assert gated.knots == maps.knots


def test_a_lamp_that_moves_through_the_picture_does_not_pump() -> None:
    """The gate of cells that the lamp is not in stays as it is."""
    luma = np.full(SIZE, 3.0)
    luma[:, :160] = noisy_black()[:, :160]
    before = floor_gate(steps_of(luma))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for position in range(20, 320, 40):
        lamp = luma + 300 * np.exp(-((x - position) ** 2 + (y - 90) ** 2) / 200)
        gate = floor_gate(steps_of(lamp))
        far = np.abs((np.arange(16) + 0.5) * 20 - position) > 70
        assert np.abs(gate - before)[:, far].max() < 0.05


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(203, 101), (33, 35), (1, 1)])
def test_steps_agree_with_the_reference(name: str, size: tuple[int, int]) -> None:
    frame = random_frame(name, *size, Colour())
    for plane in frame.planes:  # near black
        plane[:] = (plane / 16).astype(plane.dtype)
    if frame.format.layout != "packed":
        frame.planes[0][:] += 16 << (frame.format.bits + frame.format.dropped_bits - 8)
    cells = grid_of(size[1], size[0])
    expected = create_applier("reference").dark_steps(frame, *cells)
    got = create_applier("cpu").dark_steps(frame, *cells)
    assert np.abs(got - expected).max() < 1e-3
    if size[0] > 1:
        assert expected[1].max() > 0.1


@pytest.mark.parametrize("size", [(9, 16), (16, 9), (2, 3)])
def test_finished_maps_agree_with_the_reference(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.uniform(-1, 0.5, (4, *size)), np.ones((1, *size))])
    maps = CurveMaps(values.astype(np.float32), knots=KNOTS)
    luma = noisy_black()
    luma[:, 100:200] = 2
    luma[60:] += 40
    grey = np.repeat(luma.clip(0, 255).round().astype(np.uint8)[..., None], 3, axis=2)
    frame = from_array(np.ascontiguousarray(grey))
    expected = create_applier("reference").finished(frame, maps).values
    got = create_applier("cpu").finished(frame, maps).values
    assert (expected != maps.values).any()
    # A curve that rises just enough for one of them may not for the other.
    assert np.mean(np.abs(got - expected) > 1e-3) < 0.02


class LiftingEstimator:
    name = "lifting"
    knots: tuple[float, ...] = KNOTS

    def estimate(self, thumbnail: NDArray[np.float32]) -> NDArray[np.float32]:
        values = np.array([-0.9, -0.8, -0.5, -0.1, 0.7], np.float32)
        return np.broadcast_to(values[:, None, None], (5, 9, 16)).copy()


@pytest.mark.parametrize("applier", ["cpu", "reference"])
def test_the_runner_keeps_flat_black_and_lifts_noise(applier: str) -> None:
    runner = CPURunner(LiftingEstimator(), create_applier(applier), WorkingSize(64))

    def mean_of(luma: NDArray[np.float64]) -> float:
        grey = np.repeat(luma.clip(0, 255).round().astype(np.uint8)[..., None], 3, axis=2)
        frame: Frame = from_array(np.ascontiguousarray(grey))
        out = frame.empty_like()
        runner.begin(frame, out, ControlSettings(), None)()
        return float(out.planes[0].mean())

    assert mean_of(np.full(SIZE, 1.0)) < 12
    assert mean_of(noisy_black()) > 60
    runner.close()


def test_the_rest_of_a_video_stays_still_when_a_lamp_moves_through_it() -> None:
    runner = CPURunner(LiftingEstimator(), create_applier("cpu"), WorkingSize(64))
    settings = ControlSettings(smoothing_seconds=0.5, estimate_seconds=0.1)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    levels = []
    for number in range(45):
        luma = noisy_black(number)
        luma[:, 200:] = 2
        luma += 300 * np.exp(-((x - 40 - 2 * number) ** 2 + (y - 40) ** 2) / 100)
        grey = np.repeat(luma.clip(0, 255).round().astype(np.uint8)[..., None], 3, axis=2)
        frame = from_array(np.ascontiguousarray(grey))
        out = frame.empty_like()
        runner.begin(frame, out, settings, number / 30)()
        picture = out.planes[0].reshape(*SIZE, 3)
        levels.append((picture[140:, :160].mean(), picture[140:, 240:].mean()))
    runner.close()
    shadow, black = np.array(levels).T
    assert shadow.min() > 60
    assert shadow.std() < 1
    assert black.max() < 20
    assert black.std() < 0.5
