"""Decoding and encoding on an NVIDIA GPU, each tried with a real frame first."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.logging
from av.codec.hwaccel import HWAccel

from zerodce_rt.frame import FORMATS, PixelFormat, same_samples
from zerodce_rt.media.encoders import NVENC, describe_picture
from zerodce_rt.media.on_gpu import FORMATS_ON_GPU, FramesOnGPU
from zerodce_rt.media.opening import open_file

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decoding:
    """NVDEC for one file, tried with its first frame.

    Attributes:
        accel: what PyAV opens the file with.
        format: pixel format of the decoded frames, which stay on the GPU.
    """

    accel: HWAccel
    format: av.VideoFormat


@dataclass(frozen=True)
class Encoding:
    """NVENC for frames on the GPU, tried with one.

    Attributes:
        accel: what PyAV adds a stream with, in a thread that has used the GPU.
        frames: makes the frames to encode.
    """

    accel: HWAccel
    frames: FramesOnGPU


class NoHardware(Exception):
    """The decoder or encoder of a GPU cannot be used; says why."""


def nvdec(path: Path, *, shared: bool, max_pixels: float | None = None) -> Decoding | None:
    """NVDEC for a file; None, after a warning that says why, if it cannot decode the first frame.

    Args:
        shared: decode in PyTorch's CUDA context, so that its kernels can use the frames.
        max_pixels: of a frame; see ``open_file``.
    """
    accel = HWAccel(
        "cuda", allow_software_fallback=False, options=_shared_context() if shared else {},
        is_hw_owned=True,
    )  # fmt: skip
    try:
        _check_pyav()
        with _ffmpeg_reasons(), open_file(path, max_pixels, accel) as container:
            stream = container.streams.best("video")
            if stream is None or not stream.codec_context.is_hwaccel:
                raise NoHardware("its codec is not one of NVDEC's")
            frame = next(container.decode(stream), None)
            if not isinstance(frame, av.VideoFrame) or frame.sw_format is None:
                raise NoHardware("it gives no frame")
            return Decoding(accel, frame.sw_format)
    except NoHardware as reason:
        log.warning("%s: NVDEC cannot decode it (%s); decoding on the CPU", path, reason)
        return None


def _check_pyav() -> None:
    if not hasattr(av.VideoFrame, "sw_format"):
        raise NoHardware("it needs PyAV 18, and so Python 3.11")


def _shared_context() -> dict[str, object]:
    """Options with which FFmpeg uses PyTorch's CUDA context.

    It takes the context that is current in the calling thread: it refuses the device's primary
    context by that name, since PyTorch made that with flags of its own.
    """
    import torch

    # Makes it current. Not that of the device: another thread may be recording a graph.
    torch.cuda.current_stream().synchronize()
    return {"primary_ctx": "0", "current_ctx": "1"}


def gpu_encoder(
    encoder: str, options: Mapping[str, str], format: PixelFormat, width: int, height: int
) -> str:
    """NVENC's encoder instead of one on the CPU, if it can encode such frames.

    Args:
        encoder: FFmpeg's name of the encoder on the CPU.
        options: of NVENC's encoder.
        format, width, height: of the frames.

    Returns:
        Its name; ``encoder``, after a warning that says why, if it cannot.
    """
    name = NVENC.get(encoder)
    try:
        if name is None:
            raise NoHardware("it has no such codec")
        try_encoder(name, options, format.name, width, height)
    except NoHardware as reason:
        log.warning("NVENC cannot encode %dx%d %s (%s); encoding with %s",
                    width, height, format.name, reason, encoder)  # fmt: skip
        return encoder
    return name


def encoding_on_gpu(
    name: str, options: Mapping[str, str], device: torch.device, format: PixelFormat,
    width: int, height: int,
) -> Encoding | None:  # fmt: skip
    """Encoding of frames where they are, on the GPU.

    Args:
        name, options: of NVENC's encoder.
        device: PyTorch's.
        format, width, height: of the frames.

    Returns:
        None for formats that it cannot have on the GPU, and, after a warning that says why, if
        the encoder cannot read them there.
    """
    there = next((f for n in FORMATS_ON_GPU if same_samples(f := FORMATS[n], format)), None)
    if there is None or width % 2 or height % 2:
        return None
    try:
        _check_pyav()
        with _ffmpeg_reasons():
            frames = FramesOnGPU(device, there, width, height)
            accel = HWAccel("cuda", options=_shared_context())
            context: Any = av.CodecContext.create(name, "w", hwaccel=accel)
            frame, _ = frames.new()
            describe_picture(context, frame)
            context.time_base, context.options = Fraction(1, 30), dict(options)
            context.encode(frame)
            context.encode(None)
    except NoHardware as reason:
        log.warning("NVENC cannot read frames on the GPU (%s); they are downloaded first", reason)
        return None
    return Encoding(accel, frames)


def try_encoder(
    name: str, options: Mapping[str, str], format: str, width: int, height: int
) -> None:
    """Encode one frame with an FFmpeg encoder.

    Raises:
        NoHardware: if that fails.
    """
    with _ffmpeg_reasons():
        context: Any = av.CodecContext.create(name, "w")
        context.width, context.height, context.pix_fmt = width, height, format
        context.time_base, context.options = Fraction(1, 30), dict(options)
        context.encode(av.VideoFrame(width, height, format))
        context.encode(None)


@contextmanager
def _ffmpeg_reasons() -> Iterator[None]:
    """Turn FFmpeg's errors into ``NoHardware``, with the reason that FFmpeg has logged."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as logged:
            try:
                yield
            except (
                av.FFmpegError,
                OSError,
                NotImplementedError,
                RuntimeError,
                ValueError,
            ) as error:
                reason = logged[0][2].strip() if logged else str(error).splitlines()[0]
                raise NoHardware(reason.rstrip(".")) from error
    finally:
        av.logging.set_level(level)
