"""The denoiser on the device against the plain one, and its machine code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest

if find_spec("triton") is None:  # not imported before agreement.py has chosen the interpreter
    pytest.skip("Triton is not installed (it is for Linux)", allow_module_level=True)

from tests.backends.cuda.test_agreement import GENERATIONS
from tests.support import agreement_denoise
from tests.support.agreement import DEVICE, Check
from zerodce_rt.backends.cuda.denoiser import DeviceDenoiser, denoises
from zerodce_rt.denoise import learner
from zerodce_rt.frame import Colour

CHECKS = [pytest.param(c, id=c.name) for c in agreement_denoise.denoise_checks()]


@pytest.mark.parametrize("check", CHECKS)
def test_agreement(check: Check) -> None:
    """On a card if there is one, else in Triton's interpreter."""
    check.run()


def test_only_some_blocks_of_a_large_frame_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner, "_BLOCKS", 12)  # so that this one is large
    strengths = 3 * [1.0]
    agreement_denoise.filtering("nv12", (96, 112), Colour(), strengths)


def test_interlaced_frames_are_refused() -> None:
    frame = agreement_denoise.noisy_video("nv12", 34, 18, Colour(), 1)[0]
    assert denoises(frame)
    interlaced = replace(frame, interlaced=True)
    assert not denoises(interlaced)
    with pytest.raises(ValueError, match="nv12"):
        DeviceDenoiser(interlaced, DEVICE)


@pytest.mark.parametrize("capability", GENERATIONS)
def test_machine_code_for_every_generation(capability: int) -> None:
    """No registers are spilled to memory."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.compile_denoise", str(capability)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kernels = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(kernels) == 13
    for kernel in kernels:
        what = f"{kernel['kernel']} on {capability}: {kernel}"
        assert kernel["stack"] == 0, what
        assert kernel["spills"] == 0, what
        assert kernel["registers"] <= 128, what
