"""Whether an engine computes what the network does, asked once after it was built."""

from __future__ import annotations

import torch

from zerodce_rt.backends.cuda.cudnn_network import CuDNNNetwork
from zerodce_rt.backends.interfaces import DeviceEstimate
from zerodce_rt.backends.tensorrt.engines import EngineRejected
from zerodce_rt.network.checkpoint import Checkpoint

# Of maps in [-1, 1]: what float16 may differ by from float16 summed up in another order.
MOST, MOST_ON_AVERAGE = 4e-2, 4e-3


def check_maps(
    estimate: DeviceEstimate, checkpoint: Checkpoint, device: torch.device, height: int, width: int
) -> None:
    """Compare an engine's maps of a random picture with PyTorch's.

    Raises:
        EngineRejected: if they differ, or are not all numbers.
    """
    network = CuDNNNetwork(checkpoint, device)
    image = torch.rand((3, height, width), device=device).half()
    got, expected = (
        torch.full((network.map_count, height, width), torch.nan, device=device).half()
        for _ in range(2)
    )
    network.prepare(height, width)(image, expected)
    estimate(image, got)
    gap = (got.float() - expected.float()).abs()
    most, mean = float(gap.max()), float(gap.mean())
    # Not "above": what is not a number is neither.
    if not (most <= MOST and mean <= MOST_ON_AVERAGE):
        raise EngineRejected(
            f"its maps differ from PyTorch's by {mean:.2g} on average, {most:.2g} at most"
        )
