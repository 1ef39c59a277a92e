"""Checks of agreement with the kernels that Triton compiles for a card, run on the CPU.

Triton's interpreter runs what the kernels say; here it is what a card would be given, with its
threads, shared memory and barriers.

``python -m tests.support.emulated_card 90 PATTERN...`` runs the checks whose names match one of
the patterns, and prints a line of JSON for each: its name and result, and the hazards that were
found. Needs a process of its own, in which Triton does not interpret.
"""

from __future__ import annotations

import json
import os
import re
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any

os.environ["TRITON_INTERPRET"] = "0"  # before agreement.py would choose the interpreter

from triton.runtime.cache import get_cache_manager

from tests.support import stand_in_driver
from tests.support.ptx.machine import WARP, Machine
from tests.support.ptx.memory import Fault
from tests.support.ptx.program import Program, read_program


class EmulatedCard(stand_in_driver.StandInDriver):
    """Runs the kernels that are launched.

    Attributes:
        hazards: a line for each kind of each kernel.
        ran: how many launches there were of each kernel.
    """

    def __init__(self, capability: int) -> None:
        super().__init__(capability)
        self.hazards: list[str] = []
        self.ran: dict[str, int] = {}

    def launcher_cls(self, source: Any, metadata: Any) -> Any:
        path = get_cache_manager(metadata.hash).get_file(f"{metadata.name}.ptx")
        assert path is not None, f"{metadata.name} is not in Triton's cache"
        with open(path) as file:
            program = read_program(file.read())

        def launch(across: int, down: int, deep: int, *others: Any) -> None:
            # The stream, the function, and hooks come before the arguments.
            values, extents = _arguments(source, program, others[-len(source.signature) :])
            grid = across, down, deep
            Machine(
                program, grid, metadata.num_warps * WARP, values, extents, metadata.shared,
                self._note,
            ).run()  # fmt: skip
            self.ran[program.name] = self.ran.get(program.name, 0) + 1

        return launch

    def _note(self, hazard: str) -> None:
        if hazard not in self.hazards:
            self.hazards.append(hazard)


def _arguments(
    source: Any, program: Program, given: Sequence[Any]
) -> tuple[list[int], list[tuple[int, int]]]:
    """What the kernel is given, as bits, and the memory that it may use."""
    values: list[int] = []
    extents: list[tuple[int, int]] = []
    for number, (kind, value) in enumerate(zip(source.signature.values(), given, strict=True)):
        if kind == "constexpr" or (number,) in source.constants:
            continue
        if kind.startswith("*"):
            values.append(value.data_ptr())
            if value.numel():
                extents.append(stand_in_driver.extent_of(value))
        elif kind == "fp32":
            values.append(*struct.unpack("I", struct.pack("f", value)))
        else:
            values.append(int(value))
    # Memory for Triton's own use, of which our kernels need none.
    return values + [0] * (len(program.parameters) - len(values)), extents


def install(capability: int) -> EmulatedCard:
    """Let launches with tensors of the CPU run as on a card."""
    card = EmulatedCard(capability)
    stand_in_driver.install(card)
    return card


def outcome(run: Callable[[], object]) -> str:
    """``ok`` and the result, or what differs."""
    try:
        return f"ok {run()}"
    except AssertionError as difference:
        return f"differs: {difference}"
    except Fault as fault:
        return f"fault: {fault}"


def main(arguments: Sequence[str]) -> int:
    from tests.support import agreement, agreement_denoise, agreement_light

    card = install(int(arguments[0]))
    wanted = re.compile("|".join(arguments[1:]))
    failed = False
    for checks in (
        agreement.all_checks, agreement_light.light_checks, agreement_denoise.denoise_checks
    ):  # fmt: skip
        for check in checks():
            if not wanted.search(check.name):
                continue
            card.hazards, card.ran = [], {}
            result = outcome(check.run)
            failed |= not result.startswith("ok") or bool(card.hazards)
            line = {
                "name": check.name, "result": result, "hazards": card.hazards, "ran": card.ran,
            }  # fmt: skip
            print(json.dumps(line), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
