"""The applier that the fast ones are tested against: float64, NumPy, no shortcuts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.backends.cpu.reference_denoiser import ReferenceDenoiser
from zerodce_rt.backends.cpu.reference_frames import from_rgb, to_rgb
from zerodce_rt.curve import maps as curve
from zerodce_rt.curve.maps import CurveMaps
from zerodce_rt.frame import Frame


class ReferenceApplier:
    """Thumbnails and curves in float64; hundreds of times slower. Is an ``Applier``."""

    name = "reference"

    def thumbnail(self, frame: Frame, height: int, width: int) -> NDArray[np.float32]:
        return _box_average(to_rgb(frame), height, width).astype(np.float32)

    def apply(self, frame: Frame, maps: CurveMaps, out: Frame) -> None:
        from_rgb(curve.apply(to_rgb(frame), maps), out)

    def denoiser(self, *, alone: bool = False) -> ReferenceDenoiser:
        return ReferenceDenoiser(alone=alone)

    def close(self) -> None:
        """There is nothing to release."""


def _box_average(rgb: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    rows = np.arange(height) * rgb.shape[1] // height
    columns = np.arange(width) * rgb.shape[2] // width
    sums = np.add.reduceat(np.add.reduceat(rgb, rows, axis=1), columns, axis=2)
    counts = np.outer(
        np.diff(np.append(rows, rgb.shape[1])), np.diff(np.append(columns, rgb.shape[2]))
    )
    average: NDArray[np.float64] = sums / counts
    return average
