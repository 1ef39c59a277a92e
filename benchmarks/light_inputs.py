"""Well-lit photographs and clips under little or uneven light, for ``light_quality.py``.

Light acts in linear values; the photograph itself is the truth. How a photograph is lit depends on
its place in the list alone, so that every run scores the same pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from quality_inputs import SHOT, Frames, Input, coded, read_clip

from zerodce_rt.training.photos import GAMMA, read_photo

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Place = tuple[float, float]
"""Across and down, each as a share of the picture's side."""

READ = 1e-6
"""Variance of the sensor's noise without light, of linear light in [0, 1]. Less than that of
``quality.py``, where the noise is the subject."""

LIT_STOPS = 1.0
"""What is at most this much darker than the brightest place is the lit part."""

EVEN = {"even-2": -2.0, "even-4": -4.0, "even-5": -5.0, "even-6": -6.0}
"""Stops, everywhere alike."""

WELL_LIT, DARK, NIGHT, SCREEN = "well-lit", "dark", "night", "screen"

LEVELS = (80, 170)
"""Mean levels of photographs. A picture outside is no example of a good exposure."""

DARK_LEVEL, DARK_WHITE = 60, 180
"""Photographs of a lower mean level that have some white are meant to be dark."""

PEOPLE: dict[str, tuple[Place, Place, Place]] = {
    "asl_again.mkv": ((0.50, 0.50), (0.25, 0.45), (0.50, 0.22)),
    "asl_bird.mkv": ((0.50, 0.43), (0.21, 0.45), (0.49, 0.16)),
    "asl_book.mkv": ((0.48, 0.54), (0.19, 0.42), (0.48, 0.26)),
    "asl_brother.mkv": ((0.46, 0.50), (0.26, 0.45), (0.46, 0.20)),
    "asl_eat.mkv": ((0.47, 0.52), (0.21, 0.43), (0.47, 0.23)),
    "asl_help.mkv": ((0.52, 0.50), (0.24, 0.45), (0.52, 0.22)),
    "asl_hungry.mkv": ((0.48, 0.44), (0.23, 0.48), (0.48, 0.11)),
    "asl_learn.mkv": ((0.48, 0.53), (0.21, 0.42), (0.48, 0.27)),
}
"""Clips of a person in front of a webcam: centre and radii of the person, centre of the head."""
SCREEN_FRAMES = (0.33, 0.67)  # of the length of the clip

ROADS = ("solidWhiteRight.mp4", "car-detection.mp4")
NIGHT_STOPS = (-7, -8, -9)
NIGHT_FRAMES, NIGHT_SIZE = 20, (960, 540)
NIGHT_CODING = Input(options={"preset": "veryfast", "crf": "23"})
HORIZON, SIGNAL_LEVEL, UNLIT_LEVEL = 0.42, 16, 0.5
"""No light comes from above this height, but from lamps. Below so many 8-bit levels of that light
the camera's black takes over; below the other there is no signal."""

LAMPS = (
    (0.86, 0.12, 0.014, (1.0, 0.62, 0.25)),
    (0.70, 0.27, 0.008, (1.0, 0.62, 0.25)),
    (0.62, 0.34, 0.005, (1.0, 0.66, 0.30)),
    (0.10, 0.20, 0.011, (1.0, 0.95, 0.85)),
    (0.32, 0.37, 0.005, (1.0, 0.95, 0.85)),
    (0.405, 0.59, 0.004, (1.0, 0.10, 0.06)),
    (0.435, 0.59, 0.004, (1.0, 0.10, 0.06)),
)
"""Across, down, radius as a share of the width, and colour in linear light."""

SIGNS = (
    (0.18, 0.30, 0.035, 0.020, (0.05, 0.25, 0.90)),
    (0.48, 0.24, 0.050, 0.026, (0.06, 0.60, 0.25)),
    (0.93, 0.36, 0.020, 0.045, (0.90, 0.12, 0.40)),
)
"""Across, down, half of width and height, and colour in linear light."""


@dataclass(frozen=True)
class Sample:
    """A picture to enhance; all are ``(H, W, 3)`` in RGB.

    Attributes:
        name: of the photograph or clip.
        given: what a camera would give.
        truth: the picture in good light; None where nobody knows.
        lit: ``(H, W)``; None if light falls everywhere alike.
        detail: the place to look at closely; None for no certain one.
    """

    name: str
    given: Picture
    truth: Picture | None
    lit: Mask | None = None
    detail: Place | None = None


@dataclass(frozen=True)
class Night:
    """A clip to enhance.

    Attributes:
        frames: yuv420p of limited range, as decoded.
        unlit: ``(H, W)``, where there is no signal at all.
    """

    name: str
    frames: Frames
    unlit: Mask


def exposed(linear: Floats, stops: Floats | float, random: np.random.Generator) -> Floats:
    """What a sensor makes of light.

    Args:
        linear: ``(H, W, 3)`` linear light in [0, 1].
        stops: of exposure, the same everywhere or ``(H, W)``.

    Returns:
        Gamma-encoded RGB in [0, 1], with shot and read noise.
    """
    light = linear * np.exp2(np.asarray(stops, np.float32))[..., None]
    light += np.sqrt(SHOT * light + READ) * random.standard_normal(light.shape, np.float32)
    return encoded(light)


def encoded(linear: Floats) -> Floats:
    """Gamma-encoded values in [0, 1] of linear light."""
    return linear.clip(0, 1) ** np.float32(1 / GAMMA)


def decoded(picture: Picture) -> Floats:
    """Linear light in [0, 1] of 8-bit codes."""
    return (picture.astype(np.float32) / 255) ** np.float32(GAMMA)


def to_codes(picture: Floats) -> Picture:
    return np.rint(255 * picture).astype(np.uint8)


def _edge(distance: Floats, softness: float) -> Floats:
    """From 0 far outside to 1 far inside, by the distance to a border."""
    return 1 / (1 + np.exp(-np.clip(distance / softness, -40, 40)))


def _ellipse(u: Floats, v: Floats, centre: Place, radii: Place, softness: float) -> Floats:
    across, down = (u - centre[0]) / radii[0], (v - centre[1]) / radii[1]
    return _edge(1 - np.hypot(across, down), softness)


def _window(u: Floats, v: Floats, random: np.random.Generator) -> Floats:
    """Light through panes: hard edges."""
    light = np.zeros_like(u)
    for _ in range(2):
        x, y = random.uniform(0.2, 0.8, 2)
        half_width, half_height = random.uniform(0.1, 0.25, 2)
        outside = np.maximum(np.abs(u - x) - half_width, np.abs(v - y) - half_height)
        light = np.maximum(light, _edge(-outside, 0.01))
    return light


def _lamp(u: Floats, v: Floats, random: np.random.Generator) -> Floats:
    """Falls off with the distance."""
    x, y = random.uniform(0.2, 0.8, 2)
    return 1 / (1 + ((u - x) ** 2 + (v - y) ** 2) / 0.2**2)


def _backlight(u: Floats, v: Floats, random: np.random.Generator) -> Floats:
    """One half is bright."""
    angle = random.uniform(0, 2 * np.pi)
    return _edge((u - 0.5) * np.cos(angle) + (v - 0.5) * np.sin(angle), 0.03)


def _spot(u: Floats, v: Floats, random: np.random.Generator) -> Floats:
    """A small round part."""
    x, y = random.uniform(0.3, 0.7, 2)
    radius = random.uniform(0.12, 0.25)
    return _ellipse(u, v, (x, y), (radius, radius), 0.15)


Shape = Callable[[Floats, Floats, np.random.Generator], Floats]
MIXED: dict[str, tuple[Shape, float, float]] = {
    "window": (_window, -0.3, -4.0),
    "lamp": (_lamp, 0.0, -5.0),
    "backlight": (_backlight, 0.0, -4.0),
    "spot": (_spot, -0.5, -5.0),
}
"""Where light falls, and stops where it does and where it does not."""

INPUTS = (*EVEN, SCREEN, *MIXED, NIGHT, WELL_LIT, DARK)


def well_lit(paths: Sequence[Path]) -> list[tuple[str, Picture]]:
    """Name and picture of each well-exposed photograph."""
    photos = ((path.stem, read_photo(path)) for path in paths)
    return [(n, p) for n, p in photos if p is not None and LEVELS[0] <= p.mean() <= LEVELS[1]]


def meant_dark(paths: Sequence[Path]) -> list[Sample]:
    """The photographs that are meant to be dark, as they are."""
    photos = ((path.stem, read_photo(path)) for path in paths)
    return [Sample(n, p, None) for n, p in photos if p is not None and is_meant_dark(p)]


def is_meant_dark(picture: Picture) -> bool:
    white = float(np.quantile(picture.max(axis=2), 0.995))
    return float(picture.mean()) < DARK_LEVEL and white > DARK_WHITE


def lit_photos(name: str, photos: Sequence[tuple[str, Picture]]) -> Iterator[Sample]:
    """Photographs in the light of an input of ``EVEN`` or ``MIXED``, or as they are."""
    for index, (title, photo) in enumerate(photos):
        random = np.random.default_rng(index)
        if name == WELL_LIT:
            yield Sample(title, photo, photo)
        elif name in EVEN:
            yield Sample(title, to_codes(exposed(decoded(photo), EVEN[name], random)), photo)
        else:
            shape, high, low = MIXED[name]
            light = shape(*_places(photo.shape), random)
            yield _in_mixed_light(title, photo, low + (high - low) * light, random)


def screens(folder: Path) -> Iterator[Sample]:
    """People lit by a screen: half a stop down, and the room 4.5 stops."""
    for name, (centre, radii, head) in PEOPLE.items():
        if not (folder / name).exists():
            continue
        frames = read_clip(folder / name, 1000, (640, 480))
        for share in SCREEN_FRAMES:
            frame = frames[int(share * len(frames))]
            light = _ellipse(*_places(frame.shape), centre, radii, 0.15)
            random = np.random.default_rng(0)
            title = f"{Path(name).stem} {share:.0%}"
            yield _in_mixed_light(title, frame, 4 * light - 4.5, random, head)


def nights(folder: Path) -> Iterator[Night]:
    """Roads at night with lamps and signs, under a sky without any signal, encoded with x264."""
    for name in ROADS:
        if not (folder / name).exists():
            continue
        frames = read_clip(folder / name, NIGHT_FRAMES, NIGHT_SIZE)
        for stops in NIGHT_STOPS:
            pictures, unlit = at_night(frames, stops)
            yield Night(f"{Path(name).stem} {stops:+d}", coded(pictures, NIGHT_CODING), unlit)


def at_night(frames: NDArray[np.uint8], stops: float) -> tuple[Iterator[Floats], Mask]:
    """Gamma-encoded RGB in [0, 1] of each frame, and where there is no signal, ``(H, W)``."""
    u, v = _places(frames[0].shape)
    own, glow = lamps(u, v)
    sky = v < HORIZON
    # A camera's black level and its own noise reduction leave flat black where no light is.
    level = 255 * encoded(own + glow).max(axis=2)
    signal = np.where(sky, (level / SIGNAL_LEVEL).clip(0, 1), 1).astype(np.float32)[..., None]
    random = np.random.default_rng(0)

    def pictures() -> Iterator[Floats]:
        for frame in frames:
            ground = decoded(frame) * (np.float32(2.0**stops) * ~sky[..., None])
            yield exposed(ground + own + glow, 0, random) * signal

    return pictures(), sky & (level < UNLIT_LEVEL)


def lamps(u: Floats, v: Floats) -> tuple[Floats, Floats]:
    """Lamps and signs seen directly, and their glow: linear light ``(H, W, 3)``."""
    own, glow = np.zeros((*u.shape, 3), np.float32), np.zeros((*u.shape, 3), np.float32)
    shape = u.shape[0] / u.shape[1]
    for x, y, radius, colour in LAMPS:
        distance = np.hypot(u - x, (v - y) * shape) / radius
        own += (1.5 / (1 + distance**8))[..., None] * np.array(colour, np.float32)
        glow += (0.06 * np.exp(-distance / 2))[..., None] * np.array(colour, np.float32)
    for x, y, half_width, half_height, colour in SIGNS:
        outside = np.maximum(np.abs(u - x) - half_width, np.abs(v - y) - half_height)
        own += 0.5 * _edge(-outside, 0.001)[..., None] * np.array(colour, np.float32)
    return own, glow


def _in_mixed_light(
    name: str, photo: Picture, stops: Floats, random: np.random.Generator,
    detail: Place | None = None,
) -> Sample:  # fmt: skip
    given = to_codes(exposed(decoded(photo), stops, random))
    return Sample(name, given, photo, stops >= stops.max() - LIT_STOPS, detail)


def _places(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Across and down of each pixel, ``(H, W)`` as shares of the sides."""
    v, u = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return (u + 0.5) / shape[1], (v + 0.5) / shape[0]
