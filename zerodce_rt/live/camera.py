"""Cameras, by OpenCV."""

from __future__ import annotations

import logging
import platform
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.live.exposure import FrameRateHold
from zerodce_rt.live.sources import CapturedImage, SourceLost

log = logging.getLogger(__name__)

_BACKENDS = {"Linux": "CAP_V4L2", "Windows": "CAP_DSHOW", "Darwin": "CAP_AVFOUNDATION"}
# After so many images in a row that cannot be decoded, the camera counts as lost.
_BAD_IMAGES = 30


@dataclass(frozen=True, kw_only=True)
class CameraSettings:
    """What to ask of a camera, which may give something else.

    Attributes:
        width, height: in pixels, 16 to 16384.
        rate: frames a second, above 0 and at most 1000.

    Raises:
        ValueError: a value outside its range.
    """

    width: int = 1280
    height: int = 720
    rate: float = 30.0

    def __post_init__(self) -> None:
        if not (16 <= self.width <= 16384 and 16 <= self.height <= 16384):
            raise ValueError(
                f"a camera's size must be 16x16 to 16384x16384, not {self.width}x{self.height}"
            )
        if not 0 < self.rate <= 1000:
            raise ValueError(f"a camera's fps must be above 0 and at most 1000, not {self.rate:g}")


class Camera:
    """An open camera; a ``Source``.

    Args:
        device: number, or path such as ``/dev/video0``.
        hold: keeps the camera from lowering its frame rate; the caller restores its setting.

    Raises:
        SourceLost: if there is no such camera, or another program uses it.
    """

    def __init__(
        self, device: int | str, settings: CameraSettings, hold: FrameRateHold | None = None
    ) -> None:
        self._name = camera_name(device)
        self._capture = _open(device)
        for key, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, settings.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, settings.height),
            (cv2.CAP_PROP_FPS, settings.rate),
        ):
            self._capture.set(key, value)
        self.description = (
            f"asked for {settings.width}x{settings.height} at {settings.rate:g} fps, "
            f"driver reports {self._reported()}"
        )
        if hold is not None:
            self.description += ", rate held" if hold.apply() else ", rate not held"

    def _reported(self) -> str:
        """Size, format and rate as the driver reports them; what arrives may differ."""
        get = self._capture.get
        width, height = int(get(cv2.CAP_PROP_FRAME_WIDTH)), int(get(cv2.CAP_PROP_FRAME_HEIGHT))
        code = int(get(cv2.CAP_PROP_FOURCC))
        fourcc = code.to_bytes(4, "little").decode("ascii", "replace") if code > 0 else ""
        format = f" {fourcc.strip()}" if fourcc.strip().isprintable() and fourcc.strip() else ""
        rate = get(cv2.CAP_PROP_FPS)
        return f"{width}x{height}{format}" + (f" at {rate:g} fps" if rate > 0 else "")

    def read(self) -> CapturedImage:
        for _ in range(_BAD_IMAGES):
            try:
                if not self._capture.grab():
                    break
                captured = time.monotonic()
                image = self._capture.retrieve()[1]
            except cv2.error as error:
                log.debug("%s: %s", self._name, error)
                break
            if image is not None and image.size:
                return CapturedImage(_bgr(image), captured, captured)
        raise SourceLost(f"{self._name} gives no picture; check that it is plugged in")

    def close(self) -> None:
        self._capture.release()


def camera_name(device: int | str) -> str:
    """What a camera is called in messages."""
    return f"camera {device}"


def _backend() -> int:
    """OpenCV's backend for the cameras of this system."""
    return int(getattr(cv2, _BACKENDS.get(platform.system(), "CAP_ANY")))


def _open(device: int | str) -> Any:
    # OpenCV's own log would say in many lines what the error below says in one.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    backend = _backend()
    # Uncompressed, many webcams give 5 frames a second at 1080p. The format must be set before
    # the size, with DirectShow even before the camera is opened; one that has no MJPG then fails.
    mjpg = [cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")]
    for parameters in ([mjpg] if backend != cv2.CAP_AVFOUNDATION else []) + [[]]:
        with suppress(cv2.error):
            capture = cv2.VideoCapture(device, backend, parameters)
            if capture.isOpened():
                return capture
            capture.release()
    raise SourceLost(
        f"{camera_name(device)} cannot be opened; see whether `list_cameras` shows it, and "
        "whether another program uses it"
    )


def _bgr(image: NDArray[Any]) -> NDArray[np.uint8]:
    """A camera's image of 8 or 16 bits, grey or colour, as uint8 BGR."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.ndim == 2 or image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    return image


def list_cameras() -> list[str]:
    """A line for each camera of this machine: number, name, device path."""
    from cv2_enumerate_cameras import enumerate_cameras

    found = sorted(enumerate_cameras(_backend()), key=lambda camera: camera.index)
    return [f"{c.index:>2}  {c.name}" + (f"  ({c.path})" if c.path else "") for c in found]
