"""``zerodce-rt doctor``: what is available here and, for what is not, why and what to install."""

from __future__ import annotations

import argparse
import platform
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from zerodce_rt import __version__
from zerodce_rt.cli.messages import as_options
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.names import CODECS, DEFAULT_WORKING_SIZE, MODELS, PUBLISHED_MODEL

if TYPE_CHECKING:
    from zerodce_rt.backends import Backend

SUMMARY = "list what is available here, and what to install for the rest"

_TRITON_ADVICE = (
    "pip install triton-windows" if sys.platform == "win32" else "comes with PyTorch for CUDA"
)
_PACKAGES = ("numpy", "numba", "openvino", "torch", "av", "opencv-python", "pyvips", "safetensors")


def add_options(parser: argparse.ArgumentParser) -> None:
    """None but those of every command."""


def run(options: argparse.Namespace) -> int:
    print(report(), flush=True)
    return 0


def report() -> str:
    """The whole picture as text, a line a fact."""
    from zerodce_rt.backends import probed
    from zerodce_rt.bench.hardware import processor
    from zerodce_rt.media.encoders import NVENC, find_encoder
    from zerodce_rt.media.hwaccel import NoHardware, try_encoder
    from zerodce_rt.network.checkpoint import load_bundled

    lines = [
        f"zerodce-rt {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"CPU: {processor()}",
        "",
        "backends (auto takes the first that works):",
    ]
    for backend, found in probed():
        shown: str | Exception = found
        if isinstance(found, str) and backend.on_gpu:
            shown = _checked(backend, found)
        lines.append(_line("yes" if isinstance(shown, str) else "no", backend.name, str(shown)))
    lines += ["", "NVIDIA:", *_nvidia_lines()]
    lines += ["", "weights:"]
    for model in MODELS:
        try:
            lines.append(_line("yes", model, load_bundled(model).source.name))
        except ZeroDCEError as error:
            lines.append(_line("no", model, str(error)))
    lines += ["", "video encoders:"]
    for name, encoder in CODECS.items():
        try:
            find_encoder(name)
            lines.append(_line("yes", name, encoder))
        except ValueError:
            lines.append(_line("no", name, f"PyAV was built without {encoder}; pip install av"))
    for name in NVENC.values():
        try:
            try_encoder(name, {}, "nv12", 1280, 720)
            lines.append(_line("yes", name, "for --hwaccel"))
        except NoHardware as reason:
            lines.append(_line("no", name, str(reason)))
    lines += ["", "live:", *_live_lines()]
    lines += ["", "packages:"]
    for package in _PACKAGES:
        lines.append(_package_line(package, f"pip install {package}"))
    return "\n".join(lines)


def _checked(backend: Backend, found: str) -> str | Exception:
    """What was found, or why ``auto`` would not use it all the same."""
    from zerodce_rt.backends.cuda.check import checked_runner
    from zerodce_rt.curve.working_size import WorkingSize
    from zerodce_rt.network.checkpoint import load_bundled

    try:
        checked_runner(backend, load_bundled(PUBLISHED_MODEL), WorkingSize(DEFAULT_WORKING_SIZE))
    except ZeroDCEError as error:
        return error
    return f"{found}; its picture agrees with the CPU's"


def _nvidia_lines() -> list[str]:
    """The card, what goes with it, and what to install for the rest."""
    from zerodce_rt.backends.cuda.driver import nvidia_driver_present, nvidia_smi
    from zerodce_rt.backends.tensorrt.engines import EngineCache
    from zerodce_rt.backends.tensorrt.importing import advice

    cards = nvidia_smi("name", "driver_version", "compute_cap")
    if cards:
        lines = [_line("yes", "card", f"{card} (name, driver, capability)") for card in cards]
    elif nvidia_driver_present():
        lines = [_line("yes", "card", "unknown: nvidia-smi does not answer")]
    else:
        lines = [_line("no", "card", "no NVIDIA driver found")]
    for package, remedy in (
        ("triton", _TRITON_ADVICE),
        ("torch-tensorrt", advice()),
        ("tensorrt_rtx", "for GeForce RTX cards: pip install tensorrt_rtx"),
    ):
        lines.append(_package_line(package, remedy))
    engines = list(EngineCache())
    size_mb = sum(engine.bytes for engine in engines) / 1e6
    lines.append(_line("", "engines", f"{len(engines)} in the cache, {size_mb:.1f} MB"))
    return lines


def _live_lines() -> list[str]:
    from zerodce_rt.live.camera import list_cameras
    from zerodce_rt.live.window import check_display

    try:
        check_display()
        window = _line("yes", "window", "")
    except ZeroDCEError as error:
        window = _line("no", "window", str(error))
    cameras = [_line("yes", "camera", camera) for camera in list_cameras()]
    if find_spec("pyvirtualcam") is None:
        virtual = _line("no", "virtual camera", "pip install pyvirtualcam")
    else:
        virtual = _line("yes", "virtual camera", "if this system has a driver for it")
    return [window, *(cameras or [_line("no", "camera", "none found")]), virtual]


def _package_line(package: str, remedy: str) -> str:
    """The version of a package, or what to do about its absence."""
    from importlib.metadata import PackageNotFoundError, version  # 20 ms, which --help can spare

    try:
        return _line("yes", package, version(package))
    except PackageNotFoundError:
        return _line("no", package, remedy)


def _line(mark: str, name: str, text: str) -> str:
    return f"  {mark:<4}{name:<16}{as_options(text)}".rstrip()
