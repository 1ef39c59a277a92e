"""The video of a container that is written live: images become H.264 with their own times."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.frame import FORMATS
from zerodce_rt.media.encoders import describe_picture
from zerodce_rt.media.frames import convert

_TIME_BASE = Fraction(1, 90_000)


class PictureTrack:
    """The first image sets its size, rounded down to even numbers; later ones are scaled to it.

    Args:
        container: has not begun.
        encoder, options: FFmpeg's.
        image: the first one, ``(H, W, 3)`` uint8 BGR.
        rate: nominal frames a second: for the encoder's rate control.
        key_seconds: between two key frames.
        pix_fmt: of the frames that the encoder takes, a key of ``FORMATS``.
    """

    def __init__(
        self, container: Any, encoder: str, options: Mapping[str, str],
        image: NDArray[np.uint8], rate: Fraction, *, key_seconds: float,
        pix_fmt: str = "yuv420p",
    ) -> None:  # fmt: skip
        # A chroma sample of yuv420p covers two by two pixels.
        self._format = FORMATS[pix_fmt]
        self._size = image.shape[1] & ~1, image.shape[0] & ~1
        self.stream: Any = container.add_stream(encoder, rate=rate, options=dict(options))
        context = self.stream.codec_context
        describe_picture(context, self._frame(image))
        context.time_base = self.stream.time_base = _TIME_BASE
        context.gop_size = max(2, round(2 * rate * key_seconds))
        # With B-frames, images would wait for later ones inside the encoder.
        context.max_b_frames = 0
        self._last = -1
        self._key_ticks = round(key_seconds / _TIME_BASE)
        self._key: int | None = None

    def packets(self, image: NDArray[np.uint8], seconds: float) -> list[av.Packet]:
        """What is to be written for an image.

        Args:
            seconds: since the time that is 0 in the container.
        """
        frame = self._frame(image)
        frame.pts = self._last = max(round(seconds / _TIME_BASE), self._last + 1)
        frame.time_base = _TIME_BASE
        # The encoder counts frames, of which there may be fewer than the nominal rate has.
        if self._key is None or frame.pts - self._key >= self._key_ticks:
            frame.pict_type, self._key = av.video.frame.PictureType.I, frame.pts
        packets: list[av.Packet] = self.stream.encode(frame)
        return packets

    def ask_for_key(self) -> None:
        """Make the next image a key frame."""
        self._key = None

    def rest(self) -> list[av.Packet]:
        """What is still in the encoder."""
        packets: list[av.Packet] = self.stream.encode(None)
        return packets

    def _frame(self, image: NDArray[np.uint8]) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(image, "bgr24")
        return convert(frame, self._format, size=self._size)
