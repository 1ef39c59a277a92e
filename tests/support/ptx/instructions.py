"""What each instruction does to the registers (PTX ISA, "Instruction Set").

A builder takes an instruction apart once, and hands out what is to be done each time it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tests.support.ptx.memory import Fault
from tests.support.ptx.program import Instruction, address, names

if TYPE_CHECKING:
    from tests.support.ptx.machine import Machine

Act: TypeAlias = Callable[["NDArray[np.bool_] | None"], None]
"""Does it for the threads of a mask, or for all of them."""

Builder: TypeAlias = Callable[["Machine", Instruction], Act]
Values: TypeAlias = NDArray[Any]

_INTEGERS: dict[int, tuple[type, type]] = {
    8: (np.uint8, np.int8), 16: (np.uint16, np.int16),
    32: (np.uint32, np.int32), 64: (np.uint64, np.int64),
}  # fmt: skip
_FLOATS: dict[int, type] = {16: np.float16, 32: np.float32, 64: np.float64}
_NOTHING = {"griddepcontrol", "fence", "bar"}  # of bar, only that of a warp


def build(machine: Machine, instruction: Instruction) -> Act:
    from tests.support.ptx.matrix import BUILDERS as MATRIX

    if instruction.name in _NOTHING:
        return lambda mask: None
    make = _BUILDERS.get(instruction.name) or MATRIX.get(instruction.name)
    if make is None:
        raise instruction.unknown()
    try:
        return make(machine, instruction)
    except (KeyError, IndexError, ValueError):
        raise instruction.unknown() from None


def number_type(name: str) -> type:
    """Of NumPy, for ``s32`` and the like."""
    if name == "pred":
        return np.bool_
    kind, bits = name[0], int(name[1:])
    return _FLOATS[bits] if kind == "f" else _INTEGERS[bits][kind == "s"]


def unsigned(bits: int) -> type:
    return _INTEGERS[bits][0]


def _flush(values: Values, instruction: Instruction) -> Values:
    """With ``ftz``, numbers too small for a full mantissa are 0."""
    if "ftz" not in instruction.modifiers or values.dtype.kind != "f":
        return values
    small = np.abs(values) < np.finfo(values.dtype).tiny
    return np.where(small, np.copysign(values.dtype.type(0), values), values)


# In float64 a product of two float32 is exact.
def _fused(a: Values, b: Values, c: Values) -> Values:
    return a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)


_FLOAT: dict[str, Callable[..., Values]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "fma": _fused,
    "neg": np.negative, "abs": np.abs, "min": np.fmin, "max": np.fmax, "sqrt": np.sqrt,
    "ex2": np.exp2,
}  # fmt: skip
_INTEGER: dict[str, Callable[..., Values]] = {
    "add": np.add, "sub": np.subtract, "neg": np.negative, "abs": np.abs, "min": np.minimum,
    "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "not": np.invert,
}  # fmt: skip
_COMPARE: dict[str, Callable[..., Values]] = {
    "eq": np.equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip


def _arithmetic(machine: Machine, instruction: Instruction) -> Act:
    target, *sources = instruction.operands
    if instruction.type == "f16x2":
        return _pairs(machine, instruction)
    kind = number_type(instruction.type)
    reads = [machine.reader(source, kind) for source in sources]
    if instruction.type.startswith("f"):
        instruction.allow("rn", "ftz", "full", "approx")
        compute = _FLOAT[instruction.name]
        sign_only = instruction.name in ("neg", "abs")

        def act(mask: NDArray[np.bool_] | None) -> None:
            values = [read() if sign_only else _flush(read(), instruction) for read in reads]
            result: Values = np.asarray(compute(*values)).astype(kind)
            machine.write(target, _flush(result, instruction), mask)

        return act
    instruction.allow()
    compute = _INTEGER[instruction.name]
    return lambda mask: machine.write(target, compute(*(read() for read in reads)), mask)


def _pairs(machine: Machine, instruction: Instruction) -> Act:
    """Two float16 in each register."""
    instruction.allow()
    target, *sources = instruction.operands
    reads = [machine.reader(source, np.uint32) for source in sources]
    compute = _FLOAT[instruction.name]

    def act(mask: NDArray[np.bool_] | None) -> None:
        values = [np.ascontiguousarray(machine.spread(read())).view(np.float16) for read in reads]
        machine.write(target, compute(*values).view(np.uint32), mask)

    return act


def _multiply(machine: Machine, instruction: Instruction) -> Act:
    if instruction.type.startswith("f"):
        return _arithmetic(machine, instruction)
    part, kind = instruction.modifiers[0], number_type(instruction.type)
    instruction.allow("lo", "hi", "wide")
    target, *sources = instruction.operands
    bits = np.dtype(kind).itemsize * 8
    reads = [machine.reader(source, kind) for source in sources[:2]]
    wide = _INTEGERS[2 * bits][np.dtype(kind).kind == "i"] if bits < 64 else kind
    out = wide if part == "wide" else kind
    added = machine.reader(sources[2], out) if instruction.name == "mad" else None
    if bits == 64 and part == "wide":
        raise instruction.unknown()

    def act(mask: NDArray[np.bool_] | None) -> None:
        a, b = (read() for read in reads)
        if part == "lo":
            result = a * b
        elif part == "wide" or bits < 64:
            result = a.astype(wide) * b.astype(wide)
            if part == "hi":
                result = (result >> np.array(bits, wide)).astype(kind)
        else:
            exact = a.astype(object) * b.astype(object)
            result = np.asarray(exact >> 64).astype(kind)
        machine.write(target, result if added is None else result + added(), mask)

    return act


def _divide(machine: Machine, instruction: Instruction) -> Act:
    """Towards 0, as ``rem`` has the dividend's sign."""
    if instruction.type.startswith("f"):
        return _arithmetic(machine, instruction)
    instruction.allow()
    kind = number_type(instruction.type)
    target, *sources = instruction.operands
    reads = [machine.reader(source, kind) for source in sources]

    def act(mask: NDArray[np.bool_] | None) -> None:
        a, b = (machine.spread(read()) for read in reads)
        if (b[machine.chosen(mask)] == 0).any():
            machine.note("division by zero")
        b = np.where(b == 0, np.ones((), kind), b)
        rest = np.fmod(a, b)
        machine.write(target, rest if instruction.name == "rem" else (a - rest) // b, mask)

    return act


def _shift(machine: Machine, instruction: Instruction) -> Act:
    instruction.allow()
    kind = number_type(instruction.type)
    target, source, count = instruction.operands
    read, by = machine.reader(source, kind), machine.reader(count, np.uint32)
    bits = np.dtype(kind).itemsize * 8

    def act(mask: NDArray[np.bool_] | None) -> None:
        value, places = read(), by()
        most: Values = np.minimum(places, bits - 1).astype(kind)
        result = value << most if instruction.name == "shl" else value >> most
        if np.dtype(kind).kind == "u":
            result = np.where(places >= bits, np.zeros((), kind), result)
        machine.write(target, result, mask)

    return act


def _count_bits(machine: Machine, instruction: Instruction) -> Act:
    target, source = instruction.operands
    read = machine.reader(source, number_type(instruction.type))

    def act(mask: NDArray[np.bool_] | None) -> None:
        value = np.ascontiguousarray(machine.spread(read()))
        bits = np.unpackbits(value.view(np.uint8).reshape(machine.threads, -1), axis=1)
        machine.write(target, bits.sum(1).astype(np.uint32), mask)

    return act


def _extract_bits(machine: Machine, instruction: Instruction) -> Act:
    instruction.allow()
    kind = number_type(instruction.type)
    target, source, first, count = instruction.operands
    if instruction.type not in ("u32", "s32") or not (first.isdigit() and count.isdigit()):
        raise instruction.unknown()
    read = machine.reader(source, kind)
    start, length = int(first), int(count)
    if not 0 < length <= 32 - start:
        raise instruction.unknown()
    left: Values = np.array(32 - start - length, kind)
    right: Values = np.array(32 - length, kind)
    return lambda mask: machine.write(target, (read() << left) >> right, mask)


def _insert_bits(machine: Machine, instruction: Instruction) -> Act:
    instruction.allow()
    target, source, base, first, count = instruction.operands
    reads = [machine.reader(operand, np.uint32) for operand in (source, base)]
    start, field = int(first), np.uint32(((1 << int(count)) - 1) << int(first) & 0xFFFFFFFF)

    def act(mask: NDArray[np.bool_] | None) -> None:
        value, other = (read() for read in reads)
        machine.write(target, (value << np.uint32(start)) & field | other & ~field, mask)

    return act


def _permute_bytes(machine: Machine, instruction: Instruction) -> Act:
    instruction.allow()
    target, *sources = instruction.operands
    reads = [machine.reader(source, np.uint32) for source in sources]

    def act(mask: NDArray[np.bool_] | None) -> None:
        low, high, selection = (machine.spread(read()).astype(np.uint64) for read in reads)
        both, result = low | high << np.uint64(32), np.zeros(machine.threads, np.uint64)
        for number in range(4):
            selected = selection >> np.uint64(4 * number)
            byte = both >> (selected & np.uint64(7)) * np.uint64(8) & np.uint64(255)
            sign = np.where(byte & np.uint64(128), np.uint64(255), np.uint64(0))
            byte = np.where(selected & np.uint64(8), sign, byte)
            result |= byte << np.uint64(8 * number)
        machine.write(target, result, mask)

    return act


def _compare(machine: Machine, instruction: Instruction) -> Act:
    comparison, *others = instruction.modifiers[:-1]
    if set(others) - {"ftz"}:
        raise instruction.unknown()
    target, *sources = instruction.operands
    reads = [machine.reader(source, number_type(instruction.type)) for source in sources]
    # With "u" at the end, it holds for what is no number as well.
    unordered = len(comparison) == 3 and comparison.endswith("u")
    compare = _COMPARE.get(comparison.removesuffix("u") if unordered else comparison)
    if compare is None and comparison not in ("ne", "neu", "num"):
        raise instruction.unknown()

    def act(mask: NDArray[np.bool_] | None) -> None:
        a, b = (_flush(read(), instruction) for read in reads)
        none = (a != a) | (b != b)
        if comparison == "num":
            result = ~none
        elif compare is None:
            result = (a != b) if comparison == "neu" else (a != b) & ~none
        else:
            result = compare(a, b) | none if unordered else compare(a, b)
        machine.write(target, result, mask)

    return act


def _select(machine: Machine, instruction: Instruction) -> Act:
    target, yes, no, condition = instruction.operands
    kind = unsigned(int(instruction.type[1:]))
    a, b = machine.reader(yes, kind), machine.reader(no, kind)
    holds = machine.reader(condition, np.bool_)
    return lambda mask: machine.write(target, np.where(holds(), a(), b()), mask)


def _move(machine: Machine, instruction: Instruction) -> Act:
    target, source = instruction.operands
    if instruction.type == "pred":
        read = machine.reader(source, np.bool_)
        return lambda mask: machine.write(target, read(), mask)
    bits = int(instruction.type[1:])
    targets, sources = names(target), names(source)
    kind, part = unsigned(bits), unsigned(bits // max(len(targets), len(sources)))
    places = [kind(8 * np.dtype(part).itemsize * n) for n in range(bits // 8)]
    reads = [machine.reader(one, part if len(sources) > 1 else kind) for one in sources]

    def act(mask: NDArray[np.bool_] | None) -> None:
        whole: Values = reads[0]().astype(kind)
        for read, place in zip(reads[1:], places[1:], strict=False):
            whole = whole | read().astype(kind) << place
        for name, place in zip(targets, places, strict=False):
            if name != "_":
                machine.write(
                    name, (whole >> place).astype(part) if name != target else whole, mask
                )

    return act


_ROUND: dict[str, Callable[..., Values]] = {
    "rmi": np.floor, "rpi": np.ceil, "rzi": np.trunc, "rni": np.rint,
}  # fmt: skip


def _convert(machine: Machine, instruction: Instruction) -> Act:
    *modifiers, to, source_type = instruction.modifiers
    if set(modifiers) - {"rn", "ftz", *_ROUND}:
        raise instruction.unknown()
    target, *sources = instruction.operands
    reads = [machine.reader(source, number_type(source_type)) for source in sources]
    if to == "f16x2":

        def both(mask: NDArray[np.bool_] | None) -> None:
            high, low = (read().astype(np.float16).view(np.uint16) for read in reads)
            result = high.astype(np.uint32) << np.uint32(16) | low.astype(np.uint32)
            machine.write(target, result, mask)

        return both
    kind, (read,) = number_type(to), reads
    rounding = next((_ROUND[m] for m in modifiers if m in _ROUND), None)

    def act(mask: NDArray[np.bool_] | None) -> None:
        values = _flush(read(), instruction)
        if rounding is not None:
            values = rounding(values)
        if source_type.startswith("f") and not to.startswith("f"):
            # Clamped to what the target can hold; what is no number is 0.
            limits, exact = np.iinfo(kind), np.nan_to_num(values.astype(np.float64), nan=0.0)
            outside = (exact < limits.min) | (exact > limits.max) | np.isnan(values)
            if machine.spread(outside)[machine.chosen(mask)].any():
                machine.note("a conversion out of range")
            values = np.clip(exact, limits.min, limits.max).astype(np.int64)
        machine.write(target, values.astype(kind), mask)

    return act


def _load(machine: Machine, instruction: Instruction) -> Act:
    target, source = instruction.operands
    kind = number_type(instruction.type)
    space, bits = instruction.modifiers[0], np.dtype(kind).itemsize * 8
    if space == "param":
        argument = np.array(machine.arguments[source.strip("[] ")] & ((1 << bits) - 1))
        value: Values = argument.astype(unsigned(bits)).view(kind)
        return lambda mask: machine.write(target, value, mask)
    targets, size = names(target), bits // 8
    access = _access(machine, instruction, source, len(targets) * size)

    def act(mask: NDArray[np.bool_] | None) -> None:
        threads, at, memory = access(mask)
        for number, register in enumerate(targets):
            found = memory.load(at + number * size, size, machine.users(threads))
            values: Values = np.zeros(machine.threads, kind)
            values[threads] = found.view(kind)[:, 0]
            machine.write(register, values, mask)

    return act


def _store(machine: Machine, instruction: Instruction) -> Act:
    target, source = instruction.operands
    kind = number_type(instruction.type)
    reads, size = [machine.reader(name, kind) for name in names(source)], np.dtype(kind).itemsize
    access = _access(machine, instruction, target, len(reads) * size)

    def act(mask: NDArray[np.bool_] | None) -> None:
        threads, at, memory = access(mask)
        for number, read in enumerate(reads):
            values = np.ascontiguousarray(machine.spread(read())[threads]).view(np.uint8)
            memory.store(at + number * size, values.reshape(-1, size), machine.users(threads))

    return act


def addresses(machine: Machine, operand: str, space: str) -> Callable[[], Values]:
    """Of all threads, as int64."""
    register, offset = address(operand)
    read = machine.reader(register, np.uint64 if space == "global" else np.uint32)
    return lambda: machine.spread(read()).astype(np.int64) + offset


def _access(machine: Machine, instruction: Instruction, operand: str, width: int) -> Any:
    """A function of the mask: the threads, where each of them begins, and in which memory."""
    space = instruction.modifiers[0]
    if space not in ("global", "shared") or set(instruction.modifiers[1:-1]) - {"v2", "v4"}:
        raise instruction.unknown()
    where = addresses(machine, operand, space)

    def access(mask: NDArray[np.bool_] | None) -> tuple[Values, Values, Any]:
        threads = machine.chosen(mask)
        at = where()[threads]
        if (at % width).any():
            raise Fault("an address that is no multiple of the values' size")
        return threads, at, machine.memory if space == "global" else machine.shared

    return access


def _atomic(machine: Machine, instruction: Instruction) -> Act:
    if instruction.modifiers[0] != "global" or instruction.modifiers[-2:] != ("add", "u32"):
        raise instruction.unknown()
    target, place, value = instruction.operands
    where, read = addresses(machine, place, "global"), machine.reader(value, np.uint32)

    def act(mask: NDArray[np.bool_] | None) -> None:
        threads = machine.chosen(mask)
        before = np.zeros(machine.threads, np.uint32)
        values = machine.spread(read())[threads]
        before[threads] = machine.memory.add(where()[threads], values, machine.users(threads))
        machine.write(target, before, mask)

    return act


def _shuffle(machine: Machine, instruction: Instruction) -> Act:
    """Only within whole warps, as Triton does."""
    mode = instruction.modifiers[1]
    target, source, lane, clamp, members = instruction.operands
    if mode not in ("bfly", "idx") or (clamp, members) != ("31", "-1"):
        raise instruction.unknown()
    read, by = machine.reader(source, np.uint32), machine.reader(lane, np.uint32)

    def act(mask: NDArray[np.bool_] | None) -> None:
        machine.warps(mask)
        values = machine.spread(read()).reshape(-1, 32)
        number = machine.spread(by()).reshape(-1, 32).astype(np.int64) & 31
        source = number if mode == "idx" else np.arange(32) ^ number
        machine.write(target, np.take_along_axis(values, source, 1).reshape(-1), mask)

    return act


def _reduce(machine: Machine, instruction: Instruction) -> Act:
    kind = number_type(instruction.type)
    target, source, _ = instruction.operands
    read = machine.reader(source, kind)
    reduce = {"add": np.add, "min": np.minimum, "max": np.maximum}[instruction.modifiers[1]]

    def act(mask: NDArray[np.bool_] | None) -> None:
        machine.warps(mask)
        result = reduce.reduce(machine.spread(read()).reshape(-1, 32), axis=1, dtype=kind)
        machine.write(target, np.repeat(result, 32), mask)

    return act


_BUILDERS: dict[str, Builder] = {
    **dict.fromkeys("add sub neg abs min max and or xor not fma sqrt ex2".split(), _arithmetic),
    "mul": _multiply, "mad": _multiply, "div": _divide, "rem": _divide, "shl": _shift,
    "shr": _shift, "popc": _count_bits, "bfe": _extract_bits, "bfi": _insert_bits,
    "prmt": _permute_bytes, "setp": _compare, "selp": _select, "mov": _move, "cvt": _convert,
    "ld": _load, "st": _store, "atom": _atomic, "shfl": _shuffle, "redux": _reduce,
}  # fmt: skip
