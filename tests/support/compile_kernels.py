"""Compile the CUDA kernels for one compute capability, and count what the machine code uses.

``python -m tests.support.compile_kernels 90`` prints a line of JSON for each kernel. Needs no
card, but a process of its own in which Triton does not interpret.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from zerodce_rt.backends.cuda.applier import tile
from zerodce_rt.backends.cuda.chained_kernels import CAPABILITIES
from zerodce_rt.backends.cuda.control import BLOCK, CHUNK, REGISTERS, WARPS
from zerodce_rt.backends.cuda.control_kernels import (
    control_kernel,
    decide_kernel,
    difference_kernel,
    follow_kernel,
    lift_kernel,
    window_kernel,
)
from zerodce_rt.backends.cuda.curve_kernels import curve_kernel, thumbnail_kernel
from zerodce_rt.backends.cuda.layer_kernels import layer_kernel
from zerodce_rt.backends.cuda.pq_kernels import gamma_to_pq_kernel, pq_to_gamma_kernel
from zerodce_rt.backends.cuda.triton_network import blocks

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
POINTERS = {"src_0", "src_1", "src_2", "dst_0", "dst_1", "dst_2"}
FLOATS = {
    "scale_y", "offset_y", "scale_x", "offset_x", "max_level", "scale", "inverse_scale", "peak",
}  # fmt: skip


def machine_code(
    kernel: Any, constants: dict[str, Any], pointers: dict[str, str], capability: int,
    *, unaligned: set[str], warps: int, registers: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Compile a kernel as a launch would, and count registers, spills and instructions.

    Args:
        constants: values of its constexpr arguments.
        pointers: Triton's element types of its pointer arguments; the rest are int32 or float32.
        capability: 75 for Turing, 90 for Hopper.
        unaligned: integer arguments that are not multiples of 16; all others are.
        registers: at most, for a thread.
    """
    names = kernel.arg_names
    constants, signature = signature_of(kernel, constants, pointers, capability)
    aligned = [
        n
        for n, kind in signature.items()
        if kind[0] == "*" or (kind == "i32" and n not in unaligned)
    ]
    compiled = triton.compile(
        ASTSource(
            fn=kernel,
            signature=signature,
            constexprs={(names.index(n),): value for n, value in constants.items()},
            attrs={(names.index(n),): [["tt.divisibility", 16]] for n in aligned},
        ),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": warps, "maxnreg": registers},
    )
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        usage = _output_of("cuobjdump", "-res-usage", file.name)
        code = _output_of("nvdisasm", "-c", file.name)
    # In SASS: wait for the grid before; what follows may be launched.
    before_wait, waits, _ = code.partition("ACQBULK")
    return {
        "registers": int(re.findall(r"REG:(\d+)", usage)[0]),
        "stack": int(re.findall(r"STACK:(\d+)", usage)[0]),
        "shared": compiled.metadata.shared,
        "spills": _count("LDL|STL", code),
        "widest_load": max(
            (int(b) for b in re.findall(r"LDG\.E\.(?:\w+\.)*?(\d+)", code)), default=32
        ),
        "tensor_cores": _count("[HW]G?MMA", code),
        "instructions": len(re.findall(r"^\s+/\*[0-9a-f]{4,}\*/\s", code, re.MULTILINE)),
        "chained": constants.get("CHAINED", False),
        "waits": bool(waits),
        "loads_before_wait": _count("LDG|LDGSTS|LD|UTMALDG", before_wait) if waits else 0,
        "stores_before_wait": _count("STG|ST|ATOMG?|REDG?|UTMASTG", before_wait) if waits else 0,
    }


def signature_of(
    kernel: Any, constants: dict[str, Any], pointers: dict[str, str], capability: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """All constants of a kernel on a card, and Triton's types of all its arguments."""
    names = kernel.arg_names
    if "CHAINED" in names:
        constants = constants | {"CHAINED": capability in CAPABILITIES}
    signature = {}
    for name in names:
        if name in constants:
            signature[name] = "constexpr"
        elif name in pointers:
            signature[name] = f"*{pointers[name]}"
        else:
            signature[name] = "fp32" if name in FLOATS else "i32"
    return constants, signature


def _count(instructions: str, code: str) -> int:
    return len(re.findall(rf"\b(?:{instructions})\b", code))


def _output_of(tool: str, *arguments: str) -> str:
    done = subprocess.run([TOOLS / tool, *arguments], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def curve(layout: int, sample: str, maps: int, *, full: bool, capability: int) -> dict[str, Any]:
    rows, columns, warps = tile(capability, full=full)
    packed = layout == 0
    constants = {
        "LAYOUT": layout, "BGR": False, "WHITE": 255.0, "OUT_WHITE": 255.0,
        "DROPPED_BITS": 6 if sample == "u16" else 0,
        "SHIFT_Y": 0 if packed else 1, "SHIFT_X": 0 if packed else 1, "SHARED": maps == 3,
        "FULL": full, "ROWS": rows, "COLUMNS": columns, "WINDOW_Y": 16, "WINDOW_X": 16,
    }  # fmt: skip
    pointers = dict.fromkeys(POINTERS, sample)
    pointers |= {"maps": "fp16"} | dict.fromkeys(
        ("gain", "coefficients", "out_coefficients"), "fp32"
    )  # fmt: skip
    unaligned = {"height", "map_height"} | (set() if full else {"map_width"})
    return machine_code(
        curve_kernel, constants, pointers, capability, unaligned=unaligned, warps=warps
    )


def thumbnail(layout: int, capability: int) -> dict[str, Any]:
    packed = layout == 0
    constants = {
        "LAYOUT": layout, "BGR": False, "WHITE": 255.0, "DROPPED_BITS": 0,
        "SHIFT_Y": 0 if packed else 1, "SHIFT_X": 0 if packed else 1, "ROWS": 32, "COLUMNS": 32,
    }  # fmt: skip
    pointers = dict.fromkeys(POINTERS, "u8") | {"out": "fp16", "coefficients": "fp32"}
    unaligned = {"height", "out_height", "out_width"}
    return machine_code(
        thumbnail_kernel, constants, pointers, capability, unaligned=unaligned, warps=4
    )


def layer(separable: bool, two: bool, capability: int) -> dict[str, Any]:
    pixels, warps = blocks(capability, separable=separable)[0]
    constants = {
        "SEPARABLE": separable, "TWO": two, "LAST": False, "CHANNELS": 32, "PADDED": 32,
        "OUT": 32, "OUT_PADDED": 32, "PIXELS": pixels,
        "a_channel_stride": 1, "b_channel_stride": 1, "out_channel_stride": 1,
    }  # fmt: skip
    names = layer_kernel.arg_names
    pointers = {n: "fp16" for n in names if n.startswith(("source", "depth", "weights", "bias"))}
    pointers["out"] = "fp16"
    unaligned = {"height", "width"}
    return machine_code(
        layer_kernel, constants, pointers, capability, unaligned=unaligned, warps=warps
    )


WINDOW = {"edges": "fp32", "weights": "fp32", "oldest_slot": "i32"}


def control(maps: int, capability: int) -> dict[str, Any]:
    constants = {"SHARED": maps == 3, "STEP": 3, "SIZE": 4096, "PROBE": 1024}
    pointers = dict.fromkeys(("estimate", "thumbnail", "before", "ring", "out"), "fp16")
    pointers |= WINDOW | dict.fromkeys(("gain", "denoise", "parameters"), "fp32")
    return machine_code(
        control_kernel, constants, pointers, capability,
        unaligned={"height", "width", "iterations", "map_count", "slots"}, warps=WARPS,
        registers=REGISTERS,
    )  # fmt: skip


def large_control(capability: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The control of 24 maps of a frame's size."""
    halves = dict.fromkeys(("estimate", "thumbnail", "before", "maps", "ring"), "fp16")
    names = "sums", "map_sums", "decided", "parameters", "gain", "denoise"
    floats = dict.fromkeys(names, "fp32")
    pointers = halves | floats | WINDOW
    compiled = partial(machine_code, capability=capability)
    yield (
        "difference",
        compiled(difference_kernel, {"SIZE": BLOCK}, pointers, unaligned=set(), warps=4),
    )
    constants = {"SHARED": False, "STEP": 80, "SIZE": BLOCK, "PROBE": 512}
    yield "decide", compiled(
        decide_kernel, constants, pointers, warps=WARPS, registers=REGISTERS,
        unaligned={"height", "iterations", "blocks", "slots"},
    )  # fmt: skip
    yield (
        "follow",
        compiled(follow_kernel, {"SIZE": BLOCK}, pointers, unaligned={"slots"}, warps=4),
    )
    yield (
        "window",
        compiled(
            window_kernel, {}, pointers | {"begins": "fp32"}, unaligned={"slots"},
            warps=4,
        ),
    )  # fmt: skip
    constants = {"SHARED": False, "SIZE": BLOCK, "CHUNK": CHUNK}
    yield "lift", compiled(
        lift_kernel, constants, pointers, unaligned={"plane", "map_count"}, warps=4
    )  # fmt: skip


def pq(capability: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """P010, there and back."""
    tile = {"SHIFT_Y": 1, "SHIFT_X": 1, "ROWS": 8, "COLUMNS": 128}
    planes = dict.fromkeys(
        [f"{name}_{n}" for name in ("src", "dst", "enhanced") for n in range(3)], "u16"
    )
    tables = dict.fromkeys(
        ("c", "out_c", "enhanced_c", "table", "inverse", "gain"), "fp32"
    ) | {"luma_table": "u16"}  # fmt: skip
    compiled = partial(
        machine_code, pointers=planes | tables, capability=capability, unaligned={"height"}, warps=4
    )
    yield (
        "PQ to gamma",
        compiled(pq_to_gamma_kernel, tile | {"SEMIPLANAR": True, "DROPPED_BITS": 6}),
    )
    layouts = {
        "SRC_SEMIPLANAR": True, "SRC_DROPPED_BITS": 6, "DST_SEMIPLANAR": True,
        "DST_DROPPED_BITS": 6,
    }  # fmt: skip
    yield "gamma to PQ", compiled(gamma_to_pq_kernel, tile | layouts)


def everything(capability: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each kernel in the forms that matter: its name, and what ``machine_code`` counts."""
    for name, layout, sample in (("packed", 0, "u8"), ("nv12", 2, "u8"), ("p010", 2, "u16")):
        for maps in (3, 24):
            for full in (False, True):
                kind = "full" if full else "small"
                found = curve(layout, sample, maps, full=full, capability=capability)
                yield f"curve {name} {maps} {kind}", found
    for name, layout in (("packed", 0), ("nv12", 2)):
        yield f"thumbnail {name}", thumbnail(layout, capability)
    for separable in (True, False):
        for two in (False, True):
            kind = "separable" if separable else "dense"
            yield f"layer {kind} {1 + two}", layer(separable, two, capability)
    for maps in (3, 24):
        yield f"control {maps}", control(maps, capability)
    yield from large_control(capability)
    yield from pq(capability)


if __name__ == "__main__":
    for what, found in everything(int(sys.argv[1])):
        print(json.dumps({"kernel": what, **found}), flush=True)
