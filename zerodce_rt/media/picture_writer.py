"""Still pictures, written with their depth, transparency and metadata, by libvips."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.atomic import finished_file
from zerodce_rt.errors import ZeroDCEError, check_numbers
from zerodce_rt.media import vips
from zerodce_rt.media.paths import PICTURE_SUFFIXES
from zerodce_rt.media.pictures import Picture

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
_EIGHT_BIT = (*_JPEG, ".webp")
_AVIF_BITS = 12


def check_quality(quality: int | None) -> None:
    """Refuse a quality of lossy pictures outside 1 (smallest file) to 100 (best).

    Raises:
        TypeError: it is no number.
        ValueError: it is outside the range, or no whole number.
    """
    check_numbers(quality=quality)
    if quality is not None and (not 1 <= quality <= 100 or quality != int(quality)):
        raise ValueError(f"`quality` must be a whole number from 1 to 100, not {quality}")


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
    library = vips.library()
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
    image = library.Image.new_from_array(samples, interpretation=space)
    if picture.header is not None:
        image = image.copy(xres=picture.header.xres, yres=picture.header.yres)
        vips.carry(picture.header, image)
        if suffix in _TIFF:
            _fit_tiff(path, image)
    try:
        data = image.write_to_buffer(suffix, **options)
    except library.Error as error:
        raise ZeroDCEError(
            f"{path}: cannot hold this picture ({vips.reason(error)}); try another of {_valid()}"
        ) from error

    with finished_file(path) as partial:
        partial.write_bytes(data)


def _rounded(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """Samples rounded to the upper bits of 16; libvips would cut the others off."""
    most = (1 << bits) - 1
    rounded = (samples.astype(np.uint32) * most + 32767) // 65535
    return (rounded << (16 - bits)).astype(np.uint16)


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise ZeroDCEError(f"{path}: not a kind of picture that is written; valid: {_valid()}")
    return suffix


def _valid() -> str:
    return ", ".join(sorted(PICTURE_SUFFIXES))


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
