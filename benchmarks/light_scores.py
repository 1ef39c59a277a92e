"""Scores of the light in an enhanced picture, for ``light_quality.py``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from quality_scores import Planes

from zerodce_rt.training.metrics import psnr, ssim
from zerodce_rt.training.photos import to_tensor

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

CLIPPED = 254
HUE_BLOCK = 4
"""Side in pixels of the means whose hues are compared, which have little noise."""
LEAST_CHROMA, LEAST_LIGHTNESS = 5.0, 4.0
"""In Lab. Darker or greyer colours have hardly a hue."""
MOST_PSNR = 60.0
"""In dB; rounding to 8 bits alone gives 59 dB."""
SSIM_REACH = 5  # pixels to each side that a window of SSIM sees
SSIM_SIDE = 2 * SSIM_REACH + 1
JUMP = 8  # levels of chroma from one frame to the next
LIMITED_BLACK, LIMITED_SPAN = 16, 219


@dataclass(frozen=True)
class LightScores:
    """Of one picture; NaN without a truth, or without a lit part.

    Attributes:
        psnr, ssim: of RGB against the truth.
        lit_psnr, lit_ssim: of the lit part.
        level: mean level minus the truth's, in 8-bit levels.
        hue: shift against the given picture, in degrees (see ``hue_shift``).
        clipped: growth of the share of pixels with a channel of 254 or more, in percent of the
            picture.
        lift: mean level minus the given picture's, in 8-bit levels.
    """

    psnr: float
    ssim: float
    lit_psnr: float
    lit_ssim: float
    level: float
    hue: float
    clipped: float
    lift: float


@dataclass(frozen=True)
class NightScores:
    """Of one clip, whose truth nobody knows.

    Attributes:
        black: level of the 1st percentile of luma above black, in 8-bit levels.
        fog: mean level where there is no signal.
        flicker: share of chroma samples that change by more than 8 levels from a frame to the
            next where the given clip's do not, in percent.
        lift: mean luma minus the given clip's, in 8-bit levels.
    """

    black: float
    fog: float
    flicker: float
    lift: float


def score_picture(
    given: Picture, result: Picture, truth: Picture | None, lit: Mask | None, *,
    with_ssim: bool = True,
) -> LightScores:  # fmt: skip
    """Score a picture.

    Args:
        given, result, truth: ``(H, W, 3)`` in RGB.
        lit: ``(H, W)``.
        with_ssim: SSIM takes ten times as long as all the rest.
    """
    whole = similar = lit_psnr = lit_ssim = level = math.nan
    if truth is not None:
        target = to_tensor(truth)
        whole = min(MOST_PSNR, psnr(to_tensor(result), target))
        similar = ssim(to_tensor(result), target) if with_ssim else math.nan
        level = float(result.mean()) - float(truth.mean())
        if lit is not None:
            part, true = result[lit][None], truth[lit][None]
            lit_psnr = min(MOST_PSNR, psnr(to_tensor(part), to_tensor(true)))
            lit_ssim = ssim_of_part(result, truth, lit) if with_ssim else math.nan
    return LightScores(
        psnr=whole, ssim=similar, lit_psnr=lit_psnr, lit_ssim=lit_ssim, level=level,
        hue=hue_shift(given, result),
        clipped=100 * (clipped_share(result) - clipped_share(given)),
        lift=float(result.mean()) - float(given.mean()),
    )  # fmt: skip


def ssim_of_part(result: Picture, truth: Picture, part: Mask) -> float:
    """Mean SSIM of the windows that see a part of a picture, which is right everywhere else."""
    touched = cv2.dilate(part.astype(np.uint8), np.ones((SSIM_SIDE, SSIM_SIDE), np.uint8))
    touched[:SSIM_REACH] = touched[-SSIM_REACH:] = 0  # no whole windows
    touched[:, :SSIM_REACH] = touched[:, -SSIM_REACH:] = 0
    left, top, width, height = cv2.boundingRect(touched)
    box = (
        slice(top - SSIM_REACH, top + height + SSIM_REACH),
        slice(left - SSIM_REACH, left + width + SSIM_REACH),
    )
    shown = np.where(part[..., None], result, truth)[box]
    # All other windows in the box have an SSIM of 1.
    share = float(touched.sum()) / (width * height)
    return 1 - (1 - ssim(to_tensor(shown), to_tensor(truth[box]))) / share


def hue_shift(given: Picture, result: Picture) -> float:
    """Mean absolute change of hue in degrees, 0 to 180.

    Hue is the angle of a and b in Lab, of means over 4 x 4 pixels; only those count that have a
    chroma of at least 5 and a lightness of at least 4 (of 100) in both pictures. NaN if none has.
    """
    a, b = _lab(given), _lab(result)
    counts = np.ones(a.shape[:2], bool)
    for lab in (a, b):
        counts &= np.hypot(lab[..., 1], lab[..., 2]) >= LEAST_CHROMA
        counts &= lab[..., 0] >= LEAST_LIGHTNESS
    if not counts.any():
        return math.nan
    angles = [np.degrees(np.arctan2(lab[counts, 2], lab[counts, 1])) for lab in (a, b)]
    return float(np.abs((angles[1] - angles[0] + 180) % 360 - 180).mean())


def clipped_share(picture: Picture) -> float:
    """Share of the pixels that have a channel of 254 or more."""
    return float((picture.max(axis=2) >= CLIPPED).mean())


def score_night(given: Planes, result: Planes, unlit: Mask) -> NightScores:
    """Score a clip of limited range; ``unlit`` is ``(H, W)``."""
    before, after = (
        (planes.luma.astype(np.float32) - LIMITED_BLACK) * (255 / LIMITED_SPAN)
        for planes in (given, result)
    )
    jumps = [
        np.abs(np.diff(planes.chroma.astype(np.int16), axis=0)) > JUMP for planes in (given, result)
    ]
    return NightScores(
        black=float(np.quantile(after, 0.01)),
        fog=float(after[:, unlit].mean()) if unlit.any() else math.nan,
        flicker=100 * float((jumps[1] & ~jumps[0]).mean()),
        lift=float(after.mean() - before.mean()),
    )


def _lab(picture: Picture) -> NDArray[np.float32]:
    height, width = (max(1, side // HUE_BLOCK) for side in picture.shape[:2])
    whole = picture[: height * HUE_BLOCK, : width * HUE_BLOCK].astype(np.float32) / 255
    small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2Lab).astype(np.float32, copy=False)
