"""The denoiser that the fast one is tested against: float64, NumPy, no shortcuts."""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.cpu.reference_frames import to_rgb, yuv_samples
from zerodce_rt.denoise import reference
from zerodce_rt.denoise.learner import NoiseLearner, block_middles
from zerodce_rt.denoise.reference import Array
from zerodce_rt.denoise.rules import STILL_STRICTNESS, VIDEO_STRICTNESS, Strictness
from zerodce_rt.frame import LUMA_WEIGHTS, Colour, Frame, PixelFormat, plane_shapes

_PACKED_AS = Colour("bt709", full_range=True)
# Cells are filled up to multiples of this, so that planes can be halved twice.
_MULTIPLE = 4
_FEWEST_ROWS = 4
_WITH_SPACE = 2


class ReferenceDenoiser:
    """Filters the frames of one video, hundreds of times slower. Is a ``Denoiser``."""

    def __init__(self, *, alone: bool = False) -> None:
        self._strictness = STILL_STRICTNESS if alone else VIDEO_STRICTNESS
        self._kind: tuple[Any, ...] | None = None
        self._fields: list[_Field] = []

    def reset(self) -> None:
        self._kind = None

    def __call__(self, frame: Frame, strength: float, effort: int) -> Frame:
        format, colour = frame.format, frame.colour
        bits, shift = format.bits, format.chroma_shift
        packed = format.layout == "packed"
        if packed:
            bits, shift, colour = 8, (0, 0), _PACKED_AS
        step = 2 if frame.interlaced and frame.height >= _FEWEST_ROWS and not packed else 1
        kind = format, frame.width, frame.height, frame.colour, step
        if kind != self._kind:
            self._kind = kind
            self._fields = [_Field(colour.levels(8)[0], self._strictness) for _ in range(step)]
        work = PixelFormat("cells", "planar", bits, shift, dropped_bits=16 - bits)
        planes = _codes(frame)
        shapes = plane_shapes(work, frame.width, frame.height)
        out = tuple(np.empty(shape, np.uint16) for shape in shapes)
        across, down = 2 >> shift[0], 2 >> shift[1]
        for index, field in enumerate(self._fields):
            luma, *chroma = (plane[index::step] for plane in planes)
            rows, columns = (-(-n // (2 * _MULTIPLE)) * _MULTIPLE for n in luma.shape)
            whole = _filled(luma, 2 * rows, 2 * columns)
            cells = np.stack(
                [_filled(plane, rows * down, columns * across) for plane in chroma]
            ).reshape(2, rows, down, columns, across)
            clean, clean_cells = field.filter(whole, cells, strength, effort)
            together = clean, *clean_cells.reshape(2, rows * down, columns * across)
            for target, plane in zip(out, together, strict=True):
                part = target[index::step]
                codes = plane[: part.shape[0], : part.shape[1]]
                part[:] = np.floor(256 * codes + 0.5).clip(0, 2**16 - 1)
        return Frame(work, out, frame.width, frame.height, colour)


class _Field:
    """Progressive frames, or the fields of one parity."""

    def __init__(self, black: float, strictness: Strictness) -> None:
        self._black, self._strictness = black, strictness
        block_statistics = reference.block_statistics
        self._learner = NoiseLearner(block_statistics, block_statistics, black)
        self._state: reference.State | None = None
        self._before: tuple[Array, Array] | None = None

    def filter(
        self, luma: Array, cells: Array, strength: float, effort: int
    ) -> tuple[Array, Array]:
        """Filter luma and the chroma samples of cells, ``(2, rows, down, columns, across)``."""
        means = cells.mean(axis=(2, 4))
        chroma = np.floor(256 * means + 0.5) / 256
        state = self._state or reference.first_state(luma, chroma)
        before = self._before or (luma, chroma)
        middles = block_middles(state.luma, *chroma.shape[1:])
        if self._strictness is STILL_STRICTNESS:
            self._learner.look_once((luma, chroma), (1.0, 1.0))
        else:
            self._learner.look((luma, chroma), before, middles)
        noise = self._learner.noise(strength)
        rows, columns = chroma.shape[1:]
        changed = (luma != before[0]).reshape(rows, 2, columns, 2).any(axis=(1, 3))
        self._state = reference.over_time(luma, chroma, changed, state, noise, self._black)
        self._before = luma, chroma
        apart = cells - means[:, :, None, :, None]
        if effort < _WITH_SPACE:
            return self._state.luma, self._state.chroma[:, :, None, :, None] + apart
        clean, clean_chroma = reference.over_space(
            self._state, noise, self._black, self._strictness
        )
        fine = reference.fine_chroma(apart, self._state, noise, self._black)
        return clean, clean_chroma[:, :, None, :, None] + fine


def _codes(frame: Frame) -> list[Array]:
    """Luma, Cb and Cr in 8-bit codes, with fractions."""
    if frame.format.layout != "packed":
        unit = 2.0 ** (frame.format.bits + frame.format.dropped_bits - 8)
        return [plane / unit for plane in yuv_samples(frame)]
    rgb = to_rgb(frame)
    kr, kb = LUMA_WEIGHTS[_PACKED_AS.matrix]
    luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    cb, cr = (rgb[2] - luma) / (2 * (1 - kb)), (rgb[0] - luma) / (2 * (1 - kr))
    codes = [255 * luma, 255 * cb + 128, 255 * cr + 128]
    return [np.floor(256 * plane + 0.5) / 256 for plane in codes]


def _filled(plane: Array, rows: int, columns: int) -> Array:
    """A plane with its last row and column repeated to fill so many."""
    missing = (0, rows - plane.shape[0]), (0, columns - plane.shape[1])
    filled: Array = np.pad(plane, missing, mode="edge")
    return filled
