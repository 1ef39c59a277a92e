"""Still pictures, read and written with their depth, transparency and metadata.

By libvips; what its wheel leaves out by FFmpeg (HEIC, BMP, JPEG 2000) and LibRaw (camera raw).
"""

from __future__ import annotations

import logging
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.atomic import finished_file
from zerodce_rt.errors import ZeroDCEError, check_numbers
from zerodce_rt.media import picture_kinds as kinds
from zerodce_rt.media.heif import Heif, HeifError, read_heic
from zerodce_rt.media.opening import check_file, check_pixels, pixel_limit
from zerodce_rt.media.paths import PICTURE_SUFFIXES, RAW_SUFFIXES, READ_SUFFIXES, is_picture
from zerodce_rt.media.raw import develop

log = logging.getLogger(__name__)

_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".jpg": {"Q": 95},
    ".jpeg": {"Q": 95},
    ".png": {},
    ".tif": {"compression": "deflate", "predictor": "horizontal"},
    ".tiff": {"compression": "deflate", "predictor": "horizontal"},
    ".webp": {"Q": 95},
    # libvips keeps colour at full resolution from 90. Its usual effort, 4, takes minutes for a
    # photo, and saves nothing that counts.
    ".avif": {"Q": 90, "compression": "av1", "effort": 2},
}
_LOSSY = frozenset(suffix for suffix, options in _SAVE_OPTIONS.items() if "Q" in options)
_JPEG = (".jpg", ".jpeg")
_TIFF = (".tif", ".tiff")
# Of a pixel with four samples of 16 bits; and beside all pixels.
_MOST_BYTES, _MOST_METADATA = 8, 64_000_000
_LONGEST_START = 4096
_EIGHT_BIT = (*_JPEG, ".webp")
_AVIF_BITS = 12
# FFmpeg's names.
_FFMPEG_DECODERS = {"BMP": "bmp", "JPEG 2000": "jpeg2000"}
# A JP2's colour spaces: sRGB, grey, sYCC.
_JP2_SPACES = (None, 16, 17, 18)
# Kinds of which the first frame is taken.
_FIRST_FRAME = ("GIF", "AVIF")
# A marker in a JPEG holds no more, less its name and length.
_LONGEST_EXIF = 65535 - 8

# Header fields that describe the samples or the file that they were in, not the picture.
# fmt: off
_NOT_CARRIED = frozenset({
    "width", "height", "bands", "format", "coding", "interpretation", "xoffset", "yoffset",
    "xres", "yres", "filename", "vips-loader", "vips-sequential", "bits-per-sample", "palette",
    "n-pages", "heif-primary", "heif-compression", "interlaced", "page-height", "loop", "delay",
    "gif-loop", "gif-delay", "gif-palette", "background",
})
# fmt: on
# Made for the samples before enhancement: an Ultra HDR gain map, the tags of a preview.
_STALE = ("gainmap-", "exif-ifd1-")
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


def check_quality(quality: int | None) -> None:
    """Refuse a quality of lossy pictures outside 1 (smallest file) to 100 (best).

    Raises:
        TypeError: it is no number.
        ValueError: it is outside the range, or no whole number.
    """
    check_numbers(quality=quality)
    if quality is not None and (not 1 <= quality <= 100 or quality != int(quality)):
        raise ValueError(f"`quality` must be a whole number from 1 to 100, not {quality}")


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
    vips = _pyvips()
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
        profile = vips.Operation.call("profile_load", "p3")
        picture.header.set_type(vips.GValue.blob_type, "icc-profile-data", profile)
    return picture


def _read_by_libvips(path: Path, data: bytes, kind: str, max_pixels: float | None) -> Picture:
    vips = _pyvips()
    if kinds.is_avif_animation(data):
        raise ZeroDCEError(f"{path}: is an animation; save the frame you want as a file of its own")
    try:
        # A laxer level accepts TIFFs that are cut short; a stricter one refuses good photos.
        image = vips.Image.new_from_buffer(data, "", access="sequential", fail_on="error")
        check_pixels(path, image.width, image.height, max_pixels, video=False)
        _check_pages(path, kind, image.get_n_pages())
        header = _empty_header().copy(xres=image.xres, yres=image.yres)
        _carry(image, header)
        if kind == "AVIF":  # is turned already, though it may go on saying how it was stored
            _mark_upright(header)
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
    except (vips.Error, UnicodeError) as error:  # a reason that quotes damaged bytes
        if kind == "JPEG XL":  # which libvips reads in some builds, but not in its wheel
            raise ZeroDCEError(
                f"{path}: is JPEG XL, which libvips as installed here cannot read; save it as "
                "JPEG, PNG or AVIF first"
            ) from error
        raise _damaged(path, _reason(error)) from error
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
    header = _empty_header()
    if profile:
        header.set_type(_pyvips().GValue.blob_type, "icc-profile-data", profile)
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
    header = _empty_header()
    blob = _pyvips().GValue.blob_type
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
    jpeg = _pyvips().Image.black(1, 1).jpegsave_buffer(keep="none")
    return jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]


def _read_raw(path: Path, data: bytes, max_pixels: float | None) -> Picture:
    """A camera's raw file, with the EXIF tags of its preview."""
    rgb, preview = develop(path, data, max_pixels)
    header = _empty_header()
    if preview is not None:
        _carry_exif(path, preview, header)
    return Picture(rgb, header=header)


def _carry_exif(path: Path, jpeg: bytes, header: Any) -> None:
    """Copy the EXIF tags of a JPEG, but for those of its preview, for a picture that is upright."""
    vips = _pyvips()
    try:
        image = vips.Image.new_from_buffer(jpeg, "")
        for name in image.get_fields():
            if name.startswith("exif-ifd") and not name.startswith(_STALE):
                header.set_type(image.get_typeof(name), name, image.get(name))
    except (vips.Error, UnicodeError):
        log.warning("%s: its EXIF tags cannot be read, and are left out", path)
    _mark_upright(header)


def _mark_upright(header: Any) -> None:
    """Overrule the orientation in EXIF tags of a picture that has been turned already."""
    header.remove("exif-ifd0-Orientation")
    # Removing it would leave it in the raw EXIF block.
    header.set_type(_pyvips().GValue.gint_type, "orientation", 1)


def _empty_header() -> Any:
    return _pyvips().Image.black(1, 1).copy()


def _fields(picture: Picture) -> list[str]:
    return [] if picture.header is None else picture.header.get_fields()


def _damaged(path: Path, reason: str) -> ZeroDCEError:
    return ZeroDCEError(
        f"{path}: not a picture, damaged or cut short ({reason}); "
        "see whether another program opens it"
    )


def write_picture(path: Path, picture: Picture, quality: int | None = None) -> None:
    """Write a picture with its metadata, whole or not at all; the suffix chooses the format.

    PNG and TIFF are written without loss. What a format cannot hold is left out with a warning:
    16 bits in JPEG and WebP (rounded to 8) and AVIF (12, or as many as it was read with),
    transparency in JPEG, EXIF tags in TIFF. WebP and AVIF have no grey, so three channels are
    written. Embedded previews, which show the picture as it was before, are left out.

    Args:
        quality: of JPEG, WebP and AVIF, 1 (smallest file) to 100 (best); default: 95, of AVIF 90.
            It does nothing for the others, with a warning.

    Raises:
        ZeroDCEError: for another suffix, a place that cannot be written to, or a picture that
            the format cannot hold (AVIF and WebP end at 16383 pixels a side, JPEG at 65535).
        ValueError: a quality outside its range.
    """
    check_quality(quality)
    suffix = _suffix(path)
    vips = _pyvips()
    samples, alpha = picture.rgb, picture.alpha
    if picture.grey:
        total = samples.sum(axis=2, keepdims=True, dtype=np.uint32)
        samples = ((total + 1) // 3).astype(samples.dtype)
    if alpha is not None and suffix in _JPEG:
        log.warning("%s: JPEG has no transparency; write PNG, TIFF, WebP or AVIF to keep it", path)
    elif alpha is not None:
        samples = np.dstack([samples, alpha])
    options = dict(_SAVE_OPTIONS[suffix])
    if samples.dtype == np.uint16 and suffix in _EIGHT_BIT:
        log.warning("%s: this format has 8 bits; write PNG, TIFF or AVIF to keep more", path)
        samples = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    elif samples.dtype == np.uint16 and suffix == ".avif":
        if (picture.bits or 16) > _AVIF_BITS:
            log.warning("%s: AVIF has 12 bits; write PNG or TIFF to keep all 16", path)
        options["bitdepth"] = 10 if picture.bits == 10 else _AVIF_BITS
        samples = _rounded(samples, options["bitdepth"])
    if quality is not None and suffix in _LOSSY:
        options["Q"] = int(quality)
    elif quality is not None:
        log.warning(
            "%s: is written without loss, so `quality` does nothing; .jpg, .webp and .avif have it",
            path,
        )

    deep = samples.dtype == np.uint16
    space = ("grey16" if deep else "b-w") if picture.grey else ("rgb16" if deep else "srgb")
    image = vips.Image.new_from_array(samples, interpretation=space)
    if picture.header is not None:
        image = image.copy(xres=picture.header.xres, yres=picture.header.yres)
        _carry(picture.header, image)
        if suffix in _TIFF:
            _fit_tiff(path, image)
    try:
        data = image.write_to_buffer(suffix, **options)
    except vips.Error as error:
        raise ZeroDCEError(
            f"{path}: cannot hold this picture ({_reason(error)}); try another of {_valid()}"
        ) from error

    with finished_file(path) as partial:
        partial.write_bytes(data)


def _rounded(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """Samples rounded to the upper bits of 16; libvips would cut the others off."""
    most = (1 << bits) - 1
    rounded = (samples.astype(np.uint32) * most + 32767) // 65535
    return (rounded << (16 - bits)).astype(np.uint16)


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


def _pyvips() -> Any:
    # libvips warns of each oddity of a damaged file; what matters is in its errors.
    logging.getLogger("pyvips").setLevel(logging.CRITICAL)
    first = "pyvips" not in sys.modules
    os.environ.setdefault("VIPS_WARNING", "1")
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: pyvips is there, libvips is not
        raise ZeroDCEError(
            "still pictures need pyvips and libvips; pip install 'pyvips[binary]'"
        ) from error
    if first:  # its handler for such warnings fails where they quote damaged bytes
        pyvips._remove_log_handler()
    return pyvips


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise ZeroDCEError(f"{path}: not a kind of picture that is written; valid: {_valid()}")
    return suffix


def _valid() -> str:
    return ", ".join(sorted(PICTURE_SUFFIXES))


def _reason(error: Any) -> str:
    # libvips collects messages of all threads and earlier calls; the last one is this call's. For
    # a damaged PNG there is none.
    lines = [] if isinstance(error, UnicodeError) else error.detail.split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "its data are damaged")


def _carry(source: Any, target: Any) -> None:
    """Copy what describes the picture, not its samples, into another libvips image."""
    for name in source.get_fields():
        if name in _NOT_CARRIED or name.startswith(_STALE):
            continue
        # The preview is in the raw EXIF block, too; an empty one removes it there.
        value = b"" if name == "jpeg-thumbnail-data" else source.get(name)
        target.set_type(source.get_typeof(name), name, value)


def _fit_tiff(path: Path, image: Any) -> None:
    """Change metadata that libvips would write to a TIFF in a form that others cannot read."""
    fields = image.get_fields()
    # Warn only of a camera's tags: libvips adds EXIF tags of its own to every picture.
    if "exif-ifd0-Make" in fields or "exif-ifd2-DateTimeOriginal" in fields:
        log.warning("%s: libvips writes no EXIF tags to TIFF; PNG, JPEG and WebP keep them", path)
    if "iptc-data" in fields:
        iptc = image.get("iptc-data")
        if iptc.startswith(b"Photoshop"):  # as JPEG wraps it; readers of TIFF do not understand it
            image.remove("iptc-data")
        else:
            # libvips 8.18 writes only a quarter of the bytes; readers ignore zeros at the end.
            padded = iptc + bytes(3 * len(iptc))
            image.set_type(image.get_typeof("iptc-data"), "iptc-data", padded)
