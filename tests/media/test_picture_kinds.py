"""Kinds of pictures beyond JPEG, PNG, WebP and TIFF; files are what their content says."""

from __future__ import annotations

import io
import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.pictures import refused
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.files import enhance_picture
from zerodce_rt.media.paths import (
    PICTURE_SUFFIXES,
    RAW_SUFFIXES,
    READ_SUFFIXES,
    default_output,
    find_media,
    is_picture,
)
from zerodce_rt.media.picture_kinds import Colours, kind_of
from zerodce_rt.media.picture_writer import check_quality, write_picture
from zerodce_rt.media.pictures import Picture, read_picture

pyvips = pytest.importorskip("pyvips")

HEIGHT, WIDTH = 120, 160


def smooth() -> NDArray[np.uint8]:
    """Brighter to the right and to the bottom, with a red corner at the top left."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rgb = np.dstack([40 + x, 30 + y, 60 + (x + y) // 3]).astype(np.uint8)
    rgb[:30, :40] = (200, 20, 20)
    return rgb


def vips(samples: NDArray[Any]) -> Any:
    deep = samples.dtype == np.uint16
    return pyvips.Image.new_from_array(samples, interpretation="rgb16" if deep else "srgb")


def pillow(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    target = io.BytesIO()
    Image.fromarray(smooth()).convert(mode).save(target, kind, **options)
    return target.getvalue()


def avif(samples: NDArray[Any], bits: int = 8, orientation: int | None = None) -> bytes:
    image = vips(samples).copy()
    if orientation is not None:
        image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    data: bytes = image.heifsave_buffer(compression="av1", Q=95, bitdepth=bits, effort=0)
    return data


def with_code_points(primaries: int, transfer: int) -> bytes:
    """An AVIF that says what its colours are."""
    data = pillow("AVIF", quality=95)
    place = data.index(b"nclx") + 4
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


def png_with_code_points(primaries: int, transfer: int) -> bytes:
    data = pillow("PNG")
    chunk = b"cICP" + bytes([primaries, transfer, 0, 1])
    chunk = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:33] + chunk + data[33:]


def file_of(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def difference(picture: Picture) -> int:
    """The largest from ``smooth``, of 8 bits."""
    rgb = picture.rgb.astype(int)
    return int(np.abs((rgb + 128) // 257 - smooth() if rgb.max() > 255 else rgb - smooth()).max())


# Each kind


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.bmp", pillow("BMP")),
        ("a.jp2", pillow("JPEG2000", irreversible=False)),
        ("a.j2k", pillow("JPEG2000", irreversible=False, no_jp2=True)),
    ],
)
def test_without_loss(tmp_path: Path, name: str, data: bytes) -> None:
    path = file_of(tmp_path, name, data)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.rgb, smooth())
    assert picture.alpha is None
    assert not picture.grey

    enhance_picture(path, default_output(path), strength=0)
    np.testing.assert_array_equal(read_picture(tmp_path / "a_enhanced.png").rgb, smooth())


def test_bmp_with_a_palette_or_few_colours(tmp_path: Path) -> None:
    grey = np.asarray(Image.fromarray(smooth()).convert("L"))
    picture = read_picture(file_of(tmp_path, "grey.bmp", pillow("BMP", "L")))
    np.testing.assert_array_equal(picture.rgb, grey[..., None].repeat(3, axis=2))
    bilevel = np.asarray(Image.fromarray(smooth()).convert("1").convert("L"))
    picture = read_picture(file_of(tmp_path, "bilevel.bmp", pillow("BMP", "1")))
    np.testing.assert_array_equal(picture.rgb[..., 0], bilevel)


@pytest.mark.parametrize(("kind", "name"), [("BMP", "a.bmp"), ("JPEG2000", "a.jp2")])
def test_transparency_is_kept(tmp_path: Path, kind: str, name: str) -> None:
    rgba = np.dstack([smooth(), smooth()[..., 0]])
    target = io.BytesIO()
    Image.fromarray(rgba).save(target, kind)
    picture = read_picture(file_of(tmp_path, name, target.getvalue()))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, rgba[..., 3])


def test_jpeg_2000_of_16_bits_keeps_them(tmp_path: Path) -> None:
    samples = (np.arange(HEIGHT * WIDTH) * 3 % 65536).astype(np.uint16).reshape(HEIGHT, WIDTH)
    target = io.BytesIO()
    Image.fromarray(samples).save(target, "JPEG2000", irreversible=False)
    picture = read_picture(file_of(tmp_path, "a.jp2", target.getvalue()))
    assert picture.grey
    assert picture.rgb.dtype == np.uint16
    np.testing.assert_array_equal(picture.rgb[..., 0], samples)


def test_jpeg_2000_keeps_its_profile(tmp_path: Path) -> None:
    profile: bytes = pyvips.Operation.call("profile_load", "p3")
    data = pillow("JPEG2000", irreversible=False)
    place = data.index(b"colr") - 4
    length = int.from_bytes(data[place : place + 4], "big")
    box = b"colr\x02\0\0" + profile
    box = struct.pack(">I", len(box) + 4) + box
    outer = data.index(b"jp2h") - 4
    size = int.from_bytes(data[outer : outer + 4], "big") + len(box) - length
    data = (
        data[:outer]
        + struct.pack(">I", size)
        + data[outer + 4 : place]
        + box
        + data[place + length :]
    )
    picture = read_picture(file_of(tmp_path, "a.jp2", data))
    assert picture.header.get("icc-profile-data") == profile


def test_gif_gives_its_first_frame_and_counts_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [Image.fromarray(np.roll(smooth(), 40 * n, axis=1)) for n in range(3)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    picture = read_picture(tmp_path / "film.gif")
    assert picture.rgb.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(picture.rgb.astype(int) - smooth()).mean() < 8
    assert [r.getMessage() for r in caplog.records] == [
        f"{tmp_path / 'film.gif'}: the first of its 3 frames is enhanced; left out: 2"
    ]
    caplog.clear()
    read_picture(file_of(tmp_path, "still.gif", pillow("GIF")))
    assert not caplog.records


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_of_each_depth_has_the_right_brightness(tmp_path: Path, bits: int) -> None:
    samples = smooth() if bits == 8 else smooth().astype(np.uint16) * 257
    path = file_of(tmp_path, "a.avif", avif(samples, bits))
    picture = read_picture(path)
    assert picture.rgb.dtype == samples.dtype
    assert difference(picture) <= 12
    assert abs(float(picture.rgb.mean()) / float(samples.mean()) - 1) < 0.01

    enhance_picture(path, tmp_path / "b.avif", strength=0)
    written = pyvips.Image.new_from_buffer((tmp_path / "b.avif").read_bytes(), "")
    assert written.get("bits-per-sample") == bits
    assert difference(read_picture(tmp_path / "b.avif")) <= 16
    enhance_picture(path, tmp_path / "b.png", strength=0)
    assert read_picture(tmp_path / "b.png").rgb.dtype == samples.dtype


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("level", [0, 1000, 32768, 65535])
def test_white_stays_white_and_levels_do_not_sink(tmp_path: Path, bits: int, level: int) -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), level, np.uint16)
    for _ in range(3):
        write_picture(tmp_path / "a.avif", Picture(rgb, bits=bits))
        rgb = read_picture(tmp_path / "a.avif").rgb
    assert abs(float(rgb.mean()) - level) <= (66 if bits == 10 else 17)


def test_sixteen_bits_to_avif_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_picture(tmp_path / "a.avif", Picture(smooth().astype(np.uint16) * 257))
    assert "12 bits" in caplog.text
    caplog.clear()
    write_picture(tmp_path / "a.avif", read_picture(tmp_path / "a.avif"))
    assert not caplog.records


def test_avif_keeps_transparency_exif_xmp_and_profile(tmp_path: Path) -> None:
    alpha = smooth()[..., 1]
    header = vips(smooth()).copy()
    profile: bytes = pyvips.Operation.call("profile_load", "p3")
    header.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Make", "Acme")
    header.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x:xmpmeta/>")
    header.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    write_picture(tmp_path / "a.avif", Picture(smooth(), alpha, header=header))
    picture = read_picture(tmp_path / "a.avif")
    assert picture.alpha is not None
    assert np.abs(picture.alpha.astype(int) - alpha).max() <= 8
    assert picture.header.get("exif-ifd0-Make").startswith("Acme ")
    assert picture.header.get("xmp-data") == b"<x:xmpmeta/>"
    assert picture.header.get("icc-profile-data") == profile


@pytest.mark.parametrize("target", ["b.avif", "b.jpg", "b.png"])
def test_avif_is_turned_once(tmp_path: Path, target: str) -> None:
    path = file_of(tmp_path, "a.avif", avif(smooth(), orientation=6))
    upright = np.rot90(smooth(), -1)
    for _ in range(2):
        picture = read_picture(path)
        write_picture(tmp_path / target, picture)
        with Image.open(tmp_path / target) as written:
            assert written.size == (HEIGHT, WIDTH)
            assert written.getexif().get(274, 1) == 1
            assert np.abs(np.asarray(written.convert("RGB")).astype(int) - upright).mean() < 4
        path = tmp_path / target


def test_a_turned_jpeg_is_turned_once_as_avif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 8
    path = file_of(tmp_path, "a.jpg", pillow("JPEG", quality=95, exif=exif))
    write_picture(tmp_path / "a.avif", read_picture(path))
    picture = read_picture(tmp_path / "a.avif")
    assert picture.rgb.shape == (WIDTH, HEIGHT, 3)
    write_picture(tmp_path / "b.jpg", picture)
    with Image.open(tmp_path / "b.jpg") as written:
        assert written.getexif()[274] == 1


# Colours


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_pictures_are_refused(tmp_path: Path, transfer: int, name: str) -> None:
    for data, suffix in (
        (with_code_points(9, transfer), ".avif"),
        (png_with_code_points(9, transfer), ".png"),
    ):
        assert f"HDR ({name})" in refused(file_of(tmp_path, f"a{suffix}", data))


def test_display_p3_becomes_a_profile_and_rare_colours_are_refused(tmp_path: Path) -> None:
    for data, suffix in (
        (with_code_points(12, 13), ".avif"),
        (png_with_code_points(12, 13), ".png"),
    ):
        picture = read_picture(file_of(tmp_path, f"a{suffix}", data))
        assert picture.header.get("icc-profile-data") == pyvips.Operation.call("profile_load", "p3")
        write_picture(tmp_path / "a.jpg", picture)
        assert read_picture(tmp_path / "a.jpg").header.get_typeof("icc-profile-data")
    assert "CICP 9/14" in refused(file_of(tmp_path, "b.avif", with_code_points(9, 14)))
    plain = read_picture(file_of(tmp_path, "c.avif", with_code_points(1, 13)))
    assert not plain.header.get_typeof("icc-profile-data")


def test_code_points() -> None:
    assert Colours(1, 13).unknown is None
    assert Colours(2, 2).unknown is None
    assert Colours(12, 16).unknown == "HDR (PQ)"
    assert Colours(12, 13).is_p3


# What is left out is said


def jpeg_with_xmp(folder: Path, xmp: bytes) -> Path:
    image = vips(smooth()).copy()
    image.set_type(pyvips.GValue.blob_type, "xmp-data", xmp)
    return file_of(folder, "a.jpg", image.jpegsave_buffer(Q=95))


@pytest.mark.parametrize(
    ("xmp", "what"),
    [
        (b'<x xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"/>', "HDR gain map"),
        (b'<x GCamera:MotionPhoto="1"/>', "motion clip"),
    ],
)
def test_xmp_of_what_is_left_out_is_left_out_with_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, xmp: bytes, what: str
) -> None:
    path = jpeg_with_xmp(tmp_path, xmp)
    write_picture(tmp_path / "b.jpg", read_picture(path))
    assert [r.getMessage() for r in caplog.records] == [
        f"{path}: its {what} fits the picture as it was, and is left out"
    ]
    assert b"MotionPhoto" not in (tmp_path / "b.jpg").read_bytes()
    assert b"hdrgm" not in (tmp_path / "b.jpg").read_bytes()


def test_a_gain_map_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if not pyvips.type_find("VipsOperation", "uhdrsave_buffer"):
        pytest.skip("this libvips has no Ultra HDR")
    hdr = (vips(smooth()).colourspace("scrgb") * 3).copy(interpretation="scrgb")
    read_picture(file_of(tmp_path, "a.jpg", hdr.uhdrsave_buffer()))
    assert caplog.text.count("HDR gain map") == 1


# Names and contents


def test_a_jpeg_that_is_called_heic_is_read(tmp_path: Path) -> None:
    path = file_of(tmp_path, "IMG_1.HEIC", pillow("JPEG", quality=95))
    enhance_picture(path, default_output(path), strength=0)
    assert (tmp_path / "IMG_1_enhanced.jpg").read_bytes()[:3] == b"\xff\xd8\xff"


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.jxl", b"\xff\x0a" + bytes(100), "JPEG XL"),
        ("a.jxl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100), "JPEG XL"),
    ],
)
def test_kinds_that_cannot_be_read_are_named(
    tmp_path: Path, name: str, data: bytes, kind: str
) -> None:
    message = refused(file_of(tmp_path, name, data))
    assert f"is {kind}" in message
    assert "save it as JPEG" in message


def test_kinds_by_content() -> None:
    starts = {
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom": "raw",
        b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf": "AVIF",
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42": None,
        b"II*\0\x10\0\0\0CR\2\0": "raw",
        b"II*\0\xff\xff\xff\xffcut short": "TIFF",
        b"FUJIFILMCCD-RAW 0201": "raw",
        b"BM, once upon a midnight dreary": None,
        b"%PDF-1.7": None,
        b"<svg xmlns=": None,
        b"": None,
    }
    for start, kind in starts.items():
        assert kind_of(start) == kind


@pytest.mark.parametrize("name", ["a.heic", "a.bmp", "a.gif", "a.jp2", "a.jxl"])
def test_kinds_that_are_not_written_are_refused_and_those_that_are_named(
    tmp_path: Path, name: str
) -> None:
    source = file_of(tmp_path, "in.bmp", pillow("BMP"))
    with pytest.raises(ZeroDCEError, match=r"\.avif, \.jpeg, \.jpg, \.png") as caught:
        enhance_picture(source, tmp_path / name)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["in.bmp"]


def test_default_outputs_can_be_written() -> None:
    for suffix in READ_SUFFIXES:
        source = Path(f"a{suffix.upper()}")
        assert is_picture(source)
        output = default_output(source)
        assert output.suffix.lower() in PICTURE_SUFFIXES
        assert (output.suffix == source.suffix) == (suffix in PICTURE_SUFFIXES)


def test_a_folder_finds_all_kinds(tmp_path: Path) -> None:
    for suffix in READ_SUFFIXES:
        (tmp_path / f"a{suffix}").touch()
    assert len(find_media(tmp_path)) == len(READ_SUFFIXES)
    assert set(RAW_SUFFIXES) < set(READ_SUFFIXES)


# Damage


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.bmp", pillow("BMP")),
        ("a.gif", pillow("GIF")),
        ("a.jp2", pillow("JPEG2000")),
        ("a.j2k", pillow("JPEG2000", no_jp2=True)),
        ("a.avif", pillow("AVIF")),
    ],
)
def test_pictures_cut_short_are_refused(
    tmp_path: Path, name: str, data: bytes, share: float
) -> None:
    path = file_of(tmp_path, name, data[: int(share * len(data))])
    message = refused(path)
    assert "cut short" in message or "not a picture" in message
    with pytest.raises(ZeroDCEError):
        enhance_picture(path, tmp_path / "out.png")
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.bmp", pillow("BMP")),
        ("a.gif", pillow("GIF")),
        ("a.jp2", pillow("JPEG2000")),
        ("a.avif", pillow("AVIF")),
    ],
)
def test_large_ones_are_refused_by_their_header(tmp_path: Path, name: str, data: bytes) -> None:
    path = file_of(tmp_path, name, data)
    with pytest.raises(ZeroDCEError, match=f"{WIDTH}x{HEIGHT} pixels"):
        read_picture(path, max_pixels=WIDTH * HEIGHT - 1)
    assert read_picture(path, max_pixels=WIDTH * HEIGHT).rgb.shape == (HEIGHT, WIDTH, 3)


def test_a_few_bytes_that_announce_gigabytes(tmp_path: Path) -> None:
    bmp = bytearray(pillow("BMP")[:200])
    struct.pack_into("<ii", bmp, 18, 60000, -60000)
    assert "60000x60000 pixels" in refused(file_of(tmp_path, "a.bmp", bytes(bmp)))
    jp2 = bytearray(pillow("JPEG2000")[:200])
    struct.pack_into(">II", jp2, jp2.index(b"\xff\x4f\xff\x51") + 8, 60000, 60000)
    assert "60000x60000 pixels" in refused(file_of(tmp_path, "a.jp2", bytes(jp2)))


def test_an_animated_avif_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(smooth()), Image.fromarray(255 - smooth())]
    frames[0].save(tmp_path / "a.avif", save_all=True, append_images=frames[1:])
    assert "animation" in refused(tmp_path / "a.avif")


# Quality


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".avif"])
def test_quality_changes_the_size(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    sizes = []
    for quality in (1, 50, None, 100):
        write_picture(tmp_path / f"a{suffix}", Picture(noise), quality)
        sizes.append((tmp_path / f"a{suffix}").stat().st_size)
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_quality_of_what_has_no_loss_does_nothing_with_a_line(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = file_of(tmp_path, "in.bmp", pillow("BMP"))
    with caplog.at_level(logging.WARNING):
        enhance_picture(source, tmp_path / f"a{suffix}", strength=0, quality=5)
    assert "without loss" in caplog.text
    np.testing.assert_array_equal(read_picture(tmp_path / f"a{suffix}").rgb, smooth())


@pytest.mark.parametrize("quality", [0, 101, -1, 50.5, float("nan")])
def test_quality_outside_its_range(tmp_path: Path, quality: Any) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        check_quality(quality)
    with pytest.raises(ValueError, match="quality"):
        enhance_picture(tmp_path / "missing.png", tmp_path / "a.jpg", quality=quality)


def test_quality_of_a_wrong_type(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="`quality` must be a number"):
        write_picture(tmp_path / "a.jpg", Picture(smooth()), "best")  # type: ignore[arg-type]
