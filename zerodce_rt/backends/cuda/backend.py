"""The networks on an NVIDIA GPU, where the frames are as well."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from zerodce_rt.backends.cuda import driver
from zerodce_rt.backends.interfaces import BackendUnavailable
from zerodce_rt.network.checkpoint import Checkpoint

if TYPE_CHECKING:
    from zerodce_rt.backends.cuda.fastest import FastestNetwork

OLDEST = 7, 5
"""Compute capability that the kernels are compiled and tested for at least."""


def probe() -> str:
    if not driver.nvidia_driver_present():
        # Found out without PyTorch, whose import takes longer than all else at start-up.
        raise BackendUnavailable("no NVIDIA driver found; 'nvidia-smi' should list a card")
    try:
        import torch
    except (ImportError, OSError) as error:
        raise BackendUnavailable(f"torch cannot be imported ({error}); pip install torch") from None
    if torch.version.cuda is None:
        raise BackendUnavailable(
            f"torch {torch.__version__} is built without CUDA; "
            "install a CUDA build from pytorch.org"
        )
    if not torch.cuda.is_available():
        raise BackendUnavailable(
            "PyTorch finds no NVIDIA GPU that it can use; 'nvidia-smi' should list a card"
        )
    try:
        import triton
    except (ImportError, OSError) as error:
        package = "triton-windows" if sys.platform == "win32" else "triton"
        raise BackendUnavailable(
            f"triton cannot be imported ({error}); pip install {package}"
        ) from None
    if (missing := driver.missing_for_triton()) is not None:
        raise BackendUnavailable(f"Triton compiles what starts its kernels, and needs {missing}")
    card, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    if capability < OLDEST:
        raise BackendUnavailable(
            f"{card} has compute capability {capability[0]}.{capability[1]}; "
            f"{OLDEST[0]}.{OLDEST[1]} (GeForce RTX 20 or GTX 16) is the least"
        )
    return f"torch {torch.__version__}, Triton {triton.__version__}, {card}"


def create(checkpoint: Checkpoint, *, exact: bool) -> FastestNetwork:
    del exact  # in float16, which is what the cards are made for
    import torch

    from zerodce_rt.backends.cuda.cudnn_network import CuDNNNetwork
    from zerodce_rt.backends.cuda.fastest import FastestNetwork
    from zerodce_rt.backends.cuda.triton_network import TritonNetwork

    device = torch.device("cuda")
    return FastestNetwork(
        {"Triton": TritonNetwork(checkpoint, device), "cuDNN": CuDNNNetwork(checkpoint, device)}
    )
