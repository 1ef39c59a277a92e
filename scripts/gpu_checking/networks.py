"""The networks alone, by everything that can run them on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gpu_checking.report import L2, Figure
from gpu_checking.timing import Run, recorded_us
from tests.support import agreement
from tests.support.published import random_checkpoint
from tests.support.worker_pool import Job, NotRunError
from zerodce_rt.backends.cuda.cudnn_network import CuDNNNetwork
from zerodce_rt.backends.cuda.driver import this_target
from zerodce_rt.backends.cuda.light_network import LightTritonNetwork
from zerodce_rt.backends.cuda.triton_network import TritonNetwork
from zerodce_rt.backends.interfaces import DeviceNetwork
from zerodce_rt.network.light_wiring import map_size
from zerodce_rt.network.model import make_network

if TYPE_CHECKING:
    from zerodce_rt.backends.tensorrt.engines import EngineCache

SIZES = (
    ("light", 36, 64), ("plus", 36, 64), ("dcenet", 36, 64), ("dcenet", 1080, 1920),
    ("plus", 1080, 1920),
    ("dcenet", 2160, 3840),
)  # fmt: skip
# Activations of these sizes, 32 channels of float16, are far larger than any card's L2 cache.
_EXCEEDED = 1080 * 1920


def jobs(seconds: float) -> Iterator[Job]:
    for name in KINDS:
        if (package := PACKAGES.get(name)) is not None and find_spec(package) is None:
            yield Job(f"networks by {name}", partial(lack, package))
            continue
        for model, height, width in SIZES:
            run = partial(network, name, model, height, width, seconds)
            # An engine or torch.compile's kernels may take a minute.
            yield Job(f"network {model} {width}x{height}, {name}", run, 100 + 5 * seconds)


def lack(package: str) -> None:
    raise NotRunError(f"{package} is not installed")


def network(name: str, model: str, height: int, width: int, seconds: float) -> Iterator[Figure]:
    image = torch.rand((3, height, width), device=agreement.DEVICE).half()
    checkpoint = random_checkpoint(model)
    size = map_size(height, width) if checkpoint.knots else (height, width)
    out = torch.empty((checkpoint.map_count, *size), device=agreement.DEVICE).half()
    took = recorded_us([KINDS[name](model, image, out)], seconds)
    cache: L2 = "exceeded" if height * width >= _EXCEEDED else "hot"
    yield Figure(f"network {model} {width}x{height}, {name}", took, "us", l2=cache)


def _prepared(network: DeviceNetwork, image: torch.Tensor, out: torch.Tensor) -> Run:
    return partial(network.prepare(*image.shape[1:]), image, out)


def by_triton(model: str, image: torch.Tensor, out: torch.Tensor) -> Run:
    make = LightTritonNetwork if model == "light" else TritonNetwork
    return _prepared(make(random_checkpoint(model), image.device), image, out)


def by_cudnn(model: str, image: torch.Tensor, out: torch.Tensor) -> Run:
    return _prepared(CuDNNNetwork(random_checkpoint(model), image.device), image, out)


def by_tensorrt(model: str, image: torch.Tensor, out: torch.Tensor) -> Run:
    from zerodce_rt.backends.tensorrt.importing import load
    from zerodce_rt.backends.tensorrt.torch_tensorrt_network import TensorRTNetwork

    network = TensorRTNetwork(random_checkpoint(model), image.device, load(), engines())
    return _prepared(network, image, out)


def by_tensorrt_rtx(model: str, image: torch.Tensor, out: torch.Tensor) -> Run:
    """Also on cards that are not among ``TARGETS``, to find out whether it runs there."""
    from zerodce_rt.backends.tensorrt.rtx_engine import TARGETS
    from zerodce_rt.backends.tensorrt.rtx_network import RTXNetwork

    target = this_target() if this_target() in TARGETS else "current"
    network = RTXNetwork(random_checkpoint(model), image.device, target, engines())
    return _prepared(network, image, out)


@lru_cache(maxsize=1)
def engines() -> EngineCache:
    from zerodce_rt.backends.tensorrt.engines import EngineCache

    return EngineCache(Path(tempfile.mkdtemp()))


def by_torch_compile(model: str, image: torch.Tensor, out: torch.Tensor) -> Run:
    del out  # it allocates its own
    network: Any = make_network(model).eval().half().to(image.device)
    network = torch.compile(network.to(memory_format=torch.channels_last), dynamic=False)
    pictures = image[None].contiguous(memory_format=torch.channels_last)

    def run() -> None:
        with torch.inference_mode():
            network(pictures)

    return run


KINDS: dict[str, Callable[[str, torch.Tensor, torch.Tensor], Run]] = {
    "Triton": by_triton, "cuDNN": by_cudnn, "torch.compile": by_torch_compile,
    "TensorRT": by_tensorrt, "TensorRT-RTX": by_tensorrt_rtx,
}  # fmt: skip
PACKAGES = {"TensorRT": "torch_tensorrt", "TensorRT-RTX": "tensorrt_rtx"}
