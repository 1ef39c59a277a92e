"""What a backend is made of: plain protocols between the rooms, and why one cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.maps import CurveMaps
from zerodce_rt.frame import Frame

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Estimator(Protocol):
    """A network on the processor."""

    name: str

    def estimate(self, thumbnail: NDArray[np.float32]) -> NDArray[np.float32]:
        """Curve maps ``(3k, h, w)`` in [-1, 1] for RGB ``(3, h, w)`` in [0, 1]."""
        ...


DeviceEstimate = Callable[["Tensor", "Tensor"], None]
"""From a picture to maps, both float16 on the GPU, on the current stream.

The picture is ``(3, h, w)`` RGB in [0, 1], the maps are ``(3k, h, w)`` in [-1, 1].
"""


class DeviceNetwork(Protocol):
    """A network on a GPU, where its input and output are as well.

    Attributes:
        map_count: 3 or 24.
    """

    device: torch.device
    map_count: int

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        """Make all that pictures of one size need; calls of the result find no new memory."""
        ...


class BackendUnavailable(Exception):
    """Why a backend cannot be used on this machine, and what would change that."""


class Applier(Protocol):
    """The half of the work that touches every pixel."""

    name: str

    def thumbnail(self, frame: Frame, height: int, width: int) -> NDArray[np.float32]:
        """Area average of the frame as ``(3, height, width)`` RGB in [0, 1].

        ``height`` and ``width`` are at most the frame's own.
        """
        ...

    def apply(self, frame: Frame, maps: CurveMaps, out: Frame) -> None:
        """Write the enhanced frame to ``out``, a frame of the same format and size."""
        ...


class Runner(Protocol):
    """Takes frames from dark to bright, and follows one video's maps over time.

    Attributes:
        name: of its backend.
    """

    name: str

    def begin(
        self, source: Frame, target: Frame, settings: ControlSettings, seconds: float | None
    ) -> Callable[[], None]:
        """Send a frame on its way, after those that were begun before.

        Args:
            source: must stay as it is until the frame is done, unless it is on the device.
            target: of the same size, and with the same samples if in another layout.
            seconds: the frame's time; None for a picture without one, which stands alone.

        Returns:
            What waits until ``target`` is filled; to be called once, from any thread.

        Raises:
            DeviceError: from here or from what is returned, if the device gives up.
        """
        ...

    def reset(self) -> None:
        """Forget the past; the next frame starts a new scene."""
        ...
