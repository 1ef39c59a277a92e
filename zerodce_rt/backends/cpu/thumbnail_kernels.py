"""Thumbnails by averaging boxes of a frame's own planes; see ``kernels.py`` for the style."""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.cpu.compiling import ONE, ZERO, clamp, compiled


@compiled
def _box_row(plane: Any, top: int, bottom: int, samples: int, sums: Any) -> None:
    """Column sums over rows ``top .. bottom``."""
    sums[:] = ZERO
    for row in range(top, bottom):
        line = plane[row]
        for x in range(samples):
            sums[x] += np.float32(line[x])


@compiled
def thumbnail_yuv(
    y: Any, u: Any, v: Any, width: int, height: int, shift_x: int, shift_y: int, step: int,
    coefficients: Any, out: Any,
) -> None:  # fmt: skip
    """Box-average a YUV frame to ``(3, h, w)`` float32 RGB in [0, 1]."""
    c = coefficients
    chroma_width = (width + (1 << shift_x) - 1) >> shift_x
    y_sums = np.empty(width, np.float32)
    u_sums = np.empty(chroma_width * step, np.float32)
    v_sums = np.empty(chroma_width, np.float32)
    h, w = out.shape[1], out.shape[2]
    for i in range(h):
        top, bottom = i * height // h, (i + 1) * height // h
        c_top = top >> shift_y
        c_bottom = max(((bottom - 1) >> shift_y) + 1, c_top + 1)
        _box_row(y, top, bottom, width, y_sums)
        _box_row(u, c_top, c_bottom, chroma_width * step, u_sums)
        if step == 1:
            _box_row(v, c_top, c_bottom, chroma_width, v_sums)
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
            luma = (luma - c[0]) * c[1]
            cb, cr = cb / count - c[2], cr / count - c[2]
            out[0, i, j] = clamp(luma + cr * c[4], ZERO, ONE)
            out[1, i, j] = clamp(luma + cb * c[5] + cr * c[6], ZERO, ONE)
            out[2, i, j] = clamp(luma + cb * c[7], ZERO, ONE)


@compiled
def thumbnail_packed(src: Any, width: int, height: int, bgr: bool, top: Any, out: Any) -> None:
    """Box-average packed RGB or BGR to ``(3, h, w)`` float32 RGB in [0, 1]."""
    sums = np.empty(3 * width, np.float32)
    h, w = out.shape[1], out.shape[2]
    for i in range(h):
        first, last = i * height // h, (i + 1) * height // h
        _box_row(src, first, last, 3 * width, sums)
        for j in range(w):
            left, right = j * width // w, (j + 1) * width // w
            scale = ONE / (top * np.float32((last - first) * (right - left)))
            for channel in range(3):
                total = ZERO
                at = 2 - channel if bgr else channel
                for x in range(left, right):
                    total += sums[3 * x + at]
                out[channel, i, j] = clamp(total * scale, ZERO, ONE)
