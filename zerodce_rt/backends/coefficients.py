"""The sixteen numbers by which the fused kernels go from YUV samples to RGB and back.

To read, with codes Y, Cb, Cr (ITU-R BT.601, BT.709, BT.2020 and SMPTE 240M differ in the weights
of red and blue only)::

    luma  = (Y - LUMA_OFFSET) * LUMA_SCALE
    cb    = Cb - CHROMA_OFFSET
    cr    = Cr - CHROMA_OFFSET
    red   = luma + cr * CR_TO_RED
    green = luma + cb * CB_TO_GREEN + cr * CR_TO_GREEN
    blue  = luma + cb * CB_TO_BLUE

To write, truncated to integers and limited to 0 .. LARGEST_CODE::

    luma = red * RED_WEIGHT + green * GREEN_WEIGHT + blue * BLUE_WEIGHT
    Y    = luma * LUMA_SPAN + LUMA_OFFSET_ROUNDED
    Cb   = (blue - luma) * BLUE_TO_CB + CHROMA_OFFSET_ROUNDED
    Cr   = (red - luma) * RED_TO_CR + CHROMA_OFFSET_ROUNDED
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.frame import LUMA_WEIGHTS, Colour

# Where each number lies in the array. Plain integers, which Numba and Triton compile in.
LUMA_OFFSET = 0  # code of black
LUMA_SCALE = 1  # 1 / LUMA_SPAN
CHROMA_OFFSET = 2  # code of grey
CHROMA_OFFSET_ROUNDED = 3  # the same + 0.5: truncation then rounds to nearest
CR_TO_RED = 4
CB_TO_GREEN = 5
CR_TO_GREEN = 6
CB_TO_BLUE = 7
RED_WEIGHT = 8
GREEN_WEIGHT = 9
BLUE_WEIGHT = 10
LUMA_SPAN = 11  # codes from black to white
LUMA_OFFSET_ROUNDED = 12  # LUMA_OFFSET + 0.5
BLUE_TO_CB = 13
RED_TO_CR = 14
LARGEST_CODE = 15
_COUNT = 16


@lru_cache(maxsize=16)
def yuv_coefficients(colour: Colour, bits: int, dropped_bits: int = 0) -> NDArray[np.float32]:
    """The numbers for one kind of YUV, ``(16,)`` float32; shared, so not to be written to.

    Args:
        bits: significant bits of a sample.
        dropped_bits: low bits below them that carry nothing; codes are multiples of
            ``2 ** dropped_bits``.
    """
    kr, kb = LUMA_WEIGHTS[colour.matrix]
    kg = 1 - kr - kb
    unit = 2.0**dropped_bits
    luma_offset, luma_span, chroma_offset, chroma_span = (unit * n for n in colour.levels(bits))
    # Cb = (B - Y) / cb_range and Cr = (R - Y) / cr_range lie in [-0.5, 0.5].
    cb_range, cr_range = 2 * (1 - kb), 2 * (1 - kr)
    c = np.empty(_COUNT, np.float32)
    c[LUMA_OFFSET], c[LUMA_SCALE] = luma_offset, 1 / luma_span
    c[CHROMA_OFFSET], c[CHROMA_OFFSET_ROUNDED] = chroma_offset, chroma_offset + 0.5
    c[CR_TO_RED] = cr_range / chroma_span
    c[CB_TO_GREEN] = -cb_range * kb / kg / chroma_span
    c[CR_TO_GREEN] = -cr_range * kr / kg / chroma_span
    c[CB_TO_BLUE] = cb_range / chroma_span
    c[RED_WEIGHT], c[GREEN_WEIGHT], c[BLUE_WEIGHT] = kr, kg, kb
    c[LUMA_SPAN], c[LUMA_OFFSET_ROUNDED] = luma_span, luma_offset + 0.5
    c[BLUE_TO_CB], c[RED_TO_CR] = chroma_span / cb_range, chroma_span / cr_range
    c[LARGEST_CODE] = unit * (2.0**bits - 1)
    return c
