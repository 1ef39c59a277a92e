"""What decoders attach to frames beside their pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av


def side_data(frame: av.VideoFrame) -> list[tuple[str, bytes]]:
    """FFmpeg's names of the kinds, and their bytes; nothing if PyAV does not know one of them.

    The frame is in a reference cycle from here on; do not ask every frame of a video.
    """
    try:
        found: Any = frame.side_data
    except ValueError:  # such as a picture's EXIF block
        return []
    return [(data.type.name, bytes(data)) for data in found.keys()]  # noqa: SIM118 - values
