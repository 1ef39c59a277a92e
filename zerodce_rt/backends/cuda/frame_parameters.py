"""What the controls on the device need to know of each frame, worked out on the host."""

from __future__ import annotations

import math

from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.window import enters_cell, grid_seconds

COUNT = 7
"""Of the numbers that ``FrameParameters`` gives for a frame."""


class FrameParameters:
    """The times of a video's frames, and what follows from them.

    Args:
        values: of the maps.
    """

    def __init__(self, values: int) -> None:
        self._values = values
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next frame starts a new scene."""
        self._seconds: float | None = None
        self._was_alone = False

    def next(self, settings: ControlSettings, seconds: float | None) -> tuple[float, ...]:
        """For the next frame.

        Args:
            seconds: the frame's time; None for a picture without one, which stands alone, and
                neither uses nor changes the curve of a video.

        Returns:
            - the strength;
            - the weight of the frame before, relative to that of this one, in [0, 1];
            - the strength of the denoiser for a curve that lifts dark tones;
            - 1 for what is known to begin a scene, else 0;
            - 1 for a frame that stands alone, else 0;
            - 1 if the denoiser has seen another picture meanwhile, else 0;
            - 1 if the estimate becomes a target, that is, the frame is the first in its cell of
              the time grid, else 0; where a scene begins, it always does.
        """
        denoise = settings.denoise if settings.denoise_effort > 0 else 0.0
        if seconds is None:
            self._was_alone = True
            return settings.strength, 0.0, denoise, 1.0, 1.0, 0.0, 1.0
        disturbed, self._was_alone = float(self._was_alone), False
        last, self._seconds = self._seconds, seconds
        if last is None or seconds < last:
            return settings.strength, 0.0, denoise, 1.0, 0.0, disturbed, 1.0
        smoothing, keep = settings.smoothing_seconds, 0.0
        if smoothing > 0:
            keep = math.exp(-(seconds - last) / smoothing)
        cell = grid_seconds(settings.estimate_seconds, smoothing, self._values)
        is_target = float(enters_cell(last, seconds, cell))
        return settings.strength, keep, denoise, 0.0, 0.0, disturbed, is_target
