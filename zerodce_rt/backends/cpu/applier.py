"""The CPU applier: the fused kernels, spread over a few threads in bands of rows."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.coefficients import yuv_coefficients
from zerodce_rt.backends.cpu import (
    curve_kernels as kernels,
)
from zerodce_rt.backends.cpu import (
    thumbnail_kernels as kernels_thumbnail,
)
from zerodce_rt.backends.cpu import (
    yuyv_kernels as kernels_yuyv,
)
from zerodce_rt.curve.maps import CurveMaps, source_positions
from zerodce_rt.frame import FORMATS, Frame, plane_shapes

log = logging.getLogger(__name__)

# More threads than this fight the decoder and the encoder for the memory bus.
MAX_THREADS = 8
BANDS_PER_THREAD = 2
_PATIENCE_SECONDS = 2.0


class CPUApplier:
    """``(frame, maps) -> frame`` by the fused Numba kernels.

    Args:
        threads: bands worked on at once; default: the usable cores, eight at most.
    """

    name = "cpu"

    def __init__(self, *, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        self.threads = threads or min(usable_cores(), MAX_THREADS)
        self._pool = ThreadPoolExecutor(self.threads, "zerodce-apply")
        self._compiled: set[tuple[str, str]] = set()

    def thumbnail(self, frame: Frame, height: int, width: int) -> NDArray[np.float32]:
        out = np.empty((3, height, width), np.float32)
        with self._announced("thumbnail", frame):
            self._fill_thumbnail(frame, out)
        return out

    def _fill_thumbnail(self, frame: Frame, out: NDArray[np.float32]) -> None:
        if frame.format.layout == "yuyv":
            frame = _split(frame)
        format = frame.format
        if format.layout == "packed":
            kernels_thumbnail.thumbnail_packed(
                frame.planes[0], frame.width, frame.height, format.bgr, _white(format.bits), out
            )
        else:
            y, u, v = _yuv_planes(frame)
            kernels_thumbnail.thumbnail_yuv(
                y, u, v, frame.width, frame.height, *format.chroma_shift,
                _chroma_step(frame), _coefficients(frame), out,
            )  # fmt: skip

    def apply(self, frame: Frame, maps: CurveMaps, out: Frame) -> None:
        format, width, height = frame.format, frame.width, frame.height
        if (out.format, out.width, out.height) != (format, width, height):
            raise ValueError("out must be of the format and size of the frame")
        if format.layout == "yuyv":
            self._apply_yuyv(frame, maps, out)
            return
        map_height, map_width = maps.values.shape[1:]
        row_lower, row_weight = _rows(height, map_height, maps.align_corners)
        columns = 1 << format.chroma_shift[0]
        cells, weights = _cells(width, columns, map_width, maps.align_corners)
        values = np.ascontiguousarray(maps.values, np.float32)
        grid = (values, row_lower, row_weight, cells, weights)
        if format.layout == "packed":
            rounding = np.float32(0.0 if format.bits == 32 else 0.5)

            def band(first: int, last: int) -> None:
                kernels.enhance_packed(
                    frame.planes[0], out.planes[0], width, first, last, format.bgr,
                    _white(format.bits), rounding, *grid,
                )  # fmt: skip

            rows = height
        else:
            shift_x, shift_y = format.chroma_shift
            coefficients = _coefficients(frame)
            source, target, step = _yuv_planes(frame), _yuv_planes(out), _chroma_step(frame)

            def band(first: int, last: int) -> None:
                kernels.enhance_yuv(
                    *source, *target, width, height, shift_x, shift_y, step,
                    first, last, coefficients, *grid,
                )  # fmt: skip

            rows = -(-height >> shift_y)
        with self._announced("apply", frame):
            self._in_bands(band, rows)
        if format.dropped_bits:
            _round_off(out)

    def _apply_yuyv(self, frame: Frame, maps: CurveMaps, out: Frame) -> None:
        target = _planar(frame)
        self.apply(_split(frame), maps, target)
        y, u, v = target.planes
        if frame.width % 2:
            y[:, -1] = y[:, -2]
        kernels_yuyv.join_yuyv(y, u, v, out.planes[0])

    @contextmanager
    def _announced(self, what: str, frame: Frame) -> Iterator[None]:
        """Say so when the first frame of a format takes long: Numba is compiling."""
        key = what, frame.format.name
        if key in self._compiled:
            yield
            return
        timer = threading.Timer(
            _PATIENCE_SECONDS, log.info, ["compiling kernels for this processor, only once ..."]
        )
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
        self._compiled.add(key)

    def _in_bands(self, band: Callable[[int, int], None], rows: int) -> None:
        # More bands than threads: one that is kept from running leaves its share to the others.
        count = 1 if self.threads == 1 else BANDS_PER_THREAD * self.threads
        bands = iter(list(pairwise(sorted({i * rows // count for i in range(count + 1)}))))

        def work() -> None:
            for first, last in bands:
                band(first, last)

        others = [self._pool.submit(work) for _ in range(self.threads - 1)]
        try:
            work()  # the caller's own thread takes part rather than wait
        finally:
            for other in others:
                other.result()


def usable_cores() -> int:
    """Cores that this process may run on (fewer than the machine's in a container)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _planar(frame: Frame) -> Frame:
    """An empty planar frame for what a YUYV frame holds, with rows of whole cells."""
    cells = -(-frame.width // 2)
    widths = 2 * cells, cells, cells
    planes = tuple(np.empty((frame.height, w), np.uint8) for w in widths)
    return replace(frame, format=FORMATS["yuv422p"], planes=planes)


def _split(frame: Frame) -> Frame:
    """A YUYV frame as planes."""
    planar = _planar(frame)
    y, u, v = planar.planes
    kernels_yuyv.split_yuyv(frame.planes[0], y, u, v)
    return planar


def _round_off(frame: Frame) -> None:
    """Round samples to those of their bits that count; the kernel has used all 16."""
    unit = 1 << frame.format.dropped_bits
    shapes = plane_shapes(frame.format, frame.width, frame.height)
    for plane, (_, samples) in zip(frame.planes, shapes, strict=True):
        visible = plane[:, :samples]
        visible += unit // 2
        visible &= 0x10000 - unit


def _coefficients(frame: Frame) -> NDArray[np.float32]:
    return yuv_coefficients(frame.colour, frame.format.bits, frame.format.dropped_bits)


def _yuv_planes(frame: Frame) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    y, u = frame.planes[:2]
    return y, u, frame.planes[-1]


def _chroma_step(frame: Frame) -> int:
    return 2 if frame.format.layout == "semiplanar" else 1


def _white(bits: int) -> np.float32:
    return np.float32(1.0 if bits == 32 else 2**bits - 1)


@lru_cache(maxsize=16)
def _rows(
    height: int, map_height: int, align_corners: bool
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    lower, weight = source_positions(height, map_height, align_corners=align_corners)
    return lower, weight.astype(np.float32)


@lru_cache(maxsize=16)
def _cells(
    width: int, columns: int, map_width: int, align_corners: bool
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """First pixel right of each map sample (and the end), and each pixel's weight.

    The last pixel is repeated to fill a cell of ``columns``. Weights are ``(columns, cells)``.
    """
    lower, weight = source_positions(width, map_width, align_corners=align_corners)
    fill = (0, -width % columns)
    lower, weight = np.pad(lower, fill, mode="edge"), np.pad(weight, fill, mode="edge")
    weights = np.ascontiguousarray(weight.reshape(-1, columns).T, np.float32)
    return np.searchsorted(lower, np.arange(map_width + 1)), weights
