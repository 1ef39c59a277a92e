"""Scores of an enhanced clip against the well-lit clip that it was darkened from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from zerodce_rt.training.metrics import ssim

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

# What moves: the truth changes by more than this, in 8-bit levels, after a blur that takes away
# its own noise; the mask is widened by what a filter looks at around a pixel.
MOTION_LEVELS, MOTION_BLUR, MOTION_MARGIN = 4.0, 2.0, 9
# Of a clip where less moves, it says little how.
MOVING_SHARE = 0.005
# What is still is farther away from what moves, and changes less than this.
STILL_LEVELS, STILL_MARGIN = 2.0, 25
# Pairs of frames with less that is still say nothing of pulsing: cuts, and cameras that move.
STILL_SHARE = 0.02
# SSIM takes as long as all the rest, and hardly changes from one frame to the next.
SSIM_EVERY = 5


@dataclass(frozen=True)
class Planes:
    """A clip's samples of 8 bits, as codes.

    Attributes:
        luma: ``(N, H, W)``.
        chroma: ``(N, 2, h, w)``, 128 for grey.
    """

    luma: NDArray[np.uint8]
    chroma: NDArray[np.uint8]


class Truth:
    """The well-lit clip, and where it moves.

    Attributes:
        planes: in full range.
        starts: indices of the frames with which a scene, or a light in it, begins; the first is
            0. How bright a scene should be against another is a matter of taste as well.
        smooth: luma ``(H, W)`` of each frame, blurred.
        moving, still: a mask ``(H, W)`` for each frame but the first, by the frame before it.
            Some pixels are neither.
    """

    def __init__(self, planes: Planes, starts: Sequence[int] = (0,)) -> None:
        self.planes, self.starts = planes, starts
        self.moving: list[Mask] = []
        self.still: list[Mask] = []
        self.smooth = [blurred(p.astype(np.float32)) for p in planes.luma]
        for before, now in pairwise(self.smooth):
            change = np.abs(now - before)
            self.moving.append(_widened(change > MOTION_LEVELS, MOTION_MARGIN))
            self.still.append(~_widened(change > STILL_LEVELS, STILL_MARGIN))


@dataclass(frozen=True)
class Scores:
    """Of one clip, after the tone match; NaN where a clip has nothing to score.

    Attributes:
        psnr: of luma, in dB, of the mean squared error over all frames.
        ssim: of luma, mean of every fifth frame.
        psnr_moving: PSNR where the truth moves.
        trail: share of the previous true frame in the error where the truth moves: 0 for none,
            1 if the frame before is shown. By blurred pictures: a filter within a frame makes
            edges soft, and cannot leave trails.
        noise: rms difference of luma to the frame before in still places, in 8-bit levels; not
            from one scene to the next.
        chroma_noise: the same of chroma.
        pulse: rms change of the mean luma of still places from frame to frame, in 8-bit levels.
    """

    psnr: float
    ssim: float
    psnr_moving: float
    trail: float
    noise: float
    chroma_noise: float
    pulse: float


def score(result: Planes, truth: Truth) -> Scores:
    """Score a clip against its truth, of the same size; the chroma may be subsampled otherwise."""
    ends = [*truth.starts[1:], len(result.luma)]
    tones = {
        first: tone_match(result.luma[first:end], truth.planes.luma[first:end])
        for first, end in zip(truth.starts, ends, strict=True)
    }
    saturation = _chroma_factor(result.chroma, truth.planes.chroma)
    error, similar, moving = _Mean(), _Mean(), _Mean()
    noise, chroma_noise, pulse = _Mean(), _Mean(), _Mean()
    along = length = 0.0
    table = tones[0]
    before = table[result.luma[0]]
    for index, (codes, true) in enumerate(zip(result.luma, truth.planes.luma, strict=True)):
        table = tones.get(index, table)
        shown = table[codes]
        wrong = shown - true
        error.add(np.square(wrong))
        if index % SSIM_EVERY == 0:
            similar.add(np.array(ssim(_tensor(shown), _tensor(true))))
        if index > 0:
            moves, still = truth.moving[index - 1], truth.still[index - 1]
            moving.add(np.square(wrong[moves]))
            step = (truth.smooth[index - 1] - truth.smooth[index])[moves]
            along += float(np.dot((blurred(shown) - truth.smooth[index])[moves], step))
            length += float(np.dot(step, step))
        if index not in tones:
            change = (shown - before)[still]
            noise.add(np.square(change))
            chroma = np.diff(result.chroma[index - 1 : index + 1].astype(np.float32), axis=0)[0]
            size = chroma.shape[2], chroma.shape[1]
            where = cv2.resize(still.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
            chroma_noise.add(np.square(saturation * chroma[:, where]))
            if change.size >= STILL_SHARE * still.size:
                pulse.add(np.square(change.mean()))
        before = shown
    moves_enough = np.mean([m.mean() for m in truth.moving]) >= MOVING_SHARE
    return Scores(
        psnr=_decibels(error.value), ssim=similar.value,
        psnr_moving=_decibels(moving.value) if moves_enough else math.nan,
        trail=along / length if moves_enough else math.nan, noise=math.sqrt(noise.value),
        chroma_noise=math.sqrt(chroma_noise.value), pulse=math.sqrt(pulse.value),
    )  # fmt: skip


def tone_match(codes: NDArray[np.uint8], truth: NDArray[np.uint8]) -> Floats:
    """The monotone curve that brings a clip's luma as near to the truth as one can.

    How bright a picture should be is a matter of taste, and no part of these scores.

    Returns:
        The level for each of 256 codes: the truth's mean where the code is found, made monotone
        by least squares.
    """
    counts = np.bincount(codes.ravel(), minlength=256)
    sums = np.zeros(256)
    for frame, true in zip(codes, truth, strict=True):
        sums += np.bincount(frame.ravel(), weights=true.ravel(), minlength=256)
    seen = counts > 0
    levels = isotonic(sums[seen] / counts[seen], counts[seen].astype(float))
    return np.interp(np.arange(256), np.flatnonzero(seen), levels).astype(np.float32)


def isotonic(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The non-decreasing sequence next to ``values`` by weighted least squares.

    Pool adjacent violators: neighbours in the wrong order are replaced by their mean.
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, total, count = pools.pop()
            together = total + pool[1]
            pool = ((mean * total + pool[0] * pool[1]) / together, together, count + pool[2])
        pools.append(pool)
    return np.repeat([mean for mean, _, _ in pools], [count for _, _, count in pools])


def blurred(luma: Floats) -> Floats:
    """Without the finest detail, and without most of a good camera's noise."""
    return cv2.GaussianBlur(luma, (0, 0), MOTION_BLUR).astype(np.float32, copy=False)


def luma_psnr(a: Planes, b: Planes) -> float:
    """PSNR in dB of two clips as they are, without a tone match; inf if their luma is equal."""
    error = _Mean()
    for one, other in zip(a.luma, b.luma, strict=True):
        error.add(np.square(one.astype(np.float32) - other))
    return _decibels(error.value)


def _chroma_factor(chroma: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """By what the chroma is multiplied to be nearest to the truth's."""
    product = square = 0.0
    height, width = chroma.shape[2:]
    for frame, true in zip(chroma, truth, strict=True):
        for plane, wanted in zip(frame, true, strict=True):
            offset = plane.astype(np.float32) - 128
            fit = cv2.resize(
                wanted.astype(np.float32) - 128, (width, height), interpolation=cv2.INTER_AREA
            )
            product += float(np.vdot(offset, fit))
            square += float(np.vdot(offset, offset))
    return product / square if square else 1.0


class _Mean:
    """A running mean of the elements of arrays; NaN if there are none."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, values: NDArray[np.floating]) -> None:
        self._sum += float(values.sum(dtype=np.float64))
        self._count += values.size

    @property
    def value(self) -> float:
        return self._sum / self._count if self._count else math.nan


def _decibels(mse: float) -> float:
    """PSNR of a mean squared error in squares of 8-bit levels."""
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)


def _widened(mask: Mask, size: int) -> Mask:
    return cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)) > 0


def _tensor(levels: NDArray) -> torch.Tensor:
    return torch.from_numpy(levels[None].astype(np.float32) / 255)
