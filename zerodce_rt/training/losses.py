"""The zero-reference losses: four of the paper (Guo et al., CVPR 2020, section 3.3), one of ours.

Images are ``(N, 3, H, W)`` float RGB tensors in [0, 1], and maps ``(N, 3 * k, H, W)`` in [-1, 1].
Every loss is a scalar tensor, 0 or more, averaged over the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from zerodce_rt.names import LOSSES


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """What each loss counts for in the sum that training minimises. 0 leaves a loss out.

    Attributes:
        spatial: weight of ``spatial_consistency``, 0 or more, as all weights.
        exposure: weight of ``exposure``.
        colour: weight of ``colour_constancy``.
        smoothness: weight of ``illumination_smoothness``.
        agreement: weight of ``channel_agreement``.
        exposure_target: mean level that regions should have, in (0, 1).
        published_form: use the formulas of the published program instead of the paper's: exposure
            squared, colour constancy with a root, and spatial differences with their signs.

    Raises:
        ValueError: a setting outside its range, or all weights 0.
    """

    spatial: float = 1.0
    exposure: float = 10.0
    colour: float = 0.5
    smoothness: float = 30000.0
    agreement: float = 40.0
    exposure_target: float = 0.6
    published_form: bool = True

    def __post_init__(self) -> None:
        check_weights({name: getattr(self, name) for name in LOSSES})
        if not 0 < self.exposure_target < 1:
            raise ValueError(
                f"`exposure_target` must be above 0 and below 1, not {self.exposure_target}"
            )

    def terms(self, original: Tensor, enhanced: Tensor, maps: Tensor) -> dict[str, Tensor]:
        """The weighted losses by name (``names.LOSSES``); training minimises their sum."""
        form = self.published_form
        losses = {
            "spatial": spatial_consistency(enhanced, original, signed=form),
            "exposure": exposure(enhanced, target=self.exposure_target, squared=form),
            "colour": colour_constancy(enhanced, root=form),
            "smoothness": illumination_smoothness(maps),
            "agreement": channel_agreement(maps),
        }
        return {name: getattr(self, name) * loss for name, loss in losses.items()}


def check_weights(weights: dict[str, float]) -> None:
    """Check the weights of losses, given by name.

    Raises:
        ValueError: one is below 0, or all are 0.
    """
    for name, weight in weights.items():
        if not 0 <= weight < math.inf:
            raise ValueError(f"the weight of the {name} loss must be 0 or more, not {weight}")
    if not any(weights.values()):
        raise ValueError(f"one of the losses needs a weight above 0: {', '.join(weights)}")


def spatial_consistency(
    enhanced: Tensor, original: Tensor, *, region: int = 4, signed: bool = False
) -> Tensor:
    """Differences between neighbouring regions should survive the enhancement (eq. 4).

    Mean over regions i and their four neighbours j of ``(|Y_i - Y_j| - |I_i - I_j|)^2``, where Y
    (enhanced) and I (original) are means over the channels and over the pixels of a region.

    Args:
        region: side of a region in pixels.
        signed: leave the absolute values out, as the published program does.
    """
    y = F.avg_pool2d(enhanced.mean(dim=1, keepdim=True), region)
    i = F.avg_pool2d(original.mean(dim=1, keepdim=True), region)

    def squared(dim: int) -> Tensor:
        dy, di = y.diff(dim=dim), i.diff(dim=dim)
        return (dy - di if signed else dy.abs() - di.abs()).square()

    # Every pair of neighbours is counted once here and twice in the formula: the same mean.
    horizontal, vertical = squared(3), squared(2)
    return (horizontal.sum() + vertical.sum()) / (horizontal.numel() + vertical.numel())


def exposure(
    enhanced: Tensor, *, target: float = 0.6, region: int = 16, squared: bool = False
) -> Tensor:
    """Regions should be as bright as ``target`` (eq. 5).

    Mean over regions k of ``|Y_k - E|``, where Y is the mean over the channels and over the pixels
    of a region, and E is the target.

    Args:
        target: E in (0, 1).
        region: side of a region in pixels; regions do not overlap.
        squared: square the difference, as the published program does.
    """
    difference = F.avg_pool2d(enhanced.mean(dim=1, keepdim=True), region) - target
    return difference.square().mean() if squared else difference.abs().mean()


def colour_constancy(enhanced: Tensor, *, root: bool = False) -> Tensor:
    """The means of red, green and blue should agree: the grey-world assumption (eq. 6).

    Sum over the three pairs of channels of ``(J_p - J_q)^2``, where J is a channel's mean.

    Args:
        root: square those three terms, and take the root of their sum, as the published program
            does.
    """
    red, green, blue = enhanced.mean(dim=(2, 3)).unbind(dim=1)
    pairs = torch.stack([(red - green) ** 2, (red - blue) ** 2, (green - blue) ** 2])
    if root:
        # The constant keeps the gradient finite where the channels agree exactly.
        return (pairs.square().sum(dim=0) + 1e-12).sqrt().mean()
    return pairs.sum(dim=0).mean()


def illumination_smoothness(maps: Tensor) -> Tensor:
    """Curves should vary slowly over the picture (eq. 7).

    Mean squared difference of horizontal neighbours plus that of vertical neighbours. The paper
    adds the absolute values of both before it squares; this is the form of its program.
    """
    return maps.diff(dim=3).square().mean() + maps.diff(dim=2).square().mean()


def channel_agreement(maps: Tensor) -> Tensor:
    """The curves of red, green and blue should be alike, so that no colour cast appears.

    Mean over pixels and iterations of the variance between the three channels' maps. Not in the
    papers: with ``colour_constancy`` alone the network learns the average cast of its training
    photographs and removes it from every picture. Ours are warm, and results came out blue.
    """
    n, channels, height, width = maps.shape
    return maps.view(n, channels // 3, 3, height, width).var(dim=2, unbiased=False).mean()
