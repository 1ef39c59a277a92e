"""The hardware and software that something was measured on."""

from __future__ import annotations

import ctypes
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from zerodce_rt import __version__
from zerodce_rt.backends.cuda.driver import nvidia_driver_present, nvidia_smi
from zerodce_rt.backends.interfaces import BackendUnavailable

# Those that the kernels and networks may use, under LLVM's names.
_INSTRUCTION_SETS = (
    "avx2", "fma", "avx512f", "avx512bw", "avx512vnni", "avx512bf16", "avx512fp16", "amx-bf16",
    "neon", "sve", "bf16", "fullfp16",
)  # fmt: skip
_PACKAGES = ("numpy", "numba", "openvino", "torch", "av", "opencv-python")


def hardware() -> dict[str, str]:
    """CPU with its usable cores and instruction sets, operating system, GPU with its driver."""
    from llvmlite.binding import get_host_cpu_features

    features = get_host_cpu_features()
    return {
        "processor": processor(),
        "instruction_sets": " ".join(s for s in _INSTRUCTION_SETS if features.get(s)) or "none",
        "system": platform.platform(),
        "gpu": _gpu(),
    }


def processor() -> str:
    """Name of the CPU, and the number of cores that this process may use."""
    from zerodce_rt.backends.cpu.bands import usable_cores
    from zerodce_rt.backends.cpu.openvino_network import device_name

    try:
        name = device_name()
    except BackendUnavailable:
        name = platform.processor() or platform.machine()
    return f"{name}, {usable_cores()} usable cores"


def _gpu() -> str:
    if not nvidia_driver_present():
        return "none (no NVIDIA driver)"
    found = nvidia_smi("name", "driver_version")
    return "; ".join(found) or "unknown (nvidia-smi does not answer)"


def versions() -> dict[str, str]:
    """Versions of this package, of Python, and of the packages that do the work."""
    found = {"zerodce-rt": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def peak_memory_mb() -> float | None:
    """Peak memory of this process so far, in MiB; None where the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if platform.system() == "Darwin" else 2**10), 1)


def give_back_freed_memory() -> None:
    """Have glibc give back what it keeps of freed blocks: what is left is held by the program."""
    with suppress(OSError, AttributeError):  # other systems
        ctypes.CDLL("libc.so.6").malloc_trim(0)
