"""Interlaced video, whose even and odd rows show different moments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import av
import av.logging

from zerodce_rt.media.filters import FrameFilter
from zerodce_rt.media.frames import downloaded

# FFmpeg's AVFieldOrder; above it, which field is coded first, and which is shown first.
_PROGRESSIVE = 1
_BOTTOM_FIRST = (3, 4)
# What FFmpeg prints for them.
_ORDERS = {
    "progressive": 1, "top first": 2, "bottom first": 3,
    "top coded first (swapped)": 4, "bottom coded first (swapped)": 5,
}  # fmt: skip
# Encoders that code fields, and the options for it; of others, none marks its frames.
_OPTIONS = {
    "libx264": {"flags": "+ildct+ilme"},
    "mpeg2video": {"flags": "+ildct+ilme"},
    "ffv1": {"flags": "+ildct+ilme"},
}


def field_order_of(container: Any, stream: Any) -> int:
    """The field order of a video that is open for reading, as FFmpeg numbers it; 0 is unknown."""
    order = getattr(stream.codec_context, "field_order", None)
    if order is not None:
        return int(order)
    # PyAV 17 does not give it.
    line = re.search(rf"^  Stream #\d+:{stream.index}\b.*", described(container), re.MULTILINE)
    return next((n for words, n in _ORDERS.items() if line and words in line[0]), 0)


def set_field_order(context: Any, order: int) -> None:
    """Tell a container the field order; H.264 and MPEG-2 say it themselves as well."""
    if hasattr(context, "field_order"):
        context.field_order = order


def described(container: Any) -> str:
    """What FFmpeg prints of an open container."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)  # below, the text is empty
    try:
        return str(container.dumps_format())
    finally:
        av.logging.set_level(level)


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
