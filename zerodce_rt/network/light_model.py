"""The light network in PyTorch (see ``light_wiring.py``)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerodce_rt.network.light_wiring import (
    CONVOLUTIONS,
    GAIN_CENTRE,
    LOG_OFFSET,
    LOG_STOPS,
    MAP_COUNT,
    connect,
    stride,
)


class LightNet(nn.Module):
    """Maps for the knots of a luma curve, and one for its chroma gain; 472,589 parameters."""

    map_channels = MAP_COUNT

    def __init__(self) -> None:
        super().__init__()
        for name, (inputs, outputs, size) in CONVOLUTIONS.items():
            self.add_module(name, nn.Conv2d(inputs, outputs, size, stride(name), size // 2))

    def raw(self, image: Tensor) -> Tensor:
        """The maps before their limits."""
        maps: Tensor = connect(self, image)
        return maps

    def forward(self, image: Tensor) -> Tensor:
        """Estimate maps.

        Args:
            image: ``(N, 3, H, W)`` RGB in [0, 1], gamma-encoded.

        Returns:
            ``(N, 5, ceil(H / 4), ceil(W / 4))``: four in [-1, 1], one in [0, 1.4].
        """
        return limited(self.raw(image))

    def convolution(self, name: str, x: Tensor) -> Tensor:
        out: Tensor = getattr(self, name)(x)
        return out

    def relu(self, x: Tensor) -> Tensor:
        return torch.relu(x)

    def concat(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.cat([x, y], dim=1)

    def resized(self, x: Tensor, like: Tensor) -> Tensor:
        return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)

    def summary(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)], dim=1)

    def logs(self, image: Tensor) -> Tensor:
        return torch.log2(image + LOG_OFFSET) / LOG_STOPS + 1


def limited(raw: Tensor) -> Tensor:
    """Maps within their ranges."""
    curves, gain = torch.tanh(raw[:, :-1]), GAIN_CENTRE * (1 + torch.tanh(raw[:, -1:]))
    return torch.cat([curves, gain], dim=1)
