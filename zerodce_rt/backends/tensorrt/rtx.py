"""The backend ``tensorrt-rtx``: whether it works here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zerodce_rt.backends.cuda import backend as cuda
from zerodce_rt.backends.cuda import driver
from zerodce_rt.backends.interfaces import BackendUnavailable
from zerodce_rt.network.checkpoint import Checkpoint

if TYPE_CHECKING:
    from zerodce_rt.backends.tensorrt.rtx_network import RTXNetwork


def probe() -> str:
    found = cuda.probe()
    # Not before: most machines have no such card, and start faster without.
    from zerodce_rt.backends.tensorrt.rtx_engine import TARGETS, load

    version = load().__version__
    if (target := driver.this_target()) not in TARGETS:
        raise BackendUnavailable(
            f"TensorRT-RTX is for GeForce RTX 20 to 50 ({', '.join(TARGETS)}), not for {target}"
        )
    return f"TensorRT-RTX {version}, {found}"


def create(checkpoint: Checkpoint, *, exact: bool) -> RTXNetwork:
    del exact  # in float16, which is what the cards are made for
    import torch

    from zerodce_rt.backends.tensorrt.engines import EngineCache
    from zerodce_rt.backends.tensorrt.rtx_network import RTXNetwork

    return RTXNetwork(checkpoint, torch.device("cuda"), driver.this_target(), EngineCache())
