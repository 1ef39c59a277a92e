"""The light model's CUDA path against the reference: network, floor, control and curve."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

if find_spec("triton") is None:  # not imported before agreement.py has chosen the interpreter
    pytest.skip("Triton is not installed (it is for Linux)", allow_module_level=True)

import torch

from tests.support.agreement import DEVICE, THOROUGH, Check, upload
from tests.support.agreement_light import half_light_maps, light_checks
from tests.support.compiled import kernels_of
from tests.support.noise import random_frame
from zerodce_rt.backends.cuda.light_applier import apply_light_curve
from zerodce_rt.frame import Colour


@pytest.mark.parametrize("check", [pytest.param(c, id=c.name) for c in light_checks()])
def test_agreement(check: Check) -> None:
    """On a card if there is one, else in Triton's interpreter."""
    check.run()


@pytest.mark.parametrize(
    ("name", "size"), [("yuv444p", (8, 6)), ("bgr24", (8, 6)), ("nv12", (8, 8))]
)
def test_frames_that_do_not_fit_together_are_refused(name: str, size: tuple[int, int]) -> None:
    frame, out = random_frame("nv12", 8, 6, Colour()), random_frame(name, *size, Colour())
    maps = torch.from_numpy(half_light_maps(2, 3).values).to(DEVICE)
    with pytest.raises(ValueError, match="cannot be enhanced into"):
        apply_light_curve(upload(frame), maps, upload(out), gain=torch.ones(1, device=DEVICE))


# Each takes half a minute; ``scripts/count_kernels.py`` does all of them.
GENERATIONS = [75, 80, 90, 120] if THOROUGH else [90]


@pytest.mark.parametrize("capability", GENERATIONS)
def test_machine_code_for_every_generation(capability: int) -> None:
    """No registers are spilled to memory."""
    kernels = kernels_of("compile_light", capability)
    assert len(kernels) == 20
    for kernel in kernels:
        what = f"{kernel['kernel']} on {capability}: {kernel}"
        # A multiprocessor has 65,536 registers: at 128 a thread, 16 of its 64 warps fit.
        curve = kernel["kernel"].startswith("light curve") and "large" not in kernel["kernel"]
        assert kernel["registers"] <= (128 if curve and capability >= 80 else 192), what
        products = kernel["kernel"].startswith(("light curve", "light layer")) and not (
            kernel["kernel"].endswith("whole")
        )
        if capability >= 80 and products:
            assert kernel["tensor_cores"] > 0, what
