"""HEIC files as iPhones write them, made by hand."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

TILE = 64
HEIGHT, WIDTH = 100, 120  # of a picture of two by two tiles
GRID, EXIF, XMP = 5, 6, 7  # numbers of items; the tiles are the first


def smooth() -> NDArray[np.uint8]:
    y, x = np.mgrid[0 : 2 * TILE, 0 : 2 * TILE]
    rgb = np.dstack([20 + x, 10 + y, 60 + (x + y) // 3]).astype(np.uint8)
    rgb[:30, :40] = (200, 20, 20)
    return rgb


def box(name: bytes, *contents: bytes) -> bytes:
    data = b"".join(contents)
    return struct.pack(">I", len(data) + 8) + name + data


def versioned(name: bytes, *contents: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(name, struct.pack(">I", version << 24 | flags), *contents)


def hevc(rgb: NDArray[np.uint8], pixels: str) -> tuple[bytes, bytes]:
    """The decoder's settings and the bytes of one encoded picture in full range and BT.601."""
    encoder: Any = av.CodecContext.create("libx265", "w")
    encoder.height, encoder.width = rgb.shape[:2]
    encoder.pix_fmt, encoder.time_base = pixels, Fraction(1)
    encoder.options = {"crf": "4", "x265-params": "log-level=none:range=full"}
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format=pixels, dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG
    )
    stream = b"".join(bytes(p) for p in [*encoder.encode(frame), *encoder.encode(None)])
    units = [unit for unit in re.split(rb"\x00?\x00\x00\x01", stream) if unit]
    kinds = [unit[0] >> 1 & 63 for unit in units]
    parameters, picture = b"", b""
    for kind, unit in zip(kinds, units, strict=True):
        if kind in (32, 33, 34):  # sets of parameters
            parameters += struct.pack(">BHH", 0x80 | kind, 1, len(unit)) + unit
        elif kind < 32:
            picture += struct.pack(">I", len(unit)) + unit
    return b"\1" + bytes(20) + b"\xff\3" + parameters, picture


def heic(
    pixels: str = "yuv444p", turn: bytes = b"", colours: tuple[int, int] = (1, 13),
    exif: bytes = b"", xmp: bytes = b"", profile: bytes = b"", size: tuple[int, int] | None = None,
    more: bytes = b"",
) -> bytes:  # fmt: skip
    """A picture of four tiles, as iPhones write it."""
    parts = [smooth()[y : y + TILE, x : x + TILE] for y in (0, TILE) for x in (0, TILE)]
    encoded = [hevc(np.ascontiguousarray(part), pixels) for part in parts]
    width, height = size or (WIDTH, HEIGHT)
    properties = [
        box(b"hvcC", encoded[0][0]),
        versioned(b"ispe", struct.pack(">II", TILE, TILE)),
        versioned(b"ispe", struct.pack(">II", width, height)),
        box(b"colr", b"nclx", struct.pack(">HHHB", *colours, 6, 0x80)),
    ]
    of_grid = [3, 4]
    for extra in (turn, profile and box(b"colr", b"prof", profile), more):
        if extra:
            properties.append(extra)
            of_grid.append(len(properties))
    links = struct.pack(">I", 5)
    for item in range(1, 5):
        links += struct.pack(">HB2B", item, 2, 0x81, 2)
    links += struct.pack(">HB", GRID, len(of_grid)) + bytes(of_grid)

    contents = {item: data for item, (_, data) in enumerate(encoded, start=1)}
    kinds = dict.fromkeys(contents, b"hvc1\x00") | {GRID: b"grid\0"}
    references = box(b"dimg", struct.pack(">HH4H", GRID, 4, 1, 2, 3, 4))
    for item, data, kind in (
        (EXIF, exif and bytes(4) + exif, b"Exif\0"), (XMP, xmp, b"mime\0application/rdf+xml\0"),
    ):  # fmt: skip
        if data:
            contents[item], kinds[item] = data, kind
            references += box(b"cdsc", struct.pack(">HHH", item, 1, GRID))
    entries = b"".join(
        versioned(b"infe", struct.pack(">HH", item, 0), kind, version=2)
        for item, kind in kinds.items()
    )

    def meta(start: int) -> bytes:
        places = struct.pack(">HHHHII", GRID, 1, 0, 1, 0, 8)
        for item, data in contents.items():
            places += struct.pack(">HHHHII", item, 0, 0, 1, start, len(data))
            start += len(data)
        return versioned(
            b"meta",
            versioned(b"hdlr", bytes(4), b"pict", bytes(13)),
            versioned(b"pitm", struct.pack(">H", GRID)),
            versioned(b"iloc", b"\x44\0", struct.pack(">H", len(kinds)), places, version=1),
            versioned(b"iinf", struct.pack(">H", len(kinds)), entries),
            versioned(b"iref", references),
            box(b"iprp", box(b"ipco", *properties), versioned(b"ipma", links)),
            box(b"idat", bytes([0, 0, 1, 1]), struct.pack(">HH", width, height)),
        )

    start = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    return start + meta(len(start) + len(meta(0)) + 8) + box(b"mdat", *contents.values())
