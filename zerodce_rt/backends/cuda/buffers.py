"""Memory for whole frames on host and device, and copies from one memory layout to another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from zerodce_rt.backends.interfaces import DeviceNetwork
from zerodce_rt.frame import Frame, PixelFormat, plane_shapes
from zerodce_rt.network.light_wiring import map_size

# Planes start at multiples of this, in bytes: kernels read 16 aligned bytes at once.
_ALIGNMENT = 256
_DTYPES = {"uint8": torch.uint8, "uint16": torch.uint16, "float32": torch.float32}


@dataclass(frozen=True)
class FrameBuffer:
    """A frame whose planes share one piece of memory, so that one copy moves them all.

    Attributes:
        memory: all of it, uint8.
        frame: its planes are views of ``memory``: NumPy arrays on the host, tensors on the device.
        numbers: float32, at the end of ``memory``, so that they travel with the frame.
        numbers_memory: the same as uint8.
    """

    memory: Tensor
    frame: Frame
    numbers: Tensor
    numbers_memory: Tensor


def frame_buffer(
    like: Frame, device: torch.device, *, format: PixelFormat | None = None, host: bool = False,
    numbers: int = 0,
) -> FrameBuffer:  # fmt: skip
    """Allocate a frame of the size of another, without padding in its rows.

    Args:
        format: default: that of ``like``.
        host: in host memory; pinned if ``device`` is a GPU, so that copies run beside the CPU.
        numbers: how many; they are 1 at first.
    """
    format = format or like.format
    itemsize = format.dtype.itemsize
    dtype = _DTYPES[format.dtype.name]
    shapes = plane_shapes(format, like.width, like.height)
    spans, end = [], 0
    for shape in shapes:
        size = itemsize * prod(shape)
        spans.append((end, end + size))
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
    total = end + 4 * numbers
    if host:
        memory = torch.empty(total, dtype=torch.uint8, pin_memory=device.type == "cuda")
    else:
        memory = torch.empty(total, dtype=torch.uint8, device=device)
    numbers_memory = memory[end:]
    numbers_memory.view(torch.float32).fill_(1)
    planes: Any = tuple(
        memory[start:stop].view(dtype).view(shape)
        for (start, stop), shape in zip(spans, shapes, strict=True)
    )
    if host:
        planes = tuple(plane.numpy() for plane in planes)
    frame = replace(like, format=format, planes=planes)
    return FrameBuffer(memory, frame, numbers_memory.view(torch.float32), numbers_memory)


def maps_buffer(network: DeviceNetwork, height: int, width: int) -> Tensor:
    """Allocate a network's maps for a thumbnail, float16 on its device; all are NaN."""
    size = map_size(height, width) if network.knots else (height, width)
    return torch.full((network.map_count, *size), torch.nan, device=network.device).half()


def pinned_bytes(*buffers: FrameBuffer) -> int:
    """What PyTorch pins for frames of these kinds: it rounds up to powers of two."""
    return sum(1 << (buffer.memory.numel() - 1).bit_length() for buffer in buffers)


def rearrange(source: Frame, target: Frame) -> None:
    """Copy a YUV frame on the device to a frame of another layout (see ``same_samples``)."""
    drop = source.format.dropped_bits - target.format.dropped_bits
    for samples, out in zip(_components(source), _components(target), strict=True):
        if drop == 0:
            out.copy_(samples)
            continue
        # As int16: PyTorch has no shifts for uint16.
        codes = samples.view(torch.int16)
        codes = codes << -drop if drop < 0 else (codes >> drop) & (2**source.format.bits - 1)
        out.view(torch.int16).copy_(codes)
    if target.format.layout == "yuyv" and target.width % 2:
        row: Any = target.planes[0]
        row[:, -2] = row[:, -4]  # the second luma sample of the last pair repeats the first


def _components(frame: Frame) -> tuple[Tensor, ...]:
    """Y, U and V as views of a frame's planes."""
    planes: Any = frame.planes
    if frame.format.layout == "planar":
        return planes
    shift_x = frame.format.chroma_shift[0]
    columns = -(-frame.width >> shift_x)
    if frame.format.layout == "semiplanar":
        y, chroma = planes
        return y, chroma[:, 0 : 2 * columns : 2], chroma[:, 1 : 2 * columns : 2]
    samples = planes[0][:, : 4 * columns]
    return samples[:, 0 : 2 * frame.width : 2], samples[:, 1::4], samples[:, 3::4]
