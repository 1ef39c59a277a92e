"""The kernels' PTX, as a card would run it, on the CPU: results, addresses, and barriers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

if find_spec("triton") is None:  # not imported before agreement.py has chosen the interpreter
    pytest.skip("Triton is not installed (it is for Linux)", allow_module_level=True)

from tests.support import agreement

if agreement.HAS_GPU:
    pytest.skip("there is a card, which is not emulated", allow_module_level=True)

# Together they launch the kernels that the default model has for a frame of YUV, with a camera
# that moves.
TELLING = (
    "^LightTritonNetwork 7x5$", "^light floor of nv12$", "^light control without denoiser$",
    "^denoise nv12$", "^denoise nv12 1x1 and enhance", "^thumbnail nv12 40x90 to 1x1$",
)  # fmt: skip
# What a kernel is said to do, by the name of the case.
FAULTS = {
    "none": [],
    "writes what is read": ["shifted_kernel: a block writes what another reads"],
    "reads what is written": [
        "shifted_kernel: a block writes what another reads",
        "shifted_kernel: a block reads what another writes",
    ],
    "equal values": [],
    "other values": ["flag_kernel: blocks store different values in one place"],
    "counts": ["count_kernel: a block reads what another writes"],
    "heap": [
        "heap_kernel: blocks store different values in one place",
        "heap_kernel: threads of a block store different values in one place",
    ],
    "turned, barrier False": [
        "turned_kernel: a warp reads what another writes, with no barrier between"
    ],
    "turned, barrier True": [],
}


def run(module: str, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and lines of a process in which Triton does not interpret."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-m", f"tests.support.{module}", *arguments],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@cache
def found() -> dict[str, dict[str, Any]]:
    """What is found of kernels with known faults."""
    return {line["name"]: line for line in run("emulated_faults", "90")[1]}


@pytest.mark.parametrize("name", FAULTS)
def test_hazards_are_found(name: str) -> None:
    hazards = [hazard.partition(" (")[0] for hazard in found()[name]["hazards"]]
    assert list(dict.fromkeys(hazards)) == FAULTS[name]
    assert found()[name]["result"].startswith("ok")


def test_a_foreign_address_ends_the_launch() -> None:
    result = found()["outside"]["result"]
    assert result.startswith("fault: shifted_kernel: an address outside of all tensors")


def agree(capability: int, *patterns: str) -> set[str]:
    """Run checks, none of which may fail; returns the names of the kernels that ran."""
    code, lines = run("emulated_card", str(capability), *patterns)
    for line in lines:
        assert line["result"].startswith("ok"), line
        assert line["hazards"] == [], line
    assert (code, bool(lines)) == (0, True)
    return {kernel for line in lines for kernel in line["ran"]}


def test_what_is_compiled_agrees_with_the_reference() -> None:
    assert agree(90, *TELLING) == {
        "thumbnail_kernel", "light_layer_kernel", "whole_kernel",
        "dark_steps_kernel", "finish_kernel", "light_control_kernel",
        "load_kernel", "statistics_kernel", "learn_kernel", "noise_kernel",
        "pyramid_kernel", "search_kernel", "choose_kernel", "move_kernel",
        "temporal_kernel", "halves_kernel", "luma_kernel", "light_yuv_kernel",
        "stretch_kernel", "luma_curve_kernel",
    }  # fmt: skip


@pytest.mark.skipif(not agreement.THOROUGH, reason="it takes long; set ZERODCE_RT_THOROUGH=1")
@pytest.mark.parametrize("capability", [80, 90])
def test_everything_that_is_compiled_agrees_with_the_reference(capability: int) -> None:
    agree(capability, ".")
