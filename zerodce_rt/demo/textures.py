"""Procedural textures: the colour of a thing in the room at each point of its surface.

A texture takes points ``(3, n)`` in metres, in a solid's own axes around its centre, and returns
linear RGB ``(3, n)`` or grey ``(n,)``, which the solid's colour is multiplied by.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.demo.raytrace import Floats, Texture, column, largest

RANDOM = np.random.default_rng(3).random(4096, dtype=np.float32)
PALETTE = np.array(
    [
        (0.16, 0.08, 0.05), (0.54, 0.30, 0.22), (0.11, 0.20, 0.34), (0.10, 0.15, 0.05),
        (0.22, 0.22, 0.44), (0.13, 0.51, 0.41), (0.70, 0.20, 0.02), (0.07, 0.10, 0.38),
        (0.53, 0.08, 0.12), (0.11, 0.04, 0.14), (0.34, 0.50, 0.05), (0.75, 0.36, 0.02),
        (0.04, 0.05, 0.30), (0.06, 0.30, 0.06), (0.43, 0.03, 0.04), (0.84, 0.57, 0.01),
        (0.50, 0.09, 0.30), (0.01, 0.24, 0.38), (0.90, 0.88, 0.84), (0.58, 0.58, 0.57),
        (0.36, 0.36, 0.36), (0.19, 0.19, 0.19), (0.09, 0.09, 0.09), (0.03, 0.03, 0.03),
    ],
    np.float32,
)  # fmt: skip
"""The patches of a colour chart, roughly: ``(24, 3)``, row by row of six."""


# What textures are made of. Arguments and results are ``(n,)`` unless stated otherwise.


def random_at(i: Floats, j: Floats) -> Floats:
    """A fixed random number in [0, 1) for each pair of whole numbers."""
    return RANDOM[(i.astype(np.int32) * 197 + j.astype(np.int32) * 1471) % RANDOM.size]


def smooth_noise(x: Floats, y: Floats) -> Floats:
    """Random numbers in [0, 1] at whole coordinates, with smooth transitions between them."""
    i, j = np.floor(x), np.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    top = random_at(i, j) * (1 - u) + random_at(i + 1, j) * u
    bottom = random_at(i, j + 1) * (1 - u) + random_at(i + 1, j + 1) * u
    return top * (1 - v) + bottom * v


def painted(which: Floats, paints: list[int]) -> Floats:
    """Colours ``(3, n)`` of the palette; ``which`` indexes ``paints``, modulo their number."""
    return PALETTE[np.array(paints)].T[:, which.astype(np.intp) % len(paints)]


def either(condition: NDArray[np.bool_], yes: float, no: float) -> Floats:
    """``yes`` where the condition holds, ``no`` elsewhere, as float32."""
    return np.where(condition, np.float32(yes), np.float32(no))


# The room itself.


def wood(p: Floats) -> Floats:
    """Wood with its grain along x."""
    x, y = p[0], p[1] + p[2]
    wave = np.sin(smooth_noise(x * 0.9, y * 7) * 9 + y * 55)
    return 0.72 + 0.11 * wave + 0.17 * smooth_noise(x * 5, y * 170)


def planks(p: Floats) -> Floats:
    """Floorboards along z, 0.21 by 1.7 metres, each with a tone of its own."""
    row = np.floor(p[0] / 0.21)
    along = p[2] / 1.7 + 7 * random_at(row, row)
    board = np.floor(along)
    tone, tint = 0.62 + 0.5 * random_at(row, board), random_at(row + 50, board)
    seam = (np.abs(p[0] / 0.21 - row - 0.5) > 0.478) | (along - board < 0.01)
    grain = wood(np.stack([p[2] + 9 * tint, p[0], np.zeros_like(tint)]))
    tone *= grain * either(seam, 0.35, 1)
    return np.stack([tone, tone * (0.93 + 0.1 * tint), tone * (0.86 + 0.2 * tint)])


def plaster(height: float) -> Texture:
    """A painted wall with a pale skirting board; ``height`` in metres."""

    def texture(p: Floats) -> Floats:
        y = p[1] + height / 2
        grain = smooth_noise(30 * (p[0] + p[2]), 30 * y)
        paint = column((0.115, 0.30, 0.335)) * (0.93 + 0.07 * grain)
        return np.where(y < 0.16, either(y > 0.145, 0.4, 0.72), paint)

    return texture


def city(p: Floats) -> Floats:
    """The view from the window: the moon, and two rows of lit towers."""
    x, y = p[0], p[1]
    rise, moon = (y + 0.85) / 1.7, np.hypot(x - 0.52, y - 0.5)
    out = np.stack([0.34 - 0.33 * rise, 0.16 - 0.12 * rise, 0.30 - 0.10 * rise])
    out += 2.2 * (moon < 0.1) + 0.12 * np.exp(-6 * moon)
    i, j = np.floor(x * 30), np.floor(y * 22)
    pane = (np.abs(x * 30 - i - 0.5) < 0.3) & (np.abs(y * 22 - j - 0.5) < 0.28)
    hue = random_at(i + 70, j)
    lights = np.stack([0.75 + 0.5 * hue, 0.6 + 0.2 * hue, 0.75 - 0.6 * hue])
    # Far row, then near row: width, height and tone of its towers, and the share of lit panes.
    for wide, high, tone, lit in ((0.17, 0.75, 0.06, 0.35), (0.26, 0.35, 0.02, 0.55)):
        tower = np.floor(x / wide + 20)
        top = high * (0.35 + 1.1 * random_at(tower, tower)) - 0.75
        on = pane & (random_at(i + 200 * wide, j) < lit) & (y < top - 0.03)
        out = np.where(y < top, np.where(on, lights, column((0.7, 0.8, 1.4)) * tone), out)
    return out


def folds(p: Floats) -> Floats:
    """The folds of a curtain."""
    return 0.62 + 0.38 * np.sin(p[0] * 46 + 2 * np.sin(p[0] * 9) + 0.25 * p[1])


# Things in it.


def chart(p: Floats) -> Floats:
    """A colour chart, 1.5 by 1 metres."""
    x, y = (p[0] + 0.75) * 4, (0.5 - p[1]) * 4
    i, j = np.floor(x).clip(0, 5), np.floor(y).clip(0, 3)
    patch = np.maximum(np.abs(x - i - 0.5), np.abs(y - j - 0.5)) < 0.43
    return np.where(patch, painted(j * 6 + i, list(range(24))), np.float32(0.012))


def cube(p: Floats) -> Floats:
    """A puzzle cube, 0.6 metres along a side, with nine stickers on each face."""
    cell = np.floor(p / 0.2 + 0.5)
    from_centre = np.abs(p / 0.2 - cell)  # distance from the centre of the cell, in cells
    # Stickers are told apart by the two coordinates in the plane of their face.
    face = np.abs(p).argmax(0)
    normal = np.arange(3)[:, None] == face
    from_centre, cell = np.where(normal, 0, from_centre), np.where(normal, 3, cell)
    pick = random_at(cell[0] + 3 * cell[1] + 9 * cell[2] + 40, face) * 6
    stickers = painted(pick, [14, 15, 7, 13, 6, 18])
    return np.where(largest(from_centre) < 0.43, stickers, np.float32(0.015))


def rug(p: Floats) -> Floats:
    """A woven rug of scalloped rings in many colours."""
    radius, angle = np.hypot(p[0], p[2]), np.arctan2(p[2], p[0])
    ring = radius * 7 + 0.35 * np.abs(np.sin(angle * 9))
    paints = [18, 8, 15, 12, 18, 14, 17, 12, 6, 18, 14, 8, 12, 18, 18, 18]
    return painted(ring, paints) * (0.8 + 0.2 * smooth_noise(radius * 90, angle * 240))


def ribs(p: Floats) -> Floats:
    """The fourteen ribs of a cactus."""
    return 0.7 + 0.3 * np.cos(np.arctan2(p[2], p[0]) * 14)


def ribbon(p: Floats) -> Floats:
    """A parcel in striped paper, with a ribbon."""
    stripe = either(np.sin((p[0] + p[2]) * 60) > 0.3, 1, 0.72)
    band = np.minimum(np.abs(p[0]), np.abs(p[2])) < 0.06
    return np.where(band, column((0.85, 0.55, 0.12)), column((0.03, 0.16, 0.46)) * stripe)


def zigzag(p: Floats) -> Floats:
    """A pot with painted zigzag rings."""
    rings = p[1] * 14 + 0.6 * np.abs(np.sin(np.arctan2(p[2], p[0]) * 8))
    return painted(np.floor(rings), [15, 18, 17, 15, 6, 18])


def spine(p: Floats) -> Floats:
    """The spine of a book, with gilt lines."""
    return either(np.abs(np.abs(p[1]) - 0.1) < 0.012, 2, 1)


def beach_ball(radius: float, turn: float) -> Texture:
    """A ball of six wedges and a cap, that has rolled along x by ``turn`` radians."""
    c, s = float(np.cos(turn)), float(np.sin(turn))

    def texture(p: Floats) -> Floats:
        x, y, z = p[0] * c - p[1] * s, p[0] * s + p[1] * c, p[2]
        y = 0.8 * y + 0.6 * z
        wedge = np.where(np.hypot(x, y) < 0.16 * radius, 1, np.arctan2(y, x) * 3 / np.pi + 3)
        return painted(wedge, [14, 18, 17, 18, 15, 18])

    return texture
