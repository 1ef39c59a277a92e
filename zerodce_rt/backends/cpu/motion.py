"""Motion between a frame and the denoiser's state, searched for only while the camera moves."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.cpu.bands import Bands
from zerodce_rt.backends.cpu.motion_kernels import SMALL, choose_vectors, quarter
from zerodce_rt.denoise import rules

# The pictures that are searched are stretched to the light that they have.
_LEAST_RANGE = 24.0
_HIGHLIGHTS = 0.02


class MotionSearch:
    """Decides whether to look for motion, and finds it.

    Args:
        shape: of the frames in cells; those of the small pictures are half of it.
    """

    def __init__(self, shape: tuple[int, int], bands: Bands) -> None:
        self._bands = bands
        small = shape[0] // 2, shape[1] // 2
        self._now, self._before = np.empty(small, np.float32), np.empty(small, np.float32)
        blocks = -(-shape[0] // rules.BLOCK_CELLS), -(-shape[1] // rules.BLOCK_CELLS)
        self._vectors = np.empty((*blocks, 2), np.int32)
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._frames = 0
        self._still_for = rules.FRAMES_TO_END

    @property
    def searching(self) -> bool:
        """Whether the camera moves, so that each frame is searched."""
        return self._still_for < rules.FRAMES_TO_END

    def find(
        self, luma: NDArray[Any], scale: np.float32, expected: NDArray[np.uint16], sigma: float
    ) -> NDArray[np.int32] | None:
        """Vectors ``(rows, columns, 2)`` of the blocks of a frame; None if none moves.

        Args:
            luma: of the frame; ``scale``: from its samples to 8-bit codes.
            expected: luma of the filter's state, with 256 steps to an 8-bit code.
            sigma: of the noise of single samples.
        """
        self._frames += 1
        if not self.searching and self._frames % rules.PROBE_EVERY:
            return None
        now, before = self._now, self._before
        if min(now.shape) < 3 * SMALL:
            return None

        def band(first: int, last: int) -> None:
            quarter(luma, scale, now, first, last)
            quarter(expected, np.float32(1 / 256), before, first, last)

        self._bands.run(band, self._bands.bounds(len(now)))
        every = now[::SMALL, ::SMALL]
        low = float(every.min())
        high = float(np.quantile(every, 1 - _HIGHLIGHTS))
        stretch = 255 / max(high - low, _LEAST_RANGE)
        now8, before8 = (
            cv2.convertScaleAbs(np.maximum(p - low, 0), alpha=stretch) for p in (now, before)
        )
        flow = self._flow.calc(now8, before8, None)
        moving = choose_vectors(
            now,
            before,
            flow,
            np.float32(rules.BETTER),
            np.float32(rules.MARGIN * sigma),
            self._vectors,
        )
        share = moving / self._vectors[..., 0].size
        self._still_for = 0 if share > rules.MOVING_SHARE else self._still_for + 1
        return self._vectors if moving and self.searching else None
