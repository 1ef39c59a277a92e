"""Standard input and output as YUV4MPEG2 or bare frames, between other programs."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import VideoMaker, assert_nothing_left
from tests.support.media import Probe
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.files import enhance_video
from zerodce_rt.media.pipes import RawVideo


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer.for_video()


@contextmanager
def standard(number: int, path: Path) -> Iterator[None]:
    """Let a file be standard input (0) or output (1)."""
    file = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    before = os.dup(number)
    os.dup2(file, number)
    os.close(file)
    try:
        yield
    finally:
        os.dup2(before, number)
        os.close(before)


def y4m(path: Path) -> list[av.VideoFrame]:
    with av.open(io.BytesIO(path.read_bytes()), format="yuv4mpegpipe") as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv420p10le", "yuv444p"])
def test_out_and_in_again(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer, pix_fmt: str
) -> None:
    quiet = {"x265-params": "log-level=error"}
    source = make_video(codec="libx265", pix_fmt=pix_fmt, options=quiet, audio=1)
    piped = tmp_path / "out.y4m"
    with standard(1, piped):
        result = enhance_video(source, "-", enhancer=enhancer)
    before = Probe(source)
    frames = y4m(piped)
    assert result.frames == len(frames) == len(before.frames)
    assert frames[0].format.name == pix_fmt
    assert frames[0].to_ndarray(format="gray").mean() > 1.3 * before.level()
    plain = Enhancer.for_video(strength=0)
    with standard(0, piped):
        enhance_video("-", tmp_path / "back.mkv", enhancer=plain, crf=0, codec="h264")
    back = Probe(tmp_path / "back.mkv")
    assert back.pix_fmt == pix_fmt
    for sent, received in zip(frames, back.frames, strict=True):
        gap = sent.to_ndarray(format="rgb24").astype(int) - received.to_ndarray(format="rgb24")
        assert np.abs(gap).mean() < 1


def test_a_part_of_a_pipe(make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer) -> None:
    piped = tmp_path / "out.y4m"
    with standard(1, piped):
        enhance_video(make_video(frames=30), "-", enhancer=enhancer)
    with standard(0, piped):
        result = enhance_video("-", tmp_path / "part.mp4", enhancer=enhancer, start=0.5, end=0.8)
    assert result.frames == 9


def test_bare_frames(tmp_path: Path, enhancer: Enhancer) -> None:
    width, height, count = 64, 48, 4
    bare = np.random.default_rng(0).integers(16, 40, (count, height * 3 // 2, width), np.uint8)
    # The sender was stopped in the middle of a frame.
    (tmp_path / "in.yuv").write_bytes(bare.tobytes() + bytes(100))
    raw = RawVideo(size=(width, height), pix_fmt="nv12", fps=24)
    with standard(0, tmp_path / "in.yuv"), standard(1, tmp_path / "out.yuv"):
        enhance_video("-", "-", enhancer=enhancer, raw=raw)
    out = np.frombuffer((tmp_path / "out.yuv").read_bytes(), np.uint8).reshape(bare.shape)
    assert out[:, :height].mean() > 1.5 * bare[:, :height].mean()


@pytest.mark.parametrize(
    "bad", [{"size": (0, 4)}, {"size": (4, 4), "pix_fmt": "x"}, {"size": (4, 4), "fps": 0}]
)
def test_settings_of_bare_frames(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RawVideo(**bad)  # type: ignore[arg-type]


def test_something_else_is_refused(tmp_path: Path, enhancer: Enhancer) -> None:
    (tmp_path / "text").write_text("no video")
    with (
        standard(0, tmp_path / "text"),
        pytest.raises(ZeroDCEError, match=r"standard input: not a video.*bare frames need `size`"),
    ):
        enhance_video("-", tmp_path / "out.mp4", enhancer=enhancer)
    assert_nothing_left(tmp_path, "text")


def test_a_reader_that_goes_away(make_video: VideoMaker) -> None:
    source = make_video(frames=60, size=(640, 360))
    program = f"from zerodce_rt.files import enhance_video; enhance_video({str(source)!r}, '-')"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(9) == b"YUV4MPEG2"
        process.stdout.close()
        errors = process.stderr.read().decode()
    assert process.returncode == 1
    assert errors.strip().endswith("standard output: the program that reads it has ended")
