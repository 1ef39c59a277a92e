"""Sound: copied, encoded again where it must be or on request, or left out; always in step."""

from __future__ import annotations

import gc
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import VideoMaker, assert_nothing_left, one_line, run
from tests.support.media import Probe
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.files import enhance_video
from zerodce_rt.media.encoders import EncoderSettings
from zerodce_rt.media.writer import VideoWriter

RATE = 48_000


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer.for_video()


def sound_of(path: Path, track: int = 0) -> tuple[str, float, NDArray[np.float32]]:
    """Codec, time of the first sample after that of the first frame, and mono samples."""
    with av.open(str(path)) as container:
        codec = container.streams.audio[track].codec_context.name
        frames = list(container.decode(container.streams.audio[track]))
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time
    resampler = av.AudioResampler("fltp", "mono", RATE)
    samples = [s.to_ndarray()[0] for frame in frames for s in resampler.resample(frame)]
    begin = frames[0].time
    assert begin is not None
    assert first is not None
    return codec, begin - first, np.concatenate(samples)


def delay_seconds(before: Path, after: Path) -> float:
    """By how much the sound of ``after`` is later than that of ``before``."""
    (_, begin, x), (_, new_begin, y) = sound_of(before), sound_of(after)
    n = min(len(x), len(y))
    spectra = (np.fft.rfft(s[:n], 2 * n) for s in (x, y))
    first, second = spectra
    lag = int(np.argmax(np.fft.irfft(second * first.conj())))
    lag -= 2 * n if lag > n else 0
    return new_begin - begin + lag / RATE


def test_what_a_container_cannot_hold_is_encoded(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = make_video(frames=60, audio=2), tmp_path / "out.webm"
    assert run("enhance", source, "-o", output, "--quiet") == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "stream 1 (audio, aac) cannot be stored in .webm, and is encoded as opus" in lines[0]
    after = Probe(output)
    assert after.kinds == ["video", "audio", "audio"]
    assert after.languages[1:] == ["eng", "deu"]
    assert sound_of(output)[0] == "opus"
    assert abs(delay_seconds(source, output)) < 0.005
    length = len(sound_of(source, 1)[2])
    assert len(sound_of(output, 1)[2]) == pytest.approx(length, abs=0.05 * RATE)


@pytest.mark.parametrize(("codec", "name"), [("aac", "out.mkv"), ("opus", "out.mp4")])
def test_another_codec_on_request(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer, codec: str, name: str
) -> None:
    source, output = make_video(frames=60, audio=1), tmp_path / name
    enhance_video(source, output, enhancer=enhancer, audio=codec)
    assert sound_of(output)[0] == codec
    assert abs(delay_seconds(source, output)) < 0.005
    assert Probe(output).packets != Probe(source).packets


def test_a_part_of_it(make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer) -> None:
    source = make_video(frames=90, audio=1)
    for name, audio in (("copied.mp4", "copy"), ("encoded.mp4", "aac")):
        enhance_video(source, tmp_path / name, enhancer=enhancer, start=1.0, end=2.5, audio=audio)
    assert abs(delay_seconds(tmp_path / "copied.mp4", tmp_path / "encoded.mp4")) < 0.005


def test_none(make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer) -> None:
    enhance_video(make_video(audio=1), tmp_path / "out.mp4", enhancer=enhancer, audio="none")
    assert Probe(tmp_path / "out.mp4").kinds == ["video"]


def test_a_copy_that_was_asked_for_and_is_impossible(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_video(audio=1)
    output = tmp_path / "out.webm"
    assert run("enhance", source, "-o", output, "--quiet", "--audio", "copy") == 1
    line = one_line(capsys.readouterr().err)
    assert "cannot be stored in .webm" in line
    assert ".mkv" in line
    assert_nothing_left(tmp_path, "night.mp4")


COUNTS = {"mono": 1, "stereo": 2, "2.1": 3, "4.0": 4, "5.1": 6, "7.1": 8}


def write_with_sound(path: Path, layout: str, *, codec: str) -> None:
    """A second of video with a tone of 44.1 kHz."""
    count = COUNTS[layout]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25)
        sound = out.add_stream(codec, rate=44_100)
        assert isinstance(video, av.VideoStream)
        assert isinstance(sound, av.AudioStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound.codec_context.layout = layout
        for number in range(25):
            picture = np.full((48, 64, 3), 30, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = number
            out.mux(video.encode(frame))
            tone = (3000 * np.sin(np.arange(1764 * count) / 9)).astype(np.int16)
            samples = av.AudioFrame.from_ndarray(tone[None], "s16", layout)
            samples.sample_rate, samples.pts = 44_100, 1764 * number
            out.mux(sound.encode(samples))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))


def test_a_layout_that_changes_in_the_middle(tmp_path: Path, enhancer: Enhancer) -> None:
    """As in recordings of television."""
    parts = []
    for layout in ("stereo", "mono"):
        write_with_sound(tmp_path / "part.ts", layout, codec="aac")
        parts.append((tmp_path / "part.ts").read_bytes())
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    enhance_video(tmp_path / "joined.ts", tmp_path / "out.webm", enhancer=enhancer)
    codec, _, samples = sound_of(tmp_path / "out.webm")
    assert codec == "opus"
    assert len(samples) == pytest.approx(2 * RATE, abs=0.2 * RATE)
    assert np.abs(samples[-RATE // 2 :]).max() > 0.02


@pytest.mark.parametrize("channels", ["mono", "2.1", "4.0", "5.1", "7.1"])
@pytest.mark.parametrize("codec", ["aac", "opus"])
def test_layouts_and_rates(tmp_path: Path, enhancer: Enhancer, channels: str, codec: str) -> None:
    """PCM of 44.1 kHz, as cameras write it."""
    source, output = tmp_path / "in.mov", tmp_path / "out.mkv"
    write_with_sound(source, channels, codec="pcm_s16le")
    enhance_video(source, output, enhancer=enhancer, audio=codec)
    with av.open(str(output)) as container:
        context = container.streams.audio[0].codec_context
        assert (context.name, context.channels) == (codec, COUNTS[channels])
        assert context.sample_rate == (44_100 if codec == "aac" else 48_000)
    assert len(sound_of(output)[2]) == pytest.approx(RATE, abs=0.06 * RATE)


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`audio` must be one of copy, opus, aac, none, not 'x'"):
        EncoderSettings(audio="x")


def test_transparency_is_said(
    tmp_path: Path, enhancer: Enhancer, caplog: pytest.LogCaptureFixture
) -> None:
    source, output = tmp_path / "in.webm", tmp_path / "out.webm"
    with av.open(str(source), "w") as out:
        video = out.add_stream("libvpx-vp9", rate=25)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuva420p"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 4), 60, np.uint8), "rgba")
            frame.pts = number
            out.mux(video.encode(frame.reformat(format="yuva420p")))
        out.mux(video.encode(None))
    with av.open(str(source)) as container:
        assert container.streams.video[0].metadata["alpha_mode"] == "1"
    enhance_video(source, output, enhancer=enhancer)
    assert caplog.text.count("its transparency is left out") == 1
    with av.open(str(output)) as container:
        assert "alpha_mode" not in container.streams.video[0].metadata


@pytest.mark.parametrize("end", [None, "stopped"])
def test_a_writer_goes_with_its_run(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch,
    end: str | None,
) -> None:  # fmt: skip
    """Encoders have threads, which must not wait for the garbage collector."""
    made: list[weakref.ref[VideoWriter]] = []

    class Noted(VideoWriter):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            made.append(weakref.ref(self))

    def progress(done: int, _: int | None) -> None:
        if end and done == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr("zerodce_rt.video.one_piece.VideoWriter", Noted)
    source = make_video(audio=1)
    gc.collect()
    gc.disable()
    try:
        with suppress(KeyboardInterrupt):
            enhance_video(source, tmp_path / "o.mp4", enhancer=enhancer, progress=progress)
        assert [each() for each in made] == [None]
    finally:
        gc.enable()
