"""Interlaced video, whose even and odd rows show different moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av

from zerodce_rt.media.filters import FrameFilter
from zerodce_rt.media.frames import downloaded

# FFmpeg's AVFieldOrder; above it, which field is coded first, and which is shown first.
_PROGRESSIVE = 1
_BOTTOM_FIRST = (3, 4)
# Encoders that code fields, and the options for it; of others, none marks its frames.
_OPTIONS = {
    "libx264": {"flags": "+ildct+ilme"},
    "mpeg2video": {"flags": "+ildct+ilme"},
    "ffv1": {"flags": "+ildct+ilme"},
}


def is_interlaced(field_order: int) -> bool:
    """Whether a file says that it is interlaced.

    Args:
        field_order: as FFmpeg numbers it.
    """
    return field_order > _PROGRESSIVE


def field_options(encoder: str, field_order: int) -> dict[str, str] | None:
    """An encoder's options for interlaced video; None if it codes whole frames only."""
    options = _OPTIONS.get(encoder)
    if options is not None and encoder == "libx264":
        options = options | {"x264-params": "bff=1" if field_order in _BOTTOM_FIRST else "tff=1"}
    return options


def deinterlaced(items: Iterable[av.VideoFrame | av.Packet]) -> Iterator[av.VideoFrame | av.Packet]:
    """What a reader gives, with one whole frame in the place of each interlaced one.

    By FFmpeg's bwdif. Progressive frames and packets pass.
    """
    filter = FrameFilter(("bwdif", "mode=send_frame:deint=interlaced"))
    for item in items:
        if isinstance(item, av.Packet):
            yield item
        else:
            yield from filter(downloaded(item))
    yield from filter.flush()
