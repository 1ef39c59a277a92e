"""PQ video (HDR10): where curves that are made for gamma can work on it.

PQ (SMPTE ST 2084, ITU-R BT.2100) spends half of its codes on light above 100 nits. Curves that are
made for gamma would crush its shadows. So PQ samples go through a table to codes like those of HLG
(BT.2100 as well), whose dark half is a square root, are enhanced there, and go back. There, 1 is a
peak that curves neither change nor exceed; brighter light stays as it is.

HLG's own codes need no table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BRIGHTEST_NITS = 10_000.0
"""Of PQ's largest code."""

WHITE_NITS = 203.0
"""Diffuse white in HDR video (ITU-R BT.2408, table 1)."""

_HLG_WHITE = 0.75
"""Its code in HLG (the same table)."""

_M1, _M2 = 2610 / 16384, 2523 / 32
_C1, _C2, _C3 = 3424 / 4096, 2413 / 128, 2392 / 128
_A = 0.17883277
_B, _C = 1 - 4 * _A, 0.5 - _A * float(np.log(4 * _A))
# Of the gamma of SDR video, as displays show it.
_DISPLAY_GAMMA = 2.2


def nits_of(codes: Any) -> NDArray[np.float64]:
    """Light of PQ codes in [0, 1] (BT.2100, table 4: the EOTF)."""
    power = np.asarray(codes, np.float64) ** (1 / _M2)
    scaled = np.maximum(power - _C1, 0) / (_C2 - _C3 * power)
    return np.asarray(BRIGHTEST_NITS * scaled ** (1 / _M1))


def codes_of(nits: Any) -> NDArray[np.float64]:
    """The inverse of ``nits_of``."""
    power = (np.asarray(nits, np.float64) / BRIGHTEST_NITS) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _hlg_of(light: Any) -> NDArray[np.float64]:
    """HLG codes of light relative to its peak (BT.2100, table 5: the OETF)."""
    light = np.asarray(light, np.float64)
    bright = _A * np.log(np.maximum(12 * light - _B, 1e-9)) + _C
    return np.where(light <= 1 / 12, np.sqrt(3 * light), bright)


def _light_of(hlg: Any) -> NDArray[np.float64]:
    """The inverse of ``_hlg_of``."""
    hlg = np.asarray(hlg, np.float64)
    return np.where(hlg <= 0.5, hlg**2 / 3, (np.exp((hlg - _C) / _A) + _B) / 12)


def to_gamma(codes: NDArray[np.float64], peak_nits: float) -> NDArray[np.float64]:
    """PQ codes as those in which curves work.

    >>> to_gamma(codes_of([0, 20, 203, 1000]), 1000).round(3).tolist()
    [0.0, 0.245, 0.697, 1.0]

    Args:
        codes: limited to [-1, 1]; below 0, which chroma can ask for, mirrored.
        peak_nits: becomes 1; what is brighter goes on with a slope of one.
    """
    peak, size = float(codes_of(peak_nits)), np.minimum(np.abs(codes), 1)
    below = _hlg_of(nits_of(np.minimum(size, peak)) / peak_nits)
    return np.asarray(np.sign(codes) * (below + np.maximum(size - peak, 0)))


def from_gamma(values: NDArray[np.float64], peak_nits: float) -> NDArray[np.float64]:
    """The inverse of ``to_gamma``; above PQ's largest code, that."""
    size = np.abs(values)
    below = codes_of(peak_nits * _light_of(np.minimum(size, 1)))
    return np.asarray(np.sign(values) * np.minimum(below + np.maximum(size - 1, 0), 1))


def level_of(level: float, transfer: str, peak_nits: float) -> float:
    """The level in the codes in which a video is enhanced that looks as ``level`` does in SDR.

    >>> round(level_of(0.5, "hlg", 1000), 3)
    0.416

    Args:
        level: gamma-encoded, 1 is diffuse white. From 1 on it is no limit, and stays so.
        transfer: see ``frame.Colour``.
        peak_nits: of PQ.
    """
    if transfer == "gamma" or level >= 1:
        return level
    white = float(_light_of(_HLG_WHITE)) if transfer == "hlg" else WHITE_NITS / peak_nits
    return float(_hlg_of(min(1.0, white * level**_DISPLAY_GAMMA)))
