"""Videos as numbered pictures, such as ``frame_%04d.png``."""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.frame import FORMATS, PixelFormat
from zerodce_rt.media.facts import SourceFacts
from zerodce_rt.media.frames import convert, nearest_format
from zerodce_rt.media.opening import decoder_options
from zerodce_rt.media.paths import NUMBER
from zerodce_rt.media.picture_writer import write_picture
from zerodce_rt.media.pictures import Picture
from zerodce_rt.media.pipes import USUAL_RATE

if TYPE_CHECKING:
    from av.container import InputContainer

log = logging.getLogger(__name__)


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


def check_apart(source: Path, output: Path) -> None:
    """Refuse numbered pictures that would replace those from which they are made.

    Raises:
        ZeroDCEError: they would.
    """
    inputs = {numbered(source, n).resolve() for n in numbers_of(source)}
    numbers = [*range(1, len(inputs) + 1), *numbers_of(output)]
    if any(numbered(output, n).resolve() in inputs for n in numbers):
        raise ZeroDCEError(f"{output}: are pictures of the input; choose another `output`")


def open_sequence(
    pattern: Path, fps: float | Fraction | None, max_pixels: float | None
) -> InputContainer:
    """Numbered pictures as a container, from the first number that there is to the first gap.

    Args:
        fps: pictures in a second; default: ``pipes.USUAL_RATE``.

    Raises:
        ZeroDCEError: there is no such picture.
        av.FFmpegError: the first one cannot be read.
    """
    numbers = numbers_of(pattern)
    if not numbers:
        raise ZeroDCEError(f"{pattern}: no such picture, with any number")
    gap = next((a + 1 for a, b in pairwise(numbers) if b > a + 1), None)
    if gap is not None:
        log.warning("%s: there is no number %d; what comes after it is left out", pattern, gap)
    rate = Fraction(USUAL_RATE if fps is None else fps).limit_denominator(1_000_000)
    options = decoder_options(max_pixels) | {
        "framerate": f"{rate.numerator}/{rate.denominator}", "start_number": str(numbers[0]),
        "start_number_range": "1", "pattern_type": "sequence",
        "format_whitelist": "image2", "protocol_whitelist": "file",
    }  # fmt: skip
    folder = str(pattern.absolute().parent).replace("%", "%%")  # the number is in the name only
    return av.open(f"{folder}/{pattern.name}", format="image2", options=options)


class SequenceWriter:
    """Writes frames as numbered pictures, each whole or not at all; nothing else is kept.

    Attributes:
        frames: written so far.
        name, facts, frames_on_gpu: as those of ``VideoEncoder``.

    Args:
        pattern: see ``paths.is_sequence``; the first number is 1.
        overwrite: replace pictures that exist.

    Raises:
        ZeroDCEError: there are such pictures already, or one cannot be written.
    """

    name = "pictures"
    frames_on_gpu = None

    def __init__(self, pattern: Path, *, overwrite: bool) -> None:
        if not overwrite and numbers_of(pattern):
            raise ZeroDCEError(
                f"{numbered(pattern, numbers_of(pattern)[0])}: exists already; use "
                "`overwrite=True` to replace it"
            )
        self._pattern = pattern
        self.facts: SourceFacts | None = None
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
        """Say what an older and longer video has left; it may be somebody's own."""
        older = [n for n in numbers_of(self._pattern) if not 1 <= n <= self.frames]
        if older:
            log.warning(
                "%s: from before, there are %d more pictures with other numbers, such as %d",
                self._pattern, len(older), older[0],
            )  # fmt: skip

    def abort(self) -> None:
        """What was written is complete, and stays."""
