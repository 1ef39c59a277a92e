"""Real-time low-light video enhancement built on Zero-DCE.

One picture, as an array in and out:

>>> import numpy as np
>>> from zerodce_rt import Enhancer
>>> dark = np.full((480, 640, 3), 20, np.uint8)  # RGB; order="bgr" for OpenCV's
>>> bright = Enhancer()(dark)
>>> bright.shape, bool(bright.mean() > dark.mean())
((480, 640, 3), True)

A file, with everything else in it kept:

>>> from zerodce_rt import enhance_video
>>> enhance_video("night.mp4", "bright.mp4", strength=0.8)  # doctest: +SKIP
VideoResult(output=PosixPath('bright.mp4'), frames=300)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zerodce_rt.curve.control import ControlSettings
    from zerodce_rt.curve.maps import CurveMaps
    from zerodce_rt.curve.working_size import WorkingSize
    from zerodce_rt.enhancer import Enhancer
    from zerodce_rt.errors import DeviceError, ZeroDCEError
    from zerodce_rt.files import VideoResult, enhance_picture, enhance_video
    from zerodce_rt.frame import FORMATS, Colour, Frame, PixelFormat
    from zerodce_rt.media.encoders import EncoderSettings
    from zerodce_rt.media.reader import Span

__version__ = "0.1.0"

_HOMES = {
    "FORMATS": "frame",
    "Colour": "frame",
    "ControlSettings": "curve.control",
    "CurveMaps": "curve.maps",
    "DeviceError": "errors",
    "EncoderSettings": "media.encoders",
    "Enhancer": "enhancer",
    "Frame": "frame",
    "PixelFormat": "frame",
    "Span": "media.reader",
    "VideoResult": "files",
    "WorkingSize": "curve.working_size",
    "ZeroDCEError": "errors",
    "enhance_picture": "files",
    "enhance_video": "files",
}

__all__ = [
    "FORMATS",
    "Colour",
    "ControlSettings",
    "CurveMaps",
    "DeviceError",
    "EncoderSettings",
    "Enhancer",
    "Frame",
    "PixelFormat",
    "Span",
    "VideoResult",
    "WorkingSize",
    "ZeroDCEError",
    "__version__",
    "enhance_picture",
    "enhance_video",
]


def __getattr__(name: str) -> Any:
    # Importing the package stays light: each public name imports its module when first used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
