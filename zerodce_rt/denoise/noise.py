"""How strong the noise of a video is, by luma code, learned from the video itself.

Two guesses are made for each block of 8x8 samples: half the energy of its difference to the frame
before (wrong where things move), and the variance inside of it (wrong where there is texture). The
flattest blocks of a code tell of its noise by the first; the very first frame has only the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.denoise.rules import KNOTS

BLOCK = 8
"""Side of the blocks in samples."""

EDGES = np.array([-16, -8, -4, 0, 4, 8, 12, 16, 20, 24, 30, 36, 44, 54, 68, 84, 114, 154, 256])
CENTRES = (EDGES[:-1] + EDGES[1:]) / 2
BINS = len(CENTRES)

# Of the differences in the flattest half of a code's blocks, this quantile is taken for the noise.
FLATTEST, QUANTILE = 0.5, 0.4
# That quantile of the energies of 64 samples of white noise, as a share of their mean.
QUANTILE_SHARE = 0.85
FIRST_QUANTILE = 0.2
# Of a picture: a quantile of the energy in bands, and what that is in white noise, of its variance;
# by how much noise may be stronger than a band says.
_FIRST_BAND_QUANTILE = 0.1
_BAND_SHARES, _MOST_COLOURED = (0.63, 0.68), (1.0, 2.0)
MEMORY = 0.85
# Blocks in which an encoder has repeated most samples tell nothing of the noise.
FEWEST_CHANGED = 16
FEWEST_BLOCKS, FEWEST_FIRST_BLOCKS = 4, 8
# Blocks of a code that are enough to say that there is no noise, if none of them has changed.
MANY_BLOCKS = 30
FADING = 0.9
BLOCKS_MEMORY = 0.9
# How much noisier a range of codes can be than its darker, or brighter, neighbour.
MOST_TO_BRIGHT, MOST_TO_DARK = 1.5, 6.0


@dataclass(frozen=True)
class BlockStatistics:
    """Of blocks of 8x8 samples; all arrays have the same length.

    Attributes:
        difference: half the mean square difference to the frame before, in 8-bit codes squared.
        inside: variance within their four quarters, likewise.
        level: 8-bit luma code above black, to which they belong.
        changed: number of samples that differ from the frame before.
    """

    difference: NDArray[np.float32]
    inside: NDArray[np.float32]
    level: NDArray[np.float32]
    changed: NDArray[np.int32]


class NoiseLevels:
    """Follows the variance of the noise for each range of luma codes."""

    def __init__(self) -> None:
        self._variance = np.full(BINS, np.nan)
        self._confirmed = np.zeros(BINS, bool)
        self._blocks = np.zeros(BINS)

    def guess(self, blocks: BlockStatistics) -> None:
        """Begin with one frame, whose blocks have no frame before."""
        bins = _bins(blocks.level)
        self._blocks = np.bincount(bins, minlength=BINS).astype(np.float64)
        inside, bounds = _sorted_by_bin(bins, blocks.inside, blocks.inside)
        for index, (first, last) in enumerate(pairwise(bounds)):
            if last - first >= FEWEST_FIRST_BLOCKS:
                self._variance[index] = inside[first + int((last - first) * FIRST_QUANTILE)]

    def guess_picture(
        self, bands: Sequence[NDArray[np.float32]], level: NDArray[np.float32]
    ) -> None:
        """Begin with a picture that stands alone, by how little detail some of its blocks have.

        Noise has as much of each frequency, and texture less of the higher ones. In each code's
        bin, a low quantile of each band is compared with what it is for white noise; the least
        counts, but the highest band for more, of which JPEG takes away a part.

        Args:
            bands: of ``band_energies``; ``level``: the blocks' luma codes above black.
        """
        bins = _bins(level)
        self._blocks = np.bincount(bins, minlength=BINS).astype(np.float64)
        for index in np.flatnonzero(self._blocks >= MANY_BLOCKS):
            self._variance[index] = min(
                most * np.quantile(band[bins == index], _FIRST_BAND_QUANTILE) / share
                for band, share, most in zip(bands, _BAND_SHARES, _MOST_COLOURED, strict=True)
            )

    def update(self, blocks: BlockStatistics, *, all_seen: bool) -> None:
        """Follow what the blocks of a frame and the one before it show.

        Args:
            all_seen: every place in the picture was looked at since the guess.
        """
        bins = _bins(blocks.level)
        self._blocks = BLOCKS_MEMORY * self._blocks + np.bincount(bins, minlength=BINS)
        told = blocks.changed > FEWEST_CHANGED
        found = _flattest(bins[told], blocks.difference[told], blocks.inside[told])
        known = ~np.isnan(found)
        new = ~self._confirmed
        followed = MEMORY * self._variance + (1 - MEMORY) * found
        if all_seen:  # forget mere guesses
            self._variance[new & ~known] = np.nan
        # What never changes has no noise to speak of.
        still = ~known & (np.bincount(bins, minlength=BINS) >= MANY_BLOCKS)
        self._variance[still] *= FADING
        self._variance[known] = np.where(new, found, followed)[known]
        self._confirmed |= known

    def variances(self) -> NDArray[np.float64]:
        """Variance of the noise at each of ``KNOTS``, in squares of an 8-bit code."""
        known = np.flatnonzero(~np.isnan(self._variance))
        if not len(known):
            return np.zeros(len(KNOTS))
        return np.interp(KNOTS, CENTRES[known], self._believed(known))

    def _believed(self, known: NDArray[np.intp]) -> NDArray[np.float64]:
        """Variances of bins, none much above its neighbour's that is seen more often.

        Codes that only moving things have would be taken for noisy.
        """
        variances = self._variance[known]
        best = int(np.argmax(self._blocks[known]))
        for step, most in ((1, MOST_TO_BRIGHT), (-1, MOST_TO_DARK)):
            index = best + step
            while 0 <= index < len(known):
                apart = abs(known[index] - known[index - step])
                limit = variances[index - step] * most**apart
                variances[index] = min(variances[index], limit)
                index += step
        return variances


def band_energies(blocks: NDArray[np.floating]) -> tuple[NDArray[np.float32], ...]:
    """Mean squares of the DCT's coefficients (u, v) with 3 <= u + v <= 6, and with 7 and more.

    Args:
        blocks: ``(N, 8, 8)``, in 8-bit codes.
    """
    k = np.arange(BLOCK)
    basis = np.cos(np.pi * k[:, None] * (2 * k + 1) / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    basis[0] /= np.sqrt(2)
    squares = (basis @ blocks @ basis.T) ** 2
    order = k[:, None] + k
    return tuple(
        squares[:, where].mean(axis=1).astype(np.float32)
        for where in ((order >= 3) & (order <= 6), order >= 7)
    )


def hinges(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Coefficients of the piecewise linear function through values at ``KNOTS``.

    It is ``h[0] + sum(h[k] * max(0, code - KNOTS[k - 1]))``, and constant outside of the knots:
    sums of hinges are vectorised where a table would not be.
    """
    slopes = np.diff(values) / np.diff(KNOTS)
    return np.concatenate([values[:1], slopes[:1], np.diff(slopes)]).astype(np.float32)


def _bins(level: NDArray[np.float32]) -> NDArray[np.intp]:
    return np.clip(np.searchsorted(EDGES, level, "right") - 1, 0, BINS - 1)


def _sorted_by_bin(
    bins: NDArray[np.intp], by: NDArray[np.float32], values: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Values in the order of their bins, inside of each by ``by``; and where each bin begins."""
    order = np.lexsort((by, bins))
    return values[order], np.searchsorted(bins[order], np.arange(BINS + 1))


def _flattest(
    bins: NDArray[np.intp], difference: NDArray[np.float32], inside: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The noise that each bin's flattest blocks show; NaN where there are too few."""
    ordered, bounds = _sorted_by_bin(bins, inside, difference)
    found = np.full(BINS, np.nan)
    for index, (first, last) in enumerate(pairwise(bounds)):
        count = int((last - first) * FLATTEST)
        if count >= FEWEST_BLOCKS:
            at = int(count * QUANTILE)
            found[index] = np.partition(ordered[first : first + count], at)[at] / QUANTILE_SHARE
    return found
