"""The enhanced picture as a camera for other programs, by pyvirtualcam."""

from __future__ import annotations

import logging
import platform
import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.meters import OutputMeter

log = logging.getLogger(__name__)

_DRIVERS = {
    "Linux": "sudo apt install v4l2loopback-dkms && sudo modprobe v4l2loopback exclusive_caps=1",
    "Windows": "install OBS Studio (obsproject.com), which brings one",
    "Darwin": "install OBS Studio (obsproject.com), and start and stop its virtual camera once",
}


class VirtualCamera:
    """A camera that other programs can choose; an ``Output``. Its first image sets its size.

    Attributes:
        meter: of the images that were sent.

    Args:
        rate: nominal frames a second.

    Raises:
        ZeroDCEError: if pyvirtualcam is not installed. A missing driver shows with the first image.
    """

    def __init__(self, rate: float) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise ZeroDCEError(
                "`virtual_camera` needs pyvirtualcam; pip install pyvirtualcam"
            ) from error
        self._library: Any = pyvirtualcam
        self._rate = rate
        self._camera: Any = None
        self.meter = OutputMeter("virtual camera")

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Send an image; one of another size than the first is scaled.

        Args:
            image: ``(H, W, 3)`` uint8 BGR.
            seconds: not used: other programs get images when they come.

        Raises:
            ZeroDCEError: if this system has no driver for virtual cameras.
        """
        put = time.monotonic()
        if self._camera is None:
            self._camera = self._open(image.shape[1], image.shape[0])
        size = self._camera.width, self._camera.height
        if size != (image.shape[1], image.shape[0]):
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        self._camera.send(image)
        self.meter.sent(time.monotonic(), put)

    def _open(self, width: int, height: int) -> Any:
        library = self._library
        try:
            camera = library.Camera(width, height, self._rate, fmt=library.PixelFormat.BGR)
        except RuntimeError as error:
            driver = _DRIVERS.get(platform.system(), "see github.com/letmaik/pyvirtualcam")
            raise ZeroDCEError(f"there is no virtual camera on this system; {driver}") from error
        log.info("virtual camera: %s", camera.device)
        return camera

    def close(self) -> None:
        """Release the camera."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
