"""Decoding and encoding on an NVIDIA GPU, tried with a real frame before it is relied on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.logging
from av.codec.hwaccel import HWAccel

from zerodce_rt.frame import PixelFormat

log = logging.getLogger(__name__)

NVENC = {"libx264": "h264_nvenc", "libx265": "hevc_nvenc", "libsvtav1": "av1_nvenc"}
"""What encodes the same as these, on a GPU."""


@dataclass(frozen=True)
class Decoding:
    """NVDEC, which a file has been tried with.

    Attributes:
        format: of the decoded frames, which stay on the GPU.
    """

    accel: HWAccel
    format: av.VideoFormat


class NoHardware(Exception):
    """Why a GPU's decoder or encoder cannot be used."""


def nvdec(path: Path, *, shared: bool) -> Decoding | None:
    """NVDEC for a file, if it decodes the first frame; else None, and a line that says why.

    Args:
        shared: decode in PyTorch's CUDA context, so that its kernels see the frames.
    """
    options: dict[str, object] = {}
    if shared:
        import torch

        # FFmpeg takes the context that is current in this thread. It would refuse to take the
        # device's main one, since PyTorch made that with flags of its own.
        torch.cuda.synchronize()
        options = {"primary_ctx": "0", "current_ctx": "1"}
    accel = HWAccel("cuda", allow_software_fallback=False, options=options, is_hw_owned=True)
    try:
        if not hasattr(av.VideoFrame, "sw_format"):
            raise NoHardware("it takes PyAV 18, and so Python 3.11")
        with _reasons_told(), av.open(str(path.absolute()), hwaccel=accel) as container:
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


def gpu_encoder(
    encoder: str, options: Mapping[str, str], format: PixelFormat, width: int, height: int
) -> str:
    """NVENC's encoder in the place of one on the CPU, if it encodes a frame of that kind.

    Returns:
        Its name, or after a line that says why not, ``encoder``.
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


def try_encoder(
    name: str, options: Mapping[str, str], format: str, width: int, height: int
) -> None:
    """Encode a frame with one of FFmpeg's encoders.

    Raises:
        NoHardware: if it cannot.
    """
    with _reasons_told():
        context: Any = av.CodecContext.create(name, "w")
        context.width, context.height, context.pix_fmt = width, height, format
        context.time_base, context.options = Fraction(1, 30), dict(options)
        context.encode(av.VideoFrame(width, height, format))
        context.encode(None)


@contextmanager
def _reasons_told() -> Iterator[None]:
    """Turn what FFmpeg raises into ``NoHardware`` with the reason that it logs."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as said:
            try:
                yield
            except (
                av.FFmpegError,
                OSError,
                NotImplementedError,
                RuntimeError,
                ValueError,
            ) as error:
                words = said[0][2].strip() if said else str(error).splitlines()[0]
                raise NoHardware(words.rstrip(".")) from error
    finally:
        av.logging.set_level(level)
