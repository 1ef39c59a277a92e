"""Thumbnails by averaging boxes of a frame's own planes, in the style of ``curve_kernels``."""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.coefficients import (
    CB_TO_BLUE,
    CB_TO_GREEN,
    CHROMA_OFFSET,
    CR_TO_GREEN,
    CR_TO_RED,
    LUMA_OFFSET,
    LUMA_SCALE,
)
from zerodce_rt.backends.cpu.arguments import ChromaLayout, Planes
from zerodce_rt.backends.cpu.compiling import ONE, ZERO, clamp, compiled


@compiled
def _sum_rows(plane: Any, top: int, bottom: int, samples: int, sums: Any) -> None:
    """Sums of the columns over rows ``top .. bottom``."""
    sums[:] = ZERO
    for row in range(top, bottom):
        line = plane[row]
        for x in range(samples):
            sums[x] += np.float32(line[x])


@compiled
def thumbnail_yuv(
    planes: Planes, width: int, height: int, layout: ChromaLayout, c: Any, out: Any, first: int,
    last: int,
) -> None:  # fmt: skip
    """Box-average a YUV frame to rows ``first .. last`` of ``(3, h, w)`` float32 RGB in [0, 1].

    ``c`` are the numbers of ``yuv_coefficients``. A chroma sample over the border of two boxes
    counts in both.
    """
    y, u, v = planes
    shift_x, shift_y, step = layout
    chroma_width = (width + (1 << shift_x) - 1) >> shift_x
    y_sums = np.empty(width, np.float32)
    u_sums = np.empty(chroma_width * step, np.float32)
    v_sums = np.empty(chroma_width, np.float32)
    h, w = out.shape[1], out.shape[2]
    for i in range(first, last):
        top, bottom = i * height // h, (i + 1) * height // h
        c_top = top >> shift_y
        c_bottom = max(((bottom - 1) >> shift_y) + 1, c_top + 1)
        _sum_rows(y, top, bottom, width, y_sums)
        _sum_rows(u, c_top, c_bottom, chroma_width * step, u_sums)
        if step == 1:
            _sum_rows(v, c_top, c_bottom, chroma_width, v_sums)
        for j in range(w):
            left, right = j * width // w, (j + 1) * width // w
            c_left = left >> shift_x
            c_right = max(((right - 1) >> shift_x) + 1, c_left + 1)
            luma, cb, cr = ZERO, ZERO, ZERO
            for x in range(left, right):
                luma += y_sums[x]
            for x in range(c_left, c_right):
                if step == 1:
                    cb += u_sums[x]
                    cr += v_sums[x]
                else:
                    cb += u_sums[2 * x]
                    cr += u_sums[2 * x + 1]
            luma /= np.float32((bottom - top) * (right - left))
            count = np.float32((c_bottom - c_top) * (c_right - c_left))
            luma = (luma - c[LUMA_OFFSET]) * c[LUMA_SCALE]
            cb, cr = cb / count - c[CHROMA_OFFSET], cr / count - c[CHROMA_OFFSET]
            out[0, i, j] = clamp(luma + cr * c[CR_TO_RED], ZERO, ONE)
            out[1, i, j] = clamp(luma + cb * c[CB_TO_GREEN] + cr * c[CR_TO_GREEN], ZERO, ONE)
            out[2, i, j] = clamp(luma + cb * c[CB_TO_BLUE], ZERO, ONE)


@compiled
def thumbnail_packed(
    plane: Any, width: int, height: int, bgr: bool, white: Any, out: Any, first: int, last: int
) -> None:
    """Box-average packed RGB or BGR to rows ``first .. last`` of what ``thumbnail_yuv`` fills.

    ``white`` is the code of 1.0.
    """
    sums = np.empty(3 * width, np.float32)
    h, w = out.shape[1], out.shape[2]
    for i in range(first, last):
        top, bottom = i * height // h, (i + 1) * height // h
        _sum_rows(plane, top, bottom, 3 * width, sums)
        for j in range(w):
            left, right = j * width // w, (j + 1) * width // w
            scale = ONE / (white * np.float32((bottom - top) * (right - left)))
            for channel in range(3):
                total = ZERO
                at = 2 - channel if bgr else channel
                for x in range(left, right):
                    total += sums[3 * x + at]
                out[channel, i, j] = clamp(total * scale, ZERO, ONE)
