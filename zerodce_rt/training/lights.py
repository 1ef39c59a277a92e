"""Sources of light at random: where their light falls, and what colour it has."""

from __future__ import annotations

import cv2
import numpy as np

from zerodce_rt.training.camera import Array


def light_field(rng: np.random.Generator, luma: Array) -> Array:
    """Where one source of light falls, in [0, 1]: a shape of six kinds, with a soft edge.

    Args:
        luma: ``(H, W)`` of the picture, gamma-encoded; one of the shapes follows it.

    Returns:
        ``(H, W)``.
    """
    height, width = luma.shape
    v, u = np.mgrid[:height, :width].astype(np.float32)
    u, v = (u + 0.5) / width, (v + 0.5) / height
    softness = float(np.exp(rng.uniform(np.log(0.02), np.log(0.5))))
    angle = rng.uniform(0, 2 * np.pi)
    along, across = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    centre_u, centre_v = rng.uniform(0.15, 0.85, 2).astype(np.float32)
    du, dv = u - centre_u, v - centre_v

    def edge(distance: Array) -> Array:
        return sigmoid(distance / np.float32(softness) * 2)

    shape = rng.choice(6, p=(0.3, 0.15, 0.1, 0.15, 0.15, 0.15))
    field: Array
    if shape == 0:  # an ellipse: a person in front of a screen, a spot
        radii = rng.uniform(0.08, 0.5, 2)
        x, y = du * along + dv * across, -du * across + dv * along
        field = edge(1 - np.hypot(x / radii[0], y / radii[1]))
    elif shape == 1:  # an edge: light through a door, backlight
        field = edge((u - 0.5) * along + (v - 0.5) * across + np.float32(rng.uniform(-0.3, 0.3)))
    elif shape == 2:  # from one side
        field = np.clip(0.5 + (u - 0.5) * along + (v - 0.5) * across, 0, 1)
    elif shape == 3:  # the falloff of a lamp or a flash
        distance = (du**2 + dv**2) / np.float32(rng.uniform(0.05, 0.4)) ** 2
        field = 1 / (1 + distance) ** np.float32(rng.uniform(1, 3))
    elif shape == 4:  # windows, screens
        field = np.zeros(luma.shape, np.float32)
        for _ in range(rng.integers(1, 4)):
            x, y = rng.uniform(0, 1, 2)
            half_width, half_height = rng.uniform(0.05, 0.3, 2)
            outside = np.maximum(np.abs(u - x) - half_width, np.abs(v - y) - half_height)
            field = np.maximum(field, sigmoid(-outside * (4 / min(softness, 0.1))))
    else:  # light that follows the things in the picture
        blurred = cv2.GaussianBlur(luma, (0, 0), float(rng.uniform(2, 10) * width / 128))
        field = edge((blurred - np.quantile(blurred, rng.uniform(0.2, 0.8))) * rng.choice((-3, 3)))
    return field.astype(np.float32)


def seated_person(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    """Where a person sits in front of a webcam, in [0, 1]: an upright ellipse with a soft edge.

    Args:
        size: height and width.
    """
    height, width = size
    v, u = np.mgrid[:height, :width].astype(np.float32) / height
    u = (u - rng.uniform(0.35, 0.65) * width / height) / rng.uniform(0.18, 0.3)
    v = (v - rng.uniform(0.5, 0.7)) / rng.uniform(0.3, 0.5)
    return sigmoid((1 - np.hypot(u, v)) / 0.08)


def lamps(rng: np.random.Generator, size: tuple[int, int], count: int | None = None) -> Array:
    """Lamps that are seen directly, with a little glow.

    Args:
        size: height and width.
        count: how many; by default 1 to 6.

    Returns:
        ``(H, W, 3)``, to be added to linear light.
    """
    height, width = size
    v, u = np.mgrid[:height, :width].astype(np.float32)
    light = np.zeros((*size, 3), np.float32)
    for _ in range(rng.integers(1, 7) if count is None else count):
        radius = rng.uniform(0.006, 0.035) * width
        distance = np.hypot(u - rng.uniform(0, width), v - rng.uniform(0, height)) / radius
        glow = 1 / (1 + distance**8) + rng.uniform(0, 0.06) / (1 + (distance / 4) ** 2)
        light += (glow * rng.uniform(0.3, 2))[..., None].astype(np.float32) * cast(rng) ** 2
    return light


def cast(rng: np.random.Generator) -> Array:
    """The colour of a light, as gains of red, green and blue: mostly amber to blue."""
    return np.exp2(rng.normal(0, 0.3, 3) * (1, 0.3, 1)).astype(np.float32)


def sigmoid(x: Array) -> Array:
    """From 0 to 1, 1/2 where x is 0."""
    share: Array = 1 / (1 + np.exp(-x.clip(-40, 40)))
    return share
