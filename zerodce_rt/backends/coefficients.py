"""The numbers between sample codes and RGB, which the fused kernels take as they are."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.frame import LUMA_WEIGHTS, Colour


@lru_cache(maxsize=16)
def yuv_coefficients(colour: Colour, bits: int, dropped_bits: int = 0) -> NDArray[np.float32]:
    """What the kernels need to go from sample codes to RGB in [0, 1] and back.

    0-1 luma offset and scale; 2 chroma offset to read, 3 to write; 4-7 shares of Cr in red,
    Cb and Cr in green, Cb in blue; 8-10 weights of R, G, B in luma; 11-12 luma span and
    offset to write; 13-14 scales of B - Y and R - Y to Cb and Cr codes; 15 the largest code.
    Offsets to write hold the half that makes truncation round to nearest.
    """
    kr, kb = LUMA_WEIGHTS[colour.matrix]
    kg = 1 - kr - kb
    unit = 2.0**dropped_bits
    y_offset, y_span, c_offset, c_span = (unit * level for level in colour.levels(bits))
    to_r, to_b = 2 * (1 - kr), 2 * (1 - kb)
    return np.array(
        [
            y_offset, 1 / y_span, c_offset, c_offset + 0.5,
            to_r / c_span, -to_b * kb / kg / c_span, -to_r * kr / kg / c_span, to_b / c_span,
            kr, kg, kb, y_span, y_offset + 0.5,
            c_span / to_b, c_span / to_r, unit * (2.0**bits - 1),
        ],
        np.float32,
    )  # fmt: skip
