"""Real-time low-light video enhancement built on Zero-DCE.

>>> from zerodce_rt import Enhancer, enhance_video
>>> bright = Enhancer()(frame)                    # (H, W, 3) uint8 RGB in and out
>>> enhance_video("night.mp4", "bright.mp4", strength=0.8)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zerodce_rt.curve.maps import CurveMaps
    from zerodce_rt.enhancer import Enhancer
    from zerodce_rt.errors import ZeroDCEError
    from zerodce_rt.files import enhance_picture, enhance_video

__version__ = "0.1.0"
__all__ = [
    "CurveMaps",
    "Enhancer",
    "ZeroDCEError",
    "__version__",
    "enhance_picture",
    "enhance_video",
]

_HOMES = {
    "CurveMaps": "curve",
    "Enhancer": "enhancer",
    "ZeroDCEError": "errors",
    "enhance_picture": "files",
    "enhance_video": "files",
}


def __getattr__(name: str) -> Any:
    # Importing the package stays light: each public name brings its room when first used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
