"""How the CPU kernels are compiled, and the constants that they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from zerodce_rt.cache import cache_folder

ZERO = np.float32(0)
ONE = np.float32(1)
# Unsigned, because a computed index of a signed type may be negative, and would be checked.
U = np.uintp
U1, U2, U3, U4, U5 = U(1), U(2), U(3), U(4), U(5)

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called; the result is kept on disk."""
    return _compiled(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function into its callers.

    What a loop calls twice is not inlined otherwise, and the loop not vectorised.
    """
    return _compiled(function, forceinline=True)


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    # Compiled code goes to the user's cache: the package's own folder may not be writable, or be
    # shared between machines. Numba keys it by processor, its own version and the source file,
    # and writes it so that two runs at once do no harm. Functions take note of the folder as
    # they are defined.
    config: Any = numba.config
    usual = config.CACHE_DIR
    config.CACHE_DIR = usual or cache_folder("numba")
    try:
        return numba.njit(**_OPTIONS, **options)(function)
    finally:
        config.CACHE_DIR = usual


@inlined
def clamp(x: Any, low: Any, high: Any) -> Any:
    return min(max(x, low), high)
