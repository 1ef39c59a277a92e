"""What a camera makes of linear light."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.curve.floor import smoothstep
from zerodce_rt.training.photos import GAMMA

Array = NDArray[np.float32]
"""Light or levels: float32."""

Picture = NDArray[np.uint8]
"""``(H, W, 3)`` RGB in codes of 8 bits, gamma-encoded."""


def encoded(linear: Array, black: float = 0.0) -> Array:
    """Gamma-encoded levels in [0, 1] of linear light, which is clipped at white.

    Args:
        black: level that the camera makes black, and all below it.
    """
    levels: Array = linear.clip(0, 1) ** np.float32(1 / GAMMA)
    if black > 0:
        levels = ((levels - np.float32(black)) / np.float32(1 - black)).clip(0)
    return levels


def black_level(rng: np.random.Generator) -> float:
    """What a camera makes black: some take more than nothing, up to 20 codes of 8 bits."""
    return float(rng.uniform(0, 0.004) ** (1 / GAMMA)) if rng.random() < 0.3 else 0.0


def shoot(rng: np.random.Generator, linear: Array, black: float = 0.0) -> tuple[Picture, Picture]:
    """Take a picture: with noise (and, at times, compression), and the same without.

    Noise is Gaussian with variance ``shot * x + read^2`` at linear light x (Foi et al., IEEE TIP
    2008). A quarter of the pictures is compressed as JPEG.

    Args:
        linear: ``(H, W, 3)`` linear RGB; 1 is white.
        black: of ``black_level``.

    Returns:
        The noisy and the clean picture.
    """
    shot, read = rng.uniform(0, 2e-4), rng.uniform(0, 2.5e-3) * rng.random()
    deviation = np.sqrt((shot * linear).clip(0) + read**2).astype(np.float32)
    noise = deviation * rng.standard_normal(linear.shape, np.float32)

    def quantised(light: Array) -> Picture:
        return (encoded(light, black) * 255 + 0.5).astype(np.uint8)

    noisy = quantised(linear + noise)
    if rng.random() < 0.25:
        quality = int(rng.integers(30, 90))
        _, data = cv2.imencode(".jpg", noisy[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))
        noisy = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return noisy, quantised(linear)


def signal(dark: Array, black: float = 0.0) -> Array:
    """Whether 8 bits hold anything: 0 where a neighbourhood has 1.5 codes or less, 1 from 4 codes.

    Args:
        dark: ``(H, W, 3)`` linear RGB.
        black: of ``black_level``.

    Returns:
        ``(H, W)`` in [0, 1].
    """
    reach = 1 | dark.shape[1] // 14
    code = 255 * encoded(cv2.blur(dark.max(2), (reach, reach)), black)
    return smoothstep((code - 1.5) / 2.5)
