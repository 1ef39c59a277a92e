"""Launches the fused Triton kernels of ``light_curve_kernels`` on frames that lie on the device."""

from __future__ import annotations

from typing import Any

import triton
from torch import Tensor

from zerodce_rt.backends.cuda import light_curve_kernels as kernels
from zerodce_rt.backends.cuda.applier import (
    LAYOUTS,
    coefficients,
    mapping,
    planes_of,
    source_coefficients,
    strides_of,
    tile,
    white_code,
    window_of,
)
from zerodce_rt.backends.cuda.denoise_curve_kernels import stretch_kernel
from zerodce_rt.backends.cuda.driver import capability
from zerodce_rt.frame import Frame

STRETCHED = 256
"""Columns of a line that a block of threads interpolates."""


def apply_light_curve(frame: Frame, maps: Tensor, out: Frame, *, gain: Tensor) -> None:
    """Enhance a frame into another by light maps, on the current stream.

    Args:
        frame, out: on the device, of one size; both packed in one order, or both YUV of one
            subsampling. Else they may differ: a filtered frame has 16 bits, of which those of
            YUV below the codes of ``out`` are its ``dropped_bits``. Rows may be padded.
        maps: ``(5, h, w)`` float16 or float32 (see ``CurveMaps``), contiguous; of any size, but
            made for maps that are smaller than the frame.
        gain: what the curves are multiplied with, one float32 on the device; 0 keeps every
            sample as it is.

    Raises:
        ValueError: for frames of different sizes, or whose samples do not fit together.
    """
    _check(frame, out)
    _, map_height, map_width = maps.shape
    rows, columns, warps = tile(capability(maps.device), full=False)
    scale_y, offset_y = mapping(frame.height, map_height, align_corners=False)
    scale_x, offset_x = mapping(frame.width, map_width, align_corners=False)
    grid = triton.cdiv(frame.width, columns), triton.cdiv(frame.height, rows)
    where = (
        frame.width, frame.height, maps, map_height, map_width, maps.stride(0),
        scale_y, offset_y, scale_x, offset_x, gain,
    )  # fmt: skip
    block: dict[str, Any] = {
        "ROWS": rows,
        "COLUMNS": columns,
        "WINDOW_Y": _window_within(rows, scale_y, map_height),
        "WINDOW_X": _window_within(columns, scale_x, map_width),
        "num_warps": warps,
    }
    if frame.format.layout == "packed":
        kernels.light_rgb_kernel[grid](
            frame.planes[0], out.planes[0], strides_of(frame)[0], strides_of(out)[0], *where,
            BGR=frame.format.bgr, WHITE=white_code(frame.format), OUT_WHITE=white_code(out.format),
            **block,
        )  # fmt: skip
        return
    kernels.light_yuv_kernel[grid](
        *planes_of(frame), *planes_of(out), *strides_of(frame), *strides_of(out), *where,
        source_coefficients(frame, maps.device), coefficients(out, maps.device),
        LAYOUT=LAYOUTS[frame.format.layout], OUT_LAYOUT=LAYOUTS[out.format.layout],
        DROPPED_BITS=out.format.dropped_bits,
        SHIFT_Y=frame.format.chroma_shift[1], SHIFT_X=frame.format.chroma_shift[0], **block,
    )  # fmt: skip


def stretch(maps: Tensor, lines: Tensor, width: int) -> None:
    """Interpolate the rows of maps for all columns of a frame, on the current stream.

    Args:
        maps: ``(count, h, w)`` float16, contiguous.
        lines: ``(count, h, n)`` float32; written.
        width: of the frame, at most n.
    """
    count, map_height, map_width = maps.shape
    line_width = lines.shape[2]
    stretch_kernel[(triton.cdiv(line_width, STRETCHED), count * map_height)](
        maps, map_width, lines, width, line_width,
        *mapping(width, map_width, align_corners=False), COLUMNS=STRETCHED,
    )  # fmt: skip


def _window_within(tile: int, scale: float, samples: int) -> int:
    """Map samples that a tile may touch in one direction, of so many, rounded up for tl.dot."""
    return min(window_of(tile, scale), window_of(samples, 1.0))


def _check(frame: Frame, out: Frame) -> None:
    a, b = frame.format, out.format
    packed = "packed" in (a.layout, b.layout)
    fits = (a.layout, a.bgr) == (b.layout, b.bgr) if packed else a.chroma_shift == b.chroma_shift
    if not fits or (frame.width, frame.height) != (out.width, out.height):
        raise ValueError(
            f"{a.name} {frame.width}x{frame.height} cannot be enhanced into "
            f"{b.name} {out.width}x{out.height}"
        )
