"""The losses of the light network against values worked out by hand."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor

from zerodce_rt.names import LIGHT_LOSSES
from zerodce_rt.training.light_losses import (
    LightLossWeights,
    brightness,
    chroma,
    level,
    luma,
    monotony,
    smoothness,
    structure,
)


def flat(value: float, size: int = 24) -> Tensor:
    return torch.full((1, 1, size, size), value)


def light_maps(*values: float, size: int = 8) -> Tensor:
    return torch.tensor(values).view(1, -1, 1, 1).expand(1, -1, size, size)


def test_a_perfect_picture_costs_nothing() -> None:
    image = torch.rand(2, 3, 54, 96, generator=torch.Generator().manual_seed(0))
    maps = light_maps(-0.3, -0.3, -0.2, -0.1, 0.7).expand(2, -1, -1, -1)
    terms = LightLossWeights().terms(
        enhanced=image, truth=image, raw=maps, maps=maps, seen=image[..., :36, :64]
    )
    assert tuple(terms) == LIGHT_LOSSES
    assert all(abs(float(term)) < 1e-5 for term in terms.values())


def test_level_by_hand() -> None:
    # |d| = .2, d^2 = .04, w = .02 / .05: .2 + 5 x .4 x .04 = .28.
    assert float(level(flat(0.7), flat(0.5))) == pytest.approx(0.28, rel=1e-4)


def test_brightness_sees_regions_and_not_their_detail() -> None:
    # .2 off in regions of both sizes: .4 x (.04 + .04).
    assert float(brightness(flat(0.7), flat(0.5))) == pytest.approx(0.032, rel=1e-4)
    checks = torch.ones(24, 24)
    checks[::2, ::2] = checks[1::2, 1::2] = 0
    assert float(brightness(checks[None, None], flat(0.5))) == pytest.approx(0, abs=1e-6)


def test_chroma_by_hand() -> None:
    truth = torch.full((1, 3, 4, 4), 0.5)
    assert float(chroma(truth + 0.2, truth)) == pytest.approx(0, abs=1e-6), "brighter, as grey"
    tinted = truth.clone()
    tinted[:, 2] += 0.3  # blue, which is .0722 of luma
    offset = 0.0722 * 0.3
    expected = (offset + offset + (0.3 - offset)) / 3
    assert float(chroma(tinted, truth)) == pytest.approx(expected, rel=1e-4)


def test_luma_is_that_of_the_curve() -> None:
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    assert float(luma(red)) == pytest.approx(0.2126)


def test_structure_is_0_for_equal_pictures_and_counts_lost_contrast() -> None:
    image = torch.rand(1, 1, 54, 96, generator=torch.Generator().manual_seed(0))
    assert float(structure(image, image)) == pytest.approx(0, abs=1e-5)
    half, flat_out = 0.25 + image / 2, torch.full_like(image, 0.5)
    assert 0 < float(structure(half, image)) < float(structure(flat_out, image)) <= 1


def test_smoothness_by_hand() -> None:
    # Two columns that differ by .6, under even light: one pair, times 1; no vertical difference.
    raw = torch.tensor([[0.0, 0.6], [0.0, 0.6]]).view(1, 1, 2, 2)
    even = torch.full((1, 3, 4, 4), 0.5)
    assert float(smoothness(raw, even)) == pytest.approx(0.6)
    # One stop between the columns: times exp(-2).
    edge = even.clone()
    edge[..., 2:] = 0.25
    assert float(smoothness(raw, edge)) == pytest.approx(0.6 * math.exp(-2), rel=1e-4)


def test_monotony_counts_curves_that_fall_or_rise_too_steeply() -> None:
    assert float(monotony(light_maps(0, 0, 0, 0, 0.7))) == 0
    assert float(monotony(light_maps(-0.3, -0.3, -0.3, -0.3, 0.7))) == 0
    # Lifts the dark and nothing above it: darker tones become brighter than brighter ones.
    assert float(monotony(light_maps(-1, -1, 1, 1, 0.7))) > 0.1
    # Slopes of 2^8 at black.
    assert float(monotony(light_maps(-1, -1, -1, -1, 0.7))) > 0.001


def test_monotony_is_finite_where_a_curve_explodes() -> None:
    maps = light_maps(1.0, 1, 1, -1, 0.7).clone().requires_grad_()
    loss = monotony(maps)
    loss.backward()  # type: ignore[no-untyped-call]
    assert 0.1 < float(loss.detach()) < 1000
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()


def test_every_loss_has_a_weight() -> None:
    assert {f.name for f in fields(LightLossWeights)} == set(LIGHT_LOSSES)


@pytest.mark.parametrize("name", LIGHT_LOSSES)
def test_a_weight_scales_its_loss(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    image, truth = torch.rand(2, 1, 3, 54, 96, generator=generator)
    pictures: dict[str, Any] = {
        "enhanced": image, "truth": truth, "raw": torch.randn(1, 5, 9, 16, generator=generator),
        "maps": light_maps(-1, -1, 1, 1, 0.7), "seen": image,
    }  # fmt: skip
    usual = LightLossWeights().terms(**pictures)
    other = LightLossWeights(**{name: 3.0}).terms(**pictures)
    weight = getattr(LightLossWeights(), name)
    assert float(other[name]) == pytest.approx(float(usual[name]) * 3 / weight, rel=1e-5)
    assert all(other[n] == usual[n] for n in LIGHT_LOSSES if n != name)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_weights_are_validated(bad: float) -> None:
    with pytest.raises(ValueError, match="weight of the chroma loss must be 0 or more"):
        LightLossWeights(chroma=bad)
    with pytest.raises(ValueError, match="one of the losses needs a weight above 0: level"):
        LightLossWeights(**dict.fromkeys(LIGHT_LOSSES, 0.0))
