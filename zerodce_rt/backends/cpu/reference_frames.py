"""Frames as float64 RGB and back, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.frame import LUMA_WEIGHTS, Frame, PixelFormat


def to_rgb(frame: Frame) -> NDArray[np.float64]:
    """A frame as ``(3, H, W)`` gamma-encoded RGB in [0, 1].

    Chroma samples are repeated over the pixels that share them. The formulae are those of ITU-R
    BT.601 and BT.709, which differ in their weights only.
    """
    format = frame.format
    if format.layout == "packed":
        samples = frame.planes[0][:, : 3 * frame.width].reshape(frame.height, frame.width, 3)
        rgb = samples.transpose(2, 0, 1).astype(np.float64)
        if format.bits < 32:
            rgb /= 2.0**format.bits - 1
        return (rgb[::-1] if format.bgr else rgb).clip(0, 1)
    luma, *chroma = to_yuv(frame)
    shift_x, shift_y = format.chroma_shift

    def full_size(plane: NDArray[Any]) -> NDArray[np.float64]:
        repeated = plane.repeat(1 << shift_y, axis=0).repeat(1 << shift_x, axis=1)
        return repeated[: frame.height, : frame.width]

    cb, cr = (full_size(plane) for plane in chroma)
    kr, kb = LUMA_WEIGHTS[frame.colour.matrix]
    red = luma + 2 * (1 - kr) * cr
    blue = luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.stack([red, green, blue]).clip(0, 1)


def from_rgb(rgb: NDArray[np.float64], out: Frame) -> None:
    """Write RGB ``(3, H, W)`` in [0, 1] to a frame: the inverse of ``to_rgb``.

    Rounded to the nearest code; chroma is the average over the pixels that share a sample.
    """
    format = out.format
    if format.layout == "packed":
        samples = (rgb[::-1] if format.bgr else rgb).transpose(1, 2, 0)
        if format.bits < 32:
            samples = np.floor(samples * (2.0**format.bits - 1) + 0.5)
        out.planes[0][:, : 3 * out.width] = samples.reshape(out.height, -1)
        return
    kr, kb = LUMA_WEIGHTS[out.colour.matrix]
    luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    cb = subsampled((rgb[2] - luma) / (2 * (1 - kb)), format)
    cr = subsampled((rgb[0] - luma) / (2 * (1 - kr)), format)
    from_yuv(luma, cb, cr, out)


def to_yuv(frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The samples of a YUV frame: luma with black 0 and white 1, chroma in [-0.5, 0.5]."""
    unit = 2.0**frame.format.dropped_bits
    y, u, v = (plane / unit for plane in yuv_samples(frame))
    y_offset, y_span, c_offset, c_span = frame.colour.levels(frame.format.bits)
    return (y - y_offset) / y_span, (u - c_offset) / c_span, (v - c_offset) / c_span


def subsampled(plane: NDArray[np.float64], format: PixelFormat) -> NDArray[np.float64]:
    """Averages of a plane over the pixels that share a chroma sample."""
    height, width = plane.shape
    rows, columns = first_pixels(height, format, 1), first_pixels(width, format, 0)
    sums = np.add.reduceat(np.add.reduceat(plane, rows, axis=0), columns, axis=1)
    counts = np.outer(np.diff(np.append(rows, height)), np.diff(np.append(columns, width)))
    average: NDArray[np.float64] = sums / counts
    return average


def first_pixels(size: int, format: PixelFormat, axis: int) -> NDArray[np.intp]:
    """Where chroma samples begin along a side of so many pixels; axis 0 is horizontal."""
    return np.arange(0, size, 1 << format.chroma_shift[axis])


def from_yuv(
    luma: NDArray[np.float64], cb: NDArray[np.float64], cr: NDArray[np.float64], out: Frame
) -> None:
    """Write samples to a YUV frame: the inverse of ``to_yuv``, rounded to the nearest code."""
    format = out.format
    y_offset, y_span, c_offset, c_span = out.colour.levels(format.bits)
    largest = 2.0**format.bits - 1

    def quantise(values: NDArray[np.float64], offset: float, span: float) -> NDArray[np.float64]:
        return np.floor(values * span + offset + 0.5).clip(0, largest) * 2.0**format.dropped_bits

    y, u, v = yuv_samples(out)
    y[:] = quantise(luma, y_offset, y_span)
    u[:] = quantise(cb, c_offset, c_span)
    v[:] = quantise(cr, c_offset, c_span)
    if format.layout == "yuyv" and out.width % 2:
        # The last pixel's missing neighbour, which is stored too, repeats it.
        out.planes[0][:, 2 * out.width] = y[:, -1]


def yuv_samples(frame: Frame) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Views of Y, U and V without padding."""
    shift_x = frame.format.chroma_shift[0]
    chroma_width = -(-frame.width >> shift_x)
    if frame.format.layout == "yuyv":
        samples = frame.planes[0][:, : 4 * chroma_width]
        return samples[:, 0 : 2 * frame.width : 2], samples[:, 1::4], samples[:, 3::4]
    y = frame.planes[0][:, : frame.width]
    if frame.format.layout == "semiplanar":
        uv = frame.planes[1][:, : 2 * chroma_width]
        return y, uv[:, 0::2], uv[:, 1::2]
    return y, frame.planes[1][:, :chroma_width], frame.planes[2][:, :chroma_width]
