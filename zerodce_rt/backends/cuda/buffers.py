"""Memory of frames on both sides, and the way from one layout of the same samples to another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from zerodce_rt.frame import Frame, PixelFormat, plane_shapes

# Of each plane's beginning, in bytes: kernels read 16 at once where they can.
_ALIGNMENT = 256
_DTYPES = {"uint8": torch.uint8, "uint16": torch.uint16, "float32": torch.float32}


@dataclass(frozen=True)
class FrameBuffer:
    """A frame whose planes lie in one piece of memory, so that one copy moves them all.

    Attributes:
        memory: all of it, as bytes.
        frame: its planes are NumPy's on the processor's side, and tensors on a GPU's.
    """

    memory: Tensor
    frame: Frame


def frame_buffer(
    like: Frame, device: torch.device, *, format: PixelFormat | None = None, host: bool = False
) -> FrameBuffer:
    """Memory for frames of one size and format, without padding in their rows.

    Args:
        format: default: that of ``like``.
        host: on the processor's side, where ``device`` can fetch it without its help.
    """
    format = format or like.format
    itemsize = format.dtype.itemsize
    dtype = _DTYPES[format.dtype.name]
    shapes = plane_shapes(format, like.width, like.height)
    places, end = [], 0
    for shape in shapes:
        places.append((end, end + itemsize * prod(shape)))
        end += -(-itemsize * prod(shape) // _ALIGNMENT) * _ALIGNMENT
    if host:
        memory = torch.empty(end, dtype=torch.uint8, pin_memory=device.type == "cuda")
    else:
        memory = torch.empty(end, dtype=torch.uint8, device=device)
    planes: Any = tuple(
        memory[start:stop].view(dtype).view(shape)
        for (start, stop), shape in zip(places, shapes, strict=True)
    )
    if host:
        planes = tuple(plane.numpy() for plane in planes)
    return FrameBuffer(memory, replace(like, format=format, planes=planes))


def rearrange(source: Frame, target: Frame) -> None:
    """Bring a frame on the device into the layout of another (see ``same_samples``)."""
    drop = source.format.dropped_bits - target.format.dropped_bits
    for ours, theirs in zip(_components(source), _components(target), strict=True):
        if drop == 0:
            theirs.copy_(ours)
            continue
        # PyTorch shifts no unsigned numbers of 16 bits.
        moved = ours.view(torch.int16)
        moved = moved << -drop if drop < 0 else (moved >> drop) & (2**source.format.bits - 1)
        theirs.view(torch.int16).copy_(moved)
    if target.format.layout == "yuyv" and target.width % 2:
        samples: Any = target.planes[0]
        samples[:, -2] = samples[:, -4]  # the pixel past the edge


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
