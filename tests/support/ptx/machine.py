"""Runs a program over a grid: the threads of many blocks at once, as vectors of NumPy.

Threads that stand at the same instruction go on together. Of several groups, the one runs that is
furthest behind, so that threads that have parted meet again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.ptx.instructions import Act, build
from tests.support.ptx.memory import Fault, GlobalMemory, SharedMemory, Users
from tests.support.ptx.program import Instruction, Program

Mask = NDArray[np.bool_]
Values = NDArray[Any]

WARP = 32
# Threads that run at once: more take more memory, fewer more time.
_AT_ONCE = 8192
# By the letters of their names.
_REGISTERS: dict[str, type] = {
    "%p": np.bool_, "%rs": np.uint16, "%r": np.uint32, "%rd": np.uint64,
}  # fmt: skip


class Machine:
    """One launch of a kernel, which runs when ``run`` is called.

    Values are unsigned integers, or bool for predicates: [threads], or [] if all have the same.

    Args:
        grid: blocks in each direction.
        threads: of each block.
        arguments: of the kernel, as bits.
        extents: addresses of the memory that it may use.
        shared: bytes of shared memory of each block.
        note: told of hazards.

    Attributes:
        threads: how many run at once.
        block: number of each thread's block.
        warp: number of each thread's warp in the block.
    """

    def __init__(
        self, program: Program, grid: tuple[int, int, int], threads: int,
        arguments: Sequence[int], extents: Sequence[tuple[int, int]], shared: int,
        note: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._program, self._grid, self.block_threads = program, grid, threads
        self.arguments: Mapping[str, int] = dict(zip(program.parameters, arguments, strict=True))
        self._note, self._shared_size = note, max(shared, 16)
        self._text = ""
        self.memory = GlobalMemory(extents, self.note)
        self._registers: dict[str, Values] = {}
        self._special: dict[str, Values] = {}
        self.threads = 0

    @cached_property
    def _acts(self) -> list[Act | None]:
        return [
            None if i.name in ("bra", "ret", "bar") and i.modifiers[:1] != ("warp",)
            else build(self, i)
            for i in self._program.instructions
        ]  # fmt: skip

    def run(self) -> None:
        across, down, deep = self._grid
        total, at_once = across * down * deep, max(1, _AT_ONCE // self.block_threads)
        with np.errstate(all="ignore"):
            for first in range(0, total, at_once):
                self._begin(first, min(at_once, total - first))
                self._run_blocks()

    def note(self, hazard: str) -> None:
        self._note(f"{self._program.name}: {hazard} ({self._text})")

    # What instructions use.

    def reader(self, operand: str, kind: type) -> Callable[[], Values]:
        """A function for the values of a register or constant, as numbers of a NumPy type."""
        bits = np.dtype(f"u{np.dtype(kind).itemsize}") if kind is not np.bool_ else np.dtype(bool)
        if operand in ("%ntid.x", "%nctaid.x", "%nctaid.y", "%nctaid.z") or re.match(
            r"%(tid|ctaid)\.", operand
        ):
            return lambda: self._special[operand].astype(bits).view(kind)
        if operand.startswith("%"):
            unset: Values = np.zeros((), self._register(operand))
            return lambda: self._registers.get(operand, unset).astype(bits, copy=False).view(kind)
        if operand in self._program.shared:
            constant = 0
        elif operand.startswith(("0f", "0d")):
            constant = int(operand[2:], 16)
        else:
            constant = int(operand.rstrip("U"), 0)
        if kind is np.bool_:
            value = np.array(constant != 0)
        else:
            value = np.array(constant & ((1 << 8 * bits.itemsize) - 1), bits).view(kind)
        return lambda: value

    def write(self, register: str, values: Values, mask: Mask | None) -> None:
        """Numbers that are narrower than the register are extended by their sign."""
        values, kind = np.asarray(values), self._register(register)
        if values.dtype.kind == "f":
            values = (
                np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}").reshape(values.shape)
            )
        values = values.astype(kind, copy=False)
        if mask is not None:
            values = np.where(mask, values, self._registers.get(register, np.zeros((), kind)))
        self._registers[register] = values

    def spread(self, values: Values) -> Values:
        """A value for each thread."""
        return np.broadcast_to(values, (self.threads,))

    def users(self, threads: NDArray[np.integer]) -> Users:
        block = self.block[threads]
        return Users(block, self.warp[threads], self._epoch[block - self._first])

    def chosen(self, mask: Mask | None) -> NDArray[np.integer]:
        """Numbers of the threads."""
        return np.arange(self.threads) if mask is None else np.flatnonzero(mask)

    def warps(self, mask: Mask | None) -> NDArray[np.integer]:
        """Numbers of the warps, of which all threads have to take part."""
        if mask is None:
            return np.arange(self.threads // WARP)
        lanes = mask.reshape(-1, WARP)
        if (lanes.any(1) != lanes.all(1)).any():
            raise Fault("not all threads of a warp take part")
        return np.flatnonzero(lanes.any(1))

    # How it runs.

    def _begin(self, first: int, blocks: int) -> None:
        across, down, _ = self._grid
        self._first, self.threads = first, blocks * self.block_threads
        thread = np.arange(self.threads) % self.block_threads
        self.block = first + np.arange(self.threads) // self.block_threads
        self.warp = thread // WARP
        self._epoch = np.zeros(blocks, np.int64)
        self._registers = {}
        self._special = {
            "%tid.x": thread, "%tid.y": np.array(0), "%tid.z": np.array(0),
            "%ntid.x": np.array(self.block_threads), "%ctaid.x": self.block % across,
            "%ctaid.y": self.block // across % down, "%ctaid.z": self.block // (across * down),
        }  # fmt: skip
        self._special |= {
            f"%nctaid.{a}": np.array(n) for a, n in zip("xyz", self._grid, strict=True)
        }
        self.shared = SharedMemory(first, blocks, self._shared_size, self.note)
        self.copies: list[Any] = []
        self.copy_groups: list[list[Any]] = []
        self._alive = np.ones(self.threads, bool)
        self._parked = np.full(self.threads, -1)
        self._groups = {0: self._alive.copy()}

    def _run_blocks(self) -> None:
        instructions, acts = self._program.instructions, self._acts
        while self._groups:
            at = min(self._groups)
            active = self._groups.pop(at)
            stop = min(self._groups, default=len(instructions))
            everyone = bool(active.all())
            while at < stop:
                instruction, act = instructions[at], acts[at]
                chosen = active & self._holds(instruction) if instruction.predicate else active
                if act is None:
                    self._control(instruction, at, active, chosen)
                    break
                if chosen.any():
                    whole = everyone if chosen is active else bool(chosen.all())
                    self._do(instruction, act, None if whole else chosen)
                at += 1
            else:
                self._join(at, active)
        if (self._parked >= 0).any():
            self.note("threads wait at a barrier for ever")

    def _do(self, instruction: Instruction, act: Act, mask: Mask | None) -> None:
        self._text = instruction.text
        try:
            act(mask)
        except Fault as fault:
            raise Fault(f"{self._program.name}: {fault} ({self._text})") from None

    def _holds(self, instruction: Instruction) -> Mask:
        held = self.spread(self._registers.get(instruction.predicate, np.array(False)))
        return ~held if instruction.negated else held

    def _control(self, instruction: Instruction, at: int, active: Mask, chosen: Mask) -> None:
        """A branch, the end, or a barrier."""
        self._text = instruction.text
        if instruction.name == "bar":
            if instruction.modifiers != ("sync",) or instruction.operands != ("0",):
                raise instruction.unknown()
            self._parked[chosen] = at
        elif instruction.name == "ret":
            self._alive &= ~chosen
        else:
            self._join(self._program.labels[instruction.operands[0]], chosen)
        self._join(at + 1, active & ~chosen)
        if instruction.name != "bra":
            self._release()

    def _join(self, at: int, threads: Mask) -> None:
        if threads.any():
            self._groups[at] = self._groups[at] | threads if at in self._groups else threads

    def _release(self) -> None:
        """Blocks go on of which all threads wait that have not ended."""
        waits: Mask = np.reshape(self._parked >= 0, (-1, self.block_threads))
        ready: Mask = np.asarray((waits | ~self._alive.reshape(waits.shape)).all(1) & waits.any(1))
        self._epoch += ready
        released = np.repeat(ready, self.block_threads) & (self._parked >= 0)
        places = self._parked.reshape(waits.shape)
        if ((places != places.max(1, keepdims=True)) & waits & ready[:, None]).any():
            self.note("threads of a block meet at different barriers")
        for place in np.unique(self._parked[released]).tolist():
            self._join(place + 1, released & (self._parked == place))
        self._parked[released] = -1

    @staticmethod
    def _register(name: str) -> type:
        return _REGISTERS[name.rstrip("0123456789")]
