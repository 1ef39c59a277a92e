"""Triton's real launches without a card: kernels are compiled, but neither loaded nor run.

``compile_kernels`` compiles with the arguments that it thinks a launch has. Here the launches are
those of the program itself, so that what Triton makes of their arguments counts: integers that are
1 become constants, and multiples of 16 are told from others. Each new case is another compilation,
and a pause when a video starts.

``python -m tests.support.stand_in_driver 90 FRAMES...`` enhances one frame of each kind, such as
``plus:nv12:1920x1080:64``, and prints a line of JSON for it: the kernels that were compiled for
the first time. Needs a process of its own in which Triton does not interpret.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget

# Bytes that a block of threads may have, by compute capability.
_SHARED_MEMORY = {
    75: 65536,
    80: 166912,
    86: 101376,
    89: 101376,
    90: 232448,
    100: 232448,
    120: 101376,
}


class StandInDriver:
    """Answers what Triton asks a card's driver.

    Attributes:
        loaded: names of the kernels that were compiled or found in Triton's cache, each once for
            every kind of arguments.
        launched: names of the kernels in the order of their launches.
        unchained: of them, those that are launched when the one before has ended.
    """

    def __init__(self, capability: int) -> None:
        self.capability = capability
        self.loaded: list[str] = []
        self.launched: list[str] = []
        self.unchained: list[str] = []
        self.utils = self

    def launcher_cls(self, source: Any, metadata: Any) -> Any:
        del source

        def launch(*_: object) -> None:
            self.launched.append(metadata.name)
            if not metadata.launch_pdl:
                self.unchained.append(metadata.name)

        return launch

    def load_binary(self, name: str, *_: object) -> tuple[Any, ...]:
        """Module, function, registers, spills, and the most threads of a block."""
        self.loaded.append(name)
        return "module", "function", 0, 0, 1024

    def get_device_properties(self, device: int) -> dict[str, int]:
        del device
        return {"max_shared_mem": _SHARED_MEMORY[self.capability]}

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return device

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)


def install(driver: StandInDriver) -> None:
    """Let launches with tensors of the CPU be those on a card."""
    triton.runtime.driver.set_active(driver)
    for module in modules_that_ask():
        # By the device, which is the CPU, it would be 0: that of the interpreter.
        module.capability = lambda device: driver.capability  # type: ignore[attr-defined]


def modules_that_ask() -> list[ModuleType]:
    """Those of the program, imported so far, that ask for the ``capability`` of a card."""
    return [
        module for name, module in sys.modules.items()
        if name.startswith("zerodce_rt.") and hasattr(module, "capability")
    ]  # fmt: skip


def extent_of(tensor: torch.Tensor) -> tuple[int, int]:
    """Addresses of the first byte of a tensor that has any, and behind its last one."""
    last = sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.itemsize


def enhance(kind: str) -> None:
    """Send a frame through a step of its own, whose noise is removed where that is usual.

    Args:
        kind: model, pixel format, size and working size; and ``pq`` for a PQ frame, or
            ``interlaced``.
    """
    from tests.support.noise import random_frame
    from zerodce_rt.backends.cuda.light_network import LightTritonNetwork
    from zerodce_rt.backends.cuda.step import CUDAStep
    from zerodce_rt.backends.cuda.triton_network import TritonNetwork
    from zerodce_rt.curve.control import ControlSettings
    from zerodce_rt.curve.working_size import WorkingSize
    from zerodce_rt.frame import Colour
    from zerodce_rt.network.checkpoint import load_bundled

    model, format, size, seen, *special = kind.split(":")
    width, height = (int(n) for n in size.split("x"))
    colour = Colour("bt2020", transfer="pq") if special == ["pq"] else Colour()
    frame = random_frame(format, width, height, colour)
    frame = replace(frame, interlaced=special == ["interlaced"])
    checkpoint, working_size = load_bundled(model), WorkingSize.parse(seen)
    settings = ControlSettings(max_level=0.5, denoise=1)
    make = LightTritonNetwork if model == "light" else TritonNetwork
    step = CUDAStep(
        make(checkpoint, torch.device("cpu")), frame, frame, working_size, settings.max_level,
        denoise=not working_size.published,
    )  # fmt: skip
    step.begin(frame, frame.empty_like(), settings, None)()


def main(arguments: Sequence[str]) -> None:
    from zerodce_rt.backends.cuda import step, triton_network

    del step, triton_network  # imported, so that they are told of the card
    driver = StandInDriver(int(arguments[0]))
    install(driver)
    for kind in arguments[1:]:
        driver.loaded, driver.launched, driver.unchained = [], [], []
        enhance(kind)
        found = {
            "kind": kind, "compiled": driver.loaded, "launched": driver.launched,
            "unchained": driver.unchained,
        }  # fmt: skip
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
