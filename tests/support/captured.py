"""Images of a source that has no clock of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.live.sources import CapturedImage


def captured(image: NDArray[np.uint8], at: float) -> CapturedImage:
    """An image of a camera, at a time of ``time.monotonic``."""
    return CapturedImage(image, at, at)
