"""The denoiser on the CPU: its state over time, and its kernels in their order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.cpu.bands import Bands
from zerodce_rt.backends.cpu.cell_kernels import block_statistics
from zerodce_rt.backends.cpu.cells import (
    CellLayout,
    FilteredPixels,
    FineChroma,
    cell_layout,
    chroma_source,
    filtered_colour,
    load,
    noise_of_samples,
)
from zerodce_rt.backends.cpu.filter_kernels import REACH, filter_band, filter_border
from zerodce_rt.backends.cpu.motion import MotionSearch
from zerodce_rt.backends.cpu.motion_kernels import move
from zerodce_rt.backends.cpu.slow_start import SlowStart
from zerodce_rt.backends.cpu.temporal_kernels import temporal
from zerodce_rt.denoise.learner import Noise, NoiseLearner, block_middles
from zerodce_rt.denoise.noise import BLOCK, BlockStatistics, hinges
from zerodce_rt.denoise.rules import (
    BLOCK_CELLS,
    FINE_STRICTNESS,
    STILL_STRICTNESS,
    VIDEO_STRICTNESS,
    has_fields,
)
from zerodce_rt.frame import Frame

# Of a band: its borders must not meet.
LEAST_ROWS = 4 * REACH
_WITH_SPACE, _WITH_MOTION = 2, 3

_STATE_TO_CODE = np.float32(1 / 256)


class CPUDenoiser:
    """Filters the frames of one video, in order. Is a ``Denoiser``.

    Args:
        bands: what the work is shared out by.
        start: reports it, when kernels are compiled.
        alone: only one frame will come, for which less memory is enough.
    """

    def __init__(self, bands: Bands, start: SlowStart, *, alone: bool = False) -> None:
        self._bands, self._start, self._alone = bands, start, alone
        self._kind: tuple[Any, ...] | None = None
        self._streams: list[_Stream] = []

    def reset(self) -> None:
        for stream in self._streams:
            stream.restart()

    def __call__(self, frame: Frame, strength: float, effort: int) -> Frame:
        format, width, height = frame.format, frame.width, frame.height
        interlaced = has_fields(frame)
        kind = format, width, height, frame.colour, interlaced
        if kind != self._kind:
            layouts = [
                cell_layout(format, width, height, field)
                for field in ((0, 1) if interlaced else (None,))
            ]
            black = filtered_colour(frame).levels(8)[0]
            self._streams = [
                _Stream(layout, black, self._bands, alone=self._alone) for layout in layouts
            ]
            self._kind = kind
        with self._start.reported("denoise", format):
            fields = [stream.filter(frame, strength, effort) for stream in self._streams]
            layout, colour = self._streams[0].layout, filtered_colour(frame)
            if layout.luma is None:
                [field] = fields
                planes = _cut(layout, height, (field.luma, *field.chroma))
                source = chroma_source(frame, layout)
                return FilteredPixels(
                    layout.work, planes, width, height, colour, False, field.chroma, field.codes,
                    source, noise_of_samples(field.noise, layout),
                )  # fmt: skip
            if not layout.whole:
                for stream, field in zip(self._streams, fields, strict=True):
                    stream.add_fine_chroma(frame, field)
            woven = _woven([(f.luma, *f.chroma) for f in fields])
            return Frame(layout.work, _cut(layout, height, woven), width, height, colour)


Planes = tuple[NDArray[np.uint16], ...]


@dataclass
class _Filtered:
    """What a frame, or a field, was filtered to; valid until the frame after it.

    Attributes:
        luma, chroma: of its cells.
        codes: mean luma of the cells.
        noise: black, variance, and by what that of a cell's mean chroma is multiplied.
    """

    luma: NDArray[np.uint16]
    chroma: Any
    codes: NDArray[np.uint16]
    noise: tuple[Any, ...]


def _cut(layout: CellLayout, height: int, planes: Planes) -> Planes:
    """Planes without the rows below a frame."""
    rows = height, *(2 * [-(-height >> layout.work.chroma_shift[1])])
    return tuple(plane[:n] for plane, n in zip(planes, rows, strict=True))


def _woven(fields: list[Planes]) -> Planes:
    """The rows of two fields in turns; of one alone, itself."""
    if len(fields) == 1:
        return fields[0]
    woven = []
    for even, odd in zip(*fields, strict=True):
        plane = np.empty((2 * len(even), even.shape[1]), even.dtype)
        plane[0::2] = even
        plane[1::2][: len(odd)] = odd  # an odd height may leave it a few cells shorter
        woven.append(plane)
    return tuple(woven)


def _work_planes(shape: tuple[int, int]) -> tuple[NDArray[Any], ...]:
    """See ``filter_band``."""
    half = shape[0] // 2, shape[1] // 2
    return (
        np.empty(shape, np.uint16),
        np.empty(half, np.uint16),
        np.empty(half, np.uint8),
        np.empty(shape, np.uint16),
    )


class _Stream:
    """Progressive frames, or the fields of one parity.

    Attributes:
        layout: of its cells.
    """

    def __init__(self, layout: CellLayout, black: float, bands: Bands, *, alone: bool) -> None:
        self.layout, self._bands = layout, bands
        self._black = np.float32(black)
        self._scales = tuple(np.float32(1 / unit) for unit in layout.units)
        shape = layout.rows, layout.columns
        self._raw, self._state, self._next = (
            layout.empty(layout.dtypes),
            layout.empty(),
            layout.empty(),
        )
        self._before = self._raw if alone else layout.empty(layout.dtypes)
        if alone and layout.luma is None:  # the first state of packed pixels is the frame itself
            self._state = self._raw
        self._left, self._next_left = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        self._fine: FineChroma | None = None
        self._alone = alone
        self._strictness = STILL_STRICTNESS if alone else VIDEO_STRICTNESS
        self._work = _work_planes(shape)
        self._begin()

    def restart(self) -> None:
        """Forget the past, but keep the memory."""
        if self._first:
            return
        self._begin()

    def _begin(self) -> None:
        self._first = True
        # Not methods: with a reference back to this, its memory would stay for a while.
        luma, chroma = (partial(_statistics, scale) for scale in self._scales)
        self._learner = NoiseLearner(luma, chroma, float(self._black))
        self._motion = MotionSearch((self.layout.rows, self.layout.columns), self._bands)

    def filter(self, frame: Frame, strength: float, effort: int) -> _Filtered:
        """Filter the next frame."""
        load(frame, self.layout, self._bands, self._raw)
        if self._first:
            self._start()
        middles = block_middles(self._state[0], *self._raw[1].shape[1:])
        if self._alone:
            self._learner.look_once(self._raw, self._scales)
        else:
            self._learner.look(self._raw, self._before, middles * _STATE_TO_CODE)
        noise = self._learner.noise(strength)
        if effort >= _WITH_MOTION:
            self._follow_motion(noise)
        numbers, pairs = self._numbers_of_time(noise), self._pairs()
        bounds = self._bands.bounds(self.layout.rows, LEAST_ROWS)
        if effort >= _WITH_SPACE:
            self._filter(numbers, pairs, noise, bounds)
            luma, chroma = self._state  # it is no longer needed, and has been filled anew
        else:
            self._filter_over_time(numbers, pairs, bounds)
            luma, chroma = self._next
        self._raw, self._before = self._before, self._raw
        self._state, self._next = self._next, self._state
        self._left, self._next_left = self._next_left, self._left
        strictness = FINE_STRICTNESS * noise.chroma_share if effort >= _WITH_SPACE else 0.0
        limits = self._black, hinges(noise.variances), strictness
        return _Filtered(luma, chroma, self._work[0], limits)

    def add_fine_chroma(self, frame: Frame, filtered: _Filtered) -> None:
        """Chroma with all of a frame's samples, in the place of the cells'."""
        if self._fine is None:
            self._fine = FineChroma(self.layout)
        noise = noise_of_samples(filtered.noise, self.layout)
        self._fine.fill(frame, filtered.chroma, filtered.codes, noise, self._bands)
        filtered.chroma = self._fine.planes

    def _start(self) -> None:
        """Expect the first frame, with all of its noise."""
        for state, raw, before, scale in zip(
            self._state, self._raw, self._before, self._scales, strict=True
        ):
            if state is not raw:
                np.multiply(raw, int(256 * scale), out=state, dtype=np.uint16)
            if before is not raw:
                before[:] = raw
        self._left[:] = 255
        self._first = False

    def _follow_motion(self, noise: Noise) -> None:
        """Carry the state along with the camera."""
        vectors = self._motion.find(self._raw[0], self._scales[0], self._state[0], noise.sigma)
        if vectors is None:
            return
        (luma, chroma), (new_luma, new_chroma) = self._state, self._next

        def band(first: int, last: int) -> None:
            move(luma, vectors, 2 * BLOCK_CELLS, 1, new_luma, first, last)
            for k in range(len(chroma)):
                move(chroma[k], vectors, BLOCK_CELLS, 2, new_chroma[k], first, last)
            move(self._left, vectors, BLOCK_CELLS, 2, self._next_left, first, last)

        self._bands.run(band, self._bands.bounds(len(vectors)))
        self._state, self._next = self._next, self._state
        self._left, self._next_left = self._next_left, self._left

    def _filter(
        self, numbers: tuple[Any, ...], pairs: list[NDArray[Any]], noise: Noise, bounds: list[int]
    ) -> None:
        """Over time and space; the result goes where the state before was."""
        rules = self._strictness
        space = (
            self._black,
            hinges(noise.variances),
            np.float32(rules.means / 4),  # a mean of four has a quarter of the noise
            np.float32(rules.chroma * noise.chroma_share),
            np.float32(rules.luma),
            np.float32(rules.moving_doubt),
        )
        out = self._state

        def band(first: int, last: int) -> None:
            filter_band(
                self._raw, *pairs, self._state, self._left, self._next, self._next_left, numbers,
                self._work, space, out, first, last,
            )  # fmt: skip

        def border(first: int, last: int) -> None:
            for row in bounds[1:-1][first:last]:
                filter_border(self._next, self._next_left, self._work, space, out, row)

        self._bands.run(band, bounds)
        self._bands.run(border, range(len(bounds) - 1))

    def _filter_over_time(
        self, numbers: tuple[Any, ...], pairs: list[NDArray[Any]], bounds: list[int]
    ) -> None:
        def band(first: int, last: int) -> None:
            temporal(
                self._raw, *pairs, self._state, self._left, self._next, self._next_left, numbers,
                first, last,
            )  # fmt: skip

        self._bands.run(band, bounds)

    def _pairs(self) -> list[NDArray[Any]]:
        """Luma of the frame and the one before, with two samples in an element."""
        twice = f"u{2 * self.layout.dtypes[0].itemsize}"
        return [planes[0].view(twice) for planes in (self._raw, self._before)]

    def _numbers_of_time(self, noise: Noise) -> tuple[Any, ...]:
        return (
            *self._scales,
            self._black,
            hinges(1 / np.sqrt(noise.variances)),
            np.float32(1 / np.sqrt(noise.chroma_share)),
        )


def _statistics(
    scale: np.float32, plane: NDArray[Any], before: NDArray[Any], start: int, step: int
) -> BlockStatistics:
    """``learner.Statistics`` of a plane whose samples are 8-bit codes after scaling."""
    count = len(range(start, plane.shape[0] // BLOCK, step)) * (plane.shape[1] // BLOCK)
    difference, inside, level = (np.empty(count, np.float32) for _ in range(3))
    blocks = BlockStatistics(difference, inside, level, np.empty(count, np.int32))
    block_statistics(plane, before, scale, start, step, difference, inside, level, blocks.changed)
    return blocks
