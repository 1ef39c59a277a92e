"""The four zero-reference losses (Guo et al., CVPR 2020, section 3.3).

Images are ``(N, 3, H, W)`` tensors in [0, 1]; every loss is a scalar averaged over the batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def spatial_consistency(
    enhanced: Tensor, original: Tensor, *, region: int = 4, signed: bool = False
) -> Tensor:
    """Differences between neighbouring regions should survive the enhancement (eq. 4).

    Mean over regions i and their four neighbours j of ``(|Y_i - Y_j| - |I_i - I_j|)^2``,
    where Y and I are means over the channels and over ``region`` x ``region`` pixels. With
    ``signed`` the differences keep their signs, as in the published program.
    """
    y = F.avg_pool2d(enhanced.mean(dim=1, keepdim=True), region)
    i = F.avg_pool2d(original.mean(dim=1, keepdim=True), region)

    def squared(dim: int) -> Tensor:
        dy, di = y.diff(dim=dim), i.diff(dim=dim)
        return (dy - di if signed else dy.abs() - di.abs()).square()

    # Each pair of neighbours counts from both ends, and a neighbour outside the picture not
    # at all: the mean over pairs is the mean over (i, j).
    horizontal, vertical = squared(3), squared(2)
    return (horizontal.sum() + vertical.sum()) / (horizontal.numel() + vertical.numel())


def exposure(
    enhanced: Tensor, *, target: float = 0.6, region: int = 16, squared: bool = False
) -> Tensor:
    """Regions should be as bright as ``target`` (eq. 5).

    Mean over non-overlapping ``region`` x ``region`` squares of ``|Y_k - E|``. With
    ``squared`` the difference is squared, as the published program does.
    """
    difference = F.avg_pool2d(enhanced.mean(dim=1, keepdim=True), region) - target
    return difference.square().mean() if squared else difference.abs().mean()


def colour_constancy(enhanced: Tensor, *, root: bool = False) -> Tensor:
    """The channels' means should agree, as grey-world assumes (eq. 6).

    Sum over the channel pairs of the squared difference of their means. With ``root`` the
    root of the sum of the squared terms, as the published program does.
    """
    red, green, blue = enhanced.mean(dim=(2, 3)).unbind(dim=1)
    pairs = torch.stack([(red - green) ** 2, (red - blue) ** 2, (green - blue) ** 2])
    if root:
        # The constant keeps the gradient finite where the channels agree exactly.
        return (pairs.square().sum(dim=0) + 1e-12).sqrt().mean()
    return pairs.sum(dim=0).mean()


def illumination_smoothness(maps: Tensor) -> Tensor:
    """Curves should vary slowly over the picture (eq. 7).

    Total variation of the maps ``(N, 3k, H, W)``: mean squared horizontal difference plus
    mean squared vertical difference.
    """
    return maps.diff(dim=3).square().mean() + maps.diff(dim=2).square().mean()


def channel_agreement(maps: Tensor) -> Tensor:
    """The three channels' curves should be alike, so that no colour cast appears.

    Not in the papers. Grey-world alone (``colour_constancy``) teaches the network the average
    cast of its training photographs, which it then takes out of every picture: ours are warm,
    and results came out blue. Mean over places and iterations of the variance between the maps
    ``(N, 3k, H, W)`` of red, green and blue.
    """
    n, channels, height, width = maps.shape
    return maps.view(n, channels // 3, 3, height, width).var(dim=2, unbiased=False).mean()
