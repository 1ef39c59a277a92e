"""The import of torch-tensorrt: what is used of it or, if it fails, what to install.

It can fail in several ways, and print much; so it is tried once, quietly, and one line says why.
"""

from __future__ import annotations

import contextlib
import io
import logging
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from zerodce_rt.backends.interfaces import BackendUnavailable

# Before the import, which logs several lines where it fails.
logging.getLogger("torch_tensorrt").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class TorchTensorRT:
    """What is used of torch-tensorrt.

    Attributes:
        build: compiles an exported program to an engine's bytes.
        module: the class that runs an engine.
        settings, device: classes for the arguments of both.
        versions: of torch-tensorrt and TensorRT.
    """

    build: Any
    module: Any
    settings: Any
    device: Any
    versions: dict[str, str]


_result: TorchTensorRT | BackendUnavailable | None = None


def load() -> TorchTensorRT:
    """Import torch-tensorrt, once; a failure is kept as well.

    Raises:
        BackendUnavailable: with the reason, and what to install.
    """
    global _result
    if _result is None:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                _result = _imported()
        except Exception as error:  # no narrower: torch-tensorrt raises plain Exception, too
            _result = BackendUnavailable(_reason(error))
    if isinstance(_result, BackendUnavailable):
        raise _result
    return _result


def _imported() -> TorchTensorRT:
    import torch_tensorrt  # first: it chooses which package is imported as ``tensorrt``
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
        return f"torch-tensorrt is not installed; {advice()}"
    if "not compiled with CUDA" in words:
        return "torch-tensorrt needs a CUDA build of PyTorch; install one from pytorch.org"
    if installed.split(".")[:2] != _torch_version().split(".")[:2]:
        return f"torch-tensorrt {installed} does not match torch {_torch_version()}; {advice()}"
    if isinstance(error, ImportError) or "libnvinfer" in words:
        return f"TensorRT's own libraries are missing ({words}); {advice()}"
    return f"torch-tensorrt cannot be imported ({type(error).__name__}: {words}); {advice()}"


def advice() -> str:
    """What to install for the installed PyTorch; for GeForce RTX, what is on PyPI itself."""
    return (
        f"pip install '{matching()}' --extra-index-url https://pypi.nvidia.com, or for a GeForce "
        "RTX card pip install tensorrt_rtx"
    )


def matching() -> str:
    """The requirement of the torch-tensorrt that matches PyTorch, by its minor version."""
    minor = ".".join(_torch_version().split(".")[:2])
    return f"torch-tensorrt=={minor}.*"


def _torch_version() -> str:
    return _version("torch") or "2.13"  # without PyTorch, the newest that is supported


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
