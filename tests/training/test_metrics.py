"""PSNR and SSIM against formulas worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from zerodce_rt.training.metrics import psnr, ssim

C1, C2 = 0.01**2, 0.03**2


def level(value: float) -> Tensor:
    return torch.full((3, 16, 20), value)


def noise(seed: int = 0) -> Tensor:
    return torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("shift", "decibels"), [(1.0, 0.0), (0.1, 20.0), (-0.01, 40.0)])
def test_psnr_of_a_constant_shift(shift: float, decibels: float) -> None:
    # The mean squared error is shift^2: -10 log10(shift^2) = -20 log10(|shift|).
    assert psnr(level(0.5) + shift, level(0.5)) == pytest.approx(decibels, abs=1e-3)


def test_psnr_averages_the_squares_over_all_samples() -> None:
    # One channel of three off by .3: .09 / 3 = .03, that is 15.2288 dB.
    image = level(0.2)
    image[1] += 0.3
    assert psnr(image, level(0.2)) == pytest.approx(-10 * math.log10(0.03), abs=1e-3)


def test_psnr_of_identical_pictures_is_infinite() -> None:
    assert psnr(noise(), noise()) == math.inf


def test_ssim_of_identical_pictures_is_one() -> None:
    assert ssim(noise(), noise()) == pytest.approx(1, abs=1e-9)
    assert ssim(level(0), level(0)) == pytest.approx(1, abs=1e-9)


def test_ssim_is_symmetric_and_below_one() -> None:
    one, other = noise(0), (noise(0) + 0.3 * noise(1)).clamp(0, 1)
    assert ssim(one, other) == pytest.approx(ssim(other, one), abs=1e-12)
    assert 0.2 < ssim(one, other) < 0.99
    assert abs(ssim(noise(0), noise(1))) < 0.1


def test_ssim_of_flat_pictures_is_the_luminance_term() -> None:
    # No variance: (2 x y + C1) / (x^2 + y^2 + C1) x C2 / C2.
    expected = (2 * 0.5 * 0.6 + C1) / (0.25 + 0.36 + C1)
    assert ssim(level(0.5), level(0.6)) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_a_shifted_ramp() -> None:
    # A shift leaves variance and covariance alike, so the structure term is 1; a symmetric
    # window sees the ramp's value at its centre. Only windows inside the picture count.
    ramp = torch.linspace(0.2, 0.7, 31, dtype=torch.float64).expand(3, 15, 31)
    x = ramp[0, 0, 5:-5]
    y = x + 0.2
    expected = ((2 * x * y + C1) / (x**2 + y**2 + C1)).mean().item()
    assert ssim(ramp, ramp + 0.2) == pytest.approx(expected, abs=1e-9)


def test_ssim_of_inverted_detail_is_negative() -> None:
    # A checkerboard of .5 +- s has mean .5 and variance s^2 in every window (to 1e-4); inverted,
    # the covariance is -s^2: (-2 s^2 + C2) / (2 s^2 + C2).
    y, x = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    detail = (0.1 * (1 - 2 * ((x + y) % 2))).double().expand(3, 16, 16)
    expected = (-2 * 0.01 + C2) / (2 * 0.01 + C2)
    assert ssim(0.5 + detail, 0.5 - detail) == pytest.approx(expected, abs=1e-3)
