"""Outputs with a thread of their own, for which nobody waits."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.sound import SoundPacket

# Half a second of images at 30 frames a second may wait; and some seconds of sound.
_MOST_IMAGES, _MOST_SOUNDS = 15, 250
# Containers are written in order: an image goes out when later sound is there. The encoder of the
# sound may keep the last of it.
_LEAD_SECONDS = 0.05
# Sound does not wait longer for images that do not come.
_HELD_SECONDS = 0.5


@dataclass(frozen=True)
class ImageItem:
    """An image that waits.

    Attributes:
        image: ``(H, W, 3)`` uint8 BGR.
        seconds: as for ``Output.write``.
        put: when it came here, on ``time.monotonic``'s clock.
    """

    image: NDArray[np.uint8]
    seconds: float
    put: float


class Mailbox:
    """Takes items at any time, and gives them in the order of their own times.

    The first is an image. Sound waits for the images of its time: players that are not told how
    picture and sound belong together begin both with what comes first. Images never wait for
    sound. What does not fit is left out.

    Attributes:
        dropped: images that did not fit.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._images: deque[ImageItem] = deque()
        self._sounds: deque[SoundPacket] = deque(maxlen=_MOST_SOUNDS)
        self._image_seconds: float | None = None
        self._sound_seconds = -inf
        self._ended = False
        self._changed = threading.Condition()

    def put(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Have an image wait."""
        with self._changed:
            if len(self._images) < _MOST_IMAGES:
                self._images.append(ImageItem(image, seconds, time.monotonic()))
                self._changed.notify()
            else:
                self.dropped += 1

    def put_sound(self, packet: SoundPacket) -> None:
        """Have a packet of sound wait."""
        with self._changed:
            self._sounds.append(packet)
            self._changed.notify()

    def end(self) -> None:
        """Let ``get`` give None after what waits."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def get(self) -> ImageItem | SoundPacket | None:
        """Wait for the next item; None after ``end``, again and again."""
        with self._changed:
            while True:
                if self._sound_is_next():
                    packet = self._sounds.popleft()
                    self._sound_seconds = packet.seconds
                    return packet
                if self._images:
                    image = self._images.popleft()
                    self._image_seconds = image.seconds
                    return image
                if self._ended:
                    return None
                self._changed.wait()

    def newest(self) -> ImageItem | None:
        """The newest image; what is older is left out. None, and nothing changes, without one."""
        with self._changed:
            if not self._images:
                return None
            image = self._images.pop()
            self._images.clear()
            self._image_seconds, self._sound_seconds = image.seconds, -inf
            return image

    def clear(self) -> None:
        """Leave out what waits, and begin anew."""
        with self._changed:
            self._images.clear()
            self._sounds.clear()
            self._image_seconds, self._sound_seconds = None, -inf

    def _sound_is_next(self) -> bool:
        if self._image_seconds is None or not self._sounds:
            return False
        image = self._images[0].seconds if self._images else self._image_seconds
        if self._sound_seconds <= image + _LEAD_SECONDS:
            return True
        held = self._sounds[-1].seconds - self._sounds[0].seconds
        return not self._images and (self._ended or held > _HELD_SECONDS)


class ThreadedOutput:
    """An ``Output``, and a ``SoundOutput``, whose work is done in a thread of its own.

    Attributes:
        dropped: images left out because the thread was too slow.

    Args:
        name: of the thread; whoever derives from this starts it.
    """

    def __init__(self, name: str) -> None:
        self._mail = Mailbox()
        self._failure: ZeroDCEError | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def dropped(self) -> int:
        return self._mail.dropped

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        """Take an image; arguments as for ``Output``.

        Raises:
            ZeroDCEError: what went wrong with earlier images, such as a full disk.
        """
        if self._failure is not None:
            raise self._failure
        self._mail.put(image, seconds)

    def write_sound(self, packet: SoundPacket) -> None:
        """Take a packet of sound, which may come from another thread."""
        self._mail.put_sound(packet)

    def _run(self) -> None:
        """Do something with what is in the mailbox, until that gives None."""
        raise NotImplementedError
