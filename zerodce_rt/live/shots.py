"""A live image before and after enhancement, and the step between."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.frame import from_array
from zerodce_rt.live.sources import CapturedImage


@dataclass(frozen=True)
class Shot:
    """A live image before and after enhancement.

    Attributes:
        before, after: ``(H, W, 3)`` uint8 BGR; the same array while the enhancement is off.
        captured: see ``CapturedImage``.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    captured: float


class Brightener:
    """Makes shots of captured images. Its settings may be changed at any time, by any thread.

    Attributes:
        enabled: False passes images on as they are.
    """

    def __init__(self, enhancer: Enhancer) -> None:
        self.enabled = True
        self._enhancer = enhancer
        # A frozen image may be enhanced again while live ones go on.
        self._lock = threading.Lock()
        # The first image takes longer, since kernels and network are loaded with it, and live
        # ones cannot wait. The network is compiled for an aspect ratio; most cameras have this.
        self._enhanced(np.zeros((72, 128, 3), np.uint8))

    @property
    def backend(self) -> str:
        """Name of the backend that runs."""
        return self._enhancer.backend

    @property
    def strength(self) -> float:
        """0 (unchanged) to 1 (full curve)."""
        return self._enhancer.strength

    @strength.setter
    def strength(self, value: float) -> None:
        self._enhancer.strength = value

    def __call__(self, item: CapturedImage) -> Shot:
        """The next image of the video."""
        return self._shot(item.image, item.captured, seconds=item.captured)

    def again(self, shot: Shot) -> Shot:
        """The image of an earlier shot with the present settings; the video does not notice."""
        return self._shot(shot.before, shot.captured, seconds=None)

    def _shot(self, image: NDArray[np.uint8], captured: float, *, seconds: float | None) -> Shot:
        if not self.enabled:
            return Shot(image, image, captured)
        return Shot(image, self._enhanced(image, seconds), captured)

    def _enhanced(
        self, image: NDArray[np.uint8], seconds: float | None = None
    ) -> NDArray[np.uint8]:
        """The enhanced image; without a time, it stands alone."""
        source = from_array(image, order="bgr")
        target = source.empty_like()
        with self._lock:
            self._enhancer.enhance(source, target, seconds=seconds)
        return target.planes[0].reshape(image.shape)
