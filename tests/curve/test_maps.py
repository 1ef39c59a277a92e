"""The curve and the bilinear resize, against values worked out by hand and against PyTorch."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from zerodce_rt.curve.maps import CurveMaps, apply, iterate, resize_bilinear, source_positions


def plane(*channels: float) -> NDArray[np.float64]:
    """``(n, 1, 1)``: one value a channel."""
    return np.array(channels, np.float64)[:, None, None]


def random(*shape: int, low: float = 0.0, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(low, 1.0, shape)


def torch_resize(image: NDArray[Any], **options: Any) -> NDArray[Any]:
    resized = F.interpolate(torch.from_numpy(image)[None], mode="bilinear", **options)
    result: NDArray[Any] = resized[0].numpy()
    return result


def test_one_step_by_hand() -> None:
    # x + A (x^2 - x) with x = 0.5, x^2 - x = -0.25, for A = -1, 0.5, 1. The maps of a second
    # step are zero: with k = 1 there would be eight.
    maps = np.concatenate([plane(-1, 0.5, 1), plane(0, 0, 0)])
    np.testing.assert_allclose(iterate(plane(0.5, 0.5, 0.5), maps), plane(0.75, 0.375, 0.25))


def test_two_steps_use_their_own_maps_in_order() -> None:
    # Red:   0.5 -> 0.75 (A = -1) -> 0.75 + 1 (0.5625 - 0.75) = 0.5625 (A = 1).
    # Green: 0.2 -> 0.2 - 0.5 (0.04 - 0.2) = 0.28 -> unchanged (A = 0).
    # Blue:  0.2 -> unchanged (A = 0) -> 0.28.
    maps = np.concatenate([plane(-1, -0.5, 0), plane(1, 0, -0.5)])
    result = iterate(plane(0.5, 0.2, 0.2), maps)
    np.testing.assert_allclose(result, plane(0.5625, 0.28, 0.28))


def test_eight_steps_by_hand() -> None:
    # A = -1: 1 - x becomes (1 - x)^2 in every step, (1 - x)^256 after eight.
    # A = +1: x becomes x^2 in every step, x^256 after eight. A = 0 changes nothing.
    result = iterate(plane(0.01, 0.99, 0.3), plane(-1, 1, 0))
    np.testing.assert_allclose(result, plane(1 - 0.99**256, 0.99**256, 0.3), rtol=1e-12)


def test_shared_maps_are_the_same_maps_eight_times() -> None:
    x, maps = random(3, 5, 7), random(3, 5, 7, low=-1, seed=1)
    np.testing.assert_array_equal(iterate(x, maps), iterate(x, np.tile(maps, (8, 1, 1))))


@pytest.mark.parametrize("channels", [3, 24])
def test_numpy_and_torch_give_the_same(channels: int) -> None:
    x, maps = random(2, 3, 4, 5), random(2, channels, 4, 5, low=-1, seed=1)
    expected = iterate(torch.from_numpy(x), torch.from_numpy(maps)).numpy()
    np.testing.assert_allclose(iterate(x, maps), expected, rtol=1e-14)
    assert np.abs(expected - x).max() > 0.1


@pytest.mark.parametrize("channels", [3, 24])
def test_zero_maps_are_identity(channels: int) -> None:
    x = random(3, 9, 8)
    np.testing.assert_array_equal(iterate(x, np.zeros((channels, 9, 8))), x)


@pytest.mark.parametrize("channels", [3, 24])
@pytest.mark.parametrize("extreme", [False, True])
def test_result_stays_in_range(channels: int, extreme: bool) -> None:
    maps = random(channels, 40, 40, low=-1, seed=3)
    x = random(3, 40, 40)
    x[:, 0], x[:, 1] = 0.0, 1.0
    result = iterate(x, np.sign(maps) if extreme else maps)
    assert result.min() >= -1e-12
    assert result.max() <= 1 + 1e-12
    np.testing.assert_array_equal(result[:, 0], 0)
    np.testing.assert_array_equal(result[:, 1], 1)


def test_negative_maps_brighten_and_keep_the_order_of_levels() -> None:
    ramp = np.linspace(0.001, 0.999, 200).reshape(1, 1, 200).repeat(3, axis=0)
    result = iterate(ramp, np.full_like(ramp, -0.4))
    assert (result > ramp).all()
    assert (np.diff(result, axis=2) > 0).all()
    # Full strength takes a level of 1 % above 90 % (1 - 0.99^256 = 0.924).
    assert iterate(plane(0.01, 0.01, 0.01), plane(-1, -1, -1)).min() > 0.92


SIZES = [(1, 1), (1, 6), (5, 1), (2, 2), (7, 9), (12, 8)]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("source", SIZES)
@pytest.mark.parametrize("target", [*SIZES, (31, 17)])
def test_resize_is_that_of_torch(
    source: tuple[int, int], target: tuple[int, int], align_corners: bool
) -> None:
    image = random(4, *source)
    result = resize_bilinear(image, *target, align_corners=align_corners)
    expected = torch_resize(image, size=target, align_corners=align_corners)
    assert result.shape == (4, *target)
    np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize("size", [(96, 144), (97, 155), (12, 23)])
@pytest.mark.parametrize("divisor", [12, 5])
def test_resize_by_a_factor_is_that_of_torch(size: tuple[int, int], divisor: int) -> None:
    image = random(3, *size)
    expected = torch_resize(image, scale_factor=1 / divisor)
    result = resize_bilinear(image, *expected.shape[1:], scale=float(divisor))
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_resize_keeps_the_dtype() -> None:
    image = random(3, 4, 5).astype(np.float32)
    result = resize_bilinear(image, 9, 2)
    assert result.dtype == np.float32
    expected = torch_resize(image, size=(9, 2), align_corners=False)
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("size", "source"), [(1, 1), (1, 9), (9, 1), (100, 7), (7, 100)])
def test_positions_are_on_the_grid(size: int, source: int, align_corners: bool) -> None:
    lower, weight = source_positions(size, source, align_corners=align_corners)
    assert lower.shape == weight.shape == (size,)
    assert lower.min() >= 0
    assert lower.max() <= max(source - 2, 0)
    assert weight.min() >= 0
    assert weight.max() <= 1
    assert (np.diff(lower + weight) >= 0).all()


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("channels", [3, 24])
def test_apply_enlarges_the_maps_then_iterates(channels: int, align_corners: bool) -> None:
    image, small = random(3, 21, 34), random(channels, 4, 6, low=-1, seed=2).astype(np.float32)
    full = torch_resize(small.astype(np.float64), size=(21, 34), align_corners=align_corners)
    expected = iterate(torch.from_numpy(image), torch.from_numpy(full)).numpy()
    result = apply(image, CurveMaps(small, align_corners))
    np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize(
    "shape", [(3, 4), (3,), (1, 3, 4, 4), (0, 4, 4), (4, 2, 2), (25, 2, 2), (3, 0, 4), (3, 4, 0)]
)
def test_maps_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must have shape") as error:
        CurveMaps(np.zeros(shape, np.float32))
    assert str(shape) in str(error.value)


@pytest.mark.parametrize(
    ("channels", "shared", "iterations"), [(3, True, 8), (6, False, 2), (24, False, 8)]
)
def test_channels_decide_the_iterations(channels: int, shared: bool, iterations: int) -> None:
    maps = CurveMaps(np.zeros((channels, 2, 5), np.float32))
    assert maps.shared is shared
    assert maps.iterations == iterations


def test_scaling_does_not_change_the_maps() -> None:
    maps = CurveMaps(np.full((3, 1, 1), -0.8, np.float32), align_corners=True)
    half = maps.scaled(0.5)
    np.testing.assert_allclose(half.values, -0.4)
    np.testing.assert_allclose(maps.values, -0.8)
    assert half.align_corners
    assert half.values.dtype == np.float32
    with pytest.raises(dataclasses.FrozenInstanceError):
        maps.values = half.values  # type: ignore[misc]


def test_half_the_strength_brightens_less() -> None:
    image = np.full((3, 4, 4), 0.1)
    maps = CurveMaps(np.full((3, 2, 2), -0.6, np.float32))
    levels = [float(apply(image, maps.scaled(s)).mean()) for s in (0, 0.25, 0.5, 1)]
    assert math.isclose(levels[0], 0.1)
    assert levels == sorted(levels)
    assert levels[3] > levels[1] + 0.2
