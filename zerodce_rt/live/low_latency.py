"""H.264 encoders for streams that are watched while they are made."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache

import av

from zerodce_rt.media.hwaccel import NoHardware, try_encoder

log = logging.getLogger(__name__)

# Above the mean of a dark room without its noise; moving crowds get less than they ask for.
_BITS_PER_PIXEL, _LEAST_BITS = 0.15, 1_000_000
# At most so many seconds of the stream are sent ahead of what the rate allows.
_BUFFER_SECONDS = 0.5

# No encoder may hold images back, and each key frame comes with the headers, so that receivers
# can begin anywhere.
_ON_CPU = {
    "preset": "superfast", "tune": "zerolatency", "crf": "23", "x264-params": "repeat-headers=1",
}  # fmt: skip
_IN_HARDWARE = {
    "h264_nvenc": {
        "preset": "p3", "tune": "ull", "rc": "vbr", "cq": "23", "delay": "0", "zerolatency": "1",
        "forced-idr": "1",
    },
    "h264_videotoolbox": {"realtime": "1", "prio_speed": "1", "q": "60"},
    "h264_qsv": {"preset": "veryfast", "async_depth": "1", "global_quality": "23",
                 "forced_idr": "1", "repeat_pps": "1"},
    "h264_amf": {"usage": "ultralowlatency", "forced_idr": "1"},
}  # fmt: skip


@dataclass(frozen=True)
class LowLatencyEncoder:
    """An encoder that gives each image at once.

    Attributes:
        name, options: FFmpeg's.
        pix_fmt: of the frames that it takes.
    """

    name: str
    options: dict[str, str]
    pix_fmt: str = "yuv420p"


def low_latency_encoder(
    width: int, height: int, rate: float, *, bits: float | None = None, baseline: bool = False
) -> LowLatencyEncoder:
    """The encoder for images of a size: in hardware if there is one that works.

    Args:
        rate: nominal frames a second.
        bits: at most so many a second; default: enough for most pictures of that size.
        baseline: the receiver decodes no more than the baseline profile; that is x264's here.
    """
    bits = bits or max(_LEAST_BITS, _BITS_PER_PIXEL * width * height * rate)
    limits = {"maxrate": f"{bits:.0f}", "bufsize": f"{bits * _BUFFER_SECONDS:.0f}"}
    name = None if baseline else _hardware(width, height)
    if name is not None:
        return LowLatencyEncoder(name, _IN_HARDWARE[name] | limits, "nv12")
    profile = {"profile": "baseline"} if baseline else {}
    return LowLatencyEncoder("libx264", _ON_CPU | limits | profile)


@cache
def _hardware(width: int, height: int) -> str | None:
    """Name of the first encoder in hardware that encodes an image of that size."""
    for name, options in _IN_HARDWARE.items():
        if name in av.codecs_available:
            try:
                try_encoder(name, options, "nv12", width, height)
            except NoHardware as reason:
                log.debug("%s: %s", name, reason)
            else:
                return name
    return None
