"""The losses of the light network: its picture against the truth, and the shape of its maps.

Pictures are ``(N, 3, H, W)`` float RGB tensors in [0, 1], luma ``(N, 1, H, W)``, and light maps
``(N, 5, h, w)`` (see ``curve/light.py``). Every loss is a scalar tensor, 0 or more, averaged over
the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from zerodce_rt.curve import light
from zerodce_rt.frame import PACKED_MATRIX, luma_weights
from zerodce_rt.names import LIGHT_LOSSES
from zerodce_rt.training.losses import check_weights

REGIONS = (8, 24)
"""Sides in pixels of the regions whose brightness is compared."""

LEAST_SLOPE, MOST_SLOPE = 0.02, 24.0
"""Slopes of a luma curve should lie between these."""

_GRID, _GRID_LEVELS, _GRID_POWER = 8, 33, 1.6
# Below 1, an excess of slope counts linearly; beyond this many, as its logarithm.
_LINEAR_EXCESS = 10.0
_DARKEST = 1 / 256


@dataclass(frozen=True, kw_only=True)
class LightLossWeights:
    """What each loss of the light network counts for in the sum that training minimises.

    0 leaves a loss out.

    Attributes:
        level: weight of ``level``, 0 or more, as all weights.
        brightness: weight of ``brightness``.
        chroma: weight of ``chroma``.
        structure: weight of ``structure``.
        smoothness: weight of ``smoothness``.
        monotony: weight of ``monotony``.

    Raises:
        ValueError: a weight below 0, or all weights 0.
    """

    level: float = 0.4
    brightness: float = 2.0
    chroma: float = 1.0
    structure: float = 0.35
    smoothness: float = 0.1
    monotony: float = 0.5

    def __post_init__(self) -> None:
        check_weights({name: getattr(self, name) for name in LIGHT_LOSSES})

    def terms(
        self, *, enhanced: Tensor, truth: Tensor, raw: Tensor, maps: Tensor, seen: Tensor
    ) -> dict[str, Tensor]:
        """The weighted losses by name (``names.LIGHT_LOSSES``); training minimises their sum.

        Args:
            enhanced: pictures ``(N, 3, H, W)``, of the size of ``truth``.
            truth: what they should be.
            raw: the network's maps before their limits, ``(N, 5, h, w)``.
            maps: those maps within their limits.
            seen: the thumbnails that the network saw, ``(N, 3, h', w')``.
        """
        y, true_y = luma(enhanced), luma(truth)
        losses = {
            "level": level(y, true_y),
            "brightness": brightness(y, true_y),
            "chroma": chroma(enhanced, truth),
            "structure": structure(y, true_y),
            "smoothness": smoothness(raw, seen),
            "monotony": monotony(maps),
        }
        return {name: getattr(self, name) * loss for name, loss in losses.items()}


def luma(image: Tensor) -> Tensor:
    """Luma ``(N, 1, H, W)`` of RGB ``(N, 3, H, W)``, with the weights that the curve uses."""
    red, green, blue = luma_weights(PACKED_MATRIX)
    return red * image[:, :1] + green * image[:, 1:2] + blue * image[:, 2:]


def level(luma: Tensor, true_luma: Tensor) -> Tensor:
    """Every pixel should be as bright as in the truth.

    Mean of ``|Y - T| + 5 w (Y - T)^2``: the first counts in the dark, where differences are small
    but seen; the second at what is far off. w is ``picture_weights``.
    """
    difference = luma - true_luma
    squared = difference.square().mean(dim=(1, 2, 3))
    return difference.abs().mean() + 5 * (picture_weights(luma, true_luma) * squared).mean()


def brightness(luma: Tensor, true_luma: Tensor) -> Tensor:
    """Regions should be as bright as in the truth, whatever their detail.

    Sum over regions of 8x8 and of 24x24 pixels (``REGIONS``) of the mean of ``w (Y_k - T_k)^2``,
    where Y_k is the mean luma of a region, and w is ``picture_weights``. Noise and sharp edges,
    which no curve can mend, have no part in it. Regions that would reach beyond the picture are
    left out.
    """
    squared = [
        (F.avg_pool2d(luma, side) - F.avg_pool2d(true_luma, side)).square().mean(dim=(1, 2, 3))
        for side in REGIONS
    ]
    return (picture_weights(luma, true_luma) * torch.stack(squared)).sum(dim=0).mean()


def picture_weights(luma: Tensor, true_luma: Tensor) -> Tensor:
    """What each picture's squared differences count for: ``0.02 / (MSE + 0.01)``, ``(N,)``.

    With it, the gradient is that of the logarithm of the MSE, as PSNR is. Otherwise the darkest
    pictures, whose light nobody can know, would outweigh all that can be got right.
    """
    squared = (luma - true_luma).square().mean(dim=(1, 2, 3))
    return 0.02 / (squared.detach() + 0.01)


def chroma(enhanced: Tensor, truth: Tensor) -> Tensor:
    """Colours should be those of the truth, apart from how bright they are.

    Mean over pixels and channels of ``|(E_c - Y_E) - (T_c - Y_T)|``.
    """
    return ((enhanced - luma(enhanced)) - (truth - luma(truth))).abs().mean()


def structure(luma: Tensor, true_luma: Tensor, *, window: int = 7) -> Tensor:
    """Local contrast and shading should be those of the truth: ``1 - SSIM``.

    SSIM is that of Wang et al. (IEEE TIP 2004) with K1 = 0.01 and K2 = 0.03, but with square
    windows, at every second pixel, which is four times faster.

    Args:
        window: side of the windows in pixels.
    """

    def mean(t: Tensor) -> Tensor:
        return F.avg_pool2d(t, window, stride=2)

    x, y = luma, true_luma
    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x * mean_x, mean(y * y) - mean_y * mean_y
    covariance = mean(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x * mean_x + mean_y * mean_y + c1) * (var_x + var_y + c2)
    return 1 - (numerator / denominator).mean()


def smoothness(raw: Tensor, seen: Tensor) -> Tensor:
    """Maps should vary slowly, except where the light itself changes.

    Sum over both directions of the mean of ``|M_i - M_j| exp(-2 |s_i - s_j|)`` over neighbours i
    and j, where s is the luma in stops at the maps' size: two neighbours half a stop apart count a
    third as much as equal ones. The maps are those before their limits, because within them a
    saturated map is smooth whatever it does.

    Args:
        raw: ``(N, M, h, w)``.
        seen: ``(N, 3, h', w')`` in [0, 1].
    """
    height, width = raw.shape[2:]
    stops = F.adaptive_avg_pool2d(luma(seen), (height, width)).clamp(min=_DARKEST).log2()
    losses = [
        (raw.diff(dim=dim).abs() * torch.exp(-2 * stops.diff(dim=dim).abs())).mean()
        for dim in (2, 3)
    ]
    return torch.stack(losses).sum()


def monotony(maps: Tensor) -> Tensor:
    """Luma curves should rise everywhere, and not too steeply.

    Mean of ``e(LEAST_SLOPE - s) + 0.01 e(s - MOST_SLOPE)`` over the slopes s of the curves between
    33 levels, at 8x8 places of a picture. e is 0 below 0, then linear, and from 10 on logarithmic:
    a curve that leaves [0, 1] early is raised to a power of up to 2^8 by the iterations after,
    and one such place would drown the whole batch.

    Args:
        maps: ``(N, 5, h, w)``.
    """
    curves = F.adaptive_avg_pool2d(maps[:, :-1], _GRID)[None]
    levels = torch.linspace(0, 1, _GRID_LEVELS, device=maps.device)
    before = levels.pow(_GRID_POWER).view(-1, 1, 1, 1, 1)  # denser in the dark
    after = light.luma_curve(before.expand(-1, *curves[:, :, :1].shape[1:]), curves, light.KNOTS)
    slopes = after.diff(dim=0) / before.diff(dim=0)
    loss = _excess(LEAST_SLOPE - slopes) + 0.01 * _excess(slopes - MOST_SLOPE)
    return loss.mean()


def _excess(x: Tensor) -> Tensor:
    x = x.clamp(min=0)
    linear = x.clamp(max=_LINEAR_EXCESS)
    return linear + _LINEAR_EXCESS * (x / linear.clamp(min=_LINEAR_EXCESS)).clamp(min=1).log()
