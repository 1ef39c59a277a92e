"""Live sessions without a window: views, text, outputs, and every way to end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import VideoMaker, one_line, pipeline_threads, run
from tests.support.captured import captured
from tests.support.commands import with_hang_ups
from tests.support.media import Probe
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import EXIT_FAILURE, EXIT_USAGE
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.live.session import LiveSettings, run_live
from zerodce_rt.live.shots import Brightener


def test_settings_of_the_brightener_act_at_once() -> None:
    image = np.full((64, 64, 3), 20, np.uint8)
    enhancer = Enhancer(smoothing_seconds=0.25, estimate_seconds=0.1)
    brightener = Brightener(enhancer)
    full = brightener(captured(image, 1.0))
    assert full.before is image
    assert full.after.mean() > 60
    brightener.strength = 0.5
    half = brightener(captured(image, 1.03))
    assert 25 < half.after.mean() < full.after.mean() - 10
    assert brightener.again(full).after.mean() == pytest.approx(half.after.mean(), abs=3)
    brightener.enabled = False
    off = brightener(captured(image, 1.06))
    assert off.after is off.before is image


def test_noise_removal_is_switched_and_gives_way_when_time_is_short() -> None:
    rng = np.random.default_rng(0)
    noise = 6 * rng.standard_normal((40, 96, 128, 3))
    images = (30 + noise).clip(0, 255).round().astype(np.uint8)
    rate = 30.0
    brightener = Brightener(Enhancer.for_video(), rate=lambda: rate)

    def tremble(first: int) -> float:
        a, b = (
            brightener(captured(images[i], 1 + i / 30)).after.astype(float)
            for i in (first, first + 1)
        )
        return float(np.abs(a - b).mean())

    for index in range(12):
        brightener(captured(images[index], 1 + index / 30))
    clean = tremble(12)
    brightener.toggle_denoise()
    assert brightener.denoise == 0
    assert tremble(14) > 3 * clean
    brightener.toggle_denoise()
    assert brightener.denoise == 1
    assert brightener.denoise_effort == 3
    rate = 100_000.0  # no machine is so fast
    until = time.monotonic() + 30
    while brightener.denoise_effort == 3 and time.monotonic() < until:
        brightener(captured(images[0], time.monotonic()))
    assert brightener.denoise_effort == 2


def live(*arguments: object) -> int:
    return run("live", *arguments, "--no-window")


def test_a_file_is_recorded_bright_at_its_own_speed(
    make_video: VideoMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, output = make_video(frames=60), tmp_path / "bright.mkv"
    started = time.monotonic()
    assert live(source, "--record", output) == 0
    assert time.monotonic() - started > 1.9
    before, after = Probe(source), Probe(output)
    assert after.level() > 2 * before.level()
    gaps = np.diff([float(p) for p in after.pts])
    assert np.median(gaps) == pytest.approx(1 / 30, abs=0.004)
    assert len(after.frames) >= 15
    assert f"{output}: {len(after.frames)} frames recorded" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--no-window"], EXIT_USAGE, "--no-window needs --record, --publish or --virtual-camera"),
        (["--no-window", "--record", "live.avi"], EXIT_FAILURE, "may end in .mkv, .mov, .mp4"),
        (["--no-window", "--record", "{taken}"], EXIT_FAILURE, "exists already; use --overwrite"),
        (["--no-window", "--record", "{source}", "--overwrite"], EXIT_FAILURE, "input itself"),
        (["-o", "{source}/shots"], EXIT_FAILURE, "shots: cannot be made ("),
        (["--size", "1280"], EXIT_USAGE, "is not a size like 1280x720"),
        (["--size", "1x1"], EXIT_USAGE, "size must be 16x16"),
        (["--fps", "0"], EXIT_USAGE, "fps must be above 0"),
        (["--view", "both"], EXIT_USAGE, "invalid choice"),
        (["--keep-fps"], EXIT_FAILURE, "--keep-fps is for cameras only"),
        (["--backend", "none"], EXIT_USAGE, "none"),
    ],
)
def test_mistakes_are_one_line(
    make_video: VideoMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    arguments: list[str], code: int, message: str,
) -> None:  # fmt: skip
    source, taken = make_video(), make_video("taken.mp4")
    before = source.read_bytes(), taken.read_bytes()
    places = {"source": source, "taken": taken, "folder": tmp_path}
    assert run("live", source, *(a.format(**places) for a in arguments)) == code
    assert message in one_line(capfd.readouterr().err)
    assert (source.read_bytes(), taken.read_bytes()) == before


def test_a_missing_screen_is_reported(
    make_video: VideoMaker, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for display, message in (
        ("", "DISPLAY is not set"), (":987", "DISPLAY=:987 does not answer"),
        ("nonsense", "does not answer"),
    ):  # fmt: skip
        monkeypatch.setenv("DISPLAY", display)
        assert run("live", make_video()) == EXIT_FAILURE
        assert message in one_line(capfd.readouterr().err)


def test_a_missing_camera_is_reported(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = tmp_path / "live.mp4"
    assert live("97", "--record", output) == EXIT_FAILURE
    error = capfd.readouterr().err
    assert "camera 97 cannot be opened" in error
    assert "Traceback" not in error
    assert not output.exists()


def test_list_cameras_when_there_is_none(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zerodce_rt.live.camera.list_cameras", list)
    assert run("live", "--list-cameras") == 0
    assert capfd.readouterr().out == "no cameras found\n"


class BrokenEnhancer(Enhancer):
    """Fails in the middle of a video."""

    calls = 0

    def enhance(self, *arguments: Any, **options: Any) -> None:
        self.calls += 1
        if self.calls > 10:
            raise RuntimeError("the network has gone")
        super().enhance(*arguments, **options)


def test_an_exception_inside_the_enhancer_ends_cleanly(
    make_video: VideoMaker, tmp_path: Path
) -> None:
    output = tmp_path / "bright.mp4"
    settings = LiveSettings(window=False, record=output)
    with pytest.raises(RuntimeError, match="the network has gone"):
        run_live(open_feed(str(make_video(frames=60))), BrokenEnhancer(), settings)
    assert pipeline_threads() == []
    assert len(Probe(output).frames) >= 5, "what came before is kept"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_a_session_without_a_window(
    make_video: VideoMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "live.mp4"
    output.symlink_to("/dev/full")
    source = make_video(frames=200, size=(192, 128))
    started = time.monotonic()
    assert live(source, "--record", output, "--overwrite", "--quiet") == EXIT_FAILURE
    assert time.monotonic() - started < 6, "it does not play to the end"
    assert "No space left" in capfd.readouterr().err
    assert pipeline_threads() == []


def test_seconds_end_a_session(make_video: VideoMaker, tmp_path: Path) -> None:
    output = tmp_path / "live.mp4"
    assert live(make_video(frames=300), "--record", output, "--seconds", "1.5") == 0
    assert 0.5 < float(Probe(output).pts[-1]) < 2.5


def test_a_file_can_begin_again(make_video: VideoMaker, tmp_path: Path) -> None:
    output = tmp_path / "live.mp4"
    clip = make_video(frames=15)
    assert live(clip, "--record", output, "--loop", "--seconds", "3") == 0
    assert len(Probe(output).frames) > 30


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])  # Windows lacks the last
def test_signals_end_a_session_and_keep_the_recording(
    make_video: VideoMaker, tmp_path: Path, name: str
) -> None:
    output = tmp_path / "live.mp4"
    command = [sys.executable, "-m", "zerodce_rt", "live", str(make_video(frames=900)),
               "--no-window", "--record", str(output)]  # fmt: skip
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=with_hang_ups)
    until = time.monotonic() + 30
    while not (output.exists() and output.stat().st_size > 0) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1.5)
    sent = time.monotonic()
    program.send_signal(getattr(signal, name))
    _, errors = program.communicate(timeout=20)
    assert time.monotonic() - sent < 3
    assert program.returncode == 0
    assert "Traceback" not in errors
    assert "frames recorded" in errors
    assert len(Probe(output).frames) > 10


def test_the_rate_of_a_slow_camera_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Slow:
        """Reports 30 frames a second and gives 12."""

        def __init__(self, *_: Any) -> None:
            self.due = time.monotonic()

        def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
            return True

        def set(self, *_: Any) -> bool:
            return True

        def get(self, key: int) -> float:
            return 30.0 if key == cv2.CAP_PROP_FPS else 64.0

        def grab(self) -> bool:
            self.due += 1 / 12
            time.sleep(max(0.0, self.due - time.monotonic()))
            return True

        def retrieve(self) -> tuple[bool, NDArray[np.uint8]]:
            return True, np.full((64, 64, 3), 20, np.uint8)

        def release(self) -> None:
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Slow)
    caplog.set_level("INFO", "zerodce_rt")
    settings = LiveSettings(window=False, record=tmp_path / "live.mp4", seconds=3.5)
    run_live(open_feed("0"), Enhancer.for_video(), settings)
    line = next(m for m in caplog.messages if "camera 0: gives 64x64 at " in m)
    rate = float(line.split(" at ")[1].split(" fps")[0])
    assert rate == pytest.approx(12, abs=2)
    assert "unless `keep_fps` forbids it" in line
    assert any("driver reports 64x64 at 30 fps" in m for m in caplog.messages)


IMPORTED = """
import sys, zerodce_rt.live.session
names = list(sys.modules)
sys.exit(names.index("cv2") > names.index("av"))
"""


def test_opencv_is_imported_before_pyav() -> None:
    subprocess.run([sys.executable, "-c", IMPORTED], check=True)


AV_FIRST = """
import av
from zerodce_rt.live import window
window.check_display = lambda: None
window.Window("x")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="libxcb is X11's")
def test_pyav_before_opencv_is_reported_where_a_window_would_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    program = subprocess.run(
        [sys.executable, "-c", AV_FIRST], capture_output=True, text=True, timeout=60, check=False
    )
    assert program.returncode == 1
    assert program.stderr.splitlines()[-1] == (
        "zerodce_rt.errors.ZeroDCEError: PyAV was imported before OpenCV, and a window would "
        "hang; import cv2 before av, or zerodce_rt.live before all else"
    )
