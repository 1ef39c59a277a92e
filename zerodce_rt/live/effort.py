"""How much of the denoiser there is time for, while images come at their own rate."""

from __future__ import annotations

import numpy as np

from zerodce_rt.live.meters import WINDOW_SECONDS

MOST = 3
"""Of ``Enhancer.denoise_effort``."""

# Shares of the time between two images that enhancing one may take.
_TOO_MUCH, _LITTLE = 0.6, 0.3
_FIRST_PATIENCE, _LONGEST_PATIENCE = 2 * WINDOW_SECONDS, 64.0


class Effort:
    """Lowers the effort when time is short, and raises it when there is time again.

    An effort that turned out too high is tried again after a while, and after twice as long each
    time that it fails.

    Attributes:
        value: the effort to make now, 0 to ``MOST``.
    """

    def __init__(self) -> None:
        self.value = MOST
        self._shares: list[float] = []
        self._since: float | None = None
        self._raised = 0.0
        self._lowered = 0.0
        self._patience = _FIRST_PATIENCE

    def spent(self, seconds: float, period_seconds: float, now: float) -> None:
        """Count an image.

        Args:
            seconds: that it took to enhance.
            period_seconds: from one image of the source to the next.
            now: the time, on a clock that never goes back.
        """
        if self._since is None:
            self._since = now
        self._shares.append(seconds / period_seconds)
        if now - self._since < WINDOW_SECONDS / 2:
            return
        share = float(np.median(self._shares))
        self._shares, self._since = [], now
        if share > _TOO_MUCH and self.value > 0:
            if now - self._raised < self._patience:  # the last attempt was too early
                self._patience = min(2 * self._patience, _LONGEST_PATIENCE)
            self.value -= 1
            self._lowered = now
        elif share < _LITTLE and self.value < MOST and now - self._lowered >= self._patience:
            self.value += 1
            self._raised = self._lowered = now
