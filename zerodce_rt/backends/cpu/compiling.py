"""How the CPU kernels are compiled, and the constants that they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from zerodce_rt.cache import cache_folder

ZERO = np.float32(0)
ONE = np.float32(1)
# For indices: a computed one of a signed type may be negative, which would be checked.
U = np.uintp
U1, U2, U3, U4, U5 = U(1), U(2), U(3), U(4), U(5)

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, and keep the result on disk."""
    return _compiled(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function into its callers.

    Otherwise one that a loop calls twice is not inlined, and the loop is not vectorised.
    """
    return _compiled(function, forceinline=True)


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    # Compiled code goes to the user's cache: the package's own folder may not be writable, or be
    # shared between machines. Numba reads the folder from its configuration when a function is
    # defined. It keys the code by CPU, by its own version and by the function's source file (but
    # not by the files of constants and functions that it uses), and two runs may write at once.
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
