"""HEIC files as phones write them: tiles, turns, metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.heif import HEIGHT, WIDTH, box, heic, smooth, versioned
from tests.support.pictures import refused
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.files import enhance_picture
from zerodce_rt.media.paths import default_output
from zerodce_rt.media.pictures import read_picture

pyvips = pytest.importorskip("pyvips")


def file_of(folder: Path, data: bytes) -> Path:
    path = folder / "IMG_1.HEIC"
    path.write_bytes(data)
    return path


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
