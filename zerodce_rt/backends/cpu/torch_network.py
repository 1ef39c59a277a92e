"""The network in PyTorch on the CPU: the reference for the other backends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.interfaces import BackendUnavailable
from zerodce_rt.network.checkpoint import Checkpoint


def probe() -> str:
    try:
        import torch
    except (ImportError, OSError) as error:
        raise BackendUnavailable(f"torch cannot be imported ({error}); pip install torch") from None
    return f"torch {torch.__version__}"


def create(checkpoint: Checkpoint, *, exact: bool) -> TorchEstimator:
    del exact  # always float32
    return TorchEstimator(checkpoint)


class TorchEstimator:
    """The network in float32, channels last. Is an ``Estimator``."""

    name = "torch"

    def __init__(self, checkpoint: Checkpoint) -> None:
        import torch

        from zerodce_rt.network.model import make_network

        self._torch = torch
        self.knots = checkpoint.knots
        model = make_network(checkpoint.model)
        model.load_state_dict({n: torch.from_numpy(w) for n, w in checkpoint.weights.items()})
        self._model = model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def estimate(self, thumbnail: NDArray[np.float32]) -> NDArray[np.float32]:
        torch = self._torch
        with torch.inference_mode():
            image = torch.from_numpy(thumbnail)[None].to(memory_format=torch.channels_last)
            maps: NDArray[np.float32] = self._model(image)[0].contiguous().numpy()
        return maps
