"""What happens to curve maps over time: strength, and calm between frames.

Maps are estimated for each frame alone; sensor noise makes them tremble and the picture
flicker. Following them with a short time constant removes that, and a cut starts afresh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.curve import CurveMaps

# Mean absolute difference of two thumbnails, as a share of their mean level, above which they
# show different scenes. Noise and ordinary motion stay below 0.2; cuts are mostly above 0.5.
CUT_THRESHOLD = 0.4
# Keeps the ratio meaningful between two nearly black frames.
DARKEST_LEVEL = 0.02


@dataclass(frozen=True, kw_only=True)
class ControlSettings:
    """How the estimate of each frame is followed.

    Attributes:
        strength: 0 leaves the picture as it is, 1 is the network's full curve.
        smoothing_seconds: time constant with which maps follow the estimate; 0 is off.
    """

    strength: float = 1.0
    smoothing_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength must be between 0 and 1, not {self.strength}")
        if not 0 <= self.smoothing_seconds < math.inf:
            raise ValueError(f"smoothing_seconds must be 0 or more, not {self.smoothing_seconds}")


class CurveControl:
    """Turns each frame's estimate into the maps to apply. Holds the state of one video."""

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next frame starts a new scene."""
        self._thumbnail: NDArray[np.float32] | None = None
        self._maps: CurveMaps | None = None
        self._seconds = 0.0

    def update(
        self, estimate: CurveMaps, thumbnail: NDArray[np.float32], seconds: float | None
    ) -> CurveMaps:
        """The maps to apply to this frame.

        Args:
            thumbnail: what the maps were estimated from, ``(3, h, w)`` RGB in [0, 1].
            seconds: the frame's time; None for a picture without one, which is never smoothed.
        """
        maps = estimate
        if self.settings.smoothing_seconds > 0 and seconds is not None:
            elapsed = seconds - self._seconds
            if self._maps is not None and elapsed >= 0 and not self._is_cut(thumbnail):
                follow = 1 - math.exp(-elapsed / self.settings.smoothing_seconds)
                previous = self._maps.values
                maps = CurveMaps(
                    previous + np.float32(follow) * (estimate.values - previous),
                    estimate.align_corners,
                )
            self._maps, self._thumbnail, self._seconds = maps, thumbnail, seconds
        strength = self.settings.strength
        return maps if strength == 1 else maps.scaled(strength)

    def _is_cut(self, thumbnail: NDArray[np.float32]) -> bool:
        previous = self._thumbnail
        if previous is None or previous.shape != thumbnail.shape:
            return True
        level = max(float(previous.mean()), float(thumbnail.mean()), DARKEST_LEVEL)
        return float(np.abs(thumbnail - previous).mean()) > CUT_THRESHOLD * level
