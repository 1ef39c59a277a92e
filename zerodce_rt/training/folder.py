"""A folder of photographs: which are trained on, which held out, and how often each is drawn."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.progress import progress_bar
from zerodce_rt.training.photos import find_photos, read_photo

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photographs:
    """Decoded photographs, ``(H, W, 3)`` uint8 RGB each.

    Attributes:
        training: those to train on, one or more.
        shares: ``(len(training),)``, how often each should be drawn where kinds of photographs are
            balanced (see ``balanced_shares``); their sum is 1.
        held_out: those to score with, at times none.
    """

    training: Sequence[NDArray[np.uint8]]
    shares: NDArray[np.float64]
    held_out: Sequence[NDArray[np.uint8]] = ()


def split_folder(folder: Path, hold_out: int) -> tuple[list[Path], list[Path]]:
    """The photographs of a folder to train on, and those that are held out: every n-th.

    Args:
        hold_out: n, 2 or more; 0 holds none out.

    Raises:
        ZeroDCEError: no such folder, or no photographs to train on.
    """
    paths = find_photos(folder)
    if not hold_out:
        return paths, []
    training = [p for i, p in enumerate(paths) if i % hold_out]
    if not training:
        raise ZeroDCEError(f"{folder}: has one photograph, which `hold_out` leaves out; add more")
    return training, paths[::hold_out]


def load_photographs(
    folder: Path,
    training: Sequence[Path],
    held_out: Sequence[Path],
    *,
    short_side: int,
    progress: bool,
) -> Photographs:
    """Decode photographs; those that cannot be decoded are left out with a warning.

    Args:
        folder: where they are from, for ``balanced_shares``.
        training, held_out: their paths.
        short_side: larger ones are reduced to this short side, in pixels.

    Raises:
        ZeroDCEError: there is none left to train on.
    """
    images: dict[Path, NDArray[np.uint8]] = {}
    paths = [*training, *held_out]
    for path in progress_bar("reading photos", unit="photo", items=paths, show=progress):
        image = read_photo(path, short_side=short_side)
        if image is None:
            log.warning("%s: cannot be decoded; left out", path)
        else:
            images[path] = image
    found = [p for p in training if p in images]
    if not found:
        raise ZeroDCEError(f"none of the {len(training)} photographs can be decoded")
    return Photographs(
        training=[images[p] for p in found],
        shares=balanced_shares([p.relative_to(folder) for p in found]),
        held_out=[images[p] for p in held_out if p in images],
    )


def balanced_shares(paths: Sequence[Path]) -> NDArray[np.float64]:
    """How often to draw each photograph, so that a large group of like ones does not rule.

    Photographs of one folder whose names begin alike, up to the first ``_``, are a group; those
    without a ``_`` are one, too. Each group is drawn in proportion to the square root of its size:
    nine times as many photographs of one kind count three times as much.

    Args:
        paths: relative to the folder of all photographs.

    Returns:
        ``(len(paths),)``, with the sum 1.

    >>> balanced_shares([Path(f"cats_{i}.jpg") for i in range(4)] + [Path("dogs_1.jpg")]).round(3)
    array([0.167, 0.167, 0.167, 0.167, 0.333])
    """
    groups = [(p.parent, p.stem.partition("_")[0] if "_" in p.stem else "") for p in paths]
    sizes = Counter(groups)
    shares = np.array([sizes[group] ** -0.5 for group in groups])
    return shares / shares.sum()
