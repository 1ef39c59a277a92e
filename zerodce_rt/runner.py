"""All that happens to a frame, on one kind of machine: thumbnail, network, control, curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from zerodce_rt.control import ControlSettings
from zerodce_rt.frame import Frame


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
