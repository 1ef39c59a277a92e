"""Interlaced video stays interlaced, or becomes whole frames; captions inside it survive."""

from __future__ import annotations

import gc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from zerodce_rt.enhancer import Enhancer
from zerodce_rt.files import enhance_video
from zerodce_rt.media.fields import deinterlaced, field_order_of, set_field_order
from zerodce_rt.media.reader import VideoReader

TOP_FIRST, BOTTOM_FIRST = 2, 3
FRAMES, SIZE = 10, (96, 64)


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer.for_video()


def write_interlaced(
    path: Path, order: int, *, codec: str = "libx264", pix_fmt: str = "yuv420p"
) -> Path:
    """A bar that moves from field to field."""
    width, height = SIZE
    options = {"flags": "+ildct+ilme"}
    if codec == "libx264":
        options["x264-params"] = "tff=1" if order == TOP_FIRST else "bff=1"
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        set_field_order(stream.codec_context, order)
        for number in range(FRAMES):
            picture = np.full((height, width, 3), 30, np.uint8)
            for field in (0, 1):
                left = (8 * number + 4 * field) % (width - 16)
                picture[field::2, left : left + 16] = 120
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def fields_of(path: Path) -> tuple[int, list[bool], list[float | None]]:
    """Field order, whether each frame is interlaced, and the times."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        order = field_order_of(container, stream)
        return order, [bool(f.interlaced_frame) for f in frames], [f.time for f in frames]


def combs(path: Path) -> float:
    """How much neighbouring rows differ, beyond rows two apart: the teeth of woven fields."""
    with av.open(str(path)) as container:
        pictures = [f.to_ndarray(format="gray").astype(int) for f in container.decode(video=0)]
    middle = np.stack(pictures)[2:-2]
    return float(np.abs(np.diff(middle, axis=1)).mean())


@pytest.mark.parametrize("order", [TOP_FIRST, BOTTOM_FIRST])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.mov", "out.ts"])
def test_it_stays_interlaced(tmp_path: Path, enhancer: Enhancer, order: int, name: str) -> None:
    source = write_interlaced(tmp_path / "in.mp4", order)
    enhance_video(source, tmp_path / name, enhancer=enhancer)
    (before, _, times), (after, flags, new_times) = fields_of(source), fields_of(tmp_path / name)
    assert before == after == order
    assert flags == FRAMES * [True]
    steps = [np.diff([t for t in ts if t is not None]) for ts in (times, new_times)]
    np.testing.assert_allclose(steps[1], steps[0], atol=1e-3)
    assert combs(tmp_path / name) > combs(source), "the fields are as far apart as they were"


def test_ten_bits_stay_interlaced(tmp_path: Path, enhancer: Enhancer) -> None:
    source = write_interlaced(tmp_path / "in.mkv", TOP_FIRST, pix_fmt="yuv422p10le")
    enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer)
    assert fields_of(tmp_path / "out.mkv")[:2] == (TOP_FIRST, FRAMES * [True])


def test_mpeg2(tmp_path: Path, enhancer: Enhancer) -> None:
    source = write_interlaced(tmp_path / "in.mpg", BOTTOM_FIRST, codec="mpeg2video")
    enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer)
    assert fields_of(tmp_path / "out.mkv")[:2] == (BOTTOM_FIRST, FRAMES * [True])


@pytest.mark.parametrize("order", [TOP_FIRST, BOTTOM_FIRST])
def test_deinterlace(tmp_path: Path, enhancer: Enhancer, order: int) -> None:
    source = write_interlaced(tmp_path / "in.mp4", order)
    enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer, deinterlace=True)
    _, flags, times = fields_of(tmp_path / "out.mp4")
    assert flags == FRAMES * [False]
    assert times == fields_of(source)[2]
    assert combs(tmp_path / "out.mp4") < 0.5 * combs(source)


def test_deinterlacing_leaves_whole_frames_alone(tmp_path: Path) -> None:
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for number in range(5):
            noise = np.random.default_rng(number).integers(0, 200, (32, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(noise.astype(np.uint8), "rgb24")
            frame.pts = number
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    with VideoReader(path) as plain, VideoReader(path) as filtered:
        for before, after in zip(plain, deinterlaced(filtered), strict=True):
            assert isinstance(before, av.VideoFrame)
            assert isinstance(after, av.VideoFrame)
            assert (after.pts, after.time_base) == (before.pts, before.time_base)
            assert np.array_equal(after.to_ndarray(), before.to_ndarray())


def test_an_encoder_of_whole_frames_says_so(
    tmp_path: Path, enhancer: Enhancer, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_interlaced(tmp_path / "in.mp4", TOP_FIRST)
    enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer, codec="h265")
    assert "libx265 codes whole frames" in caplog.text
    assert "`deinterlace=True`" in caplog.text


# Closed captions


def caption_unit(number: int) -> bytes:
    """An SEI message with two bytes of CEA-608 for each field (ATSC A/53, part 4)."""
    pairs = bytes([0xFC, 0x94, 0x20 + number, 0xFD, 0x80, 0xC1 + number])
    user_data = b"\xb5\x00\x31GA94\x03" + bytes([0x40 | 2, 0xFF]) + pairs + b"\xff"
    return b"\0\0\0\1\x06\x04" + bytes([len(user_data)]) + user_data + b"\x80"


def write_captioned(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        sent = 0

        def mux(packets: list[av.Packet]) -> None:
            nonlocal sent
            for packet in packets:
                copy = av.Packet(caption_unit(sent) + bytes(packet))
                for name in ("pts", "dts", "time_base", "stream", "duration", "is_keyframe"):
                    setattr(copy, name, getattr(packet, name))
                out.mux(copy)
                sent += 1

        for number in range(FRAMES):
            grey = np.full((96, 96), 40 + number, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            mux(stream.encode(frame))
        mux(stream.encode(None))
    return path


def captions_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        side_data: list[object] = [f.side_data for f in container.decode(video=0)]
    return [
        bytes(data)
        for each in side_data
        for data in each.keys()  # type: ignore[attr-defined]  # noqa: SIM118
        if data.type.name == "A53_CC"
    ]


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.ts"])
def test_captions_survive(tmp_path: Path, enhancer: Enhancer, codec: str, name: str) -> None:
    source = write_captioned(tmp_path / "in.mp4")
    enhance_video(source, tmp_path / name, enhancer=enhancer, codec=codec)
    before = captions_of(source)
    assert len(before) == FRAMES
    assert captions_of(tmp_path / name) == before
    with av.open(str(tmp_path / name)) as container:
        levels = [f.to_ndarray(format="gray").mean() for f in container.decode(video=0)]
    assert min(levels) > 60, "and the frames are brighter"


def comparison(source: Path, output: Path, enhancer: Enhancer) -> None:
    enhance_video(source, output, enhancer=enhancer, compare="side")


def vp9(source: Path, output: Path, enhancer: Enhancer) -> None:
    enhance_video(source, output, enhancer=enhancer, codec="vp9")


@pytest.mark.parametrize(("run", "why"), [(comparison, "a comparison"), (vp9, "libvpx-vp9")])
def test_captions_that_are_lost_are_said(
    tmp_path: Path, enhancer: Enhancer, caplog: pytest.LogCaptureFixture,
    run: Callable[[Path, Path, Enhancer], None], why: str,
) -> None:  # fmt: skip
    run(write_captioned(tmp_path / "in.mp4"), tmp_path / "out.mkv", enhancer)
    assert caplog.text.count(f"{why} does not keep the closed captions") == 1


def test_frames_are_freed_at_once(tmp_path: Path, enhancer: Enhancer) -> None:
    """Not when Python looks for reference cycles, in which frames are whose side data were read."""
    source = write_interlaced(tmp_path / "source.mkv", TOP_FIRST)

    def frames() -> int:
        large = (o for o in gc.get_objects() if type(o) is av.VideoFrame and o.width > 16)
        return sum(1 for _ in large)

    gc.collect()
    before = frames()
    gc.disable()
    try:
        enhance_video(source, tmp_path / "out.mkv", enhancer=enhancer)
        assert frames() == before
    finally:
        gc.enable()
