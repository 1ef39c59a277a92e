"""What happens to curve maps before they are applied: a limit, calm over time, strength.

The network knows only how to brighten, so what is bright already must be held back here. And
maps are estimated for each frame alone; sensor noise makes them tremble and the picture
flicker. Following them with a short time constant removes that, and a cut starts afresh.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.curve.maps import CurveMaps, iterate

# Mean absolute difference of two thumbnails, as a share of their mean level, above which they
# show different scenes. Noise and ordinary motion stay below 0.2; cuts are mostly above 0.5.
CUT_THRESHOLD = 0.4
# Keeps the ratio meaningful between two nearly black frames.
DARKEST_LEVEL = 0.02
# The brightness is measured on every n-th pixel of a thumbnail, this many across at most.
PROBE_SIZE = 24
# What stays below this at full strength, such as a film's black bars, does not count.
BLACK_LEVEL = 0.02
# Shares of the curve whose brightness is measured; what lies between is interpolated.
PROBE_SHARES = np.linspace(0, 1, 9, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class ControlSettings:
    """How the estimate of each frame is followed.

    Attributes:
        strength: 0 leaves the picture as it is, 1 is the network's full curve.
        smoothing_seconds: time constant with which maps follow the estimate; 0 is off.
        estimate_seconds: for how long an estimate is good, unless a cut comes before; 0 has one
            made for each frame.
        max_level: mean level, 0 to 1 of the gamma-encoded range, that the curve does not lift a
            picture above: a brighter picture stays as it is. 1 is off.
    """

    strength: float = 1.0
    smoothing_seconds: float = 0.0
    estimate_seconds: float = 0.0
    max_level: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength must be between 0 and 1, not {self.strength}")
        for name in ("smoothing_seconds", "estimate_seconds"):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise ValueError(f"{name} must be 0 or more, not {value}")
        if not 0 < self.max_level <= 1:
            raise ValueError(f"max_level must be above 0 and at most 1, not {self.max_level}")


class CurveControl:
    """Turns each frame's estimate into the maps to apply. Holds the state of one video."""

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next frame starts a new scene."""
        self._thumbnail: NDArray[np.float32] | None = None
        self._target: CurveMaps | None = None
        self._maps: CurveMaps | None = None
        self._seconds = self._estimated = 0.0

    def update(
        self,
        estimate: Callable[[], CurveMaps],
        thumbnail: NDArray[np.float32],
        seconds: float | None,
    ) -> CurveMaps:
        """The maps to apply to this frame.

        Args:
            estimate: gives the maps for the thumbnail; called only if the last are too old.
            thumbnail: the frame, ``(3, h, w)`` RGB in [0, 1].
            seconds: the frame's time; None for a picture without one, which stands alone.
        """
        if seconds is None:
            maps = self._limited(estimate(), thumbnail)
        else:
            maps = self._followed(estimate, thumbnail, seconds)
        strength = self.settings.strength
        return maps if strength == 1 else maps.scaled(strength)

    def _limited(self, maps: CurveMaps, thumbnail: NDArray[np.float32]) -> CurveMaps:
        return within_level(maps, thumbnail, self.settings.max_level)

    def _followed(
        self, estimate: Callable[[], CurveMaps], thumbnail: NDArray[np.float32], seconds: float
    ) -> CurveMaps:
        settings, previous, target = self.settings, self._maps, self._target
        elapsed = seconds - self._seconds
        fresh = elapsed < 0 or self._is_cut(thumbnail)
        age = seconds - self._estimated
        # Half a millisecond of slack: frame times are rounded.
        if target is None or fresh or age >= settings.estimate_seconds - 5e-4:
            target = self._limited(estimate(), thumbnail)
            self._target, self._estimated = target, seconds
        maps = target
        if previous is not None and not fresh and settings.smoothing_seconds > 0:
            follow = np.float32(1 - math.exp(-elapsed / settings.smoothing_seconds))
            values = previous.values + follow * (target.values - previous.values)
            maps = CurveMaps(values, target.align_corners)
        self._maps, self._thumbnail, self._seconds = maps, thumbnail, seconds
        return maps

    def _is_cut(self, thumbnail: NDArray[np.float32]) -> bool:
        previous = self._thumbnail
        if previous is None or previous.shape != thumbnail.shape:
            return True
        level = max(float(previous.mean()), float(thumbnail.mean()), DARKEST_LEVEL)
        return float(np.abs(thumbnail - previous).mean()) > CUT_THRESHOLD * level


def within_level(maps: CurveMaps, thumbnail: NDArray[np.float32], max_level: float) -> CurveMaps:
    """The maps, weakened as far as needed to keep a picture's mean within a level.

    Args:
        thumbnail: the picture, ``(3, h, w)`` RGB in [0, 1] at the resolution of the maps.
        max_level: 0 to 1, the mean of all that is not black; 1 returns the maps as they are.
    """
    if max_level >= 1:
        return maps
    step = -(-max(thumbnail.shape) // PROBE_SIZE)
    probe, curve = thumbnail[:, ::step, ::step], maps.values[:, ::step, ::step]
    # One picture for each share of the curve.
    pictures = iterate(probe, PROBE_SHARES[:, None, None, None] * curve)
    lit = pictures[-1].max(axis=0) > BLACK_LEVEL
    if not lit.any():
        return maps
    levels = pictures[:, :, lit].mean(axis=(1, 2))
    if levels[-1] <= max_level:
        return maps
    above = int(np.argmax(levels > max_level))
    if above == 0:
        return maps.scaled(0)
    below = above - 1
    part = (max_level - levels[below]) / (levels[above] - levels[below])
    return maps.scaled(float(PROBE_SHARES[below] + part * PROBE_SHARES[1]))
