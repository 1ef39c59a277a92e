"""The backend ``cuda``: whether it works here, and its network. Imports PyTorch when asked."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerodce_rt.backends.cuda import driver
from zerodce_rt.backends.interfaces import BackendUnavailable, DeviceNetwork
from zerodce_rt.network.checkpoint import Checkpoint

if TYPE_CHECKING:
    import torch

    from zerodce_rt.backends.cuda.fastest import FastestNetwork

OLDEST = 7, 5
"""Lowest compute capability that the kernels are compiled and tested for."""


def probe() -> str:
    """Versions of PyTorch and Triton, and the card's name.

    Raises:
        BackendUnavailable: with what to install.
    """
    if not driver.nvidia_driver_present():
        # Before PyTorch, whose import takes longer than all else at start-up.
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
    if (reason := _no_gpu()) is not None:
        raise BackendUnavailable(reason)
    try:
        import triton
    except (ImportError, OSError) as error:
        package = "triton-windows" if sys.platform == "win32" else "triton"
        raise BackendUnavailable(
            f"triton cannot be imported ({error}); pip install {package}"
        ) from None
    if (missing := _missing_for_triton()) is not None:
        raise BackendUnavailable(f"Triton compiles C code to launch its kernels; {missing}")
    card, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    if capability < OLDEST:
        raise BackendUnavailable(
            f"{card} has compute capability {capability[0]}.{capability[1]}; at least "
            f"{OLDEST[0]}.{OLDEST[1]} (GeForce RTX 20 or GTX 16) is needed"
        )
    return f"torch {torch.__version__}, Triton {triton.__version__}, {card}"


def create(checkpoint: Checkpoint, *, exact: bool) -> FastestNetwork:
    """The network on the current card.

    Args:
        exact: has no effect: the network runs in float16, the precision the cards are made for.
    """
    del exact
    from zerodce_rt.backends.cuda.fastest import FastestNetwork
    from zerodce_rt.backends.cuda.winners import Winners
    from zerodce_rt.cache import cache_folder

    device = driver.current_device()
    folder = cache_folder("networks")
    winners = Winners(Path(folder) if folder else None, *circumstances(checkpoint, device))
    return FastestNetwork(candidates(checkpoint, device), winners)


def candidates(checkpoint: Checkpoint, device: torch.device) -> dict[str, DeviceNetwork]:
    """The network in all the ways that may be the fastest, by name; the first suits small sizes."""
    from zerodce_rt.backends.cuda.cudnn_network import CuDNNNetwork
    from zerodce_rt.backends.cuda.light_network import LightTritonNetwork
    from zerodce_rt.backends.cuda.triton_network import TritonNetwork, blocks, is_separable

    if checkpoint.knots:
        return {
            "Triton": LightTritonNetwork(checkpoint, device),
            "cuDNN": CuDNNNetwork(checkpoint, device),
        }
    made: dict[str, DeviceNetwork] = {
        f"Triton {pixels}x{warps}": TritonNetwork(checkpoint, device, (pixels, warps))
        for pixels, warps in blocks(driver.capability(device), separable=is_separable(checkpoint))
    }
    return made | {"cuDNN": CuDNNNetwork(checkpoint, device)}


def circumstances(checkpoint: Checkpoint, device: torch.device) -> list[str]:
    """What decides which of the ``candidates`` is fastest at a size."""
    import torch
    import triton

    cudnn: Any = torch.backends.cudnn
    return [
        checkpoint.model, torch.cuda.get_device_name(device), torch.__version__,
        str(torch.version.cuda), str(cudnn.version()), triton.__version__,
        *driver.nvidia_smi("driver_version")[:1],
    ]  # fmt: skip


def _no_gpu() -> str | None:
    """Why PyTorch has no GPU that it can use; None if it has one."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return None
    said = " ".join(str(warning.message) for warning in caught)
    if "driver" in said and "too old" in said:
        return (
            f"the NVIDIA driver is too old for PyTorch with CUDA {torch.version.cuda}; update it, "
            "or install PyTorch for an older CUDA from pytorch.org"
        )
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "the variable CUDA_VISIBLE_DEVICES hides all cards"
    return "PyTorch finds no NVIDIA GPU that it can use; 'nvidia-smi' should list a card"


def _missing_for_triton() -> str | None:
    """What Triton's C compilation lacks, and how to get it; None if all is there."""
    if sys.platform == "win32":  # triton-windows brings a compiler
        return None
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        return "a C compiler (gcc or clang) is missing: apt install gcc, or the like"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python's headers are missing: apt install python3-dev, or the like"
    return None
