"""Towns at night, drawn from nothing: photographs of them cannot be made from those of daylight."""

from __future__ import annotations

import cv2
import numpy as np

from zerodce_rt.training.camera import Array, signal
from zerodce_rt.training.lights import cast, lamps
from zerodce_rt.training.photos import GAMMA

MOST_LIFT = 5.0
"""Stops by which the truth lifts the darkest part of a street against its lit part, at most."""


def night_town(rng: np.random.Generator, photo: Array) -> tuple[Array, Array]:
    """A hazy sky, dark houses with windows, a street, lamps and their reflections.

    Args:
        photo: ``(H, W, 3)`` linear RGB; what lies below the horizon in some of the towns.

    Returns:
        The town and the truth, ``(H, W, 3)`` linear RGB; lamps are brighter than white. In the
        truth, streets are readable and the sky is still dark.
    """
    height, width = photo.shape[:2]
    v = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    haze = np.float32(rng.uniform(4, 60) / 255) ** GAMMA * cast(rng) * cast(rng)
    zenith = np.float32(rng.uniform(0.1, 0.8))
    horizon = np.float32(rng.uniform(0.3, 0.9))
    sky = zenith + (1 - zenith) * (v / horizon).clip(0, 1) ** np.float32(rng.uniform(1, 3))
    scene = np.broadcast_to(sky[..., None] * haze, photo.shape).copy()
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
    scene[int(horizon * height) :] = ground
    truth: Array = scene ** np.float32(rng.uniform(0.75, 0.95))
    if rng.random() < 0.7:
        street = slice(int(horizon * height), None)
        scene[street], truth[street] = _street(rng, photo[street])
    softness = float(rng.uniform(0.2, 0.8))
    light = lamps(rng, photo.shape[:2], int(rng.integers(0, 10)))
    reflected = light[::-1] * np.float32(rng.uniform(0, 0.1)) * (v > horizon)[..., None]
    light = light + cv2.blur(reflected, (1, 1 | height // 6))
    town, truth = (cv2.GaussianBlur(x, (0, 0), softness) + light for x in (scene, truth))
    return town, truth


def _street(rng: np.random.Generator, photo: Array) -> tuple[Array, Array]:
    """A street in the light of headlights or a lamp, and the truth: as at dusk."""
    height, width = photo.shape[:2]
    v, u = np.mgrid[:height, :width].astype(np.float32)
    du = (u / width - rng.uniform(0.2, 0.8)) / rng.uniform(0.15, 0.6)
    dv = (v / height - rng.uniform(0.1, 0.9)) / rng.uniform(0.2, 0.8)
    high = rng.uniform(-4, -0.5)
    below = rng.uniform(3, 7) * (1 - np.exp(-(du**2) - dv**2)).astype(np.float32)
    dusk = np.float32(rng.uniform(-1, 0))
    dark = photo * np.exp2(np.float32(high) - below)[..., None]
    lifted = photo * np.exp2(dusk - np.maximum(0, below - MOST_LIFT))[..., None]
    return dark, lifted * (signal(dark) ** GAMMA)[..., None]


def _light_windows(rng: np.random.Generator, house: Array) -> None:
    pitch = int(rng.integers(3, 7))
    for y in range(1, house.shape[0] - 1, pitch):
        for x in range(1, house.shape[1] - 1, pitch):
            if rng.random() < 0.3:
                light = np.float32(rng.uniform(0.02, 0.8)) * cast(rng)
                house[y : y + pitch // 2, x : x + pitch // 2] = light
