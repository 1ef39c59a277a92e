"""The film of ``zerodce-rt demo``: a furnished room at night, in which a ball rolls by.

The room is rendered once, as a still somewhat larger than the frames. For each frame of the film,
the camera's window on the still moves on, the ball is rendered into it, and the exposure is
lowered. Coordinates are those of ``raytrace``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.demo.raytrace import (
    WHITE,
    Floats,
    Light,
    Room,
    Solid,
    World,
    ambient,
    column,
    dot,
    irradiance,
    span,
    trace,
    unit,
)
from zerodce_rt.demo.textures import (
    PALETTE,
    beach_ball,
    chart,
    city,
    cube,
    folds,
    planks,
    plaster,
    ribbon,
    ribs,
    rug,
    spine,
    wood,
    zigzag,
)

Bytes = NDArray[np.uint8]

ROOM = Room(width=10.4, height=3.7, near=-8.0, far=2.5, ambient=(0.24, 0.225, 0.235))
KEY = Light((-2.9, 3.3, -2.6), 0.32, (19.0, 16.0, 13.0), (1.0, 0.9, 0.75), 6)
LAMP = Light((1.02, 2.42, 1.35), 0.17, (2.6, 1.75, 0.9), (1.0, 0.74, 0.42), 4)
OAK, RED, BLACK = (0.5, 0.27, 0.12), (0.43, 0.03, 0.04), (0.03, 0.03, 0.03)

EYE, FORWARD = column((0.0, 2.05, -6.75)), column((0.0, -0.1224, 0.9925))
VIEW_HEIGHT = 0.535  # height of the picture at distance 1
BRIGHTEST = 4.0  # light that the still is clipped to
# Offsets (x, y) from a pixel's centre: one sample at first, then four where there are edges.
FIRST_SAMPLE = np.zeros((1, 2), np.float32)
MORE_SAMPLES = np.array(((-0.13, -0.38), (0.38, -0.13), (0.13, 0.38), (-0.38, 0.13)), np.float32)
EDGE = 0.04  # difference of neighbours' square roots that counts as an edge
TILE = 120  # pixels along a side; a tile's arrays fit in the cache

MARGIN_X, MARGIN_Y = 0.17, 0.05  # how far the camera pans, as a share of the frame's size
PAN_FRAMES, ROLL_FRAMES = 420, 300  # periods of the camera and of the ball
BALL_RADIUS, BALL_Z, BALL_REACH = 0.24, -1.36, 1.9  # metres
SHADOW = 2.8  # radius of the ball's shadow on the floor, in radii of the ball
READ_NOISE = 4e-4  # standard deviation in linear light
SHOT_NOISE = 2e-4  # variance per unit of linear light
NOISE_OFFSETS = 1 << 20  # a frame's noise starts at any of so many random numbers
BAND = 48  # rows of a frame that are processed together, to stay in the cache
CODES = ((np.arange(1 << 16) / 65535) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)
"""The 8-bit code of linear light in steps of 1/65535."""


# The room.


def furniture() -> list[Solid]:
    """Everything in the room: floor, ceiling, walls, lamps and things."""
    w, h, z = ROOM.width / 2, ROOM.height / 2, ROOM.far
    middle, depth = (ROOM.near + z) / 2, (z - ROOM.near) / 2
    floor, wall = (0.62, 0.34, 0.17), plaster(ROOM.height)
    shelves = (0.1, 0.7, 1.3, 1.9, 2.5)
    return [
        Solid("box", (0, -1, middle), (w, 1, depth), floor, planks, 0.035, casts=False),
        Solid("box", (0, 2 * h + 1, middle), (w, 1, depth), (0.7, 0.68, 0.64), casts=False),
        Solid("box", (0, h, z + 1), (w, h, 1), WHITE, wall, casts=False),
        Solid("box", (0, h, ROOM.near - 1), (w, h, 1), BLACK, casts=False),
        Solid("box", (-w - 1, h, middle), (1, h, depth), WHITE, wall, casts=False),
        Solid("box", (w + 1, h, middle), (1, h, depth), WHITE, wall, casts=False),
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
        # A cactus in its pot, in front of the bookcase.
        Solid("ball", (1.75, 0.2, 0.75), (0.33, 0.25, 0.33), WHITE, zigzag, 0.04),
        Solid("ball", (1.75, 0.95, 0.75), (0.24, 0.55, 0.24), (0.10, 0.34, 0.10), ribs),
        Solid("ball", (2.05, 1.05, 0.75), (0.13, 0.28, 0.13), (0.12, 0.38, 0.10), ribs),
        Solid("ball", (1.50, 1.20, 0.70), (0.11, 0.22, 0.11), (0.12, 0.38, 0.10), ribs),
        *(Solid("box", (x, 1.25, z - 0.17), (0.025, 1.25, 0.17), OAK) for x in (1.7, 3.8)),
        *(Solid("box", (2.75, y, z - 0.17), (1.05, 0.02, 0.17), OAK, wood) for y in shelves),
        *books(1.75, 3.66, z - 0.2),
    ]


def books(start: float, end: float, z: float) -> list[Solid]:
    """Books on four shelves, from x = ``start`` to ``end`` metres, of random size and colour."""
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


# The camera.


def sight(x: Floats, y: Floats, focal: float) -> tuple[Floats, Floats]:
    """Origins and unit rays of the camera, ``(3, n)`` each.

    Args:
        x, y: ``(n,)`` pixels to the right of and below the centre of the still.
        focal: focal length in pixels.
    """
    ahead, lift = float(FORWARD[2, 0]), float(FORWARD[1, 0])
    u, v = x / focal, -y / focal
    rays = unit(np.stack([u, v * ahead + lift, ahead - v * lift]))
    return np.repeat(EYE, x.size, 1), rays


def differs(picture: Floats) -> NDArray[np.bool_]:
    """Which pixels differ from a neighbour to the left, to the right or below.

    Returns:
        ``(height, width)``. Square roots of light are compared, because the eye's sensitivity is
        roughly even in them.
    """
    code, out = np.sqrt(picture), np.zeros(picture.shape[:2], bool)
    down = np.abs(np.diff(code, axis=0)).max(2) > EDGE
    right = np.abs(np.diff(code, axis=1)).max(2) > EDGE
    out[:, 1:] |= right
    out[:, :-1] |= right
    out[:-1] |= down
    out[1:] |= down
    return out


def render_room(width: int, height: int) -> NDArray[np.float32]:
    """The room as a still, with more samples in pixels on edges.

    Returns:
        ``(height, width, 3)`` linear RGB in [0, 4], the lamps being brightest; the same every time.
    """
    world, focal = World(ROOM, (KEY, LAMP), furniture()), height / VIEW_HEIGHT
    out = np.zeros((height, width, 3), np.float32)
    todo = np.ones((height, width), bool)
    for samples in (FIRST_SAMPLE, MORE_SAMPLES):
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                tile = np.s_[top : top + TILE, left : left + TILE]
                rows, cols = np.nonzero(todo[tile])
                if rows.size == 0:
                    continue
                x = samples[:, :1] + cols + (left + 0.5 - width / 2)
                y = samples[:, 1:] + rows + (top + 0.5 - height / 2)
                rays = sight(x.astype(np.float32).ravel(), y.astype(np.float32).ravel(), focal)
                light = trace(world, *rays).clip(0, BRIGHTEST)
                out[tile][rows, cols] = light.reshape(3, len(samples), -1).mean(1).T
        todo = differs(out)
    return out


# The film.


@dataclass(frozen=True)
class View:
    """Which part of the still a frame shows.

    Attributes:
        left, top: position of the frame's first pixel, in pixels from the centre of the still.
        focal: focal length in pixels.
    """

    left: float
    top: float
    focal: float


def crop(still: Floats, left: float, top: float, width: int, height: int) -> Floats:
    """A window ``(height, width, 3)`` of the still, interpolated between pixels.

    Args:
        left, top: of the window, in pixels from the corner of the still.
    """
    i, j = int(top), int(left)
    out = still[i : i + height + 1, j : j + width + 1]
    out = out[:-1] + (out[1:] - out[:-1]) * np.float32(top - i)
    return out[:, :-1] + (out[:, 1:] - out[:, :-1]) * np.float32(left - j)


def rolling_ball(x: float) -> Solid:
    """The ball, after it has rolled to ``x`` metres from the middle of the room."""
    centre, size = (x, BALL_RADIUS, BALL_Z), (BALL_RADIUS, BALL_RADIUS, BALL_RADIUS)
    return Solid("ball", centre, size, WHITE, beach_ball(BALL_RADIUS, x / BALL_RADIUS), 0.04)


def around(
    ball: Solid, frame: Floats, view: View, extent: tuple[float, float, float], samples: Floats
) -> tuple[Floats, Floats, Floats]:
    """The part of a frame around the ball, and the rays that see it.

    Args:
        extent: how far the part reaches to either side, upwards and downwards, in radii of the
            ball.
        samples: ``(s, 2)`` offsets from a pixel's centre.

    Returns:
        The part ``(rows, columns, 3)``, a view of the frame that may be empty; origins and unit
        rays, ``(3, s * rows * columns)`` each.
    """
    to_ball = column(ball.centre) - EYE
    depth = float(dot(to_ball, FORWARD)[0])
    rise = float(to_ball[1, 0] * FORWARD[2, 0] - to_ball[2, 0] * FORWARD[1, 0])
    col = ball.centre[0] / depth * view.focal - view.left
    row = -rise / depth * view.focal - view.top
    radius = ball.radius / depth * view.focal
    side, up, down = (share * radius for share in extent)

    height, width = frame.shape[:2]
    x0, x1 = np.clip((col - side - 1, col + side + 2), 0, width).astype(int)
    y0, y1 = np.clip((row - up - 1, row + down + 2), 0, height).astype(int)
    y, x = (grid.ravel().astype(np.float32) for grid in np.mgrid[y0:y1, x0:x1])
    x, y = samples[:, :1] + x + view.left, samples[:, 1:] + y + view.top
    return frame[y0:y1, x0:x1], *sight(x.ravel(), y.ravel(), view.focal)


def draw_shadow(ball: Solid, frame: Floats, view: View) -> None:
    """Draw the ball's shadow on the floor of a frame, in place."""
    part, origins, rays = around(ball, frame, view, (SHADOW, 0.3, 2.1), FIRST_SAMPLE)
    if part.size == 0:
        return
    floor = origins - rays * (EYE[1] / rays[1])
    up = np.repeat(column((0, 1, 0)), floor.shape[1], 1)
    light, dimmed = (
        ambient(ROOM, solids, floor, up) + irradiance(KEY, solids, floor, up)
        for solids in ([], [ball])
    )
    away = np.hypot(floor[0] - ball.centre[0], floor[2] - ball.centre[2]) / BALL_RADIUS
    loss = (1 - dimmed / light) * (SHADOW - away).clip(0, 1)
    part *= (1 - loss).T.reshape(part.shape)


def draw_ball(ball: Solid, frame: Floats, view: View) -> None:
    """Draw the ball into a frame, in place. It reflects the lamps, but not the room."""
    part, origins, rays = around(ball, frame, view, (1, 1, 1), MORE_SAMPLES)
    if part.size == 0:
        return
    enter, leave = span(ball, origins, rays)
    cover = (enter < leave).reshape(len(MORE_SAMPLES), -1).mean(0, dtype=np.float32)
    world = World(ROOM, (KEY, LAMP), [ball, KEY.solid, LAMP.solid])
    light = trace(world, origins, rays).reshape(3, len(MORE_SAMPLES), -1).mean(1)
    part *= (1 - cover).reshape(*part.shape[:2], 1)
    part += light.T.reshape(part.shape)


def encode(light: Floats) -> Bytes:
    """Linear light as 8-bit codes of the same shape, clipped."""
    return CODES[(light.clip(0, 1) * 65535).astype(np.uint16)]


def expose(frame: Floats, grain: Floats, stops: float) -> tuple[Bytes, Bytes]:
    """A frame as 8-bit codes: underexposed and noisy, and as it is.

    Args:
        frame: ``(height, width, 3)`` linear RGB.
        grain: standard normal random numbers of the same shape.
        stops: change of exposure of the dark frame.
    """
    dark, well_lit = np.empty(frame.shape, np.uint8), np.empty(frame.shape, np.uint8)
    for row in range(0, len(frame), BAND):
        band = np.s_[row : row + BAND]
        light = frame[band] * np.float32(2.0**stops)
        well_lit[band] = encode(frame[band])
        dark[band] = encode(light + np.sqrt(light * SHOT_NOISE + READ_NOISE**2) * grain[band])
    return dark, well_lit


def film(
    frames: int, width: int = 1280, height: int = 720, *, stops: float = -5.0, seed: int = 0
) -> Iterator[tuple[Bytes, Bytes]]:
    """Film the room in the dark.

    The first frame takes some seconds, in which the room is rendered.

    Args:
        frames: how many to film.
        width, height: of a frame in pixels.
        stops: change of exposure of the dark frames; -1 halves the light.
        seed: of the sensor noise.

    Yields:
        ``(dark, well_lit)``: a frame as the camera records it, and the same at full exposure and
        without noise; ``(height, width, 3)`` uint8 RGB each, encoded with gamma 1/2.2.
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
        corner = left + 0.5 - full_width / 2, top + 0.5 - full_height / 2
        view = View(*corner, full_height / VIEW_HEIGHT)
        ball = rolling_ball(BALL_REACH * float(np.sin(2 * np.pi * i / ROLL_FRAMES - 0.9)))
        draw_shadow(ball, frame, view)
        draw_ball(ball, frame, view)
        start = int(rng.integers(NOISE_OFFSETS))
        yield expose(frame, noise[start : start + frame.size].reshape(frame.shape), stops)
