"""Frames of any format and size on an NVIDIA GPU, and its failures as errors of one line."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from triton.errors import TritonError

from zerodce_rt.backends.cuda.pq import supports_pq
from zerodce_rt.backends.cuda.step import CUDAStep, new_streams
from zerodce_rt.backends.interfaces import DeviceNetwork
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.denoise.rules import has_fields
from zerodce_rt.errors import DeviceError, ZeroDCEError
from zerodce_rt.frame import Frame

# A folder of pictures may hold many sizes; each takes device memory of its own.
_MOST_STEPS = 4


class CUDARunner:
    """Keeps a ``CUDAStep`` for each kind of frame, with several frames in flight. Is a ``Runner``.

    The network runs for every frame, also where its estimate is not used.

    Attributes:
        name: of the backend.
        device: the network's; frames on it are neither uploaded nor downloaded.
    """

    def __init__(self, name: str, network: DeviceNetwork, working_size: WorkingSize) -> None:
        self.name = name
        self.device = network.device
        self._network, self._working_size = network, working_size
        self._streams = new_streams(self.device)
        self._steps: OrderedDict[Any, CUDAStep] = OrderedDict()
        self._last: CUDAStep | None = None

    def reset(self) -> None:
        for step in self._steps.values():
            with suppress(RuntimeError):  # from a device that has failed: the next frame says so
                step.reset()

    def begin(
        self, source: Frame, target: Frame, settings: ControlSettings, seconds: float | None
    ) -> Callable[[], None]:
        if source.colour.transfer == "pq" and not supports_pq(source.format):
            raise DeviceError(
                f"backend {self.name} does not enhance PQ (HDR10) frames of format "
                f"{source.format.name}; `backend='openvino'` does"
            )
        size = f"{source.width}x{source.height}"
        with self._current():
            # Kernels are compiled here, by programs and in folders that may not be there.
            with reported_as_device_errors(size, any_error=True):
                step = self._step_for(source, target, settings)
            with reported_as_device_errors(size):
                finish = step.begin(source, target, settings, seconds)

        def finish_or_report() -> None:
            with reported_as_device_errors(size):
                finish()

        return finish_or_report

    def warm_up(
        self, source: Frame, settings: ControlSettings, seconds: float | None, *, denoise: bool
    ) -> None:
        del denoise  # it is a part of the one graph
        planes: Any = source.planes
        if isinstance(planes[0], torch.Tensor):
            planes = tuple(torch.empty_like(plane) for plane in planes)
            nowhere = replace(source, planes=planes)
        else:
            nowhere = source.empty_like()
        self.begin(source, nowhere, settings, seconds)()

    def close(self) -> None:
        # Frames may be in flight that nobody waits for, such as after Ctrl-C: the device must be
        # done with their memory before others get it.
        for step in self._steps.values():
            with suppress(RuntimeError):  # from a device that has failed, and works no more
                step.synchronise()
        self._steps.clear()
        self._last = None

    def _current(self) -> AbstractContextManager[Any]:
        """Make the device current in this thread: Triton and CUDA graphs use the current one."""
        return torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext()

    def _step_for(self, source: Frame, target: Frame, settings: ControlSettings) -> CUDAStep:
        max_level, denoise = settings.max_level, settings.denoise > 0
        smoothing = settings.smoothing_seconds > 0
        key = (
            source.format, target.format, source.width, source.height, source.colour, max_level,
            denoise, denoise and has_fields(source), smoothing,
        )  # fmt: skip
        step = self._steps.pop(key, None)
        if step is None:
            if len(self._steps) == _MOST_STEPS:
                self._steps.popitem(last=False)
            make = partial(
                CUDAStep, self._network, source, target, self._working_size, max_level,
                denoise=denoise, smoothing=smoothing, streams=self._streams,
            )  # fmt: skip
            step = self._made(make)
        elif step is not self._last:
            step.reset()  # its state is from before the video changed its size
        self._steps[key] = self._last = step
        return step

    def _made(self, make: Callable[[], CUDAStep]) -> CUDAStep:
        """A new step; the memory of other sizes is given up for it if need be."""
        try:
            return make()
        except torch.cuda.OutOfMemoryError:
            if not self._steps:
                raise
        # Not before: the exception keeps what the first attempt has allocated.
        self._steps.clear()
        self._last = None
        return make()


@contextmanager
def reported_as_device_errors(size: str = "", *, any_error: bool = False) -> Iterator[None]:
    """Turn what PyTorch and Triton raise into ``DeviceError``, in one line.

    Args:
        size: of the frames that are enhanced, such as ``"1920x1080"``, if any are.
        any_error: also what they raise where a compiler, a library or a folder is missing, such
            as ``CalledProcessError`` and ``PermissionError``.
    """
    try:
        yield
    except ZeroDCEError:
        raise
    except torch.cuda.OutOfMemoryError as error:
        frames = f" for frames of {size}" if size else ""
        raise DeviceError(
            f"{_card()}: out of memory{frames}; try a smaller `working_size`, "
            "close other programs, or use the CPU (`backend='openvino'`)"
        ) from error
    except Exception as error:
        if not (any_error or isinstance(error, (RuntimeError, TritonError))):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DeviceError(
            f"{_card()}: failed ({reason}); try again, or use the CPU (`backend='openvino'`)"
        ) from error


def _card() -> str:
    """The card's name, or, from a device that reports nothing any more, what it is."""
    try:
        return torch.cuda.get_device_name()
    except Exception:  # no narrower: the type differs with what has failed
        return "the GPU"
