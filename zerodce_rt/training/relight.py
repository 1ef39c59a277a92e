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

from zerodce_rt.curve.floor import smoothstep
from zerodce_rt.training.camera import (
    Array,
    Picture,
    black_level,
    encoded,
    shoot,
    signal,
)
from zerodce_rt.training.lights import cast, lamps, light_field, seated_person
from zerodce_rt.training.night_town import night_town
from zerodce_rt.training.photos import GAMMA

SHARES = {"keep": 0.1, "even": 0.36, "mixed": 0.31, "contrast": 0.05, "night": 0.1, "city": 0.08}
"""How often each kind of light is drawn in training: well-lit; evenly darkened; a lit part in a
dark room; whites, and all else in deep shadow; little light at all; a town at night."""

KINDS = (*SHARES, "webcam")
"""All kinds. ``webcam`` is for scores only: a person half a stop down, in a room 4.5 stops down."""

MOST_LIFT = 5.5
"""Stops by which the truth lifts the darkest part of a mixed light against its lit part, at most:
what a curve on 8 bits can bring back."""

SIZES = {(96, 96): 0.3, (72, 96): 0.2, (54, 96): 0.3, (96, 72): 0.1, (96, 54): 0.1}
"""Height and width of samples in pixels, the shapes of pictures; and how often each is drawn."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in what is held constant when light is given a colour."""

_MEANT_DARK = 0.25  # mean level of a photograph with whites below which it is meant to be dark
_DARK = 0.3  # mean level below which a photograph is one in deep shadow


@dataclass(frozen=True)
class Relit:
    """One sample; pictures are ``(H, W, 3)`` RGB.

    Attributes:
        noisy: uint8, what a camera would give.
        clean: uint8, the same without noise and compression.
        truth: float32 in [0, 1], gamma-encoded.
        lit: ``(H, W)`` float32 in [0, 1], where light falls.
    """

    noisy: Picture
    clean: Picture
    truth: Array
    lit: Array


def relight(rng: np.random.Generator, photo: Picture, kind: str | None = None) -> Relit:
    """Put a photograph under light of a kind.

    Args:
        photo: ``(H, W, 3)`` uint8 RGB.
        kind: of ``KINDS``; by default drawn by ``SHARES``, but a photograph that is meant to be
            dark mostly gets a little lighter only. Of a ``city``, the photograph is the street.
    """
    image: Array = photo.astype(np.float32) / np.float32(255)
    if kind is None:
        kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        if _meant_dark(image) and rng.random() < 0.7:
            kind = "keep"
    everywhere = np.ones(image.shape[:2], np.float32)
    if kind == "contrast":
        darker = _deep_shadows(rng, image)
        if darker.mean() < _DARK:
            dark = darker ** np.float32(GAMMA)
            return Relit(*shoot(rng, dark), image * (signal(dark) ** GAMMA)[..., None], everywhere)
        kind = "keep"  # most of it is white: the rest may well be dark things in good light
    if kind == "keep":
        truth = image
        if _meant_dark(image):  # but those who brighten it want to see more of it
            truth = _lighter(rng, image)
        return Relit(*shoot(rng, image**GAMMA), truth, everywhere)
    if kind == "city":
        town, truth = night_town(rng, image ** np.float32(GAMMA))
        black = black_level(rng)
        return Relit(*shoot(rng, town, black), encoded(truth, black), everywhere)
    if kind == "webcam":
        lit = seated_person(rng, image.shape[:2])
        return Relit(*shoot(rng, image**GAMMA * np.exp2(4 * lit - 4.5)[..., None]), image, lit)
    return _under_light(rng, image, kind)


def relit_batch(
    rng: np.random.Generator,
    photos: Sequence[Picture],
    shares: NDArray[np.float64],
    batch_size: int,
) -> list[Relit]:
    """Samples of one shape from random crops of 60 to 100 % of photographs, flipped at random.

    Args:
        photos: ``(H, W, 3)`` uint8 RGB each, of any size.
        shares: how often each photograph is drawn; their sum is 1.
    """
    height, width = list(SIZES)[rng.choice(len(SIZES), p=list(SIZES.values()))]
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
        batch.append(relight(rng, np.ascontiguousarray(crop).astype(np.uint8, copy=False)))
    return batch


def _meant_dark(image: Array) -> bool:
    return float(image.mean()) < _MEANT_DARK and float(np.quantile(image.max(2), 0.995)) > 0.7


def _lighter(rng: np.random.Generator, image: Array) -> Array:
    """A dark photograph with more light in all but its blacks."""
    share = smoothstep((image @ LUMA) / np.float32(rng.uniform(0.05, 0.15)))
    exponent = 1 - np.float32(rng.uniform(0.35, 0.6)) * share
    lighter: Array = image ** exponent[..., None]
    return lighter


def _deep_shadows(rng: np.random.Generator, image: Array) -> Array:
    """A photograph exposed for its whites by a camera with much contrast; hues stay."""
    luma: Array = image @ LUMA
    gain = luma.clip(1e-3) ** np.float32(rng.uniform(0.6, 1.8))
    darker: Array = image * gain[..., None]
    return darker


def _under_light(rng: np.random.Generator, image: Array, kind: str) -> Relit:
    uneven = kind in ("mixed", "night")
    if rng.random() < (0.15 if uneven else 0.85):
        image = _well_exposed(rng, image)
    luma: Array = image @ LUMA
    linear: Array = image ** np.float32(GAMMA)
    if rng.random() < (0.2 if kind == "night" else 0.12):
        linear = linear * (1 - _unlit(rng, luma))[..., None]
    lit, stops = _light(rng, kind, luma)
    linear = _coloured(rng, linear, lit if uneven else None)
    dark: Array = linear * np.exp2(stops)[..., None]
    truth: Array = linear
    if uneven:
        brightest = float(stops.max())
        lift = -np.maximum(0, brightest - stops - MOST_LIFT) + _exposure_of_lit(brightest)
        truth = linear * np.exp2(lift)[..., None]
    black = black_level(rng)
    truth = truth * (signal(dark, black) ** GAMMA)[..., None]
    if kind == "night" or rng.random() < 0.12:
        seen = lamps(rng, luma.shape)
        dark, truth = dark + seen, truth + seen
    if rng.random() < 0.3:  # a black level that is not 0
        pedestal = np.float32((rng.uniform(0, 3.5) / 255) ** GAMMA)
        dark, truth = dark + pedestal, truth + pedestal
    return Relit(*shoot(rng, dark, black), encoded(truth), lit)


def _well_exposed(rng: np.random.Generator, image: Array) -> Array:
    """The photograph with a white point, and its mean level brought half way to a usual one."""
    white = np.quantile(image.max(2), 0.99)
    image = np.minimum(image * np.float32(np.clip(0.97 / max(white, 1e-3), 1, 1.6)), 1)
    mean = float(np.clip(image.mean(), 0.05, 0.95))
    exponent = np.clip(np.log(rng.normal(0.47, 0.04)) / np.log(mean), 0.4, 2)
    exposed: Array = image ** np.float32(exponent**0.5)
    return exposed


def _unlit(rng: np.random.Generator, luma: Array) -> Array:
    """An area that no light reaches: 1 there."""
    for _ in range(20):
        field = light_field(rng, luma)
        if 0.1 < field.mean() < 0.8:
            break
    return smoothstep((field - field.mean()) * 8 + 0.5)


def _light(rng: np.random.Generator, kind: str, luma: Array) -> tuple[Array, Array]:
    """Where light falls, in [0, 1], and the change of exposure of each place in stops."""
    if kind == "even":
        stops = np.full(luma.shape, rng.uniform(-8, 0.5), np.float32)
        if rng.random() < 0.3:
            stops -= np.float32(rng.uniform(0, 2.5)) * light_field(rng, luma)
        return np.ones(luma.shape, np.float32), stops
    if kind == "mixed" and rng.random() < 0.3:  # the picture that webcams see most
        lit = seated_person(rng, luma.shape)
    else:
        lit = light_field(rng, luma)
        if rng.random() < 0.3:
            lit = np.maximum(lit, light_field(rng, luma))
    # Cameras expose for what is lit, more or less.
    high = rng.normal(-0.4, 0.55) if rng.random() < 0.88 else rng.uniform(-4, -0.5)
    high = min(max(high, -4), 0.5)
    low = high - (rng.uniform(2, 6) if kind == "mixed" else rng.uniform(6, 10))
    return lit, (low + (high - low) * lit).astype(np.float32)


def _coloured(rng: np.random.Generator, linear: Array, lit: Array | None) -> Array:
    """Linear light with a cast everywhere, at times, and another where a lamp shines.

    Args:
        lit: where the lamp shines, in [0, 1]; None if there is none.
    """
    tint = np.ones_like(linear)
    if lit is not None and rng.random() < 0.4:
        tint = 1 + lit[..., None] * (cast(rng) - 1)
    if rng.random() < 0.4:
        tint = tint * cast(rng)
    tinted = linear * tint
    # Colour should not change how much light there is.
    tinted *= ((linear @ LUMA + 1e-4) / (tinted @ LUMA + 1e-4))[..., None]
    return tinted


def _exposure_of_lit(stops: float) -> float:
    """Change of exposure of a lit part in stops, from the photograph to the truth.

    The lit part sets the exposure: it is nearly right, and the eye expects a lamp's light to stay
    brighter than daylight's shadow. Far below that, it is darkness like any other.

    Args:
        stops: that of the dark version.
    """
    return float(np.interp(stops, [-3, -1, 0, 0.4], [0, -0.5, 0, 0.2]))
