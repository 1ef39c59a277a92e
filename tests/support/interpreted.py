"""The CUDA path as a backend that needs no card: the same code, in Triton's interpreter.

A test makes it available as ``Backend(name, "tests.support.interpreted", on_gpu=True)``, and
imports ``tests.support.agreement`` before anything of Triton. The lists below make it fail.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from tests.support.agreement import DEVICE
from zerodce_rt.backends.cuda.light_network import LightTritonNetwork
from zerodce_rt.backends.cuda.triton_network import TritonNetwork
from zerodce_rt.backends.interfaces import DeviceEstimate, DeviceNetwork
from zerodce_rt.backends.tensorrt.engines import EngineRejected
from zerodce_rt.network.checkpoint import Checkpoint

before_estimate: list[Callable[[], None]] = []
"""Each is called once, the first before the next frame; it may raise what a device raises."""

before_prepare: list[Callable[[], None]] = []
"""The same before the next size."""

before_create: list[Callable[[], None]] = []
"""The same before the next network is loaded."""

scale = 1.0
"""What maps are multiplied with; any other value is a fault."""


def probe() -> str:
    return "Triton's interpreter"


def create(checkpoint: Checkpoint, *, exact: bool) -> DeviceNetwork:
    del exact
    if before_create:
        before_create.pop(0)()
    make = LightTritonNetwork if checkpoint.knots else TritonNetwork
    return _Network(make(checkpoint, DEVICE))


class _Network:
    def __init__(self, network: DeviceNetwork) -> None:
        self._network = network
        self.device, self.knots = network.device, network.knots
        self.map_count = network.map_count

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        if before_prepare:
            before_prepare.pop(0)()
        return partial(self._estimate_or_fail, self._network.prepare(height, width))

    def _estimate_or_fail(self, estimate: DeviceEstimate, image: Tensor, out: Tensor) -> None:
        if before_estimate:
            before_estimate.pop(0)()
        estimate(image, out)
        out *= scale


def succeed() -> None:
    """Let one call pass."""


def run_out_of_memory() -> None:
    raise torch.cuda.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB.\nMore advice."
    )


def reject() -> None:
    raise EngineRejected("its maps differ")


def lose_the_device() -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered\nMore advice.")
