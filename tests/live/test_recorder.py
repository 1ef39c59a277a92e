"""Recordings have real times, can be played whatever happens, and never delay the picture."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.media import Probe, dark_scene
from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.recorder import SUFFIXES, Recorder

SIZE = 96, 64


def scene(index: int, level: float = 0.9) -> NDArray[np.uint8]:
    return np.ascontiguousarray(dark_scene(index, *SIZE, level=level)[..., ::-1])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_times_are_real(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"live{suffix}"
    seconds = [1000.0, 1000.033, 1000.1, 1000.5, 1000.52, 1002.0]
    recorder = Recorder(path, 30)
    for index, at in enumerate(seconds):
        recorder.write(scene(index), at)
    recorder.close()
    probe = Probe(path)
    assert [float(p) for p in probe.pts] == pytest.approx([s - 1000 for s in seconds], abs=2e-3)
    assert probe.size == SIZE
    assert probe.codec == "h264"
    assert recorder.frames == 6
    # On average, since four pixels share a chroma sample.
    assert np.abs(probe.rgb(0)[..., ::-1].astype(int) - scene(0)).mean() < 6
    assert probe.tags[0] == 1, "limited range"
    assert probe.tags[1] in (5, 6), "BT.601, as for all small pictures"


def test_times_grow_even_if_the_clock_does_not(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "live.mkv", 30)
    for at in (5.0, 5.0, 4.9, 5.1):
        recorder.write(scene(0), at)
    recorder.close()
    pts = Probe(tmp_path / "live.mkv").pts
    assert len(pts) == 4
    assert pts == sorted(pts)


@pytest.mark.parametrize("odd", [(97, 65), (96, 65), (33, 64)])
def test_odd_and_changing_sizes(tmp_path: Path, odd: tuple[int, int]) -> None:
    path = tmp_path / "live.mp4"
    recorder = Recorder(path, 30)
    first = np.zeros((odd[1], odd[0], 3), np.uint8)
    for index, image in enumerate([first, scene(1), first]):
        recorder.write(image, index / 10)
    recorder.close()
    probe = Probe(path)
    assert probe.size == (odd[0] & ~1, odd[1] & ~1)
    assert len(probe.frames) == 3


KILLED = """
import sys, time
import numpy as np
from pathlib import Path
from zerodce_rt.live.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]), 30)
for n in range(10_000):
    recorder.write(np.full((64, 96, 3), n % 250, np.uint8), n / 30)
    time.sleep(0.004)
    if n == 150:
        print("now", flush=True)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_killed_program_leaves_a_file_that_plays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"live{suffix}"
    program = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "now\n"
    program.kill()
    program.wait()
    frames = Probe(path).frames
    # At most the last second or two is missing.
    assert len(frames) >= 90


def test_a_slow_encoder_drops_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    going_on = threading.Event()
    encode = Recorder._write

    def slow(self: Recorder, *arguments: Any) -> None:
        going_on.wait(10)
        encode(self, *arguments)

    monkeypatch.setattr(Recorder, "_write", slow)
    recorder = Recorder(tmp_path / "live.mp4", 30)
    started = time.monotonic()
    for index in range(100):
        recorder.write(scene(index), index / 30)
    assert time.monotonic() - started < 5, "writing never waits"
    going_on.set()
    recorder.close()
    assert recorder.dropped >= 80
    assert recorder.frames + recorder.dropped == 100


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"live{suffix}"
    path.symlink_to("/dev/full")
    recorder = Recorder(path, 30)
    rng = np.random.default_rng(0)

    def record() -> None:
        for index in range(1000):
            recorder.write(rng.integers(0, 255, (256, 256, 3), np.uint8), index / 30)
            time.sleep(0.002)

    with pytest.raises(ZeroDCEError, match=r"live\.\w+: recording broke off \(No space left"):
        record()
    with pytest.raises(ZeroDCEError, match="No space left"):
        recorder.close()
    assert not any(t.name == "zerodce-record" for t in threading.enumerate())


def test_an_unexpected_error_is_reported_and_does_not_hang(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "live.mp4", 30)
    recorder.write(np.zeros((4, 4), np.uint8), 0.0)
    with pytest.raises(ZeroDCEError, match="recording broke off"):
        recorder.close()


def test_a_recording_without_frames_leaves_no_file(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "live.mp4", 30)
    recorder.close()
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ZeroDCEError, match=r"none.live.mp4: cannot be written"):
        Recorder(tmp_path / "none" / "live.mp4", 30)
    with pytest.raises(ValueError, match=r"\.mkv, \.mov, \.mp4"):
        Recorder(tmp_path / "live.avi", 30)
