"""PyTorch: the reference on the CPU, and the plain path to an NVIDIA GPU."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.checkpoint import Checkpoint
from zerodce_rt.estimators import BackendUnavailable


def probe(device: str) -> str:
    if device == "cuda" and not nvidia_driver_present():
        # Found out without PyTorch, whose import takes longer than all else at start-up.
        raise BackendUnavailable("no NVIDIA driver found; 'nvidia-smi' should list a card")
    try:
        import torch
    except (ImportError, OSError) as error:
        raise BackendUnavailable(f"torch cannot be imported ({error}); pip install torch") from None
    if device == "cuda":
        if torch.version.cuda is None:
            raise BackendUnavailable(
                f"torch {torch.__version__} is built without CUDA; "
                "install a CUDA build from pytorch.org"
            )
        if not torch.cuda.is_available():
            raise BackendUnavailable(
                "PyTorch finds no NVIDIA GPU that it can use; 'nvidia-smi' should list a card"
            )
        return f"torch {torch.__version__}, {torch.cuda.get_device_name()}"
    return f"torch {torch.__version__}"


def nvidia_driver_present() -> bool:
    """Whether the driver's own library can be loaded."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def create(checkpoint: Checkpoint, device: str, *, exact: bool) -> TorchEstimator:
    del exact  # it always is
    return TorchEstimator(checkpoint, device)


class TorchEstimator:
    """The network in float32, channels last."""

    def __init__(self, checkpoint: Checkpoint, device: str) -> None:
        import torch

        from zerodce_rt.model import MODELS

        self.name = "cuda" if device == "cuda" else "torch"
        self._torch = torch
        self._device = device
        model = MODELS[checkpoint.model]()
        model.load_state_dict({n: torch.from_numpy(w) for n, w in checkpoint.weights.items()})
        model = model.eval().to(device)
        self._model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def estimate(self, thumbnail: NDArray[np.float32]) -> NDArray[np.float32]:
        torch = self._torch
        with torch.inference_mode():
            image = torch.from_numpy(thumbnail)[None].to(
                self._device, memory_format=torch.channels_last
            )
            maps: NDArray[np.float32] = self._model(image)[0].contiguous().cpu().numpy()
        return maps
