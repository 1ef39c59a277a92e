"""Appliers: frame + curve maps -> frame, at full size, in the frame's own format."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.curve import CurveMaps
from zerodce_rt.frame import Frame


class Applier(Protocol):
    """The half of the work that touches every pixel."""

    name: str

    def thumbnail(self, frame: Frame, height: int, width: int) -> NDArray[np.float32]:
        """Area average of the frame as ``(3, height, width)`` RGB in [0, 1].

        ``height`` and ``width`` are at most the frame's own.
        """
        ...

    def apply(self, frame: Frame, maps: CurveMaps, out: Frame) -> None:
        """Write the enhanced frame to ``out``, a frame of the same format and size."""
        ...


def create_applier(name: str = "cpu", *, threads: int | None = None) -> Applier:
    """Make an applier: ``"cpu"`` (fused kernel) or ``"reference"`` (float64, slow)."""
    if name == "cpu":
        from zerodce_rt.appliers.cpu import CPUApplier

        return CPUApplier(threads=threads)
    if name == "reference":
        from zerodce_rt.appliers.reference import ReferenceApplier

        return ReferenceApplier()
    raise ValueError(f"applier must be 'cpu' or 'reference', not {name!r}")
