"""The applier that the fast ones are tested against: float64, NumPy, no shortcuts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.cpu import pq_frames
from zerodce_rt.backends.cpu.reference_denoiser import ReferenceDenoiser
from zerodce_rt.backends.cpu.reference_frames import (
    first_pixels,
    from_rgb,
    from_yuv,
    subsampled,
    to_rgb,
    to_yuv,
)
from zerodce_rt.curve import floor, light, pq
from zerodce_rt.curve import maps as curve
from zerodce_rt.curve.maps import CurveMaps
from zerodce_rt.frame import LUMA_WEIGHTS, PACKED_MATRIX, Frame, luma_weights


class ReferenceApplier:
    """Thumbnails and curves in float64; hundreds of times slower. Is an ``Applier``."""

    name = "reference"

    def thumbnail(self, frame: Frame, height: int, width: int) -> NDArray[np.float32]:
        return _box_average(to_rgb(frame), height, width).astype(np.float32)

    def dark_steps(self, frame: Frame, height: int, width: int) -> NDArray[np.float32]:
        if frame.format.layout == "packed":
            luma = np.tensordot(luma_weights(PACKED_MATRIX), to_rgb(frame), 1)
        else:
            luma = to_yuv(frame)[0]
        out = np.zeros((2, height, width), np.float32)
        columns = np.arange(width + 1) * frame.width // width
        for cell, rows in enumerate(floor.sampled_rows(frame.height, height)):
            for k in range(width):
                part = luma[rows, columns[k] : columns[k + 1]]
                near = np.maximum(part[:, 1:], part[:, :-1]) < floor.NEAR_BLACK
                steps = 255 * np.abs(np.diff(part, axis=1)) * near
                pairs = max(near.size, rows.size)
                out[:, cell, k] = steps.sum() / pairs, near.sum() / pairs
        return out

    def finished(self, frame: Frame, maps: CurveMaps) -> CurveMaps:
        steps = self.dark_steps(frame, *floor.grid_of(frame.height, frame.width))
        return curve.monotone(floor.with_floor(maps, floor.floor_gate(steps)))

    def apply(self, frame: Frame, maps: CurveMaps, out: Frame) -> None:
        if maps.light and frame.format.layout != "packed":
            _apply_to_yuv(frame, maps, out)
        else:
            from_rgb(curve.apply(to_rgb(frame), maps), out)

    def pq_to_gamma(self, frame: Frame) -> Frame:
        out = pq_frames.empty_gamma_frame(frame)
        if frame.format.layout == "packed":
            pq_frames.packed_to_gamma(frame, out)
            return out
        luma, cb, cr = _clipped_luma(frame)
        means, peak = subsampled(luma, frame.format), frame.colour.peak_nits
        base = pq.to_gamma(means, peak)
        cb, cr = (
            (pq.to_gamma(means + chroma * span, peak) - base) / span
            for chroma, span in zip((cb, cr), _spans(frame), strict=True)
        )
        from_yuv(pq.to_gamma(luma, peak), cb, cr, out)
        return out

    def gamma_to_pq(self, enhanced: Frame, source: Frame, out: Frame) -> None:
        if source.format.layout == "packed":
            pq_frames.packed_to_pq(enhanced, source, out)
            return
        peak = source.colour.peak_nits
        before, after = _clipped_luma(source), to_yuv(enhanced)
        highest = pq.codes_of(peak)
        above = subsampled(before[0], source.format) >= highest
        luma = np.where(before[0] >= highest, to_yuv(source)[0], pq.from_gamma(after[0], peak))
        from_yuv(luma, after[1], after[2], out)
        means = subsampled(_clipped_luma(out)[0], out.format)  # of what was written
        base = pq.to_gamma(means, peak)
        cb, cr = (
            np.where(above, same, (pq.from_gamma(base + chroma * span, peak) - means) / span)
            for same, chroma, span in zip(before[1:], after[1:], _spans(out), strict=True)
        )
        from_yuv(luma, cb, cr, out)

    def denoiser(self, *, alone: bool = False) -> ReferenceDenoiser:
        return ReferenceDenoiser(alone=alone)

    def close(self) -> None:
        """There is nothing to release."""


def _clipped_luma(
    frame: Frame,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    luma, cb, cr = to_yuv(frame)
    return luma.clip(0, 1), cb, cr


def _spans(frame: Frame) -> tuple[float, float]:
    """B - Y and R - Y for chroma of 1."""
    kr, kb = LUMA_WEIGHTS[frame.colour.matrix]
    return 2 * (1 - kb), 2 * (1 - kr)


def _apply_to_yuv(frame: Frame, maps: CurveMaps, out: Frame) -> None:
    """Light maps on luma as it lies; the gain of a chroma sample is that of its pixels' means."""
    format = frame.format
    full = curve.resized(maps, frame.height, frame.width, dtype=np.float64)
    luma, cb, cr = to_yuv(frame)
    luma = luma.clip(0, 1)
    curves: NDArray[Any] = full.curves
    enhanced = light.luma_curve(luma[None], curves, maps.knots)[0]
    kr, kb = LUMA_WEIGHTS[frame.colour.matrix]
    blue, red = (span * chroma for span, chroma in zip(_spans(frame), (cb, cr), strict=True))
    green = -(kr * red + kb * blue) / (1 - kr - kb)
    # As the kernel does: the factor on a cell's last row.
    last_rows = np.append(first_pixels(frame.height, format, 1)[1:], frame.height) - 1
    factor = full.values[-1][last_rows]
    gain = light.chroma_gain(
        subsampled(luma, format),
        subsampled(enhanced, format),
        np.maximum(np.maximum(red, green), blue),
        subsampled(factor, replace(format, chroma_shift=(format.chroma_shift[0], 0))),
    )
    from_yuv(enhanced, cb * gain, cr * gain, out)


def _box_average(rgb: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    rows = np.arange(height) * rgb.shape[1] // height
    columns = np.arange(width) * rgb.shape[2] // width
    sums = np.add.reduceat(np.add.reduceat(rgb, rows, axis=1), columns, axis=2)
    counts = np.outer(
        np.diff(np.append(rows, rgb.shape[1])), np.diff(np.append(columns, rgb.shape[2]))
    )
    average: NDArray[np.float64] = sums / counts
    return average
