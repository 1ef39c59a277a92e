"""Kernels of ``faulty_kernels`` on an emulated card: what is found of each of their faults.

``python -m tests.support.emulated_faults 90`` prints a line of JSON for each: its name, the result,
and the hazards that were found. Needs a process of its own, in which Triton does not interpret.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.support.emulated_card import install, outcome  # before kernels are defined

# isort: split
import torch

from tests.support.faulty_kernels import (
    count_kernel,
    flag_kernel,
    heap_kernel,
    shifted_kernel,
    turned_kernel,
)

Case = tuple[str, Any, tuple[Any, ...]]


def cases() -> Iterator[Case]:
    """A name, a launch, and its arguments."""
    values, out = torch.arange(20.0), torch.zeros(16)
    counted = torch.zeros(1, dtype=torch.int32)
    blocks, block = {"grid": (4,), "SIZE": 4}, {"grid": (1,), "SIZE": 256}

    def of(name: str, kernel: Any, *given: Any, **how: Any) -> Case:
        return name, partial(kernel.run, warmup=False, **how), given

    yield of("none", shifted_kernel, values[:16], out, 0, **blocks)
    yield of("outside", shifted_kernel, values[:16], out, 4, **blocks)
    yield of("writes what is read", shifted_kernel, values, values, 4, **blocks)
    # More blocks than run at once.
    many, grid = torch.arange(404.0), {**blocks, "grid": (100,)}
    yield of("reads what is written", shifted_kernel, many, many[4:], 0, **grid)
    yield of("equal values", flag_kernel, torch.ones(16), out, **blocks)
    yield of("other values", flag_kernel, torch.arange(1.0, 17), out, **blocks)
    whole = torch.arange(16, dtype=torch.int32)
    yield of("counts", count_kernel, whole, torch.zeros_like(whole), counted, **blocks)
    yield of("heap", heap_kernel, torch.arange(16.0), out, **blocks)
    long = torch.arange(256.0)
    for barrier in (False, True):
        name = f"turned, barrier {barrier}"
        yield of(name, turned_kernel, long, torch.zeros(512), BARRIER=barrier, **block)


def main(capability: int) -> None:
    card = install(capability)
    for name, launch, given in cases():
        card.hazards = []
        result = outcome(lambda launch=launch, given=given: launch(*given) and None)  # type: ignore[misc]
        print(json.dumps({"name": name, "result": result, "hazards": card.hazards}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
