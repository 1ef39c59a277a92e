"""The denoiser on the device against the plain one, and its machine code."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest

if find_spec("triton") is None:  # not imported before agreement.py has chosen the interpreter
    pytest.skip("Triton is not installed (it is for Linux)", allow_module_level=True)

from tests.support import agreement_denoise
from tests.support.agreement import DEVICE, THOROUGH, Check
from tests.support.compiled import kernels_of
from tests.support.noise import noisy_video
from zerodce_rt.backends.cuda.denoiser import denoiser_for
from zerodce_rt.denoise import learner
from zerodce_rt.frame import Colour

CHECKS = [pytest.param(c, id=c.name) for c in agreement_denoise.denoise_checks()]


@pytest.mark.parametrize("check", CHECKS)
def test_agreement(check: Check) -> None:
    """On a card if there is one, else in Triton's interpreter."""
    check.run()


def test_only_some_blocks_of_a_large_frame_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner, "BLOCKS_SEEN", 12)  # so that this one is large
    strengths = 3 * [1.0]
    agreement_denoise.filtering("nv12", (96, 112), Colour(), strengths)


def test_frames_that_the_kernels_cannot_read_are_refused() -> None:
    frame = noisy_video("yuyv422", 34, 18, Colour(), 1)[0]
    for interlaced in (False, True):
        with pytest.raises(ValueError, match="yuyv422"):
            denoiser_for(replace(frame, interlaced=interlaced), DEVICE)


# ``scripts/count_kernels.py`` does all of them.
@pytest.mark.parametrize("capability", [75, 80, 90, 120] if THOROUGH else [90])
def test_machine_code_for_every_generation(capability: int) -> None:
    """No registers are spilled to memory."""
    kernels = kernels_of("compile_denoise", capability)
    assert len(kernels) == 22
    for kernel in kernels:
        what = f"{kernel['kernel']} on {capability}: {kernel}"
        assert kernel["registers"] <= 128, what
