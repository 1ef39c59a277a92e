"""A small ray tracer: balls and boxes in a room, with soft shadows and reflections.

Lengths are in metres: x to the right, y up, z away from the camera. Vectors are the columns of
``(3, n)`` float32 arrays, one for each ray; light is linear RGB in the same layout, and 1 is
display white.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # float32, with rare exceptions; NumPy's stubs cannot follow
Vec = tuple[float, float, float]
Texture = Callable[[Floats], Floats]
"""From points ``(3, n)`` on a solid, in its own axes around its centre, to factors of its colour,
``(3, n)`` or ``(n,)``."""

SKIN = 2e-3  # metres between a surface and the origins of rays that leave it
NEAR_MISS = 0.4  # as a share of the distance to a light: how near a solid must pass to dim it
WHITE: Vec = (1.0, 1.0, 1.0)


# Vectors.


def column(v: Vec) -> Floats:
    """Three numbers as a ``(3, 1)`` array, which broadcasts over columns."""
    return np.array(v, np.float32)[:, None]


def dot(a: Floats, b: Floats) -> Floats:
    """The dot product of each column: ``(n,)``."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def unit(v: Floats) -> Floats:
    """Each column at length 1: ``(3, n)``."""
    return v / np.sqrt(dot(v, v) + 1e-20)


def largest(v: Floats) -> Floats:
    """The largest of each column: ``(n,)``."""
    return np.maximum(np.maximum(v[0], v[1]), v[2])


def smallest(v: Floats) -> Floats:
    """The smallest of each column: ``(n,)``."""
    return np.minimum(np.minimum(v[0], v[1]), v[2])


def turned(v: Floats, angle: float) -> Floats:
    """Vectors ``(3, n)`` in axes that are turned about y by an angle in radians."""
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return np.stack([c * v[0] + s * v[2], v[1], c * v[2] - s * v[0]])


# What the world is made of.


@dataclass(frozen=True)
class Solid:
    """A ball (or ellipsoid) or a box.

    Attributes:
        size: half its extent along x, y and z in metres, before it is turned.
        texture: varies the colour over the surface.
        gloss: share of light reflected at normal incidence (Schlick's approximation).
        turn: rotation about y in radians.
        glow: emitted light, as a multiple of the colour; 0 for what is lit by the lights.
        casts: whether it casts a shadow.
    """

    shape: Literal["ball", "box"]
    centre: Vec
    size: Vec
    colour: Vec = WHITE
    texture: Texture | None = None
    gloss: float = 0.0
    turn: float = 0.0
    glow: float = 0.0
    casts: bool = True

    @property
    def radius(self) -> float:
        """Radius of a ball around it, in metres."""
        return max(self.size) if self.shape == "ball" else float(np.linalg.norm(self.size))

    def local(self, points: Floats) -> Floats:
        """Points ``(3, n)`` in its own axes around its centre."""
        return turned(points - column(self.centre), self.turn)


@dataclass(frozen=True)
class Light:
    """A glowing ball that lights others.

    Attributes:
        power: irradiance at one metre, linear RGB.
        colour, glow: of the ball itself, as in ``Solid``.
    """

    centre: Vec
    radius: float
    power: Vec
    colour: Vec
    glow: float

    @property
    def solid(self) -> Solid:
        """The ball itself, for rays to hit."""
        size = (self.radius, self.radius, self.radius)
        return Solid("ball", self.centre, size, self.colour, glow=self.glow, casts=False)


@dataclass(frozen=True)
class Room:
    """The space: x from -width/2 to width/2, y from 0 to height, z from near to far, in metres.

    Its walls are solids like all others. ``ambient`` is its diffuse light, linear RGB.
    """

    width: float
    height: float
    near: float
    far: float
    ambient: Vec


@dataclass(frozen=True)
class World:
    """A room, the solids in it, and the lights, which are seen only if their solids are in it."""

    room: Room
    lights: tuple[Light, ...]
    solids: list[Solid]


# Where rays hit solids.


def span(solid: Solid, origins: Floats, rays: Floats) -> tuple[Floats, Floats]:
    """Where rays enter and leave a solid, as multiples of the ray vectors: two ``(n,)``.

    For a ray that misses, enter > leave; between them is where it passes nearest, roughly.
    """
    # Scaled to a ball of radius 1, or a box from -1 to 1.
    size = column(solid.size)
    o, d = solid.local(origins) / size, turned(rays, solid.turn) / size
    if solid.shape == "box":
        inverse = 1 / (d + 1e-12)
        a, b = (-1 - o) * inverse, (1 - o) * inverse
        return largest(np.minimum(a, b)), smallest(np.maximum(a, b))
    inverse, b = 1 / dot(d, d), dot(o, d)
    inside = b * b - (dot(o, o) - 1) / inverse
    root = np.where(inside > 0, np.sqrt(np.abs(inside)), np.float32(-1e-4))
    return (-b - root) * inverse, (root - b) * inverse


def near_rays(
    solids: list[Solid], origins: Floats, rays: Floats, slack: float = 0, reach: float = np.inf
) -> list[Solid]:
    """The solids that some of the unit rays may hit: those that meet a cone around all rays.

    Args:
        slack: metres by which rays may start beside ``origins``.
        reach: metres from the mean origin beyond which solids are left out.
    """
    apex, axis = origins.mean(1), rays.mean(1)
    axis /= np.sqrt(axis @ axis) + 1e-9
    cone = np.arccos((axis @ rays).min().clip(-1, 1))
    spread = np.sqrt(((origins - apex[:, None]) ** 2).sum(0).max())

    away = np.array([s.centre for s in solids], np.float32).reshape(-1, 3) - apex
    distance = np.sqrt((away * away).sum(1)) + 1e-6
    radius = np.array([s.radius for s in solids], np.float32) + slack + spread
    angle = np.arccos((away @ axis / distance).clip(-1, 1))
    met = angle <= cone + np.arcsin((radius / distance).clip(0, 1))
    met = (met | (distance <= radius)) & (distance - radius < reach)
    return [s for s, m in zip(solids, met, strict=True) if m]


def clearance(solid: Solid, points: Floats) -> Floats:
    """Approximate distance from a solid's surface in metres, negative inside: ``(n,)``."""
    local, size = np.abs(solid.local(points)), column(solid.size)
    if solid.shape == "ball":
        return (np.sqrt(dot(local / size, local / size)) - 1) * min(solid.size)
    gap = local - size
    outside = np.maximum(gap, 0)
    return np.sqrt(dot(outside, outside)) + np.minimum(largest(gap), 0)


# Light.


def irradiance(light: Light, solids: list[Solid], points: Floats, normals: Floats) -> Floats:
    """Irradiance from a light, with soft shadows of the solids: ``(3, n)``.

    How much a solid dims the light depends on how far the line to the light's centre passes from
    it, relative to the width of the cone of light there.
    """
    centre = column(light.centre)
    to_light = centre - points
    square = dot(to_light, to_light)
    distance = np.sqrt(square)
    lit = np.maximum(dot(to_light, normals), 0) / (distance * square)
    if not lit.any():
        return np.zeros_like(points)
    for solid in near_rays(solids, centre, to_light / -distance, light.radius, distance.max()):
        if solid.casts:
            enter, leave = span(solid, points, to_light)
            middle = (enter + leave) / 2
            some = np.flatnonzero((middle > 0) & (middle < 1) & (enter - leave < NEAR_MISS))
            gap = clearance(solid, points[:, some] + middle[some] * to_light[:, some])
            share = (0.5 + 0.5 * gap / (light.radius * middle[some] + SKIN)).clip(0, 1)
            lit[some] *= share * share * (3 - 2 * share)
    return column(light.power) * lit


def ambient(room: Room, solids: list[Solid], points: Floats, normals: Floats) -> Floats:
    """The room's diffuse light: ``(3, n)``, less of it in corners and beside solids."""
    share = 0.72 + 0.28 * normals[1]
    x, y, z = points
    # The wall behind the camera is too far away to matter.
    to_walls = room.width / 2 - np.abs(x), np.minimum(y, room.height - y), room.far - z
    for axis, gap in enumerate(to_walls):
        share *= 1 - 0.45 * np.exp(-gap / 0.3) * (1 - np.abs(normals[axis]))
    middle = points.mean(1)
    extent = np.abs(points - middle[:, None]).max() * 1.5
    for solid in solids:
        radius, away = min(solid.size), np.linalg.norm(np.array(solid.centre) - middle) - extent
        if solid.casts and radius > max(0.13, away / 6):
            to_solid = column(solid.centre) - points
            square = dot(to_solid, to_solid)
            facing = np.maximum(dot(to_solid, normals), 0) / np.sqrt(square)
            share *= 1 - 0.9 * facing * np.minimum(radius * radius / square, 1)
    return column(room.ambient) * share


def shade(solid: Solid, world: World, points: Floats, rays: Floats, depth: int) -> Floats:
    """Light from points on a solid, back along the unit rays that hit them: ``(3, n)``.

    Args:
        points: ``(3, n)`` on the surface.
        depth: number of reflections before; only at 0 are reflections traced.
    """
    local = solid.local(points)
    colour = column(solid.colour) * (solid.texture(local) if solid.texture else np.ones_like(local))
    if solid.glow:
        return colour * solid.glow
    outward = local / column(solid.size)
    if solid.shape == "box":  # a point lies on the face of its largest coordinate
        outward = np.where(np.abs(outward) >= largest(np.abs(outward)), np.sign(outward), 0)
    normals = turned(unit(outward / column(solid.size)), -solid.turn).astype(np.float32)
    points = points + normals * SKIN
    light = ambient(world.room, world.solids, points, normals)
    light = light + sum(irradiance(lamp, world.solids, points, normals) for lamp in world.lights)
    if not solid.gloss or depth:
        return light * colour
    cosine = dot(normals, rays)
    mirror = solid.gloss + (1 - solid.gloss) * (1 - np.abs(cosine)).clip(0, 1) ** 5
    seen = trace(world, points, rays - 2 * cosine * normals, depth + 1)
    return light * colour * (1 - mirror) + mirror * seen


def trace(world: World, origins: Floats, rays: Floats, depth: int = 0) -> Floats:
    """Light that arrives along unit rays: ``(3, n)``, black where they hit nothing.

    Args:
        depth: number of reflections before.
    """
    nearest = np.full(rays.shape[1], np.inf, np.float32)
    index = np.full(rays.shape[1], -1)
    near = near_rays(world.solids, origins, rays)
    for i, solid in enumerate(near):
        enter, leave = span(solid, origins, rays)
        hit = (enter < leave) & (enter > 0) & (enter < nearest)
        nearest[hit], index[hit] = enter[hit], i
    out = np.zeros(rays.shape, np.float32)
    for i, solid in enumerate(near):
        if (found := np.flatnonzero(index == i)).size:
            ray = rays[:, found]
            points = origins[:, found] + nearest[found] * ray
            out[:, found] = shade(solid, world, points, ray, depth)
    return out
