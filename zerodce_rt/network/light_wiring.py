"""The layout of the light network, for every backend: it is built once, from what runs its layers.

Not from the papers. The network sees the thumbnail in RGB and in logarithms (a picture six stops
down differs from black only there), halves it four times, adds what it knows of the whole picture,
and returns to a quarter of the thumbnail's size: light varies slowly over a picture, and smooth
maps leave no halos around things.
"""

from __future__ import annotations

from typing import Any, Protocol

from zerodce_rt.curve.light import KNOTS

WIDTHS = (24, 48, 72, 96)
"""Channels at a half, a quarter, an eighth and a sixteenth of the thumbnail's size."""

MAP_COUNT = len(KNOTS) + 1

LOG_OFFSET = 1 / 512
"""Half an 8-bit level: keeps the logarithm of black finite."""

LOG_STOPS = 9
"""Stops from ``LOG_OFFSET`` to white, by which the logarithms are brought to [0, 1]."""

GAIN_CENTRE = 0.7
"""The map of the chroma's gain is between 0 and twice this. With 1, a hue keeps its saturation."""

_A, _B, _C, _D = WIDTHS
_WHOLE = 96

CONVOLUTIONS = {
    "down1": (6, _A, 3),
    "same1": (_A, _A, 3),
    "down2": (_A, _B, 3),
    "same2": (_B, _B, 3),
    "down3": (_B, _C, 3),
    "same3": (_C, _C, 3),
    "down4": (_C, _D, 3),
    "same4": (_D, _D, 3),
    "whole1": (2 * _D, _WHOLE, 1),
    "whole2": (_WHOLE, _D, 1),
    "up3": (_D + _C, _C, 3),
    "up2": (_C + _B, _B, 3),
    "same5": (_B, _B, 3),
    "head": (_B, MAP_COUNT, 3),
}
"""Input channels, output channels and kernel size of each; "down" ones have a stride of 2."""


class Layers(Protocol):
    """What a backend's layers do, on values ``(N, C, H, W)`` of its own type."""

    def convolution(self, name: str, x: Any) -> Any:
        """With zero padding of half the kernel's size, and a bias."""
        ...

    def relu(self, x: Any) -> Any: ...

    def concat(self, x: Any, y: Any) -> Any:
        """Along the channels."""
        ...

    def resized(self, x: Any, like: Any) -> Any:
        """Bilinear, with corners not aligned, to the height and width of another value."""
        ...

    def summary(self, x: Any) -> Any:
        """Mean and largest value of each channel over the picture: ``(N, 2 C, 1, 1)``."""
        ...

    def logs(self, image: Any) -> Any:
        """``log2(image + LOG_OFFSET) / LOG_STOPS + 1``."""
        ...


def stride(name: str) -> int:
    """Of a convolution."""
    return 2 if name.startswith("down") else 1


def map_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the maps for a thumbnail.

    >>> map_size(36, 64)
    (9, 16)
    """
    return -(-height // 4), -(-width // 4)


def multiplications(height: int, width: int) -> int:
    """Of the convolutions, for a thumbnail of this size."""
    # How often the size has been halved where a convolution writes.
    halved = {"same5": 2, "head": 2}
    total = 0
    for name, (inputs, outputs, size) in CONVOLUTIONS.items():
        times = halved.get(name, int(name[-1]) if name[-1].isdigit() else 0)
        pixels = 1 if name.startswith("whole") else -(-height >> times) * -(-width >> times)
        total += inputs * outputs * size * size * pixels
    return total


def connect(layers: Layers, image: Any) -> Any:
    """Run or build the network.

    Args:
        image: ``(N, 3, H, W)`` RGB in [0, 1], gamma-encoded.

    Returns:
        ``(N, 5, ceil(H / 4), ceil(W / 4))``: the maps before their limits.
    """

    def block(number: int, x: Any) -> Any:
        x = layers.relu(layers.convolution(f"down{number}", x))
        return x + layers.relu(layers.convolution(f"same{number}", x))

    def up(name: str, x: Any, skip: Any) -> Any:
        x = layers.concat(layers.resized(x, skip), skip)
        return layers.relu(layers.convolution(name, x))

    x1 = block(1, layers.concat(image, layers.logs(image)))
    x2 = block(2, x1)
    x3 = block(3, x2)
    x4 = block(4, x3)
    whole = layers.relu(layers.convolution("whole1", layers.summary(x4)))
    x4 = layers.relu(x4 + layers.convolution("whole2", whole))
    x = up("up2", up("up3", x4, x3), x2)
    x = x + layers.relu(layers.convolution("same5", x))
    return layers.convolution("head", x)
