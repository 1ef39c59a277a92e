"""The luma curve of light maps, and its chroma gain."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.support.noise import light_maps
from zerodce_rt.curve import light
from zerodce_rt.curve.light import KNOTS
from zerodce_rt.curve.maps import CurveMaps, apply, enhance, iterate, monotone, resized

WEIGHTS = (0.2126, 0.7152, 0.0722)


def curve(values: list[float], luma: NDArray[np.float64]) -> NDArray[np.float64]:
    """The curve with one set of values at the knots, for many levels of luma."""
    row = luma.reshape(1, 1, -1)
    curves = np.array(values).reshape(4, 1, 1) * np.ones((1, 1, luma.size))
    return light.luma_curve(row, curves, KNOTS)[0, 0]


def one_pixel(values: list[float], gain: float) -> CurveMaps:
    return CurveMaps(np.array([*values, gain], np.float32).reshape(5, 1, 1), knots=KNOTS)


@pytest.mark.parametrize("k", range(4))
def test_at_a_knot_the_strength_is_its_value(k: int) -> None:
    values, luma = [-0.9, -0.6, -0.4, 0.2], np.array([[[KNOTS[k]]]])
    expected = luma
    for _ in range(8):
        expected = expected + values[k] * (expected**2 - expected)
    assert curve(values, luma.ravel())[0] == pytest.approx(expected.item())


def test_the_strength_is_linear_between_knots_and_beyond_the_last() -> None:
    terms = light.knot_terms(np.array([-0.9, -0.6, -0.4, 0.2]).reshape(4, 1, 1), KNOTS)
    c = [float(t.item()) for t in terms]

    def strength(y: float) -> float:
        return c[0] + c[1] * y + c[2] * max(0, y - KNOTS[1]) + c[3] * max(0, y - KNOTS[2])

    assert strength(0.015) == pytest.approx(-0.75)
    assert strength(0.075) == pytest.approx(-0.5)
    assert strength(0.78) == pytest.approx(0.2 + 0.6)


def test_equal_values_are_the_curve_of_the_papers_on_grey() -> None:
    grey = np.linspace(0, 1, 50).reshape(1, 1, 50) * np.ones((3, 1, 1))
    maps = one_pixel([-0.5] * 4, 1.0)
    expected = iterate(grey, np.full((3, 1, 50), -0.5))
    assert np.abs(apply(grey, maps) - expected).max() < 1e-6


def test_tensors_give_what_arrays_give() -> None:
    x = np.random.default_rng(0).random((3, 6, 7))
    maps: NDArray[np.float64] = resized(light_maps(6, 7), 6, 7).values.astype(np.float64)
    expected = light.enhance_rgb(x, maps, KNOTS, WEIGHTS)
    got = light.enhance_rgb(torch.from_numpy(x), torch.from_numpy(maps), KNOTS, WEIGHTS)
    assert np.abs(got.numpy() - expected).max() < 1e-12


def test_hues_stay() -> None:
    """Differences from luma keep their proportions where nothing is clipped at black."""
    x = np.random.default_rng(1).random((3, 1, 500)) * 0.3 + 0.05
    out = enhance(x, resized(one_pixel([-0.6, -0.5, -0.4, -0.1], 0.9), 1, 500))
    inside = out.min(axis=0) > 0
    assert inside.mean() > 0.8

    def direction(image: NDArray[np.float64]) -> NDArray[np.float64]:
        luma = np.tensordot(WEIGHTS, image, 1)
        red_and_blue = image[[0, 2]] - luma
        return np.arctan2(*red_and_blue)

    turned = np.abs(np.angle(np.exp(1j * (direction(out) - direction(x)))))
    assert np.degrees(turned[inside]).max() < 0.1


def test_no_channel_grows_into_the_clip() -> None:
    x = np.random.default_rng(2).random((3, 20, 20))
    out = apply(x, monotone(light_maps(4, 4)))
    white = np.tensordot(WEIGHTS, out, 1) > light.WHITE  # grey that the curve has made white
    clipped = (out.max(axis=0) > 0.99) & ~white
    assert (x.max(axis=0)[clipped] > light.WHITE).all()


def test_strength_is_smooth() -> None:
    x = np.random.default_rng(3).random((3, 20, 20))
    maps = monotone(light_maps(4, 4))
    steps = [apply(x, maps.scaled(s)) for s in np.linspace(0, 1, 21)]
    assert np.abs(steps[0] - x).max() < 1e-6
    assert max(float(np.abs(b - a).max()) for a, b in pairwise(steps)) < 0.25
    means = [float(s.mean()) for s in steps]
    assert means == sorted(means)


def falls(maps: CurveMaps) -> float:
    """By how much any curve of the maps falls at most, between levels of 8 bits."""
    count = maps.values[0].size
    luma = np.linspace(0, 1, 256).reshape(-1, 1, 1, 1) * np.ones((1, 1, 1, count))
    curves = maps.curves.reshape(1, 4, 1, count).astype(np.float64)
    after = light.luma_curve(luma, curves, maps.knots)
    return float(-np.diff(after, axis=0).min())


def test_monotone_lets_no_curve_fall() -> None:
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.uniform(-1, 1, (4, 9, 16)), np.ones((1, 9, 16))])
    maps = CurveMaps(values.astype(np.float32), knots=KNOTS)
    assert falls(maps) > 0.05
    risen = monotone(maps)
    assert falls(risen) < 0.1 / 255
    assert (risen.values[-1] == 1).all()
    # Between the cells, where the maps are interpolated: not more than a level or two.
    assert falls(resized(risen, 36, 64)) < 3 / 255


def test_a_curve_that_is_flat_near_white_is_left_alone() -> None:
    maps = one_pixel([-0.9, -0.9, -0.9, -0.9], 0.7)
    assert monotone(maps) is maps


def test_monotone_leaves_good_maps_alone() -> None:
    maps = one_pixel([-0.4, -0.35, -0.3, -0.2], 0.7)
    assert monotone(maps) is maps


def test_monotone_changes_only_where_a_curve_falls() -> None:
    good, bad = [-0.4, -0.35, -0.3, -0.2, 0.7], [-0.9, -0.9, -0.9, 0.9, 0.7]
    maps = CurveMaps(np.array([good, bad], np.float32).T.reshape(5, 1, 2), knots=KNOTS)
    values = monotone(maps).values
    assert values[:, 0, 0].tolist() == pytest.approx(good)
    assert falls(CurveMaps(values[:, :, 1:], knots=KNOTS)) < 0.1 / 255


@pytest.mark.parametrize(
    ("shape", "knots"),
    [
        ((4, 2, 2), KNOTS),
        ((6, 2, 2), KNOTS),
        ((5, 2), KNOTS),
        ((5, 2, 2), (0.1, 0.2, 0.3, 0.4)),
        ((5, 2, 2), (0, 0.2, 0.2, 0.4)),
        ((4, 2, 2), (0, 0.2, 0.4)),
        ((5, 2, 2), ()),
    ],
)
def test_maps_of_another_shape_are_refused(
    shape: tuple[int, ...], knots: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match=r"maps|knots"):
        CurveMaps(np.zeros(shape, np.float32), knots=knots)
