"""Photographs for training: found, decoded small, darkened as a camera in the dark would.

Photo collections are mostly well lit, while the network must meet every kind of darkness.
So exposure is changed in linear light over several stops, with sensor noise and a little
colour error, before the picture is quantised again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from zerodce_rt.errors import ZeroDCEError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
GAMMA = 2.2


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """How pictures are made darker (or a little brighter) than they are.

    Attributes:
        probability: share of pictures that are changed at all, in [0, 1].
        stops: range of the exposure change in photographic stops (powers of two).
        white_balance: standard deviation of each channel's gain.
        shot_noise: largest variance per unit of linear light.
        read_noise: largest standard deviation in linear light.
    """

    probability: float = 0.8
    stops: tuple[float, float] = (-7.0, 0.7)
    white_balance: float = 0.08
    shot_noise: float = 2e-4
    read_noise: float = 5e-4

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability must be in [0, 1], not {self.probability}")
        if self.stops[0] > self.stops[1]:
            raise ValueError(f"stops must be (darkest, brightest), not {self.stops}")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Degrade ``(N, 3, H, W)`` pictures in [0, 1]; the result is quantised to 8 bits."""
        n = images.shape[0]

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(n, 1, 1, 1, generator=generator)

        gain = torch.exp2(uniform(*self.stops))
        balance = 1 + self.white_balance * torch.randn(n, 3, 1, 1, generator=generator)
        linear = images.pow(GAMMA) * gain * balance
        variance = uniform(0, self.shot_noise) * linear + uniform(0, self.read_noise).square()
        linear = linear + variance.clamp(min=0).sqrt() * torch.randn(
            images.shape, generator=generator
        )
        degraded = linear.clamp(0, 1).pow(1 / GAMMA)
        kept = torch.rand(n, 1, 1, 1, generator=generator) >= self.probability
        return (torch.where(kept, images, degraded) * 255).round() / 255


def find_photos(folder: Path) -> list[Path]:
    """Every picture below a folder, sorted.

    Raises:
        ZeroDCEError: if the folder is missing or holds no picture.
    """
    if not folder.is_dir():
        raise ZeroDCEError(f"{folder}: no such folder; give a folder of photographs")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise ZeroDCEError(f"{folder}: no photographs in it; looked for {kinds}")
    return found


def read_photo(path: Path, *, short_side: int | None = None) -> NDArray[np.uint8] | None:
    """Decode one picture as ``(H, W, 3)`` RGB, shrunk to a short side; None if unreadable."""
    # Decoding from memory reads any path on any system; imread stumbles on non-ASCII ones.
    data = np.fromfile(path, np.uint8)
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if bgr is None:
        return None
    height, width = bgr.shape[:2]
    if short_side is not None and short_side < min(height, width):
        scale = short_side / min(height, width)
        size = (round(width * scale), round(height * scale))
        bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8, copy=False)


def to_tensor(rgb: NDArray[np.uint8]) -> Tensor:
    """``(H, W, 3)`` uint8 to ``(3, H, W)`` float32 in [0, 1]."""
    return torch.from_numpy(rgb).permute(2, 0, 1).float() / 255


def to_image(tensor: Tensor) -> NDArray[np.uint8]:
    """``(3, H, W)`` in [0, 1] to ``(H, W, 3)`` uint8: the inverse of ``to_tensor``."""
    return (tensor.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)


def batch_at(
    photos: Sequence[NDArray[np.uint8]],
    step: int,
    *,
    batch_size: int,
    size: int,
    generator: torch.Generator,
    seed: int,
) -> Tensor:
    """The batch of one training step, ``(batch_size, 3, size, size)`` in [0, 1].

    Every pass over the photographs has an order of its own, which follows from ``seed`` alone,
    so that a resumed run sees what an uninterrupted one would. Each sample is a square of 70 to
    100 % of the picture's short side, placed and flipped at random.
    """

    def integer(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=generator))

    def sample(photo: NDArray[np.uint8]) -> Tensor:
        height, width = photo.shape[:2]
        side = integer(max(1, int(0.7 * min(height, width))), min(height, width))
        top, left = integer(0, height - side), integer(0, width - side)
        image = to_tensor(photo[top : top + side, left : left + side])
        if integer(0, 1):
            image = image.flip(-1)
        if side == size:
            return image
        return F.interpolate(
            image[None], (size, size), mode="bilinear", antialias=True, align_corners=False
        )[0]

    positions = range(step * batch_size, (step + 1) * batch_size)
    orders = {p // len(photos): seeded(seed, p // len(photos), "order") for p in positions}
    order = {n: torch.randperm(len(photos), generator=g) for n, g in orders.items()}
    chosen = [int(order[p // len(photos)][p % len(photos)]) for p in positions]
    return torch.stack([sample(photos[i]) for i in chosen])


def seeded(seed: int, number: int, purpose: str) -> torch.Generator:
    """A generator for one use in one step, the same in every run with that seed."""
    digest = hashlib.sha256(f"{purpose} {seed} {number}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
