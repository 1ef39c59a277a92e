"""Importing torch-tensorrt: what of it is used here and, if that fails, what mends it.

Its import can fail in several ways, none of which may hurt the rest: it is tried once, quietly.
"""

from __future__ import annotations

import contextlib
import io
import logging
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from zerodce_rt.backends.interfaces import BackendUnavailable

# What it says at length is told in one line.
logging.getLogger("torch_tensorrt").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class TorchTensorRT:
    """What is used of torch-tensorrt.

    Attributes:
        build: an exported program to an engine's bytes.
        module: runs an engine.
        settings, device: of both.
        versions: of torch-tensorrt and TensorRT.
    """

    build: Any
    module: Any
    settings: Any
    device: Any
    versions: dict[str, str]


_verdict: TorchTensorRT | BackendUnavailable | None = None


def load() -> TorchTensorRT:
    """torch-tensorrt, imported.

    Raises:
        BackendUnavailable: with the reason, and the command that mends it.
    """
    global _verdict
    if _verdict is None:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                _verdict = _imported()
        except Exception as error:  # of any kind: it raises plain Exception as well
            _verdict = BackendUnavailable(_reason(error))
    if isinstance(_verdict, BackendUnavailable):
        raise _verdict
    return _verdict


def _imported() -> TorchTensorRT:
    import torch_tensorrt  # first: it decides which TensorRT is ``tensorrt``
    import tensorrt  # isort: skip
    from torch_tensorrt.dynamo import (
        CompilationSettings,
        convert_exported_program_to_serialized_trt_engine,
    )
    from torch_tensorrt.dynamo.runtime import TorchTensorRTModule

    return TorchTensorRT(
        build=convert_exported_program_to_serialized_trt_engine, module=TorchTensorRTModule,
        settings=CompilationSettings, device=torch_tensorrt.Device,
        versions={"torch_tensorrt": torch_tensorrt.__version__, "tensorrt": tensorrt.__version__},
    )  # fmt: skip


def _reason(error: Exception) -> str:
    words = " ".join(str(error).split()).split(". ")[0].rstrip(".")
    installed = _version("torch-tensorrt") or _version("torch-tensorrt-rtx")
    if installed is None:
        return f"torch-tensorrt is not installed; {mend()}"
    if "not compiled with CUDA" in words:
        return "torch-tensorrt needs a CUDA build of PyTorch; install one from pytorch.org"
    if installed.split(".")[:2] != _torch_version().split(".")[:2]:
        return f"torch-tensorrt {installed} does not go with torch {_torch_version()}; {mend()}"
    if isinstance(error, ImportError) or "libnvinfer" in words:
        return f"TensorRT's own libraries are missing ({words}); {mend()}"
    return f"torch-tensorrt cannot be imported ({type(error).__name__}: {words}); {mend()}"


def mend() -> str:
    """What to install for the PyTorch that there is, and what does without NVIDIA's index."""
    return (
        f"pip install '{matching()}' --extra-index-url https://pypi.nvidia.com, or for a GeForce "
        "RTX card pip install 'zerodce-rt[rtx]'"
    )


def matching() -> str:
    """The torch-tensorrt that goes with the installed PyTorch: of the same minor version."""
    minor = ".".join(_torch_version().split(".")[:2])
    return f"torch-tensorrt=={minor}.*"


def _torch_version() -> str:
    return _version("torch") or "2.13"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
