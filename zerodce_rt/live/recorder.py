"""Recording live images with their real times, to a file that can be played at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.mailbox import ImageItem, ThreadedOutput
from zerodce_rt.live.meters import OutputMeter
from zerodce_rt.live.picture import PictureTrack
from zerodce_rt.live.sound import Sound, SoundPacket, SoundTrack, track_of
from zerodce_rt.media.encoders import EncoderSettings
from zerodce_rt.media.output_file import OutputFile
from zerodce_rt.media.reader import reason_of

# A fragment ends with each key frame; one that is not complete is lost if the program is killed.
_KEY_SECONDS = 1
# If the sound ends, images wait so many microseconds for it.
_COMMON_OPTIONS = {"flush_packets": "1", "max_interleave_delta": "1000000"}
_MOV_OPTIONS = _COMMON_OPTIONS | {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_MKV_OPTIONS = _COMMON_OPTIONS | {"cluster_time_limit": str(1000 * _KEY_SECONDS)}
_CONTAINERS = {
    ".mkv": ("matroska", _MKV_OPTIONS),
    ".mov": ("mov", _MOV_OPTIONS),
    ".mp4": ("mp4", _MOV_OPTIONS),
}
SUFFIXES = tuple(_CONTAINERS)


class Recorder(ThreadedOutput):
    """Encodes images in a thread of its own, so that nobody waits for the encoder.

    The file has its final name from the start and can be played at any moment. The first image
    sets its size; sound goes along as it is, or as AAC.

    Attributes:
        frames: written so far.
        meter: of the images that were encoded.

    Args:
        path: a new file; its suffix is one of ``SUFFIXES``.
        rate: nominal frames a second: for the encoder's rate control and the distance of key
            frames.
        settings: of the encoder; default: H.264, ``crf=23``, ``preset="ultrafast"``.
        sound: gives the sound that there is when the first image comes; default: none.

    Raises:
        ZeroDCEError: if the file cannot be written.
        ValueError: for another suffix.
    """

    def __init__(
        self, path: Path, rate: float, settings: EncoderSettings | None = None,
        *, sound: Callable[[], Sound | None] = lambda: None,
    ) -> None:  # fmt: skip
        super().__init__("zerodce-record")
        self.path = path
        self.frames = 0
        self.meter = OutputMeter(path.name)
        self._rate = Fraction(rate).limit_denominator(1001)
        self._settings = settings or EncoderSettings(preset="ultrafast", crf=23)
        self._sound = sound
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise ValueError(f"{path}: its name must end in one of {', '.join(SUFFIXES)}")
        self._format, options = _CONTAINERS[suffix]
        try:
            self._file = OutputFile(path)
            self._container: Any = av.open(self._file, "w", options=options)
        except (av.FFmpegError, OSError) as error:
            raise ZeroDCEError(f"{path}: cannot be written ({reason_of(error)})") from error
        self._encoder = self._settings.encoder_for(suffix, 8)
        self._picture: PictureTrack | None = None
        self._track: SoundTrack | None = None
        self._start = 0.0
        self._thread.start()

    def close(self) -> None:
        """Write the images that still wait, and the end of the file.

        Raises:
            ZeroDCEError: if something could not be written.
        """
        self._mail.end()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while (item := self._mail.get()) is not None:
            if self._failure is None:
                with self._noting_failure():
                    self._write(item)
        with self._noting_failure():
            if self._picture is not None and self._failure is None:
                self._container.mux(self._picture.rest())
                if self._track is not None:
                    self._container.mux(self._track.rest())
        with self._noting_failure(), self._file:
            self._container.close()
        if self.frames == 0:
            self.path.unlink(missing_ok=True)

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            known = isinstance(error, (av.FFmpegError, OSError))
            reason = (
                reason_of(self._file.failure or error)
                if known
                else f"{type(error).__name__}: {error}"
            )
            self._failure = self._failure or ZeroDCEError(
                f"{self.path}: recording broke off ({reason}); what came before can be played"
            )

    def _write(self, item: ImageItem | SoundPacket) -> None:
        if isinstance(item, ImageItem):
            picture = self._picture or self._begin(item)
            self._container.mux(picture.packets(item.image, item.seconds - self._start))
            self.frames += 1
            self.meter.sent(time.monotonic(), item.put)
        elif self._track is not None:
            self._container.mux(self._track.packets(item, self._start))

    def _begin(self, first: ImageItem) -> PictureTrack:
        self._start = first.seconds
        options = self._settings.options(self._encoder)
        self._picture = PictureTrack(
            self._container, self._encoder, options, first.image, self._rate,
            key_seconds=_KEY_SECONDS,
        )  # fmt: skip
        self._track = track_of(self._container, self._format, self._sound())
        return self._picture
