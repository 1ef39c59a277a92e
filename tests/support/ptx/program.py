"""Reads the PTX of a kernel: its instructions, labels and parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass


class UnknownInstruction(Exception):
    """The emulator does not know it: no kernel has used it yet."""


@dataclass(frozen=True)
class Instruction:
    """One line of PTX.

    Attributes:
        text: as it was written, such as ``@!%p2 ld.global.v2.b32 {%r1, %r2}, [%rd3+8]``.
        predicate: the register that says for which threads it is; empty if for all.
        negated: it is for those for which the predicate does not hold.
        name: ``ld``.
        modifiers: ``global``, ``v2``, ``b32``.
        operands: ``{%r1, %r2}`` and ``[%rd3+8]``.
    """

    text: str
    predicate: str
    negated: bool
    name: str
    modifiers: tuple[str, ...]
    operands: tuple[str, ...]

    @property
    def type(self) -> str:
        """Of the operands, such as ``b32``."""
        return self.modifiers[-1]

    def unknown(self) -> UnknownInstruction:
        return UnknownInstruction(f"the emulator does not know this instruction: {self.text}")

    def allow(self, *modifiers: str) -> None:
        """Refuse what has other modifiers, but for the type."""
        if not set(self.modifiers[:-1]) <= set(modifiers):
            raise self.unknown()


@dataclass(frozen=True)
class Program:
    """A kernel.

    Attributes:
        parameters: their names, in the order of the arguments.
        labels: number of the instruction that follows each of them.
        shared: names of the block's shared memory, all of which begin at 0.
    """

    name: str
    parameters: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    labels: dict[str, int]
    shared: frozenset[str]


def read_program(ptx: str) -> Program:
    """Take apart a module of PTX that has one kernel."""
    text = re.sub(r"//[^\n]*", "", ptx)
    text = re.sub(r"^\s*\.(loc|file)\b[^\n]*", "", text, flags=re.MULTILINE)
    entry = re.search(r"\.entry\s+(\w+)\s*\((.*?)\)[^{]*\{(.*)", text, re.DOTALL)
    if entry is None:
        raise ValueError("there is no kernel in it")
    name, parameters, rest = entry.groups()
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    for statement in _body(rest).split(";"):
        # Braces open and close the registers' scopes; an instruction never begins with one.
        statement = statement.strip().lstrip("{} \t\n")
        while label := re.match(r"([$\w]+):(?!:)\s*\{?\s*", statement):
            labels[label[1]] = len(instructions)
            statement = statement[label.end() :]
        if statement and not statement.startswith("."):
            instructions.append(_instruction(" ".join(statement.split())))
    return Program(
        name, tuple(re.findall(r"(\w+)\s*(?:,|$)", parameters.strip())), tuple(instructions),
        labels, frozenset(re.findall(r"\.shared\b[^;]*?(\w+)\[\]", text[: entry.start()])),
    )  # fmt: skip


def names(operand: str) -> list[str]:
    """The registers of ``{%r1, %r2}``, or the only one."""
    return [name.strip() for name in operand.strip("{} ").split(",")]


def address(operand: str) -> tuple[str, int]:
    """Register and number of bytes behind it of ``[%rd1+4]``."""
    parts = operand.strip("[] ").replace(" ", "").split("+")
    return parts[0], int(parts[1], 0) if len(parts) > 1 else 0


def _body(text: str) -> str:
    """What comes before the brace that closes the kernel."""
    depth = 1
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return text[: brace.start()]
    raise ValueError("the kernel does not end")


def _instruction(text: str) -> Instruction:
    found = re.match(r"(?:@(!?)(%\w+)\s+)?([\w.:]+)\s*(.*)$", text)
    if found is None:
        raise ValueError(f"no instruction: {text}")
    negated, predicate, name, operands = found.groups()
    name, *modifiers = name.split(".")
    # Commas within braces and brackets part registers of one operand.
    parts = re.findall(r"(?:[^,{\[]|\{[^}]*\}|\[[^\]]*\])+", operands)
    return Instruction(
        text, predicate or "", bool(negated), name, tuple(modifiers),
        tuple(part.strip() for part in parts),
    )  # fmt: skip
