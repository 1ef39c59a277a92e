"""The backend ``tensorrt``: TensorRT through torch-tensorrt, if that works here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zerodce_rt.backends.cuda import backend as cuda
from zerodce_rt.backends.tensorrt.importing import load
from zerodce_rt.network.checkpoint import Checkpoint

if TYPE_CHECKING:
    from zerodce_rt.backends.tensorrt.torch_tensorrt_network import TensorRTNetwork


def probe() -> str:
    found = cuda.probe()
    versions = load().versions
    return f"TensorRT {versions['tensorrt']}, {found}"


def create(checkpoint: Checkpoint, *, exact: bool) -> TensorRTNetwork:
    del exact  # in float16, which is what the cards are made for
    import torch

    from zerodce_rt.backends.tensorrt.engines import EngineCache
    from zerodce_rt.backends.tensorrt.torch_tensorrt_network import TensorRTNetwork

    return TensorRTNetwork(checkpoint, torch.device("cuda"), load(), EngineCache())
