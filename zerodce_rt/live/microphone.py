"""The sound of a microphone, by FFmpeg's devices."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
from typing import Any

import av

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.clock import MediaClock
from zerodce_rt.live.sound import Listener, Sound, tap_of
from zerodce_rt.media.reader import demuxed, reason_of

log = logging.getLogger(__name__)

# FFmpeg's devices of each system, the best first; which of them there are, the build decides.
_DEVICES = {"Linux": ("pulse", "alsa"), "Darwin": ("avfoundation",), "Windows": ("dshow",)}
# How DirectShow and AVFoundation tell sound from video in a name.
_NAMES = {"avfoundation": ":{}", "dshow": "audio={}"}
# DirectShow's default is half a second.
_OPTIONS = {"dshow": {"audio_buffer_size": "20"}}
# Some devices give the time of day, which others cannot hit by chance.
_SAME_SECONDS = 60.0
_GRACE_SECONDS = 1.0


class Microphone:
    """Reads a microphone in a thread of its own; a ``SoundSource``, and a context manager.

    Args:
        name: as the system has it, such as ``"default"`` or ``"hw:1"``.

    Raises:
        ZeroDCEError: it cannot be opened.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._container = _open(name)
        tap = tap_of(self._container)
        if tap is None:
            self._container.close()
            raise ZeroDCEError(f"microphone {name}: gives no sound")
        self._tap = tap
        self._clock = MediaClock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="zerodce-microphone", daemon=True)

    @property
    def sound(self) -> Sound | None:
        return self._tap.sound

    @property
    def listeners(self) -> list[Listener]:
        return self._tap.listeners

    def __enter__(self) -> Microphone:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_GRACE_SECONDS)
        if not self._thread.is_alive():
            self._container.close()

    def _run(self) -> None:
        try:
            for packet in demuxed(self._container, [self._tap.stream]):
                if self._stop.is_set():
                    return
                if packet.pts is not None and packet.size:
                    self._tap.give(packet, self._seconds(packet))
        except (av.FFmpegError, OSError) as error:
            log.warning("microphone %s: lost (%s)", self._name, reason_of(error))

    def _seconds(self, packet: av.Packet) -> float:
        """When a packet begins, on ``time.monotonic``'s clock."""
        now, base = time.monotonic(), packet.time_base
        media = float((packet.pts or 0) * base)
        ago = time.time() - media
        if abs(ago) < _SAME_SECONDS:
            return now - ago
        # The first packet has come when it was full.
        return self._clock.moved(media, now - float((packet.duration or 0) * base))


def _find_alsa() -> None:
    """Tell the ALSA library of PyAV's wheels where this system has its settings and plugins.

    It looks for them where it was built, finds nothing there, and knows no device at all.
    """
    library = f"{platform.machine()}-linux-gnu"  # Debian's folder; others have one for all
    known = {
        "ALSA_CONFIG_DIR": ("/usr/share/alsa",),
        "ALSA_PLUGIN_DIR": tuple(
            f"/usr/{folder}/alsa-lib" for folder in (f"lib/{library}", "lib64", "lib")
        ),
    }
    for variable, folders in known.items():
        found = next(filter(os.path.isdir, folders), None)
        if found is not None:
            os.environ.setdefault(variable, found)


def _open(name: str) -> Any:
    wanted = _DEVICES.get(platform.system(), ())
    if "alsa" in wanted:
        _find_alsa()
    found = [device for device in wanted if device in av.formats_available]
    if not found:
        raise ZeroDCEError(
            f"microphone {name}: PyAV's FFmpeg has no microphones on this system; it would need "
            + (" or ".join(wanted) or "another system")
        )
    reason = ""
    for device in found:
        try:
            url = _NAMES.get(device, "{}").format(name)
            return av.open(url, format=device, options=_OPTIONS.get(device, {}))
        except (av.FFmpegError, OSError) as error:
            reason = reason_of(error)
    raise ZeroDCEError(
        f"microphone {name}: cannot be opened by {' or '.join(found)} ({reason}); see which there "
        "are with 'arecord -L' (Linux) or in the system's settings"
    )
