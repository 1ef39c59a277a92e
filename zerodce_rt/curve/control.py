"""Between estimating curve maps and applying them: limit brightness, smooth over time, scale.

The network brightens whatever it sees, so frames that are bright already are limited here. It also
estimates each frame on its own: sensor noise makes the maps tremble, and the picture would flicker.
Smoothing with a short time constant removes that; a cut starts a new scene without smoothing.
What is further back than ``ControlSettings.warm_up_seconds`` has no influence at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.curve.maps import CurveMaps, enhance, enhance_by_shares, resized
from zerodce_rt.curve.window import FEWEST, LENGTH, Window, enters_cell, grid_seconds
from zerodce_rt.errors import check_numbers

CUT_THRESHOLD = 0.4
"""Mean absolute difference of two thumbnails, relative to their mean level, above which they show
different scenes. Noise and ordinary motion stay below 0.2; most cuts are above 0.5."""

DARKEST_LEVEL = 0.02
"""Smallest mean level to divide by, so that noise in nearly black frames is not taken for a cut."""

PROBE_SIZE = 24
"""The level is measured on every n-th pixel of a thumbnail: at most this many along a side."""

BLACK_LEVEL = 0.02
"""Pixels that stay below this at full strength, such as black bars, do not count in the level."""

LEAST_DENOISE = 0.02
"""Weaker filtering could not be seen, and is left out."""

PROBE_SHARES = np.linspace(0, 1, 9, dtype=np.float32)
"""Strengths at which the level is measured; between them it is interpolated."""


@dataclass(frozen=True, kw_only=True)
class ControlSettings:
    """How estimates become the maps that are applied.

    Attributes:
        strength: in [0, 1]; 0 leaves the picture unchanged, 1 is the network's full curve.
        smoothing_seconds: time constant with which the maps follow the estimates; 0 is off.
        estimate_seconds: width of the cells of a time grid that begins at 0. The first frame in
            each is estimated, and so is that after a cut; the others use what came before. 0
            estimates every frame. With smoothing, cells are not below a 16th of its time
            constant, and for maps of millions of values not below half of it: the maps of four
            time constants are kept.
        max_level: in (0, 1]; the curve does not lift the mean of a gamma-encoded picture above
            this, and leaves a brighter picture unchanged. 1 is off.
        denoise: in [0, 1]; 0 leaves the noise as it is, 1 removes what can be told from the
            picture.
        denoise_effort: how much of the denoiser runs: 1 the filter over time, 2 also that over
            space, 3 also the search for motion; 0 nothing.

    Raises:
        ValueError: a setting outside its range.
    """

    strength: float = 1.0
    smoothing_seconds: float = 0.0
    estimate_seconds: float = 0.0
    max_level: float = 1.0
    denoise: float = 0.0
    denoise_effort: int = 3

    def __post_init__(self) -> None:
        check_numbers(**vars(self))
        for name in ("strength", "denoise"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"`{name}` must be between 0 and 1, not {value}")
        for name in ("smoothing_seconds", "estimate_seconds"):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise ValueError(f"`{name}` must be 0 or more, not {value}")
        if self.denoise_effort not in range(4):
            raise ValueError(f"`denoise_effort` must be 0, 1, 2 or 3, not {self.denoise_effort}")
        if not 0 < self.max_level <= 1:
            raise ValueError(f"`max_level` must be above 0 and at most 1, not {self.max_level}")

    @property
    def warm_up_seconds(self) -> float:
        """How far back frames have an influence on the curve maps of a frame, in seconds.

        To give a frame and those after it the maps that they have in the whole video, to the last
        bit, a run begins this long before the frame, and one frame before that: cuts are found by
        comparing a frame with the one before. A denoiser has a past of its own.

        >>> ControlSettings(smoothing_seconds=0.5, estimate_seconds=0.1).warm_up_seconds
        2.25
        >>> ControlSettings().warm_up_seconds
        0.0
        """
        window = LENGTH * self.smoothing_seconds
        return window + max(self.estimate_seconds, window / FEWEST)


class CurveControl:
    """Turns estimates into the maps to apply, frame by frame. Holds the state of one video.

    Attributes:
        settings: may be replaced between frames.
        new_scene: whether the last frame with a time began one.
    """

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget earlier frames; the next one starts a new scene."""
        self._thumbnail: NDArray[np.float32] | None = None
        self._window = Window()
        self._seconds = 0.0
        self.new_scene = True

    def update(
        self,
        estimate: Callable[[], CurveMaps],
        thumbnail: NDArray[np.float32],
        seconds: float | None,
    ) -> CurveMaps:
        """The maps to apply to the next frame.

        Args:
            estimate: returns the network's maps for the thumbnail; called only when they are
                needed.
            thumbnail: the frame, ``(3, h, w)`` float32 RGB in [0, 1].
            seconds: the frame's time; a step back starts a new scene. None for a single picture,
                which neither uses nor changes the state.
        """
        if seconds is None:
            maps = self._limited(estimate(), thumbnail)
        else:
            maps = self._smoothed(estimate, thumbnail, seconds)
        strength = self.settings.strength
        return maps if strength == 1 else maps.scaled(strength)

    def _limited(self, maps: CurveMaps, thumbnail: NDArray[np.float32]) -> CurveMaps:
        return within_level(maps, thumbnail, self.settings.max_level)

    def _smoothed(
        self, estimate: Callable[[], CurveMaps], thumbnail: NDArray[np.float32], seconds: float
    ) -> CurveMaps:
        settings, window, before = self.settings, self._window, self._seconds
        self.new_scene = seconds < before or self._is_cut(thumbnail)
        cell = grid_seconds(settings.estimate_seconds, settings.smoothing_seconds, window.values)
        if self.new_scene:
            window.begin(self._limited(estimate(), thumbnail))
        elif enters_cell(before, seconds, cell):
            window.add(self._limited(estimate(), thumbnail), since=before)
        self._thumbnail, self._seconds = thumbnail, seconds
        return window.mean(seconds, settings.smoothing_seconds)

    def _is_cut(self, thumbnail: NDArray[np.float32]) -> bool:
        previous = self._thumbnail
        if previous is None or previous.shape != thumbnail.shape:
            return True
        level = max(float(previous.mean()), float(thumbnail.mean()), DARKEST_LEVEL)
        return float(np.abs(thumbnail - previous).mean()) > CUT_THRESHOLD * level


def within_level(maps: CurveMaps, thumbnail: NDArray[np.float32], max_level: float) -> CurveMaps:
    """Scale maps down until they do not lift a picture's mean above a level.

    Args:
        thumbnail: the picture, ``(3, h, w)`` float32 RGB in [0, 1].
        max_level: in (0, 1]; black areas are left out of the mean. 1 is off.

    Returns:
        The maps themselves if the picture stays within the level, a scaled copy otherwise.

    >>> thumbnail = np.full((3, 36, 64), 0.1, np.float32)
    >>> maps = CurveMaps(np.full((3, 36, 64), -0.8, np.float32))  # alone: 0.997
    >>> limited = within_level(maps, thumbnail, 0.5)
    >>> float(enhance(thumbnail, limited).mean().round(2))
    0.5
    """
    if max_level >= 1:
        return maps
    step = -(-max(thumbnail.shape) // PROBE_SIZE)
    probe = thumbnail[:, ::step, ::step]
    if maps.values.shape[1:] == thumbnail.shape[1:]:
        curve = replace(maps, values=maps.values[:, ::step, ::step])
    else:
        curve = resized(maps, *probe.shape[1:])
    full = enhance(probe, curve)
    lit = full.max(axis=0) > BLACK_LEVEL
    if not lit.any() or full[:, lit].mean() <= max_level:
        return maps
    levels = enhance_by_shares(probe, curve, PROBE_SHARES)[:, :, lit].mean(axis=(1, 2))
    if levels[-1] <= max_level:  # rounded otherwise than above
        return maps
    above = int(np.argmax(levels > max_level))
    if above == 0:
        return maps.scaled(0)
    below = above - 1
    part = (max_level - levels[below]) / (levels[above] - levels[below])
    step_width = PROBE_SHARES[1]  # they start at 0, evenly spaced
    return maps.scaled(float(PROBE_SHARES[below] + part * step_width))
