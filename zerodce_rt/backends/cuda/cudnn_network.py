"""The networks by PyTorch on an NVIDIA GPU: cuDNN's convolutions in float16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zerodce_rt.backends.interfaces import DeviceEstimate
from zerodce_rt.network.checkpoint import Checkpoint
from zerodce_rt.network.light_model import LightNet
from zerodce_rt.network.model import CurveNet, DCENet
from zerodce_rt.network.wiring import INPUTS, dense


class CuDNNNetwork:
    """Float16, channels last, the fastest of cuDNN's algorithms. Is a ``DeviceNetwork``.

    Args:
        device: a GPU, or the CPU, where PyTorch uses convolutions of its own.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        self.device = device
        model: Any = pytorch_model(checkpoint).half().to(device)
        self._model = model.to(memory_format=torch.channels_last)
        self.map_count, self.knots = checkpoint.map_count, checkpoint.knots

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        del height, width  # cuDNN chooses its algorithms at the first call
        return self._estimate

    def _estimate(self, image: Tensor, out: Tensor) -> None:
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            pictures = image[None].contiguous(memory_format=torch.channels_last)
            out.copy_(self._model(pictures)[0])


class _DensePlus(CurveNet):
    """``DCENetPlus`` with ordinary convolutions in the place of separable ones."""

    map_channels = 3
    conv = staticmethod(DCENet.conv)


def pytorch_model(checkpoint: Checkpoint) -> torch.nn.Module:
    """A network of any model, in float32, made of ordinary convolutions (``wiring.dense``)."""
    if checkpoint.knots:
        light = LightNet()
        light.load_state_dict({n: torch.from_numpy(w) for n, w in checkpoint.weights.items()})
        return light.eval()
    state = {}
    for number in range(1, len(INPUTS) + 1):
        name = f"e_conv{number}"
        for part, values in zip(("weight", "bias"), dense(checkpoint.weights, name), strict=True):
            state[f"{name}.{part}"] = torch.from_numpy(values)
    model = DCENet() if checkpoint.model == "dcenet" else _DensePlus()
    model.load_state_dict(state)
    return model.eval()
