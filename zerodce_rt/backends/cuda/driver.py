"""What the NVIDIA driver reports of the cards here, asked without PyTorch where possible."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def nvidia_driver_present() -> bool:
    """Whether the driver's library can be loaded."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def nvidia_smi(*fields: str) -> list[str]:
    """The values that ``nvidia-smi`` lists, e.g. for ``"name"`` and ``"driver_version"``.

    Returns:
        A line of comma-separated values for each card; none if the tool does not answer.
    """
    query = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return answer.stdout.strip().splitlines()


def current_device() -> torch.device:
    """The card that PyTorch uses in this thread, with its index, as tensors have it."""
    import torch

    return torch.device("cuda", torch.cuda.current_device())


@lru_cache(maxsize=8)
def capability(device: torch.device) -> int:
    """Compute capability: 75 for Turing, 90 for Hopper; 0 for the CPU (Triton's interpreter)."""
    import torch

    if device.type != "cuda":
        return 0
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor


def this_target() -> str:
    """The compute capability of the current card as engines name it, such as ``"sm89"``."""
    return f"sm{capability(current_device())}"
