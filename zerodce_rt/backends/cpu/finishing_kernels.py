"""What is done to light maps before they are applied: ``floor.floor_gate`` and ``maps.monotone``.

In NumPy that takes as long as a third of a 1080p frame: many small steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zerodce_rt.backends.cpu.compiling import ONE, ZERO, clamp, compiled, inlined
from zerodce_rt.curve import floor, light

_FLAT, _ALIVE = np.float32(floor.FLAT), np.float32(floor.ALIVE)
_FEW, _ENOUGH = np.float32(floor.FEW), np.float32(floor.ENOUGH)
_TINY = np.float32(1e-6)
_THREE, _TWO = np.float32(3), np.float32(2)
_LEVELS = light.RISE_LEVELS
_LARGEST_FALL = np.float32(light.LARGEST_FALL)
_BLENDS = np.array(light.BLENDS, np.float32)


@inlined
def _smoothstep(x: Any, start: Any, end: Any) -> Any:
    t = clamp((x - start) / (end - start), ZERO, ONE)
    return t * t * (_THREE - _TWO * t)


@compiled
def gate_of(steps: Any, gate: Any) -> None:
    """Fill ``gate``, ``(h, w)``; see ``floor.floor_gate``."""
    height, width = gate.shape
    for y in range(height):
        for x in range(width):
            total, share, cells = ZERO, ZERO, ZERO
            for v in range(max(y - 1, 0), min(y + 2, height)):
                for u in range(max(x - 1, 0), min(x + 2, width)):
                    total += steps[0, v, u]
                    share += steps[1, v, u]
                    cells += ONE
            total, share = total / cells, share / cells
            alive = _smoothstep(total / max(share, _TINY), _FLAT, _ALIVE)
            gate[y, x] = ONE - _smoothstep(share, _FEW, _ENOUGH) * (ONE - alive)


@compiled
def _falls(a: Any, knots: Any, after: Any) -> Any:
    """Whether the curve with the values ``a`` at the knots falls."""
    c1 = (a[1] - a[0]) / (knots[1] - knots[0])
    slope2 = (a[2] - a[1]) / (knots[2] - knots[1])
    slope3 = (a[3] - a[2]) / (knots[3] - knots[2])
    c2, c3 = slope2 - c1, slope3 - slope2
    for i in range(_LEVELS.size):
        luma = _LEVELS[i]
        strength = a[0] + c1 * luma
        strength += c2 * max(luma - knots[1], ZERO) + c3 * max(luma - knots[2], ZERO)
        for _ in range(8):
            luma = luma + strength * (luma * luma - luma)
        after[i] = luma
    least = ONE
    for i in range(_LEVELS.size - 1):
        least = min(least, after[i + 1] - after[i])
    return least < -_LARGEST_FALL


@compiled
def raise_curves(values: Any, knots: Any) -> None:
    """Change maps in place as ``maps.monotone`` does."""
    after = np.empty(_LEVELS.size, np.float32)
    a, blended = np.empty(4, np.float32), np.empty(4, np.float32)
    for y in range(values.shape[1]):
        for x in range(values.shape[2]):
            for k in range(4):
                a[k] = values[k, y, x]
            if not _falls(a, knots, after):
                continue
            mean = (a[0] + a[1] + a[2] + a[3]) / np.float32(4)
            for blend in _BLENDS:
                for k in range(4):
                    blended[k] = a[k] + blend * (mean - a[k])
                if not _falls(blended, knots, after):
                    break
            for k in range(4):
                values[k, y, x] = blended[k]
