"""One place of a video, or a picture, before and after, for people to look at.

What is shown is upright and 8-bit SDR, whatever the file is; it is enhanced as in a whole run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.frame import FORMATS, from_array
from zerodce_rt.media.frames import blank_like, convert, nearest_format, wrap
from zerodce_rt.media.hdr import ToneMapper, check_base_layer, peak_nits
from zerodce_rt.media.paths import is_picture
from zerodce_rt.media.pictures import Picture, read_picture
from zerodce_rt.media.reader import Span, VideoReader

# The denoiser and the curve follow a video: so many frames come before the one that is shown.
_FRAMES_BEFORE = 10

Image = NDArray[np.uint8]


class Still(Protocol):
    """A place that was read, and may be enhanced with several settings.

    Attributes:
        aspect: width of a pixel in relation to its height.
        nbytes: of the memory that it takes.
    """

    @property
    def aspect(self) -> float: ...
    @property
    def nbytes(self) -> int: ...

    def before(self) -> Image:
        """As it is: ``(H, W, 3)`` uint8 RGB."""

    def after(self, enhancer: Enhancer) -> Image:
        """Enhanced with the present settings, of the same shape; forgets the enhancer's past."""


def read_still(
    source: Path, seconds: float = 0.0, *, nearby: bool = False, sdr: bool = False,
    max_pixels: float | None = None,
) -> Still:  # fmt: skip
    """Read a place of a video, or a picture.

    Args:
        seconds: from the beginning of a video. The last frame is shown after its end.
        nearby: read just the key frame before it, which is quick, and stands alone.
        sdr: HDR video is turned into SDR before it is enhanced, and not only to be shown.
        max_pixels: as for ``files.enhance_video`` and ``files.enhance_picture``.

    Raises:
        ZeroDCEError: a file that cannot be read.
    """
    if is_picture(source):
        return PictureStill(read_picture(source, max_pixels))
    with VideoReader(source, max_pixels=max_pixels) as reader:
        length, rate = reader.duration_seconds, float(reader.rate or 25)
        aspect = float(reader.stream.sample_aspect_ratio or 1)
    if length is not None:
        seconds = max(0.0, min(seconds, length - 1 / rate))
    frames = _key_frame(source, seconds, max_pixels) if nearby else []
    frames = frames or _frames_until(source, seconds, rate, max_pixels)
    check_base_layer(frames[0], str(source))
    to_sdr = ToneMapper()
    if sdr:
        frames = [to_sdr(frame) for frame in frames]
    return VideoStill(frames, aspect)


@dataclass(frozen=True)
class PictureStill:
    """A picture; a ``Still``."""

    picture: Picture
    aspect: float = 1.0

    @property
    def nbytes(self) -> int:
        return self.picture.rgb.nbytes

    def before(self) -> Image:
        return self._shown(self.picture.rgb)

    def after(self, enhancer: Enhancer) -> Image:
        source = from_array(self.picture.rgb)
        target = source.empty_like()
        enhancer.reset()
        enhancer.enhance(source, target)
        return self._shown(target.planes[0].reshape(self.picture.rgb.shape))

    def _shown(self, image: NDArray[Any]) -> Image:
        if image.dtype == np.uint16:
            image = (image >> 8).astype(np.uint8)
        return _turned(image, self.picture.header)


def _turned(image: Image, header: Any) -> Image:
    """A picture upright, by the orientation in its EXIF tags."""
    if header is None or not header.get_typeof("orientation"):
        return image
    number = int(header.get("orientation"))
    if number in (2, 4, 5, 7):  # mirrored before it is turned
        image = image[:, ::-1]
    turns = {3: 2, 4: 2, 5: 1, 6: -1, 7: -1, 8: 1}.get(number, 0)
    return np.ascontiguousarray(np.rot90(image, turns))


class VideoStill:
    """A frame, and some that come before it; a ``Still``."""

    def __init__(self, frames: Sequence[av.VideoFrame], aspect: float) -> None:
        self._frames, self._to_sdr = frames, ToneMapper()
        self.aspect = 1 / aspect if frames[-1].rotation % 180 == 90 else aspect

    @property
    def nbytes(self) -> int:
        return sum(p.buffer_size for frame in self._frames for p in frame.planes)

    def before(self) -> Image:
        return self._shown(self._frames[-1])

    def after(self, enhancer: Enhancer) -> Image:
        enhancer.reset()
        peak = peak_nits(self._frames[0])
        size = self._frames[-1].width, self._frames[-1].height
        for frame in self._frames:
            frame = convert(frame, nearest_format(frame.format), size=size)
            source, target = wrap(frame), blank_like(frame)
            if source.colour.transfer == "pq":
                source = replace(source, colour=replace(source.colour, peak_nits=peak))
            enhancer.enhance(source, wrap(target), seconds=frame.time)
        return self._shown(target)

    def _shown(self, frame: av.VideoFrame) -> Image:
        samples = np.asarray(convert(self._to_sdr(frame), FORMATS["rgb24"]).to_ndarray(), np.uint8)
        return np.rot90(samples, round(self._frames[-1].rotation / 90))


def _key_frame(source: Path, seconds: float, max_pixels: float | None) -> list[av.VideoFrame]:
    """The key frame before a time; nothing if it cannot be found at once."""
    with VideoReader(source, max_pixels=max_pixels) as reader, suppress(av.FFmpegError):
        reader.container.seek(round((seconds + reader.start_seconds) * av.time_base))
        return list(islice(reader.container.decode(reader.stream), 1))
    return []


def _frames_until(
    source: Path, seconds: float, rate: float, max_pixels: float | None
) -> list[av.VideoFrame]:
    """The frame that is shown at a time, after some that come before it."""
    span = Span(start=max(0.0, seconds - _FRAMES_BEFORE / rate))
    frames: deque[av.VideoFrame] = deque(maxlen=_FRAMES_BEFORE + 1)
    with VideoReader(source, span, max_pixels=max_pixels) as reader:
        end = seconds + reader.start_seconds
        for item in reader:
            if isinstance(item, av.Packet):
                continue
            # The next frame is too late, if there is one that is not.
            if frames and item.time is not None and item.time > end:
                break
            frames.append(item)
    return list(frames)
