"""Instructions of whole warps: matrices between registers and memory, and their products.

How the elements lie in the registers is in PTX ISA, "Matrix Fragments for mma.m16n8k16" and
"Asynchronous Warpgroup Level Matrix Instructions".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tests.support.ptx.instructions import Act, Builder, addresses
from tests.support.ptx.memory import ASYNCHRONOUS, Users
from tests.support.ptx.program import Instruction, names

if TYPE_CHECKING:
    from tests.support.ptx.machine import Machine

Values = NDArray[Any]
_LANE = np.arange(32)


def _halves(machine: Machine, values: Values, threads: int) -> Values:
    """Two float16 of each register [groups, threads, 2]."""
    return np.ascontiguousarray(machine.spread(values)).view(np.float16).reshape(-1, threads, 2)


def _floats(machine: Machine, values: Values, threads: int) -> Values:
    return np.ascontiguousarray(machine.spread(values)).view(np.float32).reshape(-1, threads)


def _product(machine: Machine, instruction: Instruction) -> Act:
    """``mma``: a product [16, 16] x [16, 8] of each warp."""
    if ".".join(instruction.modifiers) != "sync.aligned.m16n8k16.row.col.f32.f16.f16.f32":
        raise instruction.unknown()
    targets, *sources = map(names, instruction.operands)
    left, right, added = ([machine.reader(n, np.uint32) for n in each] for each in sources)
    row, column = _LANE // 4, _LANE % 4 * 2

    def act(mask: NDArray[np.bool_] | None) -> None:
        machine.warps(mask)
        count = machine.threads // 32
        a, b = np.zeros((count, 16, 16)), np.zeros((count, 16, 8))
        c = np.zeros((count, 16, 8), np.float32)
        for i, read in enumerate(left):
            pair = _halves(machine, read(), 32)
            for n in range(2):
                a[:, row + 8 * (i % 2), column + 8 * (i // 2) + n] = pair[..., n]
        for i, read in enumerate(right):
            pair = _halves(machine, read(), 32)
            for n in range(2):
                b[:, column + 8 * i + n, row] = pair[..., n]
        for i, read in enumerate(added):
            c[:, row + 8 * (i // 2), column + i % 2] = _floats(machine, read(), 32)
        result = (a @ b + c).astype(np.float32)
        for i, target in enumerate(targets):
            values = result[:, row + 8 * (i // 2), column + i % 2].reshape(-1)
            machine.write(target, values, mask)

    return act


def _load_matrix(machine: Machine, instruction: Instruction) -> Act:
    """``ldmatrix``: matrices [8, 8] of 16 bits, of which 8 threads each tell the rows' places."""
    targets, where = names(instruction.operands[0]), _rows(machine, instruction, 1)

    def act(mask: NDArray[np.bool_] | None) -> None:
        warps = machine.warps(mask)
        at = where()[warps]
        users = machine.users(warps * 32).times(8)
        for number, target in enumerate(targets):
            rows = at[:, 8 * number : 8 * number + 8].reshape(-1)
            found = machine.shared.load(rows, 16, users).view(np.uint16).reshape(-1, 8, 8)
            if "trans" in instruction.modifiers:
                found = found.transpose(0, 2, 1)
            pairs = np.zeros((machine.threads // 32, 32), np.uint32)
            pairs[warps] = np.ascontiguousarray(found).view(np.uint32).reshape(-1, 32)
            machine.write(target, pairs.reshape(-1), mask)

    return act


def _store_matrix(machine: Machine, instruction: Instruction) -> Act:
    """``stmatrix``: the same in the other direction."""
    reads = [machine.reader(n, np.uint32) for n in names(instruction.operands[1])]
    where = _rows(machine, instruction, 0)

    def act(mask: NDArray[np.bool_] | None) -> None:
        warps = machine.warps(mask)
        at = where()[warps]
        users = machine.users(warps * 32).times(8)
        for number, read in enumerate(reads):
            pairs = np.ascontiguousarray(machine.spread(read()).reshape(-1, 32)[warps])
            matrix = pairs.view(np.uint16).reshape(-1, 8, 8)
            if "trans" in instruction.modifiers:
                matrix = matrix.transpose(0, 2, 1)
            rows = np.ascontiguousarray(matrix).view(np.uint8).reshape(-1, 16)
            machine.shared.store(at[:, 8 * number : 8 * number + 8].reshape(-1), rows, users)

    return act


def _rows(machine: Machine, instruction: Instruction, operand: int) -> Any:
    """The addresses that threads tell [warps, 32]."""
    if not {"sync", "aligned", "m8n8", "shared", "b16"} <= set(instruction.modifiers):
        raise instruction.unknown()
    where = addresses(machine, instruction.operands[operand], "shared")
    return lambda: where().reshape(-1, 32)


def _copy(machine: Machine, instruction: Instruction) -> Act:
    """``cp.async``: from global to shared memory, where it arrives when it is waited for."""
    kind, operands = instruction.modifiers[1], instruction.operands
    if kind == "commit_group":

        def commit(mask: NDArray[np.bool_] | None) -> None:
            machine.copy_groups.append(machine.copies)
            machine.copies = []

        return commit
    if kind == "wait_group":
        # Groups of all threads are in one list: none of them has more left than may be.
        left = int(operands[0])

        def wait(mask: NDArray[np.bool_] | None) -> None:
            while len(machine.copy_groups) > left:
                for at, values, threads in machine.copy_groups.pop(0):
                    machine.shared.store(at, values, machine.users(threads))

        return wait
    if instruction.modifiers != ("async", "cg", "shared", "global"):
        raise instruction.unknown()
    to = addresses(machine, operands[0], "shared")
    source = addresses(machine, operands[1], "global")
    size = int(operands[2], 0)
    read = machine.reader(operands[3] if len(operands) > 3 else str(size), np.uint32)

    def act(mask: NDArray[np.bool_] | None) -> None:
        threads = machine.chosen(mask)
        count = machine.spread(read())[threads]
        if ((count != 0) & (count != size)).any():
            raise instruction.unknown()
        some, values = count > 0, np.zeros((len(threads), size), np.uint8)
        values[some] = machine.memory.load(
            source()[threads[some]], size, machine.users(threads[some])
        )
        machine.copies.append((to()[threads], values, threads))

    return act


def _group_product(machine: Machine, instruction: Instruction) -> Act:
    """``wgmma``: a product [64, 16] x [16, n] of four warps, of matrices in shared memory."""
    kind = instruction.modifiers[0]
    if kind in ("fence", "commit_group", "wait_group"):
        return lambda mask: None
    form = re.fullmatch(r"m64n(\d+)k16", instruction.modifiers[3])
    if form is None or instruction.modifiers[-3:] != ("f32", "f16", "f16"):
        raise instruction.unknown()
    width, in_registers = int(form[1]), instruction.operands[1].startswith("{")
    target, first, second, scale, *signs = instruction.operands
    targets = names(target)
    # Neither factor is negated; then, which of those in memory are transposed.
    if signs[:2] != ["1", "1"]:
        raise instruction.unknown()
    before = [machine.reader(n, np.uint32) for n in targets]
    left = [machine.reader(n, np.uint32 if in_registers else np.uint64) for n in names(first)]
    right, keep = machine.reader(second, np.uint64), machine.reader(scale, np.bool_)
    thread = np.arange(128)
    row, column = 16 * (thread // 32) + thread % 32 // 4, thread % 4 * 2

    def act(mask: NDArray[np.bool_] | None) -> None:
        machine.warps(mask)
        groups = machine.threads // 128
        # Who is not chosen reads nothing.
        running = np.flatnonzero(
            np.ones(groups, bool) if mask is None else mask.reshape(-1, 128).all(1)
        )
        c = np.zeros((groups, 64, width), np.float32)
        for i, read in enumerate(before):
            at = row + 8 * (i // 2 % 2), column + i // 4 * 8 + i % 2
            c[:, at[0], at[1]] = _floats(machine, read(), 128)
        kept = machine.spread(keep()).reshape(-1, 128)[:, 0]
        c = np.where(kept[:, None, None], c, np.float32(0))
        a, b = np.zeros((groups, 64, 16)), np.zeros((groups, width, 16))
        if in_registers:
            for i, read in enumerate(left):
                pair = _halves(machine, read(), 128)
                for n in range(2):
                    a[:, row + 8 * (i % 2), column + 8 * (i // 2) + n] = pair[..., n]
        else:
            a[running] = _described(machine, instruction, left[0](), running, 64, signs[-2] == "1")
        b[running] = _described(machine, instruction, right(), running, width, signs[-1] == "1")
        result = (a @ b.transpose(0, 2, 1) + c).astype(np.float32)
        for i, name in enumerate(targets):
            values = result[:, row + 8 * (i // 2 % 2), column + i // 4 * 8 + i % 2]
            machine.write(name, values.reshape(-1), mask)

    return act


def _described(
    machine: Machine, instruction: Instruction, described: Values, groups: Values, rows: int,
    transposed: bool,
) -> Values:  # fmt: skip
    """A matrix [groups, rows, 16] of shared memory, by the groups' "matrix descriptors"."""
    words = machine.spread(described).reshape(-1, 128)[groups, 0]
    row, column = np.meshgrid(np.arange(rows), np.arange(16), indexing="ij")
    found = np.zeros((len(groups), rows, 16))
    for number, (group, word) in enumerate(zip(groups.tolist(), words.tolist(), strict=True)):
        start, leading, stride = ((word >> place & 0x3FFF) << 4 for place in (0, 16, 32))
        if word >> 49 & 7 or not word >> 62:
            raise instruction.unknown()
        swizzle = {1: 128, 2: 64, 3: 32}[word >> 62]
        if transposed:
            across = swizzle // 2
            at = row // across * leading + column // 8 * stride
            at = at + column % 8 * swizzle + row % across * 2
        else:
            at = row // 8 * stride + row % 8 * swizzle + column * 2
        at = (at + start).reshape(-1)
        # Pieces of 16 bytes change places, so that rows and columns are read equally fast.
        at = at ^ ((at >> 7 & (swizzle // 16 - 1)) << 4)
        one = machine.users(np.full(at.size, group * 128))
        users = Users(one.block, np.full(at.size, ASYNCHRONOUS), one.epoch)
        values = machine.shared.load(at, 2, users).view(np.float16)
        found[number] = values.reshape(rows, 16)
    return found


BUILDERS: dict[str, Builder] = {
    "mma": _product, "ldmatrix": _load_matrix, "stmatrix": _store_matrix, "cp": _copy,
    "wgmma": _group_product,
}  # fmt: skip
