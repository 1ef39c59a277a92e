"""Variables that a compiled loop forgets from one round to the next.

Triton finds what changes in a loop by a dry run of its body: what is then another value than before
is carried from round to round. Where the body moves one variable into another, such as a row into
the row above it, and both begin as the same value, it sees no change, and takes the variable for
constant. In the interpreter, which is plain Python, all is well.

``python -m tests.support.loop_carries`` runs the compiler's front end over all kernels and prints a
line for each such variable. It needs a process of its own in which Triton does not interpret.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from types import ModuleType
from typing import Any
from unittest.mock import patch

from triton._C.libtriton import ir
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.compiler.code_generator import CodeGenerator, _is_triton_value, flatten_values_to_ir
from triton.compiler.compiler import make_backend

from tests.support import compile_denoise, compile_kernels, compile_light
from tests.support.compile_kernels import signature_of

CAPABILITIES = 75, 90


class Watch:
    """Notes variables that are another value after a loop's body, but are not carried.

    Attributes:
        forgotten: function, variable and line within the function.
    """

    def __init__(self) -> None:
        self.forgotten: set[tuple[str, str, int]] = set()
        self._loops: dict[int, tuple[Any, set[str], dict[str, Any]]] = {}
        generator: Any = CodeGenerator
        self._find, self._visit = generator._find_carries, generator.visit_compound_statement

    def find_carries(self, generator: Any, loop: Any, before: Any, ignore: Any = ()) -> Any:
        """In the place of ``CodeGenerator._find_carries``."""
        found = self._find(generator, loop, before, set(ignore))
        names = {*found[0], *ignore}
        self._loops[id(loop.body)] = loop, names, dict(before)
        return found

    def visit(self, generator: Any, statements: Any) -> None:
        """In the place of ``CodeGenerator.visit_compound_statement``."""
        self._visit(generator, statements)
        if id(statements) not in self._loops:
            return
        loop, carried, before = self._loops.pop(id(statements))
        for name, value in before.items():
            if name in carried or not _is_triton_value(value):
                continue
            if flatten_values_to_ir([value]) != flatten_values_to_ir([generator.lscope[name]]):
                self.forgotten.add((generator.function_name, name, loop.lineno))


def front_end(
    kernel: Any, constants: dict[str, Any], pointers: dict[str, str], capability: int, **_: Any
) -> dict[str, Any]:
    """In the place of ``machine_code``: the compiler's first step, which counts nothing."""
    constants, signature = signature_of(kernel, constants, pointers, capability)
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    source = ASTSource(fn=kernel, signature=signature, constexprs=places, attrs={})
    target = GPUTarget("cuda", capability, 32)
    backend: Any = make_backend(target)
    options, context = backend.parse_options({}), ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    source.make_ir(
        target, options, backend.get_codegen_implementation(options), backend.get_module_map(),
        context,
    )  # fmt: skip
    return defaultdict(int)


def main() -> int:
    watch, kernels = Watch(), 0
    modules: tuple[ModuleType, ...] = compile_kernels, compile_light, compile_denoise
    with (
        patch.object(CodeGenerator, "_find_carries", _method(watch.find_carries)),
        patch.object(CodeGenerator, "visit_compound_statement", _method(watch.visit)),
    ):
        for module in modules:
            with patch.object(module, "machine_code", front_end):
                for capability in CAPABILITIES:
                    kernels += sum(1 for _ in module.everything(capability))
    for function, variable, line in sorted(watch.forgotten):
        print(f"{function}, loop in line {line}: {variable} is taken for constant")
    print(f"{kernels} kernels")
    return 1 if watch.forgotten else 0


def _method(function: Any) -> Any:
    def call(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return function(self, *arguments, **keywords)

    return call


if __name__ == "__main__":
    sys.exit(main())
