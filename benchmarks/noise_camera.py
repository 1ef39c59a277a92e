"""A stand-in for OpenCV's camera."""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.bench.stages import dark_noise


class NoiseCamera:
    """Stands in for ``cv2.VideoCapture``: dark noise at a steady rate."""

    width, height, rate = 1280, 720, 30.0

    def __init__(self, *_: Any) -> None:
        noise = dark_noise("bgr24", self.width, self.height).planes[0]
        self._pictures = self.scene(noise.reshape(self.height, self.width, 3))
        self._count, self._start = 0, time.monotonic()

    def scene(self, noise: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """Pictures that are given in turn."""
        return [np.roll(noise, 7 * n, axis=0) for n in range(4)]

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def set(self, *_: Any) -> bool:
        return True

    def get(self, key: int) -> float:
        return {
            cv2.CAP_PROP_FRAME_WIDTH: self.width, cv2.CAP_PROP_FRAME_HEIGHT: self.height,
            cv2.CAP_PROP_FPS: self.rate,
        }.get(key, 0.0)  # fmt: skip

    def grab(self) -> bool:
        self._count += 1
        due = self._start + self._count / self.rate
        time.sleep(max(0.0, due - time.monotonic()))
        return True

    def retrieve(self) -> tuple[bool, NDArray[np.uint8]]:
        return True, self._pictures[self._count % len(self._pictures)].copy()

    def release(self) -> None:
        pass
