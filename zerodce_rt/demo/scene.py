"""The scene that ``zerodce-rt demo`` films: a room at night, drawn by a small ray tracer.

Coordinates are in metres: x to the right, y up, z away from the camera. Vectors lie in
``(3, n)`` float32 arrays, one column per ray; light is linear RGB, 1 being display white.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # float32 throughout; NumPy's stubs lose track of it
Bytes = NDArray[np.uint8]
Vec = tuple[float, float, float]

ROOM_WIDTH, ROOM_HEIGHT, ROOM_NEAR, ROOM_FAR = 10.4, 3.7, -8.0, 2.5
EYE = np.array([[0.0], [2.05], [-6.75]], np.float32)
FORWARD = np.array([[0.0], [-0.1224], [0.9925]], np.float32)
VIEW_HEIGHT = 0.535  # height of the picture at distance 1
SHIFTS = np.array(((0, 0), (-0.13, -0.38), (0.38, -0.13), (0.13, 0.38), (-0.38, 0.13)), np.float32)
EDGE = 0.04  # difference of neighbours' square roots that calls for samples at all but the first
TILE = 120  # pixels; a tile's arrays stay in the cache
SKIN = 2e-3  # metres between a surface and the rays that leave it
NEAR_MISS = 0.4  # share of the way to a light within which a passing solid may dim it
BRIGHTEST = 4.0
AMBIENT = np.array([[0.24], [0.225], [0.235]], np.float32)

MARGIN_X, MARGIN_Y = 0.17, 0.05  # of the frame's size: how far the camera pans
PAN_FRAMES, ROLL_FRAMES = 420, 300  # there and back
BALL_RADIUS, BALL_Z, BALL_REACH = 0.24, -1.36, 1.9
SHADOW = 2.8  # radii of the ball around it that its shadow covers
READ_NOISE = 4e-4  # standard deviation in linear light
SHOT_NOISE = 2e-4  # variance per unit of linear light
NOISE_OFFSETS = 1 << 20
BAND = 48  # rows of a frame worked on at a time, for the cache
CODES = ((np.arange(1 << 16) / 65535) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)
"""The 8-bit code of linear light in steps of 1/65535."""

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
OAK, RED, BLACK, WHITE = (0.5, 0.27, 0.12), (0.43, 0.03, 0.04), (0.03, 0.03, 0.03), (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Solid:
    """A ball (or ellipsoid) or a box.

    Attributes:
        size: half its extent along x, y and z, before it is turned about y by ``turn`` radians.
        texture: from places relative to the centre to factors of the colour.
        gloss: share of light mirrored at normal incidence (Schlick's approximation).
        glow: emitted light, as a multiple of the colour; 0 for what is lit by others.
        casts: whether it keeps light from others.
    """

    shape: Literal["ball", "box"]
    centre: Vec
    size: Vec
    colour: Vec = WHITE
    texture: Callable[[Floats], Floats] | None = None
    gloss: float = 0.0
    turn: float = 0.0
    glow: float = 0.0
    casts: bool = True

    @property
    def radius(self) -> float:
        """Of a ball around it."""
        return max(self.size) if self.shape == "ball" else float(np.linalg.norm(self.size))

    def local(self, places: Floats, turn: float | None = None) -> Floats:
        """Directions in the solid's own axes, or turned by another angle."""
        angle = self.turn if turn is None else turn
        c, s = float(np.cos(angle)), float(np.sin(angle))
        return np.stack([c * places[0] + s * places[2], places[1], c * places[2] - s * places[0]])


@dataclass(frozen=True)
class Light:
    """A glowing ball; ``power`` is the irradiance at one metre."""

    centre: Vec
    radius: float
    power: Vec
    colour: Vec
    glow: float

    @property
    def solid(self) -> Solid:
        size = (self.radius, self.radius, self.radius)
        return Solid("ball", self.centre, size, self.colour, glow=self.glow, casts=False)


KEY = Light((-2.9, 3.3, -2.6), 0.32, (19.0, 16.0, 13.0), (1.0, 0.9, 0.75), 6)
LAMP = Light((1.02, 2.42, 1.35), 0.17, (2.6, 1.75, 0.9), (1.0, 0.74, 0.42), 4)


def column(v: Vec) -> Floats:
    return np.array(v, np.float32)[:, None]


def dot(a: Floats, b: Floats) -> Floats:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def unit(v: Floats) -> Floats:
    return v / np.sqrt(dot(v, v) + 1e-20)


def largest(v: Floats) -> Floats:
    return np.maximum(np.maximum(v[0], v[1]), v[2])


# Textures.


def random_at(i: Floats, j: Floats) -> Floats:
    """A fixed random number in [0, 1) for each pair of whole numbers."""
    return RANDOM[(i.astype(np.int32) * 197 + j.astype(np.int32) * 1471) % RANDOM.size]


def smooth_noise(x: Floats, y: Floats) -> Floats:
    """Random numbers at whole coordinates, and smooth between them."""
    i, j = np.floor(x), np.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    top = random_at(i, j) * (1 - u) + random_at(i + 1, j) * u
    bottom = random_at(i, j + 1) * (1 - u) + random_at(i + 1, j + 1) * u
    return top * (1 - v) + bottom * v


def painted(which: Floats, paints: list[int]) -> Floats:
    """Colours of the palette, by whole numbers that count through ``paints``."""
    return PALETTE[np.array(paints)].T[:, which.astype(np.intp) % len(paints)]


def wood(p: Floats) -> Floats:
    """Grain along x."""
    x, y = p[0], p[1] + p[2]
    wave = np.sin(smooth_noise(x * 0.9, y * 7) * 9 + y * 55)
    return 0.72 + 0.11 * wave + 0.17 * smooth_noise(x * 5, y * 170)


def planks(p: Floats) -> Floats:
    row = np.floor(p[0] / 0.21)
    along = p[2] / 1.7 + 7 * random_at(row, row)
    board = np.floor(along)
    tone, tint = 0.62 + 0.5 * random_at(row, board), random_at(row + 50, board)
    seam = (np.abs(p[0] / 0.21 - row - 0.5) > 0.478) | (along - board < 0.01)
    tone *= wood(np.stack([p[2] + 9 * tint, p[0], 0 * tint])) * np.where(
        seam, np.float32(0.35), np.float32(1)
    )
    return np.stack([tone, tone * (0.93 + 0.1 * tint), tone * (0.86 + 0.2 * tint)])


def plaster(p: Floats) -> Floats:
    """A painted wall with a pale skirting board."""
    y = p[1] + ROOM_HEIGHT / 2
    paint = column((0.115, 0.30, 0.335)) * (0.93 + 0.07 * smooth_noise(30 * (p[0] + p[2]), 30 * y))
    return np.where(y < 0.16, np.where(y > 0.145, np.float32(0.4), np.float32(0.72)), paint)


def chart(p: Floats) -> Floats:
    """The colour chart, 1.5 by 1 metres."""
    x, y = (p[0] + 0.75) * 4, (0.5 - p[1]) * 4
    i, j = np.floor(x).clip(0, 5), np.floor(y).clip(0, 3)
    patch = np.maximum(np.abs(x - i - 0.5), np.abs(y - j - 0.5)) < 0.43
    return np.where(patch, painted(j * 6 + i, list(range(24))), np.float32(0.012))


def cube(p: Floats) -> Floats:
    """A puzzle cube of half size 0.3: nine stickers on each face."""
    cell = np.floor(p / 0.2 + 0.5)
    inset, face = np.abs(p / 0.2 - cell), np.abs(p).argmax(0)
    np.put_along_axis(inset, face[None], 0, 0)
    np.put_along_axis(cell, face[None], 3, 0)
    pick = random_at(cell[0] + 3 * cell[1] + 9 * cell[2] + 40, face) * 6
    return np.where(largest(inset) < 0.43, painted(pick, [14, 15, 7, 13, 6, 18]), np.float32(0.015))


def rug(p: Floats) -> Floats:
    radius, angle = np.hypot(p[0], p[2]), np.arctan2(p[2], p[0])
    ring = radius * 7 + 0.35 * np.abs(np.sin(angle * 9))
    paints = [18, 8, 15, 12, 18, 14, 17, 12, 6, 18, 14, 8, 12, 18, 18, 18]
    return painted(ring, paints) * (0.8 + 0.2 * smooth_noise(radius * 90, angle * 240))


def ribs(p: Floats) -> Floats:
    return 0.7 + 0.3 * np.cos(np.arctan2(p[2], p[0]) * 14)


def folds(p: Floats) -> Floats:
    return 0.62 + 0.38 * np.sin(p[0] * 46 + 2 * np.sin(p[0] * 9) + 0.25 * p[1])


def ribbon(p: Floats) -> Floats:
    """A parcel's striped paper and its ribbon."""
    stripe = np.where(np.sin((p[0] + p[2]) * 60) > 0.3, np.float32(1), np.float32(0.72))
    band = np.minimum(np.abs(p[0]), np.abs(p[2])) < 0.06
    return np.where(band, column((0.85, 0.55, 0.12)), column((0.03, 0.16, 0.46)) * stripe)


def zigzag(p: Floats) -> Floats:
    """Painted rings around a pot."""
    rings = p[1] * 14 + 0.6 * np.abs(np.sin(np.arctan2(p[2], p[0]) * 8))
    return painted(np.floor(rings), [15, 18, 17, 15, 6, 18])


def spine(p: Floats) -> Floats:
    """Gilt lines on the back of a book."""
    return np.where(np.abs(np.abs(p[1]) - 0.1) < 0.012, np.float32(2), np.float32(1))


def city(p: Floats) -> Floats:
    """What is seen through the window: the moon, and two rows of lit towers."""
    x, y = p[0], p[1]
    rise, moon = (y + 0.85) / 1.7, np.hypot(x - 0.52, y - 0.5)
    out = np.stack([0.34 - 0.33 * rise, 0.16 - 0.12 * rise, 0.30 - 0.10 * rise])
    out += 2.2 * (moon < 0.1) + 0.12 * np.exp(-6 * moon)
    i, j = np.floor(x * 30), np.floor(y * 22)
    pane = (np.abs(x * 30 - i - 0.5) < 0.3) & (np.abs(y * 22 - j - 0.5) < 0.28)
    hue = random_at(i + 70, j)
    lights = np.stack([0.75 + 0.5 * hue, 0.6 + 0.2 * hue, 0.75 - 0.6 * hue])
    for wide, high, tone, lit in ((0.17, 0.75, 0.06, 0.35), (0.26, 0.35, 0.02, 0.55)):
        tower = np.floor(x / wide + 20)
        top = high * (0.35 + 1.1 * random_at(tower, tower)) - 0.75
        on = pane & (random_at(i + 200 * wide, j) < lit) & (y < top - 0.03)
        out = np.where(y < top, np.where(on, lights, column((0.7, 0.8, 1.4)) * tone), out)
    return out


def beach_ball(turn: float) -> Callable[[Floats], Floats]:
    """Six wedges, on a ball that has rolled along x by ``turn`` radians."""
    c, s = float(np.cos(turn)), float(np.sin(turn))

    def texture(p: Floats) -> Floats:
        x, y, z = p[0] * c - p[1] * s, p[0] * s + p[1] * c, p[2]
        y = 0.8 * y + 0.6 * z
        wedge = np.where(np.hypot(x, y) < 0.16 * BALL_RADIUS, 1, np.arctan2(y, x) * 3 / np.pi + 3)
        return painted(wedge, [14, 18, 17, 18, 15, 18])

    return texture


# The room.


def furniture() -> list[Solid]:
    w, h, z = ROOM_WIDTH / 2, ROOM_HEIGHT / 2, ROOM_FAR
    middle, depth = (ROOM_NEAR + z) / 2, (z - ROOM_NEAR) / 2
    floor = (0.62, 0.34, 0.17)
    shelves = (0.1, 0.7, 1.3, 1.9, 2.5)
    return [
        Solid("box", (0, -1, middle), (w, 1, depth), floor, planks, 0.035, casts=False),
        Solid("box", (0, 2 * h + 1, middle), (w, 1, depth), (0.7, 0.68, 0.64), casts=False),
        Solid("box", (0, h, z + 1), (w, h, 1), WHITE, plaster, casts=False),
        Solid("box", (0, h, ROOM_NEAR - 1), (w, h, 1), BLACK, casts=False),
        Solid("box", (-w - 1, h, middle), (1, h, depth), WHITE, plaster, casts=False),
        Solid("box", (w + 1, h, middle), (1, h, depth), WHITE, plaster, casts=False),
        # The window, its frame and curtains; the colour chart.
        Solid("box", (-2.75, 2.0, z), (1.1, 0.85, 0.01), WHITE, city, glow=1, casts=False),
        *(Solid("box", (-2.75 + x, 2.0, z), (0.035, 0.885, 0.05)) for x in (-1.1, 0, 1.1)),
        *(Solid("box", (-2.75, 2.0 + y, z), (1.135, 0.035, 0.05)) for y in (-0.85, 0.3, 0.85)),
        *(Solid("box", (-2.75 + x, 1.75, z), (0.3, 1.3, 0.1), RED, folds) for x in (-1.42, 1.42)),
        Solid("box", (-0.1, 2.15, z), (0.84, 0.59, 0.03), BLACK, gloss=0.04),
        Solid("box", (-0.1, 2.15, z), (0.75, 0.5, 0.035), WHITE, chart, casts=False),
        # A sideboard with things on it; the lamps.
        Solid("box", (-0.1, 0.47, z - 0.3), (1.15, 0.3, 0.28), OAK, wood, 0.03),
        Solid("box", (-0.1, 0.79, z - 0.3), (1.2, 0.025, 0.3), OAK, wood, 0.04),
        Solid("ball", (-0.95, 0.995, z - 0.3), (0.18, 0.18, 0.18), (0.75, 0.36, 0.02), None, 0.05),
        Solid("ball", (-0.15, 0.955, z - 0.35), (0.14, 0.14, 0.14), (0.9, 0.85, 0.8), None, 0.75),
        Solid("ball", (0.72, 1.01, z - 0.3), (0.14, 0.2, 0.14), WHITE, zigzag, 0.04),
        Solid("box", (1.02, 3.2, 1.35), (0.008, 0.605, 0.008), BLACK, casts=False),
        KEY.solid,
        LAMP.solid,
        # On the floor.
        Solid("ball", (0.1, 0, 0.1), (2.2, 0.012, 2.0), WHITE, rug, casts=False),
        Solid("ball", (-0.72, 0.51, 0.35), (0.5, 0.5, 0.5), (0.93, 0.91, 0.88), None, 0.85),
        Solid("ball", (0.12, 0.36, -0.45), (0.35, 0.35, 0.35), (0.62, 0.03, 0.03), None, 0.06),
        Solid("ball", (-1.2, 0.19, -0.75), (0.18, 0.18, 0.18), (0.06, 0.36, 0.10), None, 0.06),
        Solid("ball", (0.62, 0.15, -0.95), (0.14, 0.14, 0.14), (0.80, 0.50, 0.03), None, 0.06),
        Solid("box", (1.05, 0.31, -0.15), (0.3, 0.3, 0.3), WHITE, cube, 0.04, 0.5),
        Solid("box", (-1.95, 0.33, -0.1), (0.38, 0.33, 0.38), WHITE, ribbon, 0, -0.6),
        # A cactus in its pot, before the bookcase.
        Solid("ball", (1.75, 0.2, 0.75), (0.33, 0.25, 0.33), WHITE, zigzag, 0.04),
        Solid("ball", (1.75, 0.95, 0.75), (0.24, 0.55, 0.24), (0.10, 0.34, 0.10), ribs),
        Solid("ball", (2.05, 1.05, 0.75), (0.13, 0.28, 0.13), (0.12, 0.38, 0.10), ribs),
        Solid("ball", (1.50, 1.20, 0.70), (0.11, 0.22, 0.11), (0.12, 0.38, 0.10), ribs),
        *(Solid("box", (x, 1.25, z - 0.17), (0.025, 1.25, 0.17), OAK) for x in (1.7, 3.8)),
        *(Solid("box", (2.75, y, z - 0.17), (1.05, 0.02, 0.17), OAK, wood) for y in shelves),
        *books(1.75, 3.66, z - 0.2),
    ]


def books(start: float, end: float, z: float) -> list[Solid]:
    """Four shelves of books of all sizes and colours."""
    rng, out = np.random.default_rng(11), []
    for base in (0.12, 0.72, 1.32, 1.92):
        x = start
        while x < end:
            thick, tall = rng.uniform(0.025, 0.065), rng.uniform(0.16, 0.24)
            red, green, blue = (0.9 * PALETTE[rng.integers(0, 19)]).tolist()
            place = (x + thick, base + tall, z + rng.uniform(-0.02, 0.02))
            size, colour = (thick, tall, 0.11), (red, green, blue)
            out.append(Solid("box", place, size, colour, spine, casts=False))
            x += 2 * thick + (0.004 if rng.random() < 0.9 else 0.2)
    return out


# Rays.


def span(solid: Solid, origins: Floats, rays: Floats) -> tuple[Floats, Floats]:
    """Where each ray enters and leaves a solid, in lengths of the ray.

    A ray that misses has enter > leave; halfway between them it passes near the solid.
    """
    size = column(solid.size)
    o, d = solid.local(origins - column(solid.centre)) / size, solid.local(rays) / size
    if solid.shape == "box":
        inverse = 1 / (d + 1e-12)
        a, b = (-1 - o) * inverse, (1 - o) * inverse
        return largest(np.minimum(a, b)), -largest(-np.maximum(a, b))
    inverse, b = 1 / dot(d, d), dot(o, d)
    inside = b * b - (dot(o, o) - 1) / inverse
    root = np.where(inside > 0, np.sqrt(np.abs(inside)), np.float32(-1e-4))
    return (-b - root) * inverse, (root - b) * inverse


def near_rays(
    solids: list[Solid], origins: Floats, rays: Floats, slack: float = 0, reach: float = np.inf
) -> list[Solid]:
    """The solids that unit rays from within ``slack`` of ``origins`` may meet before ``reach``."""
    apex, axis = origins.mean(1), rays.mean(1)
    axis /= np.sqrt(axis @ axis) + 1e-9
    cone = np.arccos((axis @ rays).min().clip(-1, 1))
    away = np.array([s.centre for s in solids], np.float32) - apex
    distance = np.sqrt((away * away).sum(1)) + 1e-6
    spread = np.sqrt(((origins - apex[:, None]) ** 2).sum(0).max())
    radius = np.array([s.radius for s in solids], np.float32) + slack + spread
    angle = np.arccos((away @ axis / distance).clip(-1, 1))
    met = angle <= cone + np.arcsin((radius / distance).clip(0, 1))
    met = (met | (distance <= radius)) & (distance - radius < reach)
    return [s for s, m in zip(solids, met, strict=True) if m]


def clearance(solid: Solid, places: Floats) -> Floats:
    """Metres from a solid's surface, about; negative inside."""
    local, size = np.abs(solid.local(places - column(solid.centre))), column(solid.size)
    if solid.shape == "ball":
        return (np.sqrt(dot(local / size, local / size)) - 1) * min(solid.size)
    gap = local - size
    outside = np.maximum(gap, 0)
    return np.sqrt(dot(outside, outside)) + np.minimum(largest(gap), 0)


def reaching(light: Light, solids: list[Solid], places: Floats, normals: Floats) -> Floats:
    """Irradiance from a light, with soft shadows.

    A solid dims by how near to it the way to the light passes, against the width that the
    light seems to have there.
    """
    centre = column(light.centre)
    way = centre - places
    square = dot(way, way)
    distance = np.sqrt(square)
    lit = np.maximum(dot(way, normals), 0) / (distance * square)
    if not lit.any():
        return np.zeros_like(places)
    for solid in near_rays(solids, centre, way / -distance, light.radius, distance.max()):
        if solid.casts:
            enter, leave = span(solid, places, way)
            middle = (enter + leave) / 2
            some = np.flatnonzero((middle > 0) & (middle < 1) & (enter - leave < NEAR_MISS))
            gap = clearance(solid, places[:, some] + middle[some] * way[:, some])
            share = (0.5 + 0.5 * gap / (light.radius * middle[some] + SKIN)).clip(0, 1)
            lit[some] *= share * share * (3 - 2 * share)
    return column(light.power) * lit


def ambient(solids: list[Solid], places: Floats, normals: Floats) -> Floats:
    """The room's diffuse light: less of it in corners and beside solids."""
    share = 0.72 + 0.28 * normals[1]
    x, y, z = places
    to_walls = ROOM_WIDTH / 2 - np.abs(x), np.minimum(y, ROOM_HEIGHT - y), ROOM_FAR - z
    for axis, gap in enumerate(to_walls):
        share *= 1 - 0.45 * np.exp(-gap / 0.3) * (1 - np.abs(normals[axis]))
    middle = places.mean(1)
    extent = np.abs(places - middle[:, None]).max() * 1.5
    for solid in solids:
        radius, away = min(solid.size), np.linalg.norm(np.array(solid.centre) - middle) - extent
        if solid.casts and radius > max(0.13, away / 6):
            way = column(solid.centre) - places
            square = dot(way, way)
            facing = np.maximum(dot(way, normals), 0) / np.sqrt(square)
            share *= 1 - 0.9 * facing * np.minimum(radius * radius / square, 1)
    return AMBIENT * share


def shade(solid: Solid, solids: list[Solid], places: Floats, rays: Floats, depth: int) -> Floats:
    """Light that leaves ``places`` on a solid, against the rays that found them."""
    local = solid.local(places - column(solid.centre))
    colour = column(solid.colour) * (solid.texture(local) if solid.texture else 1 + 0 * local)
    if solid.glow:
        return colour * solid.glow
    normals = local / column(solid.size)
    if solid.shape == "box":
        normals = np.where(np.abs(normals) >= largest(np.abs(normals)), np.sign(normals), 0)
    normals = solid.local(unit(normals / column(solid.size)), -solid.turn).astype(np.float32)
    places = places + normals * SKIN
    light = ambient(solids, places, normals)
    light = light + sum(reaching(lamp, solids, places, normals) for lamp in (KEY, LAMP))
    if not solid.gloss or depth:
        return light * colour
    cosine = dot(normals, rays)
    mirror = solid.gloss + (1 - solid.gloss) * (1 - np.abs(cosine)).clip(0, 1) ** 5
    seen = trace(solids, places, rays - 2 * cosine * normals, depth + 1)
    return light * colour * (1 - mirror) + mirror * seen


def trace(solids: list[Solid], origins: Floats, rays: Floats, depth: int = 0) -> Floats:
    """Light that comes in along unit rays; none where they meet nothing."""
    nearest = np.full(rays.shape[1], np.inf, np.float32)
    index = np.full(rays.shape[1], -1)
    near = near_rays(solids, origins, rays)
    for i, solid in enumerate(near):
        enter, leave = span(solid, origins, rays)
        hit = (enter < leave) & (enter > 0) & (enter < nearest)
        nearest[hit], index[hit] = enter[hit], i
    out = np.zeros(rays.shape, np.float32)
    for i, solid in enumerate(near):
        if (found := np.flatnonzero(index == i)).size:
            ray = rays[:, found]
            places = origins[:, found] + nearest[found] * ray
            out[:, found] = shade(solid, solids, places, ray, depth)
    return out


def sight(x: Floats, y: Floats, focal: float) -> tuple[Floats, Floats]:
    """Rays of the camera, and their origins, ``(3, n)`` each.

    Args:
        x, y: ``(n,)`` pixels right of and below the middle of the view.
        focal: pixels per unit of slope.
    """
    ahead, lift = float(FORWARD[2, 0]), float(FORWARD[1, 0])
    u, v = x / focal, -y / focal
    rays = unit(np.stack([u, v * ahead + lift, ahead - v * lift]))
    return np.repeat(EYE, x.size, 1), rays


def differs(picture: Floats) -> NDArray[np.bool_]:
    """The pixels that differ from a neighbour, about as the eye sees it: ``(height, width)``."""
    code, out = np.sqrt(picture), np.zeros(picture.shape[:2], bool)
    down = (np.abs(np.diff(code, axis=0)) > EDGE).any(2)
    right = (np.abs(np.diff(code, axis=1)) > EDGE).any(2)
    out[1:], out[:, 1:] = down, out[:, 1:] | right
    out[:-1] |= down
    out[:, :-1] |= right
    return out


def render_room(width: int, height: int) -> NDArray[np.float32]:
    """The room as a still; pixels on edges are sampled more often.

    Returns:
        ``(height, width, 3)`` linear RGB, 0 to 4 (the lamp); the same every time.
    """
    solids, focal = furniture(), height / VIEW_HEIGHT
    out = np.zeros((height, width, 3), np.float32)
    todo = np.ones((height, width), bool)
    for shifts in (SHIFTS[:1], SHIFTS[1:]):
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                tile = np.s_[top : top + TILE, left : left + TILE]
                rows, cols = np.nonzero(todo[tile])
                if rows.size == 0:
                    continue
                x = (shifts[:, :1] + cols + (left + 0.5 - width / 2)).astype(np.float32).ravel()
                y = (shifts[:, 1:] + rows + (top + 0.5 - height / 2)).astype(np.float32).ravel()
                light = trace(solids, *sight(x, y, focal)).clip(0, BRIGHTEST)
                out[tile][rows, cols] = light.reshape(3, len(shifts), -1).mean(1).T
        todo = differs(out)
    return out


# The film.


def crop(still: Floats, left: float, top: float, width: int, height: int) -> Floats:
    """A window on the still; its corner may lie between pixels."""
    i, j = int(top), int(left)
    out = still[i : i + height + 1, j : j + width + 1]
    out = out[:-1] + (out[1:] - out[:-1]) * np.float32(top - i)
    return out[:, :-1] + (out[:, 1:] - out[:, :-1]) * np.float32(left - j)


def draw_ball(frame: Floats, x: float, focal: float, left: float, top: float) -> None:
    """Put the rolling ball and its shadow into a frame, in place.

    Args:
        x: where the ball is, in metres.
        left, top: of the frame, in pixels from the middle of the view.
    """
    centre, size = (x, BALL_RADIUS, BALL_Z), (BALL_RADIUS, BALL_RADIUS, BALL_RADIUS)
    ball = Solid("ball", centre, size, WHITE, beach_ball(x / BALL_RADIUS), 0.04)
    way = column(centre) - EYE
    depth = float(dot(way, FORWARD)[0])
    rise = float(way[1, 0] * FORWARD[2, 0] - way[2, 0] * FORWARD[1, 0])
    col, row, radius = np.array((x, -rise, BALL_RADIUS)) / depth * focal - (left, top, 0)

    def part(
        wide: float, above: float, below: float, shifts: Floats
    ) -> tuple[tuple[slice, slice], Floats, Floats]:
        """The frame so many radii around the ball: where it is, and the rays that see it."""
        high, across = frame.shape[:2]
        x0, x1 = np.clip((col - wide * radius - 1, col + wide * radius + 2), 0, across).astype(int)
        y0, y1 = np.clip((row - above * radius - 1, row + below * radius + 2), 0, high).astype(int)
        v, u = (grid.ravel().astype(np.float32) for grid in np.mgrid[y0:y1, x0:x1])
        u, v = shifts[:, :1] + u + left, shifts[:, 1:] + v + top
        return np.s_[y0:y1, x0:x1], *sight(u.ravel(), v.ravel(), focal)

    area, origins, rays = part(SHADOW, 0.3, 2.1, SHIFTS[:1])
    if rays.size:
        places = origins - rays * (EYE[1] / rays[1])
        up = np.zeros_like(rays) + column((0, 1, 0))
        light, dimmed = (
            ambient(solids, places, up) + reaching(KEY, solids, places, up)
            for solids in ([KEY.solid], [ball])
        )
        away = np.hypot(places[0] - x, places[2] - BALL_Z) / BALL_RADIUS
        loss = (1 - dimmed / light) * (SHADOW - away).clip(0, 1)
        frame[area] *= (1 - loss).T.reshape(frame[area].shape)
    area, origins, rays = part(1, 1, 1, SHIFTS[1:])
    if rays.size:
        enter, leave = span(ball, origins, rays)
        cover = (enter < leave).reshape(len(SHIFTS) - 1, -1).mean(0, dtype=np.float32)
        light = trace([ball, KEY.solid, LAMP.solid], origins, rays).reshape(3, len(SHIFTS) - 1, -1)
        shape = frame[area].shape
        frame[area] *= (1 - cover).reshape(*shape[:2], 1)
        frame[area] += light.mean(1).T.reshape(shape)


def encode(light: Floats) -> Bytes:
    """Linear light to 8-bit codes, clipped."""
    return CODES[(light.clip(0, 1) * 65535).astype(np.uint16)]


def film(
    frames: int, width: int = 1280, height: int = 720, *, stops: float = -5.0, seed: int = 0
) -> Iterator[tuple[Bytes, Bytes]]:
    """Film the room by too little light: the camera pans and a ball rolls by.

    The first frame takes some seconds, in which the room is drawn.

    Args:
        stops: exposure of the dark frames; each stop less halves the light.
        seed: of the camera's noise.

    Yields:
        ``(dark, well_lit)``: a frame as the camera sees it, and the same without darkness and
        noise; ``(height, width, 3)`` uint8 RGB each, encoded with gamma 1/2.2.
    """
    full_width, full_height = round(width * (1 + MARGIN_X)), round(height * (1 + MARGIN_Y))
    still = render_room(full_width, full_height)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(NOISE_OFFSETS + 3 * width * height, dtype=np.float32)
    for i in range(frames):
        phase = 2 * np.pi * i / PAN_FRAMES
        left = (0.5 - 0.5 * np.cos(phase)) * (full_width - width - 1)
        top = (0.5 - 0.5 * np.cos(2 * phase)) * (full_height - height - 1)
        frame = crop(still, left, top, width, height)
        x = BALL_REACH * float(np.sin(2 * np.pi * i / ROLL_FRAMES - 0.9))
        corner = left + 0.5 - full_width / 2, top + 0.5 - full_height / 2
        draw_ball(frame, x, full_height / VIEW_HEIGHT, *corner)
        start = int(rng.integers(NOISE_OFFSETS))
        grain = noise[start : start + frame.size].reshape(frame.shape)
        dark, well_lit = np.empty(frame.shape, np.uint8), np.empty(frame.shape, np.uint8)
        for row in range(0, height, BAND):
            band = np.s_[row : row + BAND]
            light = frame[band] * np.float32(2.0**stops)
            well_lit[band] = encode(frame[band])
            dark[band] = encode(light + np.sqrt(light * SHOT_NOISE + READ_NOISE**2) * grain[band])
        yield dark, well_lit
