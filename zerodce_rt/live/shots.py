"""A live image before and after enhancement, and the step between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.frame import FORMATS, Colour, Frame, from_array
from zerodce_rt.live.effort import Effort
from zerodce_rt.live.sources import CapturedImage
from zerodce_rt.names import DEFAULT_DENOISE


@dataclass(frozen=True)
class Shot:
    """A live image before and after enhancement.

    Attributes:
        before, after: ``(H, W, 3)`` uint8 BGR; the same array while the enhancement is off.
        captured, seconds: see ``CapturedImage``.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    captured: float
    seconds: float


class Brightener:
    """Makes shots of captured images. Its settings may be changed at any time, by any thread.

    Attributes:
        enabled: False passes images on as they are.
        is_day: whether the last image was not dark, and stayed as it was.

    Args:
        rate: gives the number of images a second that the source gives; 0 if it is not known.
            When they come too fast, denoising is left out step by step. Default: it never is.
        is_dark: tells of an image and its time whether it is dark; others stay as they are.
    """

    def __init__(
        self, enhancer: Enhancer, *, rate: Callable[[], float] = lambda: 0.0,
        is_dark: Callable[[NDArray[np.uint8], float], bool] | None = None,
    ) -> None:  # fmt: skip
        self.enabled, self.is_day = True, False
        self._is_dark = is_dark
        self._enhancer, self._rate = enhancer, rate
        self._effort = Effort()
        self._denoise_when_on = enhancer.denoise or DEFAULT_DENOISE
        # A frozen image may be enhanced again while live ones go on.
        self._lock = threading.Lock()
        # The first image takes longer, since kernels and network are loaded with it, and live
        # ones cannot wait. The network is prepared for an aspect ratio; most cameras have this.
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

    @property
    def denoise(self) -> float:
        """0 (off) to 1: how strictly noise is removed."""
        return self._enhancer.denoise

    @property
    def denoise_effort(self) -> int:
        """How much of the denoiser there is time for (see ``Enhancer.denoise_effort``)."""
        return self._effort.value

    def toggle_denoise(self) -> None:
        """Switch denoising off, or on again."""
        self._enhancer.denoise = 0.0 if self._enhancer.denoise else self._denoise_when_on

    def __call__(self, item: CapturedImage) -> Shot:
        """The next image of the video."""
        started = time.monotonic()
        if self._is_dark is not None:
            self.is_day = not self._is_dark(item.image, item.seconds)
        plain = Shot(item.image, item.image, item.captured, item.seconds)
        shot = self._shot(plain, seconds=item.seconds)
        now, rate = time.monotonic(), self._rate()
        if rate > 0 and shot.after is not shot.before and self._enhancer.denoise:
            self._effort.spent(now - started, 1 / rate, now)
            self._enhancer.denoise_effort = self._effort.value
        return shot

    def again(self, shot: Shot) -> Shot:
        """The image of an earlier shot with the present settings; the video does not notice."""
        return self._shot(shot, seconds=None)

    def _shot(self, shot: Shot, *, seconds: float | None) -> Shot:
        if not self.enabled or self.is_day:
            return replace(shot, after=shot.before)
        return replace(shot, after=self._enhanced(shot.before, seconds))

    def _enhanced(
        self, image: NDArray[np.uint8], seconds: float | None = None
    ) -> NDArray[np.uint8]:
        """The enhanced image; without a time, it stands alone."""
        height, width = image.shape[:2]
        if self._enhancer.denoise > 0 and height % 2 == width % 2 == 0:
            # Cameras and streams have no more chroma than 4:2:0, and to denoise that takes half
            # the time.
            yuv = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
            bright = np.empty_like(yuv)
            self._run(_yuv_frame(yuv, width), _yuv_frame(bright, width), seconds)
            return np.asarray(cv2.cvtColor(bright, cv2.COLOR_YUV2BGR_I420), np.uint8)
        source = from_array(image, order="bgr")
        target = source.empty_like()
        self._run(source, target, seconds)
        return target.planes[0].reshape(image.shape)

    def _run(self, source: Frame, target: Frame, seconds: float | None) -> None:
        with self._lock:
            self._enhancer.enhance(source, target, seconds=seconds)


def _yuv_frame(samples: Any, width: int) -> Frame:
    """A frame in the memory of OpenCV's I420: an array of one and a half times the height."""
    height = samples.shape[0] * 2 // 3
    flat, luma, chroma = samples.reshape(-1), height * width, (height // 2, width // 2)
    planes = (
        flat[:luma].reshape(height, width),
        flat[luma : luma * 5 // 4].reshape(chroma),
        flat[luma * 5 // 4 :].reshape(chroma),
    )
    return Frame(FORMATS["yuv420p"], planes, width, height, Colour("bt601"))
