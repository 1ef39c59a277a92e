"""Where enhanced images go: outputs of one's own, and the virtual camera."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import VideoMaker, one_line, pipeline_threads, run
from tests.support.media import Probe
from zerodce_rt.enhancer import Enhancer
from zerodce_rt.errors import EXIT_FAILURE, ZeroDCEError
from zerodce_rt.live.feeds import open_feed
from zerodce_rt.live.outputs import Output
from zerodce_rt.live.recorder import Recorder
from zerodce_rt.live.session import LiveSettings, run_live
from zerodce_rt.live.sources import Feed, SourceLost
from zerodce_rt.live.virtual_camera import VirtualCamera

HEADLESS = LiveSettings(window=False)


class Collector:
    """An output that keeps what it gets.

    Args:
        write_error: raised with the sixth image.
        close_error: raised when closed.
    """

    def __init__(
        self, write_error: Exception | None = None, close_error: Exception | None = None
    ) -> None:
        self.images: list[NDArray[np.uint8]] = []
        self.seconds: list[float] = []
        self.closed = 0
        self._write_error, self._close_error = write_error, close_error

    def write(self, image: NDArray[np.uint8], seconds: float) -> None:
        if self._write_error is not None and len(self.images) == 5:
            raise self._write_error
        self.images.append(image)
        self.seconds.append(seconds)

    def close(self) -> None:
        self.closed += 1
        if self._close_error is not None:
            raise self._close_error


@pytest.fixture
def enhancer() -> Enhancer:
    return Enhancer.for_video()


def test_an_output_gets_every_enhanced_image_with_its_time(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer
) -> None:
    first, second = Collector(), Collector()
    source, recording = make_video(frames=20), tmp_path / "live.mkv"
    started = time.monotonic()
    settings = LiveSettings(window=False, record=recording)
    run_live(open_feed(source), enhancer, settings, outputs=[first, second])
    assert len(first.images) == len(Probe(recording).frames) >= 15
    assert all(a is b for a, b in zip(first.images, second.images, strict=True))
    assert {(i.shape, i.dtype.name) for i in first.images} == {((64, 96, 3), "uint8")}
    assert np.mean([i.mean() for i in first.images]) > 2 * Probe(source).level()
    assert started < first.seconds[0] < first.seconds[-1] < time.monotonic() + 0.1
    assert np.median(np.diff(first.seconds)) == pytest.approx(1 / 30, abs=0.004)
    assert (first.closed, second.closed) == (1, 1)


def test_without_a_window_an_output_of_ones_own_is_enough(
    make_video: VideoMaker, enhancer: Enhancer
) -> None:
    feed = open_feed(str(make_video(frames=3)))
    with pytest.raises(ValueError, match="a stream to publish or another output"):
        run_live(feed, enhancer, HEADLESS)
    output = Collector()
    run_live(feed, enhancer, HEADLESS, outputs=[output])
    assert output.images


@pytest.mark.parametrize("error", [ZeroDCEError("disk full"), RuntimeError("a defect")])
def test_an_error_of_an_output_ends_the_session(
    make_video: VideoMaker, tmp_path: Path, enhancer: Enhancer, error: Exception
) -> None:
    others = Collector(), Collector()
    outputs = [others[0], Collector(write_error=error), others[1]]
    recording = tmp_path / "live.mp4"
    settings = LiveSettings(window=False, record=recording)
    with pytest.raises(type(error)) as caught:
        run_live(open_feed(str(make_video(frames=900))), enhancer, settings, outputs=outputs)
    assert caught.value is error
    assert [output.closed for output in outputs] == [1, 1, 1]
    assert pipeline_threads() == []
    assert len(Probe(recording).frames) >= 5, "what came before is kept"


def test_an_error_of_closing_is_raised_after_the_others_were_closed(
    make_video: VideoMaker, enhancer: Enhancer
) -> None:
    outputs = [Collector(), Collector(close_error=OSError("cannot finish")), Collector()]
    with pytest.raises(OSError, match="cannot finish"):
        run_live(open_feed(str(make_video(frames=3))), enhancer, HEADLESS, outputs=outputs)
    assert [output.closed for output in outputs] == [1, 1, 1]


def test_an_error_of_closing_does_not_hide_an_earlier_one(
    make_video: VideoMaker, enhancer: Enhancer, caplog: pytest.LogCaptureFixture
) -> None:
    output = Collector(ZeroDCEError("disk full"), OSError("cannot finish"))
    with pytest.raises(ZeroDCEError, match="disk full"):
        run_live(open_feed(str(make_video(frames=60))), enhancer, HEADLESS, outputs=[output])
    assert "Collector could not be closed" in caplog.text


def test_outputs_are_closed_if_the_session_cannot_begin(enhancer: Enhancer) -> None:
    def gone() -> Any:
        raise SourceLost("no such camera")

    output = Collector()
    with pytest.raises(SourceLost):
        run_live(Feed("camera 7", gone), enhancer, HEADLESS, outputs=[output])
    assert output.closed == 1


def test_our_own_outputs_are_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", Any)
    outputs: list[Output] = [Recorder(tmp_path / "live.mkv", 30), VirtualCamera(30)]
    for output in outputs:
        output.close()


def live(*arguments: object) -> int:
    return run("live", *arguments, "--no-window")


def test_the_virtual_camera(
    make_video: VideoMaker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With a stand-in for pyvirtualcam, since few machines have the driver."""
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
    assert sent[-1].size == 0, "closed"
    assert np.mean([s.mean() for s in sent[:-1]]) > 40, "the enhanced picture"
    assert "virtual camera: /dev/video9" in capfd.readouterr().err


def test_pictures_of_another_size_are_fitted_to_the_virtual_camera(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
    camera.write(np.zeros((64, 96, 3), np.uint8), 0.0)
    camera.write(np.zeros((128, 192, 3), np.uint8), 0.1)
    assert shapes == [(64, 96, 3)] * 2


@pytest.mark.parametrize(
    ("system", "advice"), [("Linux", "v4l2loopback"), ("Windows", "OBS"), ("Darwin", "OBS")]
)
def test_a_missing_driver_is_one_line_that_says_what_to_install(
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


def test_a_missing_package_is_reported(
    make_video: VideoMaker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    assert live(make_video(), "--virtual-camera") == EXIT_FAILURE
    assert "pip install pyvirtualcam" in one_line(capfd.readouterr().err)


def test_the_real_pyvirtualcam(make_video: VideoMaker, capfd: pytest.CaptureFixture[str]) -> None:
    """The real package, on a machine without the driver."""
    pytest.importorskip("pyvirtualcam", reason="the extra [vcam] is not installed")
    if sys.platform != "linux" or any(Path("/dev").glob("video*")):
        pytest.skip("there may be a driver here")
    assert live(make_video(), "--virtual-camera", "--quiet") == EXIT_FAILURE
    assert "no virtual camera on this system" in one_line(capfd.readouterr().err)


def test_wrong_types_are_named(enhancer: Enhancer) -> None:
    with pytest.raises(TypeError, match=r"`record` must be a Path, not 'a\.mp4'"):
        LiveSettings(record="a.mp4")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"`feed` must be what open_feed returns, not 'a\.mp4'"):
        run_live("a.mp4", enhancer)  # type: ignore[arg-type]
