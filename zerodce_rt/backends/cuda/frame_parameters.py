"""What the controls on the device need to know of each frame, worked out on the host."""

from __future__ import annotations

import math

from zerodce_rt.curve.control import ControlSettings

COUNT = 6
"""Of the numbers that ``FrameParameters`` gives for a frame."""


class FrameParameters:
    """The times of a video's frames, and what follows from them."""

    def __init__(self) -> None:
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
            - how far to go from the last maps to the estimate, in [0, 1];
            - the strength of the denoiser for a curve that lifts dark tones;
            - 1 for what is known to begin a scene, else 0;
            - 1 for a frame that stands alone, else 0;
            - 1 if the denoiser has seen another picture meanwhile, else 0.
        """
        denoise = settings.denoise if settings.denoise_effort > 0 else 0.0
        if seconds is None:
            self._was_alone = True
            return settings.strength, 1.0, denoise, 1.0, 1.0, 0.0
        disturbed, self._was_alone = float(self._was_alone), False
        last, self._seconds = self._seconds, seconds
        if last is None or seconds < last:
            return settings.strength, 1.0, denoise, 1.0, 0.0, disturbed
        follow = 1.0
        if settings.smoothing_seconds > 0:
            follow = 1 - math.exp(-(seconds - last) / settings.smoothing_seconds)
        return settings.strength, follow, denoise, 0.0, 0.0, disturbed
