"""Frames and maps of noise, and how far two frames are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.curve.light import KNOTS
from zerodce_rt.curve.maps import CurveMaps
from zerodce_rt.frame import FORMATS, Colour, Frame, plane_shapes

PADDING = 5
SENTINEL = 77


def random_frame(name: str, width: int, height: int, colour: Colour, *, seed: int = 0) -> Frame:
    """A frame of noise whose rows are longer than the picture by ``PADDING``."""
    rng = np.random.default_rng(seed)
    format = FORMATS[name]
    planes = []
    for rows, samples in plane_shapes(format, width, height):
        shape = rows, samples + PADDING
        if format.bits == 32:
            planes.append(rng.random(shape, dtype=np.float32))
        else:
            codes = rng.integers(0, 2**format.bits, shape) << format.dropped_bits
            planes.append(codes.astype(format.dtype))
    return Frame(format, tuple(planes), width, height, colour)


def random_maps(count: int, height: int, width: int, *, align_corners: bool = False) -> CurveMaps:
    """``count`` maps of noise in [-1, 1]."""
    values = np.random.default_rng(1).random((3 * count, height, width), dtype=np.float32) * 2 - 1
    return CurveMaps(values, align_corners)


def light_maps(height: int, width: int, *, align_corners: bool = False) -> CurveMaps:
    """Light maps of noise around a curve that lifts the dark."""
    noise = np.random.default_rng(2).random((5, height, width), dtype=np.float32) - 0.5
    values = np.array([-0.8, -0.7, -0.5, -0.1, 0.7], np.float32)[:, None, None] + 0.3 * noise
    return CurveMaps(values, align_corners, KNOTS)


def blank(frame: Frame) -> Frame:
    """A frame like another, filled with ``SENTINEL``."""
    out = frame.empty_like()
    for plane in out.planes:
        plane[:] = SENTINEL
    return out


def visible(frame: Frame) -> list[NDArray[np.float64]]:
    """The samples of a frame's planes, without padding and dropped bits."""
    shapes = plane_shapes(frame.format, frame.width, frame.height)
    return [
        p[:, :samples].astype(np.float64) / 2**frame.format.dropped_bits
        for p, (_, samples) in zip(frame.planes, shapes, strict=True)
    ]


def gap(a: Frame, b: Frame) -> float:
    """Largest difference between the samples of two frames."""
    pairs = zip(visible(a), visible(b), strict=True)
    return max(float(np.abs(x - y).max()) for x, y in pairs)


def pq_frame(name: str, width: int, height: int, peak_nits: float = 1000.0) -> Frame:
    """Noise, dark for the most part, with some codes of every kind."""
    colour = Colour("bt2020", transfer="pq", peak_nits=peak_nits)
    frame = random_frame(name, width, height, colour)
    frame.planes[0][: height // 2] //= 4
    if frame.format.dropped_bits:
        frame.planes[0][:] &= 0x10000 - (1 << frame.format.dropped_bits)
    return frame


def noisy_video(name: str, width: int, height: int, colour: Colour, frames: int) -> list[Frame]:
    """Noise on flat planes, with a patch that moves, and rows that an encoder has repeated."""
    format, rng = FORMATS[name], np.random.default_rng(0)
    unit = 1 / 255 if format.bits == 32 else 2.0 ** (format.bits - 8)
    made: list[Frame] = []
    for index in range(frames):
        planes = []
        for number, (rows, samples) in enumerate(plane_shapes(format, width, height)):
            plane = (128 if number else 40) + rng.normal(0, 2, (rows, samples + PADDING))
            left = 3 * index % max(1, samples // 2)
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
