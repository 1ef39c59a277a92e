"""How the CPU kernels are compiled, and the constants that they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from zerodce_rt.backends.cpu.kernel_cache import KernelCache

ZERO = np.float32(0)
ONE = np.float32(1)
# For indices: a computed one of a signed type may be negative, which would be checked.
U = np.uintp
U1, U2, U3, U4, U5 = U(1), U(2), U(3), U(4), U(5)

_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": True, "error_model": "numpy"}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, and keep the result on disk."""
    return _compiled(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function into its callers.

    Otherwise one that a loop calls twice is not inlined, and the loop is not vectorised.
    """
    return _compiled(function, forceinline=True)


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    dispatcher = numba.njit(**_OPTIONS, **options)(function)
    dispatcher._cache = KernelCache(function)
    return dispatcher


@inlined
def clamp(x: Any, low: Any, high: Any) -> Any:
    return min(max(x, low), high)
