"""The losses against values worked out by hand, and their weights."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from zerodce_rt.names import LOSSES
from zerodce_rt.training.losses import (
    LossWeights,
    channel_agreement,
    colour_constancy,
    exposure,
    illumination_smoothness,
    spatial_consistency,
)


def blocks(levels: list[list[float]], size: int, spread: float = 0.0) -> Tensor:
    """``(1, 3, H, W)``: squares of grey levels; red is ``spread`` below them, blue above."""
    grey = torch.tensor(levels, dtype=torch.float64)
    grey = grey.repeat_interleave(size, 0).repeat_interleave(size, 1)
    return torch.stack([grey - spread, grey, grey + spread])[None]


def flat(red: float, green: float, blue: float, size: int = 16) -> Tensor:
    colours = torch.tensor([red, green, blue], dtype=torch.float64)
    return colours.view(1, 3, 1, 1).expand(1, 3, size, size).clone()


def test_spatial_consistency_by_hand() -> None:
    # Four regions, I = [.2 .4; .6 .8] and Y = [.2 .6; .6 1.], whatever the channels do.
    # Horizontal pairs: |I| differences .2, .2; |Y| differences .4, .4: squares .04, .04.
    # Vertical pairs:   |I| differences .4, .4; |Y| differences .4, .4: squares 0, 0.
    # Mean over the four pairs: .08 / 4 = .02.
    original = blocks([[0.2, 0.4], [0.6, 0.8]], 4, spread=0.1)
    enhanced = blocks([[0.2, 0.6], [0.6, 1.0]], 4)
    assert spatial_consistency(enhanced, original).item() == pytest.approx(0.02)


def test_spatial_consistency_counts_every_pair_alike() -> None:
    # One row of three regions, I = .1 .1 .1 and Y = .1 .4 .4: pairs .3 and 0, mean .09 / 2.
    original, enhanced = blocks([[0.1, 0.1, 0.1]], 4), blocks([[0.1, 0.4, 0.4]], 4)
    assert spatial_consistency(enhanced, original).item() == pytest.approx(0.045)


def test_spatial_consistency_compares_means_of_regions() -> None:
    # Neither detail within a 4 x 4 region counts, nor a constant offset, nor an inversion.
    original = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    assert spatial_consistency(original, original).item() == 0
    assert spatial_consistency(original + 0.2, original).item() == pytest.approx(0, abs=1e-20)
    assert spatial_consistency(1 - original, original).item() == pytest.approx(0, abs=1e-20)
    stripes = torch.tensor([0.0, 0.2], dtype=torch.float64).repeat(8)
    assert spatial_consistency(blocks([[0.1] * 4] * 4, 4) + stripes, flat(0.2, 0.2, 0.2)).item() < (
        1e-20
    )


def test_exposure_by_hand() -> None:
    # Two regions of .2 and .9, target .6: |-.4| and |.3|, mean .35; squares .16 and .09, mean .125.
    image = blocks([[0.2], [0.9]], 16, spread=0.1)
    assert exposure(image).item() == pytest.approx(0.35)
    assert exposure(image, squared=True).item() == pytest.approx(0.125)
    # Target .5: .3 and .4.
    assert exposure(image, target=0.5).item() == pytest.approx(0.35)
    assert exposure(image, target=0.5, squared=True).item() == pytest.approx(0.125)
    # Eight smaller regions, four of each level: the same mean.
    assert exposure(image, region=8).item() == pytest.approx(0.35)


def test_exposure_is_zero_at_the_target() -> None:
    # Half black, half 1.2 is .6 on average in every 16 x 16 region.
    image = blocks([[0.0, 1.2] * 8] * 16, 1)
    assert exposure(image).item() == pytest.approx(0, abs=1e-12)
    assert exposure(image, squared=True).item() == pytest.approx(0, abs=1e-12)


def test_colour_constancy_by_hand() -> None:
    # Means .5 .3 .2: squared differences RG .04, RB .09, GB .01. Sum .14;
    # published: sqrt(.04^2 + .09^2 + .01^2) = sqrt(.0016 + .0081 + .0001) = sqrt(.0098).
    image = flat(0.5, 0.3, 0.2)
    assert colour_constancy(image).item() == pytest.approx(0.14)
    assert colour_constancy(image, root=True).item() == pytest.approx(math.sqrt(0.0098))
    # With a grey picture beside it in the batch: half.
    pair = torch.cat([image, flat(0.4, 0.4, 0.4)])
    assert colour_constancy(pair).item() == pytest.approx(0.07)
    assert colour_constancy(pair, root=True).item() == pytest.approx(
        math.sqrt(0.0098) / 2, abs=1e-6
    )


def test_colour_constancy_is_zero_for_a_grey_world() -> None:
    # Every channel is 0.5 on average, though no pixel is grey.
    rows = torch.tensor([1.0, 0.0], dtype=torch.float64).repeat(8)
    image = torch.stack([rows, 1 - rows, rows])[None, :, :, None].expand(1, 3, 16, 4)
    assert colour_constancy(image).item() == pytest.approx(0)
    assert colour_constancy(image, root=True).item() == pytest.approx(0, abs=1e-5)


def test_illumination_smoothness_by_hand() -> None:
    # First of three maps: rows (0 1 3) and (0 1 5); the others are constant.
    # Horizontal: 1, 4, 1, 16 over 3 maps x 2 rows x 2 steps: 22 / 12.
    # Vertical: 0, 0, 4 over 3 maps x 1 step x 3 columns: 4 / 9.
    maps = torch.zeros(1, 3, 2, 3, dtype=torch.float64)
    maps[0, 0] = torch.tensor([[0, 1, 3], [0, 1, 5]])
    maps[0, 1] = 0.7
    assert illumination_smoothness(maps).item() == pytest.approx(22 / 12 + 4 / 9)


def test_illumination_smoothness_is_zero_for_constant_maps() -> None:
    constant = torch.linspace(-1, 1, 24).view(1, 24, 1, 1).expand(2, 24, 5, 6)
    assert illumination_smoothness(constant).item() == 0


def test_channel_agreement_by_hand() -> None:
    # Two triples of maps in one place: (.1 .3 .5) has the mean .3 and the variance
    # (.04 + 0 + .04) / 3; (.2 .2 .2) has none. Mean over the two: .04 / 3.
    maps = torch.tensor([0.1, 0.3, 0.5, 0.2, 0.2, 0.2], dtype=torch.float64).view(1, 6, 1, 1)
    assert channel_agreement(maps).item() == pytest.approx(0.04 / 3)
    # The same triples at every pixel: the same mean. With as many pixels of agreement: half.
    assert channel_agreement(maps.expand(3, 6, 4, 5)).item() == pytest.approx(0.04 / 3)
    half = torch.cat([maps, torch.zeros_like(maps)], dim=3)
    assert channel_agreement(half).item() == pytest.approx(0.02 / 3)


def test_channel_agreement_compares_channels_within_an_iteration() -> None:
    # Red, green and blue are alike in every iteration; the iterations differ.
    maps = torch.linspace(-1, 1, 8, dtype=torch.float64).repeat_interleave(3).view(1, 24, 1, 1)
    assert channel_agreement(maps).item() == pytest.approx(0)
    assert channel_agreement(maps.to(memory_format=torch.channels_last)).item() == pytest.approx(0)


def test_every_loss_has_a_weight() -> None:
    names = {f.name for f in fields(LossWeights)}
    assert names - set(LOSSES) == {"exposure_target", "published_form"}
    assert names >= set(LOSSES)


def test_terms_are_the_weighted_losses() -> None:
    image = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    bright, maps = image.sqrt(), -torch.rand(2, 24, 32, 32, dtype=torch.float64)
    weights = LossWeights(
        spatial=2, exposure=3, colour=5, smoothness=7, agreement=0, exposure_target=0.5,
        published_form=False,
    )  # fmt: skip
    terms = weights.terms(image, bright, maps)
    assert tuple(terms) == LOSSES
    expected = [
        2 * float(spatial_consistency(bright, image)),
        3 * float(exposure(bright, target=0.5)),
        5 * float(colour_constancy(bright)),
        7 * float(illumination_smoothness(maps)),
        0.0,
    ]
    assert [float(t) for t in terms.values()] == pytest.approx(expected)
    published = replace(weights, published_form=True).terms(image, bright, maps)
    assert float(published["spatial"]) == pytest.approx(
        2 * float(spatial_consistency(bright, image, signed=True))
    )
    assert float(published["exposure"]) == pytest.approx(
        3 * float(exposure(bright, target=0.5, squared=True))
    )
    assert float(published["colour"]) == pytest.approx(
        5 * float(colour_constancy(bright, root=True))
    )


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", [-1.0, math.inf, math.nan])
def test_weights_are_validated(name: str, bad: float) -> None:
    weights: dict[str, Any] = {name: bad}
    with pytest.raises(ValueError, match=f"weight of the {name} loss must be 0 or more, not {bad}"):
        LossWeights(**weights)


def test_some_loss_must_count() -> None:
    with pytest.raises(ValueError, match="weight above 0: spatial, exposure"):
        LossWeights(spatial=0, exposure=0, colour=0, smoothness=0, agreement=0)


@pytest.mark.parametrize("target", [0.0, 1.0, 60.0, math.nan])
def test_exposure_target_is_validated(target: float) -> None:
    with pytest.raises(ValueError, match="`exposure_target` must be"):
        LossWeights(exposure_target=target)


@pytest.mark.parametrize("picture", ["noise", "black", "white", "at the target"])
def test_gradients_are_finite(picture: str) -> None:
    levels = {"black": 0.0, "white": 1.0, "at the target": 0.6}
    image = torch.rand(2, 3, 32, 32)
    if picture in levels:
        image.fill_(levels[picture])
    image.requires_grad_()
    losses = [
        spatial_consistency(image, torch.full_like(image, 0.1)),
        exposure(image),
        exposure(image, squared=True),
        colour_constancy(image),
        colour_constancy(image, root=True),
        illumination_smoothness(image),
        channel_agreement(image),
    ]
    for loss in losses:
        assert loss.ndim == 0
        assert torch.isfinite(loss)
        (gradient,) = torch.autograd.grad(loss, image)
        assert torch.isfinite(gradient).all()
