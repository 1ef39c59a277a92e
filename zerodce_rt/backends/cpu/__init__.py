"""Frames enhanced on the CPU: networks, fused Numba kernels, and their plain reference."""

from __future__ import annotations

from zerodce_rt.backends.interfaces import Applier


def create_applier(name: str = "cpu", *, threads: int | None = None) -> Applier:
    """Make an applier by name.

    Args:
        name: ``"cpu"``, the fused kernels, or ``"reference"``, float64 and slow.
        threads: of the fused kernels, 1 or more; default: the usable cores, eight at most.

    Raises:
        ValueError: for another name or number.
    """
    if name == "cpu":
        from zerodce_rt.backends.cpu.applier import CPUApplier

        return CPUApplier(threads=threads)
    if name == "reference":
        from zerodce_rt.backends.cpu.reference import ReferenceApplier

        return ReferenceApplier()
    raise ValueError(f"`applier` must be 'cpu' or 'reference', not {name!r}")
