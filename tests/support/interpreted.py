"""The CUDA path as a backend without a card: the same code, in Triton's interpreter.

It is what ``backends.cuda.backend`` is, but for the device. Register it with ``Backend(name,
"tests.support.interpreted", on_gpu=True)``; import ``tests.support.agreement`` before anything
else of Triton.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from tests.support.agreement import DEVICE
from zerodce_rt.backends.cuda.triton_network import TritonNetwork
from zerodce_rt.backends.interfaces import DeviceEstimate
from zerodce_rt.backends.tensorrt.engines import EngineRejected
from zerodce_rt.network.checkpoint import Checkpoint

before_estimate: list[Callable[[], None]] = []
"""Called in turn, one with each frame; they may raise what a device raises."""

before_prepare: list[Callable[[], None]] = []
"""The same with each new size."""

before_create: list[Callable[[], None]] = []
"""The same with each network that is loaded."""

scale = 1.0
"""What maps are multiplied with; 1 is right."""


def probe() -> str:
    return "Triton's interpreter"


def create(checkpoint: Checkpoint, *, exact: bool) -> TritonNetwork:
    del exact
    if before_create:
        before_create.pop(0)()
    return _Network(checkpoint, DEVICE)


class _Network(TritonNetwork):
    def prepare(self, height: int, width: int) -> DeviceEstimate:
        if before_prepare:
            before_prepare.pop(0)()
        return partial(self._interrupted, super().prepare(height, width))

    def _interrupted(self, estimate: DeviceEstimate, image: Tensor, out: Tensor) -> None:
        if before_estimate:
            before_estimate.pop(0)()
        estimate(image, out)
        out *= scale


def succeed() -> None:
    """Nothing happens."""


def run_out_of_memory() -> None:
    raise torch.cuda.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB.\nMore advice."
    )


def reject() -> None:
    raise EngineRejected("its maps differ")


def lose_the_device() -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered\nMore advice.")
