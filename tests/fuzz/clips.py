"""Small videos of many containers and codecs, as bytes; the same ones each time."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.support.media import dark_scene

# Nothing random in the file, so that a case can be repeated.
_REPEATABLE = {"fflags": "+bitexact"}
_QUIET = {"libx265": {"x265-params": "log-level=error:pools=none:frame-threads=1"}}
_RATE = 30


@dataclass(frozen=True)
class Clip:
    """What a seed holds.

    Attributes:
        name: of the file; its suffix chooses the container.
        codec: FFmpeg's name of the video encoder.
        options: of the video encoder.
        sound: FFmpeg's name of the audio encoder; none if empty.
        extras: which of ``subtitle``, ``chapters``, ``attachment``, ``tags``, ``rotation`` and
            ``second`` (another video stream) there are.
        container: options of the container.
        transfer: of HDR, as FFmpeg numbers it: 16 is PQ, 18 is HLG.
    """

    name: str
    codec: str
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    sound: str = ""
    sound_rate: int = 48000
    extras: frozenset[str] = frozenset()
    container: dict[str, str] = field(default_factory=dict)
    transfer: int | None = None
    size: tuple[int, int] = (64, 48)
    frames: int = 8


_X264 = {"preset": "ultrafast", "crf": "20"}
_B_FRAMES = {"preset": "veryfast", "bf": "3", "crf": "20"}
_X265 = {"preset": "ultrafast"}
_LIGHT = (
    "log-level=error:pools=none:frame-threads=1:max-cll=600,120:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)
_VPX = {"deadline": "realtime", "cpu-used": "8"}
_INTERLACED = {"flags": "+ildct+ilme", "top": "1"}
_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}

# fmt: off
CLIPS = (
    Clip("plain.mp4", "libx264", options=_X264),
    Clip("full.mp4", "libx264", options=_B_FRAMES, sound="aac",
         extras=frozenset({"subtitle", "chapters", "tags"})),
    Clip("turned.mp4", "libx264", options=_X264, extras=frozenset({"rotation"})),
    Clip("hevc10.mp4", "libx265", "yuv420p10le", _X265, sound="aac"),
    Clip("hlg.mp4", "libx265", "yuv420p10le", _X265, sound="aac", transfer=18),
    Clip("pq.mov", "libx265", "yuv420p10le", _X265 | {"x265-params": _LIGHT}, transfer=16),
    Clip("av1.mp4", "libsvtav1", options={"preset": "13"}, sound="libopus", frames=6),
    Clip("part4.mp4", "mpeg4", options={"bf": "2"}, sound="mp2"),
    Clip("fragments.mp4", "libx264", options=_X264, sound="aac", container=_FRAGMENTED),
    Clip("phone.m4v", "mpeg4", sound="aac", extras=frozenset({"chapters"})),
    Clip("prores.mov", "prores_ks", "yuv422p10le", sound="pcm_s16le", frames=6),
    Clip("camera.mov", "libx264", "yuv422p", _B_FRAMES, sound="aac",
         extras=frozenset({"subtitle", "chapters", "rotation"})),
    Clip("motion.mov", "mjpeg", "yuvj420p", sound="pcm_alaw"),
    Clip("animation.mov", "qtrle", "rgb24", frames=6),
    Clip("screen.mov", "png", "rgb24", frames=6),
    Clip("full.mkv", "libx264", options=_B_FRAMES, sound="libopus",
         extras=frozenset({"subtitle", "chapters", "attachment", "tags"})),
    Clip("lossless.mkv", "ffv1", "yuv422p10le", sound="flac", frames=6),
    Clip("two.mkv", "libx264", "yuv444p", _X264, extras=frozenset({"second"})),
    Clip("hevc.mkv", "libx265", options=_X265, sound="ac3"),
    Clip("alpha.mkv", "ffv1", "yuva420p", frames=6),
    Clip("grey.mkv", "ffv1", "gray", frames=6),
    Clip("raw.mkv", "rawvideo", "nv12", frames=6),
    Clip("vp9.webm", "libvpx-vp9", options=_VPX, sound="libopus"),
    Clip("vp8.webm", "libvpx", options=_VPX, sound="libopus", extras=frozenset({"chapters"})),
    Clip("part4.avi", "mpeg4", options={"bf": "2"}, sound="libmp3lame"),
    Clip("motion.avi", "mjpeg", "yuvj422p", sound="pcm_s16le"),
    Clip("huff.avi", "huffyuv", "yuv422p", frames=6),
    Clip("raw.avi", "rawvideo", "bgr24", frames=6),
    Clip("old.flv", "flv", sound="libmp3lame", sound_rate=44100),
    Clip("stream.flv", "libx264", options=_X264, sound="aac"),
    Clip("stream.ts", "libx264", options=_X264, sound="aac"),
    Clip("interlaced.ts", "mpeg2video", options=_INTERLACED, sound="mp2"),
    Clip("hevc.ts", "libx265", options=_X265, sound="ac3"),
    Clip("card.m2ts", "libx264", options=_B_FRAMES, sound="ac3"),
    Clip("card.mts", "libx264", options=_X264, sound="aac"),
    Clip("disc.mpg", "mpeg1video", sound="mp2"),
    Clip("disc.mpeg", "mpeg2video", options={"bf": "2"}, sound="mp2"),
    Clip("disc.vob", "mpeg2video", sound="ac3"),
    Clip("media.wmv", "wmv2", sound="wmav2", sound_rate=44100),
    Clip("old.3gp", "h263", sound="libopencore_amrnb", sound_rate=8000, size=(128, 96)),
    Clip("new.3gp", "libx264", options=_X264, sound="aac"),
    Clip("open.ogv", "libvpx", options=_VPX, sound="libopus"),
)
# fmt: on


def made(clip: Clip) -> bytes:
    """The file's content."""
    with tempfile.TemporaryDirectory(prefix="zerodce-fuzz-") as folder:
        path = Path(folder, clip.name)
        with av.open(str(path), "w", options=_REPEATABLE | clip.container) as out:
            _fill(out, clip)
        return path.read_bytes()


def _fill(out: Any, clip: Clip) -> None:
    if "tags" in clip.extras:
        out.metadata.update(title="Nacht", artist="someone", comment="a dark room")
    videos = [_video(out, clip)]
    if "second" in clip.extras:
        videos.append(_video(out, clip))
    sound = _sound(out, clip) if clip.sound else None
    text = None
    if "subtitle" in clip.extras:
        text = out.add_mux_stream("subrip" if clip.name.endswith(".mkv") else "mov_text")
    if "attachment" in clip.extras:
        out.add_attachment("note.txt", "text/plain", b"a note")
    if "chapters" in clip.extras:
        out.set_chapters([_chapter(0, 0, 100), _chapter(1, 100, 260)])
    out.start_encoding()
    for video in videos:
        for index in range(clip.frames):
            picture = av.VideoFrame.from_ndarray(dark_scene(index, *clip.size), "rgb24")
            frame = picture.reformat(format=clip.pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, _RATE)
            out.mux(video.encode(frame))
    if sound is not None:
        _write_tone(out, sound, clip)
    if text is not None:
        raw = b"hello dark" if clip.name.endswith(".mkv") else b"\x00\x0ahello dark"
        packet = av.Packet(raw)
        packet.stream, packet.time_base = text, Fraction(1, 1000)
        packet.pts = packet.dts = 50
        packet.duration = 100
        out.mux(packet)
    for video in videos:
        out.mux(video.encode(None))


def _video(out: Any, clip: Clip) -> Any:
    options = _QUIET.get(clip.codec, {}) | clip.options
    stream = out.add_stream(clip.codec, rate=_RATE, options=options)
    stream.width, stream.height = clip.size
    stream.pix_fmt = clip.pix_fmt
    stream.codec_context.thread_count = 1
    if clip.transfer is not None:
        context = stream.codec_context
        context.colorspace = context.color_primaries = 9
        context.color_trc = clip.transfer
    if "rotation" in clip.extras:
        stream.set_display_rotation(90)
    return stream


def _sound(out: Any, clip: Clip) -> Any:
    layout = "mono" if clip.sound == "libopencore_amrnb" else "stereo"
    stream = out.add_stream(clip.sound, rate=clip.sound_rate, layout=layout)
    if clip.sound == "wmav2":  # has no bit rate of its own
        stream.bit_rate = 64_000
    return stream


def _write_tone(out: Any, stream: Any, clip: Clip) -> None:
    """Sound as long as the video, in one frame that PyAV cuts as the encoder wants."""
    time = np.arange(clip.sound_rate * clip.frames // _RATE) / clip.sound_rate
    tone = (0.1 * np.sin(2 * np.pi * (220 * time + 90 * time * time))).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]), "fltp", "stereo")
    frame.sample_rate, frame.pts, frame.time_base = clip.sound_rate, 0, Fraction(1, clip.sound_rate)
    for packet in stream.encode(frame):
        out.mux(packet)
    out.mux(stream.encode(None))


def _chapter(number: int, start: int, end: int) -> dict[str, Any]:
    return {
        "id": number, "start": start, "end": end, "time_base": Fraction(1, 1000),
        "metadata": {"title": f"part {number}"},
    }  # fmt: skip
