"""Before and after in one picture, composed plane by plane in the frame's own format."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.frame import Frame
from zerodce_rt.names import COMPARE_MODES

# Width of the line in a split picture, as a share of the picture's.
_DIVIDER = 1 / 400


def check_mode(mode: str) -> None:
    """Raise ValueError for a mode that does not exist."""
    if mode not in COMPARE_MODES:
        raise ValueError(f"`compare` must be one of {', '.join(COMPARE_MODES)}, not {mode!r}")


def width_of(mode: str, width: int) -> int:
    """Width in pixels of the composed picture of frames of this width."""
    # Each half keeps whole chroma samples, so an odd last column is left out of both.
    return width if mode == "split" else 2 * max(width & ~1, 1)


def compose(before: Frame, after: Frame, mode: str, out: Frame, *, divider: float = 0.5) -> None:
    """Write ``before`` and ``after`` to ``out``, all of one format.

    Args:
        mode: ``"split"``: the left part of ``before`` and the right part of ``after``, with a
            white line between; ``"side"``: both, side by side.
        out: a frame of the same height and of width ``width_of(mode, width)``.
        divider: where the line of a split picture is, 0 to 1 of its width.

    Raises:
        ValueError: for another mode.
    """
    check_mode(mode)
    for index, target in enumerate(out.planes):
        left, right = before.planes[index], after.planes[index]
        if mode == "side":
            half = min(_samples(out, index, out.width // 2), _samples(before, index, before.width))
            target[:, :half] = left[:, :half]
            end = min(2 * half, _samples(out, index, out.width))  # two pixels may share chroma
            target[:, half:end] = right[:, : end - half]
            continue
        # A multiple of four pixels is a whole number of samples in every chroma subsampling.
        middle = int(out.width * divider) & ~3
        line = max(2, round(out.width * _DIVIDER)) & ~1
        stop = _samples(out, index, out.width)
        at = _samples(out, index, middle)
        target[:, :at] = left[:, :at]
        target[:, at:stop] = right[:, at:stop]
        if out.width >= 64:
            end = min(_samples(out, index, middle + line), stop)
            _draw_white(out, index, target[:, at:end])


def _samples(frame: Frame, plane: int, pixels: int) -> int:
    """Number of samples in a row of a plane for a number of pixels."""
    format = frame.format
    if format.layout == "packed":
        return 3 * pixels
    if format.layout == "yuyv":
        return 4 * -(-pixels // 2)
    if plane == 0:
        return pixels
    cells = -(-pixels >> format.chroma_shift[0])
    return 2 * cells if format.layout == "semiplanar" else cells


def _draw_white(frame: Frame, plane: int, area: NDArray[Any]) -> None:
    format = frame.format
    if format.layout == "packed":
        area[:] = 1 if format.bits == 32 else np.iinfo(format.dtype).max
    else:
        y_offset, y_span, c_offset, _ = frame.colour.levels(format.bits)
        if format.layout == "yuyv":
            area[:, 0::2], area[:, 1::2] = y_offset + y_span, c_offset
            return
        level = y_offset + y_span if plane == 0 else c_offset
        area[:] = level * 2.0**format.dropped_bits
