"""HEIC files as phones write them: tiles, turns, metadata."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.files import enhance_picture
from zerodce_rt.media.paths import default_output
from zerodce_rt.media.pictures import read_picture

pyvips = pytest.importorskip("pyvips")

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


def file_of(folder: Path, data: bytes) -> Path:
    path = folder / "IMG_1.HEIC"
    path.write_bytes(data)
    return path


def refused(path: Path) -> str:
    with pytest.raises(ZeroDCEError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def expected() -> NDArray[np.uint8]:
    return smooth()[:HEIGHT, :WIDTH]


@pytest.mark.parametrize("pixels", ["yuv444p", "yuv422p", "yuv420p"])
def test_tiles_are_put_together(tmp_path: Path, pixels: str) -> None:
    picture = read_picture(file_of(tmp_path, heic(pixels)))
    assert picture.rgb.dtype == np.uint8
    difference = np.abs(picture.rgb.astype(int) - expected())
    assert difference.mean() < 2
    assert abs(float(picture.rgb.mean()) - float(expected().mean())) < 0.5
    assert (difference[40:] if pixels != "yuv444p" else difference).max() <= 8


def test_ten_bits_fill_sixteen(tmp_path: Path) -> None:
    path = file_of(tmp_path, heic("yuv444p10le"))
    picture = read_picture(path)
    assert picture.rgb.dtype == np.uint16
    assert picture.bits == 10
    assert np.abs(picture.rgb / 257 - expected()).max() <= 8
    enhance_picture(path, tmp_path / "a.avif", strength=0)
    written = pyvips.Image.new_from_buffer((tmp_path / "a.avif").read_bytes(), "")
    assert written.get("bits-per-sample") == 10


@pytest.mark.parametrize(
    ("turn", "upright"),
    [
        (box(b"irot", b"\1"), np.rot90(expected(), 1)),
        (box(b"irot", b"\3"), np.rot90(expected(), 3)),
        (box(b"imir", b"\0"), expected()[::-1]),
        (box(b"imir", b"\1"), expected()[:, ::-1]),
    ],
)
def test_it_is_turned_once(tmp_path: Path, turn: bytes, upright: NDArray[Any]) -> None:
    exif = Image.Exif()
    exif[271], exif[274] = "Acme", 6
    path = file_of(tmp_path, heic(turn=turn, exif=exif.tobytes()[6:]))
    assert default_output(path).name == "IMG_1_enhanced.jpg"
    enhance_picture(path, default_output(path), strength=0)
    with Image.open(default_output(path)) as written:
        assert written.getexif()[274] == 1
        assert written.getexif()[271] == "Acme"
        assert np.abs(np.asarray(written).astype(int) - upright).mean() < 4


def test_xmp_and_profile_are_kept(tmp_path: Path) -> None:
    profile: bytes = pyvips.Operation.call("profile_load", "p3")
    path = file_of(tmp_path, heic(xmp=b"<x:xmpmeta/>", profile=profile))
    enhance_picture(path, tmp_path / "a.png", strength=0)
    header = read_picture(tmp_path / "a.png").header
    assert header.get("xmp-data") == b"<x:xmpmeta/>"
    assert header.get("icc-profile-data") == profile


def test_display_p3_becomes_a_profile_and_hdr_is_refused(tmp_path: Path) -> None:
    picture = read_picture(file_of(tmp_path, heic(colours=(12, 13))))
    assert picture.header.get_typeof("icc-profile-data")
    assert "HDR (PQ)" in refused(file_of(tmp_path, heic("yuv420p10le", colours=(9, 16))))
    assert "HDR (HLG)" in refused(file_of(tmp_path, heic("yuv420p10le", colours=(9, 18))))


def test_the_gain_map_is_left_out_with_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kind = versioned(b"auxC", b"urn:com:apple:photo:2020:aux:hdrgainmap\0")
    path = file_of(tmp_path, heic(more=kind))
    read_picture(path)
    assert [r.getMessage() for r in caplog.records] == [
        f"{path}: its HDR gain map fits the picture as it was, and is left out"
    ]


@pytest.mark.parametrize("share", [0.005, 0.05, 0.2, 0.5, 0.9, 0.99])
def test_cut_short(tmp_path: Path, share: float) -> None:
    data = heic()
    path = file_of(tmp_path, data[: int(share * len(data))])
    assert "cut short" in refused(path) or share < 0.01
    with pytest.raises(ZeroDCEError):
        enhance_picture(path, tmp_path / "a.jpg")
    assert [p.name for p in tmp_path.iterdir()] == ["IMG_1.HEIC"]


def test_damaged_anywhere_it_is_refused_in_a_line_or_read(tmp_path: Path) -> None:
    whole, random = heic("yuv420p"), np.random.default_rng(7)
    for _ in range(150):
        data = bytearray(whole)
        for place in random.integers(0, min(len(data), 1200), 3):
            data[place] = random.integers(0, 256)
        try:
            read_picture(file_of(tmp_path, bytes(data)), max_pixels=1e6)
        except ZeroDCEError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_the_header_tells_how_large_it_is(tmp_path: Path) -> None:
    assert "60000x60000 pixels" in refused(file_of(tmp_path, heic(size=(60000, 60000))))
    assert "do not cover" in refused(file_of(tmp_path, heic(size=(200, 100))))
    assert "outside" in refused(file_of(tmp_path, heic(size=(64, 100))))
