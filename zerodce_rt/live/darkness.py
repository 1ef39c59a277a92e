"""Whether it is dark in front of a camera, for cameras that run day and night."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import check_numbers
from zerodce_rt.names import DARK_LEVEL

# Above the level by this factor, it is day again: a lamp that flickers must not switch.
_DAY_FACTOR = 1.3
# For so long it must be dark or light, which headlights that pass are not.
_HOLD_SECONDS = 2.0
# A mean needs no more than every so many pixels, in both directions.
_STEP = 8
# Weights of blue, green and red in luma, by ITU-R BT.601.
_LUMA = np.array([0.114, 0.587, 0.299])


class DarkSwitch:
    """Tells dark images from light ones, and does not hurry to change its mind.

    Args:
        level: mean luma, 0 to 1, below which it is dark.

    Raises:
        ValueError: the level is not between 0 and 1.
    """

    def __init__(self, level: float = DARK_LEVEL) -> None:
        check_numbers(level=level)
        if not 0 < level < 1:
            raise ValueError(f"the level of darkness must be between 0 and 1, not {level:g}")
        self._level = level
        self.is_dark: bool | None = None
        self._since: float | None = None

    def __call__(self, image: NDArray[np.uint8], seconds: float) -> bool:
        """Whether it is dark, seen by the next image.

        Args:
            image: ``(H, W, 3)`` uint8 BGR.
            seconds: its time; time that goes back begins anew.
        """
        mean = float((image[::_STEP, ::_STEP].mean(axis=(0, 1)) @ _LUMA) / 255)
        if self.is_dark is None:
            self.is_dark = mean < self._level
        changed = mean > self._level * _DAY_FACTOR if self.is_dark else mean < self._level
        if not changed:
            self._since = None
        elif self._since is None or seconds < self._since:
            self._since = seconds
        elif seconds - self._since >= _HOLD_SECONDS:
            self.is_dark, self._since = not self.is_dark, None
        return self.is_dark
