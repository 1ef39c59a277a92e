"""DNG files, made by hand."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 48, 64
# Linear values of a dark and a lighter half.
DARK, LIGHT = (600, 1200, 300), (20000, 20000, 20000)
SHORT, LONG, BYTE, ASCII, FRACTION, SIGNED_FRACTION = 3, 4, 1, 2, 5, 10
LETTERS = {SHORT: "H", LONG: "I", BYTE: "B", ASCII: "B", FRACTION: "I", SIGNED_FRACTION: "i"}
Tags = dict[int, tuple[int, Any]]


def directory(tags: Tags, start: int) -> bytes:
    """A TIFF directory that stands at an offset in the file, and after it its longer values."""
    entries, longer = b"", b""
    place = start + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        data = struct.pack(f"<{len(values)}{LETTERS[kind]}", *values)
        count = len(values) // 2 if kind in (FRACTION, SIGNED_FRACTION) else len(values)
        field = data.ljust(4, b"\0")
        if len(data) > 4:
            field = struct.pack("<I", place + len(longer))
            longer += data + bytes(len(data) % 2)
        entries += struct.pack("<HHI", tag, kind, count) + field
    return struct.pack("<H", len(tags)) + entries + bytes(4) + longer


def mosaic() -> NDArray[np.uint16]:
    """What a sensor with red, green, green and blue filters sees."""
    linear = np.empty((HEIGHT, WIDTH, 3), np.uint16)
    linear[:, : WIDTH // 2], linear[:, WIDTH // 2 :] = DARK, LIGHT
    sensor = linear[..., 1].copy()
    sensor[0::2, 0::2], sensor[1::2, 1::2] = linear[0::2, 0::2, 0], linear[1::2, 1::2, 2]
    return sensor


def dng(
    orientation: int = 1, size: tuple[int, int] = (WIDTH, HEIGHT), preview: bytes = b""
) -> bytes:
    """A DNG whose camera sees as sRGB does, uncompressed."""
    samples = mosaic().tobytes()
    matrix = [32406, -15372, -4986, -9689, 18758, 415, 557, -2040, 10570]

    def sensor(place: int) -> Tags:
        return {
            254: (LONG, [0]), 256: (LONG, [size[0]]), 257: (LONG, [size[1]]), 258: (SHORT, [16]),
            259: (SHORT, [1]), 262: (SHORT, [32803]), 273: (LONG, [place]), 277: (SHORT, [1]),
            278: (LONG, [size[1]]), 279: (LONG, [len(samples)]), 33421: (SHORT, [2, 2]),
            33422: (BYTE, [0, 1, 1, 2]), 50714: (SHORT, [0]), 50717: (LONG, [65535]),
        }  # fmt: skip

    camera: Tags = {
        271: (ASCII, b"Acme\0"), 272: (ASCII, b"Night\0"), 274: (SHORT, [orientation]),
        50706: (BYTE, [1, 4, 0, 0]), 50708: (ASCII, b"Acme Night\0"),
        50721: (SIGNED_FRACTION, [n for value in matrix for n in (value, 10000)]),
        50728: (FRACTION, [1, 1] * 3), 50778: (SHORT, [21]),
    }  # fmt: skip
    start = b"II*\0" + struct.pack("<I", 8)
    if not preview:
        place = 8 + len(directory(camera | sensor(0), 8))
        return start + directory(camera | sensor(place), 8) + samples

    def small(place: int, inner: int) -> Tags:
        return camera | {
            254: (LONG, [1]), 256: (LONG, [32]), 257: (LONG, [24]), 258: (SHORT, [8, 8, 8]),
            259: (SHORT, [7]), 262: (SHORT, [6]), 273: (LONG, [place]), 277: (SHORT, [3]),
            278: (LONG, [24]), 279: (LONG, [len(preview)]), 330: (LONG, [inner]),
        }  # fmt: skip

    inner = 8 + len(directory(small(0, 0), 8))
    place = inner + len(directory(sensor(0), inner))
    data = start + directory(small(place + len(samples), inner), 8)
    return data + directory(sensor(place), inner) + samples + preview
