"""The networks on an NVIDIA GPU as PyTorch runs them: cuDNN's convolutions in float16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zerodce_rt.checkpoint import Checkpoint
from zerodce_rt.estimators import DeviceEstimate
from zerodce_rt.model import MODELS


class CuDNNNetwork:
    """Float16, channels last, the fastest of cuDNN's algorithms. Is a ``DeviceNetwork``.

    Args:
        device: where the tensors are; on ``"cpu"``, PyTorch takes other convolutions.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        self.device = device
        model: Any = MODELS[checkpoint.model]()
        model.load_state_dict({n: torch.from_numpy(w) for n, w in checkpoint.weights.items()})
        model = model.eval().half().to(device)
        self._model = model.to(memory_format=torch.channels_last)
        self.map_count = 3 if checkpoint.model == "plus" else 24

    def prepare(self, height: int, width: int) -> DeviceEstimate:
        del height, width  # cuDNN prepares itself when it first sees a size
        return self._estimate

    def _estimate(self, image: Tensor, out: Tensor) -> None:
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            pictures = image[None].contiguous(memory_format=torch.channels_last)
            out.copy_(self._model(pictures)[0])
