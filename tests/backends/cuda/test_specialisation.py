"""What Triton compiles for the launches of the program itself, and how often; without a card.

Each compilation costs a second of the first frame of its kind, and the kinds must be few.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

if find_spec("triton") is None:
    pytest.skip("Triton is not installed (it is for Linux)", allow_module_level=True)

FIRST = "light:nv12:1920x1080:64"
# Of the frame, which is a multiple of 16 or is not; then of the thumbnail and its maps as well.
OTHER_HEIGHTS = (
    "light:nv12:1920x1088:64", "light:nv12:1920x1078:64", "light:nv12:1920x1440:64",
)  # fmt: skip
# The thumbnail has half as many pixels, rounded up to a power of two.
WIDE = "light:nv12:1920x816:64"
# Together these launch every kernel: large and tiny maps, the frame's own size, packed and 10-bit
# samples, sides of one pixel, whose strides Triton makes constants of.
OTHER_KINDS = (
    "plus:nv12:1072x1920:64", "dcenet:bgr24:1920x1080:64", "dcenet:nv12:128x72:full",
    "plus:yuv420p10le:1920x1080:1/12", "light:nv12:1x1:64", "light:rgb24:640x1:64",
    "light:p010le:1920x1080:64:pq",
)  # fmt: skip
# The chroma of the second field of 720 samples does not begin at a multiple of 16 bytes.
INTERLACED = (
    "light:nv12:1920x1080:64:interlaced", "light:yuv420p:720x576:64:interlaced",
    "light:yuv420p:720x574:64:interlaced",
)  # fmt: skip
KINDS = {
    90: (FIRST, *OTHER_HEIGHTS, WIDE, *INTERLACED, *OTHER_KINDS),
    75: ("dcenet:rgb24:64x36:full",),
}


@cache
def enhanced(capability: int) -> dict[str, dict[str, Any]]:
    """What was compiled and launched for each kind of frame, one after the other."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.stand_in_driver", str(capability),
         *KINDS[capability]],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {found["kind"]: found for found in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("capability", KINDS)
def test_every_kind_of_frame_compiles(capability: int) -> None:
    found = enhanced(capability)
    assert tuple(found) == KINDS[capability]
    for kind, kernels in found.items():
        launched = kernels["launched"]
        assert set(kernels["compiled"]) <= set(launched), kind
        if kind.endswith(":pq"):
            first, *launched, last = launched
            assert (first, last) == ("pq_to_gamma_kernel", "gamma_to_pq_kernel")
        assert launched[0] in ("thumbnail_kernel", "rgb_kernel"), kind
        if kind.startswith("light"):
            assert launched.count("light_layer_kernel") == 12, kind
            last = "light_rgb_kernel" if "rgb" in kind else "luma_curve_kernel"
            if kind.endswith(":interlaced"):
                last = "light_yuv_kernel"
            assert launched[-1] == last, kind
        else:
            assert launched.count("layer_kernel") == 7, kind
            assert launched[-1] == "curve_kernel", kind


def test_the_first_frame_compiles_each_kernel_once_and_some_kinds_of_layers() -> None:
    compiled = Counter(enhanced(90)[FIRST]["compiled"])
    assert compiled.pop("light_layer_kernel") <= 11
    assert set(compiled.values()) == {1}
    assert compiled.keys() > {"thumbnail_kernel", "light_control_kernel", "luma_curve_kernel"}


@pytest.mark.parametrize("kind", OTHER_HEIGHTS)
def test_another_height_compiles_nothing(kind: str) -> None:
    assert enhanced(90)[kind]["compiled"] == []


def test_a_much_lower_thumbnail_compiles_the_control_only() -> None:
    assert enhanced(90)[WIDE]["compiled"] == ["light_control_kernel"]


def test_fields_are_two_launches_of_the_same_kernels() -> None:
    found = [enhanced(90)[kind] for kind in (FIRST, *INTERLACED)]
    for kernels in found[1:]:
        assert kernels["launched"].count("temporal_kernel") == 2
    # As large as frames that are not interlaced, whose luma is filtered and curved in one.
    assert found[1]["compiled"] == ["luma_kernel", "light_yuv_kernel"]
    compiled = Counter(found[2]["compiled"])
    del compiled["light_layer_kernel"]
    assert set(compiled.values()) == {1}
    assert found[3]["compiled"] == [], "of another height"


def test_kernels_wait_inside_for_the_one_before_unless_they_wait_for_a_branch() -> None:
    """On Hopper; there is no such launch on Turing."""
    assert enhanced(90)[FIRST]["unchained"] == [
        "thumbnail_kernel",
        "dark_steps_kernel", "load_kernel",  # a branch beside the network
        "light_layer_kernel",
        "finish_kernel",  # after both
        "stretch_kernel",  # a branch beside the denoiser
        "statistics_kernel",
        "luma_curve_kernel",  # after both
    ]  # fmt: skip
    assert len(enhanced(90)[FIRST]["launched"]) == 29
    (turing,) = enhanced(75).values()
    assert turing["unchained"] == turing["launched"]
