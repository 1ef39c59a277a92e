"""Compile the light model's CUDA kernels, as ``compile_kernels`` does the others.

``python -m tests.support.compile_light 90`` prints a line of JSON for each kernel.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import triton

from tests.support.compile_kernels import POINTERS, WINDOW, machine_code
from zerodce_rt.backends.cuda.applier import tile
from zerodce_rt.backends.cuda.control import REGISTERS, WARPS
from zerodce_rt.backends.cuda.light_control import (
    FINISH_PIXELS,
    FINISH_WARPS,
    STEP_COLUMNS,
    STEP_ROWS,
)
from zerodce_rt.backends.cuda.light_control_kernels import (
    dark_steps_kernel,
    finish_kernel,
    light_control_kernel,
)
from zerodce_rt.backends.cuda.light_curve_kernels import light_rgb_kernel, light_yuv_kernel
from zerodce_rt.backends.cuda.light_layer_kernels import light_layer_kernel, whole_kernel
from zerodce_rt.backends.cuda.light_network import (
    LAYER_WARPS,
    OUTPUTS,
    WHOLE_ROWS,
    WHOLE_WARPS,
    block,
)
from zerodce_rt.network.light_wiring import CONVOLUTIONS, WIDTHS, stride

PACKED, PLANAR, SEMIPLANAR = range(3)


def _block(capability: int, window_x: int) -> tuple[dict[str, Any], int]:
    rows, columns, warps = tile(capability, full=False)
    sizes = {"ROWS": rows, "COLUMNS": columns, "WINDOW_Y": 16, "WINDOW_X": window_x}
    return sizes, warps


def yuv(
    layout: int, source: str, target: str, shifts: tuple[int, int], capability: int,
    *, window_x: int = 16, maps: str = "fp16",
) -> dict[str, Any]:  # fmt: skip
    sizes, warps = _block(capability, window_x)
    constants = {
        "LAYOUT": layout, "OUT_LAYOUT": layout,
        "DROPPED_BITS": 0, "SHIFT_Y": shifts[0], "SHIFT_X": shifts[1], **sizes,
    }  # fmt: skip
    pointers = {n: source if n.startswith("src") else target for n in POINTERS}
    pointers |= {"maps": maps, "gain": "fp32", "coefficients": "fp32", "out_coefficients": "fp32"}
    return machine_code(
        light_yuv_kernel, constants, pointers, capability,
        unaligned={"height", "map_height", "map_width", "map_stride"}, warps=warps,
    )  # fmt: skip


def packed(sample: str, target: str, capability: int) -> dict[str, Any]:
    sizes, warps = _block(capability, 16)
    white = {"u8": 255.0, "u16": 65535.0, "fp32": 1.0}
    constants = {"BGR": False, "WHITE": white[sample], "OUT_WHITE": white[target], **sizes}
    pointers = {"src": sample, "dst": target, "maps": "fp16", "gain": "fp32"}
    return machine_code(
        light_rgb_kernel, constants, pointers, capability,
        unaligned={"height", "map_height", "map_width", "map_stride"}, warps=warps,
    )  # fmt: skip


def dark_steps(sample: str, packed: bool, capability: int) -> dict[str, Any]:
    constants = {
        "PACKED": packed, "BGR": False, "WHITE": 255.0, "ROWS": STEP_ROWS, "COLUMNS": STEP_COLUMNS
    }  # fmt: skip
    pointers = {"plane": sample, "coefficients": "fp32", "steps": "fp32"}
    return machine_code(
        dark_steps_kernel, constants, pointers, capability, unaligned={"height", "count"}, warps=4
    )


def finish(capability: int) -> dict[str, Any]:
    pointers = {"estimate": "fp16", "steps": "fp32", "levels": "fp32", "out": "fp32"}
    return machine_code(
        finish_kernel, {"PIXELS": FINISH_PIXELS}, pointers, capability,
        unaligned={"height", "width", "grid_height", "grid_width"}, warps=FINISH_WARPS,
    )  # fmt: skip


def control(size: tuple[int, int, int, int], capability: int) -> dict[str, Any]:
    constants = dict(zip(("STEP", "SIZE", "PROBE", "MAP_SIZE"), size, strict=True))
    pointers = dict.fromkeys(("thumbnail", "before", "out", "ring"), "fp16") | WINDOW
    pointers |= dict.fromkeys(("maps", "gain", "denoise", "parameters"), "fp32")
    return machine_code(
        light_control_kernel, constants, pointers, capability,
        unaligned={"height", "width", "map_height", "map_width", "slots"}, warps=WARPS,
        registers=REGISTERS,
    )  # fmt: skip


def layer(name: str, pixels: int, capability: int) -> dict[str, Any]:
    """A layer whose output has so many pixels."""
    inputs, outputs, _ = CONVOLUTIONS[name]
    skipped = {"up3": 72, "up2": 48}.get(name, 0)
    channels = inputs - skipped
    size, rows = block(capability, pixels)
    constants = {
        "CHANNELS": channels, "PADDED": triton.next_power_of_2(channels), "SKIPPED": skipped,
        "OUT": outputs, "OUT_PADDED": -(-outputs // OUTPUTS) * OUTPUTS, "STRIDE": stride(name),
        "IMAGE": name == "down1", "RESIDUAL": name.startswith("same"), "HEAD": name == "head",
        "PIXELS": size, "OUTPUTS": OUTPUTS,
        "BLOCK": min(rows, triton.next_power_of_2(9 * channels)),
    }  # fmt: skip
    pointers = dict.fromkeys(("source", "skip", "weights", "out"), "fp16") | {"bias": "fp32"}
    return machine_code(
        light_layer_kernel, constants, pointers, capability,
        unaligned={"in_height", "in_width", "height", "width"}, warps=LAYER_WARPS,
    )  # fmt: skip


def whole(capability: int) -> dict[str, Any]:
    channels = WIDTHS[-1]
    constants = {
        "CHANNELS": channels, "PADDED": triton.next_power_of_2(channels), "ROWS": WHOLE_ROWS
    }  # fmt: skip
    names = "source", "weights_mean", "weights_most", "out_weights", "out"
    pointers = dict.fromkeys(names, "fp16") | {"bias": "fp32", "out_bias": "fp32"}
    return machine_code(
        whole_kernel, constants, pointers, capability, unaligned={"pixels"}, warps=WHOLE_WARPS
    )


def everything(capability: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each kernel in the forms that matter: its name, and what ``machine_code`` counts."""
    yield "light curve nv12", yuv(SEMIPLANAR, "u8", "u8", (1, 1), capability)
    yield "light curve p010", yuv(SEMIPLANAR, "u16", "u16", (1, 1), capability)
    yield "light curve filtered nv12", yuv(SEMIPLANAR, "u16", "u8", (1, 1), capability)
    yield "light curve yuv444p", yuv(PLANAR, "u8", "u8", (0, 0), capability)
    wide = yuv(SEMIPLANAR, "u8", "u8", (1, 1), capability, window_x=64)
    yield "light curve nv12 from large maps", wide
    yield "light curve rgb24", packed("u8", "u8", capability)
    yield "light curve filtered rgb24", packed("u16", "u8", capability)
    yield "light curve rgbf32le", packed("fp32", "fp32", capability)
    yield "light steps nv12", dark_steps("u8", False, capability)
    yield "light steps rgb24", dark_steps("u8", True, capability)
    yield "light finish", finish(capability)
    for name in ("down1", "same1", "same4", "up3", "head"):
        yield f"light layer {name}", layer(name, 144, capability)
    yield "light layer up2 of large pictures", layer("up2", 10**6, capability)
    yield "light layer whole", whole(capability)
    yield "light control", control((3, 4096, 1024, 256), capability)
    yield "light control of small maps", control((1, 256, 256, 16), capability)


if __name__ == "__main__":
    for what, found in everything(int(sys.argv[1])):
        print(json.dumps({"kernel": what, **found}), flush=True)
