"""``zerodce-rt doctor``: what is available here and, for what is not, why and what to install."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zerodce_rt import __version__
from zerodce_rt.cli.installation import Installation
from zerodce_rt.cli.messages import as_options
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.names import CODECS, DEFAULT_MODEL, DEFAULT_WORKING_SIZE, MODELS

if TYPE_CHECKING:
    from zerodce_rt.backends import Backend

SUMMARY = "list what is available here, and what to install for the rest"

_TRITON_ADVICE = (
    "pip install triton-windows" if sys.platform == "win32" else "comes with PyTorch for CUDA"
)
_PACKAGES = ("numpy", "numba", "openvino", "torch", "av", "opencv-python", "pyvips", "safetensors")
# FFmpeg's names of the containers that are written, by the ending of a file.
_CONTAINERS = {
    ".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".ts": "mpegts",
    ".flv": "flv", ".avi": "avi", ".mpg": "mpeg", ".wmv": "asf", ".3gp": "3gp", ".ogv": "ogv",
}  # fmt: skip
_DECODERS = (
    "h264", "hevc", "av1", "vp9", "vp8", "mpeg2video", "mpeg4", "mjpeg", "prores", "dnxhd", "ffv1",
    "vc1", "wmv3", "theora", "vvc",
)  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """None but those of every command."""


def run(options: argparse.Namespace) -> int:
    print(report(), flush=True)
    return 0


def report() -> str:
    """The whole picture as text, a line a fact."""
    from zerodce_rt.backends import probed
    from zerodce_rt.bench.hardware import processor
    from zerodce_rt.network.checkpoint import load_bundled

    lines = [
        f"zerodce-rt {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"CPU: {processor()}",
        f"installed {Installation.found().name}",
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
    lines += ["", "pictures:", *_picture_lines()]
    lines += ["", "video:", *_video_lines()]
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
        checked_runner(backend, load_bundled(DEFAULT_MODEL), WorkingSize(DEFAULT_WORKING_SIZE))
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
        ("tensorrt_rtx", "for GeForce RTX cards: pip install 'zerodce-rt[rtx]'"),
    ):
        lines.append(_package_line(package, remedy))
    engines = list(EngineCache())
    size_mb = sum(engine.bytes for engine in engines) / 1e6
    lines.append(_line("", "engines", f"{len(engines)} in the cache, {size_mb:.1f} MB"))
    return lines


def _picture_lines() -> Iterator[str]:
    try:
        import pyvips

        yield _line("yes", "pictures", f"libvips {pyvips.version(0)}.{pyvips.version(1)}")
    except (ImportError, OSError):  # OSError: pyvips is there, libvips is not
        yield _line("no", "pictures", "pip install 'pyvips[binary]'")
    if find_spec("rawpy") is not None:
        yield _package_line("rawpy", "", "camera raw")
    else:
        yield _line("no", "camera raw", "pip install 'zerodce-rt[raw]'")


def _video_lines() -> Iterator[str]:
    """What FFmpeg, as PyAV brings it, encodes, writes and reads."""
    import av

    from zerodce_rt.media.encoders import NVENC, find_encoder
    from zerodce_rt.media.hwaccel import NoHardware, try_encoder
    from zerodce_rt.media.sound import ENCODERS

    yield _line("yes", "FFmpeg", f"{av.ffmpeg_version_info}, of PyAV {av.__version__}")
    for name, encoder in CODECS.items():
        try:
            find_encoder(name)
            yield _line("yes", name, encoder)
        except ValueError:
            yield _line("no", name, f"PyAV was built without {encoder}; pip install av")
    for name in NVENC.values():
        try:
            try_encoder(name, {}, "nv12", 1280, 720)
            yield _line("yes", name, "for --hwaccel")
        except NoHardware as reason:
            yield _line("no", name, str(reason))
    groups: tuple[tuple[str, list[str], Callable[[str], bool]], ...] = (
        ("sound", list(ENCODERS), lambda n: _has_codec(ENCODERS[n], "w")),
        ("writes", list(_CONTAINERS), lambda n: _has_container(_CONTAINERS[n])),
        ("reads", list(_DECODERS), lambda n: _has_codec(n, "r")),
    )
    for label, names, there in groups:
        missing = [name for name in names if not there(name)]
        text = " ".join(name for name in names if name not in missing)
        without = f"; this FFmpeg lacks {' '.join(missing)}" if missing else ""
        yield _line("yes" if text else "no", label, f"{text}{without}")


def _has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    from av.codec.codec import Codec, UnknownCodecError

    try:
        Codec(name, mode)
    except UnknownCodecError:
        return False
    return True


def _has_container(name: str) -> bool:
    from av import ContainerFormat

    try:
        ContainerFormat(name, "w")
    except ValueError:
        return False
    return True


def _live_lines() -> list[str]:
    from zerodce_rt.live.camera import list_cameras

    cameras = [_line("yes", "camera", camera) for camera in list_cameras()]
    return [
        _window_line(), *(cameras or [_line("no", "camera", "none found")]),
        _virtual_camera_line(), _studio_line(),
    ]  # fmt: skip


def _window_line() -> str:
    import cv2

    from zerodce_rt.live.window import check_display

    toolkit = cv2.currentUIFramework()
    if not toolkit:
        remedy = (
            "this OpenCV cannot open windows; remove opencv-python-headless if it is there, then "
            "pip install --force-reinstall opencv-python"
        )
        return _line("no", "window", remedy)
    try:
        check_display()
    except ZeroDCEError as error:
        return _line("no", "window", str(error))
    return _line("yes", "window", toolkit)


def _virtual_camera_line() -> str:
    name = "virtual camera"
    if find_spec("pyvirtualcam") is None:
        return _line("no", name, "pip install 'zerodce-rt[vcam]'")
    if sys.platform == "linux" and not Path("/sys/devices/virtual/video4linux").exists():
        driver = "sudo apt install v4l2loopback-dkms && sudo modprobe v4l2loopback exclusive_caps=1"
        return _line("no", name, f"no driver; {driver}")
    return _line("yes", name, "if this system has a driver for it")


def _studio_line() -> str:
    from zerodce_rt.cli.studio import check_packages

    try:
        check_packages()
    except ZeroDCEError as error:
        return _line("no", "studio", str(error))
    return _line("yes", "studio", "the page in the browser")


def _package_line(package: str, remedy: str, name: str = "") -> str:
    """The version of a package, or what to do about its absence.

    Args:
        name: of the line; default: that of the package.
    """
    from importlib.metadata import PackageNotFoundError, version  # 20 ms, which --help can spare

    try:
        return _line("yes", name or package, f"{package} {version(package)}" if name else
                     version(package))  # fmt: skip
    except PackageNotFoundError:
        return _line("no", name or package, remedy)


def _line(mark: str, name: str, text: str) -> str:
    text = Installation.found().fitting(as_options(text))
    return f"  {mark:<4}{name:<16}{text}".rstrip()
