"""The backend ``tensorrt-rtx``: whether TensorRT for RTX works here, and its network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zerodce_rt.backends.cuda import backend as cuda
from zerodce_rt.backends.cuda import driver
from zerodce_rt.backends.interfaces import BackendUnavailable
from zerodce_rt.network.checkpoint import Checkpoint

if TYPE_CHECKING:
    from zerodce_rt.backends.tensorrt.rtx_network import RTXNetwork


def probe() -> str:
    """Versions of TensorRT-RTX, PyTorch and Triton, and the card's name.

    Raises:
        BackendUnavailable: with what to install, or which cards it is for.
    """
    found = cuda.probe()
    # After the line above: most machines have no such card, and start faster without this.
    from zerodce_rt.backends.tensorrt.rtx_engine import TARGETS, load

    version = load().__version__
    if (target := driver.this_target()) not in TARGETS:
        raise BackendUnavailable(
            f"TensorRT-RTX is for GeForce RTX 20 to 50 ({', '.join(TARGETS)}), not for {target}"
        )
    return f"TensorRT-RTX {version}, {found}"


def create(checkpoint: Checkpoint, *, exact: bool) -> RTXNetwork:
    """The network on the current card.

    Args:
        exact: has no effect: the network runs in float16, the precision the cards are made for.
    """
    del exact
    from zerodce_rt.backends.tensorrt.engines import EngineCache
    from zerodce_rt.backends.tensorrt.rtx_network import RTXNetwork

    return RTXNetwork(checkpoint, driver.current_device(), driver.this_target(), EngineCache())
