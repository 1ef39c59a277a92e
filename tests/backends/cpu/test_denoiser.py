"""The fast denoiser against the plain one, in every format."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.noise import PADDING
from zerodce_rt.backends.cpu.bands import Bands
from zerodce_rt.backends.cpu.denoiser import CPUDenoiser
from zerodce_rt.backends.cpu.reference_denoiser import ReferenceDenoiser
from zerodce_rt.frame import FORMATS, Colour, Frame, plane_shapes

FILTERED = sorted(FORMATS)


def video(name: str, width: int, height: int, colour: Colour, *, frames: int = 5) -> list[Frame]:
    """Noise on flat planes, with a patch that moves, and rows that an encoder has repeated."""
    format, rng = FORMATS[name], np.random.default_rng(0)
    unit = 1 / 255 if format.bits == 32 else 2.0 ** (format.bits - 8)
    made: list[Frame] = []
    for index in range(frames):
        planes = []
        for number, (rows, samples) in enumerate(plane_shapes(format, width, height)):
            level = 128 if number else 40
            plane = level + rng.normal(0, 2, (rows, samples + PADDING))
            left = 3 * index
            plane[rows // 3 : rows // 2, left : left + samples // 4] += 25
            plane = plane.clip(0, 255) * unit
            if format.bits < 32:
                plane = np.rint(plane) * 2**format.dropped_bits
            samples_now = plane.astype(format.dtype)
            if made:
                samples_now[: rows // 4] = made[-1].planes[number][: rows // 4]
            planes.append(samples_now)
        made.append(Frame(format, tuple(planes), width, height, colour))
    return made


def difference(fast: Frame, plain: Frame) -> float:
    """Largest difference between two filtered frames, in 8-bit codes."""
    assert (fast.format, fast.width, fast.height) == (plain.format, plain.width, plain.height)
    shapes = plane_shapes(fast.format, fast.width, fast.height)
    gaps = [
        np.abs(a[:, :n].astype(float) - b[:, :n].astype(float)).max() / 256
        for a, b, (_, n) in zip(fast.planes, plain.planes, shapes, strict=True)
    ]
    return float(max(gaps))


@pytest.mark.parametrize("name", FILTERED)
@pytest.mark.parametrize(
    ("size", "colour", "interlaced"),
    [
        ((96, 64), Colour("bt709"), False),
        ((101, 67), Colour("bt601", full_range=True), False),
        ((98, 70), Colour("bt709"), True),
    ],
)
def test_agrees_with_the_reference(
    name: str, size: tuple[int, int], colour: Colour, interlaced: bool
) -> None:
    fast, plain = CPUDenoiser(Bands(threads=2)), ReferenceDenoiser()
    for frame in video(name, *size, colour):
        frame = replace(frame, interlaced=interlaced)
        # From floats, single blocks may be told apart by rounding, when the noise is learned.
        allowed = 1.0 if frame.format.bits == 32 else 0.25
        assert difference(fast(frame, 1.0, 2), plain(frame, 1.0, 2)) < allowed
