"""Video frames in the memory of an NVIDIA GPU: those that NVDEC left there, and new ones for NVENC.

They are PyTorch's tensors and PyAV's frames at once, in the same memory (DLPack).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import av

from zerodce_rt.frame import FORMATS, Frame, PixelFormat
from zerodce_rt.media.frames import colour_of, copy_tags, copy_timing, samples_of

if TYPE_CHECKING:
    import torch

FORMATS_ON_GPU = ("nv12", "p010le")
"""Formats of frames on the GPU whose planes PyAV gives access to."""
# Bytes that rows start at multiples of, as in FFmpeg's own frames on the GPU.
_ROW_ALIGNMENT = 256


def wrap_on_gpu(frame: av.VideoFrame) -> Frame | None:
    """The planes of a frame that NVDEC left on the GPU, as PyTorch tensors in its own memory.

    Returns:
        None for a frame on the CPU, and one on the GPU whose planes cannot be had whole.
    """
    name = samples_of(frame).name
    if frame.format.name != "cuda" or name not in FORMATS_ON_GPU:
        return None
    if frame.width % 2 or frame.height % 2:  # PyAV leaves out the last row or column of chroma
        return None
    return Frame(
        FORMATS[name], tensors_of(frame), frame.width, frame.height, colour_of(frame),
        interlaced=bool(frame.interlaced_frame),
    )  # fmt: skip


def tensors_of(frame: av.VideoFrame) -> Any:
    """The planes of a semiplanar frame as 2-D PyTorch tensors, in its own memory."""
    from torch.utils.dlpack import from_dlpack

    # Given the plane itself, PyTorch would ask it for a stream, which PyAV cannot give.
    return tuple(from_dlpack(plane.__dlpack__()).flatten(1) for plane in frame.planes)


class FramesOnGPU:
    """Makes frames on the GPU, for an encoder that reads them there.

    Attributes:
        format: of the frames; one of ``FORMATS_ON_GPU``.

    Args:
        device: PyTorch's, whose context the encoder shares.
        width, height: of the frames; even.
    """

    def __init__(self, device: torch.device, format: PixelFormat, width: int, height: int) -> None:
        self.format = format
        self._device, self._width, self._height = device, width, height
        self._context: Any = None
        if device.type == "cuda":
            from av.video.frame import CudaContext

            # PyTorch made the device's primary context with flags of its own: FFmpeg refuses it
            # by that name, and takes it as the one that is current.
            self._context = CudaContext(device.index or 0, primary_ctx=False, current_ctx=True)

    def new(self) -> tuple[av.VideoFrame, Frame]:
        """A frame as PyAV and as the enhancer knows it; its samples are not set.

        The calling thread must have used the device before.
        """
        import torch

        width, height = self._width, self._height
        item = self.format.dtype.itemsize
        row = -(-width * item // _ROW_ALIGNMENT) * _ROW_ALIGNMENT // item
        # NVENC is told where luma lies, and reads chroma behind it: one piece of memory.
        memory = torch.empty(
            (height + height // 2, row), dtype=getattr(torch, self.format.dtype.name),
            device=self._device,
        )[:, :width]  # fmt: skip
        planes: Any = memory[:height], memory[height:]
        frame = av.VideoFrame.from_dlpack(
            planes, format=self.format.name, cuda_context=self._context
        )
        return frame, Frame(self.format, planes, width, height)

    def blank_like(self, frame: av.VideoFrame) -> tuple[av.VideoFrame, Frame]:
        """The same with the tags and the time of a frame of this size."""
        blank, planes = self.new()
        copy_tags(frame, blank)
        copy_timing(frame, blank)
        return blank, replace(planes, colour=colour_of(blank))
