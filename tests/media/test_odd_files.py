"""Files that are joined, damaged, misnamed or too large: repaired, or refused in one line."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import pyvips

from tests.conftest import VideoMaker, assert_nothing_left, one_line, run
from tests.support.media import Probe, write_growing_video, write_video
from zerodce_rt import Enhancer, ZeroDCEError, enhance_picture, enhance_video
from zerodce_rt.cli.finished import RECORD_NAME
from zerodce_rt.cli.report_csv import REPORT_NAME
from zerodce_rt.media.picture_writer import write_picture
from zerodce_rt.media.pictures import Picture
from zerodce_rt.media.reader import VideoReader


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer.for_video(denoise=0)


def with_unknown_sound(source: Path, output: Path) -> Path:
    """A copy of an MP4 whose sound has a codec that FFmpeg does not know."""
    data = source.read_bytes()
    assert data.count(b"mp4a") == data.count(b"esds") == 1
    output.write_bytes(data.replace(b"mp4a", b"apac").replace(b"esds", b"skip"))
    return output


def joined(folder: Path, name: str, pieces: int = 3) -> Path:
    """Pieces of 0.8 s with sound, each of which begins at the same time."""
    piece = folder / "piece.ts"
    write_video(piece, frames=24, audio=1, options={"crf": "20", "bf": "2"})
    path = folder / name
    path.write_bytes(piece.read_bytes() * pieces)
    piece.unlink()
    return path


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_sound_of_an_unknown_codec_is_left_out(
    ending: str, make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    source = with_unknown_sound(make_video(audio=1), tmp_path / "odd.mp4")
    enhance_video(source, tmp_path / f"out{ending}", enhancer=enhancer)
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{source}: stream 1 (audio, unknown codec) is left out (unknown to this FFmpeg)"
    )
    after = Probe(tmp_path / f"out{ending}")
    assert after.kinds == ["video"]
    assert len(after.frames) == 12


def test_chapters_beside_an_unknown_codec(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    chapters = [(0.0, 0.2, "one"), (0.2, 0.4, "two")]
    source = make_video(audio=1, chapters=chapters)
    enhance_video(
        with_unknown_sound(source, tmp_path / "odd.mp4"), tmp_path / "out.mp4", enhancer=enhancer
    )
    assert Probe(tmp_path / "out.mp4").chapters == Probe(source).chapters


def test_one_bad_file_does_not_end_a_folder(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abc":
        make_video().rename(folder / f"{name}.mp4")
    real = VideoReader._main_stream

    def broken(reader: VideoReader) -> object:
        if reader.path.name == "b.mp4":
            raise AttributeError("a fault of ours")
        return real(reader)

    monkeypatch.setattr(VideoReader, "_main_stream", broken)
    assert run("enhance", folder, "--quiet") == 1
    assert_nothing_left(tmp_path / "in_enhanced", RECORD_NAME, "a.mp4", "c.mp4", REPORT_NAME)
    assert "unexpected AttributeError: a fault of ours" in capfd.readouterr().err


def test_two_outputs_of_a_folder_never_become_one(
    make_video: VideoMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make_video("x.avi", codec="mpeg4", options={}).rename(folder / "x.avi")
    make_video("x.mkv").rename(folder / "x.avi.mkv")
    for _ in range(2):
        assert run("enhance", folder, "--quiet", "--overwrite") == 1
        assert "would replace that of another file" in capfd.readouterr().err
    assert_nothing_left(tmp_path / "in_enhanced", RECORD_NAME, REPORT_NAME, "x.avi.mkv")


def with_repeated_settings(source: Path) -> Path:
    """A copy as FLV, in which the settings of AAC come again in the middle, as recorders do."""
    path = source.with_name("plain.flv")
    with av.open(str(source)) as read, av.open(str(path), "w") as out:
        copies = {s.index: out.add_stream_from_template(s, opaque=True) for s in read.streams}
        for packet in read.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    data, pos = path.read_bytes(), 13
    tags = []
    while pos < len(data):
        size = 11 + int.from_bytes(data[pos + 1 : pos + 4], "big") + 4
        tags.append(data[pos : pos + size])
        pos += size
    sound = [number for number, tag in enumerate(tags) if tag[0] == 8]
    first, middle = tags[sound[0]], sound[len(sound) // 2]
    assert first[12] == 0, "no settings"
    tags.insert(middle, first[:4] + tags[middle][4:8] + first[8:])
    path.write_bytes(data[:13] + b"".join(tags))
    return path


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".ts"])
def test_settings_that_are_repeated(
    ending: str, make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = with_repeated_settings(make_video(audio=1))
    enhance_video(source, tmp_path / f"out{ending}", enhancer=enhancer)
    there, result = Probe(source), Probe(tmp_path / f"out{ending}")
    assert result.kinds == ["video", "audio"]
    assert len(result.packets[1]) > 10
    for (_, data), (_, copy) in zip(there.packets[1], result.packets[1], strict=True):
        assert copy.endswith(data), "a transport stream has a header before it"


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts", ".mov"])
def test_joined_pieces_follow_each_other(
    ending: str, tmp_path: Path, enhancer: Enhancer, caplog: pytest.LogCaptureFixture
) -> None:
    source = joined(tmp_path, "joined.ts")
    output = tmp_path / f"out{ending}"
    enhance_video(source, output, enhancer=enhancer)
    assert caplog.text.count("its times go back") == 1
    after = Probe(output)
    assert len(after.frames) == 72
    steps = np.diff([float(t) for t in after.pts])
    # A frame apart, but for the joints, where sound is a little longer than the picture.
    assert steps.min() > 0.02
    assert sorted(steps)[:-2] == pytest.approx([1 / 30] * 69, abs=0.002)
    assert steps.max() < 0.15
    sound = [float(t) for t, _ in after.packets[1]]
    assert np.diff(sound).min() > 0.005
    # In step with the picture, to the end.
    apart = [sound[i] - float(after.pts[i]) for i in (0, -1)]
    assert apart[1] == pytest.approx(apart[0], abs=0.1)


def test_a_pause_stays(tmp_path: Path, enhancer: Enhancer) -> None:
    source = tmp_path / "pause.mkv"
    write_video(source, frames=4, pts=[0, 1, 1000, 1001])
    enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer)
    assert Probe(tmp_path / "out.mkv").pts == Probe(source).pts


def test_a_stream_that_begins_late_is_left_out(
    tmp_path: Path, enhancer: Enhancer, caplog: pytest.LogCaptureFixture
) -> None:
    parts = []
    for name, audio in (("v.flv", 0), ("va.flv", 1)):
        write_video(tmp_path / name, frames=200, size=(320, 240), audio=audio)
        parts.append((tmp_path / name).read_bytes())
    source = tmp_path / "late.flv"
    source.write_bytes(parts[0] + parts[1][13:])  # without the second header
    for ending in (".mkv", ".flv"):
        caplog.clear()
        result = enhance_video(source, tmp_path / f"out{ending}", enhancer=enhancer)
        assert result.frames == 400
        assert "streams that begin in the middle of the file are left out: 1" in caplog.text


def test_sound_without_a_layout_of_channels(tmp_path: Path, enhancer: Enhancer) -> None:
    """AVI has none, and MP4 wants one."""
    source = tmp_path / "pcm.avi"
    with av.open(str(source), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = out.add_stream("pcm_s16le", rate=8000)
        audio.layout = "stereo"
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20, np.uint8), "rgb24")
            frame.pts = index
            out.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 6400), np.int16), "s16", "stereo")
        sound.sample_rate, sound.pts = 8000, 0
        out.mux(audio.encode(sound))
        out.mux(audio.encode(None))
        out.mux(video.encode(None))
    enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer)
    assert Probe(tmp_path / "out.mp4").kinds == ["video", "audio"]


@pytest.mark.parametrize("frames", [1, 2])
def test_very_short_videos_of_ten_bits(frames: int, tmp_path: Path, enhancer: Enhancer) -> None:
    source = tmp_path / "short.mkv"
    write_video(source, frames=frames, pix_fmt="yuv420p10le", codec="libx265", options={})
    for _ in range(10):  # it failed at times
        enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer, overwrite=True)
        assert len(Probe(tmp_path / "out.mp4").frames) == frames


def test_a_text_cannot_pull_in_another_file(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    make_video("private.ts")
    texts = {
        "concat": "ffconcat version 1.0\nfile private.ts\n",
        "list": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nprivate.ts\n#EXT-X-ENDLIST\n",
        "sdp": "v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    }
    for name, text in texts.items():
        source = tmp_path / f"{name}.mp4"
        source.write_text(text)
        with pytest.raises(ZeroDCEError, match="not a video that can be read"):
            enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer)
    # Asked for by its name, a playlist is played.
    (tmp_path / "list.mp4").rename(tmp_path / "list.m3u8")
    result = enhance_video(tmp_path / "list.m3u8", tmp_path / "out.mkv", enhancer=enhancer)
    assert result.frames == 12


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("ending", [".jpg", ".mp4"])
def test_pipes_and_devices_are_not_waited_for(ending: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"pipe{ending}")
    (tmp_path / f"device{ending}").symlink_to("/dev/zero")
    for name in ("pipe", "device"):
        source, output = tmp_path / f"{name}{ending}", tmp_path / f"out{ending}"
        enhance = enhance_picture if ending == ".jpg" else enhance_video
        with pytest.raises(ZeroDCEError, match="no regular file"):
            enhance(source, output)


def test_names_as_long_as_the_system_allows(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video()
    picture = tmp_path / "a.png"
    write_picture(picture, Picture(np.full((8, 8, 3), 20, np.uint8)))
    for name in ("夜" * 83 + ".mp4", "n" * 251 + ".mp4", "n" * 251 + ".png"):
        assert len(os.fsencode(name)) in (253, 255)
        one = picture if name.endswith(".png") else source
        assert run("enhance", one, "-o", tmp_path / name, "--quiet") == 0
        (tmp_path / name).unlink()
    assert_nothing_left(tmp_path, "a.png", "night.mp4")


def test_names_that_are_too_long_are_said(
    make_video: VideoMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / ("n" * 300 + ".mp4")
    assert run("enhance", make_video(), "-o", output, "--quiet") == 1
    assert "File name too long" in one_line(capfd.readouterr().err)


def test_links_that_lead_nowhere_are_not_replaced(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video()
    loop = tmp_path / "loop.mp4"
    loop.symlink_to(loop)
    with pytest.raises(ZeroDCEError, match="leads nowhere"):
        enhance_video(source, loop, overwrite=True)
    assert loop.is_symlink()


def tall_tiff(path: Path, height: int) -> None:
    """A TIFF of 90 pixels' width whose header promises a height, with few tiles."""
    image = pyvips.Image.black(90, 200).colourspace("srgb")
    data = bytearray(image.write_to_buffer(".tif", compression="deflate", tile=True))
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry) == (257,):  # ImageLength
            struct.pack_into("<HHII", data, entry, 257, 4, 1, height)
    path.write_bytes(data)


def test_a_picture_is_bounded_by_its_header(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tall_tiff(tmp_path / "bomb.tif", 14_483_576)
    assert run("enhance", tmp_path / "bomb.tif") == 1
    error = one_line(capfd.readouterr().err)
    assert "says that it has 90x14483576 pixels, more than 300 million" in error
    assert "--max-pixels 1303521840 allows it" in error
    write_picture(tmp_path / "a.png", Picture(np.full((20, 30, 3), 20, np.uint8)))
    assert run("enhance", tmp_path / "a.png", "--max-pixels", "599") == 1
    assert run("enhance", tmp_path / "a.png", "--max-pixels", "600", "--quiet") == 0


def test_a_video_is_bounded_by_its_header(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video()
    with pytest.raises(ZeroDCEError, match="96x64 pixels, more than"):
        enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer, max_pixels=6143)
    enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer, max_pixels=6144)


def test_frames_may_not_outgrow_the_header(tmp_path: Path, enhancer: Enhancer) -> None:
    """A stream may change its size in the middle."""
    source = tmp_path / "both.ts"
    write_growing_video(source, (96, 64), (320, 240))
    with pytest.raises(ZeroDCEError, match="damaged after"):
        enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer, max_pixels=7000)
    assert enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer).frames == 20


def test_pictures_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'
    (tmp_path / "a.png").write_text(svg)
    with pytest.raises(ZeroDCEError, match="it holds no JPEG, PNG"):
        enhance_picture(tmp_path / "a.png", tmp_path / "b.png")


def test_damaged_pictures_are_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """libvips' own warnings, of which a damaged TIFF causes dozens, are not shown."""
    image = pyvips.Image.black(64, 64).colourspace("srgb")
    data = image.write_to_buffer(".tif")
    codes = set()
    for place in range(len(data) - 200, len(data), 7):
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        (tmp_path / "a.tif").write_bytes(damaged)
        codes.add(code := run("enhance", tmp_path / "a.tif", "-o", tmp_path / "b.png", "--quiet"))
        error = capfd.readouterr().err
        assert error == "" if code == 0 else one_line(error)
        (tmp_path / "b.png").unlink(missing_ok=True)
    assert codes == {0, 1}


@pytest.mark.parametrize(
    ("options", "start"),
    [({"time_base": Fraction(10), "frames": 3}, 0), ({"frames": 30}, 2**31 - 50_000)],
    ids=["a frame in ten seconds", "times near 2^31"],
)
def test_whole_videos_are_not_called_cut_short(
    options: dict[str, int], start: int, tmp_path: Path, enhancer: Enhancer,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    source = tmp_path / "whole.mkv"
    pts = [start + i for i in range(options["frames"])] if start else None
    write_video(source, pts=pts, **options)  # type: ignore[arg-type]
    enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer)
    assert "cut short" not in caplog.text


def moved(monkeypatch: pytest.MonkeyPatch, pts_of: Callable[[int], int]) -> None:
    """Let the reader give frames with other times, as of damaged files."""
    decoded = VideoReader._decoded

    def changed(reader: VideoReader, begin: float, end: float) -> Iterator[Any]:
        for item in decoded(reader, begin, end):
            if isinstance(item, av.VideoFrame):
                item.pts = pts_of(item.pts or 0)
            yield item

    monkeypatch.setattr(VideoReader, "_decoded", changed)


def test_frames_before_zero_are_shown(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_video()
    expected = Probe(source).pts
    moved(monkeypatch, lambda pts: pts - 100_000)
    enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer)
    assert Probe(tmp_path / "out.mp4").pts == expected


def test_equal_times_are_told_apart_in_a_coarser_container(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_video(time_base=Fraction(1, 1_200_000), pts=[48_000 * i for i in range(8)])
    moved(monkeypatch, lambda pts: 0)
    enhance_video(source, tmp_path / "out.ts", enhancer=enhancer)
    assert len({*Probe(tmp_path / "out.ts").pts}) == 8


def test_a_playlist_cannot_lead_in_a_circle(tmp_path: Path, enhancer: Enhancer) -> None:
    source = tmp_path / "self.m3u8"
    for text in (
        "#EXT-X-STREAM-INF:BANDWIDTH=1\nself.m3u8\n" * 2,
        "#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nself.m3u8\n#EXT-X-ENDLIST\n",
    ):
        source.write_text(f"#EXTM3U\n{text}")
        with pytest.raises(ZeroDCEError):
            enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer)


def test_any_number_of_pixels_may_be_allowed(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    for most in (2**31, 1e12, float("inf")):
        output = tmp_path / "out.mp4"
        enhance_video(make_video(), output, enhancer=enhancer, max_pixels=most, overwrite=True)
