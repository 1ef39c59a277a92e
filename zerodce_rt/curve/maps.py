"""The light-enhancement curve, defined once.

``LE(x) = x + a * x * (1 - x)`` applied several times (Guo et al., CVPR 2020, eq. 1-3).
The networks emit ``A = -a``, hence the form used everywhere here:
``x <- x + A * (x^2 - x)``, with x and the result in [0, 1] and A in [-1, 1].

Everything in this module is plain and slow; each fused kernel is tested against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    ArrayT = TypeVar("ArrayT", NDArray[Any], Tensor)
else:
    ArrayT = TypeVar("ArrayT")

ITERATIONS = 8


@dataclass(frozen=True)
class CurveMaps:
    """Curve maps for one frame, at any resolution.

    Attributes:
        values: ``(3 * k, h, w)`` float32 in [-1, 1]. With k = 1 one RGB triple is shared by
            the eight iterations; with k > 1 each of the k iterations has its own.
        align_corners: how the grid lies over the frame. False: cell edges meet frame edges
            (the usual image resize). True: corner samples sit on corner pixels (the
            published Zero-DCE++ program).

    Raises:
        ValueError: if the shape is not ``(3 * k, h, w)``.
    """

    values: NDArray[np.float32]
    align_corners: bool = False

    def __post_init__(self) -> None:
        shape = self.values.shape
        if len(shape) != 3 or shape[0] == 0 or shape[0] % 3 or 0 in shape:
            raise ValueError(f"curve maps must have shape (3 * k, h, w), not {shape}")

    @property
    def shared(self) -> bool:
        """Whether one triple of maps serves all iterations."""
        return self.values.shape[0] == 3

    @property
    def iterations(self) -> int:
        return ITERATIONS if self.shared else self.values.shape[0] // 3

    def scaled(self, strength: float) -> CurveMaps:
        """The same maps with every coefficient multiplied; 0 leaves a frame as it is."""
        return CurveMaps(self.values * np.float32(strength), self.align_corners)


def iterate(x: ArrayT, maps: ArrayT) -> ArrayT:
    """Apply the curve to an image, with maps of the image's own resolution.

    Args:
        x: ``(..., 3, H, W)`` in [0, 1]; NumPy array or torch tensor.
        maps: ``(..., 3 * k, H, W)`` in [-1, 1]; k = 1 is shared by eight iterations.

    Returns:
        The enhanced image, of the shape of ``x``.
    """
    k = maps.shape[-3] // 3
    for i in range(ITERATIONS if k == 1 else k):
        a = maps if k == 1 else maps[..., 3 * i : 3 * i + 3, :, :]
        x = x + a * (x * x - x)
    return x


def source_positions(
    size: int, source_size: int, *, align_corners: bool, scale: float | None = None
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Where each of ``size`` samples falls on a grid of ``source_size``.

    The rule is that of ``torch.nn.functional.interpolate(mode="bilinear")``.

    Args:
        scale: source samples per sample, where it is not ``source_size / size``
            (torch keeps a ``scale_factor`` it was given).

    Returns:
        The lower neighbour's index, and the weight of the upper neighbour in [0, 1].
    """
    out = np.arange(size, dtype=np.float64)
    if align_corners:
        position = out * ((source_size - 1) / (size - 1) if size > 1 else 0.0)
    else:
        position = (out + 0.5) * (source_size / size if scale is None else scale) - 0.5
    position = position.clip(0, source_size - 1)
    lower = np.minimum(position.astype(np.intp), max(source_size - 2, 0))
    return lower, position - lower


def resize_bilinear(
    image: NDArray[Any],
    height: int,
    width: int,
    *,
    align_corners: bool = False,
    scale: float | None = None,
) -> NDArray[Any]:
    """Bilinear interpolation of the last two axes, without antialiasing.

    Args:
        image: ``(..., h, w)`` float.

    Returns:
        ``(..., height, width)`` of the dtype of ``image``.
    """
    for axis, size in ((-2, height), (-1, width)):
        source_size = image.shape[axis]
        lower, weight = source_positions(
            size, source_size, align_corners=align_corners, scale=scale
        )
        upper = np.minimum(lower + 1, source_size - 1)
        weight = weight.astype(image.dtype)
        if axis == -2:
            weight = weight[:, None]
        low, high = np.take(image, lower, axis), np.take(image, upper, axis)
        image = low + (high - low) * weight
    return image


def apply(image: NDArray[Any], maps: CurveMaps) -> NDArray[Any]:
    """The reference: interpolate the maps to the image's size, then iterate.

    Args:
        image: ``(3, H, W)`` float RGB in [0, 1]. The arithmetic runs in its dtype.
        maps: maps of any resolution.

    Returns:
        ``(3, H, W)`` float RGB in [0, 1].
    """
    height, width = image.shape[-2:]
    full = resize_bilinear(
        maps.values.astype(image.dtype), height, width, align_corners=maps.align_corners
    )
    return iterate(image, full)
