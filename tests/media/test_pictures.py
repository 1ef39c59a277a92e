"""Still pictures are written as they were read, with all their metadata."""

from __future__ import annotations

import logging
import os
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.pictures import refused
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media.paths import PICTURE_SUFFIXES
from zerodce_rt.media.picture_writer import write_picture
from zerodce_rt.media.pictures import Picture, read_picture

pyvips = pytest.importorskip("pyvips")

HEIGHT, WIDTH = 36, 52


def noise(
    dtype: Any = np.uint8, channels: int = 3, height: int = HEIGHT, width: int = WIDTH
) -> NDArray[Any]:
    return np.random.default_rng(7).integers(
        0, np.iinfo(dtype).max, (height, width, channels), dtype=dtype, endpoint=True
    )


def smooth() -> NDArray[np.uint8]:
    """A picture that JPEG and WebP change little, brighter to the right and to the bottom."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.dstack([40 + 3 * x, 30 + 4 * y, 60 + x + y]).astype(np.uint8)


def vips(array: NDArray[Any], interpretation: str | None = None) -> Any:
    bands = array.shape[2] if array.ndim == 3 else 1
    deep = array.dtype == np.uint16
    guess = ("grey16" if deep else "b-w") if bands < 3 else ("rgb16" if deep else "srgb")
    return pyvips.Image.new_from_array(array, interpretation=interpretation or guess)


def tagged(image: Any, **fields: Any) -> Any:
    """A copy with header fields; underscores stand for hyphens."""
    image = image.copy()
    for name, value in fields.items():
        kinds = {bytes: pyvips.GValue.blob_type, int: pyvips.GValue.gint_type}
        kind = kinds.get(type(value), pyvips.GValue.gstr_type)
        image.set_type(kind, name.replace("_", "-"), value)
    return image


def profile(name: str) -> bytes:
    """One of the profiles built into libvips: srgb, p3, cmyk."""
    image = vips(smooth()).icc_transform(name, input_profile="srgb")
    data: bytes = image.get("icc-profile-data")
    return data


def load(path: Path) -> Any:
    return pyvips.Image.new_from_buffer(path.read_bytes(), "")


def only(folder: Path, *names: str) -> bool:
    return sorted(p.name for p in folder.iterdir()) == sorted(names)


def test_import_is_light() -> None:
    code = "import sys, zerodce_rt.media.pictures; sys.exit('pyvips' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pyvips_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyvips", None)
    with pytest.raises(ZeroDCEError, match="pip install"):
        read_picture(tmp_path / "a.png")


# Samples


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lossless_round_trip(tmp_path: Path, suffix: str, dtype: Any, channels: int) -> None:
    samples = noise(dtype, channels)
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    source.write_bytes(vips(samples).write_to_buffer(suffix))

    picture = read_picture(source)
    assert picture.rgb.dtype == dtype
    assert picture.grey == (channels < 3)
    colour = samples[..., :1].repeat(3, axis=2) if channels < 3 else samples[..., :3]
    np.testing.assert_array_equal(picture.rgb, colour)
    if channels % 2:
        assert picture.alpha is None
    else:
        assert picture.alpha is not None
        np.testing.assert_array_equal(picture.alpha, samples[..., -1])

    write_picture(target, picture)
    written = load(target)
    assert written.bands == channels
    assert written.format == ("uchar" if dtype == np.uint8 else "ushort")
    np.testing.assert_array_equal(written.numpy().reshape(samples.shape), samples)


@pytest.mark.parametrize("suffix", sorted(PICTURE_SUFFIXES))
def test_every_suffix_reads_what_it_writes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a[1] ü{suffix.upper()}"
    write_picture(path, Picture(smooth()))
    assert only(tmp_path, path.name)
    picture = read_picture(path)
    assert picture.rgb.flags.writeable
    assert picture.rgb.flags.c_contiguous
    assert np.abs(picture.rgb.astype(int) - smooth()).max() <= 12
    assert np.abs(picture.rgb.astype(int) - smooth()).mean() < 2


def test_arrays_of_any_memory_layout_are_written(tmp_path: Path) -> None:
    backwards = noise()[::-1, ::-1, ::-1]
    write_picture(tmp_path / "a.png", Picture(backwards))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png").rgb, backwards)


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for samples in (noise(), 255 - noise()):
        write_picture(path, Picture(samples))
        np.testing.assert_array_equal(read_picture(path).rgb, samples)


def test_palette_and_bilevel_become_rgb_and_are_written_without_a_palette(tmp_path: Path) -> None:
    few = noise() // 128 * 255
    palette, bilevel = tmp_path / "palette.png", tmp_path / "bilevel.png"
    palette.write_bytes(vips(few).write_to_buffer(".png", palette=True, Q=100, dither=0))
    bilevel.write_bytes(vips(few[..., :1]).write_to_buffer(".png", bitdepth=1))
    assert np.abs(read_picture(palette).rgb.astype(int) - few).max() <= 3
    np.testing.assert_array_equal(read_picture(bilevel).rgb, few[..., :1].repeat(3, axis=2))

    for source in (palette, bilevel):
        picture = read_picture(source)
        rgb = noise()[..., :1].repeat(3, axis=2) if picture.grey else noise()
        write_picture(tmp_path / "out.png", Picture(rgb, None, picture.grey, picture.header))
        np.testing.assert_array_equal(read_picture(tmp_path / "out.png").rgb, rgb)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_grey_is_written_as_one_band_of_the_rounded_mean(tmp_path: Path, suffix: str) -> None:
    rgb = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    rgb[:] = (10, 10, 12)  # the mean is 10.67
    write_picture(tmp_path / f"a{suffix}", Picture(rgb, grey=True))
    written = load(tmp_path / f"a{suffix}")
    assert written.bands == 1
    assert set(np.unique(written.numpy())) == {11}
    assert read_picture(tmp_path / f"a{suffix}").grey


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_sixteen_bits_are_rounded_to_eight(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    # 128 * 257 + 129 is nearer to 129 than to 128; cutting or shifting would give 128.
    rgb = np.full((HEIGHT, WIDTH, 3), 128 * 257 + 129, np.uint16)
    write_picture(tmp_path / f"a{suffix}", Picture(rgb))
    assert "8 bits" in caplog.text
    picture = read_picture(tmp_path / f"a{suffix}")
    assert picture.rgb.dtype == np.uint8
    assert abs(picture.rgb.mean() - 129) < (0.01 if suffix == ".jpg" else 1.1)


def test_eight_bits_give_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for suffix in PICTURE_SUFFIXES:
        write_picture(tmp_path / f"a{suffix}", Picture(smooth()))
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING and "zerodce" in r.name]


def test_alpha_is_exact_in_webp_and_dropped_with_a_warning_in_jpeg(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alpha = noise()[..., 0]
    write_picture(tmp_path / "a.webp", Picture(smooth(), alpha))
    picture = read_picture(tmp_path / "a.webp")
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, alpha)
    assert "transparency" not in caplog.text

    write_picture(tmp_path / "a.jpg", picture)
    assert "transparency" in caplog.text
    assert read_picture(tmp_path / "a.jpg").alpha is None


# Colour spaces


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_srgb_without_the_cmyk_profile(tmp_path: Path, suffix: str) -> None:
    colours = [(200, 120, 60), (60, 60, 60), (90, 140, 100)]  # CMYK can express all of them
    rgb = np.repeat(np.array(colours, np.uint8), 16, axis=0)[None].repeat(32, axis=0)
    cmyk = vips(rgb).colourspace("cmyk")
    (tmp_path / f"cmyk{suffix}").write_bytes(cmyk.write_to_buffer(suffix))
    assert load(tmp_path / f"cmyk{suffix}").bands == 4

    picture = read_picture(tmp_path / f"cmyk{suffix}")
    assert picture.rgb.dtype == np.uint8
    assert picture.alpha is None
    assert not picture.header.get_typeof("icc-profile-data")
    assert np.abs(picture.rgb.astype(int) - rgb).mean() < 6
    write_picture(tmp_path / f"out{suffix}", picture)
    written = load(tmp_path / f"out{suffix}")
    assert written.bands == 3
    assert not written.get_typeof("icc-profile-data")


def test_lab_becomes_srgb(tmp_path: Path) -> None:
    vips(smooth()).colourspace("lab").tiffsave(str(tmp_path / "lab.tif"))
    picture = read_picture(tmp_path / "lab.tif")
    assert picture.rgb.dtype == np.uint8
    assert np.abs(picture.rgb.astype(int) - smooth()).max() <= 2


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_icc_profile_is_kept_and_not_applied(tmp_path: Path, suffix: str) -> None:
    p3 = profile("p3")
    assert len(p3) > 300
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    lossless: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    source.write_bytes(
        tagged(vips(smooth()), icc_profile_data=p3).write_to_buffer(suffix, **lossless)
    )

    picture = read_picture(source)
    assert np.abs(picture.rgb.astype(int) - smooth()).mean() < 2
    write_picture(target, picture)
    assert load(target).get("icc-profile-data") == p3


# Metadata


def camera_photo(path: Path, **fields: Any) -> None:
    """A JPEG with a camera's metadata, one of which says that it must be turned."""
    exif = {
        "exif-ifd0-Make": "Acme",
        "exif-ifd0-Artist": "Zoë",
        "exif-ifd2-DateTimeOriginal": "2024:01:02 03:04:05",
        "exif-ifd2-ISOSpeedRatings": "6400",
        "exif-ifd3-GPSLatitudeRef": "N",
    }
    image = tagged(vips(smooth()), orientation=6, xmp_data=b"<x:xmpmeta/>", **exif, **fields)
    path.write_bytes(image.copy(xres=300 / 25.4, yres=300 / 25.4).jpegsave_buffer(Q=95))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_orientation_and_xmp_survive_and_nothing_is_rotated(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    camera_photo(tmp_path / "in.jpg")
    picture = read_picture(tmp_path / "in.jpg")
    assert picture.rgb.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(picture.rgb.astype(int) - smooth()).mean() < 2

    write_picture(tmp_path / f"out{suffix}", picture)
    source, written = load(tmp_path / "in.jpg"), load(tmp_path / f"out{suffix}")
    assert (written.width, written.height) == (WIDTH, HEIGHT)
    assert np.abs(written.numpy().astype(int) - smooth()).mean() < 3
    assert written.get("orientation") == 6
    assert written.get("exif-ifd0-Orientation").startswith("6")
    assert written.get("exif-ifd0-Make").startswith("Acme ")
    assert written.get("xmp-data") == b"<x:xmpmeta/>"
    exif = [name for name in source.get_fields() if name.startswith("exif-ifd")]
    assert len(exif) > 8
    for name in exif:
        assert written.get(name) == source.get(name)
    assert not caplog.records


def test_resolution_survives(tmp_path: Path) -> None:
    camera_photo(tmp_path / "in.jpg")
    picture = read_picture(tmp_path / "in.jpg")
    for suffix in (".jpg", ".png", ".tif"):
        write_picture(tmp_path / f"out{suffix}", picture)
        assert load(tmp_path / f"out{suffix}").xres * 25.4 == pytest.approx(300, abs=0.1)

    (tmp_path / "scan.tif").write_bytes(vips(noise()).copy(xres=20, yres=10).tiffsave_buffer())
    write_picture(tmp_path / "out.tif", read_picture(tmp_path / "scan.tif"))
    written = load(tmp_path / "out.tif")
    assert (written.xres, written.yres) == pytest.approx((20, 10))


def test_tiff_keeps_the_orientation_and_warns_that_it_has_no_exif(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    camera_photo(tmp_path / "in.jpg")
    write_picture(tmp_path / "out.tif", read_picture(tmp_path / "in.jpg"))
    assert "EXIF" in caplog.text
    assert load(tmp_path / "out.tif").get("orientation") == 6
    assert load(tmp_path / "out.tif").get("xmp-data") == b"<x:xmpmeta/>"

    caplog.clear()
    write_picture(tmp_path / "again.tif", read_picture(tmp_path / "out.tif"))
    assert load(tmp_path / "again.tif").get("orientation") == 6
    assert not caplog.records


IPTC = b"\x1c\x02\x05\x00\x05night"  # record 2, data set 5: the object's name


def test_iptc_survives_in_jpeg_and_tiff_and_is_not_garbled_between_them(tmp_path: Path) -> None:
    wrapped = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC
    camera_photo(tmp_path / "in.jpg", iptc_data=wrapped)
    picture = read_picture(tmp_path / "in.jpg")
    write_picture(tmp_path / "out.jpg", picture)
    assert load(tmp_path / "out.jpg").get("iptc-data") == wrapped
    write_picture(tmp_path / "out.tif", picture)
    assert not load(tmp_path / "out.tif").get_typeof("iptc-data")

    header = tagged(vips(smooth()), iptc_data=IPTC)
    write_picture(tmp_path / "iptc.tif", Picture(smooth(), header=header))
    write_picture(tmp_path / "again.tif", read_picture(tmp_path / "iptc.tif"))
    for name in ("iptc.tif", "again.tif"):
        assert load(tmp_path / name).get("iptc-data").rstrip(b"\0") == IPTC


def test_the_preview_from_before_enhancement_is_left_out(tmp_path: Path) -> None:
    preview = vips(smooth()[:16, :16].copy()).jpegsave_buffer(keep="none")
    tiff = b"II*\0" + struct.pack("<I", 8)
    tiff += struct.pack("<H", 1) + struct.pack("<HHI4s", 0x10F, 2, 4, b"Acm\0")
    tiff += struct.pack("<I", 26)  # the preview's directory follows
    tiff += struct.pack("<H", 3) + struct.pack("<HHIHH", 0x103, 3, 1, 6, 0)
    tiff += struct.pack("<HHII", 0x201, 4, 1, 26 + 2 + 36 + 4)
    tiff += struct.pack("<HHII", 0x202, 4, 1, len(preview)) + bytes(4) + preview
    exif = b"Exif\0\0" + tiff
    plain = vips(smooth()).jpegsave_buffer(keep="none")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "in.jpg").write_bytes(plain[:2] + segment + plain[2:])
    assert load(tmp_path / "in.jpg").get("jpeg-thumbnail-data") == preview

    for suffix in (".jpg", ".png", ".webp"):
        write_picture(tmp_path / f"out{suffix}", read_picture(tmp_path / "in.jpg"))
        assert preview not in (tmp_path / f"out{suffix}").read_bytes()
        assert load(tmp_path / f"out{suffix}").get("exif-ifd0-Make").startswith("Acm ")


def test_the_gain_map_of_an_ultra_hdr_photo_is_left_out(tmp_path: Path) -> None:
    if not pyvips.type_find("VipsOperation", "uhdrsave_buffer"):
        pytest.skip("this libvips has no Ultra HDR")
    hdr = vips(noise(height=64, width=64)).colourspace("scrgb") * 3
    (tmp_path / "in.jpg").write_bytes(hdr.copy(interpretation="scrgb").uhdrsave_buffer())
    assert load(tmp_path / "in.jpg").get_typeof("gainmap-data")
    picture = read_picture(tmp_path / "in.jpg")
    assert picture.rgb.dtype == np.uint8
    write_picture(tmp_path / "out.jpg", picture)
    assert not [f for f in load(tmp_path / "out.jpg").get_fields() if f.startswith("gainmap")]


def test_headers_do_not_mix(tmp_path: Path) -> None:
    camera_photo(tmp_path / "camera.jpg")
    write_picture(tmp_path / "plain.jpg", Picture(smooth()))
    camera, plain = read_picture(tmp_path / "camera.jpg"), read_picture(tmp_path / "plain.jpg")
    for name, picture in (("a.jpg", camera), ("b.jpg", plain), ("c.jpg", camera)):
        write_picture(tmp_path / name, picture)
    made = [
        bool(load(tmp_path / n).get_typeof("exif-ifd0-Make")) for n in ("a.jpg", "b.jpg", "c.jpg")
    ]
    assert made == [True, False, True]


# What is refused


def test_animations_and_pages_are_refused(tmp_path: Path) -> None:
    film = pyvips.Image.arrayjoin([vips(noise()), vips(255 - noise())], across=1)
    film = tagged(film, page_height=HEIGHT)
    for suffix in (".webp", ".tif"):
        (tmp_path / f"film{suffix}").write_bytes(film.write_to_buffer(suffix))
        assert "2 pages or frames" in refused(tmp_path / f"film{suffix}")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_pictures_cut_short_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    data = vips(noise(height=200, width=300)).write_to_buffer(suffix)
    (tmp_path / f"cut{suffix}").write_bytes(data[: int(share * len(data))])
    assert "cut short" in refused(tmp_path / f"cut{suffix}")


def test_interlaced_pictures_cut_short_are_refused(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg"):
        data = vips(noise(height=200, width=300)).write_to_buffer(suffix, interlace=True)
        (tmp_path / f"cut{suffix}").write_bytes(data[: len(data) // 2])
        assert "cut short" in refused(tmp_path / f"cut{suffix}")


def test_a_tiff_with_its_directory_first_cut_short_is_refused(tmp_path: Path) -> None:
    """The directory is complete, and only strips are missing."""
    samples = noise(height=200, width=300)
    shorts = {258: 8, 259: 1, 262: 2, 277: 3}
    longs = {256: 300, 257: 200, 273: 8 + 2 + 9 * 12 + 4, 278: 200, 279: samples.nbytes}
    entries = b""
    for tag in sorted(shorts | longs):
        kind, value = (3, shorts[tag]) if tag in shorts else (4, longs[tag])
        entries += struct.pack("<HHII", tag, kind, 1, value)
    data = b"II*\0" + struct.pack("<IH", 8, 9) + entries + bytes(4) + samples.tobytes()
    (tmp_path / "whole.tif").write_bytes(data)
    np.testing.assert_array_equal(read_picture(tmp_path / "whole.tif").rgb, samples)
    (tmp_path / "cut.tif").write_bytes(data[: len(data) // 2])
    assert "cut short" in refused(tmp_path / "cut.tif")


def test_files_that_are_not_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("once upon a midnight dreary")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.png").mkdir()
    assert "not a picture" in refused(tmp_path / "text.png")
    assert "not a picture" in refused(tmp_path / "empty.jpg")
    assert "cannot be read" in refused(tmp_path / "folder.png")
    assert "No such file" in refused(tmp_path / "missing.png")


def test_the_reason_is_that_of_this_file_and_not_of_an_earlier_one(tmp_path: Path) -> None:
    data = bytearray(vips(noise(height=200, width=300)).jpegsave_buffer())
    middle = len(data) // 2
    data[middle : middle + 50] = b"\xff\xd9" * 25  # libjpeg complains, and goes on
    (tmp_path / "damaged.jpg").write_bytes(data)
    (tmp_path / "cut.webp").write_bytes(vips(noise()).write_to_buffer(".webp")[:-200])
    assert read_picture(tmp_path / "damaged.jpg").rgb.shape == (200, 300, 3)
    message = refused(tmp_path / "cut.webp")
    assert "(webp: " in message
    assert "JPEG" not in message


def test_samples_of_other_kinds_are_refused(tmp_path: Path) -> None:
    for kind in ("float", "double", "uint", "short"):
        vips(noise()).cast(kind).tiffsave(str(tmp_path / f"{kind}.tif"))
        assert kind in refused(tmp_path / f"{kind}.tif")
    vips(noise(channels=5), "multiband").tiffsave(str(tmp_path / "five.tif"))
    assert "5 bands" in refused(tmp_path / "five.tif")


def test_other_suffixes_are_refused_and_the_valid_ones_named(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    with pytest.raises(ZeroDCEError, match=r"a\.gif.*\.jpeg, .*\.webp"):
        write_picture(path, Picture(smooth()))
    assert only(tmp_path)
    assert ".webp" in refused(tmp_path / "a.psd")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in ("missing", "file"):
        path = tmp_path / folder / "a.png"
        with pytest.raises(ZeroDCEError, match="cannot be written") as caught:
            write_picture(path, Picture(smooth()))
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
    assert only(tmp_path, "file")


def test_the_target_is_replaced_in_one_step_by_a_file_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = []
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        assert read_picture(source).rgb.shape == (HEIGHT, WIDTH, 3)  # whole, and the same suffix
        moves.append((source, target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    path = tmp_path / "a.png"
    write_picture(path, Picture(noise()))
    ((partial, target),) = moves
    assert target == path
    assert partial.parent == tmp_path
    assert re.fullmatch(rf"\.a\.zerodce-\w+-{os.getpid()}-\w+\.part\.png", partial.name)
    assert only(tmp_path, "a.png")


def test_a_failure_leaves_the_target_as_it_was_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.webp").write_bytes(b"before")
    with pytest.raises(ZeroDCEError, match=r"cannot hold.*\.png") as caught:  # 16383 at most
        write_picture(tmp_path / "a.webp", Picture(np.zeros((1, 16384, 3), np.uint8)))
    assert "\n" not in str(caught.value)

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(ZeroDCEError, match="No space left"):
            write_picture(tmp_path / "a.webp", Picture(smooth()))

    (tmp_path / "folder.png").mkdir()  # the last step, the renaming, fails
    with pytest.raises(ZeroDCEError, match="cannot be written"):
        write_picture(tmp_path / "folder.png", Picture(smooth()))

    assert only(tmp_path, "a.webp", "folder.png")
    assert (tmp_path / "a.webp").read_bytes() == b"before"


def test_pictures_are_checked_when_made() -> None:
    with pytest.raises(ValueError, match="shape"):
        Picture(np.zeros((4, 5), np.uint8))
    with pytest.raises(ValueError, match="uint8 or uint16"):
        Picture(np.zeros((4, 5, 3), np.float32))
    with pytest.raises(ValueError, match="alpha"):
        Picture(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.uint16))
