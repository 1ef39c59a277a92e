"""PQ frames as frames in which curves work, and the tables between them (``curve/pq.py``)."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.coefficients import (
    LARGEST_CODE,
    LUMA_OFFSET,
    LUMA_SCALE,
    LUMA_SPAN,
    yuv_coefficients,
)
from zerodce_rt.curve import pq
from zerodce_rt.frame import FORMATS, Colour, Frame, PixelFormat, plane_shapes

# Of tables over values instead of codes. 10-bit video has no finer steps.
_ENTRIES = 1 << 16
# The largest value that colours outside the peak can have.
_HIGHEST = 1.5


def empty_gamma_frame(frame: Frame) -> Frame:
    """A frame for what a PQ frame becomes: of 16 bits, planar or packed float."""
    if frame.format.layout == "packed":
        format = FORMATS["bgrf32le" if frame.format.bgr else "rgbf32le"]
    else:
        subsampling = {(1, 1): "420", (1, 0): "422", (0, 0): "444"}[frame.format.chroma_shift]
        format = FORMATS[f"yuv{subsampling}p16le"]
    shapes = plane_shapes(format, frame.width, frame.height)
    planes = tuple(np.empty(shape, format.dtype) for shape in shapes)
    colour = Colour(frame.colour.matrix, full_range=True)
    return replace(frame, format=format, planes=planes, colour=colour)


def packed_to_gamma(frame: Frame, out: Frame) -> None:
    """Packed samples go through the function itself: such PQ frames are rare."""
    samples = frame.planes[0][:, : 3 * frame.width] / _white(frame.format)
    out.planes[0][:] = pq.to_gamma(samples.clip(0, 1), frame.colour.peak_nits)


def packed_to_pq(enhanced: Frame, source: Frame, out: Frame) -> None:
    """The inverse; what is above the peak in ``source`` is taken from there."""
    peak, white = source.colour.peak_nits, _white(out.format)
    before = source.planes[0][:, : 3 * source.width]
    after = pq.from_gamma(enhanced.planes[0].astype(np.float64), peak) * white
    after = np.where(before / white >= pq.codes_of(peak), before, after)
    rounding = 0.0 if out.format.bits == 32 else 0.5
    out.planes[0][:, : 3 * out.width] = after + rounding


def _white(format: PixelFormat) -> float:
    return 1.0 if format.bits == 32 else 2.0**format.bits - 1


@lru_cache(maxsize=8)
def gamma_of_values(peak_nits: float) -> tuple[NDArray[np.float32], np.float32]:
    """``pq.to_gamma`` over [0, 1] as a table, and the entries for 1."""
    scale = _ENTRIES - 1
    values = pq.to_gamma(np.arange(_ENTRIES) / scale, peak_nits)
    return values.astype(np.float32), np.float32(scale)


@lru_cache(maxsize=8)
def pq_of_values(peak_nits: float) -> tuple[NDArray[np.float32], np.float32]:
    """``pq.from_gamma`` over all values that occur as a table, and the entries for 1."""
    scale = (_ENTRIES - 1) / _HIGHEST
    values = pq.from_gamma(np.arange(_ENTRIES) / scale, peak_nits)
    return values.astype(np.float32), np.float32(scale)


@lru_cache(maxsize=8)
def gamma_codes(colour: Colour, format: PixelFormat, to: PixelFormat) -> NDArray[np.uint16]:
    """For each luma code of a PQ format, that of the format in which it is enhanced."""
    c = yuv_coefficients(colour, format.bits, format.dropped_bits)
    # For every number that fits: of 10 bits, a damaged file may give more than 1023.
    codes = np.arange(1 << (8 * format.dtype.itemsize)).clip(0, c[LARGEST_CODE])
    values = ((codes - c[LUMA_OFFSET]) * float(c[LUMA_SCALE])).clip(0, 1)
    return _rounded(pq.to_gamma(values, colour.peak_nits), Colour(full_range=True), to)


@lru_cache(maxsize=8)
def pq_codes(colour: Colour, format: PixelFormat) -> NDArray[np.uint16]:
    """For each 16-bit luma code that was enhanced, that of a PQ format."""
    values = np.arange(1 << 16) / 65535
    return _rounded(pq.from_gamma(values, colour.peak_nits), colour, format)


def _rounded(values: NDArray[Any], colour: Colour, format: PixelFormat) -> NDArray[np.uint16]:
    c = yuv_coefficients(colour, format.bits)
    codes = np.floor(values.clip(0, 1) * float(c[LUMA_SPAN]) + float(c[LUMA_OFFSET]) + 0.5)
    return (codes * 2.0**format.dropped_bits).astype(np.uint16)
