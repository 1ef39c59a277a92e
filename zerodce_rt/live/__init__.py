"""Live: a camera, a stream or a file, brightened while it plays.

``run_live`` plays what ``open_feed`` opens; ``Output`` is for further places that the images may
go to.

    from zerodce_rt import Enhancer
    from zerodce_rt.live import LiveSettings, open_feed, run_live

    run_live(open_feed(0), Enhancer.for_video(), LiveSettings(view="split"))
"""

# OpenCV must be loaded before PyAV: both bring their own libxcb, and OpenCV's windows wait for
# ever inside PyAV's. Every module of this package comes through here before it imports PyAV; where
# somebody else imported PyAV earlier, ``window.Window`` reports it.
import cv2  # noqa: F401

from zerodce_rt.live.camera import CameraSettings, list_cameras
from zerodce_rt.live.exposure import FrameRateHold
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.live.outputs import Output
from zerodce_rt.live.session import LiveSettings, run_live
from zerodce_rt.live.sources import Feed

__all__ = [
    "CameraSettings",
    "Feed",
    "FrameRateHold",
    "LiveSettings",
    "Output",
    "list_cameras",
    "open_feed",
    "run_live",
]
