"""The CPU applier: the fused kernels, spread over a few threads in bands of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.coefficients import LUMA_OFFSET, LUMA_SCALE, yuv_coefficients
from zerodce_rt.backends.cpu import pq_frames
from zerodce_rt.backends.cpu.arguments import chroma_layout, map_grid, white_code, yuv_planes
from zerodce_rt.backends.cpu.bands import Bands
from zerodce_rt.backends.cpu.cells import FilteredPixels
from zerodce_rt.backends.cpu.curve_kernels import enhance_packed, enhance_yuv
from zerodce_rt.backends.cpu.denoiser import CPUDenoiser
from zerodce_rt.backends.cpu.finishing_kernels import gate_of, raise_curves
from zerodce_rt.backends.cpu.floor_kernels import steps_of_luma, steps_of_packed
from zerodce_rt.backends.cpu.light_kernels import enhance_light_yuv
from zerodce_rt.backends.cpu.pq_kernels import gamma_to_pq, pq_to_gamma
from zerodce_rt.backends.cpu.refined_kernels import enhance_refined
from zerodce_rt.backends.cpu.slow_start import SlowStart
from zerodce_rt.backends.cpu.thumbnail_kernels import thumbnail_packed, thumbnail_yuv
from zerodce_rt.backends.cpu.yuyv_kernels import join_yuyv, split_yuyv
from zerodce_rt.curve import floor, pq
from zerodce_rt.curve.maps import CurveMaps
from zerodce_rt.frame import FORMATS, Frame, plane_shapes


class CPUApplier:
    """Thumbnails and curves by the fused Numba kernels. Is an ``Applier``.

    Args:
        threads: bands worked on at once; default: the usable cores, eight at most.

    Raises:
        ValueError: for less than one thread.
    """

    name = "cpu"

    def __init__(self, *, threads: int | None = None) -> None:
        self._bands = Bands(threads=threads)
        self._start = SlowStart()

    def close(self) -> None:
        self._bands.close()

    def denoiser(self, *, alone: bool = False) -> CPUDenoiser:
        return CPUDenoiser(self._bands, self._start, alone=alone)

    def thumbnail(self, frame: Frame, height: int, width: int) -> NDArray[np.float32]:
        out = np.empty((3, height, width), np.float32)
        with self._start.reported("thumbnail", frame.format):
            self._bands.run(_thumbnail_band(frame, out), self._bands.bounds(height))
        return out

    def dark_steps(self, frame: Frame, height: int, width: int) -> NDArray[np.float32]:
        out = np.empty((2, height, width), np.float32)
        format, rows = frame.format, floor.sampled_rows(frame.height, height)
        with self._start.reported("floor", format):
            if format.layout == "packed":
                scale = np.float32(255) / white_code(format)
                steps_of_packed(frame.planes[0], format.bgr, frame.width, rows, scale, out)
            else:
                c = _coefficients(frame)
                offset, scale = c[LUMA_OFFSET], c[LUMA_SCALE] * np.float32(255)
                apart = 2 if format.layout == "yuyv" else 1
                steps_of_luma(frame.planes[0], apart, frame.width, rows, offset, scale, out)
        return out

    def finished(self, frame: Frame, maps: CurveMaps) -> CurveMaps:
        cells = floor.grid_of(frame.height, frame.width)
        gate = np.empty(cells, np.float32)
        gate_of(self.dark_steps(frame, *cells), gate)
        finished = floor.with_floor(maps, gate)
        raise_curves(finished.values, np.array(maps.knots, np.float32))
        return finished

    def apply(self, frame: Frame, maps: CurveMaps, out: Frame) -> None:
        format, width, height = frame.format, frame.width, frame.height
        if (out.width, out.height) != (width, height) or not _readable_for(frame, out):
            raise ValueError("out must be of the format and size of the frame")
        if out.format.layout == "yuyv":
            planar = _planar(frame) if frame.format.layout == "yuyv" else frame
            self._as_yuyv(out, partial(self.apply, planar, maps))
            return
        grid = map_grid(maps, out)
        rows = height
        if out.format.layout == "packed":
            white = white_code(out.format)
            rounding = np.float32(0.0 if out.format.bits == 32 else 0.5)
            if isinstance(frame, FilteredPixels):
                band = partial(
                    enhance_refined, frame.planes[0], frame.filtered, frame.codes, frame.source,
                    frame.noise, out.planes[0], out.format.bgr, _coefficients(frame), white,
                    rounding, grid,
                )  # fmt: skip
                rows = -(-height // 2)
            else:
                band = partial(
                    enhance_packed, frame.planes[0], out.planes[0], width, format.bgr, white,
                    rounding, grid,
                )  # fmt: skip
        else:
            enhance = enhance_light_yuv if maps.light else enhance_yuv
            band = partial(
                enhance, yuv_planes(frame), yuv_planes(out), width, height,
                (chroma_layout(format), chroma_layout(out.format)),
                (_coefficients(frame), _coefficients(out)), grid,
            )  # fmt: skip
            rows = -(-height >> format.chroma_shift[1])
        with self._start.reported("apply", out.format):
            self._bands.run(band, self._bands.bounds(rows))
        if out.format.dropped_bits:
            _clear_dropped_bits(out)

    def pq_to_gamma(self, frame: Frame) -> Frame:
        if frame.format.layout == "yuyv":
            frame = _planar(frame)
        out = pq_frames.empty_gamma_frame(frame)
        if frame.format.layout == "packed":
            pq_frames.packed_to_gamma(frame, out)
            return out
        table, scale = pq_frames.gamma_of_values(frame.colour.peak_nits)
        band = partial(
            pq_to_gamma, yuv_planes(frame), yuv_planes(out), frame.width, frame.height,
            chroma_layout(frame.format), _coefficients(frame), _coefficients(out),
            pq_frames.gamma_codes(frame.colour, frame.format, out.format), table, scale,
        )  # fmt: skip
        with self._start.reported("from PQ", frame.format):
            self._bands.run(band, self._bands.bounds(out.planes[1].shape[0]))
        return out

    def gamma_to_pq(self, enhanced: Frame, source: Frame, out: Frame) -> None:
        if source.format.layout == "packed":
            pq_frames.packed_to_pq(enhanced, source, out)
            return
        if out.format.layout == "yuyv":
            self._as_yuyv(out, partial(self.gamma_to_pq, enhanced, _planar(source)))
            return
        peak = source.colour.peak_nits
        tables = (
            pq_frames.pq_codes(replace(out.colour, peak_nits=peak), out.format),
            *pq_frames.gamma_of_values(peak),
            *pq_frames.pq_of_values(peak),
        )
        band = partial(
            gamma_to_pq, yuv_planes(enhanced), yuv_planes(source), yuv_planes(out), out.width,
            out.height, (chroma_layout(source.format), chroma_layout(out.format)),
            _coefficients(enhanced), _coefficients(out), tables, np.float32(pq.codes_of(peak)),
        )  # fmt: skip
        with self._start.reported("to PQ", out.format):
            self._bands.run(band, self._bands.bounds(enhanced.planes[1].shape[0]))
        if out.format.dropped_bits:
            _clear_dropped_bits(out)

    def _as_yuyv(self, out: Frame, fill: Callable[[Frame], None]) -> None:
        """Fill a YUYV frame by what fills a planar one."""
        target = _empty_planar(out)
        fill(target)
        y, u, v = target.planes
        if out.width % 2:
            y[:, -1] = y[:, -2]
        join_yuyv(y, u, v, out.planes[0])


def _readable_for(frame: Frame, out: Frame) -> bool:
    """Whether the kernels go from a frame to ``out``: of its format, or filtered from it."""
    if frame.format == out.format:
        return True
    if isinstance(frame, FilteredPixels):
        return out.format.layout == "packed"
    planes = frame.format.layout == "planar" and out.format.layout != "packed"
    return planes and frame.format.chroma_shift == out.format.chroma_shift


def _thumbnail_band(frame: Frame, out: NDArray[np.float32]) -> Callable[[int, int], None]:
    """What fills rows of a thumbnail."""
    if frame.format.layout == "yuyv":
        frame = _planar(frame)
    format, width, height = frame.format, frame.width, frame.height
    if format.layout == "packed":
        white = white_code(format)
        return partial(thumbnail_packed, frame.planes[0], width, height, format.bgr, white, out)
    layout, coefficients = chroma_layout(format), _coefficients(frame)
    return partial(thumbnail_yuv, yuv_planes(frame), width, height, layout, coefficients, out)


def _empty_planar(frame: Frame) -> Frame:
    """Planes for the samples of a YUYV frame; an odd width is filled up to whole cells."""
    cells = -(-frame.width // 2)
    widths = 2 * cells, cells, cells
    planes = tuple(np.empty((frame.height, w), np.uint8) for w in widths)
    return replace(frame, format=FORMATS["yuv422p"], planes=planes)


def _planar(frame: Frame) -> Frame:
    """A YUYV frame as planes."""
    planar = _empty_planar(frame)
    split_yuyv(frame.planes[0], *planar.planes)
    return planar


def _clear_dropped_bits(frame: Frame) -> None:
    """Round samples to multiples of ``2 ** dropped_bits``; the kernel has used all 16 bits."""
    unit = 1 << frame.format.dropped_bits
    shapes = plane_shapes(frame.format, frame.width, frame.height)
    for plane, (_, samples) in zip(frame.planes, shapes, strict=True):
        visible = plane[:, :samples]
        visible += unit // 2
        visible &= 0x10000 - unit


def _coefficients(frame: Frame) -> NDArray[np.float32]:
    return yuv_coefficients(frame.colour, frame.format.bits, frame.format.dropped_bits)
