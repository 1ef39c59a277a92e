"""Too little of something: disk, memory, files. One line says what, and nothing is left."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import VideoMaker, assert_nothing_left, one_line
from tests.support.commands import command
from tests.support.media import Probe, dark_scene
from zerodce_rt import Enhancer, ZeroDCEError, enhance_video

if sys.platform == "win32":
    pytest.skip("needs POSIX limits", allow_module_level=True)
import resource


def photographs(folder: Path) -> Path:
    folder.mkdir()
    for index in range(2):
        bright = (dark_scene(index, 96, 64).astype(np.float32) * 7).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), bright)
    return folder


def noisy(make_video: VideoMaker) -> Path:
    """A clip that does not fit on the small disk."""
    return make_video(frames=60, size=(640, 480), options={"qp": "1", "preset": "ultrafast"})


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov", ".ts"])
def test_a_full_disk_ends_a_video_in_one_line(
    ending: str, make_video: VideoMaker, small_disk: Path
) -> None:
    output = small_disk / f"out{ending}"
    options = ("--crf", "1", "--denoise", "0", "--quiet")
    code, error = command("enhance", noisy(make_video), "-o", output, *options)
    assert code == 1
    assert one_line(error) == (f"zerodce-rt: {output}: cannot be written (No space left on device)")
    assert_nothing_left(small_disk)


def test_a_full_disk_names_each_file_of_a_training(small_disk: Path, tmp_path: Path) -> None:
    (small_disk / "fill").write_bytes(bytes(290_000))
    output = small_disk / "w.safetensors"
    arguments = ["train", photographs(tmp_path / "photos"), "-o", output, "--model", "plus"]
    code, error = command(*arguments, "--steps", "2", "--sheet-every", "1", "--quiet")
    assert code == 1
    line = one_line(error)
    assert line.startswith(f"zerodce-rt: {small_disk}/w.")
    assert line.endswith("cannot be written (No space left on device)")
    assert_nothing_left(small_disk, "fill", "w.csv")


def test_a_full_disk_ends_bench_with_a_name(small_disk: Path) -> None:
    (small_disk / "fill").write_bytes(bytes(298_000))
    chart = small_disk / "chart.png"
    code, error = command(
        "bench", "--sizes", "64x48", "--seconds", "0.1", "--plot", chart, "--quiet"
    )
    assert code == 1
    # On a busy machine, it says that times varied.
    lines = [line for line in error.splitlines() if "figures are rough" not in line]
    assert lines == [f"zerodce-rt: {chart}: cannot be written (No space left on device)"]
    assert_nothing_left(small_disk, "fill")


def test_a_recording_on_a_full_disk_keeps_what_came_before(
    make_video: VideoMaker, small_disk: Path
) -> None:
    output = small_disk / "r.mkv"
    code, error = command(
        "live", noisy(make_video), "--no-window", "--record", output, "--denoise", "0", "--quiet"
    )
    if code:
        assert "recording broke off (No space left on device)" in one_line(error)
    assert Probe(output).frames


MEMORY = [(resource.RLIMIT_AS, megabytes << 20) for megabytes in (600, 1000, 1500, 2500)]
FILES = [(resource.RLIMIT_NOFILE, files) for files in (12, 16, 24, 40)]


@pytest.mark.parametrize(("kind", "value"), [*MEMORY, *FILES])
def test_too_little_memory_and_too_few_files_are_said(
    kind: int, value: int, make_video: VideoMaker, tmp_path: Path
) -> None:
    make_video()
    code, error = command(
        "enhance", tmp_path / "night.mp4", "--quiet",
        preexec_fn=lambda: resource.setrlimit(kind, (value, value)),
        environment={"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    if code == 0:
        assert len(Probe(tmp_path / "night_enhanced.mp4").frames) == 12
        return
    assert code == 1
    assert "unexpected" not in error
    assert "Traceback" not in error
    assert_nothing_left(tmp_path, "night.mp4")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs a list of open files")
def test_an_output_that_fails_is_closed(make_video: VideoMaker, small_disk: Path) -> None:
    source = make_video()
    (small_disk / "fill").write_bytes(bytes(297_000))
    counts = []
    with Enhancer.for_video() as enhancer:
        for _ in range(4):
            with pytest.raises(ZeroDCEError, match="No space left on device"):
                enhance_video(source, small_disk / "out.mkv", enhancer=enhancer, crf=0)
            counts.append(len(os.listdir("/proc/self/fd")))
    assert len(set(counts)) == 1
    assert_nothing_left(small_disk, "fill")
