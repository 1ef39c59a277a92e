"""The networks of the papers, and all networks by name.

``DCENet``      Guo et al., "Zero-Reference Deep Curve Estimation for Low-Light
                Image Enhancement", CVPR 2020, section 3.2.
``DCENetPlus``  Li, Guo and Loy, "Learning to Enhance Low-Light Image via
                Zero-Reference Deep Curve Estimation", TPAMI 2021, section 4.

Layers have the names of the published programs (``e_conv1`` ... ``e_conv7``), so
that one reader serves their checkpoints and ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zerodce_rt.network.light_model import LightNet

CHANNELS = 32


class SeparableConv(nn.Module):
    """A 3x3 depthwise convolution followed by a 1x1 pointwise one."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depth_conv = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels)
        self.point_conv = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.point_conv(self.depth_conv(x))
        return out


class CurveNet(nn.Module):
    """Seven convolutions with symmetric skip concatenations; subclasses choose the convolution.

    Attributes:
        map_channels: channels of the output, 3 times the iterations that have maps of their own.
    """

    map_channels: int

    def __init__(self) -> None:
        super().__init__()
        c = CHANNELS
        self.e_conv1 = self.conv(3, c)
        self.e_conv2 = self.conv(c, c)
        self.e_conv3 = self.conv(c, c)
        self.e_conv4 = self.conv(c, c)
        self.e_conv5 = self.conv(2 * c, c)
        self.e_conv6 = self.conv(2 * c, c)
        self.e_conv7 = self.conv(2 * c, self.map_channels)

    @staticmethod
    def conv(in_channels: int, out_channels: int) -> nn.Module:
        raise NotImplementedError

    def forward(self, image: Tensor) -> Tensor:
        """Estimate curve maps.

        Args:
            image: ``(N, 3, H, W)`` RGB in [0, 1], gamma-encoded.

        Returns:
            ``(N, map_channels, H, W)`` in [-1, 1]: an RGB triple for each iteration, or one
            for all.
        """
        x1 = torch.relu(self.e_conv1(image))
        x2 = torch.relu(self.e_conv2(x1))
        x3 = torch.relu(self.e_conv3(x2))
        x4 = torch.relu(self.e_conv4(x3))
        x5 = torch.relu(self.e_conv5(torch.cat([x3, x4], dim=1)))
        x6 = torch.relu(self.e_conv6(torch.cat([x2, x5], dim=1)))
        return torch.tanh(self.e_conv7(torch.cat([x1, x6], dim=1)))


class DCENet(CurveNet):
    """The CVPR 2020 network: 24 maps, an RGB triple for each iteration; 79,416 parameters."""

    map_channels = 24

    @staticmethod
    def conv(in_channels: int, out_channels: int) -> nn.Module:
        return nn.Conv2d(in_channels, out_channels, 3, padding=1)


class DCENetPlus(CurveNet):
    """The TPAMI 2021 network: separable convolutions, 3 shared maps; 10,561 parameters."""

    map_channels = 3

    @staticmethod
    def conv(in_channels: int, out_channels: int) -> nn.Module:
        return SeparableConv(in_channels, out_channels)


MODELS: dict[str, type[CurveNet]] = {"dcenet": DCENet, "plus": DCENetPlus}
"""The networks of the papers."""


def make_network(model: str) -> CurveNet | LightNet:
    """A network by its name, one of ``names.MODELS``, with weights of chance."""
    return LightNet() if model == "light" else MODELS[model]()
