"""Towns at night, drawn from nothing: photographs of them cannot be made from those of daylight."""

from __future__ import annotations

import cv2
import numpy as np

from zerodce_rt.training.camera import Array, signal
from zerodce_rt.training.lights import cast, lamps
from zerodce_rt.training.photos import GAMMA

MOST_LIFT = 5.5
"""Stops by which the truth lifts the darkest part of a street against its lit part, at most."""


def night_town(rng: np.random.Generator, photo: Array) -> tuple[Array, Array]:
    """A black or hazy sky, dark houses with windows, a street, lamps and their reflections.

    Args:
        photo: ``(H, W, 3)`` linear RGB; what lies below the horizon in half of the towns, where
            others have a road.

    Returns:
        The town and the truth, ``(H, W, 3)`` linear RGB; lamps are brighter than white. In the
        truth, streets are readable, houses a little lighter, and the sky is still dark.
    """
    height, width = photo.shape[:2]
    v = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    haze = np.float32(max(0, rng.uniform(-20, 60)) / 255) ** GAMMA * cast(rng) * cast(rng)
    zenith = np.float32(rng.uniform(0.1, 0.8))
    horizon = np.float32(rng.uniform(0.3, 0.9))
    sky = zenith + (1 - zenith) * (v / horizon).clip(0, 1) ** np.float32(rng.uniform(1, 3))
    scene = np.broadcast_to(sky[..., None] * haze, photo.shape).copy()
    truth: Array = scene ** np.float32(rng.uniform(0.8, 1))
    ground = np.float32(rng.uniform(1, 25) / 255) ** GAMMA * cast(rng)
    lighter = np.float32(rng.uniform(0.65, 0.9))
    left = 0 if rng.random() < 0.75 else width  # no houses by a country road
    while left < width:
        right = left + int(rng.uniform(0.05, 0.3) * width) + 1
        top = int((horizon - rng.uniform(-0.05, 0.45)) * height)
        top = max(0, min(top, height - 1))
        house = ground * np.float32(rng.uniform(0.2, 1.5))
        scene[top:, left:right] = house
        truth[top:, left:right] = house**lighter
        if rng.random() < 0.7:
            _light_windows(rng, scene[top:, left:right], truth[top:, left:right])
        left = right + int(rng.uniform(0, 0.1) * width)
    street = slice(int(horizon * height), None)
    seen = photo[street] if rng.random() < 0.5 else _road(rng, photo[street].shape[:2])
    scene[street], truth[street] = _street(rng, seen)
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
    high = rng.uniform(-5, -0.5)
    below = rng.uniform(3, 7) * (1 - np.exp(-(du**2) - dv**2)).astype(np.float32)
    dusk = np.float32(rng.uniform(-2, -0.2))
    dark = photo * np.exp2(np.float32(high) - below)[..., None]
    lifted = photo * np.exp2(dusk - np.maximum(0, below - MOST_LIFT))[..., None]
    return dark, lifted * (signal(dark) ** GAMMA)[..., None]


def _road(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    """Asphalt in daylight, and lines on it that meet at the horizon: ``(H, W, 3)`` linear RGB."""
    height, width = size
    v, u = np.mgrid[:height, :width].astype(np.float32)
    grain = cv2.GaussianBlur(rng.standard_normal(size, np.float32), (0, 0), rng.uniform(0.5, 4))
    grain *= np.float32(rng.uniform(0, 0.3)) / max(float(grain.std()), 1e-6)
    road = np.float32(rng.uniform(0.04, 0.35)) * np.exp2(grain)
    below = (v + 1) / height
    across = (u / width - rng.uniform(0.3, 0.7)) / below
    for _ in range(rng.integers(0, 4)):
        line = np.abs(across - rng.uniform(-1.5, 1.5)) < rng.uniform(0.01, 0.05)
        dashes = np.sin(rng.uniform(5, 20) / below) > rng.uniform(-1.5, 0.3)
        road[line & dashes] = rng.uniform(0.5, 0.9)
    coloured: Array = road[..., None] * cast(rng) ** np.float32(0.5)
    return coloured.clip(0, 1)


def _light_windows(rng: np.random.Generator, house: Array, truth: Array) -> None:
    pitch = int(rng.integers(3, 7))
    for y in range(1, house.shape[0] - 1, pitch):
        for x in range(1, house.shape[1] - 1, pitch):
            if rng.random() < 0.3:
                light = np.float32(rng.uniform(0.02, 0.8)) * cast(rng)
                window = slice(y, y + pitch // 2), slice(x, x + pitch // 2)
                house[window] = truth[window] = light
