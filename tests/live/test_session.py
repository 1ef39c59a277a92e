"""Live sessions without a window: views, text, recordings, and every way to end."""

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
from tests.support.media import Probe
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import EXIT_FAILURE, EXIT_USAGE, ZeroDCEError
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.live.keys import ACTIONS, KEYS, help_lines
from zerodce_rt.live.overlay import draw_text
from zerodce_rt.live.session import LiveSettings, run_live
from zerodce_rt.live.shots import Brightener
from zerodce_rt.live.sources import Picture
from zerodce_rt.live.viewer import Viewer
from zerodce_rt.live.views import view_of
from zerodce_rt.live.window import fitted


def two_pictures() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Before and after, 64 pixels wide, each with a mark on its left."""
    before, after = np.full((36, 64, 3), 20, np.uint8), np.full((36, 64, 3), 120, np.uint8)
    before[:, :8], after[:, :8] = 40, 180
    return before, after


def test_views() -> None:
    before, after = two_pictures()
    assert np.array_equal(view_of(before, after, "enhanced"), after)
    assert np.array_equal(view_of(before, after, "original"), before)
    side = view_of(before, after, "side")
    assert np.array_equal(side, np.concatenate([before, after], axis=1))
    split = view_of(before, after, "split", divider=0.25)
    assert np.array_equal(split[:, :16], before[:, :16])
    assert np.all(split[:, 16:18] == 255), "the divider"
    assert np.array_equal(split[:, 18:], after[:, 18:])
    with pytest.raises(ValueError, match="enhanced, original, split, side"):
        view_of(before, after, "both")


@pytest.mark.parametrize("divider", [0.0, 1.0])
def test_the_divider_at_the_edge(divider: float) -> None:
    before, after = two_pictures()
    split = view_of(before, after, "split", divider=divider)
    assert np.array_equal(split[:, 4:60], (after if divider == 0 else before)[:, 4:60])


def test_mirrored_views_keep_before_on_the_left() -> None:
    before, after = two_pictures()
    assert np.array_equal(view_of(before, after, "enhanced", mirror=True), after[:, ::-1])
    side = view_of(before, after, "side", mirror=True)
    assert np.array_equal(side[:, :64], before[:, ::-1])
    split = view_of(before, after, "split", mirror=True)
    assert np.all(split[:, 40:56] == 120)
    assert np.all(split[:, 56:] == 180)
    assert np.all(split[:, :32] == 20)


@pytest.mark.parametrize(
    ("window", "place"),
    [
        ((64, 36), (0, 0, 64, 36)),
        ((128, 72), (0, 0, 128, 72)),
        ((128, 100), (0, 14, 128, 72)),
        ((100, 36), (18, 0, 64, 36)),
        ((33, 21), (0, 1, 33, 19)),
        ((1, 1), (0, 0, 1, 1)),
    ],
)
def test_a_picture_is_fitted_into_the_window(
    window: tuple[int, int], place: tuple[int, int, int, int]
) -> None:
    _, after = two_pictures()
    canvas, where = fitted(after, *window)
    assert canvas.shape == (window[1], window[0], 3)
    assert where == place
    left, top, width, height = where
    inside = np.zeros(canvas.shape[:2], bool)
    inside[top : top + height, left : left + width] = True
    assert np.all(canvas[inside] >= 118)
    assert np.all(canvas[~inside] == 0)
    canvas[:] = 0  # it is a copy, for drawing upon
    assert after.min() == 120


@pytest.mark.parametrize("place", ["top left", "top right", "centre", "bottom"])
def test_text_is_drawn_where_it_belongs(place: Any) -> None:
    image = np.full((360, 640, 3), 100, np.uint8)
    draw_text(image, ["25.0 fps"], place)
    changed = np.argwhere((image != 100).any(axis=2))
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    assert image.max() > 240, "white letters"
    assert image.min() < 30, "on a dark panel"
    assert bottom - top < 60
    middle = (left + right) / 2
    assert {"top left": middle < 120, "top right": middle > 520}.get(
        place, abs(middle - 320) < 5
    ), (left, right)
    assert {"centre": abs((top + bottom) / 2 - 180) < 5, "bottom": bottom > 330}.get(
        place, top < 20
    )


def test_long_text_is_wrapped() -> None:
    image = np.full((360, 640, 3), 100, np.uint8)
    message = "a recording that broke off has a long message " * 3
    draw_text(image, [message], "bottom")
    rows = np.flatnonzero((image != 100).any(axis=(1, 2)))
    assert rows.max() - rows.min() > 30, "more than one line"
    assert np.all(image[:, :4] == 100)


@pytest.mark.parametrize("size", [(16, 16), (40, 600), (600, 40), (120, 160)])
def test_text_fits_into_the_smallest_picture(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 100, np.uint8)
    places: tuple[Any, ...] = ("top left", "top right", "centre", "bottom")
    for place in places:
        draw_text(image, help_lines(), place)
        draw_text(image, ["word " * 30, "unbreakable" * 30], place, alarm=True)
    assert image.shape == (*size, 3)


def test_every_key_does_something_and_none_does_two_things() -> None:
    characters = [c for key in KEYS for c in key.characters]
    assert len(characters) == len(set(characters))
    for action in ACTIONS.values():
        assert callable(getattr(Viewer, f"key_{action}"))


def test_settings_of_the_brightener_act_at_once() -> None:
    image = np.full((64, 64, 3), 20, np.uint8)
    enhancer = Enhancer(smoothing_seconds=0.25, estimate_seconds=0.1)
    brightener = Brightener(enhancer)
    full = brightener(Picture(image, 1.0))
    assert full.before is image
    assert full.after.mean() > 60
    brightener.strength = 0.5
    half = brightener(Picture(image, 1.03))
    assert 25 < half.after.mean() < full.after.mean() - 10
    assert brightener.again(full).after.mean() == pytest.approx(half.after.mean(), abs=3)
    brightener.enabled = False
    off = brightener(Picture(image, 1.06))
    assert off.after is off.before is image


def live(*arguments: object) -> int:
    return run("live", *arguments, "--no-window")


def test_a_file_is_recorded_bright_at_its_own_speed(
    make_video: VideoMaker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, output = make_video(frames=20), tmp_path / "bright.mkv"
    started = time.monotonic()
    assert live(source, "--record", output) == 0
    assert time.monotonic() - started > 0.6
    before, after = Probe(source), Probe(output)
    assert after.level() > 2 * before.level()
    gaps = np.diff([float(p) for p in after.pts])
    assert np.median(gaps) == pytest.approx(1 / 30, abs=0.004)
    assert len(after.frames) >= 15
    assert f"{output}: {len(after.frames)} frames recorded" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--no-window"], EXIT_USAGE, "there must be a recording or a virtual camera"),
        (["--no-window", "--record", "live.avi"], EXIT_FAILURE, "may end in .mkv, .mov, .mp4"),
        (["--no-window", "--record", "{taken}"], EXIT_FAILURE, "exists already; use --overwrite"),
        (["--no-window", "--record", "{source}", "--overwrite"], EXIT_FAILURE, "input itself"),
        (["-o", "{folder}/none"], EXIT_FAILURE, "none: no such folder"),
        (["--size", "1280"], EXIT_USAGE, "is not a size like 1280x720"),
        (["--size", "1x1"], EXIT_USAGE, "size must be 16x16"),
        (["--fps", "0"], EXIT_USAGE, "fps must be above 0"),
        (["--view", "both"], EXIT_USAGE, "invalid choice"),
        (["--keep-fps"], EXIT_FAILURE, "--keep-fps is for cameras only"),
        (["--backend", "none"], EXIT_FAILURE, "none"),
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
    error = capfd.readouterr().err
    assert message in error
    if "usage:" not in error:
        one_line(error)
    assert (source.read_bytes(), taken.read_bytes()) == before


def test_no_screen_is_told(
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


def test_a_missing_camera_is_told(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
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

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls > 10:
            raise RuntimeError("the network has gone")
        return super().__call__(*arguments, **options)


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


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_session_and_keep_the_recording(
    make_video: VideoMaker, tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "live.mp4"
    command = [sys.executable, "-m", "zerodce_rt", "live", str(make_video(frames=900)),
               "--no-window", "--record", str(output)]  # fmt: skip
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while not (output.exists() and output.stat().st_size > 0) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1.5)
    sent = time.monotonic()
    program.send_signal(number)
    _, errors = program.communicate(timeout=20)
    assert time.monotonic() - sent < 3
    assert program.returncode == 0
    assert "Traceback" not in errors
    assert "frames recorded" in errors
    assert len(Probe(output).frames) > 10


def test_the_virtual_camera(
    make_video: VideoMaker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """pyvirtualcam's own place is taken: no machine of ours has the kernel's driver."""
    sent: list[NDArray[np.uint8]] = []

    class Loopback:
        device = "/dev/video9"

        def __init__(self, width: int, height: int, fps: float, *, fmt: str) -> None:
            assert (width, height, fps, fmt) == (96, 64, 30, "BGR")
            self.width, self.height = width, height

        def send(self, image: NDArray[np.uint8]) -> None:
            assert image.shape == (64, 96, 3)
            sent.append(image.copy())

        def close(self) -> None:
            sent.append(np.zeros(0, np.uint8))

    class Library:
        Camera = Loopback

        class PixelFormat:
            BGR = "BGR"

    monkeypatch.setitem(sys.modules, "pyvirtualcam", Library)
    assert live(make_video(frames=20), "--virtual-camera") == 0
    assert len(sent) > 10
    assert sent[-1].size == 0, "given back"
    assert np.mean([s.mean() for s in sent[:-1]]) > 40, "the enhanced picture"
    assert "virtual camera: /dev/video9" in capfd.readouterr().err


def test_pictures_of_another_size_are_fitted_to_the_virtual_camera(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from zerodce_rt.live.virtual_camera import VirtualCamera

    shapes = []

    class Loopback:
        device, width, height = "x", 96, 64

        def send(self, image: NDArray[np.uint8]) -> None:
            shapes.append(image.shape)

    class Library:
        @staticmethod
        def Camera(*_: Any, **__: Any) -> Loopback:  # noqa: N802 - pyvirtualcam's name
            return Loopback()

        class PixelFormat:
            BGR = "BGR"

    monkeypatch.setitem(sys.modules, "pyvirtualcam", Library)
    camera = VirtualCamera(30)
    camera.write(np.zeros((64, 96, 3), np.uint8))
    camera.write(np.zeros((128, 192, 3), np.uint8))
    assert shapes == [(64, 96, 3)] * 2


@pytest.mark.parametrize(
    ("system", "advice"), [("Linux", "v4l2loopback"), ("Windows", "OBS"), ("Darwin", "OBS")]
)
def test_a_missing_driver_is_one_line_that_tells_what_to_install(
    make_video: VideoMaker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    system: str, advice: str,
) -> None:  # fmt: skip
    class Library:
        @staticmethod
        def Camera(*_: Any, **__: Any) -> None:  # noqa: N802 - pyvirtualcam's name
            raise RuntimeError("'v4l2loopback' backend: No v4l2 loopback device found")

        class PixelFormat:
            BGR = "BGR"

    monkeypatch.setitem(sys.modules, "pyvirtualcam", Library)
    monkeypatch.setattr("platform.system", lambda: system)
    assert live(make_video(), "--virtual-camera", "--quiet") == EXIT_FAILURE
    line = one_line(capfd.readouterr().err)
    assert "no virtual camera on this system" in line
    assert advice in line


def test_a_missing_package_is_told(
    make_video: VideoMaker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    assert live(make_video(), "--virtual-camera") == EXIT_FAILURE
    assert "pip install 'zerodce-rt[vcam]'" in one_line(capfd.readouterr().err)


def test_what_a_slow_camera_really_gives_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Slow:
        """Promises 30 frames a second and gives 12."""

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
    told = next(m for m in caplog.messages if "camera 0: gives 64x64 at " in m)
    rate = float(told.split(" at ")[1].split(" fps")[0])
    assert rate == pytest.approx(12, abs=2)
    assert "--keep-fps" in told
    assert any("promised 64x64 at 30 fps" in m for m in caplog.messages)


def test_cv2_after_av_is_refused_where_it_would_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    import av  # noqa: F401

    from zerodce_rt.live import window

    monkeypatch.setattr(window, "_answers", lambda _: True)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("sys.modules", {"av": 0, "cv2": 0})
    with pytest.raises(ZeroDCEError, match="cv2 must be imported before av"):
        window.Window("x")


def test_pyvirtualcam_as_it_is(make_video: VideoMaker, capfd: pytest.CaptureFixture[str]) -> None:
    """The real package, on a machine without the driver."""
    pytest.importorskip("pyvirtualcam", reason="the extra [vcam] is not installed")
    if sys.platform != "linux" or any(Path("/dev").glob("video*")):
        pytest.skip("there may be a driver here")
    assert live(make_video(), "--virtual-camera", "--quiet") == EXIT_FAILURE
    assert "no virtual camera on this system" in one_line(capfd.readouterr().err)
