"""A live picture before and after, and the step between."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.live.sources import Picture


@dataclass(frozen=True)
class Shot:
    """A picture before and after, ``(H, W, 3)`` uint8 BGR, and when it was captured.

    With the enhancement off, both are the same array.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    captured: float


class Brightener:
    """The work of the live pipeline. What it is set to may change at any time, from any thread.

    Attributes:
        enabled: False passes pictures as they are.
        backend: name of the one that runs.
    """

    def __init__(self, enhancer: Enhancer) -> None:
        self.enabled = True
        self._enhancer = enhancer
        # A frozen picture is brightened again beside those that still come.
        self._lock = threading.Lock()
        # The first picture brings kernels and network into memory; a live one has no time for
        # it. The network is compiled for a picture's aspect, and this is most cameras'.
        enhancer(np.zeros((72, 128, 3), np.uint8), order="bgr")

    @property
    def backend(self) -> str:
        return self._enhancer.runner.name

    @property
    def strength(self) -> float:
        """0 to 1."""
        return self._enhancer.settings.strength

    @strength.setter
    def strength(self, value: float) -> None:
        self._enhancer.settings = replace(self._enhancer.settings, strength=value)

    def __call__(self, picture: Picture) -> Shot:
        return self._shot(picture.image, picture.captured, seconds=picture.captured)

    def again(self, shot: Shot) -> Shot:
        """The same picture with the present settings, outside of the run of time."""
        return self._shot(shot.before, shot.captured, seconds=None)

    def _shot(self, image: NDArray[np.uint8], captured: float, *, seconds: float | None) -> Shot:
        if not self.enabled:
            return Shot(image, image, captured)
        with self._lock:
            return Shot(image, self._enhancer(image, order="bgr", seconds=seconds), captured)
