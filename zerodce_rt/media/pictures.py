"""Still pictures, read with their depth, transparency and metadata.

By libvips; what its wheel leaves out by FFmpeg (HEIC, BMP, JPEG 2000) and LibRaw (camera raw).
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media import picture_kinds as kinds
from zerodce_rt.media import vips
from zerodce_rt.media.heif import Heif, HeifError, read_heic
from zerodce_rt.media.opening import check_file, check_pixels, pixel_limit
from zerodce_rt.media.paths import RAW_SUFFIXES, READ_SUFFIXES, is_picture
from zerodce_rt.media.raw import develop

log = logging.getLogger(__name__)

# Of a pixel with four samples of 16 bits; and beside all pixels.
_MOST_BYTES, _MOST_METADATA = 8, 64_000_000
_LONGEST_START = 4096
# FFmpeg's names.
_FFMPEG_DECODERS = {"BMP": "bmp", "JPEG 2000": "jpeg2000"}
# A JP2's colour spaces: sRGB, grey, sYCC.
_JP2_SPACES = (None, 16, 17, 18)
# Kinds of which the first frame is taken.
_FIRST_FRAME = ("GIF", "AVIF")
# A marker in a JPEG holds no more, less its name and length.
_LONGEST_EXIF = 65535 - 8

# What XMP says of pictures and films that follow in the same file.
_STALE_XMP = (
    ("HDR gain map", rb"adobe\.com/hdr-gain-map|HDRGainMap"),
    ("motion clip", rb"""(MotionPhoto|MicroVideo)=["']1"""),
)


@dataclass(frozen=True)
class Picture:
    """A decoded still picture, in the orientation in which it is stored.

    Attributes:
        rgb: ``(H, W, 3)`` uint8 or uint16, full range, gamma-encoded; of a grey picture, three
            equal channels.
        alpha: ``(H, W)`` of the same dtype, not premultiplied; None if there is none.
        grey: the picture has one colour band, and is written with one.
        header: metadata for ``write_picture`` (EXIF with its orientation, XMP, IPTC, ICC profile,
            resolution); None if there is none.
        bits: how many of the 16 bits the file had, such as 10; the samples fill all 16 even so.

    Raises:
        ValueError: for other shapes and dtypes.
    """

    rgb: NDArray[Any]
    alpha: NDArray[Any] | None = None
    grey: bool = False
    header: Any = None
    bits: int | None = None

    def __post_init__(self) -> None:
        rgb, alpha = self.rgb, self.alpha
        if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise ValueError(f"rgb must have shape (height, width, 3), not {rgb.shape}")
        if rgb.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"rgb must be uint8 or uint16, not {rgb.dtype}")
        if alpha is not None and (alpha.shape != rgb.shape[:2] or alpha.dtype != rgb.dtype):
            raise ValueError(
                f"alpha must be {rgb.dtype} of shape {rgb.shape[:2]}, "
                f"not {alpha.dtype} of shape {alpha.shape}"
            )


def read_picture(path: Path, max_pixels: float | None = None) -> Picture:
    """Decode one picture of 8 to 16 bits; it is neither rotated nor colour managed.

    What the file is, its content decides. Palettes, bilevel and grey become RGB; CMYK and Lab
    become 8-bit sRGB without a profile; camera raw is developed to 16-bit sRGB. AVIF, HEIC and
    raw come upright, as their decoders turn them. Of a GIF, the first frame is read. libvips does
    not read the EXIF tags of a TIFF (except orientation and resolution), nor any but the first
    frame of an animated PNG. What is left out because it fits the picture as it was, such as an
    HDR gain map, is said in the log.

    Args:
        max_pixels: a larger picture is refused; default: ``names.MAX_PICTURE_PIXELS``.

    Raises:
        ZeroDCEError: for another suffix, a file that is missing, damaged, cut short or no
            picture, a kind that the libraries here cannot read, HDR colours (PQ, HLG), several
            pages or frames (but for GIF), too many pixels, and samples other than 8 to 16
            unsigned bits.
    """
    if not is_picture(path):
        valid = ", ".join(sorted(READ_SUFFIXES - RAW_SUFFIXES))
        raise ZeroDCEError(
            f"{path}: not a kind of picture that is read; valid: {valid}, camera raw"
        )
    library = vips.library()
    data, kind = _content(path, pixel_limit(max_pixels, video=False))
    if kind == "raw":
        return _read_raw(path, data, max_pixels)
    colours = kinds.colours_of(data, kind)
    if colours is not None and colours.unknown is not None:
        raise ZeroDCEError(
            f"{path}: has {colours.unknown}, which only videos can keep; save it as SDR, in sRGB "
            "or Display P3, first"
        )
    if kind in _FFMPEG_DECODERS:
        picture = _read_by_ffmpeg(path, data, kind, max_pixels)
    elif kind == "HEIC":
        picture = _read_heic(path, data, max_pixels)
    else:
        picture = _read_by_libvips(path, data, kind, max_pixels)
    if colours is not None and colours.is_p3 and "icc-profile-data" not in _fields(picture):
        profile = library.Operation.call("profile_load", "p3")
        picture.header.set_type(library.GValue.blob_type, "icc-profile-data", profile)
    return picture


def _read_by_libvips(path: Path, data: bytes, kind: str, max_pixels: float | None) -> Picture:
    library = vips.library()
    if kinds.is_avif_animation(data):
        raise ZeroDCEError(f"{path}: is an animation; save the frame you want as a file of its own")
    try:
        # A laxer level accepts TIFFs that are cut short; a stricter one refuses good photos.
        image = library.Image.new_from_buffer(data, "", access="sequential", fail_on="error")
        check_pixels(path, image.width, image.height, max_pixels, video=False)
        _check_pages(path, kind, image.get_n_pages())
        header = vips.empty_header().copy(xres=image.xres, yres=image.yres)
        vips.carry(image, header)
        if kind == "AVIF":  # is turned already, though it may go on saying how it was stored
            vips.mark_upright(header)
        _leave_out_stale(path, image, header, kinds.has_gain_map(data, kind))
        if image.interpretation in ("cmyk", "lab", "labs", "labq"):
            image = image.colourspace("srgb")
            header.remove("icc-profile-data")
        if image.format not in ("uchar", "ushort") or image.bands > 4:
            raise ZeroDCEError(
                f"{path}: has {image.bands} bands of {image.format} samples, and only grey and "
                "RGB pictures of 8 or 16 bits can be enhanced; save it as 16-bit PNG or TIFF"
            )
        samples = image.numpy().reshape(image.height, image.width, image.bands)
    except (library.Error, UnicodeError) as error:  # a reason that quotes damaged bytes
        if kind == "JPEG XL":  # which libvips reads in some builds, but not in its wheel
            raise ZeroDCEError(
                f"{path}: is JPEG XL, which libvips as installed here cannot read; save it as "
                "JPEG, PNG or AVIF first"
            ) from error
        raise _damaged(path, vips.reason(error)) from error
    bits = None
    if kind == "AVIF" and samples.dtype == np.uint16:
        bits = image.get("bits-per-sample")
        samples = _filled(samples, bits)
    return _picture(samples, header, bits)


def _picture(samples: NDArray[Any], header: Any, bits: int | None = None) -> Picture:
    """Of one to four channels."""
    bands = samples.shape[2]
    grey, has_alpha = bands < 3, bands % 2 == 0
    rgb = np.repeat(samples[..., :1], 3, axis=2) if grey else samples[..., :3]
    alpha = np.ascontiguousarray(samples[..., -1]) if has_alpha else None
    return Picture(np.ascontiguousarray(rgb), alpha, grey, header, bits)


def _filled(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """Samples in the upper bits of 16, as libheif leaves them, so that white is 65535."""
    most = (1 << bits) - 1
    upper = (samples >> (16 - bits)).astype(np.uint32)
    return ((upper * 65535 + most // 2) // most).astype(np.uint16)


def _check_pages(path: Path, kind: str, count: int) -> None:
    if count > 1 and kind in _FIRST_FRAME:
        log.warning(
            "%s: the first of its %d frames is enhanced; left out: %d", path, count, count - 1
        )  # fmt: skip
    elif count > 1:
        raise ZeroDCEError(
            f"{path}: holds {count} pages or frames, and only single pictures "
            "can be enhanced; save the one you want as a file of its own"
        )


def _leave_out_stale(path: Path, image: Any, header: Any, has_gain_map: bool) -> None:
    """Say what fits the picture as it was, and remove the XMP that speaks of it."""
    xmp = image.get("xmp-data") if image.get_typeof("xmp-data") else b""
    found = [what for what, pattern in _STALE_XMP if re.search(pattern, xmp)]
    if found:
        header.remove("xmp-data")
    if has_gain_map or any(name.startswith("gainmap-") for name in image.get_fields()):
        found.append("HDR gain map")
    for what in sorted(set(found)):
        log.warning("%s: its %s fits the picture as it was, and is left out", path, what)


def _read_by_ffmpeg(path: Path, data: bytes, kind: str, max_pixels: float | None) -> Picture:
    """A BMP or JPEG 2000, by a bare decoder that sees these bytes and nothing else."""
    size = kinds.header_size(data, kind)
    if size is None:
        raise _damaged(path, "its header is not complete")
    check_pixels(path, *size, max_pixels, video=False)
    space, profile = kinds.jp2_colours(data) if kind == "JPEG 2000" else (None, None)
    if space not in _JP2_SPACES:
        raise ZeroDCEError(f"{path}: is JPEG 2000 in a rare colour space; save it as sRGB first")
    decoder: Any = av.CodecContext.create(_FFMPEG_DECODERS[kind], "r")
    decoder.options = {
        "err_detect": "explode",
        "max_pixels": str(min(2 * size[0] * size[1] + 65536, 2**31 - 1)),
    }
    try:
        frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    except (av.FFmpegError, ValueError) as error:
        raise _damaged(path, getattr(error, "strerror", None) or str(error)) from error
    if not frames:
        raise _damaged(path, "it holds no picture")
    header = vips.empty_header()
    if profile:
        header.set_type(vips.library().GValue.blob_type, "icc-profile-data", profile)
    return _picture(_samples_of(frames[0]), header)


def _samples_of(frame: av.VideoFrame) -> NDArray[Any]:
    """The samples of a decoded BMP or JPEG 2000 with as many channels as it has."""
    components = frame.format.components
    deep = any(component.bits > 8 for component in components)
    palette = frame.format.name == "pal8"
    channels = 3 if palette else len(components)
    name = (
        ("rgba64le" if deep else "rgba") if channels % 2 == 0 else ("rgb48le" if deep else "rgb24")
    )
    frame.color_range = 2  # full; FFmpeg takes YCbCr for a video's otherwise
    samples: NDArray[Any] = frame.to_ndarray(format=name)
    if channels < 3:
        return samples[..., :1] if channels == 1 else samples[..., [0, 3]]
    return samples


def _read_heic(path: Path, data: bytes, max_pixels: float | None) -> Picture:
    """A phone's HEIC, with its EXIF tags, XMP and profile."""
    try:
        heif = Heif(data)
        for width, height in (heif.size(), heif.decoded_size()):
            check_pixels(path, width, height, max_pixels, video=False)
        (exif, xmp), profile = heif.metadata(), heif.profile
        rgb, bits = read_heic(heif)
    except HeifError as error:
        raise ZeroDCEError(
            f"{path}: a HEIC that is damaged, cut short or of a rare kind ({error}); save it as "
            "JPEG or PNG first"
        ) from error
    header = vips.empty_header()
    blob = vips.library().GValue.blob_type
    if exif:
        _carry_exif(path, _jpeg_around(exif), header)
    if xmp:
        header.set_type(blob, "xmp-data", xmp)
    if profile:
        header.set_type(blob, "icc-profile-data", profile)
    if heif.has_alpha:
        log.warning("%s: the transparency of a HEIC is not read; it is left out", path)
    _leave_out_stale(path, header, header, kinds.has_gain_map(data, "HEIC"))
    return Picture(rgb, header=header, bits=bits)


def _jpeg_around(exif: bytes) -> bytes:
    """A tiny JPEG with an EXIF block, which libvips parses in there."""
    block = b"Exif\0\0" + exif[:_LONGEST_EXIF]
    jpeg = vips.library().Image.black(1, 1).jpegsave_buffer(keep="none")
    return jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]


def _read_raw(path: Path, data: bytes, max_pixels: float | None) -> Picture:
    """A camera's raw file, with the EXIF tags of its preview."""
    rgb, preview = develop(path, data, max_pixels)
    header = vips.empty_header()
    if preview is not None:
        _carry_exif(path, preview, header)
    return Picture(rgb, header=header)


def _carry_exif(path: Path, jpeg: bytes, header: Any) -> None:
    """Copy the EXIF tags of a JPEG, but for those of its preview, for a picture that is upright."""
    library = vips.library()
    try:
        image = library.Image.new_from_buffer(jpeg, "")
        for name in image.get_fields():
            if name.startswith("exif-ifd") and not name.startswith(vips.STALE):
                header.set_type(image.get_typeof(name), name, image.get(name))
    except (library.Error, UnicodeError):
        log.warning("%s: its EXIF tags cannot be read, and are left out", path)
    vips.mark_upright(header)


def _fields(picture: Picture) -> list[str]:
    return [] if picture.header is None else picture.header.get_fields()


def _damaged(path: Path, reason: str) -> ZeroDCEError:
    return ZeroDCEError(
        f"{path}: not a picture, damaged or cut short ({reason}); "
        "see whether another program opens it"
    )


def _content(path: Path, max_pixels: float) -> tuple[bytes, str]:
    """All bytes of a file that may hold a picture of a kind that is supported, and the kind.

    From memory, since libvips would parse a name for options, might return its cached image of a
    file that has changed since, and keeps files open, which Windows then cannot replace.
    """
    try:
        if path.exists():
            check_file(path)
        if path.stat().st_size > max_pixels * _MOST_BYTES + _MOST_METADATA:
            raise ZeroDCEError(
                f"{path}: has {path.stat().st_size / 1e6:.0f} MB, more than a picture of "
                f"{max_pixels / 1e6:g} million pixels needs; `max_pixels` allows more"
            )
        with path.open("rb") as file:
            start = file.read(_LONGEST_START)
            # libvips would try programs for documents and the like, too.
            if kinds.kind_of(start) is None:
                raise ZeroDCEError(
                    f"{path}: not a picture: it holds no JPEG, PNG, TIFF, WebP, AVIF, HEIC, "
                    "BMP, GIF, JPEG 2000 or camera raw"
                )
            data = start + file.read()
    except OSError as error:
        raise ZeroDCEError(f"{path}: cannot be read ({error.strerror})") from error
    kind = kinds.kind_of(data)
    assert kind is not None
    if kind == "TIFF" and path.suffix.lower() in RAW_SUFFIXES:
        kind = "raw"
    return data, kind
