"""Cameras' raw files: developed with all their bits, upright, and written as other kinds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.dng import DARK, HEIGHT, LIGHT, WIDTH, dng
from tests.support.pictures import refused
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.files import enhance_picture
from zerodce_rt.media.paths import RAW_SUFFIXES, default_output, find_media
from zerodce_rt.media.picture_writer import write_picture
from zerodce_rt.media.pictures import read_picture

pyvips = pytest.importorskip("pyvips")


def curve(linear: tuple[int, ...]) -> NDArray[Any]:
    """sRGB's, in 16 bits."""
    values = np.array(linear) / 65535
    low = values <= 0.0031308
    return 65535 * np.where(low, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)


def test_without_rawpy_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.dng").write_bytes(dng())
    monkeypatch.setitem(sys.modules, "rawpy", None)
    assert "pip install 'zerodce-rt[raw]'" in refused(tmp_path / "a.dng")


def test_a_raw_file_becomes_png() -> None:
    for suffix in RAW_SUFFIXES:
        assert default_output(Path(f"night{suffix}")) == Path("night_enhanced.png")
        assert default_output(Path(f"night{suffix.upper()}")) == Path("night_enhanced.png")


def test_raw_files_are_not_written(tmp_path: Path) -> None:
    (tmp_path / "a.dng").write_bytes(dng())
    with pytest.raises(ZeroDCEError, match=r"\.png") as caught:
        enhance_picture(tmp_path / "a.dng", tmp_path / "b.dng")
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["a.dng"]
    assert find_media(tmp_path) == [tmp_path / "a.dng"]


def test_sixteen_bits_in_srgb(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    (tmp_path / "a.dng").write_bytes(dng())
    picture = read_picture(tmp_path / "a.dng")
    assert picture.rgb.shape == (HEIGHT, WIDTH, 3)
    assert picture.rgb.dtype == np.uint16
    assert np.abs(picture.rgb[24, 8] - curve(DARK)).max() < 150
    assert np.abs(picture.rgb[24, -8] - curve(LIGHT)).max() < 150


@pytest.mark.parametrize("with_preview", [False, True])
def test_it_is_turned_once(tmp_path: Path, with_preview: bool) -> None:
    pytest.importorskip("rawpy")
    image = pyvips.Image.black(32, 24, bands=3).copy(interpretation="srgb")
    preview = image.jpegsave_buffer(keep="none") if with_preview else b""
    (tmp_path / "a.dng").write_bytes(dng(orientation=6, preview=preview))  # dark half on top
    enhance_picture(tmp_path / "a.dng", tmp_path / "a.png", strength=0)
    enhance_picture(tmp_path / "a.dng", tmp_path / "a.avif", strength=0)
    for name in ("a.png", "a.avif"):
        rgb = read_picture(tmp_path / name).rgb
        assert rgb.shape == (WIDTH, HEIGHT, 3)
        assert rgb.dtype == np.uint16
        assert rgb[:24].mean() < 0.5 * rgb[-24:].mean()
        written = pyvips.Image.new_from_buffer((tmp_path / name).read_bytes(), "")
        assert not written.get_typeof("orientation") or written.get("orientation") == 1
        if with_preview:
            assert written.get("exif-ifd0-Make").startswith("Acme ")
            assert not written.get_typeof("jpeg-thumbnail-data")


def test_the_content_tells_a_dng_and_a_jpeg_whatever_they_are_called(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    (tmp_path / "dng.tif").write_bytes(dng())
    assert read_picture(tmp_path / "dng.tif").rgb.shape == (HEIGHT, WIDTH, 3)
    image = pyvips.Image.black(10, 20, bands=3).copy(interpretation="srgb")
    (tmp_path / "jpeg.nef").write_bytes(image.jpegsave_buffer())
    assert read_picture(tmp_path / "jpeg.nef").rgb.shape == (20, 10, 3)
    (tmp_path / "tiff.nef").write_bytes(image.tiffsave_buffer())
    assert "not a raw file" in refused(tmp_path / "tiff.nef")
    (tmp_path / "text.cr3").write_text("once upon a midnight dreary")
    assert "not a picture" in refused(tmp_path / "text.cr3")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.97])
def test_raw_files_cut_short_are_refused(tmp_path: Path, share: float) -> None:
    pytest.importorskip("rawpy")
    data = dng()
    (tmp_path / "cut.dng").write_bytes(data[: int(share * len(data))])
    assert "cut short" in refused(tmp_path / "cut.dng")


def test_the_header_tells_how_large_it_is(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    (tmp_path / "huge.dng").write_bytes(dng(size=(30000, 20000)))
    assert "30000x20000 pixels" in refused(tmp_path / "huge.dng")
    (tmp_path / "a.dng").write_bytes(dng())
    with pytest.raises(ZeroDCEError, match="max_pixels=3072"):
        read_picture(tmp_path / "a.dng", max_pixels=3000)


def test_a_picture_of_a_raw_file_can_be_written_as_any_kind(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    (tmp_path / "a.dng").write_bytes(dng())
    picture = read_picture(tmp_path / "a.dng")
    for name in ("a.jpg", "a.tif", "a.webp"):
        write_picture(tmp_path / name, picture)
        assert read_picture(tmp_path / name).rgb.shape == (HEIGHT, WIDTH, 3)
