"""The CUDA path against the reference: kernels, network, control, and whole steps."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

if find_spec("triton") is None:  # not imported before agreement.py has chosen the interpreter
    pytest.skip("Triton is not installed (it is for Linux)", allow_module_level=True)

from tests.conftest import require_gpu
from tests.support import agreement
from tests.support.agreement import Check, dark_frame
from tests.support.compiled import kernels_of
from tests.support.noise import gap
from zerodce_rt.enhancer import Enhancer


@pytest.mark.parametrize("check", [pytest.param(c, id=c.name) for c in agreement.all_checks()])
def test_agreement(check: Check) -> None:
    """On a card if there is one, else in Triton's interpreter."""
    check.run()


def test_the_formats_that_matter_are_supported() -> None:
    wanted = {"rgb24", "bgr24", "nv12", "yuv420p", "yuv420p10le", "p010le"}
    assert wanted <= set(agreement.SUPPORTED)


def test_the_enhancer_runs_on_the_card() -> None:
    require_gpu()
    frame = dark_frame("nv12", 640, 360)
    gpu, cpu = Enhancer(backend="cuda"), Enhancer(backend="torch", denoise=0)
    expected = frame.empty_like()
    cpu.enhance(frame, expected)
    for _ in range(3):
        target = frame.empty_like()
        gpu.enhance(frame, target)
        assert gap(expected, target) <= 2


# Each takes half a minute; ``scripts/count_kernels.py`` does all of them.
GENERATIONS = [75, 80, 86, 89, 90, 100, 120] if agreement.THOROUGH else [90]


@pytest.mark.parametrize("capability", GENERATIONS)
def test_machine_code_for_every_generation(capability: int) -> None:
    """No registers are spilled to memory, and memory is read 16 bytes at once."""
    kernels = kernels_of("compile_kernels", capability)
    assert len(kernels) == 27
    for kernel in kernels:
        what = f"{kernel['kernel']} on {capability}: {kernel}"
        # A multiprocessor has 65,536 registers: at 128 a thread, 16 of its 64 warps fit.
        curve = kernel["kernel"].startswith("curve")
        assert kernel["registers"] <= (128 if curve and capability >= 80 else 192), what
        if kernel["kernel"].endswith("full") or kernel["kernel"].startswith("layer"):
            assert kernel["widest_load"] == 128, what
        if capability >= 80 and kernel["kernel"].endswith("small"):
            assert kernel["tensor_cores"] > 0, what
