"""A clip that flashes and beeps at the same time, and how far apart that is in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 25
"""Frames a second of the clip; it claps once a second, but not at 0."""

_SIZE = 320, 180
_DARK, _LIGHT = 20, 200
_BEEP_SECONDS, _FLASH_FRAMES = 0.04, 3


def write_clapper(path: Path, seconds: float, *, codec: str = "aac") -> Path:
    """Write the clip, with H.264 and mono sound."""
    samples = 8000 if codec.startswith("pcm") else 48_000
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "g": "25"})
        picture.width, picture.height = _SIZE
        sound = out.add_stream(codec, rate=samples, layout="mono")
        for number in range(round(seconds * RATE)):
            # Several frames, since live ones may be dropped.
            level = _LIGHT if number >= RATE and number % RATE < _FLASH_FRAMES else _DARK
            image = np.full((_SIZE[1], _SIZE[0], 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(picture.encode(frame.reformat(format="yuv420p")))
            times = number / RATE + np.arange(samples // RATE) / samples
            beeps = (times % 1 < _BEEP_SECONDS) & (times >= 1)
            wave = np.where(beeps, 12_000 * np.sin(2000 * np.pi * times), 0).astype(np.int16)
            part = av.AudioFrame.from_ndarray(wave[None], "s16", "mono")
            part.sample_rate, part.time_base = samples, Fraction(1, samples)
            part.pts = number * len(wave)
            out.mux(sound.encode(part))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))
    return path


@dataclass
class Heard:
    """What is in a file or stream.

    Attributes:
        times: of the frames, in seconds.
        keys: of the key frames.
        flashes, beeps: when they begin.
        reordered: whether a frame is decoded before one that is shown earlier.
        codec: of the sound; empty without.
        packets: of the sound.
    """

    times: list[float] = field(default_factory=list)
    keys: list[float] = field(default_factory=list)
    flashes: list[float] = field(default_factory=list)
    beeps: list[float] = field(default_factory=list)
    reordered: bool = False
    codec: str = ""
    packets: list[bytes] = field(default_factory=list)

    @property
    def offsets_ms(self) -> list[float]:
        """Of the beep nearest to each flash."""
        return [
            1000 * min((beep - flash for beep in self.beeps), key=abs) for flash in self.flashes
        ]


def heard(path: Path) -> Heard:
    """Read a file."""
    result, level, quiet_since = Heard(), 255.0, -1.0
    with av.open(str(path)) as container:
        if container.streams.audio:
            result.codec = container.streams.audio[0].codec_context.codec.canonical_name
        for packet in container.demux():
            if packet.size and packet.stream.type == "audio":
                result.packets.append(bytes(packet))
            elif packet.size and packet.pts is not None and packet.time_base is not None:
                result.reordered |= packet.pts != packet.dts
                if packet.is_keyframe:
                    result.keys.append(float(packet.pts * packet.time_base))
            for frame in packet.decode():
                seconds = float(frame.time or 0)
                if isinstance(frame, av.VideoFrame):
                    last, level = level, float(frame.to_ndarray(format="gray").mean())
                    result.times.append(seconds)
                    if level > last + 30:
                        result.flashes.append(seconds)
                elif isinstance(frame, av.AudioFrame):
                    wave = frame.to_ndarray().astype(float)[0]
                    wave /= 32768 if frame.format.name.startswith("s16") else 1
                    for index in np.flatnonzero(np.abs(wave) > 0.1):
                        at = seconds + float(index) / frame.sample_rate
                        if at - quiet_since > 0.3:
                            result.beeps.append(at)
                        quiet_since = at
    return result
