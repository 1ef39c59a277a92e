"""Frames of any kind on an NVIDIA GPU: a step for each kind, and what went wrong in one line."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from triton.errors import TritonError

from zerodce_rt.backends.cuda.step import CUDAStep
from zerodce_rt.backends.interfaces import DeviceNetwork
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.errors import DeviceError
from zerodce_rt.frame import Frame

# A folder of pictures may hold many sizes; each has its own memory on the GPU.
_MOST_STEPS = 4


class CUDARunner:
    """Several frames are under way at once: up, through one CUDA graph, and down. Is a ``Runner``.

    Maps are computed in float16, and for each frame, whatever
    ``ControlSettings.estimate_seconds`` would spare.
    """

    def __init__(self, name: str, network: DeviceNetwork, working_size: WorkingSize) -> None:
        self.name = name
        self._network, self._working_size = network, working_size
        self._steps: OrderedDict[Any, CUDAStep] = OrderedDict()
        self._last: CUDAStep | None = None

    def reset(self) -> None:
        for step in self._steps.values():
            step.reset()

    def begin(
        self, source: Frame, target: Frame, settings: ControlSettings, seconds: float | None
    ) -> Callable[[], None]:
        size = f"{source.width}x{source.height}"
        with failures_told(size):
            step = self._step_for(source, target, settings.max_level)
            finish = step.begin(source, target, settings, seconds)

        def told() -> None:
            with failures_told(size):
                finish()

        return told

    def _step_for(self, source: Frame, target: Frame, max_level: float) -> CUDAStep:
        key = (source.format, target.format, source.width, source.height, source.colour, max_level)
        step = self._steps.pop(key, None)
        if step is None:
            if len(self._steps) == _MOST_STEPS:
                self._steps.popitem(last=False)
            make = partial(CUDAStep, self._network, source, target, self._working_size, max_level)
            try:
                step = make()
            except torch.cuda.OutOfMemoryError:
                if not self._steps:
                    raise
                # What other sizes hold may be enough.
                self._steps.clear()
                self._last = None
                step = make()
        elif step is not self._last:
            step.reset()  # what it saw last is from before the video changed its size
        self._steps[key] = self._last = step
        return step


@contextmanager
def failures_told(size: str = "") -> Iterator[None]:
    """Raise what a GPU raises as ``DeviceError``, in one line.

    Args:
        size: of the frames that it works on, if it does.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        frames = f" for frames of {size}" if size else ""
        raise DeviceError(
            f"{_card()}: out of memory{frames}; try a smaller --working-size, "
            "close other programs, or use the CPU (--backend openvino)"
        ) from error
    except (RuntimeError, TritonError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DeviceError(
            f"{_card()}: failed ({reason}); try again, or use the CPU (--backend openvino)"
        ) from error


def _card() -> str:
    """Its name, or if it does not even tell that, what it is."""
    try:
        return torch.cuda.get_device_name()
    except (RuntimeError, AssertionError, ValueError):
        return "the GPU"
