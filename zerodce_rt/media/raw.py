"""Camera raw files, by LibRaw (rawpy): developed to sRGB of 16 bits."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.media.opening import check_pixels
from zerodce_rt.streams import silenced_stderr

_SRGB_CURVE = (2.4, 12.92)


def develop(
    path: Path, data: bytes, max_pixels: float | None
) -> tuple[NDArray[np.uint16], bytes | None]:
    """Make a picture of a raw file: the camera's white balance, no lifting, turned upright.

    Args:
        path: for messages.
        data: the whole file; LibRaw opens no other.
        max_pixels: a larger picture is refused; default: ``names.MAX_PICTURE_PIXELS``.

    Returns:
        ``(H, W, 3)`` uint16 in sRGB; and the camera's preview, a JPEG with EXIF tags, if there is
        one.

    Raises:
        ZeroDCEError: rawpy is missing; the file is damaged, cut short, too large, or of a camera
            that LibRaw does not know.
    """
    rawpy = _rawpy(path)
    try:
        # LibRaw itself writes "unknown file: Unexpected end of file" there.
        with silenced_stderr(), rawpy.imread(io.BytesIO(data)) as raw:
            sizes = raw.sizes
            width, height = (
                max(sizes.raw_width, sizes.iwidth), max(sizes.raw_height, sizes.iheight)
            )  # fmt: skip
            check_pixels(path, width, height, max_pixels, video=False)
            rgb = raw.postprocess(
                output_bps=16, use_camera_wb=True, no_auto_bright=True, gamma=_SRGB_CURVE,
                output_color=rawpy.ColorSpace.sRGB,
            )  # fmt: skip
            preview = _preview(rawpy, raw)
    except (rawpy.LibRawError, rawpy.NotSupportedError) as error:
        raise ZeroDCEError(
            f"{path}: not a raw file that LibRaw reads, damaged or cut short ({_reason(error)}); "
            "save it as DNG or as 16-bit TIFF first"
        ) from error
    if rgb.ndim == 2 or rgb.shape[2] == 1:  # a sensor without colour filters
        rgb = np.repeat(rgb.reshape(*rgb.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(rgb), preview


def _rawpy(path: Path) -> Any:
    try:
        import rawpy
    except ImportError as error:
        raise ZeroDCEError(
            f"{path}: camera raw files need rawpy; pip install 'zerodce-rt[raw]'"
        ) from error
    return rawpy


def _preview(rawpy: Any, raw: Any) -> bytes | None:
    try:
        preview = raw.extract_thumb()
    except (rawpy.LibRawError, rawpy.NotSupportedError):
        return None
    return preview.data if preview.format == rawpy.ThumbFormat.JPEG else None


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else type(error).__name__
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
