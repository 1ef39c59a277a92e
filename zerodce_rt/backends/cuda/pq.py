"""PQ (HDR10) frames on the device: to frames in which curves work, and back (``curve/pq.py``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import triton
from numpy.typing import NDArray
from torch import Tensor

from zerodce_rt.backends.cpu import pq_frames
from zerodce_rt.backends.cuda.applier import coefficients, planes_of, strides_of
from zerodce_rt.backends.cuda.buffers import frame_buffer
from zerodce_rt.backends.cuda.driver import capability
from zerodce_rt.backends.cuda.pq_kernels import gamma_to_pq_kernel, pq_to_gamma_kernel
from zerodce_rt.curve import pq
from zerodce_rt.frame import FORMATS, Colour, Frame, PixelFormat


class PQ:
    """The tables for frames of one format, size and colour. Memory stays in place for graphs.

    Attributes:
        before, after: frames of 16-bit planes, to enhance from the one to the other.

    Args:
        source, target: PQ frames, planar or semiplanar, with the same samples.
    """

    def __init__(self, source: Frame, target: Frame, device: torch.device) -> None:
        work = _format_between(source.format)
        colour = Colour(source.colour.matrix, full_range=True)
        like = replace(source, colour=colour)
        self.before, self.after = (frame_buffer(like, device, format=work).frame for _ in range(2))
        self._device, self._colour = device, source.colour
        plain = _planar(source.format)
        peak = source.colour.peak_nits
        gamma, self._scale = pq_frames.gamma_of_values(peak)
        inverse, self._inverse_scale = pq_frames.pq_of_values(peak)
        self._gamma, self._inverse = self._placed(gamma), self._placed(inverse)
        self._gamma_codes = self._placed(pq_frames.gamma_codes(source.colour, plain, work))
        self._pq_codes = self._placed(
            pq_frames.pq_codes(replace(target.colour, peak_nits=peak), plain)
        )
        self._peak = float(np.float32(pq.codes_of(peak)))

    def to_gamma(self, source: Frame) -> None:
        """Fill ``before``, on the current stream."""
        rows, columns = _tile(self._device)
        grid = triton.cdiv(source.width, columns), triton.cdiv(source.height, rows)
        pq_to_gamma_kernel[grid](
            *planes_of(source), *planes_of(self.before), *strides_of(source),
            *strides_of(self.before), source.width, source.height,
            coefficients(source, self._device), coefficients(self.before, self._device),
            self._gamma_codes, self._gamma, float(self._scale),
            SEMIPLANAR=source.format.layout == "semiplanar",
            DROPPED_BITS=source.format.dropped_bits, SHIFT_Y=source.format.chroma_shift[1],
            SHIFT_X=source.format.chroma_shift[0], ROWS=rows, COLUMNS=columns,
        )  # fmt: skip

    def from_gamma(self, source: Frame, target: Frame, gain: Tensor) -> None:
        """Fill a PQ frame from ``after``, on the current stream.

        Args:
            source: of which ``before`` was made.
            gain: one float32 on the device; at 0, the target becomes the source.
        """
        rows, columns = _tile(self._device)
        grid = triton.cdiv(source.width, columns), triton.cdiv(source.height, rows)
        gamma_to_pq_kernel[grid](
            *planes_of(self.after), *planes_of(source), *planes_of(target),
            *strides_of(self.after), *strides_of(source), *strides_of(target),
            source.width, source.height, gain, coefficients(self.after, self._device),
            coefficients(source, self._device), self._pq_codes, self._gamma, float(self._scale),
            self._inverse, float(self._inverse_scale), self._peak,
            SRC_SEMIPLANAR=source.format.layout == "semiplanar",
            SRC_DROPPED_BITS=source.format.dropped_bits,
            DST_SEMIPLANAR=target.format.layout == "semiplanar",
            DST_DROPPED_BITS=target.format.dropped_bits, SHIFT_Y=source.format.chroma_shift[1],
            SHIFT_X=source.format.chroma_shift[0], ROWS=rows, COLUMNS=columns,
        )  # fmt: skip

    def _placed(self, table: NDArray[Any]) -> Tensor:
        return torch.from_numpy(table).to(self._device)


def supports_pq(format: PixelFormat) -> bool:
    """Whether PQ frames of a format can be enhanced on the device."""
    return format.layout in ("planar", "semiplanar") and format.bits > 8


def _format_between(format: PixelFormat) -> PixelFormat:
    subsampling = {(1, 1): "420", (1, 0): "422", (0, 0): "444"}[format.chroma_shift]
    return FORMATS[f"yuv{subsampling}p16le"]


def _planar(format: PixelFormat) -> PixelFormat:
    """The format whose codes are those of another, less the bits that are dropped."""
    return replace(format, dropped_bits=0)


def _tile(device: torch.device) -> tuple[int, int]:
    """Rows and columns of the frame for a block of threads."""
    # The interpreter's time goes by the number of blocks.
    return (16, 128) if capability(device) == 0 else (8, 128)
