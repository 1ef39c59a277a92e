"""Scores of the light network on photographs that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from zerodce_rt.training.camera import Picture
from zerodce_rt.training.metrics import psnr
from zerodce_rt.training.relight import KINDS, Relit, relight

SCORES = (*(f"psnr_{kind}" for kind in KINDS), "psnr_lit")
"""PSNR in dB of each kind of light; and of what is lit under mixed light and before a webcam, which
should stay as it is."""

MOST_PHOTOS = 48
"""More would take longer than they tell."""

_SIDE = 128  # of samples, in pixels
_BEST = 50.0  # dB; equal pictures would score infinity
_LIT = 0.7
_LEAST_LIT = 50  # pixels


def samples_of(photos: Sequence[Picture]) -> dict[str, list[Relit]]:
    """Samples of photographs under light of each kind, the same ones whenever this is called.

    Args:
        photos: ``(H, W, 3)`` uint8 RGB each; their middle squares are taken.
    """
    chosen = photos[:: -(-len(photos) // MOST_PHOTOS)]
    return {
        kind: [
            relight(np.random.default_rng((number, index)), _square(photo), kind)
            for index, photo in enumerate(chosen)
        ]
        for number, kind in enumerate(KINDS)
    }


def mean_scores(
    samples: Mapping[str, Sequence[Relit]], results: Mapping[str, Tensor]
) -> dict[str, float]:
    """Means over the pictures, by the names of ``SCORES``.

    Args:
        samples: by kind of light.
        results: what was made of them, ``(N, 3, H, W)`` in [0, 1] for each kind.
    """
    scores: dict[str, list[float]] = {name: [] for name in SCORES}
    for kind, relit in samples.items():
        for sample, result in zip(relit, results[kind], strict=True):
            truth = torch.from_numpy(sample.truth).permute(2, 0, 1)
            scores[f"psnr_{kind}"].append(min(_BEST, psnr(result, truth)))
            lit = torch.from_numpy(sample.lit) > _LIT
            if kind in ("mixed", "webcam") and int(lit.sum()) >= _LEAST_LIT:
                scores["psnr_lit"].append(min(_BEST, psnr(result[:, lit], truth[:, lit])))
    return {name: sum(values) / len(values) for name, values in scores.items() if values}


def _square(photo: Picture) -> Picture:
    height, width = photo.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = photo[top : top + side, left : left + side]
    resized = cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)
