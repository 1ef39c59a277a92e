"""The networks on an NVIDIA GPU, where the frames are as well."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from zerodce_rt.checkpoint import Checkpoint
from zerodce_rt.estimators import BackendUnavailable

if TYPE_CHECKING:
    from zerodce_rt.estimators.fastest import FastestNetwork

OLDEST = 7, 5
"""Compute capability that the kernels are compiled and tested for at least."""


def probe() -> str:
    if not nvidia_driver_present():
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
    if (missing := missing_for_triton()) is not None:
        raise BackendUnavailable(f"Triton compiles what starts its kernels, and needs {missing}")
    card, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    if capability < OLDEST:
        raise BackendUnavailable(
            f"{card} has compute capability {capability[0]}.{capability[1]}; "
            f"{OLDEST[0]}.{OLDEST[1]} (GeForce RTX 20 or GTX 16) is the least"
        )
    return f"torch {torch.__version__}, Triton {triton.__version__}, {card}"


def this_target() -> str:
    """The compute capability of the card as engines name it, such as ``"sm89"``."""
    import torch

    major, minor = torch.cuda.get_device_capability()
    return f"sm{major}{minor}"


def missing_for_triton() -> str | None:
    """What Triton would fail for, and how to get it; None if all is there."""
    if sys.platform == "win32":  # triton-windows brings a compiler
        return None
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        return "a C compiler (gcc or clang): apt install gcc, or the like"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python's headers: apt install python3-dev, or the like"
    return None


def nvidia_smi(*fields: str) -> list[str]:
    """What the driver's own tool says of each card, e.g. of ``"name"`` and ``"driver_version"``.

    Returns:
        A line for each card; none if the tool does not answer.
    """
    query = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return answer.stdout.strip().splitlines()


def nvidia_driver_present() -> bool:
    """Whether the driver's own library can be loaded."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def create(checkpoint: Checkpoint, *, exact: bool) -> FastestNetwork:
    del exact  # in float16, which is what the cards are made for
    import torch

    from zerodce_rt.estimators.cudnn import CuDNNNetwork
    from zerodce_rt.estimators.fastest import FastestNetwork
    from zerodce_rt.estimators.triton import TritonNetwork

    device = torch.device("cuda")
    return FastestNetwork(
        {"Triton": TritonNetwork(checkpoint, device), "cuDNN": CuDNNNetwork(checkpoint, device)}
    )
