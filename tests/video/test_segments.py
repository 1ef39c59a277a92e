"""A video in segments: the same frames, packets and times, whoever enhances what and when."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.conftest import assert_nothing_left
from tests.support.media import Probe, write_video
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.files import enhance_video
from zerodce_rt.frame import FORMATS
from zerodce_rt.media.encoders import EncoderSettings
from zerodce_rt.media.fields import field_order_of
from zerodce_rt.media.frames import convert
from zerodce_rt.media.pictures import read_picture
from zerodce_rt.media.reader import Span
from zerodce_rt.video import plan as planning
from zerodce_rt.video.plan import Plan, make_plan
from zerodce_rt.video.segment import enhance_segment, join_segments
from zerodce_rt.video.task import VideoTask

LOSSLESS = EncoderSettings(crf=0)
SECONDS = 16
"""Of the clip, at 10 frames a second."""


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SEGMENT_SECONDS", 4)
    monkeypatch.setattr(planning, "SHORTEST_SECONDS", 2)


@pytest.fixture
def in_one_piece(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Probe]:
    """Enhances a file without segments, as its first version did."""

    def enhance(source: Path, output: Path, **options: Any) -> Probe:
        with monkeypatch.context() as patch:
            patch.setattr("zerodce_rt.files.make_plan", lambda *_: None)
            enhance_video(source, output, **options)
        return Probe(output)

    return enhance


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer.for_video()


def write_clip(path: Path, **options: Any) -> Path:
    """With a key frame every second and a half, B-frames, and noise."""
    usual: dict[str, Any] = {
        "frames": 10 * SECONDS, "size": (64, 48), "time_base": Fraction(1, 10), "noise": 3.0,
        "options": {"crf": "4", "g": "15", "bf": "2", "x264-params": "scenecut=0"},
    }  # fmt: skip
    write_video(path, **(usual | options))
    return path


def frames_of(path: Path) -> dict[Fraction, bytes]:
    """The decoded frames of a video, by time."""
    with av.open(str(path)) as container:
        decoded = [f for f in container.decode(video=0) if isinstance(f, av.VideoFrame)]
    return {Fraction(f.pts * f.time_base): f.to_ndarray().tobytes() for f in decoded}  # type: ignore[operator]


def planned(task: VideoTask, enhancer: Enhancer) -> Plan:
    plan = make_plan(task, enhancer.settings)
    assert plan is not None
    return plan


def test_segments_cover_the_video_and_begin_at_key_frames(
    tmp_path: Path, enhancer: Enhancer
) -> None:
    source = write_clip(tmp_path / "in.mp4")
    task = VideoTask(source=source, output=tmp_path / "out.mp4")
    plan = planned(task, enhancer)
    assert plan.frames == 10 * SECONDS
    assert [s.start for s in plan.segments[1:]] == [s.end for s in plan.segments[:-1]]
    assert plan.segments[-1].end is None
    with av.open(str(source)) as container:
        keys = {p.pts for p in container.demux(video=0) if p.is_keyframe}
    assert {s.start for s in plan.segments} <= keys
    starts = [float(s.start * plan.time_base) for s in plan.segments]
    assert starts == [0, 4.5, 9, 12]
    for segment in plan.segments[1:]:
        before = float((segment.start - segment.warm_up) * plan.time_base)
        assert before >= min(enhancer.settings.warm_up_seconds + 0.1, segment.start)
        assert segment.warm_up <= segment.denoise <= segment.start


def test_each_part_comes_out_as_in_the_whole(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4")
    enhancer = Enhancer.for_video()
    whole = tmp_path / "whole.mp4"
    assert enhance_video(source, whole, enhancer=enhancer, encoder=LOSSLESS).frames == 160
    frames = list(frames_of(whole).values())
    assert len(set(frames)) > 150, "noise makes each another one"
    rng = random.Random(4)
    for _ in range(5):
        start = rng.uniform(0, SECONDS - 1)
        end = rng.uniform(start + 0.2, SECONDS)
        part = tmp_path / "part.mp4"
        enhance_video(
            source, part, enhancer=enhancer, encoder=LOSSLESS, overwrite=True,
            start=start, end=end,
        )  # fmt: skip
        first, after = (int(np.ceil(10 * seconds - 1e-6)) for seconds in (start, end))
        assert list(frames_of(part).values()) == frames[first:after], (start, end)


def test_the_order_of_the_segments_does_not_matter(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", audio=1)
    whole, joined = tmp_path / "whole.mp4", tmp_path / "joined.mp4"
    enhance_video(source, whole, enhancer=Enhancer.for_video(), encoder=LOSSLESS)
    task = VideoTask(source=source, output=joined, encoder=LOSSLESS)
    paths = {}
    plan = planned(task, Enhancer.for_video())
    for segment in (plan.segments[n] for n in (2, 0, 3, 1)):
        paths[segment.index] = tmp_path / f"{segment.index}.mp4"
        # Another process would have an enhancer of its own.
        done = enhance_segment(task, plan, segment, Enhancer.for_video(), paths[segment.index])
        assert done == segment.frames
    assert join_segments(task, plan, [paths[n] for n in range(4)]) == 160
    assert frames_of(joined) == frames_of(whole)
    assert Probe(joined).packets == Probe(whole).packets


KINDS = [
    (".mp4", "h264", {"audio": 2, "subtitle": True, "rotation": 90}),
    (".mkv", "h264", {"audio": 1, "attachment": b"kept"}),
    (".mov", "h265", {"audio": 1, "pix_fmt": "yuv420p10le", "aspect": Fraction(4, 3)}),
    (".mp4", "av1", {"tags": (1, 1, 1, 1)}),
    (".webm", "vp9", {}),
    (".ts", "h264", {"audio": 1}),
]


@pytest.mark.parametrize(("suffix", "codec", "options"), KINDS)
def test_the_file_is_the_same_but_for_the_encoder(
    tmp_path: Path, in_one_piece: Callable[..., Probe], suffix: str, codec: str,
    options: dict[str, Any],
) -> None:  # fmt: skip
    if suffix != ".ts":
        options = options | {"chapters": [(0, 6, "a"), (6, 15, "b")]}
    source = tmp_path / f"in{'.mp4' if suffix == '.webm' else suffix}"
    write_clip(source, metadata={"title": "Night"}, noise=0.0, **options)
    settings = EncoderSettings(codec=codec, crf=12)
    enhancer = Enhancer.for_video(denoise=0.0)
    one = in_one_piece(source, tmp_path / f"one{suffix}", enhancer=enhancer, encoder=settings)
    output = tmp_path / f"many{suffix}"
    task = VideoTask(source=source, output=output, encoder=settings)
    assert len(planned(task, enhancer).segments) > 1
    enhance_video(source, output, enhancer=enhancer, encoder=settings)
    many = Probe(output)
    for name in ("pts", "packets", "kinds", "languages", "attachments", "chapters", "size", "tags",
                 "aspect", "rotation", "pix_fmt", "codec", "metadata"):  # fmt: skip
        assert getattr(many, name) == getattr(one, name), name
    assert len(many.frames) == 10 * SECONDS
    for index in (0, 44, 45, 46, 100, 159):
        assert np.abs(many.rgb(index).astype(int) - one.rgb(index)).mean() < 3
    times = dts_of(output)
    assert times == sorted(set(times))
    assert_nothing_left(tmp_path, source.name, f"one{suffix}", output.name)


def dts_of(path: Path) -> list[int]:
    """Decoding times of the video's packets, but of those for which the container has none."""
    with av.open(str(path)) as container:
        return [p.dts for p in container.demux(video=0) if p.dts is not None and p.size]


@pytest.mark.parametrize("start", [0, 7])
def test_times_of_all_kinds(tmp_path: Path, in_one_piece: Callable[..., Probe], start: int) -> None:
    """A variable rate, and a video that does not begin at 0."""
    steps = np.random.default_rng(3).integers(30, 250, 160)
    pts = (start * 1000 + np.concatenate([[0], np.cumsum(steps)[:-1]])).tolist()
    source = write_clip(tmp_path / "in.mkv", time_base=Fraction(1, 1000), pts=pts, audio=1)
    enhancer = Enhancer.for_video(denoise=0.0)
    options: dict[str, Any] = {"enhancer": enhancer, "encoder": EncoderSettings(crf=8)}
    one = in_one_piece(source, tmp_path / "one.mkv", **options)
    task = VideoTask(source=source, output=tmp_path / "many.mkv")
    assert len(planned(task, enhancer).segments) > 1
    enhance_video(source, tmp_path / "many.mkv", **options)
    many = Probe(tmp_path / "many.mkv")
    assert many.pts == one.pts
    assert many.packets == one.packets


class Stop(Exception):
    pass


def stop_at(frame: int) -> Callable[[int, int | None], None]:
    def progress(done: int, _: int | None) -> None:
        if done == frame:
            raise Stop

    return progress


def test_a_stopped_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source, output = write_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    enhancer = Enhancer.for_video()
    whole = tmp_path / "whole.mp4"
    enhance_video(source, whole, enhancer=enhancer, encoder=LOSSLESS)
    with pytest.raises(Stop):
        enhance_video(source, output, enhancer=enhancer, encoder=LOSSLESS, progress=stop_at(100))
    assert not output.exists()
    done: list[int] = []
    seen: list[tuple[int, int | None]] = []

    def noted(task: Any, plan: Any, segment: Any, *rest: Any) -> int:
        done.append(segment.index)
        return enhance_segment(task, plan, segment, *rest)

    monkeypatch.setattr("zerodce_rt.video.segmented.enhance_segment", noted)
    with caplog.at_level("INFO", logger="zerodce_rt"):
        enhance_video(
            source, output, enhancer=enhancer, encoder=LOSSLESS,
            progress=lambda *numbers: seen.append(numbers),
        )  # fmt: skip
    assert "2 of 4 segments finished" in caplog.text
    assert done == [2, 3]
    assert (seen[0], seen[-1]) == ((91, 160), (160, 160))
    assert frames_of(output) == frames_of(whole)
    assert_nothing_left(tmp_path, "in.mp4", "out.mp4", "whole.mp4")


def test_a_run_that_is_stopped_before_its_first_segment_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enhancer: Enhancer
) -> None:
    source, output = write_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4"

    def stop(*_: Any, **__: Any) -> int:
        assert list(tmp_path.glob(".out.mp4.segments/.manifest*.part.json"))
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", stop)
    with pytest.raises(KeyboardInterrupt):
        enhance_video(source, output, enhancer=enhancer)
    assert_nothing_left(tmp_path, "in.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_interlaced_video_stays_interlaced(tmp_path: Path, enhancer: Enhancer, suffix: str) -> None:
    bottom_first = 3
    fields = {"flags": "+ildct+ilme", "x264-params": "scenecut=0:bff=1"}
    options = {"crf": "4", "g": "15", **fields}
    source = write_clip(tmp_path / f"in{suffix}", options=options, frames=100)
    whole, part = tmp_path / f"whole{suffix}", tmp_path / f"part{suffix}"
    task = VideoTask(source=source, output=whole, encoder=LOSSLESS)
    assert len(planned(task, enhancer).segments) > 1
    enhance_video(source, whole, enhancer=enhancer, encoder=LOSSLESS)
    enhance_video(source, part, enhancer=enhancer, encoder=LOSSLESS, start=5.05)
    with av.open(str(whole)) as container:
        assert field_order_of(container, container.streams.video[0]) == bottom_first
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    frames = [*frames_of(whole).values()]
    assert len(frames) == 100
    assert [*frames_of(part).values()] == frames[-len(frames_of(part)) :]
    assert len(frames_of(part)) == 49


@pytest.mark.parametrize("start", [None, 6.3])
def test_what_cannot_be_joined_has_the_same_frames(
    tmp_path: Path, enhancer: Enhancer, capfdbinary: pytest.CaptureFixture[bytes],
    start: float | None,
) -> None:  # fmt: skip
    source = write_clip(tmp_path / "in.mp4")
    enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer, encoder=LOSSLESS, start=start)
    wanted = [*frames_of(tmp_path / "out.mp4").values()]
    capfdbinary.readouterr()
    seen: list[tuple[int, int | None]] = []
    enhance_video(
        source, "-", enhancer=enhancer, start=start,
        progress=lambda *numbers: seen.append(numbers),
    )  # fmt: skip
    piped = tmp_path / "piped.y4m"
    piped.write_bytes(capfdbinary.readouterr().out)
    assert [*frames_of(piped).values()] == wanted
    assert seen[-1] == (len(wanted), len(wanted))

    enhance_video(source, tmp_path / "%03d.png", enhancer=enhancer, start=start)
    with av.open(str(tmp_path / "out.mp4")) as container:
        for number, frame in enumerate(container.decode(video=0), 1):
            picture = read_picture(tmp_path / f"{number:03}.png").rgb
            assert np.array_equal(picture, convert(frame, FORMATS["rgb24"]).to_ndarray())
    assert len([*tmp_path.glob("*.png")]) == len(wanted)


@pytest.mark.parametrize("what", ["settings", "source", "manifest"])
def test_what_has_changed_begins_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    source, output = write_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    with pytest.raises(Stop):
        enhance_video(source, output, encoder=LOSSLESS, progress=stop_at(100))
    strength = None
    if what == "settings":
        strength = 0.5
    elif what == "source":
        write_clip(source, level=0.3)
    else:
        (tmp_path / ".out.mp4.segments" / "manifest.json").write_text("[")
    enhance_video(source, output, strength=strength, encoder=LOSSLESS)
    assert "of no use" in caplog.text
    fresh = tmp_path / "fresh.mp4"
    enhance_video(source, fresh, strength=strength, encoder=LOSSLESS)
    assert frames_of(output) == frames_of(fresh)


@pytest.mark.parametrize(
    "options", [{"frames": 50}, {"pts": [*range(80), *range(60, 140)]}], ids=["short", "joined"]
)
def test_what_cannot_be_cut_stays_whole(
    tmp_path: Path, enhancer: Enhancer, options: dict[str, Any]
) -> None:
    suffix = ".ts" if "pts" in options else ".mp4"
    if "pts" in options:  # one after the other, as `cat` joins them
        parts = [write_clip(tmp_path / f"{n}.ts", frames=80) for n in range(2)]
        source = tmp_path / "in.ts"
        source.write_bytes(b"".join(part.read_bytes() for part in parts))
    else:
        source = write_clip(tmp_path / "in.mp4", **options)
    task = VideoTask(source=source, output=tmp_path / f"out{suffix}")
    assert make_plan(task, enhancer.settings) is None


def test_a_part_of_a_short_video_is_warmed_up(tmp_path: Path, enhancer: Enhancer) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=50)
    task = VideoTask(source=source, output=tmp_path / "out.mp4", span=Span(start=2.0, end=3.0))
    (segment,) = planned(task, enhancer).segments
    assert (segment.warm_up, segment.denoise, segment.frames) == (0, 0, 10)


def test_no_frames_in_a_span_is_told(tmp_path: Path, enhancer: Enhancer) -> None:
    source = write_clip(tmp_path / "in.mp4")
    with pytest.raises(Exception, match="no video frame between"):
        enhance_video(source, tmp_path / "out.mp4", enhancer=enhancer, start=30, end=40)


def test_segments_of_different_encoders_are_refused(tmp_path: Path, enhancer: Enhancer) -> None:
    source = write_clip(tmp_path / "in.mp4")
    task = VideoTask(source=source, output=tmp_path / "out.mp4", encoder=LOSSLESS)
    plan = planned(task, enhancer)
    paths: Sequence[Path] = [tmp_path / f"{segment.index}.mp4" for segment in plan.segments]
    for segment, path in zip(plan.segments, paths, strict=True):
        other = replace(task, encoder=EncoderSettings(crf=20 * (segment.index == 2)))
        enhance_segment(other, plan, segment, enhancer, path)
    with pytest.raises(Exception, match="encoded in different ways"):
        join_segments(task, plan, paths)
    assert not (tmp_path / "out.mp4").exists()
