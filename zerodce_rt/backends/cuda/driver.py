"""What the NVIDIA driver and its card say, asked without starting CUDA where that is possible."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


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


@lru_cache(maxsize=8)
def capability(device: torch.device) -> int:
    """Of a card: 75 for Turing, 90 for Hopper; 0 where Triton interprets."""
    import torch

    if device.type != "cuda":
        return 0
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor
