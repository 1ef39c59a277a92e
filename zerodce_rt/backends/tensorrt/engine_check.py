"""Whether an engine computes what the network does, checked once after it was built."""

from __future__ import annotations

import torch

from zerodce_rt.backends.cuda.buffers import maps_buffer
from zerodce_rt.backends.cuda.cudnn_network import CuDNNNetwork
from zerodce_rt.backends.interfaces import DeviceEstimate
from zerodce_rt.backends.tensorrt.engines import EngineRejected
from zerodce_rt.network.checkpoint import Checkpoint

# In maps, which are in [-1, 1]: float16 sums in another order differ by less.
MOST, MOST_ON_AVERAGE = 4e-2, 4e-3


def check_maps(
    estimate: DeviceEstimate, checkpoint: Checkpoint, device: torch.device, height: int, width: int
) -> None:
    """Compare an engine's maps of a random picture with PyTorch's.

    Args:
        estimate: runs the engine.
        checkpoint: the engine's.
        device: the engine's, or the CPU.
        height, width: of the picture.

    Raises:
        EngineRejected: if they differ, or there is a NaN among them.
    """
    network = CuDNNNetwork(checkpoint, device)
    image = torch.rand((3, height, width), device=device).half()
    got, expected = (maps_buffer(network, height, width) for _ in range(2))
    network.prepare(height, width)(image, expected)
    estimate(image, got)
    gap = (got.float() - expected.float()).abs()
    most, mean = float(gap.max()), float(gap.mean())
    # Not "most > MOST": that is False for NaN, too.
    if not (most <= MOST and mean <= MOST_ON_AVERAGE):
        raise EngineRejected(
            f"its maps differ from PyTorch's by {mean:.2g} on average, {most:.2g} at most"
        )
