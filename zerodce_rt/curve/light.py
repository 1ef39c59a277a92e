"""The luma curve of light maps: its strength depends on place and on the pixel's own luma.

One curve for a lit face and the dark wall behind it must fail one of them. Here the map of the
iterations (see ``curve/maps.py``) is itself a function of the luma Y in [0, 1], linear between
knots::

    A(Y) = a_k + (a_{k+1} - a_k) * (Y - t_k) / (t_{k+1} - t_k)        for t_k <= Y < t_{k+1}

beyond the last knot like between the last two. That is a bilateral grid (Chen, Paris and Durand,
SIGGRAPH 2007) sliced with hat functions along luma, but in arithmetic that runs in vectors. Only
luma goes through the curve. Chroma follows by a gain, so that hues stay::

    C' = C * gain        gain = 1 + s * (Y' - Y) / (Y + DAMPING)

with s a map of its own, and ``gain`` 0 or more, and no larger than what leaves every channel
within white.

The functions here take NumPy arrays and torch tensors alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    ArrayT = TypeVar("ArrayT", NDArray[Any], Tensor)
else:
    ArrayT = TypeVar("ArrayT")

KNOTS = (0.0, 0.03, 0.12, 0.45)
"""Luma of the knots: dense in the dark, where the curve is steep."""

DAMPING = 0.02
"""Added to the luma that the gain divides by: the chroma of deep shadows is noise."""

WHITE = 0.98
"""Level that no channel is raised above by the gain, unless it is above it already."""

ITERATIONS = 8
"""How often the curve is applied with shared maps (Guo et al., CVPR 2020, section 3.1)."""

RISE_LEVELS = np.linspace(0, 1, 65, dtype=np.float32) ** np.float32(1.6)
"""Luma at which it is checked that a curve rises; denser in the dark, where it bends."""

LARGEST_FALL = 1e-5
"""What is taken for level, between two of them: a curve that lifts much is flat near white."""

BLENDS = tuple(n / 10 for n in range(1, 11))
"""Shares by which the values at the knots are moved towards their mean until it does."""


def knot_terms(curves: ArrayT, knots: Sequence[float]) -> list[ArrayT]:
    """The maps at the knots as terms of a sum over ``max(0, Y - t_k)``.

    Args:
        curves: ``(..., K, h, w)``, the values a_k.

    Returns:
        c_0 ... c_{K-1}, ``(..., 1, h, w)`` each, with
        ``A(Y) = c_0 + c_1 * Y + c_2 * max(0, Y - t_1) + c_3 * max(0, Y - t_2)`` for K = 4.
    """
    a = [curves[..., k : k + 1, :, :] for k in range(len(knots))]
    slopes: list[Any] = [
        (a[k + 1] - a[k]) / (knots[k + 1] - knots[k]) for k in range(len(knots) - 1)
    ]
    return [a[0], slopes[0], *(after - before for before, after in pairwise(slopes))]


def luma_curve(luma: ArrayT, curves: ArrayT, knots: Sequence[float]) -> ArrayT:
    """Luma after the eight iterations.

    Args:
        luma: ``(..., 1, H, W)`` in [0, 1].
        curves: ``(..., K, H, W)`` in [-1, 1], of the size of ``luma``.
        knots: luma of the K knots.
    """
    constant, linear, *terms = knot_terms(curves, knots)
    strength: Any = constant + linear * luma
    for term, knot in zip(terms, knots[1:-1], strict=True):
        strength = strength + term * (luma - knot).clip(0, None)
    for _ in range(ITERATIONS):
        luma = luma + strength * (luma * luma - luma)
    return luma


def chroma_gain(luma: ArrayT, enhanced: ArrayT, deviation: ArrayT, saturation: ArrayT) -> ArrayT:
    """What chroma is multiplied with.

    Args:
        luma, enhanced: Y before and after the curve.
        deviation: by how much the largest of R, G and B is above Y.
        saturation: the map s.
    """
    gain = 1 + saturation * (enhanced - luma) / (luma + DAMPING)
    top = (luma + deviation - WHITE).clip(0, None) + WHITE
    most = (top - enhanced).clip(0, None) / deviation.clip(1e-4, None)
    return (gain - (gain - most).clip(0, None)).clip(0, None)


def enhance_rgb(
    x: ArrayT, maps: ArrayT, knots: Sequence[float], weights: tuple[float, float, float]
) -> ArrayT:
    """Apply light maps to an image, with maps of the image's own resolution.

    Args:
        x: ``(..., 3, H, W)`` float RGB in [0, 1].
        maps: ``(..., K + 1, H, W)``: curves at the knots, and s.
        knots: luma of the K knots.
        weights: of red, green and blue in luma.

    Returns:
        ``(..., 3, H, W)`` RGB in [0, 1].
    """
    red, green, blue = (x[..., i : i + 1, :, :] for i in range(3))
    luma = weights[0] * red + weights[1] * green + weights[2] * blue
    enhanced = luma_curve(luma, maps[..., :-1, :, :], knots)
    largest = red + (green - red).clip(0, None)
    largest = largest + (blue - largest).clip(0, None)
    gain = chroma_gain(luma, enhanced, largest - luma, maps[..., -1:, :, :])
    return (enhanced + (x - luma) * gain).clip(0, 1)
