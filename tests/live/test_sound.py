"""The sound of a source, in recordings and streams: whole, and in step with the picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.support.clapper import RATE, heard, write_clapper
from tests.support.media import write_video
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live import microphone, sound, stream
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.live.microphone import Microphone
from zerodce_rt.live.session import LiveSettings, run_live
from zerodce_rt.live.sound import SoundPacket
from zerodce_rt.media.reader import demuxed

pytestmark = pytest.mark.alone

SECONDS = 3.0


@pytest.fixture(scope="module")
def plain() -> Enhancer:
    return Enhancer.for_video(strength=0.0, denoise=0.0)


def record(source: Path, output: Path, enhancer: Enhancer, **settings: object) -> None:
    options = LiveSettings(window=False, record=output, rate=RATE, **settings)  # type: ignore[arg-type]
    run_live(open_feed(source), enhancer, options)


@pytest.mark.parametrize(
    ("source", "codec", "output", "expected"),
    [
        ("clap.mp4", "aac", "out.mp4", "aac"),
        ("clap.ts", "aac", "out.mp4", "aac"),  # with headers in its packets
        ("clap.ts", "aac", "out.mkv", "aac"),
        ("clap.mkv", "libopus", "out.mkv", "opus"),
        ("clap.mkv", "libopus", "out.mov", "aac"),  # which has no Opus
        ("clap.mov", "pcm_alaw", "out.mov", "pcm_alaw"),
        ("clap.mov", "pcm_alaw", "out.mp4", "aac"),
    ],
)
def test_recordings_have_sound(
    tmp_path: Path, plain: Enhancer, source: str, codec: str, output: str, expected: str
) -> None:
    clip = write_clapper(tmp_path / source, SECONDS, codec=codec)
    record(clip, tmp_path / output, plain)
    result = heard(tmp_path / output)
    assert result.codec == expected
    assert len(result.flashes) == 2
    # The first frame of a flash may have been dropped.
    assert min(map(abs, result.offsets_ms)) < 10
    assert max(map(abs, result.offsets_ms)) < 50
    assert len(result.beeps) >= 2


@pytest.mark.parametrize("name", ["clap.mp4", "clap.ts"])
def test_the_sound_of_the_first_image_is_there(tmp_path: Path, name: str) -> None:
    """Though it is read before that image is decoded."""
    feed = open_feed(write_clapper(tmp_path / name, SECONDS))
    heard_first: list[SoundPacket] = []
    feed.listeners.append(heard_first.append)
    images = iter(feed)
    first = next(images)
    next(images)
    feed.close()
    assert heard_first
    assert abs(min(p.seconds for p in heard_first) - first.seconds) < 0.03


def test_a_time_that_is_damaged_ends_no_sound(
    tmp_path: Path, plain: Enhancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damage(*arguments: Any) -> Iterator[av.Packet]:
        for number, packet in enumerate(demuxed(*arguments)):
            if number == 40:
                assert packet.stream.type == "audio"
                packet.pts = (packet.pts or 0) + round(1000 / packet.time_base)
            yield packet

    monkeypatch.setattr(stream, "demuxed", damage)
    clip = write_clapper(tmp_path / "clap.mp4", SECONDS)
    record(clip, tmp_path / "out.mkv", plain)
    assert len(heard(tmp_path / "out.mkv").beeps) == 2


def test_sound_that_cannot_go_along_is_left_out(
    tmp_path: Path, plain: Enhancer, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    clip = write_clapper(tmp_path / "clap.mp4", 1)

    def refuse(*_: object) -> None:
        raise ValueError("does not support this codec")

    monkeypatch.setattr(sound, "SoundTrack", refuse)
    record(clip, tmp_path / "out.mp4", plain)
    assert "the sound (aac) is left out of mp4: does not support this codec" in caplog.text
    assert heard(tmp_path / "out.mp4").codec == ""
    monkeypatch.undo()
    monkeypatch.setattr(sound, "Sound", refuse)
    record(clip, tmp_path / "again.mp4", plain)
    assert "the sound (aac) is left out: does not support this codec" in caplog.text
    assert len(heard(tmp_path / "again.mp4").times) > RATE / 2


def test_a_recording_without_sound(tmp_path: Path, plain: Enhancer) -> None:
    write_video(tmp_path / "mute.mp4", frames=20, time_base=Fraction(1, RATE))
    record(tmp_path / "mute.mp4", tmp_path / "out.mp4", plain)
    assert heard(tmp_path / "out.mp4").codec == ""


def test_sound_that_ends_keeps_no_images(tmp_path: Path, plain: Enhancer) -> None:
    """Half of the file has none: what is recorded can be read at once, and is whole."""
    clip = tmp_path / "half.mkv"
    whole = write_clapper(tmp_path / "clap.mkv", 4)
    with av.open(str(whole)) as source, av.open(str(clip), "w") as out:
        copies = {s.index: out.add_stream_from_template(s, opaque=True) for s in source.streams}
        for packet in source.demux():
            late = packet.pts is not None and packet.pts * packet.time_base > 1.5
            if packet.dts is not None and not (packet.stream.type == "audio" and late):
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    record(clip, tmp_path / "out.mp4", plain)
    result = heard(tmp_path / "out.mp4")
    assert len(result.times) >= 85
    assert len(result.flashes) == 3
    assert len(result.beeps) == 1


@pytest.fixture
def beeper(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a microphone: FFmpeg's own sounds, in real time."""
    monkeypatch.setattr(microphone, "_DEVICES", dict.fromkeys(microphone._DEVICES, ("lavfi",)))
    return "aevalsrc='0.4*sin(2000*PI*t)*lt(mod(t,1),0.04)':s=48000,asetnsamples=960,arealtime"


def test_a_microphone_keeps_time(beeper: str) -> None:
    """Each packet has the time at which its sound was made, which was just before it came."""
    late: list[float] = []

    def listen(packet: SoundPacket) -> None:
        late.append(time.monotonic() - packet.seconds - packet.duration)

    with Microphone(beeper) as source:
        source.listeners.append(listen)
        time.sleep(3)
    assert len(late) > 100
    assert np.percentile(np.abs(late), 95) < 0.05


def test_a_recording_with_a_microphone(tmp_path: Path, plain: Enhancer, beeper: str) -> None:
    clip = write_clapper(tmp_path / "clap.mp4", SECONDS, codec="libopus")
    record(clip, tmp_path / "out.mkv", plain, microphone=beeper)
    result = heard(tmp_path / "out.mkv")
    assert result.codec == "aac"
    np.testing.assert_allclose(np.diff(result.beeps), 1, atol=0.02)
    assert len(result.beeps) in (2, 3, 4)


def test_a_microphone_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "_DEVICES", {})
    with pytest.raises(ZeroDCEError, match=r"microphone hw:7: .* no microphones on this system"):
        Microphone("hw:7")
    monkeypatch.undo()
    with pytest.raises(ZeroDCEError, match=r"microphone hw:7: (cannot be opened|PyAV's FFmpeg)"):
        Microphone("hw:7")
