"""Photographs under synthetic light of every kind; the photograph itself is the truth.

A loss without references cannot tell light from paint: it lifts a lit face and a dark wall to one
level. But light can be taken away from a photograph. What a network should make of the dark version
is then known, with no real pair of a dark and a bright picture.

Light acts in linear values, and keeps its colour: an amber lamp should stay amber. Where so little
is left that a camera's 8 bits hold no signal, the truth is black.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.training.photos import GAMMA

Array = NDArray[np.float32]

KINDS = ("keep", "even", "mixed", "night", "city")
"""Well-lit; evenly darkened; a lit part in a dark room; little light at all; a town at night."""

SHARES = (0.09, 0.43, 0.34, 0.09, 0.05)
"""How often each kind is drawn."""

MOST_LIFT = 5.5
"""Stops by which the truth lifts the darkest part of a mixed light against its lit part, at most:
what a curve on 8 bits can bring back."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_MEANT_DARK = 0.25  # mean level of a photograph with whites below which it is meant to be dark


@dataclass(frozen=True)
class Relit:
    """One sample; pictures are ``(H, W, 3)`` RGB.

    Attributes:
        noisy: uint8, what a camera would give.
        clean: uint8, the same without noise and compression.
        truth: float32 in [0, 1], gamma-encoded.
        lit: ``(H, W)`` float32 in [0, 1], where light falls.
    """

    noisy: NDArray[np.uint8]
    clean: NDArray[np.uint8]
    truth: Array
    lit: Array


def relight(rng: np.random.Generator, photo: NDArray[np.uint8], kind: str | None = None) -> Relit:
    """Put a photograph under light of a kind.

    Args:
        photo: ``(H, W, 3)`` uint8 RGB.
        kind: of ``KINDS``; by default drawn by ``SHARES``, but a photograph that is meant to be
            dark mostly stays as it is.
    """
    image: Array = photo.astype(np.float32) / np.float32(255)
    if kind is None:
        kind = str(rng.choice(KINDS, p=SHARES))
        if _meant_dark(image) and rng.random() < 0.7:
            kind = "keep"
    size = image.shape[:2]
    if kind == "keep":
        return _kept(rng, image)
    if kind == "city":
        return _city(rng, size)
    uneven = kind in ("mixed", "night")
    if rng.random() < (0.3 if uneven else 0.85):
        image = _well_exposed(rng, image)
    luma: Array = image @ _LUMA
    linear: Array = image ** np.float32(GAMMA)
    if rng.random() < (0.5 if kind == "night" else 0.12):
        linear = linear * (1 - _unlit(rng, luma))[..., None]
    lit, stops = _light(rng, kind, luma)
    tint = np.ones((*size, 3), np.float32)
    if uneven and rng.random() < 0.4:
        tint = 1 + lit[..., None] * (_cast(rng) - 1)
    if rng.random() < 0.4:
        tint = tint * _cast(rng)
    tinted = linear * tint
    tinted *= ((linear @ _LUMA + 1e-4) / (tinted @ _LUMA + 1e-4))[..., None]
    dark: Array = tinted * np.exp2(stops)[..., None]
    truth: Array = tinted
    if uneven:
        brightest = float(stops.max())
        lift = -np.maximum(0, brightest - stops - MOST_LIFT) + _exposure_of_lit(brightest)
        truth = tinted * np.exp2(lift)[..., None]
    truth = truth * (_signal(dark) ** GAMMA)[..., None]
    if kind == "night" or rng.random() < 0.12:
        lamps = _lamps(rng, size)
        dark, truth = dark + lamps, truth + lamps
    if rng.random() < 0.3:  # a black level that is not 0
        pedestal = np.float32((rng.uniform(0, 3.5) / 255) ** GAMMA)
        dark, truth = dark + pedestal, truth + pedestal
    noisy, clean = _camera(rng, dark)
    return Relit(noisy, clean, _encoded(truth), lit)


def _kept(rng: np.random.Generator, image: Array) -> Relit:
    noisy, clean = _camera(rng, image**GAMMA)
    return Relit(noisy, clean, image, np.ones(image.shape[:2], np.float32))


def _meant_dark(image: Array) -> bool:
    return float(image.mean()) < _MEANT_DARK and float(np.quantile(image.max(2), 0.995)) > 0.7


def _well_exposed(rng: np.random.Generator, image: Array) -> Array:
    """The photograph with a white point, and its mean level brought half way to a usual one."""
    white = np.quantile(image.max(2), 0.99)
    image = np.minimum(image * np.float32(np.clip(0.97 / max(white, 1e-3), 1, 1.6)), 1)
    mean = float(np.clip(image.mean(), 0.05, 0.95))
    exponent = np.clip(np.log(rng.normal(0.47, 0.04)) / np.log(mean), 0.4, 2)
    encoded: Array = image ** np.float32(exponent**0.5)
    return encoded


def _light(rng: np.random.Generator, kind: str, luma: Array) -> tuple[Array, Array]:
    """Where light falls, in [0, 1], and by how many stops each place is darkened."""
    if kind == "even":
        stops = np.full(luma.shape, rng.uniform(-8, 0.5), np.float32)
        if rng.random() < 0.3:
            stops -= np.float32(rng.uniform(0, 2.5)) * _field(rng, luma)
        return np.ones(luma.shape, np.float32), stops
    lit = _field(rng, luma)
    if rng.random() < 0.3:
        lit = np.maximum(lit, _field(rng, luma))
    # Cameras expose for what is lit, more or less.
    high = rng.normal(-0.4, 0.55) if rng.random() < 0.88 else rng.uniform(-4, -0.5)
    high = min(max(high, -4), 0.5)
    low = high - (rng.uniform(2, 6) if kind == "mixed" else rng.uniform(6, 10))
    return lit, (low + (high - low) * lit).astype(np.float32)


def _exposure_of_lit(stops: float) -> float:
    """Stops by which the truth of a lit part is below the photograph.

    The lit part sets the exposure: it is nearly right, and the eye expects a lamp's light to stay
    brighter than daylight's shadow. Far below that, it is darkness like any other.
    """
    return float(np.interp(stops, [-3, -1, 0, 0.4], [0, -0.5, 0, 0.2]))


def _signal(dark: Array) -> Array:
    """0 where a neighbourhood holds no more than 1.5 codes of 8 bits, 1 from 4 codes."""
    reach = 1 | dark.shape[1] // 14
    code = 255 * cv2.blur(dark.max(2), (reach, reach)).clip(0) ** np.float32(1 / GAMMA)
    return _smoothstep((code - 1.5) / 2.5)


def _unlit(rng: np.random.Generator, luma: Array) -> Array:
    """An area that no light reaches: 1 there."""
    for _ in range(20):
        field = _field(rng, luma)
        if 0.1 < field.mean() < 0.8:
            break
    return _smoothstep((field - field.mean()) * 8 + 0.5)


def _field(rng: np.random.Generator, luma: Array) -> Array:
    """Where one source of light falls, ``(H, W)`` in [0, 1]: a shape of six kinds."""
    height, width = luma.shape
    v, u = np.mgrid[:height, :width].astype(np.float32)
    u, v = (u + 0.5) / width, (v + 0.5) / height
    softness = float(np.exp(rng.uniform(np.log(0.02), np.log(0.5))))
    angle = rng.uniform(0, 2 * np.pi)
    along, across = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    centre_u, centre_v = rng.uniform(0.15, 0.85, 2).astype(np.float32)
    du, dv = u - centre_u, v - centre_v

    def edge(distance: Array) -> Array:
        return 1 / (1 + np.exp(-np.clip(distance / np.float32(softness) * 2, -40, 40)))

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
            sharpness = 4 / min(softness, 0.1)
            pane = 1 / (1 + np.exp(np.clip(outside * sharpness, -40, 40)))
            field = np.maximum(field, pane)
    else:  # light that follows the things in the picture
        blurred = cv2.GaussianBlur(luma, (0, 0), float(rng.uniform(2, 10) * width / 128))
        field = edge((blurred - np.quantile(blurred, rng.uniform(0.2, 0.8))) * rng.choice((-3, 3)))
    return field.astype(np.float32)


def _lamps(rng: np.random.Generator, size: tuple[int, int], count: int | None = None) -> Array:
    """Lamps in linear light, seen directly, with a little glow."""
    height, width = size
    v, u = np.mgrid[:height, :width].astype(np.float32)
    lamps = np.zeros((*size, 3), np.float32)
    for _ in range(rng.integers(1, 7) if count is None else count):
        radius = rng.uniform(0.006, 0.035) * width
        distance = np.hypot(u - rng.uniform(0, width), v - rng.uniform(0, height)) / radius
        glow = 1 / (1 + distance**8) + rng.uniform(0, 0.06) / (1 + (distance / 4) ** 2)
        lamps += (glow * rng.uniform(0.3, 2))[..., None].astype(np.float32) * _cast(rng) ** 2
    return lamps


def _city(rng: np.random.Generator, size: tuple[int, int]) -> Relit:
    """A town at night: a hazy sky, dark houses with windows, lamps. It should stay night."""
    height, width = size
    v = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    haze = np.float32(rng.uniform(4, 60) / 255) ** GAMMA * _cast(rng) * _cast(rng)
    zenith = np.float32(rng.uniform(0.1, 0.8))
    horizon = np.float32(rng.uniform(0.3, 0.9))
    sky = zenith + (1 - zenith) * (v / horizon).clip(0, 1) ** np.float32(rng.uniform(1, 3))
    scene = np.broadcast_to(sky[..., None] * haze, (height, width, 3)).copy()
    ground = np.float32(rng.uniform(1, 25) / 255) ** GAMMA * _cast(rng)
    left = 0
    while left < width:
        right = left + int(rng.uniform(0.05, 0.3) * width) + 1
        top = int((horizon - rng.uniform(-0.05, 0.45)) * height)
        top = max(0, min(top, height - 1))
        wall = ground * np.float32(rng.uniform(0.2, 1.5))
        scene[top:, left:right] = wall
        if rng.random() < 0.7:
            _windows(rng, scene[top:, left:right])
        left = right + int(rng.uniform(0, 0.1) * width)
    scene[int(horizon * height) :] = ground  # the street
    scene = cv2.GaussianBlur(scene, (0, 0), float(rng.uniform(0.2, 0.8)))
    lamps = _lamps(rng, size, int(rng.integers(0, 10)))
    reflected = lamps[::-1] * np.float32(rng.uniform(0, 0.1)) * (v > horizon)[..., None]
    scene = scene + lamps + cv2.blur(reflected, (1, 1 | height // 6))
    noisy, clean = _camera(rng, scene)
    # A little lighter: streets should be readable, and the sky still dark.
    truth = _encoded(scene) ** np.float32(rng.uniform(0.85, 1))
    return Relit(noisy, clean, truth, np.ones(size, np.float32))


def _windows(rng: np.random.Generator, house: Array) -> None:
    pitch = int(rng.integers(3, 7))
    for y in range(1, house.shape[0] - 1, pitch):
        for x in range(1, house.shape[1] - 1, pitch):
            if rng.random() < 0.3:
                light = np.float32(rng.uniform(0.02, 0.8)) * _cast(rng)
                house[y : y + pitch // 2, x : x + pitch // 2] = light


def _camera(rng: np.random.Generator, linear: Array) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What a camera makes of linear light: with noise (and, at times, compression), and without."""
    shot, read = rng.uniform(0, 2e-4), rng.uniform(0, 2.5e-3) * rng.random()
    deviation = np.sqrt((shot * linear).clip(0) + read**2).astype(np.float32)
    noise = deviation * rng.standard_normal(linear.shape, np.float32)
    # Transfers with a harder black.
    black = float(rng.uniform(0, 0.004) ** (1 / GAMMA)) if rng.random() < 0.3 else 0.0

    def quantised(light: Array) -> NDArray[np.uint8]:
        code = (_encoded(light) - np.float32(black)) / np.float32(1 - black)
        return (code.clip(0, 1) * 255 + 0.5).astype(np.uint8)

    noisy = quantised(linear + noise)
    if rng.random() < 0.25:
        quality = int(rng.integers(30, 90))
        _, data = cv2.imencode(".jpg", noisy[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))
        noisy = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return noisy, quantised(linear)


def _cast(rng: np.random.Generator) -> Array:
    """The colour of a light, as gains of red, green and blue."""
    return np.exp2(rng.normal(0, 0.3, 3) * (1, 0.3, 1)).astype(np.float32)


def _encoded(linear: Array) -> Array:
    return linear.clip(0, 1) ** np.float32(1 / GAMMA)


def _smoothstep(x: Array) -> Array:
    x = x.clip(0, 1)
    return x * x * (3 - 2 * x)


SIZES = ((96, 96), (72, 96), (54, 96), (96, 72), (96, 54))
"""Height and width of samples in pixels: the shapes of pictures. A batch has one of them."""


def relit_batch(
    rng: np.random.Generator, photos: Sequence[NDArray[np.uint8]], shares: NDArray[np.float64],
    batch_size: int,
) -> list[Relit]:  # fmt: skip
    """Samples of one shape from random crops of 60 to 100 % of photographs, flipped at random.

    Args:
        shares: how often each photograph is drawn.
    """
    height, width = SIZES[rng.choice(len(SIZES), p=(0.3, 0.2, 0.3, 0.1, 0.1))]
    batch = []
    for index in rng.choice(len(photos), batch_size, p=shares):
        photo = photos[index]
        scale = min(photo.shape[0] / height, photo.shape[1] / width) * rng.uniform(0.6, 1)
        rows, columns = max(1, int(height * scale)), max(1, int(width * scale))
        top = rng.integers(0, photo.shape[0] - rows + 1)
        left = rng.integers(0, photo.shape[1] - columns + 1)
        crop = photo[top : top + rows, left : left + columns]
        crop = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        batch.append(relight(rng, np.ascontiguousarray(crop)))
    return batch
