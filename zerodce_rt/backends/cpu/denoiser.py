"""The denoiser on the CPU: its state over time, and its kernels in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.cpu.bands import Bands
from zerodce_rt.backends.cpu.cell_kernels import block_statistics
from zerodce_rt.backends.cpu.cells import (
    MULTIPLE,
    CellLayout,
    WholePlanes,
    cell_layout,
    filtered_colour,
    load,
)
from zerodce_rt.backends.cpu.motion import BLOCK_CELLS, MotionSearch
from zerodce_rt.backends.cpu.motion_kernels import move
from zerodce_rt.backends.cpu.pyramid_kernels import halve, noise_left, shrink
from zerodce_rt.backends.cpu.temporal_kernels import temporal
from zerodce_rt.denoise.learner import Noise, NoiseLearner, block_middles
from zerodce_rt.denoise.noise import BLOCK, BlockStatistics, hinges
from zerodce_rt.denoise.rules import CHROMA_STRICTNESS, LUMA_STRICTNESS
from zerodce_rt.frame import Frame

_WITH_SPACE, _WITH_MOTION = 2, 3
# Interlaced frames of fewer rows have fields without chroma.
_FEWEST_ROWS = 4

_STATE_TO_CODE = np.float32(1 / 256)
_ONE, _ZERO, _HALF = np.float32(1), np.float32(0), np.float32(0.5)


class CPUDenoiser:
    """Filters the frames of one video, in order. Is a ``Denoiser``.

    Args:
        bands: what the work is shared out by.
    """

    def __init__(self, bands: Bands) -> None:
        self._bands = bands
        self._kind: tuple[Any, ...] | None = None
        self._streams: list[_Stream] = []
        self._whole: Frame | None = None

    def reset(self) -> None:
        self._kind = None

    def __call__(self, frame: Frame, strength: float, effort: int) -> Frame:
        interlaced = (
            frame.interlaced and frame.height >= _FEWEST_ROWS and frame.format.layout != "packed"
        )
        kind = frame.format, frame.width, frame.height, frame.colour, interlaced
        if kind != self._kind:
            fields = (0, 1) if interlaced else (None,)
            layouts = [cell_layout(frame.format, frame.width, frame.height, f) for f in fields]
            black = filtered_colour(frame).levels(8)[0]
            self._streams = [_Stream(layout, black, self._bands) for layout in layouts]
            self._whole = _whole_frame(frame, self._streams)
            self._kind = kind
        assert self._whole is not None
        for stream in self._streams:
            stream.filter(frame, strength, effort)
        if interlaced:
            for field, stream in enumerate(self._streams):
                for plane, rows in zip(self._whole.planes, stream.planes, strict=True):
                    target = plane[field::2]
                    target[:] = rows[: target.shape[0]]
        return self._whole


def _whole_frame(frame: Frame, streams: list[_Stream]) -> Frame:
    """The filtered frame: a view of what its only stream writes, or of its own memory."""
    work = streams[0].layout.work
    rows = frame.height, *(2 * [-(-frame.height >> work.chroma_shift[1])])
    planes = streams[0].planes
    if len(streams) == 1:
        views = tuple(plane[:r] for plane, r in zip(planes, rows, strict=True))
    else:
        views = tuple(
            np.empty((r, plane.shape[1]), plane.dtype)
            for plane, r in zip(planes, rows, strict=True)
        )
    return Frame(work, views, frame.width, frame.height, filtered_colour(frame))


class _Stream:
    """Progressive frames, or the fields of one parity.

    Attributes:
        layout: of its cells.
        planes: what the last frame was filtered to.
    """

    def __init__(self, layout: CellLayout, black: float, bands: Bands) -> None:
        self.layout, self._bands = layout, bands
        self._black, self._scale = np.float32(black), np.float32(1 / layout.unit)
        self._learner = NoiseLearner(self._statistics, black)
        self._first = True
        self._motion = MotionSearch((layout.rows, layout.columns), bands)
        self._has_small = False  # the state's quarter-size picture is that of the last frame
        shape = layout.rows, layout.columns
        self._raw, self._before = layout.empty(layout.dtype), layout.empty(layout.dtype)
        self._state, self._next = layout.empty(np.uint16), layout.empty(np.uint16)
        self._left, self._next_left = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        self._out = WholePlanes(layout)
        self.planes = self._out.planes
        half, quarter = _halved(shape), _halved(_halved(shape))
        count = len(self._raw[1])
        self._luma, self._variance, self._luma_filtered = (_floats(shape) for _ in range(3))
        self._luma_half, self._variance_half = _floats(half), _floats(half)
        self._variance_quarter = _floats(quarter)
        self._chroma_half, self._chroma_filtered = _floats((count, *half)), _floats((count, *half))
        self._chroma_quarter = _floats((count, *quarter))

    def filter(self, frame: Frame, strength: float, effort: int) -> None:
        """Take the next frame; ``planes`` are then its filtered ones."""
        load(frame, self.layout, self._bands, self._raw)
        if self._first:
            self._start()
        middles = block_middles(self._state[0], *self._raw[1].shape[1:])
        self._learner.look(self._raw, self._before, middles * _STATE_TO_CODE)
        noise = self._learner.noise(strength)
        if effort >= _WITH_MOTION and self._has_small:
            self._follow_motion(noise)
        self._over_time(noise)
        self._has_small = effort >= _WITH_SPACE
        if effort >= _WITH_SPACE:
            self._halve(noise)
            self._over_space(noise)
        else:
            self._out.take(self._next)
        self._raw, self._before = self._before, self._raw
        self._state, self._next = self._next, self._state
        self._left, self._next_left = self._next_left, self._left

    def _start(self) -> None:
        """Expect the first frame, with all of its noise."""
        factor = int(256 * self._scale)
        for state, raw, before in zip(self._state, self._raw, self._before, strict=True):
            np.multiply(raw, factor, out=state, dtype=np.uint16)
            before[:] = raw
        self._left[:] = 255
        self._first = False

    def _statistics(
        self, plane: NDArray[Any], before: NDArray[Any], start: int, step: int
    ) -> BlockStatistics:
        count = len(range(start, plane.shape[0] // BLOCK, step)) * (plane.shape[1] // BLOCK)
        difference, inside, level = (np.empty(count, np.float32) for _ in range(3))
        blocks = BlockStatistics(difference, inside, level, np.empty(count, np.int32))
        block_statistics(
            plane, before, self._scale, start, step, blocks.difference, blocks.inside,
            blocks.level, blocks.changed,
        )  # fmt: skip
        return blocks

    def _follow_motion(self, noise: Noise) -> None:
        """Carry the state along with the camera."""
        vectors = self._motion.find(self._raw[0], self._scale, self._luma_half, noise.sigma)
        if vectors is None:
            return
        (luma, chroma), (new_luma, new_chroma) = self._state, self._next

        def band(first: int, last: int) -> None:
            move(luma, vectors, 2 * BLOCK_CELLS, 1, new_luma, first, last)
            for k in range(len(chroma)):
                move(chroma[k], vectors, BLOCK_CELLS, 2, new_chroma[k], first, last)
            move(self._left, vectors, BLOCK_CELLS, 2, self._next_left, first, last)

        self._bands.run(band, len(vectors))
        self._state, self._next = self._next, self._state
        self._left, self._next_left = self._next_left, self._left

    def _over_time(self, noise: Noise) -> None:
        h = hinges(1 / np.sqrt(noise.variances))
        chroma_unit = np.float32(1 / np.sqrt(noise.chroma_share))

        def band(first: int, last: int) -> None:
            temporal(
                self._raw, self._before[0], self._state, self._left, self._next,
                self._next_left, self._scale, self._black, h, chroma_unit,
                MULTIPLE * first, MULTIPLE * last,
            )  # fmt: skip

        self._run(band)

    def _halve(self, noise: Noise) -> None:
        """Smaller copies of the state, and the noise that is left in them."""
        h = hinges(noise.variances)
        luma, chroma = self._next

        def band(first: int, last: int) -> None:
            a, b = MULTIPLE * first, MULTIPLE * last
            halve(luma, _STATE_TO_CODE, self._luma, a, b)
            noise_left(self._luma, self._next_left, self._black, h, self._variance, a, b)
            a, b = a // 2, b // 2
            halve(self._luma, _ONE, self._luma_half, a, b)
            halve(self._variance, _ONE, self._variance_half, a, b)
            halve(self._variance_half, _ONE, self._variance_quarter, a // 2, b // 2)
            for k in range(len(chroma)):
                halve(chroma[k], _STATE_TO_CODE, self._chroma_half[k], a, b)
                halve(self._chroma_half[k], _ONE, self._chroma_quarter[k], a // 2, b // 2)

        self._run(band)

    def _over_space(self, noise: Noise) -> None:
        luma, chroma = self._next
        # Four samples are averaged in each of half size.
        fine, coarse = (np.float32(s) for s in LUMA_STRICTNESS)
        chroma_fine, chroma_coarse = (np.float32(s * noise.chroma_share) for s in CHROMA_STRICTNESS)
        quarter = np.float32(0.25)
        to_state = np.float32(256)

        def half_size(first: int, last: int) -> None:
            a, b = 2 * first, 2 * last
            shrink(self._luma, self._variance_half, self._luma_half, coarse * quarter, _ONE,
                   _ONE, _ZERO, self._luma_filtered, a, b)  # fmt: skip
            for k in range(len(chroma)):
                shrink(self._chroma_half[k], self._variance_quarter, self._chroma_quarter[k],
                       chroma_coarse * quarter, _ONE, _ONE, _ZERO, self._chroma_filtered[k],
                       a // 2, b // 2)  # fmt: skip

        def full_size(first: int, last: int) -> None:
            a, b = MULTIPLE * first, MULTIPLE * last
            shrink(luma, self._variance, self._luma_filtered, fine, _STATE_TO_CODE, to_state,
                   _HALF, self._out.luma, a, b)  # fmt: skip
            for k in range(len(chroma)):
                shrink(chroma[k], self._variance_half, self._chroma_filtered[k], chroma_fine,
                       _STATE_TO_CODE, to_state, _HALF, self._out.chroma[k],
                       a // 2, b // 2)  # fmt: skip
            self._out.finish(a, b)

        self._run(half_size)
        self._run(full_size)

    def _run(self, band: Callable[[int, int], None]) -> None:
        self._bands.run(band, self.layout.rows // MULTIPLE)


def _halved(shape: tuple[int, int]) -> tuple[int, int]:
    return shape[0] // 2, shape[1] // 2


def _floats(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.empty(shape, np.float32)
