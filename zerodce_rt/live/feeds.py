"""From what people write on the command line to a feed of pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.camera import Camera, CameraSettings, camera_name
from zerodce_rt.live.exposure import FrameRateHold
from zerodce_rt.live.sources import Feed
from zerodce_rt.live.stream import FilePlayer, Stream
from zerodce_rt.media.paths import is_picture

SCHEMES = (
    "http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp",
)  # fmt: skip


def camera_device(source: str) -> int | str | None:
    """Number or path of the camera that ``source`` names; None if it names none."""
    if source.isdecimal():
        return int(source)
    return source if source.startswith("/dev/") else None


def frame_rate_hold(source: str) -> FrameRateHold:
    """What keeps a camera's frame rate up.

    Raises:
        ZeroDCEError: if ``source`` is not a camera.
    """
    device = camera_device(source)
    if device is None:
        raise ZeroDCEError(f"{source}: is not a camera; --keep-fps is for cameras only")
    return FrameRateHold(device if isinstance(device, str) else f"/dev/video{device}")


def open_feed(
    source: str, *, camera: CameraSettings | None = None, hold: FrameRateHold | None = None
) -> Feed:
    """The pictures of a camera, a stream or a file; it is opened when the feed is iterated.

    Args:
        source: a camera's number or device path, a URL, or a file's path.
        camera: what to ask of a camera.

    Raises:
        ZeroDCEError: for an unknown kind of URL, or a file that does not exist.
    """
    device = camera_device(source)
    if device is not None:
        if isinstance(device, str) and sys.platform == "linux" and not Path(device).exists():
            raise ZeroDCEError(f"{device}: no such camera; see 'zerodce-rt live --list-cameras'")
        settings = camera or CameraSettings()
        advice = "" if hold else "in the dark cameras slow down, which --keep-fps forbids"
        name = camera_name(device)
        return Feed(name, lambda: Camera(device, settings, hold), slow_advice=advice)
    scheme, separator, _ = source.partition("://")
    if separator:
        if scheme.lower() not in SCHEMES:
            raise ZeroDCEError(
                f"{without_password(source)}: unknown kind of stream; valid: {', '.join(SCHEMES)}"
            )
        name = without_password(source)
        return Feed(name, lambda: Stream(source, name))
    path = Path(source)
    if path.is_dir() or is_picture(path):
        raise ZeroDCEError(
            f"{source}: is no video; 'zerodce-rt enhance' takes pictures and folders"
        )
    if not path.is_file():
        raise ZeroDCEError(
            f"{source}: no such file; a camera is a number (0), a stream starts with rtsp:// "
            "or the like"
        )
    return Feed(path.name, lambda: FilePlayer(path))


def without_password(url: str) -> str:
    """The URL as it may be shown and logged."""
    parts = urlsplit(url)
    if not parts.username and not parts.password:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
