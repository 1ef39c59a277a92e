"""Photographs for training: find them, decode them, darken them, and cut batches from them.

Most photographs are well lit, but the network must learn from all degrees of darkness. So they are
darkened by several stops in linear light, with sensor noise and a small white-balance error, and
quantised again.
"""

from __future__ import annotations

import hashlib
import math
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
"""File names that count as photographs, in lower case."""

GAMMA = 2.2
"""Exponent that turns gamma-encoded values into linear light, approximately."""


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """A random change of exposure, with the errors of a camera in the dark.

    Sensor noise is Gaussian with variance ``shot_noise * x + read_noise^2`` at linear light x
    (Foi et al., IEEE TIP 2008).

    Attributes:
        probability: share of pictures that are changed, in [0, 1].
        stops: lowest and highest change of exposure, in photographic stops (powers of two).
        white_balance: standard deviation of each channel's gain around 1, 0 or more.
        shot_noise: highest variance of noise per unit of linear light, 0 or more.
        read_noise: highest standard deviation of noise without light, 0 or more.

    Raises:
        ValueError: a setting outside its range.
    """

    probability: float = 0.8
    stops: tuple[float, float] = (-7.0, 0.7)
    white_balance: float = 0.08
    shot_noise: float = 2e-4
    read_noise: float = 5e-4

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"`probability` must be between 0 and 1, not {self.probability}")
        lowest, highest = self.stops
        if not -math.inf < lowest <= highest < math.inf:
            raise ValueError(f"`stops` must be (lowest, highest), both finite, not {self.stops}")
        for name in ("white_balance", "shot_noise", "read_noise"):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise ValueError(f"`{name}` must be 0 or more, not {value}")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Degrade pictures, each by amounts of its own.

        Args:
            images: ``(N, 3, H, W)`` RGB in [0, 1], gamma-encoded.
            generator: the source of all random numbers.

        Returns:
            New pictures of that shape, in [0, 1] and quantised to 8 bits.
        """
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
    """All photographs in a folder and its subfolders, sorted (see ``SUFFIXES``).

    Raises:
        ZeroDCEError: no such folder, or no photographs in it.
    """
    if not folder.is_dir():
        raise ZeroDCEError(f"{folder}: no such folder; give a folder of photographs")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise ZeroDCEError(f"{folder}: no photographs in it; looked for {kinds}")
    return found


def read_photo(path: Path, *, short_side: int | None = None) -> NDArray[np.uint8] | None:
    """Decode a photograph.

    Args:
        short_side: reduce a larger picture to this short side, in pixels.

    Returns:
        ``(H, W, 3)`` uint8 RGB, or None if the file cannot be decoded.
    """
    # From memory, because imread cannot open paths with non-ASCII characters on every system.
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
    """From ``(H, W, 3)`` uint8 to ``(3, H, W)`` float32 in [0, 1]."""
    return torch.from_numpy(rgb).permute(2, 0, 1).float() / 255


def to_image(tensor: Tensor) -> NDArray[np.uint8]:
    """From ``(3, H, W)`` float in [0, 1] to ``(H, W, 3)`` uint8: the inverse of ``to_tensor``."""
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
    """The batch of one training step.

    The order of the photographs in each pass over them depends on ``seed`` alone, so that a resumed
    run sees what an uninterrupted one would. Each sample is a square of 70 to 100 % of the
    photograph's short side, placed and flipped at random, and resized.

    Args:
        photos: ``(H, W, 3)`` uint8 RGB each.
        step: number of the step, from 0.
        size: side of the squares in pixels.
        generator: for place, size and flip of the squares.

    Returns:
        ``(batch_size, 3, size, size)`` float32 in [0, 1].
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

    count = len(photos)
    # Of each sample: the number of the pass, and the position in its order.
    samples = [divmod(i, count) for i in range(step * batch_size, (step + 1) * batch_size)]
    orders = {
        number: torch.randperm(count, generator=seeded(seed, number, "order"))
        for number in {number for number, _ in samples}
    }
    return torch.stack([sample(photos[int(orders[number][i])]) for number, i in samples])


def seeded(seed: int, number: int, purpose: str) -> torch.Generator:
    """A random generator for one purpose in one step (or pass), the same in every run."""
    digest = hashlib.sha256(f"{purpose} {seed} {number}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
