"""The denoiser on a GPU: its state over time, and its kernels in their order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import triton
from torch import Tensor

from zerodce_rt.backends.coefficients import yuv_coefficients
from zerodce_rt.backends.cuda import denoise_cell_kernels as cells
from zerodce_rt.backends.cuda import denoise_curve_kernels as lit
from zerodce_rt.backends.cuda import denoise_kernels as kernels
from zerodce_rt.backends.cuda import denoise_learn_kernels as learning
from zerodce_rt.backends.cuda import denoise_motion_kernels as moving
from zerodce_rt.backends.cuda import denoise_space_kernels as space
from zerodce_rt.backends.cuda.applier import (
    LAYOUTS,
    coefficients,
    constants_of,
    mapping,
    planes_of,
    source_coefficients,
    strides_of,
    supports,
)
from zerodce_rt.backends.cuda.chained_kernels import chain_start, chained
from zerodce_rt.backends.cuda.driver import capability
from zerodce_rt.denoise import learner, noise, rules
from zerodce_rt.frame import PACKED_MATRIX, Colour, Frame, PixelFormat, plane_shapes

BLOCKS = 16
"""Blocks of 8x8 samples beside each other that a block of threads looks at for their noise."""
CHUNK, CHUNK_WARPS = 512, 8
"""Blocks of samples that are counted together, and warps of the threads that do so."""
SMALL_COLUMNS = 32
"""Samples beside each other of the pictures that motion is searched in, for a block of threads."""

# Rows and columns of cells are filled up to this, so that planes can be halved twice.
_MULTIPLE = 4
# What packed RGB is filtered as: with 256 steps to an 8-bit code.
_PACKED_AS = Colour(PACKED_MATRIX, full_range=True)


def denoiser_for(
    like: Frame, device: torch.device, *, fused: bool = False
) -> DeviceDenoiser | FieldsDenoiser:
    """What filters frames of a kind, on the host or the device; of interlaced ones, each field.

    Args:
        fused: see ``DeviceDenoiser``.
    """
    if rules.has_fields(like):
        return FieldsDenoiser(like, device)
    return DeviceDenoiser(like, device, fused=fused)


def filtered_format(format: PixelFormat) -> PixelFormat:
    """The format of frames of a format when they are filtered.

    Their samples have 16 bits and lie as the frame's do. Of YUV, the upper bits are the frame's
    own, and the others their fraction, so that the frame's coefficients hold after a division by
    ``2 ** dropped_bits``. Packed RGB becomes that of 16 bits, with 65,535 for white; of floats,
    floats.
    """
    if format.layout == "packed":
        return replace(format, name="cells", bits=32 if format.bits == 32 else 16)
    return replace(format, name="cells", dropped_bits=16 - format.bits)


class DeviceDenoiser:
    """Filters the frames of one video, or their fields of one parity, in order, without a host
    round trip.

    All its memory is allocated here and stays in place, and all that changes is read by the
    kernels from there, so that ``run`` can be recorded in a CUDA graph. Does what ``CPUDenoiser``
    does with effort 3, but finds the motion of a camera in its own way; see
    ``denoise_motion_kernels``.

    Args:
        like: a frame of the kind that will come, on the host or the device.
        field: 0 for the even rows of each frame, 1 for the odd ones, None for all.
        result: where to write them; default: new memory.
        fused: light maps are applied while luma is filtered, where that can be (``line_width``):
            then ``filter_luma_and_enhance`` stands for ``filter``, which must not be called.
    """

    def __init__(
        self, like: Frame, device: torch.device, *, field: int | None = None,
        result: Result | None = None, fused: bool = False,
    ) -> None:  # fmt: skip
        format, packed = like.format, like.format.layout == "packed"
        self._format, self._field = format, field
        height = like.height if field is None else _rows_of(field, like.height)
        rows, columns = self._rows, self._columns = cells_of(height, like.width)
        shift_x, shift_y = (0, 0) if packed else format.chroma_shift
        across, down = 2 >> shift_x, 2 >> shift_y
        self._fine = across * down > 1
        self._fused = fused and not self._fine
        colour = _PACKED_AS if packed else like.colour
        self._black = float(colour.levels(8)[0])
        # Of the copies of a frame, luma and chroma: samples for one 8-bit code.
        unit = 256.0 if packed else 2.0 ** (format.bits + format.dropped_bits - 8)
        self._unit, self._chroma_unit = unit, 256.0 if self._fine else unit
        self._tile = tile(capability(device))
        # Of kernels that directly follow another, so not after a branch of the graph.
        self._chained = chained(device)

        def empty(*shape: int, dtype: torch.dtype = torch.uint16) -> Tensor:
            return torch.empty(shape, dtype=dtype, device=device)

        own = torch.uint8 if format.dtype == np.uint8 else torch.uint16
        self._raw = empty(2, 2 * rows, 2 * columns, dtype=torch.uint16 if packed else own)
        self._raw_chroma = empty(2, 2, rows, columns, dtype=torch.uint16 if self._fine else own)
        self._state = empty(3, 2 * rows, 2 * columns)
        self._state_chroma = empty(3, 2, rows, columns)
        self._left = empty(3, rows, columns, dtype=torch.uint8)
        self._codes, self._coarse = empty(rows, columns), empty(rows, columns)
        self._result = result or result_for(like, rows, device, luma=not self._fused)
        self._filtered_chroma = empty(2, rows, columns) if self._fine else self._result.chroma

        blocks = (2 * rows // noise.BLOCK) * (2 * columns // noise.BLOCK)
        self._apart = max(
            learner.ROWS_APART, 4 * rows * columns // (noise.BLOCK**2 * learner.BLOCKS_SEEN)
        )
        self._looked_at = triton.cdiv(2 * rows // noise.BLOCK, self._apart)
        self._most = blocks
        self._bins = empty(2, blocks, dtype=torch.int32)
        self._inside, self._difference = (empty(2, blocks, dtype=torch.float32) for _ in range(2))
        self._kept = torch.zeros((2, 3, learning.TABLE.value), device=device)
        self._counters, self._flags = (
            torch.zeros(n, dtype=torch.int32, device=device)
            for n in (kernels.COUNTERS, kernels.FLAGS)
        )
        self._noise = empty(kernels.NUMBERS, dtype=torch.float32)
        self._table = torch.from_numpy(_table()).to(device)
        self._coefficients = torch.from_numpy(yuv_coefficients(_PACKED_AS, 8, 8)).to(device)

        moved = triton.cdiv(rows, rules.BLOCK_CELLS) * triton.cdiv(columns, rules.BLOCK_CELLS)
        self._most_still = int(rules.MOVING_SHARE * moved)
        self._pictures = pictures(rows, columns)
        if self._pictures:
            samples = sum(n * m for n, m in self._pictures)
            self._small = empty(2, samples, dtype=torch.float32)
            self._found = empty(3, moved, dtype=torch.float32)
            self._vectors = empty(2, moved, dtype=torch.int32)

    def reset(self) -> None:
        """Forget the past; the next frame starts a new scene.

        To be called with the stream current that the frames are computed on: it counts for those
        that are queued after it.
        """
        self._counters.zero_()

    def run(self, source: Frame, parameters: Tensor) -> Frame:
        """``load`` and ``filter`` the next frame, on the current stream."""
        self.load(source)
        return self.filter(source, parameters)

    def load(self, source: Frame) -> None:
        """Copy the next frame, on the current stream, which must be done with the one before.

        Args:
            source: of the format, size and colour of the first; on the device.
        """
        tile = self._tile
        cells.load_kernel[tile.grid(self._rows, self._columns)](
            *self._samples_of(source), self._raw, self._raw_chroma, self._rows, self._columns,
            self._counters, **self._source_constants(), ROWS=tile.cell_rows,
            COLUMNS=tile.cell_columns, num_warps=tile.warps,
        )  # fmt: skip

    def filter(self, source: Frame, parameters: Tensor) -> Frame:
        """Filter the frame that was loaded, on the current stream.

        Args:
            source: that frame.
            parameters: on the device, float32: the strength in [0, 1], by how much of the noise's
                variance is removed; and whether this frame starts a new scene, 0 or 1. With the
                strength 0 the frame stays as it is, and the next one starts a new scene.

        Returns:
            The frame in ``filtered_format``, in memory that stays in place and is written again
            by the next frame; of a field, only its rows are written.
        """
        self.filter_all_but_luma(parameters)
        tile = self._tile
        luma = self._result.luma
        space.luma_kernel[tile.strips_of(self._rows, self._columns, tile.rows)](
            self._state, self._left, self._coarse, luma, luma.stride(0), self._rows, self._columns,
            self._flags, self._noise, BLACK=self._black, **tile.strip(), num_warps=tile.warps,
            **self._chained,
        )  # fmt: skip
        if self._fine:
            self._add_fine_chroma(source)
        return self._result.frame

    def filter_luma_and_enhance(
        self, lines: Tensor, map_height: int, gain: Tensor, target: Frame
    ) -> None:
        """What ``filter`` does after ``filter_all_but_luma``, and ``apply_light_curve``, in one.

        Args:
            lines: light maps, see ``stretch_kernel``; of lines of the width ``line_width``.
            map_height: rows of a map.
            gain: see ``apply_light_curve``.
            target: of the samples of the frames, 4:2:0; on the device.
        """
        tile, device = self._tile, self._state.device
        chroma = self._result.chroma
        interleaved = chroma.ndim == 2
        lit.luma_curve_kernel[tile.strips_of(self._rows, self._columns, tile.rows)](
            self._state, self._left, self._coarse, chroma, chroma.stride(-2),
            1 if interleaved else chroma.stride(0), self._rows, self._columns, self._flags,
            self._noise, *planes_of(target), *strides_of(target), target.width, target.height,
            lines, map_height, *mapping(target.height, map_height, align_corners=False), gain,
            source_coefficients(self._result.frame, device), coefficients(target, device),
            BLACK=self._black, INTERLEAVED=interleaved, OUT_LAYOUT=LAYOUTS[target.format.layout],
            DROPPED_BITS=target.format.dropped_bits, **tile.strip(), num_warps=tile.warps,
        )  # fmt: skip

    @property
    def line_width(self) -> int:
        """Of the lines that ``filter_luma_and_enhance`` takes; 0 if it cannot."""
        return 2 * self._columns if self._fused else 0

    def filter_all_but_luma(self, parameters: Tensor) -> None:
        """Filter the frame that was loaded over time, and its chroma over space as well."""
        self._learn(parameters)
        if self._pictures:
            self._follow_motion()
        rows, columns, flags, noise = self._rows, self._columns, self._flags, self._noise
        tile = self._tile
        kernels.temporal_kernel[tile.strips_of(rows, columns, tile.rows)](
            self._raw, self._raw_chroma, self._state, self._state_chroma, self._left, self._codes,
            rows, columns, flags, noise, TO_STATE=256 / self._unit,
            CHROMA_TO_STATE=256 / self._chroma_unit, BLACK=self._black,
            **tile.strip(), num_warps=tile.warps, **self._chained,
        )  # fmt: skip
        chroma = self._filtered_chroma
        interleaved = chroma.ndim == 2
        space.halves_kernel[tile.strips_of(rows // 2, columns // 2, tile.half_rows)](
            self._state_chroma, self._left, self._codes, self._coarse, chroma, chroma.stride(-2),
            0 if interleaved else chroma.stride(0), rows, columns, flags, noise,
            BLACK=self._black, INTERLEAVED=interleaved,
            STRIPS=tile.strips, ROWS=tile.half_rows, COLUMNS=tile.columns, num_warps=tile.warps,
            **self._chained,
        )  # fmt: skip

    def _learn(self, parameters: Tensor) -> None:
        """Look at the noise, if it is time, and decide what to filter for."""
        rows, columns = self._rows, self._columns
        found = self._bins, self._inside, self._difference
        grid = triton.cdiv(2 * columns // noise.BLOCK, BLOCKS), self._looked_at, 2
        learning.statistics_kernel[grid](
            self._raw, self._raw_chroma, self._state, rows, columns, self._apart, self._most,
            *found, self._table, self._counters, parameters, SCALE=1 / self._unit,
            CHROMA_SCALE=1 / self._chroma_unit, BLACK=self._black, BLOCKS=BLOCKS,
            **chain_start(self._state.device),
        )  # fmt: skip
        learning.learn_kernel[(learning.BINS.value, 2)](
            *found, self._kept, rows, columns, self._apart, self._most, self._counters, parameters,
            INDEX_DIGITS=-(-self._most.bit_length() // 4), CHUNK=CHUNK, num_warps=CHUNK_WARPS,
            **self._chained,
        )  # fmt: skip
        learning.noise_kernel[(1,)](
            self._kept, self._table, self._counters, parameters, self._flags, self._noise,
            self._most_still, PROBE_EVERY=rules.PROBE_EVERY, **self._chained,
        )  # fmt: skip

    def _follow_motion(self) -> None:
        """Carry the state along with the camera, if it moves."""
        rows, columns, flags, tile = self._rows, self._columns, self._flags, self._tile
        pictures, small, moved = self._pictures, self._small, self._vectors.shape[1]
        high, wide = pictures[0]
        size = small.shape[1]
        tiles = triton.cdiv(wide, SMALL_COLUMNS), triton.cdiv(high, moving.TILE.value), 2
        moving.pyramid_kernel[tiles](
            self._raw, self._state, small, size, rows, columns, flags, SCALE=1 / self._unit,
            LEVELS=len(pictures), COLUMNS=SMALL_COLUMNS, **self._chained,
        )  # fmt: skip
        coarsest = len(pictures) - 1
        groups = (triton.cdiv(moved, tile.blocks),)
        moving.search_kernel[groups](
            small, size, self._found, rows, columns, flags, COARSEST=coarsest,
            FINEST=finest(coarsest), BLOCKS=tile.blocks, maxnreg=moving.SEARCH_REGISTERS,
            **self._chained,
        )  # fmt: skip
        moving.choose_kernel[groups](
            small, size, self._found, self._vectors, rows, columns, self._counters, flags,
            self._noise, BLOCKS=tile.blocks, **self._chained,
        )  # fmt: skip
        grid = triton.cdiv(columns, tile.moved_columns), triton.cdiv(rows, tile.moved_rows)
        moving.move_kernel[grid](
            self._state, self._state_chroma, self._left, self._vectors, rows, columns,
            self._most_still, self._counters, flags, ROWS=tile.moved_rows,
            COLUMNS=tile.moved_columns, num_warps=tile.warps, **self._chained,
        )  # fmt: skip

    def _add_fine_chroma(self, source: Frame) -> None:
        tile = self._tile
        result, out, cr_at = self._result, self._result.pixels, 0
        if out is None:
            out, cr_at = result.chroma, result.chroma.stride(0)
        cells.fine_kernel[tile.grid(self._rows, self._columns)](
            *self._samples_of(source),
            result.luma, self._filtered_chroma, self._codes, out, out.stride(-2), cr_at,
            self._rows, self._columns, self._flags, self._noise, **self._source_constants(),
            BLACK=self._black, OUT_WHITE=1.0 if self._format.bits == 32 else 65535.0,
            ROWS=tile.cell_rows, COLUMNS=tile.cell_columns, num_warps=tile.warps,
            **self._chained,
        )  # fmt: skip

    def _source_constants(self) -> dict[str, Any]:
        constants = constants_of(self._format)
        del constants["DROPPED_BITS"]
        return constants | {"UNIT": self._unit}

    def _samples_of(self, source: Frame) -> tuple[Any, ...]:
        """What kernels take of a frame to read it, or the rows of a field."""
        every = slice(None) if self._field is None else slice(self._field, None, 2)
        planes = [plane[every] for plane in planes_of(source)]
        strides = planes[0].stride(0), planes[-1].stride(0)
        rows = planes[0].shape[0], planes[-1].shape[0]
        return *planes, *strides, source.width, *rows, self._coefficients


class FieldsDenoiser:
    """Filters the fields of interlaced frames as videos of their own, and weaves them together.

    Is used like ``DeviceDenoiser``, of which there is one for each field.
    """

    line_width = 0  # what light maps do to chroma goes by the luma of both fields

    def __init__(self, like: Frame, device: torch.device) -> None:
        rows, _ = cells_of(_rows_of(0, like.height), like.width)
        result = result_for(like, 2 * rows, device)
        self._fields = [
            DeviceDenoiser(like, device, field=field, result=result.of_field(field))
            for field in (0, 1)
        ]

    def reset(self) -> None:
        for field in self._fields:
            field.reset()

    def run(self, source: Frame, parameters: Tensor) -> Frame:
        self.load(source)
        return self.filter(source, parameters)

    def load(self, source: Frame) -> None:
        for field in self._fields:
            field.load(source)

    def filter(self, source: Frame, parameters: Tensor) -> Frame:
        even, odd = self._fields
        even.filter(source, parameters)
        return odd.filter(source, parameters)


@dataclass(frozen=True)
class Result:
    """Memory that is filtered into, on the device.

    Attributes:
        frame: in ``filtered_format``; its planes are views of the memory.
        luma: of whole cells, ``(2 rows, 2 columns)`` uint16; also of packed RGB, whose pixels are
            made of it. On PyTorch's device "meta", that is without memory, where none is written.
        chroma: of whole cells, uint16: ``(2, rows, columns)`` of samples, or, semiplanar,
            ``(rows, 2 columns)``; empty for packed RGB.
        pixels: of packed RGB, ``(height, 3 width)``.
    """

    frame: Frame
    luma: Tensor
    chroma: Tensor
    pixels: Tensor | None

    def of_field(self, field: int) -> Result:
        """The same with the rows of a field, 0 or 1, in the place of all."""
        chroma = self.chroma[..., field::2, :]
        return replace(self, luma=self.luma[field::2], chroma=chroma)


def result_for(like: Frame, rows: int, device: torch.device, *, luma: bool = True) -> Result:
    """Memory for frames of a kind, with so many rows of cells; with luma or without.

    Raises:
        ValueError: for frames that the kernels cannot read.
    """
    if not supports(like.format):
        raise ValueError(f"frames of {like.format.name} are not filtered on this device")
    format = filtered_format(like.format)
    _, columns = cells_of(like.height, like.width)
    where = device if luma else torch.device("meta")
    luma_plane = torch.empty((2 * rows, 2 * columns), dtype=torch.uint16, device=where)
    shape = _chroma_shape(format, rows, columns)
    chroma = torch.empty(shape, dtype=torch.uint16, device=device)
    pixels: Tensor | None = None
    if format.layout == "packed":
        dtype = torch.float32 if format.bits == 32 else torch.uint16
        pixels = torch.empty((like.height, 3 * like.width), dtype=dtype, device=device)
        planes: Any = (pixels,)
    else:
        parts = [luma_plane, *(chroma if chroma.ndim == 3 else [chroma])]
        shapes = plane_shapes(format, like.width, like.height)
        planes = tuple(p[:n] for p, (n, _) in zip(parts, shapes, strict=True))
    return Result(replace(like, format=format, planes=planes), luma_plane, chroma, pixels)


def cells_of(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of cells of a picture, filled up."""
    rows, columns = (-(-n // (2 * _MULTIPLE)) * _MULTIPLE for n in (height, width))
    return rows, columns


def _rows_of(field: int, height: int) -> int:
    """Rows of luma that belong to a field."""
    return (height + 1 - field) // 2


@dataclass(frozen=True)
class Tile:
    """How much of a frame a block of threads takes.

    Attributes:
        strips, rows, columns: of cells, where it goes down from row to row.
        half_rows: the same of 2x2 cells, of which there are fewer to share out.
        cell_rows, cell_columns: of cells, or of what there are as many of, elsewhere.
        moved_rows, moved_columns: of cells that are carried along.
        blocks: that are searched for.
    """

    strips: int
    rows: int
    columns: int
    half_rows: int
    cell_rows: int
    cell_columns: int
    moved_rows: int
    moved_columns: int
    blocks: int
    warps: int = 4

    def strip(self) -> dict[str, int]:
        """What a block of threads takes where it goes down, for a kernel."""
        return {"STRIPS": self.strips, "ROWS": self.rows, "COLUMNS": self.columns}

    def strips_of(self, rows: int, columns: int, rows_of_one: int) -> tuple[int, int]:
        """Blocks of threads that cover so many rows and columns, in strips; see ``own_columns``."""
        return triton.cdiv(columns, self.columns - 2), triton.cdiv(rows, self.strips * rows_of_one)

    def grid(self, rows: int, columns: int) -> tuple[int, int]:
        """Tiles that cover so many rows and columns."""
        return triton.cdiv(columns, self.cell_columns), triton.cdiv(rows, self.cell_rows)


def tile(capability: int) -> Tile:
    """For a card of a compute capability; 0 is Triton's interpreter."""
    if capability == 0:  # each operation takes its time, and hardly more for many numbers
        return Tile(64, 1, 64, 1, 64, 64, 64, 64, 64)
    # A row of 32 cells and a strip for each warp.
    return Tile(4, 8, 32, 2, 2, 64, 8, 128, 8)


def pictures(rows: int, columns: int) -> list[tuple[int, int]]:
    """Rows and columns of the pictures that motion is searched in, of frames of so many cells.

    Empty for frames that are too small for it, as on the CPU.
    """
    sizes = [(rows // 2, columns // 2)]
    if min(sizes[0]) < 3 * moving.SMALL.value:
        return []
    while len(sizes) < moving.MOST_LEVELS and min(sizes[-1]) >= 2 * moving.SIDE:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


def finest(coarsest: int) -> int:
    """The last of the pictures that is searched, by the first one.

    The largest has the most noise, but in the others small frames have few samples.
    """
    return 1 if coarsest > 1 else 0


def _chroma_shape(format: PixelFormat, rows: int, columns: int) -> tuple[int, ...]:
    """Of the memory of filtered chroma, for so many cells."""
    if format.layout == "semiplanar":
        return rows, 2 * columns
    if format.layout == "packed":
        return 2, 0, 0
    shift_x, shift_y = format.chroma_shift
    return 2, rows * (2 >> shift_y), columns * (2 >> shift_x)


def _table() -> Any:
    """See ``denoise_learn_kernels``; what is unused lies above all codes."""
    table = np.full((3, learning.TABLE.value), np.inf, np.float32)
    for row, values in (
        (learning.EDGES, noise.EDGES[:-1]), (learning.CENTRES, noise.CENTRES),
        (learning.KNOT_ROW, rules.KNOTS),
    ):  # fmt: skip
        table[row.value, : len(values)] = values
    return table
