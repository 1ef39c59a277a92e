"""Towns at night, drawn from nothing: photographs of them cannot be made from those of daylight."""

from __future__ import annotations

import cv2
import numpy as np

from zerodce_rt.training.camera import Array
from zerodce_rt.training.lights import cast, lamps
from zerodce_rt.training.photos import GAMMA


def night_town(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    """A hazy sky, dark houses with windows, a street, lamps and their reflections.

    Args:
        size: height and width.

    Returns:
        ``(H, W, 3)`` linear RGB; lamps are brighter than white.
    """
    height, width = size
    v = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    haze = np.float32(rng.uniform(4, 60) / 255) ** GAMMA * cast(rng) * cast(rng)
    zenith = np.float32(rng.uniform(0.1, 0.8))
    horizon = np.float32(rng.uniform(0.3, 0.9))
    sky = zenith + (1 - zenith) * (v / horizon).clip(0, 1) ** np.float32(rng.uniform(1, 3))
    scene = np.broadcast_to(sky[..., None] * haze, (height, width, 3)).copy()
    ground = np.float32(rng.uniform(1, 25) / 255) ** GAMMA * cast(rng)
    left = 0
    while left < width:
        right = left + int(rng.uniform(0.05, 0.3) * width) + 1
        top = int((horizon - rng.uniform(-0.05, 0.45)) * height)
        top = max(0, min(top, height - 1))
        scene[top:, left:right] = ground * np.float32(rng.uniform(0.2, 1.5))
        if rng.random() < 0.7:
            _light_windows(rng, scene[top:, left:right])
        left = right + int(rng.uniform(0, 0.1) * width)
    scene[int(horizon * height) :] = ground  # the street
    scene = cv2.GaussianBlur(scene, (0, 0), float(rng.uniform(0.2, 0.8)))
    light = lamps(rng, size, int(rng.integers(0, 10)))
    reflected = light[::-1] * np.float32(rng.uniform(0, 0.1)) * (v > horizon)[..., None]
    town: Array = scene + light + cv2.blur(reflected, (1, 1 | height // 6))
    return town


def _light_windows(rng: np.random.Generator, house: Array) -> None:
    pitch = int(rng.integers(3, 7))
    for y in range(1, house.shape[0] - 1, pitch):
        for x in range(1, house.shape[1] - 1, pitch):
            if rng.random() < 0.3:
                light = np.float32(rng.uniform(0.02, 0.8)) * cast(rng)
                house[y : y + pitch // 2, x : x + pitch // 2] = light
