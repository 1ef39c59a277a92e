"""Kernels of a graph that start while the one before them ends, on large cards from Hopper on.

A graph of small kernels mostly waits: each is launched when the one before has ended and its
results are in memory. By programmatic dependent launch, a kernel is launched before that, and
waits inside, where it needs the results (CUDA C++ Programming Guide, "Programmatic Dependent
Launch and Synchronization").
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from zerodce_rt.backends.cuda.driver import capability

CAPABILITIES = range(90, 120)
"""Of the cards for which it is done. Those of 120 (RTX 50) can do it as well, but SGLang could not
record it there (its pull request 18596)."""


@triton.jit
def wait_for_kernel_before(CHAINED: tl.constexpr):
    """Wait until the kernel before has ended, and let the one after be launched.

    To be called before anything is read that other kernels write, and before anything is
    written, by every block of threads: then a kernel that has ended tells that all before it have.
    """
    if CHAINED:
        tl.extra.cuda.gdc_wait()
        tl.extra.cuda.gdc_launch_dependents()


def chain_start(device: torch.device) -> dict[str, Any]:
    """Arguments of a launch that may be followed by one with ``chained``."""
    # Triton before 3.3 does not have it; PyTorch for CUDA brings its own.
    able = capability(device) in CAPABILITIES and hasattr(tl.extra.cuda, "gdc_wait")
    return {"CHAINED": True} if able else {}


def chained(device: torch.device) -> dict[str, Any]:
    """Arguments of a launch that follows another kernel's on its stream, and waits for nothing
    else.

    The kernel has to call ``wait_for_kernel_before``.
    """
    start = chain_start(device)
    return start | {"launch_pdl": True} if start else start
