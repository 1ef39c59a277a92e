"""Still pictures by libvips: read and written with their depth, transparency and metadata."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.atomic import finished_file
from zerodce_rt.errors import ZeroDCEError
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
_EIGHT_BIT = (*_JPEG, ".webp")

# Header fields that belong to the samples or to the file they were in, not to the picture.
# fmt: off
_NOT_CARRIED = frozenset({
    "width", "height", "bands", "format", "coding", "interpretation", "xoffset", "yoffset",
    "xres", "yres", "filename", "vips-loader", "vips-sequential", "bits-per-sample", "palette",
    "n-pages",
})
# fmt: on
# Made for the samples as they were: an Ultra HDR gain map, the tags of an embedded preview.
_STALE = ("gainmap-", "exif-ifd1-")


@dataclass(frozen=True)
class Picture:
    """A decoded still picture, in the orientation it is stored in.

    Attributes:
        rgb: ``(H, W, 3)`` uint8 or uint16, all codes used; grey pictures have three equal
            channels.
        alpha: ``(H, W)`` of the same dtype, not premultiplied; None where there was none.
        grey: the source had one colour band, and one band is written.
        header: opaque metadata (EXIF with its orientation, XMP, IPTC, ICC profile,
            resolution) for ``write_picture``; None where there is none.
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


def read_picture(path: Path) -> Picture:
    """Decode one picture of 8 or 16 bits; samples are neither rotated nor colour managed.

    Palettes, bilevel and grey become RGB; CMYK and Lab become 8-bit sRGB without a profile.
    What libvips does not read is not in the header: EXIF tags of a TIFF (but for orientation
    and resolution), the frames of an animated PNG.

    Raises:
        ZeroDCEError: for another suffix, a file that is missing, damaged, cut short or no
            picture, several pages or frames, and samples other than 8 or 16 unsigned bits.
    """
    _suffix(path)
    vips = _pyvips()
    try:
        # From memory: no name that libvips would parse for options, no stale cached decode of
        # a file that has changed since, no handle that keeps Windows from replacing the file.
        data = path.read_bytes()
    except OSError as error:
        raise ZeroDCEError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        # Less than "error" lets TIFFs through that are cut short; more refuses sound photos.
        image = vips.Image.new_from_buffer(data, "", access="sequential", fail_on="error")
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
    except vips.Error as error:
        raise ZeroDCEError(
            f"{path}: not a picture, damaged or cut short ({_reason(error)}); "
            "see whether another program opens it"
        ) from error
    grey, has_alpha = image.bands < 3, image.bands % 2 == 0
    rgb = np.repeat(samples[..., :1], 3, axis=2) if grey else samples[..., :3]
    alpha = np.ascontiguousarray(samples[..., -1]) if has_alpha else None
    return Picture(np.ascontiguousarray(rgb), alpha, grey, header)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture in the format of the suffix, with its metadata, whole or not at all.

    JPEG and WebP are written at quality 95, PNG and TIFF without loss. What a format cannot
    hold is left out with a warning: 16 bits (rounded to 8) in JPEG and WebP, transparency in
    JPEG, EXIF tags in TIFF. WebP has no grey: there all three channels are written. Embedded
    previews of the picture as it was before are left out.

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

    try:
        with finished_file(path) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise ZeroDCEError(
            f"{path}: cannot be written ({error.strerror}); give a file name ending in "
            f"one of {_valid()}, in a folder that exists and can be written to"
        ) from error


def _pyvips() -> Any:
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: pyvips is there, libvips is not
        raise ZeroDCEError(
            "still pictures need pyvips and libvips; pip install 'pyvips[binary]'"
        ) from error
    return pyvips


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise ZeroDCEError(f"{path}: not a kind of picture that is supported; valid: {_valid()}")
    return suffix


def _valid() -> str:
    return ", ".join(sorted(PICTURE_SUFFIXES))


def _reason(error: Any) -> str:
    # libvips gathers lines over all its threads and earlier calls; the last one is this call's.
    lines = error.detail.split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")


def _carry(source: Any, target: Any) -> None:
    """Copy what describes the picture, not its samples, into another libvips image."""
    for name in source.get_fields():
        if name in _NOT_CARRIED or name.startswith(_STALE):
            continue
        # The preview also sits in the raw EXIF block; only an empty one takes it out there.
        value = b"" if name == "jpeg-thumbnail-data" else source.get(name)
        target.set_type(source.get_typeof(name), name, value)


def _fit_tiff(path: Path, image: Any) -> None:
    """Make the metadata of an image such that libvips writes a sound TIFF."""
    fields = image.get_fields()
    # libvips adds EXIF tags of its own to every picture; these two come from a camera.
    if "exif-ifd0-Make" in fields or "exif-ifd2-DateTimeOriginal" in fields:
        log.warning("%s: libvips writes no EXIF tags to TIFF; PNG, JPEG and WebP keep them", path)
    if "iptc-data" in fields:
        iptc = image.get("iptc-data")
        if iptc.startswith(b"Photoshop"):  # JPEG's wrapping, not understood in a TIFF
            image.remove("iptc-data")
        else:
            # libvips 8.18 writes a quarter of the bytes; readers ignore zeros at the end.
            padded = iptc + bytes(3 * len(iptc))
            image.set_type(image.get_typeof("iptc-data"), "iptc-data", padded)
