"""libvips, loaded when the first picture is, and the metadata that its images carry."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from zerodce_rt.errors import ZeroDCEError

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
STALE = ("gainmap-", "exif-ifd1-")


def library() -> Any:
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


def empty_header() -> Any:
    return library().Image.black(1, 1).copy()


def carry(source: Any, target: Any) -> None:
    """Copy what describes the picture, not its samples, into another libvips image."""
    for name in source.get_fields():
        if name in _NOT_CARRIED or name.startswith(STALE):
            continue
        # The preview is in the raw EXIF block, too; an empty one removes it there.
        value = b"" if name == "jpeg-thumbnail-data" else source.get(name)
        target.set_type(source.get_typeof(name), name, value)


def mark_upright(header: Any) -> None:
    """Overrule the orientation in EXIF tags of a picture that has been turned already."""
    header.remove("exif-ifd0-Orientation")
    # Removing it would leave it in the raw EXIF block.
    header.set_type(library().GValue.gint_type, "orientation", 1)


def reason(error: Any) -> str:
    # libvips collects messages of all threads and earlier calls; the last one is this call's. For
    # a damaged PNG there is none.
    lines = [] if isinstance(error, UnicodeError) else error.detail.split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "its data are damaged")
