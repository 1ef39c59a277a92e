"""What decoders attach to frames beside their pixels."""

from __future__ import annotations

import threading
from typing import Any

import av

from zerodce_rt.media.filters import FrameFilter

_local = threading.local()


def side_data(frame: av.VideoFrame) -> list[tuple[str, bytes]]:
    """FFmpeg's names of the kinds, and their bytes; nothing if PyAV does not know one of them.

    A frame whose side data were read is in a reference cycle, and kept until Python looks for
    cycles: hundreds of megabytes of them. So they are read from a copy of a few pixels. This is
    not possible with a frame on the GPU; do not ask every one of a video.
    """
    try:
        data: Any = _small_copy(frame).side_data
        return [(each.type.name, bytes(each)) for each in data.keys()]  # noqa: SIM118 - values
    except ValueError:  # such as a picture's EXIF block
        return []


def _small_copy(frame: av.VideoFrame) -> av.VideoFrame:
    if frame.format.name == "cuda":
        return frame
    if not hasattr(_local, "copy"):
        _local.copy = FrameFilter(("crop", "min(iw\\,16):min(ih\\,16)"), ("copy", ""))
    copies: list[av.VideoFrame] = _local.copy(frame)
    return copies[0]
