"""What backends are made of: the protocols that the other packages rely on.

Imports nothing heavy, so that the backends can be listed without NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from zerodce_rt.curve.control import ControlSettings
    from zerodce_rt.curve.maps import CurveMaps
    from zerodce_rt.frame import Frame


class BackendUnavailable(Exception):
    """Why a backend cannot be used on this machine, and what would change that."""


class Estimator(Protocol):
    """A network on the CPU.

    Attributes:
        name: of its backend.
        knots: of its maps, if they are light maps; see ``CurveMaps``.
    """

    name: str
    knots: tuple[float, ...]

    def estimate(self, thumbnail: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values of ``CurveMaps`` for RGB ``(3, h, w)`` in [0, 1]."""
        ...


DeviceEstimate = Callable[["Tensor", "Tensor"], None]
"""Fills maps from a picture, both float16 on the GPU, on the current stream.

The picture is ``(3, h, w)`` RGB in [0, 1], the maps are ``(3k, h, w)`` in [-1, 1], or those of
``LightNet``.
"""


class DeviceNetwork(Protocol):
    """A network on a GPU, which reads and writes the GPU's memory.

    Attributes:
        map_count: 3 or 24, or 5 of light maps.
        knots: of its maps, if they are light maps; see ``CurveMaps``.
    """

    device: torch.device
    map_count: int
    knots: tuple[float, ...]

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        """Compile and allocate for pictures of one size; calls of the result allocate nothing."""
        ...


class Denoiser(Protocol):
    """Removes noise from the frames of one video, in order; on the CPU."""

    def __call__(self, frame: Frame, strength: float, effort: int) -> Frame:
        """The next frame, filtered.

        Args:
            frame: of any format; another format, size or colour than the last one's starts anew.
            strength: above 0 and up to 1; the variance of the noise is multiplied by it.
            effort: 1 filters over time, 2 also over space, 3 also follows motion.

        Returns:
            A frame of 16-bit planes, which an ``Applier`` reads; its memory is that of the next
            one, too.
        """
        ...

    def reset(self) -> None:
        """Forget the past; the next frame starts a new scene."""
        ...


class Applier(Protocol):
    """The half of the work on the CPU that touches every pixel: thumbnails and curves.

    Attributes:
        name: ``"cpu"`` or ``"reference"``.
    """

    name: str

    def thumbnail(self, frame: Frame, height: int, width: int) -> NDArray[np.float32]:
        """Area average of a frame, ``(3, height, width)`` gamma-encoded RGB in [0, 1].

        Args:
            height, width: at most the frame's own.
        """
        ...

    def dark_steps(self, frame: Frame, height: int, width: int) -> NDArray[np.float32]:
        """What ``floor.floor_gate`` needs to know of a frame, for a grid of so many cells."""
        ...

    def finished(self, frame: Frame, maps: CurveMaps) -> CurveMaps:
        """Light maps as they are applied: with the frame's floor, and curves that rise."""
        ...

    def apply(self, frame: Frame, maps: CurveMaps, out: Frame) -> None:
        """Enhance a frame into ``out``.

        Args:
            frame: of the format and size of ``out``, or what a denoiser makes of such a one.
            maps: of any resolution; interpolated to the frame's.
            out: may be ``frame`` itself.
        """
        ...

    def pq_to_gamma(self, frame: Frame) -> Frame:
        """A PQ frame as one in which curves work, of 16 bits or float (see ``curve/pq.py``)."""
        ...

    def gamma_to_pq(self, enhanced: Frame, source: Frame, out: Frame) -> None:
        """The way back.

        Args:
            enhanced: of the format that ``pq_to_gamma`` gives.
            source: the PQ frame from which it was made; what is above its peak stays.
            out: of the format and size of ``source``.
        """
        ...

    def denoiser(self, *, alone: bool = False) -> Denoiser:
        """A new denoiser, for one video or (``alone``) one frame; it needs this applier."""
        ...

    def close(self) -> None:
        """Release its threads; it cannot be used afterwards. May be called again."""
        ...


class Runner(Protocol):
    """Enhances the frames of one video, in order: thumbnail, network, control, curve.

    Attributes:
        name: of its backend.
    """

    name: str

    @property
    def device(self) -> torch.device | None:
        """Where frames are enhanced, and may lie as tensors; None on the CPU, where they may not.

        Frames may lie in NumPy's arrays with every runner.
        """
        ...

    def begin(
        self, source: Frame, target: Frame, settings: ControlSettings, seconds: float | None
    ) -> Callable[[], None]:
        """Begin a frame; on a GPU, several may be in flight.

        Args:
            source: must not change until the frame is done, unless it is on the device.
            target: of the same format and size; on a GPU, also of another layout with the same
                samples (``nv12`` and ``yuv420p``).
            seconds: the frame's time; None for a picture without one, which stands alone.

        Returns:
            What waits until ``target`` is filled; to be called once, from any thread.

        Raises:
            DeviceError: from here or from what is returned, if the device fails.
        """
        ...

    def warm_up(
        self, source: Frame, settings: ControlSettings, seconds: float | None, *, denoise: bool
    ) -> None:
        """Take a frame as ``begin`` does, without a result.

        Args:
            denoise: whether the denoiser is to see it, too; a GPU's always does.
        """
        ...

    def reset(self) -> None:
        """Forget the past; the next frame starts a new scene."""
        ...

    def close(self) -> None:
        """Release its threads and device memory, when no frame is in flight.

        It cannot be used afterwards. May be called again.
        """
        ...
