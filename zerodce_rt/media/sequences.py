"""Videos as numbered pictures, such as ``frame_%04d.png``."""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS, PixelFormat
from zerodce_rt.media.frames import convert, nearest_format
from zerodce_rt.media.hdr import LightLevels
from zerodce_rt.media.opening import decoder_options
from zerodce_rt.media.paths import NUMBER
from zerodce_rt.media.pictures import Picture, write_picture

if TYPE_CHECKING:
    from av.container import InputContainer

log = logging.getLogger(__name__)

USUAL_RATE = 25.0
"""Pictures in a second, if nobody says."""


def numbered(pattern: Path, number: int) -> Path:
    """The name of one picture.

    >>> numbered(Path("frame_%04d.png"), 7).name
    'frame_0007.png'
    """
    return pattern.with_name(NUMBER.sub(lambda match: match[0] % number, pattern.name))


def numbers_of(pattern: Path) -> list[int]:
    """The numbers of the pictures that there are, in order."""
    head, tail = NUMBER.split(pattern.name)[::2]
    wanted = re.compile(re.escape(head) + r"(\d+)" + re.escape(tail))
    found = []
    if pattern.parent.is_dir():
        for path in pattern.parent.iterdir():
            match = wanted.fullmatch(path.name)
            if match and numbered(pattern, int(match[1])).name == path.name:
                found.append(int(match[1]))
    return sorted(found)


def open_sequence(
    pattern: Path, fps: float | Fraction | None, max_pixels: float | None
) -> InputContainer:
    """Numbered pictures as a container, from the first number that there is to the first gap.

    Args:
        fps: pictures in a second; default: ``USUAL_RATE``.

    Raises:
        ZeroDCEError: there is no such picture.
        av.FFmpegError: the first one cannot be read.
    """
    numbers = numbers_of(pattern)
    if not numbers:
        raise ZeroDCEError(f"{pattern}: no such picture, with any number")
    first, last = numbers[0], numbers[-1]
    if last - first + 1 > len(numbers):
        gap = next(n for n in range(first, last) if n not in numbers)
        log.warning("%s: there is no number %d; what comes after it is left out", pattern, gap)
    rate = Fraction(fps or USUAL_RATE).limit_denominator(1_000_000)
    options = decoder_options(max_pixels) | {
        "framerate": f"{rate.numerator}/{rate.denominator}", "start_number": str(first),
        "start_number_range": "1", "pattern_type": "sequence",
        "format_whitelist": "image2", "protocol_whitelist": "file",
    }  # fmt: skip
    return av.open(str(pattern.absolute()), format="image2", options=options)


class SequenceWriter:
    """Writes frames as numbered pictures, each whole or not at all; nothing else is kept.

    Attributes:
        encoder, display_matrix, light, frames: as those of ``VideoWriter``.

    Args:
        pattern: see ``paths.is_sequence``; the first number is 1.
        overwrite: replace pictures that exist.

    Raises:
        ZeroDCEError: there are such pictures already, or one cannot be written.
    """

    encoder = "pictures"

    def __init__(self, pattern: Path, *, overwrite: bool) -> None:
        if not overwrite and numbers_of(pattern):
            raise ZeroDCEError(
                f"{numbered(pattern, numbers_of(pattern)[0])}: exists already; use "
                "`overwrite=True` to replace it"
            )
        self._pattern = pattern
        self.display_matrix: list[int] | None = None
        self.light = LightLevels()
        self.frames = 0

    def format_for(self, format: av.VideoFormat) -> PixelFormat:
        """The pixel format that ``write`` takes for frames of ``format``: any of ``FORMATS``."""
        return nearest_format(format)

    def write(self, item: av.VideoFrame | av.Packet) -> None:
        if isinstance(item, av.VideoFrame):
            self.frames += 1
            deep = nearest_format(item.format).bits > 8
            rgb = convert(item, FORMATS["rgb48le" if deep else "rgb24"]).to_ndarray()
            write_picture(numbered(self._pattern, self.frames), Picture(np.ascontiguousarray(rgb)))

    def close(self) -> None:
        """Every picture is complete already."""

    def abort(self) -> None:
        """What was written is complete, and stays."""
