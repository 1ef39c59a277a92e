"""Frames to look at before a run: any place of a file, as it is and as it would be.

What was read is kept, so that the sliders need no reading, and so are pictures that were made.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import cv2
import numpy as np

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.stills import Image, Still, read_still
from zerodce_rt.studio.library import MediaFile
from zerodce_rt.studio.settings import Look

_STILLS_BYTES = 512 * 2**20
_PICTURES_BYTES = 64 * 2**20
# Longest side of what the page gets.
_LONGEST_SIDE = 1920
_JPEG_QUALITY = 92

T = TypeVar("T")


class _Kept(Generic[T]):
    """What was used last, up to so many bytes; the newest always."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._held = most_bytes, 0
        self._items: OrderedDict[object, tuple[T, int]] = OrderedDict()

    def get(self, key: object) -> T | None:
        if key not in self._items:
            return None
        self._items.move_to_end(key)
        return self._items[key][0]

    def put(self, key: object, item: T, size: int) -> None:
        self._items[key] = item, size
        self._held += size
        while self._held > self._most and len(self._items) > 1:
            self._held -= self._items.popitem(last=False)[1][1]


class Previews:
    """Makes pictures of files, as JPEG. One thread at a time works; others wait.

    Args:
        make_enhancer: makes one for video, when the first is needed.
    """

    def __init__(self, make_enhancer: Callable[[], Enhancer]) -> None:
        self._make_enhancer = make_enhancer
        self._enhancer: Enhancer | None = None
        self._stills: _Kept[Still] = _Kept(_STILLS_BYTES)
        self._pictures: _Kept[bytes] = _Kept(_PICTURES_BYTES)
        self._lock = threading.Lock()

    def picture(
        self, file: MediaFile, seconds: float, look: Look | None, *, nearby: bool = False
    ) -> bytes:
        """A place of a file.

        Args:
            seconds: from the beginning of a video.
            look: None: as it is.
            nearby: a key frame before it will do, which is read sooner.

        Returns:
            A JPEG, upright, with square pixels, its longest side at most 1920 pixels.

        Raises:
            ZeroDCEError: if the file cannot be read.
        """
        with self._lock:
            # A frame's number tells two places apart, if its rate is known.
            place = file.id, round(seconds * file.fps) if file.fps else seconds
            nearby = nearby and self._stills.get((place, False)) is None
            key = place, nearby, look
            picture = self._pictures.get(key)
            if picture is None:
                picture = self._made(self._still(file, place, seconds, nearby), look)
                self._pictures.put(key, picture, len(picture))
            return picture

    def _still(self, file: MediaFile, place: object, seconds: float, nearby: bool) -> Still:
        still = self._stills.get((place, nearby))
        if still is None:
            still = read_still(file.path, seconds, nearby=nearby)
            self._stills.put((place, nearby), still, still.nbytes)
        return still

    def _made(self, still: Still, look: Look | None) -> bytes:
        if look is None:
            return _jpeg(still.before(), still.aspect)
        if self._enhancer is None:
            self._enhancer = self._make_enhancer()
        self._enhancer.strength, self._enhancer.denoise = look.strength, look.denoise
        return _jpeg(still.after(self._enhancer), still.aspect)


def _jpeg(image: Image, aspect: float) -> bytes:
    height, width = image.shape[0], image.shape[1] * aspect
    scale = min(1.0, _LONGEST_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    bgr = np.ascontiguousarray(image[..., ::-1])
    if size != (image.shape[1], image.shape[0]):
        bgr = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return bytes(cv2.imencode(".jpg", bgr, quality)[1].tobytes())
