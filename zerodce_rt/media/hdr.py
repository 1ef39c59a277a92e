"""HDR video: what its frames say of their light, for encoders, and how it becomes SDR."""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import Transfer
from zerodce_rt.media.filters import FrameFilter
from zerodce_rt.media.side_data import side_data

log = logging.getLogger(__name__)

_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}  # ITU-T H.273, as FFmpeg numbers them
# IPT-C2: Dolby Vision's own colours.
_IPT_MATRIX = 15
# Offsets in FFmpeg's AVDOVIRpuDataHeader.
_RPU_PROFILE, _RPU_FULL_RANGE = 4, 10
_DYNAMIC = ("DOVI_METADATA", "DOVI_RPU_BUFFER", "DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_VIVID")
# Brightest light of PQ content that does not say.
_USUAL_PEAK_NITS = 1000.0
# Less would make the table steep, and mostly means that the figure is wrong.
_LEAST_PEAK_NITS = 400.0
# Compresses highlights above diffuse white instead of cutting them off.
_TO_SDR = (
    "out_transfer=bt709:out_primaries=bt709:out_color_matrix=bt709:out_range=tv:intent=perceptual"
)


def transfer_of(color_trc: int) -> Transfer:
    """``Colour.transfer`` for a transfer function as FFmpeg numbers it."""
    return _TRANSFERS.get(color_trc, "gamma")


@dataclass(frozen=True)
class LightLevels:
    """Static metadata of HDR10 video (SMPTE ST 2086, CTA-861.3).

    Attributes:
        primaries: chromaticities x and y of red, green, blue and white of the display on which
            the video was graded; None if it does not say.
        display_nits: smallest and largest luminance of that display.
        max_cll, max_fall: brightest pixel and brightest frame in nits; 0 is unknown.
    """

    primaries: tuple[Fraction, ...] | None = None
    display_nits: tuple[Fraction, Fraction] | None = None
    max_cll: int = 0
    max_fall: int = 0

    def x265_params(self) -> str:
        """As a part of libx265's own options; empty if there is nothing to say."""
        parts = []
        if self.primaries is not None and self.display_nits is not None:
            # In units of 0.00002 and 0.0001 nits, in the order of the standard's green, blue, red.
            rx, ry, gx, gy, bx, by, wx, wy = (round(50_000 * n) for n in self.primaries)
            least, most = (round(10_000 * n) for n in self.display_nits)
            parts.append(
                f"master-display=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({most},{least})"
            )
        if self.max_cll or self.max_fall:
            parts.append(f"max-cll={self.max_cll},{self.max_fall}")
        return ":".join(parts)

    def svtav1_params(self) -> str:
        """The same for SVT-AV1."""
        parts = []
        if self.primaries is not None and self.display_nits is not None:
            rx, ry, gx, gy, bx, by, wx, wy = (f"{float(n):.5f}" for n in self.primaries)
            least, most = (f"{float(n):.4f}" for n in self.display_nits)
            parts.append(
                f"mastering-display=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})"
                f"L({most},{least})"
            )
        if self.max_cll or self.max_fall:
            parts.append(f"content-light={self.max_cll},{self.max_fall}")
        return ":".join(parts)


def light_levels(frame: av.VideoFrame) -> LightLevels:
    """What a frame says of its light."""
    primaries = display_nits = None
    max_cll = max_fall = 0
    for name, data in side_data(frame):
        if name == "MASTERING_DISPLAY_METADATA":
            numbers = np.frombuffer(data, np.int32).tolist()
            pairs = zip(numbers[0:20:2], numbers[1:20:2], strict=True)
            values = [Fraction(n, d) if d else Fraction(0) for n, d in pairs]
            has_primaries, has_luminance = numbers[20:22]
            primaries = tuple(values[:8]) if has_primaries else None
            display_nits = (values[8], values[9]) if has_luminance else None
        elif name == "CONTENT_LIGHT_LEVEL":
            max_cll, max_fall = np.frombuffer(data, np.uint32)[:2].tolist()
    return LightLevels(primaries, display_nits, max_cll, max_fall)


def peak_nits(frame: av.VideoFrame) -> float:
    """The light of a PQ frame that nothing is brightened above: so MaxCLL stays true."""
    brightest = light_levels(frame).max_cll or _USUAL_PEAK_NITS
    return float(min(max(brightest, _LEAST_PEAK_NITS), _USUAL_PEAK_NITS))


def dynamic_metadata(frame: av.VideoFrame) -> str | None:
    """The kind of metadata that describes each picture by itself, if a frame has one."""
    names = [name for name, _ in side_data(frame) if name in _DYNAMIC]
    if not names:
        return None
    return "Dolby Vision" if names[0].startswith("DOVI") else "HDR10+"


def check_base_layer(frame: av.VideoFrame, where: str) -> None:
    """Refuse Dolby Vision that is no picture without its metadata (profile 5).

    Raises:
        ZeroDCEError: for such a frame.
    """
    own_colours = int(frame.colorspace) == _IPT_MATRIX
    for name, data in side_data(frame):
        if name == "DOVI_METADATA":
            # AVDOVIMetadata begins with the offset of its header. As FFmpeg guesses the profile.
            header = struct.unpack_from("@N", data)[0]
            own_colours |= data[header + _RPU_PROFILE] == 0 and data[header + _RPU_FULL_RANGE] == 1
    if own_colours:
        raise ZeroDCEError(
            f"{where}: is Dolby Vision of profile 5, whose pictures have no meaning without their "
            "metadata; export it as HDR10, HLG or SDR first"
        )


class ToneMapper:
    """Turns HDR frames into SDR (BT.709, 10 bits); SDR frames pass as they are.

    FFmpeg's own conversion: highlights are compressed, by what a frame says of its brightest
    light, and colours outside BT.709 moved in.
    """

    def __init__(self) -> None:
        self._filter: FrameFilter | None = None

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        if transfer_of(int(frame.color_trc)) == "gamma":
            return frame
        if self._filter is None:
            log.info("preparing the conversion from HDR to SDR: some seconds")
            self._filter = FrameFilter(("scale", _TO_SDR), ("format", "yuv420p10le"))
        (mapped,) = self._filter(frame)
        return mapped
