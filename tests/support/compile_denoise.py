"""Compile the denoiser's CUDA kernels, as ``compile_kernels`` does the others.

``python -m tests.support.compile_denoise 90`` prints a line of JSON for each kernel.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from tests.support.compile_kernels import machine_code
from zerodce_rt.backends.cuda import denoise_cell_kernels as cell_kernels
from zerodce_rt.backends.cuda import denoise_curve_kernels as lit
from zerodce_rt.backends.cuda import denoise_kernels as kernels
from zerodce_rt.backends.cuda import denoise_learn_kernels as learning
from zerodce_rt.backends.cuda import denoise_motion_kernels as moving
from zerodce_rt.backends.cuda import denoise_space_kernels as space
from zerodce_rt.backends.cuda.denoiser import BLOCKS, CHUNK, CHUNK_WARPS, SMALL_COLUMNS, tile
from zerodce_rt.backends.cuda.light_applier import STRETCHED

_WIDE = ("state", "state_chroma", "codes", "coarse", "chroma", "filtered", "luma")
_WHOLE = ("bins", "counters", "flags", "vectors")
_SIZES = {
    "width", "height", "cell_rows", "cell_columns", "apart", "most", "size", "most_still",
    "map_height",
}  # fmt: skip


def _code(kernel: Any, constants: dict[str, Any], sample: str, out: str, capability: int,
          warps: int, registers: int | None = None) -> dict[str, Any]:  # fmt: skip
    """``machine_code`` of one of the kernels, by what its arguments are called."""
    kinds = dict.fromkeys(_WIDE, "u16") | dict.fromkeys(_WHOLE, "i32") | {"left": "u8", "out": out}
    samples = ("raw", "raw_chroma", "src_0", "src_1", "src_2", "dst_0", "dst_1", "dst_2")
    kinds |= dict.fromkeys(samples, sample) | {"maps": "fp16"}
    floats = (
        "noise", "coefficients", "kept", "table", "parameters", "inside", "difference", "small",
        "found", "lines", "gain", "out_coefficients",
    )  # fmt: skip
    kinds |= dict.fromkeys(floats, "fp32")
    pointers = {n: kinds[n] for n in kernel.arg_names if n in kinds}
    return machine_code(
        kernel,
        constants,
        pointers,
        capability,
        unaligned=_SIZES,
        warps=warps,
        registers=registers,
    )


def everything(capability: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each kernel in the forms that matter: its name, and what ``machine_code`` counts."""
    t = tile(capability)
    cells = {"ROWS": t.cell_rows, "COLUMNS": t.cell_columns}
    strips = {"STRIPS": t.strips, "ROWS": t.rows, "COLUMNS": t.columns}
    halves = strips | {"ROWS": t.half_rows}
    for name, layout, sample, shift in (
        ("nv12", 2, "u8", (1, 1)), ("422", 1, "u16", (0, 1)), ("packed", 0, "u8", (0, 0)),
    ):  # fmt: skip
        unit = 1.0 if sample == "u8" else 256.0
        source = {"LAYOUT": layout, "BGR": False, "WHITE": 255.0, "SHIFT_Y": shift[0],
                  "SHIFT_X": shift[1], "UNIT": unit}  # fmt: skip
        found = _code(cell_kernels.load_kernel, source | cells, sample, "u16", capability, t.warps)
        yield f"load {name}", found
        if shift != (1, 1):
            constants = source | cells | {"BLACK": 16.0, "OUT_WHITE": 65535.0}
            found = _code(cell_kernels.fine_kernel, constants, sample, "u16", capability, t.warps)
            yield f"fine {name}", found
    for sample, unit in (("u8", 1.0), ("u16", 256.0)):
        constants = {"TO_STATE": 256 / unit, "CHROMA_TO_STATE": 256 / unit, "BLACK": 16.0}
        found = _code(
            kernels.temporal_kernel, constants | strips, sample, "u16", capability, t.warps
        )
        yield f"temporal {sample}", found
        constants = {"SCALE": 1 / unit, "CHROMA_SCALE": 1 / unit, "BLACK": 16.0, "BLOCKS": BLOCKS}
        yield (
            f"statistics {sample}",
            _code(learning.statistics_kernel, constants, sample, "u16", capability, 4),
        )
        constants = {"SCALE": 1 / unit, "LEVELS": moving.MOST_LEVELS, "COLUMNS": SMALL_COLUMNS}
        found = _code(moving.pyramid_kernel, constants, sample, "u16", capability, 4)
        yield f"pyramid {sample}", found
    black = {"BLACK": 16.0}
    for what, interleaved in (("nv12", True), ("yuv420p", False)):
        constants = black | halves | {"INTERLEAVED": interleaved}
        found = _code(space.halves_kernel, constants, "u8", "u16", capability, t.warps)
        yield f"halves {what}", found
    yield "luma", _code(space.luma_kernel, black | strips, "u8", "u16", capability, t.warps)
    for what, layout in (("nv12", 2), ("yuv420p", 1)):
        constants = black | strips | {"INTERLEAVED": layout == 2, "OUT_LAYOUT": layout,
                                      "DROPPED_BITS": 0}  # fmt: skip
        found = _code(lit.luma_curve_kernel, constants, "u8", "u16", capability, t.warps)
        yield f"luma and curve {what}", found
    constants = {"COLUMNS": STRETCHED}
    yield "stretch", _code(lit.stretch_kernel, constants, "u8", "u16", capability, 4)
    constants = {"INDEX_DIGITS": 4, "CHUNK": CHUNK}
    yield "learn", _code(learning.learn_kernel, constants, "u8", "u16", capability, CHUNK_WARPS)
    constants = {"PROBE_EVERY": 15}
    yield "noise", _code(learning.noise_kernel, constants, "u8", "u16", capability, 4)
    blocks = {"BLOCKS": t.blocks}
    levels = blocks | {"COARSEST": moving.MOST_LEVELS - 1, "FINEST": 1}
    yield (
        "search",
        _code(moving.search_kernel, levels, "u8", "u16", capability, 4, moving.SEARCH_REGISTERS),
    )
    yield "choose", _code(moving.choose_kernel, blocks, "u8", "u16", capability, 4)
    constants = {"ROWS": t.moved_rows, "COLUMNS": t.moved_columns}
    yield "move", _code(moving.move_kernel, constants, "u8", "u16", capability, t.warps)


if __name__ == "__main__":
    for what, found in everything(int(sys.argv[1])):
        print(json.dumps({"kernel": what, **found}), flush=True)
