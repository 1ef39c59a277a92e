"""The backend ``tensorrt``: whether torch-tensorrt works here, and its network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zerodce_rt.backends.cuda import backend as cuda
from zerodce_rt.backends.cuda import driver
from zerodce_rt.backends.tensorrt.importing import load
from zerodce_rt.network.checkpoint import Checkpoint

if TYPE_CHECKING:
    from zerodce_rt.backends.tensorrt.torch_tensorrt_network import TensorRTNetwork


def probe() -> str:
    """Versions of TensorRT, PyTorch and Triton, and the card's name.

    Raises:
        BackendUnavailable: with what to install.
    """
    found = cuda.probe()
    versions = load().versions
    return f"TensorRT {versions['tensorrt']}, {found}"


def create(checkpoint: Checkpoint, *, exact: bool) -> TensorRTNetwork:
    """The network on the current card.

    Args:
        exact: has no effect: the network runs in float16, the precision the cards are made for.
    """
    del exact
    from zerodce_rt.backends.tensorrt.engines import EngineCache
    from zerodce_rt.backends.tensorrt.torch_tensorrt_network import TensorRTNetwork

    return TensorRTNetwork(checkpoint, driver.current_device(), load(), EngineCache())
