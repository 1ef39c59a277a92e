"""The light-enhancement curve: the definition that every fused kernel is tested against.

The papers apply ``LE(x) = x + a * x * (1 - x)`` several times (Guo et al., CVPR 2020, eq. 1-3).
Their networks output ``A = -a``, hence the form used throughout this project:
``x <- x + A * (x^2 - x)``, with x and the result in [0, 1] and A in [-1, 1]. Negative A brightens.

The code here is plain and slow; what runs on frames are the kernels of the backends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.curve import light
from zerodce_rt.curve.light import ITERATIONS
from zerodce_rt.frame import PACKED_MATRIX, luma_weights

if TYPE_CHECKING:
    from torch import Tensor

    ArrayT = TypeVar("ArrayT", NDArray[Any], Tensor)
else:
    ArrayT = TypeVar("ArrayT")

DARK_TONE = 0.1
"""Level in [0, 1] at which it is measured how much maps lift the dark."""


@dataclass(frozen=True)
class CurveMaps:
    """Curve maps for one frame, at any resolution: RGB maps, or light maps.

    Attributes:
        values: of RGB maps, ``(3 * k, h, w)`` float32 in [-1, 1]. With k = 1 all eight iterations
            share one RGB triple of maps; with k > 1 each of the k iterations has its own.
            Of light maps, ``(K + 1, h, w)``: the strength of a curve of luma at each of K knots,
            in [-1, 1], and a factor of the chroma's gain, 0 or more (see ``curve/light.py``).
        align_corners: how the maps are laid over the frame, as in PyTorch's ``interpolate``.
            False: the edges of corner samples meet the frame's edges (the usual image resize).
            True: the centres of corner samples lie on the centres of corner pixels (the
            published Zero-DCE++ program).
        knots: luma in [0, 1] of the knots of light maps, rising from 0; empty for RGB maps.

    Raises:
        ValueError: for another shape, an empty one, or knots that do not rise from 0.

    >>> maps = CurveMaps(np.full((3, 36, 64), -0.5, np.float32))
    >>> maps.shared, maps.iterations
    (True, 8)
    >>> CurveMaps(np.zeros((24, 36, 64), np.float32)).iterations
    8
    >>> CurveMaps(np.zeros((5, 9, 16), np.float32), knots=light.KNOTS).light
    True
    """

    values: NDArray[np.float32]
    align_corners: bool = False
    knots: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        shape = self.values.shape
        if len(shape) != 3 or 0 in shape:
            raise ValueError(f"curve maps must have shape (maps, h, w), not {shape}")
        if not self.knots:
            if shape[0] % 3:
                raise ValueError(f"curve maps must have shape (3 * k, h, w), not {shape}")
            return
        if len(self.knots) != len(light.KNOTS) or self.knots[0] != 0:
            raise ValueError(f"`knots` must be {len(light.KNOTS)} from 0 on, not {self.knots}")
        if any(b <= a for a, b in pairwise(self.knots)):
            raise ValueError(f"`knots` must rise, not {self.knots}")
        if shape[0] != len(self.knots) + 1:
            raise ValueError(
                f"light maps must have shape ({len(self.knots) + 1}, h, w), not {shape}"
            )

    @property
    def light(self) -> bool:
        """Whether these are light maps."""
        return bool(self.knots)

    @property
    def curves(self) -> NDArray[np.float32]:
        """The values without the chroma's gain: 0 everywhere leaves a frame unchanged."""
        return self.values[: len(self.knots)] if self.light else self.values

    @property
    def shared(self) -> bool:
        """Whether all iterations use the same maps."""
        return self.light or self.values.shape[0] == 3

    @property
    def iterations(self) -> int:
        """How often the curve is applied."""
        return ITERATIONS if self.shared else self.values.shape[0] // 3

    def scaled(self, strength: float) -> CurveMaps:
        """A copy with all curves multiplied by ``strength``; 0 leaves a frame unchanged."""
        values = self.values.copy()
        values[: len(self.curves)] *= np.float32(strength)
        return replace(self, values=values)


def iterate(x: ArrayT, maps: ArrayT) -> ArrayT:
    """Apply the curve to an image, with maps of the image's own resolution.

    Args:
        x: ``(..., 3, H, W)`` float RGB in [0, 1]; a NumPy array or a torch tensor.
        maps: ``(..., 3 * k, H, W)`` in [-1, 1]; k = 1 is shared by eight iterations.

    Returns:
        The enhanced image in [0, 1], of the shape of ``x``.

    One pixel, two iterations with maps of their own; the second, all zeros, changes nothing:

    >>> x = np.array([0.5, 0.5, 0.5]).reshape(3, 1, 1)
    >>> maps = np.array([-1, 0, 1, 0, 0, 0]).reshape(6, 1, 1)
    >>> iterate(x, maps).ravel().tolist()
    [0.75, 0.5, 0.25]
    """
    k = maps.shape[-3] // 3
    for i in range(ITERATIONS if k == 1 else k):
        a = maps if k == 1 else maps[..., 3 * i : 3 * i + 3, :, :]
        x = x + a * (x * x - x)
    return x


def monotone(maps: CurveMaps) -> CurveMaps:
    """Light maps whose curves rise everywhere: no tone becomes darker than a darker one.

    Where a curve falls, the values at its knots are moved towards their mean, for which it rises,
    by the least of a few shares.
    """

    # As pictures of one row, one for each level.
    levels = light.RISE_LEVELS[:, None, None, None]

    def falls(curves: NDArray[np.float32]) -> NDArray[np.bool_]:
        after = light.luma_curve(levels, curves[None, :, None, :], maps.knots)
        found: NDArray[np.bool_] = (np.diff(after, axis=0) < -light.LARGEST_FALL).any(
            axis=(0, 1, 2)
        )
        return found

    curves = maps.curves.reshape(len(maps.curves), -1)
    todo = falls(curves)
    if not todo.any():
        return maps
    values = maps.values.reshape(len(maps.values), -1).copy()
    mean = curves.mean(axis=0, keepdims=True)
    for blend in light.BLENDS:
        blended = curves[:, todo] + np.float32(blend) * (mean[:, todo] - curves[:, todo])
        values[: len(curves), todo] = blended
        todo[todo] = falls(blended)
        if not todo.any():
            break
    return replace(maps, values=values.reshape(maps.values.shape))


def lift_of(maps: CurveMaps) -> float:
    """How much maps raise dark tones: 0, not at all, to 1, to twice their level or more.

    >>> lift_of(CurveMaps(np.full((3, 36, 64), -0.8, np.float32)))
    1.0
    >>> round(lift_of(CurveMaps(np.zeros((3, 36, 64), np.float32))), 6)
    0.0
    """
    dark = np.full((3, 1, 1), DARK_TONE)
    average = maps.values.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    raised = enhance(dark, replace(maps, values=average)).mean()
    return min(1.0, max(0.0, float(raised) / DARK_TONE - 1))


def source_positions(
    size: int, source_size: int, *, align_corners: bool, scale: float | None = None
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Which source samples a linear resize along one axis reads, and with which weights.

    The rule is that of ``torch.nn.functional.interpolate(mode="bilinear")``.

    Args:
        size: samples of the result.
        source_size: samples of the source.
        scale: source samples per result sample, if not ``source_size / size``. PyTorch uses
            ``1 / scale_factor`` as given, although it rounds the result's size. Has no effect
            with ``align_corners``.

    Returns:
        Two arrays of ``size``: the index of the lower neighbour, and the weight in [0, 1] of the
        upper neighbour, which is the next sample.

    >>> lower, weight = source_positions(4, 2, align_corners=False)
    >>> lower.tolist(), weight.tolist()
    ([0, 0, 0, 0], [0.0, 0.25, 0.75, 1.0])
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
    """Resize the last two axes by bilinear interpolation, without antialiasing.

    Args:
        image: ``(..., h, w)`` float.
        align_corners, scale: see ``source_positions``.

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


def enhance(x: NDArray[Any], maps: CurveMaps) -> NDArray[Any]:
    """Apply maps that have an image's own resolution.

    Args:
        x: ``(3, H, W)`` float RGB in [0, 1].

    Returns:
        RGB in [0, 1], of the shape of ``x``.
    """
    return enhance_by_shares(x, maps, np.ones(1, x.dtype))[0]


def enhance_by_shares(x: NDArray[Any], maps: CurveMaps, shares: NDArray[Any]) -> NDArray[Any]:
    """Apply maps at several strengths.

    Args:
        x: ``(3, H, W)`` float RGB in [0, 1].
        maps: of the image's own resolution.
        shares: ``(n,)`` in [0, 1]: what ``CurveMaps.scaled`` would be called with.

    Returns:
        ``(n, 3, H, W)`` RGB in [0, 1].
    """
    values = np.repeat(maps.values.astype(x.dtype)[None], len(shares), axis=0)
    values[:, : len(maps.curves)] *= shares[:, None, None, None]
    if maps.light:
        return light.enhance_rgb(x[None], values, maps.knots, luma_weights(PACKED_MATRIX))
    return iterate(x[None], values)


def apply(image: NDArray[Any], maps: CurveMaps) -> NDArray[Any]:
    """Enhance an image: interpolate the maps to its size, then apply them.

    Args:
        image: ``(3, H, W)`` float RGB in [0, 1], gamma-encoded. The arithmetic runs in its dtype.
        maps: maps of any resolution.

    Returns:
        ``(3, H, W)`` float RGB in [0, 1].
    """
    return enhance(image, resized(maps, *image.shape[-2:], dtype=image.dtype))


def resized(maps: CurveMaps, height: int, width: int, *, dtype: Any = np.float32) -> CurveMaps:
    """Maps interpolated to a frame's size."""
    values = resize_bilinear(
        maps.values.astype(dtype), height, width, align_corners=maps.align_corners
    )
    return replace(maps, values=values)
