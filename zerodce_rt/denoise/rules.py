"""The numbers that the denoiser decides by; its kernels compile them in.

Everything that decides is done per cell: 2x2 luma samples and the chroma samples that lie over
them. Innovations (a sample minus what the filter expected) are measured in units of the noise, so
that the thresholds below have none. They were chosen on darkened clips with x264's, MJPEG's and a
moving camera's faults; each may be off by a factor of two for less than 0.1 dB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zerodce_rt.frame import Frame

# The filter over time. What counts as bias, and how much:
MEAN_WEIGHT, MEAN_LIMIT = 8.0, 0.45  # square of the mean luma innovation over 3x3 cells
ENERGY_WEIGHT, ENERGY_LIMIT = 1.5, 2.0  # mean square of the luma innovations
CHROMA_WEIGHT, CHROMA_LIMIT = 1.0, 3.0  # square of the mean chroma innovations
DRIFT = 0.004
"""Variance by which a scene changes from frame to frame, as a share of the noise's."""
REPEATED = 0.1
"""How much a frame tells where an encoder has repeated the last one's samples. Not 0: errors
too small for the test would stay for ever, as coloured stains in the dark."""
LEAST_LEFT = 0.04
"""No cell is believed to be cleaner than this share of the source's noise."""


@dataclass(frozen=True)
class Strictness:
    """The filter over space: parts of a block are kept by how far their energy exceeds that of the
    noise left, times these.

    Attributes:
        luma, means, chroma: for blocks of luma, of its means, and of chroma.
        moving_doubt: share of the filtered means that does not count where nothing was removed
            over time.
    """

    luma: float
    means: float
    chroma: float
    moving_doubt: float


VIDEO_STRICTNESS = Strictness(6.0, 4.0, 8.0, 0.7)
STILL_STRICTNESS = Strictness(3.5, 1.2, 6.0, 0.0)
"""For pictures, whose noise no filter over time has changed, and of which each detail is looked at.
"""
FINE_STRICTNESS = 4.0
"""For what the chroma samples of a cell differ by."""
FEWEST_ROWS_OF_FIELDS = 4
"""Interlaced frames of fewer rows have fields without chroma, and are filtered as a whole."""
WINDOW = 0.29289322, 0.70710678
"""Weights of a block's outer and inner samples along each axis: a sine's, over 4 samples."""

# A moving camera.
BLOCK_CELLS = 8
"""Side in cells of the blocks that move as one."""
BETTER = 0.95
"""A block moves if its differences are less than this share of what they are without motion, ..."""
MARGIN = 0.05
"""... and by more than what noise alone makes of it: here in its sigma, at full size."""
MOVING_SHARE = 0.08
"""The camera moves when more than this share of the blocks do."""
PROBE_EVERY = 15
"""While it stands still, only so many frames apart is looked whether it moves, ..."""
FRAMES_TO_END = 15
"""... and it stands still when it has not moved for so many frames."""

# The noise by luma code.
KNOTS = np.array([0, 8, 16, 24, 36, 54, 84, 144], np.float32)
"""8-bit codes above black between which the noise is interpolated."""
LEAST_VARIANCE = 0.05
"""Of the noise, in squares of an 8-bit code: below that of rounding to 8 bits."""
LEAST_CHROMA_SHARE = 0.02
"""Least variance of chroma's noise, as a share of luma's."""
BRIGHT_FROM, BRIGHT_TO = 84, 154
"""Codes above black between which the filter fades out: what is bright is not lifted."""


def has_fields(frame: Frame) -> bool:
    """Whether the even and the odd rows of a frame are filtered as videos of their own."""
    high = frame.height >= FEWEST_ROWS_OF_FIELDS
    return frame.interlaced and high and frame.format.layout != "packed"
