"""What a video's first frame says of all, and no encoder works out by itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import av

from zerodce_rt.media.frames import display_matrix
from zerodce_rt.media.hdr import LightLevels, light_levels, peak_nits


@dataclass(frozen=True)
class SourceFacts:
    """Of a video that is enhanced.

    Attributes:
        size: width and height in pixels; frames of another size are scaled to it.
        display_matrix: how players should turn the picture, as FFmpeg's nine numbers, or None.
        light: static metadata of HDR video.
        peak_nits: of PQ; see ``Colour``.
    """

    size: tuple[int, int]
    display_matrix: tuple[int, ...] | None = None
    light: LightLevels = field(default_factory=LightLevels)
    peak_nits: float = 1000.0


def facts_of(first: av.VideoFrame) -> SourceFacts:
    """What the first frame of a video says."""
    matrix = display_matrix(first)
    return SourceFacts(
        (first.width, first.height), None if matrix is None else tuple(matrix),
        light_levels(first), peak_nits(first),
    )  # fmt: skip
