"""From the name of a camera, stream or file to the feed of its images."""

from __future__ import annotations

import sys
from pathlib import Path

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.camera import Camera, CameraSettings, camera_name
from zerodce_rt.live.exposure import FrameRateHold
from zerodce_rt.live.sources import Feed
from zerodce_rt.live.stream import FilePlayer, Stream
from zerodce_rt.media.paths import is_picture, without_password

SCHEMES = ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "tcp", "udp")


def camera_device(source: str) -> int | str | None:
    """Number or path of the camera that ``source`` names; None if it is not a camera."""
    if source.isdecimal():
        return int(source)
    return source if source.startswith("/dev/") else None


def frame_rate_hold(source: str) -> FrameRateHold:
    """What holds the frame rate of a camera, by its number or device path.

    Raises:
        ZeroDCEError: if ``source`` is not a camera.
    """
    device = camera_device(source)
    if device is None:
        raise ZeroDCEError(f"{source}: is not a camera; `keep_fps` is for cameras only")
    return FrameRateHold(device if isinstance(device, str) else f"/dev/video{device}")


def open_feed(
    source: int | str | Path,
    *,
    camera: CameraSettings | None = None,
    hold: FrameRateHold | None = None,
) -> Feed:
    """The images of a camera, a stream or a file, which is opened when the feed is iterated.

    Args:
        source: a camera's number (0 or ``"0"``) or device path, a URL (rtsp, http, rtmp, rtp,
            udp, tcp, or the secure form of one), or the path of a video file.
        camera: what to ask of a camera; default: 1280x720 at 30 frames a second.
        hold: ``FrameRateHold("/dev/video0")``, which keeps a camera from lowering its frame rate
            (Linux); call its ``restore`` at the end.

    Raises:
        ZeroDCEError: for a URL with another scheme, and a camera or file that does not exist or
            is not a video. Errors of opening the source are raised by the iteration.
    """
    source = str(source)
    device = camera_device(source)
    if device is not None:
        if isinstance(device, str) and sys.platform == "linux" and not Path(device).exists():
            raise ZeroDCEError(f"{device}: no such camera; `list_cameras` shows which there are")
        settings = camera or CameraSettings()
        advice = "" if hold else "cameras slow down in the dark, unless `keep_fps` forbids it"
        name = camera_name(device)
        return Feed(name, lambda: Camera(device, settings, hold), slow_advice=advice)
    scheme, separator, _ = source.partition("://")
    if separator:
        if scheme.lower() == "srt":
            raise ZeroDCEError(
                f"{without_password(source)}: PyAV's FFmpeg is built without SRT; let another "
                "program turn it into one of " + ", ".join(SCHEMES)
            )
        if scheme.lower() not in SCHEMES:
            raise ZeroDCEError(
                f"{without_password(source)}: unknown kind of stream; valid: {', '.join(SCHEMES)}"
            )
        name = without_password(source)
        return Feed(name, lambda: Stream(source, name))
    path = Path(source)
    if path.is_dir() or is_picture(path):
        raise ZeroDCEError(
            f"{source}: is not a video; 'zerodce-rt enhance' takes pictures and folders"
        )
    if not path.is_file():
        raise ZeroDCEError(
            f"{source}: no such file; a camera is a number (0), a stream starts with rtsp:// "
            "or the like"
        )
    return Feed(path.name, lambda: FilePlayer(path))
