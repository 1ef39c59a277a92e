"""Launches the fused Triton kernels of ``curve_kernels`` on frames that lie on the device."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import triton
from torch import Tensor

from zerodce_rt.backends.coefficients import yuv_coefficients
from zerodce_rt.backends.cuda import curve_kernels as kernels
from zerodce_rt.backends.cuda.driver import capability
from zerodce_rt.frame import Colour, Frame, PixelFormat

LAYOUTS = {
    "packed": kernels.PACKED.value,
    "planar": kernels.PLANAR.value,
    "semiplanar": kernels.SEMIPLANAR.value,
}
# The smallest matrix side that tl.dot takes.
_SMALLEST_WINDOW = 16
# Rows and columns that a block of the thumbnail kernel reads at once.
_THUMBNAIL_TILE = 32, 32


def tile(capability: int, *, full: bool) -> tuple[int, int, int]:
    """Rows and columns of the frame that one block of threads enhances, and its warps.

    Args:
        capability: of the card: 75 for Turing, 90 for Hopper.
        full: with maps of the frame's size; flat tiles hide more of the memory's latency.
    """
    if full:
        return 8, 128, 4
    # Triton does not use Turing's tensor cores, and without them fewer pixels fit in registers.
    return (16, 128, 8) if capability >= 80 else (16, 32, 8)


def supports(format: PixelFormat) -> bool:
    """Whether the kernels can read and write a format."""
    return format.layout in LAYOUTS


def apply_curve(
    frame: Frame, maps: Tensor, out: Frame, *, gain: Tensor, align_corners: bool = False
) -> None:
    """Enhance a frame into another, on the current stream.

    Args:
        frame, out: on the device, of one layout and size; rows may be padded. The frame may be
            what a ``DeviceDenoiser`` makes of one of the format of ``out``.
        maps: ``(3k, h, w)`` float16 in [-1, 1], of the frame's size or smaller; each map
            contiguous.
        gain: what the maps are multiplied with, one float32 on the device; 0 keeps every
            sample as it is.
        align_corners: as in ``CurveMaps``.
    """
    count, map_height, map_width = maps.shape
    full = (map_height, map_width) == (frame.height, frame.width)
    rows, columns, warps = tile(capability(maps.device), full=full)
    scale_y, offset_y = mapping(frame.height, map_height, align_corners=align_corners)
    scale_x, offset_x = mapping(frame.width, map_width, align_corners=align_corners)
    grid = triton.cdiv(frame.width, columns), triton.cdiv(frame.height, rows)
    source, target = planes_of(frame), planes_of(out)
    kernels.curve_kernel[grid](
        *source, *target, *strides_of(frame), *strides_of(out), frame.width, frame.height,
        maps, map_height, map_width, maps.stride(0), scale_y, offset_y, scale_x, offset_x,
        gain, source_coefficients(frame, maps.device), coefficients(out, maps.device),
        **constants_of(out.format) | {"WHITE": white_code(frame.format)},
        OUT_WHITE=white_code(out.format), SHARED=count == 3, FULL=full, ROWS=rows, COLUMNS=columns,
        WINDOW_Y=window_of(rows, scale_y), WINDOW_X=window_of(columns, scale_x),
        num_warps=warps,
    )  # fmt: skip


def fill_thumbnail(frame: Frame, out: Tensor) -> None:
    """Write the area average of a frame, on the current stream.

    Args:
        frame: on the device.
        out: ``(3, h, w)`` RGB in [0, 1], float16 or float32, contiguous; at most the frame's
            size, where nothing is averaged.
    """
    _, height, width = out.shape
    if (height, width) == (frame.height, frame.width):
        rows, columns, warps = tile(capability(out.device), full=True)
        kernels.rgb_kernel[(triton.cdiv(width, columns), triton.cdiv(height, rows))](
            *planes_of(frame), *strides_of(frame), width, height,
            coefficients(frame, out.device), out, **constants_of(frame.format),
            ROWS=rows, COLUMNS=columns, num_warps=warps,
        )  # fmt: skip
        return
    kernels.thumbnail_kernel[(width, height)](
        *planes_of(frame), *strides_of(frame), frame.width, frame.height,
        coefficients(frame, out.device), out, height, width, **constants_of(frame.format),
        ROWS=_THUMBNAIL_TILE[0], COLUMNS=_THUMBNAIL_TILE[1],
    )  # fmt: skip


def coefficients(frame: Frame, device: torch.device) -> Tensor:
    """``yuv_coefficients`` on the device, for codes without the bits that are dropped."""
    return _placed(frame.colour, min(frame.format.bits, 16), 0, device)


def source_coefficients(frame: Frame, device: torch.device) -> Tensor:
    """The same for samples as they lie in a YUV frame."""
    format = frame.format
    return _placed(frame.colour, min(format.bits, 16), format.dropped_bits, device)


def white_code(format: PixelFormat) -> float:
    """The sample that stands for 1.0 in packed RGB."""
    return 1.0 if format.bits == 32 else 2.0**format.bits - 1


# Graphs read them for as long as they are replayed, so none is ever dropped; there are few.
@cache
def _placed(colour: Colour, bits: int, dropped_bits: int, device: torch.device) -> Tensor:
    return torch.from_numpy(yuv_coefficients(colour, bits, dropped_bits)).to(device)


def mapping(size: int, samples: int, *, align_corners: bool) -> tuple[float, float]:
    """Scale and offset from pixels to map samples (see ``curve.maps.source_positions``)."""
    if align_corners:
        return ((samples - 1) / (size - 1) if size > 1 else 0.0), 0.0
    scale = samples / size
    return scale, 0.5 * scale - 0.5


def window_of(tile: int, scale: float) -> int:
    """Map samples that a tile may touch in one direction, rounded up for tl.dot."""
    return max(_SMALLEST_WINDOW, triton.next_power_of_2(int((tile - 1) * scale) + 3))


def planes_of(frame: Frame) -> tuple[Any, Any, Any]:
    first, last = frame.planes[0], frame.planes[-1]
    return first, frame.planes[1] if len(frame.planes) > 1 else first, last


def strides_of(frame: Frame) -> tuple[int, int]:
    planes: Any = frame.planes
    return planes[0].stride(0), planes[-1].stride(0)


def constants_of(format: PixelFormat) -> dict[str, Any]:
    return {
        "LAYOUT": LAYOUTS[format.layout],
        "BGR": format.bgr,
        "WHITE": white_code(format),
        "DROPPED_BITS": format.dropped_bits,
        "SHIFT_Y": format.chroma_shift[1],
        "SHIFT_X": format.chroma_shift[0],
    }
