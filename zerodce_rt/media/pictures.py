"""Still pictures, by libvips: read and written with their depth, transparency and metadata."""

from __future__ import annotations

import logging
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.atomic import finished_file
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media.opening import check_file, check_pixels, pixel_limit
from zerodce_rt.media.paths import PICTURE_SUFFIXES

log = logging.getLogger(__name__)

_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".jpg": {"Q": 95},
    ".jpeg": {"Q": 95},
    ".png": {},
    ".tif": {"compression": "deflate", "predictor": "horizontal"},
    ".tiff": {"compression": "deflate", "predictor": "horizontal"},
    ".webp": {"Q": 95},
}
_JPEG = (".jpg", ".jpeg")
_TIFF = (".tif", ".tiff")
# Of JPEG, PNG, WebP and TIFF; "+" is the version of BigTIFF.
_SIGNATURES = (rb"\xff\xd8\xff", rb"\x89PNG\r\n", rb"RIFF....WEBP", rb"II[*+]\0", rb"MM\0[*+]")
# Of a pixel with four samples of 16 bits; and beside all pixels.
_MOST_BYTES, _MOST_METADATA = 8, 64_000_000
_EIGHT_BIT = (*_JPEG, ".webp")

# Header fields that describe the samples or the file that they were in, not the picture.
# fmt: off
_NOT_CARRIED = frozenset({
    "width", "height", "bands", "format", "coding", "interpretation", "xoffset", "yoffset",
    "xres", "yres", "filename", "vips-loader", "vips-sequential", "bits-per-sample", "palette",
    "n-pages",
})
# fmt: on
# Made for the samples before enhancement: an Ultra HDR gain map, the tags of a preview.
_STALE = ("gainmap-", "exif-ifd1-")


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

    Raises:
        ValueError: for other shapes and dtypes.
    """

    rgb: NDArray[Any]
    alpha: NDArray[Any] | None = None
    grey: bool = False
    header: Any = None

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
    """Decode one picture of 8 or 16 bits; it is neither rotated nor colour managed.

    Palettes, bilevel and grey become RGB; CMYK and Lab become 8-bit sRGB without a profile.
    libvips does not read the EXIF tags of a TIFF (except orientation and resolution), nor any
    but the first frame of an animated PNG.

    Args:
        max_pixels: a larger picture is refused; default: ``names.MAX_PICTURE_PIXELS``.

    Raises:
        ZeroDCEError: for another suffix, a file that is missing, damaged, cut short or no
            picture, several pages or frames, too many pixels, and samples other than 8 or 16
            unsigned bits.
    """
    _suffix(path)
    vips = _pyvips()
    data = _content(path, pixel_limit(max_pixels, video=False))
    try:
        # A laxer level accepts TIFFs that are cut short; a stricter one refuses good photos.
        image = vips.Image.new_from_buffer(data, "", access="sequential", fail_on="error")
        check_pixels(path, image.width, image.height, max_pixels, video=False)
        if image.get_n_pages() > 1:
            raise ZeroDCEError(
                f"{path}: holds {image.get_n_pages()} pages or frames, and only single pictures "
                "can be enhanced; save the one you want as a file of its own"
            )
        header = vips.Image.black(1, 1).copy(xres=image.xres, yres=image.yres)
        _carry(image, header)
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
        raise ZeroDCEError(
            f"{path}: not a picture, damaged or cut short ({_reason(error)}); "
            "see whether another program opens it"
        ) from error
    grey, has_alpha = image.bands < 3, image.bands % 2 == 0
    rgb = np.repeat(samples[..., :1], 3, axis=2) if grey else samples[..., :3]
    alpha = np.ascontiguousarray(samples[..., -1]) if has_alpha else None
    return Picture(np.ascontiguousarray(rgb), alpha, grey, header)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture with its metadata, whole or not at all; the suffix chooses the format.

    JPEG and WebP are written at quality 95, PNG and TIFF without loss. What a format cannot
    hold is left out with a warning: 16 bits (rounded to 8) in JPEG and WebP, transparency in
    JPEG, EXIF tags in TIFF. WebP has no grey, so three channels are written. Embedded previews,
    which show the picture as it was before, are left out.

    Raises:
        ZeroDCEError: for another suffix, a place that cannot be written to, or a picture that
            the format cannot hold (WebP ends at 16383 pixels a side, JPEG at 65535).
    """
    suffix = _suffix(path)
    vips = _pyvips()
    samples, alpha = picture.rgb, picture.alpha
    if picture.grey:
        total = samples.sum(axis=2, keepdims=True, dtype=np.uint32)
        samples = ((total + 1) // 3).astype(samples.dtype)
    if alpha is not None and suffix in _JPEG:
        log.warning("%s: JPEG has no transparency; write PNG, TIFF or WebP to keep it", path)
    elif alpha is not None:
        samples = np.dstack([samples, alpha])
    if samples.dtype == np.uint16 and suffix in _EIGHT_BIT:
        log.warning("%s: this format has 8 bits; write PNG or TIFF to keep all 16", path)
        samples = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)

    deep = samples.dtype == np.uint16
    space = ("grey16" if deep else "b-w") if picture.grey else ("rgb16" if deep else "srgb")
    image = vips.Image.new_from_array(samples, interpretation=space)
    if picture.header is not None:
        image = image.copy(xres=picture.header.xres, yres=picture.header.yres)
        _carry(picture.header, image)
        if suffix in _TIFF:
            _fit_tiff(path, image)
    try:
        data = image.write_to_buffer(suffix, **_SAVE_OPTIONS[suffix])
    except vips.Error as error:
        raise ZeroDCEError(
            f"{path}: cannot hold this picture ({_reason(error)}); try another of {_valid()}"
        ) from error

    with finished_file(path) as partial:
        partial.write_bytes(data)


def _content(path: Path, max_pixels: float) -> bytes:
    """All bytes of a file that may hold a picture of a kind that is supported.

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
            start = file.read(12)
            # libvips would try programs for documents and the like, too.
            if not any(re.match(signature, start, re.DOTALL) for signature in _SIGNATURES):
                raise ZeroDCEError(f"{path}: not a picture: it holds no JPEG, PNG, WebP or TIFF")
            return start + file.read()
    except OSError as error:
        raise ZeroDCEError(f"{path}: cannot be read ({error.strerror})") from error


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
        raise ZeroDCEError(f"{path}: not a kind of picture that is supported; valid: {_valid()}")
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
