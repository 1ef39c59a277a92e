"""Whole files: what goes in comes out, only brighter."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from tests.conftest import VideoMaker, assert_nothing_left
from tests.support.media import Probe, write_growing_video, write_video
from zerodce_rt import (
    EncoderSettings,
    Enhancer,
    Span,
    VideoResult,
    ZeroDCEError,
    enhance_picture,
    enhance_video,
)
from zerodce_rt.media.paths import default_output, find_media, output_in_folder
from zerodce_rt.media.pictures import read_picture
from zerodce_rt.media.reader import VideoReader


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer(working_size=64)


def test_a_dark_clip_becomes_bright_with_its_sound(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video(audio=1)
    result = enhance_video(source, tmp_path / "bright.mp4")
    before, after = Probe(source), Probe(Path(result.output))
    assert result.frames == 12
    assert after.level() > 2 * before.level()
    assert after.kinds == ["video", "audio"]
    assert after.packets == before.packets
    assert_nothing_left(tmp_path, "night.mp4", "bright.mp4")


def test_progress_counts_frames_and_nothing_else(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video(audio=1)
    calls: list[tuple[int, int | None]] = []
    enhance_video(
        source, tmp_path / "out.mp4", enhancer=enhancer,
        progress=lambda done, expected: calls.append((done, expected)),
    )  # fmt: skip
    assert calls == [(n, 12) for n in range(1, 13)]


def test_strength_zero_changes_nothing_but_the_encoding(
    make_video: VideoMaker, tmp_path: Path
) -> None:
    source = make_video()
    output = tmp_path / "same.mp4"
    enhance_video(source, output, strength=0.0, encoder=EncoderSettings(crf=0))
    before, after = Probe(source), Probe(output)
    for index in range(12):
        assert np.array_equal(before.rgb(index), after.rgb(index))


def test_variable_frame_rate_stays_variable(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    times = [0, 40, 55, 120, 121, 300, 333, 700, 701, 702]
    for name in ("vfr.mp4", "vfr.mkv"):
        source = make_video(name, time_base=Fraction(1, 1000), pts=times)
        output = tmp_path / f"out_{name}"
        enhance_video(source, output, enhancer=enhancer)
        assert Probe(output).pts == Probe(source).pts == [Fraction(t, 1000) for t in times]


def test_avi_with_b_frames_plays_evenly(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video("old.avi", frames=30, options={"bf": "3", "b-adapt": "0"})
    enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer)
    times = [float(t) for t in Probe(tmp_path / "out.mkv").pts]
    assert len(times) == 30
    steps = np.diff(times)
    assert steps.min() > 0.032, "no two frames share a moment"
    assert steps.max() < 0.035, "and none is missing"


def test_ntsc_rate_is_exact(make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer) -> None:
    source = make_video(time_base=Fraction(1001, 30000), frames=40)
    enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer)
    assert Probe(tmp_path / "out.mp4").pts == [i * Fraction(1001, 30000) for i in range(40)]


def test_late_start_is_kept(make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer) -> None:
    source = make_video("late.mkv", time_base=Fraction(1, 1000), pts=[500, 540, 580], audio=1)
    enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer)
    before, after = Probe(source), Probe(tmp_path / "out.mkv")
    assert after.pts == before.pts
    assert after.packets == before.packets


@pytest.mark.parametrize("name", ["rich.mp4", "rich.mkv"])
def test_streams_tags_and_shape_survive(
    name: str, make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video(
        name,
        frames=30,
        audio=2,
        subtitle=True,
        aspect=Fraction(4, 3),
        tags=(1, 1, 1, 1),
        metadata={"title": "Night walk"},
        chapters=[(0, 0.5, "one"), (0.5, 1.0, "two")],
    )
    output = tmp_path / f"out_{name}"
    enhance_video(source, output, enhancer=enhancer)
    before, after = Probe(source), Probe(output)
    assert after.kinds == before.kinds
    assert after.languages == before.languages
    assert after.packets == before.packets
    assert after.aspect == before.aspect == Fraction(4, 3)
    assert after.tags == before.tags
    assert after.chapters == before.chapters
    assert after.metadata["title"] == "Night walk"


def test_cover_art_survives(make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer) -> None:
    plain = make_video()
    cover = bytes(cv2.imencode(".jpg", np.full((40, 40, 3), 200, np.uint8))[1])
    source = tmp_path / "covered.mp4"
    with av.open(str(plain)) as read, av.open(str(source), "w") as out:
        copy = out.add_stream_from_template(read.streams.video[0], opaque=True)
        art = out.add_mux_stream("mjpeg", width=40, height=40)
        art.disposition = Disposition.attached_pic
        picture = av.Packet(cover)
        picture.stream, picture.pts, picture.dts = art, 0, 0
        picture.time_base, picture.is_keyframe = Fraction(1, 90000), True
        out.mux(picture)
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    for span in (Span(), Span(start=0.1, end=0.3)):
        enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer, span=span, overwrite=True)
        with av.open(str(tmp_path / "out.mp4")) as after:
            stream = after.streams.video[1]
            assert stream.disposition & Disposition.attached_pic
            assert next(bytes(p) for p in after.demux(stream) if p.size) == cover


def test_cover_art_alone_is_no_video(tmp_path: Path) -> None:
    source = tmp_path / "song.mp4"
    with av.open(str(source), "w") as out:
        art = out.add_mux_stream("mjpeg", width=40, height=40)
        art.disposition = Disposition.attached_pic
        picture = av.Packet(bytes(cv2.imencode(".jpg", np.zeros((40, 40, 3), np.uint8))[1]))
        picture.stream, picture.pts, picture.dts = art, 0, 0
        picture.time_base, picture.is_keyframe = Fraction(1, 90000), True
        out.mux(picture)
    with pytest.raises(ZeroDCEError, match="no video stream"):
        enhance_video(source, tmp_path / "out.mp4")


def test_attachment_survives_in_matroska(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video("font.mkv", attachment=b"a note")
    enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer)
    assert Probe(tmp_path / "out.mkv").attachments == [b"a note"]


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_rotation_survives_and_pixels_are_not_turned(
    degrees: int, make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video(rotation=degrees)
    enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer)
    before, after = Probe(source), Probe(tmp_path / "out.mp4")
    assert before.rotation != 0
    assert after.rotation == before.rotation
    assert after.size == before.size


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p"])
@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("colour_range", [1, 2])
def test_range_and_matrix_are_kept_and_used(
    pix_fmt: str, matrix: int, colour_range: int, make_video: VideoMaker, tmp_path: Path
) -> None:
    source = make_video(
        pix_fmt=pix_fmt, tags=(colour_range, matrix, matrix, matrix), frames=3, level=0.5
    )
    # A gentle curve on a mid-grey picture: strong ones would enlarge what 4:2:0 rounds away.
    enhancer = Enhancer(working_size=64, strength=0.3)
    output = tmp_path / "out.mp4"
    enhance_video(source, output, enhancer=enhancer, encoder=EncoderSettings(crf=0))
    before, after = Probe(source), Probe(output)
    # H.264 says "limited" by saying nothing.
    assert (after.tags[0] == 2) == (colour_range == 2)
    assert after.tags[1:] == before.tags[1:]

    def to_rgb(frame: av.VideoFrame) -> np.ndarray:
        converted = frame.reformat(
            format="rgb24", src_colorspace=matrix if matrix == 1 else 5,
            src_color_range=colour_range, interpolation="POINT",
        )  # fmt: skip
        return converted.to_ndarray().astype(int)

    # An independent way: convert by swscale, enhance as RGB, compare what a player would show.
    expected = enhancer(to_rgb(before.frames[0]).astype(np.uint8)).astype(int)
    difference = np.abs(to_rgb(after.frames[0]) - expected)
    assert np.median(difference) <= 2


@pytest.mark.parametrize("size", [(97, 61), (33, 35), (16, 17)])
def test_odd_sizes(
    size: tuple[int, int], make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video("odd.mkv", size=size, pix_fmt="yuv444p", frames=3)
    enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer)
    assert Probe(tmp_path / "out.mkv").size == size


def test_odd_size_in_420(make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer) -> None:
    source = make_video(
        "odd.webm", size=(97, 61), codec="libvpx-vp9", frames=3, options={"cpu-used": "8"}
    )
    enhance_video(source, tmp_path / "out.webm", enhancer=enhancer)
    after = Probe(tmp_path / "out.webm")
    assert (after.size, after.codec) == (
        (97, 61),
        "libvpx-vp9" if "libvpx" in after.codec else "vp9",
    )
    assert len(after.frames) == 3


def test_an_odd_size_that_an_encoder_does_not_take_is_told(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video(
        "odd.webm", size=(97, 61), codec="libvpx-vp9", frames=3, options={"cpu-used": "8"}
    )
    output = tmp_path / "out.mkv"
    with pytest.raises(
        ZeroDCEError, match=r"even sizes, and this is 97x61; `codec='vp9'` takes any"
    ):
        enhance_video(source, output, enhancer=enhancer)
    assert_nothing_left(tmp_path, "odd.webm")
    enhance_video(source, output, enhancer=enhancer, encoder=EncoderSettings(codec="vp9"))
    assert Probe(output).size == (97, 61)


@pytest.mark.parametrize(
    ("codec", "name"),
    [("h264", "mp4"), ("h265", "mkv"), ("av1", "mp4"), ("vp9", "webm"), ("libx264", "mov"),
     ("h264", "ts"), ("h264", "flv")],
)  # fmt: skip
def test_codecs_and_containers_without_chatter(
    codec: str, name: str, make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source = make_video("night.mkv", frames=5)
    output = tmp_path / f"out.{name}"
    capfd.readouterr()
    enhance_video(source, output, enhancer=enhancer, encoder=EncoderSettings(codec=codec))
    assert capfd.readouterr() == ("", "")
    after = Probe(output)
    assert len(after.frames) == 5
    assert after.codec in {"h264": "h264", "libx264": "h264", "h265": "hevc", "vp9": "vp9",
                           "av1": ("libdav1d", "av1", "libaom-av1")}[codec]  # fmt: skip


def test_ten_bits_stay_ten_bits(make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer) -> None:
    quiet = {"x265-params": "log-level=error"}
    source = make_video(pix_fmt="yuv420p10le", codec="libx265", frames=4, options=quiet)
    enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer)
    after = Probe(tmp_path / "out.mp4")
    assert after.pix_fmt == "yuv420p10le"
    luma = np.frombuffer(bytes(after.frames[0].planes[0]), np.uint16)
    assert len(np.unique(luma % 4)) > 1, "the two low bits carry something"


@pytest.mark.parametrize(("pix_fmt", "expected"), [("gray", "yuv420p"), ("rgb24", "yuv444p")])
def test_other_formats_lose_nothing_that_shows(
    pix_fmt: str, expected: str, make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    name, codec = {"gray": ("odd.mkv", "libx264"), "rgb24": ("odd.mov", "png")}[pix_fmt]
    source = make_video(name, pix_fmt=pix_fmt, codec=codec, frames=3, options={})
    output = tmp_path / "out.mkv"
    enhance_video(source, output, enhancer=Enhancer(strength=0), encoder=EncoderSettings(crf=0))
    before, after = Probe(source), Probe(output)
    assert after.pix_fmt == expected
    gap = np.abs(before.rgb().astype(int) - after.rgb().astype(int))
    assert gap.mean() < 2


@pytest.mark.parametrize("end", [0.01, 1.0])
def test_a_long_file_is_cut_after_the_last_frame_that_is_wanted(
    end: float, make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    # Reading stops long before the end of such a file, with frames still in the decoder.
    source = make_video(frames=130, time_base=Fraction(1, 10), size=(32, 32))
    result = enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer, span=Span(end=end))
    expected = [p for p in Probe(source).pts if p < end]
    assert result.frames == len(expected)
    assert Probe(tmp_path / "out.mp4").pts == expected


def test_span_keeps_the_part_and_the_sync(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video(
        frames=90, audio=1, chapters=[(0, 1.2, "one"), (1.2, 3, "two")], options={"g": "20"}
    )
    output = tmp_path / "part.mp4"
    result = enhance_video(source, output, enhancer=enhancer, span=Span(start=1.0, end=2.0))
    before, after = Probe(source), Probe(output)
    assert result.frames == 30
    assert after.pts == [Fraction(i, 30) for i in range(30)]
    assert [c[2] for c in after.chapters] == ["one", "two"]
    # Each copied packet sits where it sat, one second earlier.
    shifted = {data: at - 1 for at, data in before.packets[1]}
    assert len(after.packets[1]) > 40
    for at, data in after.packets[1]:
        assert abs(float(shifted[data] - at)) < 0.002


@pytest.mark.parametrize("mode", ["split", "side"])
def test_compare_shows_both(
    mode: str, make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video()
    output = tmp_path / "both.mp4"
    enhance_video(source, output, enhancer=enhancer, compare=mode)
    before, after = Probe(source).rgb(5).astype(int), Probe(output).rgb(5).astype(int)
    width = before.shape[1]
    assert after.shape[1] == (2 * width if mode == "side" else width)
    middle = after.shape[1] // 2
    left = after[:, : middle - 8] - before[:, : middle - 8]
    assert np.abs(left).mean() < 4
    assert after[:, middle + 8 :].mean() > 2 * after[:, : middle - 8].mean()


def test_damaged_file_fails_and_leaves_nothing(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video("cut.mp4", frames=60)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(ZeroDCEError) as caught:
        enhance_video(source, tmp_path / "out.mp4")
    assert str(source) in str(caught.value)
    assert_nothing_left(tmp_path, "cut.mp4")


def test_input_is_never_overwritten(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video()
    original = source.read_bytes()
    for output in (source, tmp_path / "." / "night.mp4"):
        with pytest.raises(ZeroDCEError, match="input itself"):
            enhance_video(source, output, overwrite=True)
    (tmp_path / "link.mp4").symlink_to(source)
    with pytest.raises(ZeroDCEError, match="input itself"):
        enhance_video(source, tmp_path / "link.mp4", overwrite=True)
    assert source.read_bytes() == original


def test_existing_output_needs_overwrite(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source, output = make_video(), tmp_path / "out.mp4"
    output.write_bytes(b"precious")
    with pytest.raises(ZeroDCEError, match="use `overwrite=True` to replace it"):
        enhance_video(source, output, enhancer=enhancer)
    assert output.read_bytes() == b"precious"
    enhance_video(source, output, enhancer=enhancer, overwrite=True)
    assert len(Probe(output).frames) == 12


def test_a_failure_keeps_the_old_output(make_video: VideoMaker, tmp_path: Path) -> None:
    source, output = make_video(), tmp_path / "out.mp4"
    output.write_bytes(b"precious")

    class Broken(Enhancer):
        def begin(self, *_: object, **__: object) -> NoReturn:
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        enhance_video(source, output, enhancer=Broken(), overwrite=True)
    assert output.read_bytes() == b"precious"
    assert_nothing_left(tmp_path, "night.mp4", "out.mp4")
    assert not [t for t in threading.enumerate() if t.name.startswith("zerodce-") and
                not t.name.startswith("zerodce-apply")]  # fmt: skip


def test_subtitles_that_the_container_cannot_hold_are_an_error(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video("night.mkv", subtitle=True)
    with pytest.raises(ZeroDCEError, match=r"\.mkv"):
        enhance_video(source, tmp_path / "out.webm", enhancer=enhancer)
    assert_nothing_left(tmp_path, "night.mkv")


def test_metadata_beyond_the_standard_keys(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video()
    # MP4's own tags cannot hold these.
    tagged = tmp_path / "tagged.mp4"
    with (
        av.open(str(source)) as read,
        av.open(str(tagged), "w", options={"movflags": "use_metadata_tags"}) as out,
    ):
        out.metadata.update({"location": "+40.6000-074.5000/", "my-key": "my value"})
        copy = out.add_stream_from_template(read.streams.video[0], opaque=True)
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    enhance_video(tagged, tmp_path / "out.mp4", enhancer=enhancer)
    after = Probe(tmp_path / "out.mp4").metadata
    assert after["location"] == "+40.6000-074.5000/"
    assert after["my-key"] == "my value"


def test_strength_belongs_to_the_default_enhancer(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video()
    with pytest.raises(ValueError, match="strength"):
        enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer, strength=0.5)
    cv2.imwrite(str(tmp_path / "dark.png"), np.full((20, 30, 3), 20, np.uint8))
    enhance_picture(tmp_path / "dark.png", tmp_path / "same.png", strength=0.0)
    assert np.array_equal(read_picture(tmp_path / "same.png").rgb, np.full((20, 30, 3), 20))


def test_settings_may_be_plain_or_in_one_piece(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    source = make_video("night.mp4", frames=30)
    plain, whole = tmp_path / "plain.mkv", tmp_path / "whole.mkv"
    result = enhance_video(
        source, plain, enhancer=enhancer, start=0.2, end=0.5, codec="h265", crf=30, preset="fast"
    )
    encoder = EncoderSettings(codec="h265", crf=30, preset="fast")
    enhance_video(source, whole, enhancer=enhancer, encoder=encoder, span=Span(start=0.2, end=0.5))
    assert result == VideoResult(plain, 9)
    one, other = Probe(plain), Probe(whole)
    assert one.codec == other.codec == "hevc"
    assert one.pts == other.pts
    assert np.array_equal(one.rgb(), other.rgb())
    for twice in ({"encoder": encoder, "crf": 20}, {"span": Span(end=0.5), "start": 0.1}):
        with pytest.raises(ValueError, match="not both"):
            enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer, **twice)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"start": -1.0}, "start"),
        ({"start": 2.0, "end": 1.0}, "before"),
        ({"codec": "mpeg9"}, "h264"),
        ({"crf": 99.0}, "between 0 and 63"),
        ({"preset": "hasty"}, "veryfast"),
        ({"compare": "above"}, "split, side"),
        ({"strength": 7.0}, "between 0 and 1"),
    ],
)
def test_a_bad_setting_of_a_video_says_what_is_valid(
    bad: dict[str, Any], words: str, make_video: VideoMaker, tmp_path: Path
) -> None:
    source = make_video()
    with pytest.raises(ValueError, match=words):
        enhance_video(source, tmp_path / "out.mp4", **bad)
    assert_nothing_left(tmp_path, "night.mp4")


@pytest.mark.parametrize(
    "wrong", [{"start": "0:01"}, {"crf": "20"}, {"encoder": "libx264"}, {"span": (0, 1)}]
)
def test_a_setting_of_a_wrong_type_is_named(
    wrong: dict[str, Any], make_video: VideoMaker, tmp_path: Path
) -> None:
    with pytest.raises(TypeError, match=f"`{next(iter(wrong))}` must be"):
        enhance_video(make_video(), tmp_path / "out.mp4", **wrong)


def test_an_encoder_that_takes_none_of_our_formats(make_video: VideoMaker, tmp_path: Path) -> None:
    with pytest.raises(ZeroDCEError, match=r"gif takes none .* choose another `codec`"):
        enhance_video(make_video(), tmp_path / "out.mkv", codec="gif")
    assert_nothing_left(tmp_path, "night.mp4")


def test_pictures_take_an_enhancer_for_video(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "dark.png"), np.full((20, 30, 3), 20, np.uint8))
    enhance_picture(tmp_path / "dark.png", tmp_path / "one.png", enhancer=Enhancer.for_video())
    enhance_picture(tmp_path / "dark.png", tmp_path / "other.png")
    one, other = (read_picture(tmp_path / n).rgb for n in ("one.png", "other.png"))
    assert np.array_equal(one, other)
    assert one.mean() > 30


def test_default_names() -> None:
    assert default_output(Path("a/night.mp4")) == Path("a/night_enhanced.mp4")
    assert default_output(Path("old.avi")) == Path("old_enhanced.mkv")
    assert default_output(Path("photo.JPG")) == Path("photo_enhanced.JPG")


def test_names_below_an_output_folder_never_collide() -> None:
    folder, out = Path("in"), Path("out")
    names = [output_in_folder(folder / "sub" / n, folder, out) for n in ("a.avi", "a.mkv", "a.jpg")]
    assert names == [out / "sub" / n for n in ("a.avi.mkv", "a.mkv", "a.jpg")]


def test_find_media_skips_hidden_and_other_files(tmp_path: Path) -> None:
    for name in ("b.mp4", "sub/a.PNG", ".hidden.mp4", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_media(tmp_path) == [tmp_path / "b.mp4", tmp_path / "sub/a.PNG"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ZeroDCEError, match="no pictures or videos"):
        find_media(tmp_path / "empty")


def test_picture_keeps_depth_and_alpha(tmp_path: Path, enhancer: Enhancer) -> None:
    dark = (np.random.default_rng(0).random((40, 50, 4)) * 6000).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "dark.png"), dark)
    enhance_picture(tmp_path / "dark.png", tmp_path / "bright.png", enhancer=enhancer)
    bright = read_picture(tmp_path / "bright.png")
    assert bright.rgb.dtype == np.uint16
    assert bright.rgb.mean() > 2 * dark[..., :3].mean()
    assert bright.alpha is not None
    assert np.array_equal(bright.alpha, dark[..., 3])


def test_a_size_change_in_the_stream_is_survived(tmp_path: Path, enhancer: Enhancer) -> None:
    source = tmp_path / "both.ts"
    write_growing_video(source, (96, 64), (64, 48))
    enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer)
    assert Probe(tmp_path / "out.mkv").size == (96, 64)


@pytest.mark.parametrize("start", [0.0, 0.3, 1.0, 1.45, 2.2, 4.9])
def test_a_part_of_a_transport_stream_begins_where_it_should(
    tmp_path: Path, enhancer: Enhancer, start: float
) -> None:
    """It has no index, and FFmpeg goes to any frame near a time: most cannot be decoded."""
    source, output = tmp_path / "in.ts", tmp_path / "out.mkv"
    write_video(
        source, frames=60, time_base=Fraction(1, 10), audio=1,
        options={"crf": "10", "g": "15", "x264-params": "scenecut=0"},
    )  # fmt: skip
    with VideoReader(source) as reader:
        video = [f.time for f in reader if isinstance(f, av.VideoFrame)]
        begins = reader.start_seconds
    wanted = [t for t in video if t is not None and start <= t - begins]
    assert enhance_video(source, output, enhancer=enhancer, start=start).frames == len(wanted)
