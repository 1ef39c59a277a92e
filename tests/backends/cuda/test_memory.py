"""Which memory blocks of threads use, with the blocks that a card would run at the same time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch

if find_spec("triton") is None:  # not imported before agreement.py has chosen the interpreter
    pytest.skip("Triton is not installed (it is for Linux)", allow_module_level=True)

from tests.support import agreement

if agreement.HAS_GPU:
    pytest.skip("there is no interpreter to watch", allow_module_level=True)

from tests.support.faulty_kernels import (
    count_kernel,
    flag_kernel,
    heap_kernel,
    shifted_kernel,
)
from tests.support.memory_check import Watch, watched
from tests.support.noise import blank, random_frame
from tests.support.stand_in_driver import modules_that_ask
from zerodce_rt.backends.cuda import chained_kernels
from zerodce_rt.backends.cuda.light_network import LightTritonNetwork
from zerodce_rt.backends.cuda.step import CUDAStep
from zerodce_rt.backends.cuda.triton_network import TritonNetwork
from zerodce_rt.curve.control import ControlSettings
from zerodce_rt.curve.working_size import WorkingSize
from zerodce_rt.denoise import rules
from zerodce_rt.frame import Colour
from zerodce_rt.network.checkpoint import load_bundled

# The tiles of Hopper, or the interpreter's own, which are fewer.
CAPABILITY = 90 if agreement.THOROUGH else 0
# Kernels of two dimensions take several blocks in both of them.
KINDS = ["light:nv12:66x70:16"]
if agreement.THOROUGH:
    KINDS += [
        "light:nv12:193x111:16", "light:yuv420p:65x66:16", "light:yuv420p10le:66x70:16:interlaced",
        "light:yuv444p:66x70:16", "light:yuv422p:67x65:16", "light:yuyv422:66x70:16",
        "light:rgb24:66x70:16", "light:bgrf32le:66x70:16", "light:p010le:66x70:16:pq",
        "light:nv12:1x1:16", "light:nv12:130x2:16", "plus:nv12:66x70:16", "dcenet:rgb24:130x34:16",
        "dcenet:nv12:40x24:full", "plus:yuv420p:40x24:1/2",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_no_block_of_threads_uses_what_another_writes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, format, size, seen, *special = kind.split(":")
    width, height = (int(n) for n in size.split("x"))
    colour = Colour("bt2020", transfer="pq") if special == ["pq"] else Colour()
    interlaced = special == ["interlaced"]
    frame = replace(random_frame(format, width, height, colour), interlaced=interlaced)
    for number, plane in enumerate(frame.planes):
        # Dark, so that the noise is removed, and with so little contrast that there is no cut.
        plane[:] = plane / 16 + plane.max() / (2 if number else 8)
        if frame.format.dropped_bits:
            plane &= 0x10000 - (1 << frame.format.dropped_bits)
    # The camera moves, for which is looked in the second frame.
    by = 12 if frame.format.layout == "packed" else 4
    video = [frame, replace(frame, planes=tuple(np.roll(p, by, axis=1) for p in frame.planes))]
    monkeypatch.setattr(rules, "PROBE_EVERY", 2)
    as_on(CAPABILITY, monkeypatch)
    working_size = WorkingSize.parse(seen)
    make = LightTritonNetwork if model == "light" else TritonNetwork
    network = make(load_bundled(model), torch.device("cpu"))
    with watched() as watch:
        monkeypatch.setattr(CUDAStep, "_beside", lambda step, run: beside(watch, run))
        step = CUDAStep(
            network, video[0], video[0], working_size, 0.5, denoise=not working_size.published
        )
        settings = ControlSettings(max_level=0.5, denoise=1)
        for number, frame in enumerate(video):
            step.begin(frame, blank(frame), settings, number / 30)()
    assert watch.faults == []
    assert sum(watch.launches.values()) > 2 * 9
    assert watch.wrote == watch.launches.keys()


def as_on(capability: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let launches have the tiles that they have on a card."""
    monkeypatch.setattr(chained_kernels, "CAPABILITIES", ())
    for module in modules_that_ask():
        monkeypatch.setattr(module, "capability", lambda device: capability)


def beside(watch: Watch, run: Callable[[], None]) -> Callable[[], None]:
    """In the place of ``CUDAStep._beside``: compare a branch with what is launched beside it."""
    with watch.noting() as branch:
        run()
    noting = watch.noting()
    meanwhile = noting.__enter__()

    def join() -> None:
        noting.__exit__(None, None, None)
        watch.compare(branch, meanwhile)

    return join


def test_faults_are_found() -> None:
    def faults(kernel: Any, *arguments: Any) -> list[str]:
        with watched() as watch:
            kernel[(4,)](*arguments, SIZE=4)
        return watch.faults

    values, own, out = torch.arange(20.0), torch.arange(20.0), torch.zeros(16)
    assert faults(shifted_kernel, values[:16], out, 0) == []
    assert faults(shifted_kernel, values[:16], out, 4) == [
        "shifted_kernel: an address outside of all tensors"
    ]
    # The card may run the second block before the first.
    assert faults(shifted_kernel, own, own, 4) == [
        "shifted_kernel: a block writes what another reads"
    ]
    assert faults(shifted_kernel, own[4:], own[4:], -4)[-1:] == [
        "shifted_kernel: a block reads what another writes"
    ]
    assert faults(flag_kernel, torch.ones(16), out) == [], "all store the same"
    assert faults(flag_kernel, values[:16], out) == [
        "flag_kernel: blocks store different values in one place"
    ]
    assert faults(count_kernel, values[:16], out, torch.zeros(1)) == [
        "count_kernel: a block reads what another writes",
        "count_kernel: a block changes what another reads",
    ]
    assert "heap_kernel: threads of a block store different values in one place" in faults(
        heap_kernel, values[:16], out
    )


def test_branches_may_not_meet() -> None:
    values, out, other = torch.ones(16), torch.zeros(16), torch.zeros(16)

    def faults(first: tuple[torch.Tensor, ...], second: tuple[torch.Tensor, ...]) -> list[str]:
        with watched() as watch:
            join = beside(watch, lambda: shifted_kernel[(4,)](*first, 0, SIZE=4))
            shifted_kernel[(4,)](*second, 0, SIZE=4)
            join()
        return watch.faults

    meet = ["shifted_kernel: a branch and what runs beside it use the same memory"]
    assert faults((values, out), (values, other)) == []
    assert faults((values, out), (out, other)) == meet
    assert faults((out, other), (values, out)) == meet
    assert faults((values, out), (values, out)) == meet
