"""Triton kernels that use memory wrongly, or can be made to, to test ``memory_check``."""

import triton
import triton.language as tl


@triton.jit
def shifted_kernel(source, out, by, SIZE: tl.constexpr):
    at = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    tl.store(out + at, tl.load(source + at + by))


@triton.jit
def flag_kernel(source, out, SIZE: tl.constexpr):
    at = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    largest = tl.max(tl.load(source + at))
    if largest > 0.0:
        tl.store(out, largest)


@triton.jit
def count_kernel(source, out, counter, SIZE: tl.constexpr):
    at = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    tl.atomic_add(counter, tl.sum(tl.load(source + at)))
    tl.store(out + at, tl.load(counter))


@triton.jit
def heap_kernel(source, out, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    tl.store(out + at // 2, tl.load(source + at))


@triton.jit
def turned_kernel(source, out, BARRIER: tl.constexpr, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    tl.store(out + at, tl.load(source + at))
    if BARRIER:
        tl.debug_barrier()
    tl.store(out + SIZE + at, tl.load(out + SIZE - 1 - at))
