"""When and where the noise of a video is looked at, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.denoise.noise import BLOCK, BlockStatistics, NoiseLevels, band_energies
from zerodce_rt.denoise.rules import (
    BRIGHT_FROM,
    BRIGHT_TO,
    KNOTS,
    LEAST_CHROMA_SHARE,
    LEAST_VARIANCE,
)

LEARNING_FRAMES, LEARN_EVERY = 8, 8
"""The noise is looked at in each of the first frames, and then in every eighth."""

ROWS_APART, BLOCKS_SEEN = 4, 2000
"""Only every fourth row of blocks is looked at, another one each time; of large frames, so few
that there are about ``BLOCKS_SEEN``."""

_PICTURE_BLOCKS = 20_000
"""Of a picture, about so many blocks are looked at."""

# Chroma is compared with luma at the darker knots, where it is filtered.
DARK_KNOTS = 6

Statistics = Callable[[NDArray[Any], NDArray[Any], int, int], BlockStatistics]
"""Of a plane and the one before: rows ``start, start + step, ..`` of blocks of 8x8 samples, with
their mean codes as levels. Codes are 8-bit ones, with fractions."""


@dataclass(frozen=True)
class Noise:
    """The noise of a single frame, as it is filtered for.

    Attributes:
        variances: of luma at ``rules.KNOTS``, in squares of an 8-bit code.
        chroma_share: variance of chroma's noise as a share of luma's.
    """

    variances: NDArray[np.float64]
    chroma_share: float

    @property
    def sigma(self) -> float:
        """Of luma in the dark, roughly."""
        return float(np.sqrt(np.median(self.variances[:DARK_KNOTS])))


class NoiseLearner:
    """Learns the noise of a video's luma and chroma, frame by frame.

    Args:
        of_luma, of_chroma: look at the blocks of a plane.
        black: 8-bit code of black.
    """

    def __init__(self, of_luma: Statistics, of_chroma: Statistics, black: float) -> None:
        self._of_luma, self._of_chroma, self._black = of_luma, of_chroma, black
        self._luma, self._chroma = NoiseLevels(), NoiseLevels()
        self._frames = self._looks = 0
        self._known: tuple[int, float, Noise] | None = None

    def look(
        self,
        frame: tuple[NDArray[Any], NDArray[Any]],
        before: tuple[NDArray[Any], NDArray[Any]],
        codes: NDArray[np.float64],
    ) -> None:
        """Take the next frame.

        Args:
            frame, before: luma and chroma planes of it and the one before; of a video's first
                frame, itself.
            codes: of luma, at the middle of each block of chroma.
        """
        first = self._frames == 0
        due = self._frames < LEARNING_FRAMES or self._frames % LEARN_EVERY == 0
        self._frames += 1
        if not due:
            return
        apart = max(ROWS_APART, frame[0].size // (BLOCK * BLOCK * BLOCKS_SEEN))
        start, step = (0, apart // ROWS_APART) if first else (self._looks % apart, apart)
        luma = self._of_luma(frame[0], before[0], start, step)
        luma.level[:] -= self._black
        # Cb and Cr in turns; a block of chroma covers four of luma.
        plane = self._looks & 1
        chroma = self._of_chroma(frame[1][plane], before[1][plane], start, step)
        chroma.level[:] = codes[start::step].ravel() - self._black
        self._looks += 1
        for levels, blocks in ((self._luma, luma), (self._chroma, chroma)):
            if first:
                levels.guess(blocks)
            else:
                levels.update(blocks, all_seen=self._looks % apart == 0)

    def look_once(
        self, frame: tuple[NDArray[Any], NDArray[Any]], scales: tuple[float, float]
    ) -> None:
        """Take a picture that stands alone.

        Args:
            frame: luma and chroma planes.
            scales: from their samples to 8-bit codes.
        """
        luma, chroma = frame
        codes, twice = _some_blocks(luma, BLOCK), _some_blocks(luma, 2 * BLOCK)
        level = codes.mean(axis=(1, 2)) * scales[0] - self._black
        self._luma.guess_picture(band_energies(codes * scales[0]), level)
        level = twice.mean(axis=(1, 2)) * scales[0] - self._black
        bands = [band_energies(_some_blocks(plane, BLOCK) * scales[1]) for plane in chroma]
        both = tuple(np.concatenate(pair) for pair in zip(*bands, strict=True))
        self._chroma.guess_picture(both, np.concatenate([level, level]))

    def noise(self, strength: float) -> Noise:
        """What to filter for: what is bright is left alone, and so is what is too small to see.

        Args:
            strength: 0 to 1, which the variances are multiplied by.
        """
        if self._known is not None and self._known[:2] == (self._looks, strength):
            return self._known[2]
        fade = np.clip((BRIGHT_TO - KNOTS) / (BRIGHT_TO - BRIGHT_FROM), 0, 1)
        luma, chroma = (
            np.maximum(levels.variances() * fade * strength, LEAST_VARIANCE)
            for levels in (self._luma, self._chroma)
        )
        share = float(np.median((chroma / luma)[:DARK_KNOTS]))
        noise = Noise(luma, min(1.0, max(LEAST_CHROMA_SHARE, share)))
        self._known = self._looks, strength, noise
        return noise


def _some_blocks(plane: NDArray[Any], size: int) -> NDArray[np.float32]:
    """Square blocks ``(N, size, size)`` from rows of blocks all over a plane.

    The same places for luma and, with half the size, for chroma.
    """
    rows, columns = plane.shape[0] // size, plane.shape[1] // size
    step = max(1, rows * columns // _PICTURE_BLOCKS)
    whole = plane[: rows * size, : columns * size].reshape(rows, size, columns, size)[::step]
    return whole.swapaxes(1, 2).reshape(-1, size, size).astype(np.float32)


def block_middles(luma: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """The luma samples in the middle of blocks of a chroma plane of so many rows and columns."""
    middles = luma[BLOCK :: 2 * BLOCK, BLOCK :: 2 * BLOCK]
    return middles[: rows // BLOCK, : columns // BLOCK]
