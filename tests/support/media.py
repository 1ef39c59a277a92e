"""Making clips, and reading back what a file holds; needs no test framework."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


def dark_scene(index: int, width: int, height: int, *, level: float = 0.12) -> NDArray[np.uint8]:
    """A dark picture with structure and a patch that moves, ``(height, width, 3)`` uint8 RGB."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    base = np.stack([x / width, y / height, (x + y) / (width + height)], axis=-1)
    picture = 0.2 + 0.8 * base
    left = (index * 3) % max(1, width - width // 4)
    picture[height // 3 : height // 2, left : left + width // 4] = (0.9, 0.6, 0.3)
    return (picture * level * 255).round().astype(np.uint8)


def write_video(
    path: Path,
    *,
    frames: int = 12,
    size: tuple[int, int] = (96, 64),
    pix_fmt: str = "yuv420p",
    codec: str = "libx264",
    time_base: Fraction = Fraction(1, 30),
    pts: Sequence[int] | None = None,
    audio: int = 0,
    subtitle: bool = False,
    rotation: int | None = None,
    aspect: Fraction | None = None,
    tags: tuple[int, int, int, int] | None = None,
    metadata: dict[str, str] | None = None,
    chapters: Sequence[tuple[float, float, str]] = (),
    attachment: bytes | None = None,
    level: float = 0.12,
    noise: float = 0.0,
    options: dict[str, str] | None = None,
) -> None:
    """Write a clip.

    Args:
        pts: timestamps in ``time_base``; default: 0, 1, 2, ...
        audio: number of AAC tracks, each with a tone and a language of its own.
        rotation: display rotation in degrees.
        tags: range, matrix, primaries, transfer as FFmpeg numbers them.
        chapters: start and end in seconds, and title.
        attachment: contents of a text file to attach (Matroska only).
        level: of the lightest place, 0 to 1.
        noise: its standard deviation in 8-bit codes.
        options: of the encoder.
    """
    width, height = size
    times = list(pts if pts is not None else range(frames))
    with av.open(str(path), "w") as out:
        out.metadata.update(metadata or {})
        video = out.add_stream(
            codec,
            rate=Fraction(1) / time_base,
            options={"crf": "10"} if options is None else options,
        )
        video.width, video.height, video.pix_fmt = width, height, pix_fmt
        video.time_base = video.codec_context.time_base = time_base
        if aspect is not None:
            video.codec_context.sample_aspect_ratio = aspect
        if tags is not None:
            context = video.codec_context
            context.color_range, context.colorspace = tags[0], tags[1]
            context.color_primaries, context.color_trc = tags[2], tags[3]
        if rotation is not None:
            video.set_display_rotation(rotation)
        tracks = []
        for number in range(audio):
            track = out.add_stream("aac", rate=48000)
            track.metadata["language"] = ("eng", "deu", "fra")[number]
            tracks.append(track)
        text_codec = "subrip" if path.suffix == ".mkv" else "mov_text"
        text = out.add_mux_stream(text_codec) if subtitle else None
        if attachment is not None:
            out.add_attachment("note.txt", "text/plain", attachment)
        if chapters:
            out.set_chapters(
                [
                    {
                        "id": i, "start": int(a * 1000), "end": int(b * 1000),
                        "time_base": Fraction(1, 1000), "metadata": {"title": title},
                    }
                    for i, (a, b, title) in enumerate(chapters)
                ]
            )  # fmt: skip
        out.start_encoding()
        rng = np.random.default_rng(0)
        for index, at in enumerate(times):
            scene = dark_scene(index, width, height, level=level)
            if noise:
                scene = np.clip(scene + rng.normal(0, noise, scene.shape), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(scene, "rgb24")
            full = tags is not None and tags[0] == 2
            frame = frame.reformat(format=pix_fmt, dst_color_range=2 if full else 1)
            frame.pts, frame.time_base = at, time_base
            out.mux(video.encode(frame))
        seconds = float((times[-1] + 1) * time_base)
        for number, track in enumerate(tracks):
            for start in range(0, int(seconds * 48000), 1024):
                t = (np.arange(1024) + start) / 48000
                # Of rising pitch, so that no two packets are equal.
                phase = 2 * np.pi * (220 * (number + 1) * t + 90 * t * t)
                tone = (0.1 * np.sin(phase)).astype(np.float32)
                sound = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
                sound.sample_rate, sound.pts = 48000, start
                sound.time_base = Fraction(1, 48000)
                out.mux(track.encode(sound))
            out.mux(track.encode(None))
        if text is not None:
            raw = b"hello dark" if text_codec == "subrip" else b"\x00\x0ahello dark"
            packet = av.Packet(raw)
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = 100
            packet.duration = 200
            out.mux(packet)
        out.mux(video.encode(None))


def write_growing_video(path: Path, *sizes: tuple[int, int]) -> None:
    """Write a TS of ten frames of each size, one after another."""
    parts = []
    for size in sizes:
        write_video(path, size=size, frames=10, options={"crf": "10", "bf": "0"})
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))


class Probe:
    """What a file holds, read back."""

    def __init__(self, path: Path) -> None:
        with av.open(str(path)) as container:
            video = container.streams.best("video")
            assert video is not None
            context: Any = video.codec_context
            self.metadata = dict(container.metadata)
            self.chapters = [
                (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]),
                 c["metadata"].get("title"))
                for c in container.chapters()
            ]  # fmt: skip
            self.kinds = [s.type for s in container.streams]
            self.languages = [s.metadata.get("language") for s in container.streams]
            self.attachments = [s.data for s in container.streams.attachments]
            self.size = context.width, context.height
            self.pix_fmt, self.codec = context.pix_fmt, context.name
            self.aspect = video.sample_aspect_ratio
            self.rotation = 0
            self.pts: list[Fraction] = []
            self.frames: list[av.VideoFrame] = []
            self.packets: dict[int, list[tuple[Fraction, bytes]]] = {}
            for packet in container.demux([s for s in container.streams if s.type != "attachment"]):
                if packet.stream.index == video.index:
                    for frame in packet.decode():
                        assert isinstance(frame, av.VideoFrame)
                        assert frame.pts is not None
                        assert frame.time_base is not None
                        self.pts.append(frame.pts * frame.time_base)
                        self.frames.append(frame)
                        self.rotation = frame.rotation
                elif packet.size and packet.pts is not None:
                    self.packets.setdefault(packet.stream.index, []).append(
                        (packet.pts * packet.time_base, bytes(packet))
                    )
            first = self.frames[0]
            self.tags = tuple(
                int(t)
                for t in (
                    first.color_range, first.colorspace, first.color_primaries, first.color_trc
                )
            )  # fmt: skip

    def rgb(self, index: int = 0) -> NDArray[np.uint8]:
        return self.frames[index].to_ndarray(format="rgb24").astype(np.uint8)

    def level(self) -> float:
        """Mean level of all frames, 0 to 255."""
        return float(np.mean([f.to_ndarray(format="gray").mean() for f in self.frames]))
