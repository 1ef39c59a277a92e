"""Cameras, with fakes of OpenCV's VideoCapture and of the V4L2 driver only."""

from __future__ import annotations

import errno
import logging
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError
from zerodce_rt.live.camera import Camera, CameraSettings, list_cameras
from zerodce_rt.live.exposure import FrameRateHold
from zerodce_rt.live.feeds import frame_rate_hold, open_feed
from zerodce_rt.live.sources import SourceLost

MJPG = cv2.VideoWriter.fourcc(*"MJPG")
IMAGE = np.full((48, 64, 3), 7, np.uint8)


class Driver:
    """A camera and its driver, behind ``cv2.VideoCapture``."""

    def __init__(self) -> None:
        self.has_mjpg = True
        self.present = True
        self.calls: list[tuple[Any, ...]] = []
        self.images: list[NDArray[Any] | Exception | None] = [IMAGE]
        self.released = 0
        self.says: dict[int, float] = {
            cv2.CAP_PROP_FRAME_WIDTH: 640, cv2.CAP_PROP_FRAME_HEIGHT: 480,
            cv2.CAP_PROP_FPS: 30, cv2.CAP_PROP_FOURCC: float(MJPG),
        }  # fmt: skip

    def capture(self, device: int | str, backend: int, parameters: list[int]) -> Capture:
        self.calls.append(("open", device, *parameters))
        return Capture(self, self.present and (self.has_mjpg or not parameters))


class Capture:
    def __init__(self, driver: Driver, opened: bool) -> None:
        self.driver, self.opened = driver, opened

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opened

    def set(self, key: int, value: float) -> bool:
        self.driver.calls.append(("set", key, value))
        return False  # drivers say so even when they obey

    def get(self, key: int) -> float:
        return self.driver.says.get(key, 0.0)

    def grab(self) -> bool:
        return bool(self.driver.images)

    def retrieve(self) -> tuple[bool, Any]:
        image = self.driver.images.pop(0)
        if isinstance(image, Exception):
            raise image
        return image is not None, image

    def release(self) -> None:
        self.driver.released += 1


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    monkeypatch.setattr(cv2, "VideoCapture", driver.capture)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    return driver


def test_mjpg_is_asked_for_before_the_size(driver: Driver) -> None:
    camera = Camera(2, CameraSettings(width=1920, height=1080, rate=60))
    assert driver.calls == [
        ("open", 2, cv2.CAP_PROP_FOURCC, MJPG),
        ("set", cv2.CAP_PROP_FRAME_WIDTH, 1920),
        ("set", cv2.CAP_PROP_FRAME_HEIGHT, 1080),
        ("set", cv2.CAP_PROP_FPS, 60),
    ]
    assert camera.description == (
        "asked for 1920x1080 at 60 fps, driver reports 640x480 MJPG at 30 fps"
    )
    camera.close()
    assert driver.released == 1


def test_a_camera_without_mjpg_is_opened_plainly(driver: Driver) -> None:
    driver.has_mjpg = False
    driver.says = {cv2.CAP_PROP_FRAME_WIDTH: 640, cv2.CAP_PROP_FRAME_HEIGHT: 480}
    camera = Camera("/dev/video3", CameraSettings())
    assert [c for c in driver.calls if c[0] == "open"] == [
        ("open", "/dev/video3", cv2.CAP_PROP_FOURCC, MJPG), ("open", "/dev/video3"),
    ]  # fmt: skip
    assert camera.description == "asked for 1280x720 at 30 fps, driver reports 640x480"
    assert driver.released == 1, "the first attempt"


def test_a_camera_that_is_not_there(driver: Driver) -> None:
    driver.present = False
    with pytest.raises(SourceLost, match=r"camera 4 cannot be opened; .*`list_cameras`"):
        Camera(4, CameraSettings())
    assert driver.released == 2


def test_an_error_of_opencv_while_opening(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Capture:
        raise cv2.error("backend is not available")

    monkeypatch.setattr(cv2, "VideoCapture", broken)
    with pytest.raises(SourceLost, match="camera 0 cannot be opened"):
        Camera(0, CameraSettings())


def test_pictures_and_the_unplugged_camera(driver: Driver) -> None:
    camera = Camera(0, CameraSettings())
    assert np.array_equal(camera.read().image, IMAGE)
    with pytest.raises(SourceLost, match="camera 0 gives no picture; check that it is plugged in"):
        camera.read()


@pytest.mark.parametrize("bad", [None, np.empty((0, 0, 3), np.uint8)])
def test_a_damaged_picture_is_passed_over(driver: Driver, bad: NDArray[Any] | None) -> None:
    driver.images = [bad, bad, IMAGE]
    assert np.array_equal(Camera(0, CameraSettings()).read().image, IMAGE)


def test_a_camera_that_gives_only_damaged_pictures_is_lost(driver: Driver) -> None:
    driver.images = [None] * 1000
    with pytest.raises(SourceLost):
        Camera(0, CameraSettings()).read()
    assert len(driver.images) > 900, "it does not try for ever"


def test_an_error_of_opencv_is_a_lost_camera(driver: Driver) -> None:
    driver.images = [cv2.error("VIDIOC_DQBUF")]
    with pytest.raises(SourceLost):
        Camera(0, CameraSettings()).read()


@pytest.mark.parametrize(
    ("raw", "level"),
    [
        (np.full((4, 6), 9, np.uint8), 9),
        (np.full((4, 6, 1), 9, np.uint8), 9),
        (np.full((4, 6), 0x1234, np.uint16), 0x12),
    ],
)
def test_infrared_cameras_are_grey(driver: Driver, raw: NDArray[Any], level: int) -> None:
    driver.images = [raw]
    image = Camera(0, CameraSettings()).read().image
    assert image.shape == (4, 6, 3)
    assert image.dtype == np.uint8
    assert np.all(image == level)


@pytest.mark.parametrize(
    "wrong", [{"width": 8}, {"height": 0}, {"width": 1 << 20}, {"rate": 0}, {"rate": 1e6}]
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"size|fps"):
        CameraSettings(**wrong)


def test_list_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2_enumerate_cameras
    from cv2_enumerate_cameras.camera_info import CameraInfo

    asked = []

    def enumerate_cameras(backend: int) -> list[CameraInfo]:
        asked.append(backend)
        return [
            CameraInfo(2, "USB Camera", "/dev/video2", 1, 2, backend),
            CameraInfo(0, "Built-in", "", 1, 2, backend),
        ]

    monkeypatch.setattr(cv2_enumerate_cameras, "enumerate_cameras", enumerate_cameras)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert list_cameras() == [" 0  Built-in", " 2  USB Camera  (/dev/video2)"]
    assert asked == [cv2.CAP_V4L2]


class Control:
    """A V4L2 device with one control, behind ``ioctl``."""

    def __init__(self, value: int | None) -> None:
        self.value = value
        self.written: list[int] = []

    def ioctl(self, device: int, request: int, argument: bytes) -> bytes:
        identity, value = struct.unpack("=Ii", argument)
        assert identity == 0x009A0903
        assert len(argument) == (request >> 16) & 0x3FFF == 8
        assert request >> 30 == 3, "read and write"
        assert chr((request >> 8) & 0xFF) == "V"
        if self.value is None:
            raise OSError(errno.EINVAL, "Invalid argument")
        if request & 0xFF == 28:
            self.value = value
            self.written.append(value)
        else:
            assert request & 0xFF == 27
        return struct.pack("=Ii", identity, self.value)


@pytest.fixture
def device(tmp_path: Path) -> str:
    path = tmp_path / "video0"
    path.touch()
    return str(path)


def with_control(monkeypatch: pytest.MonkeyPatch, value: int | None) -> Control:
    fcntl = pytest.importorskip("fcntl", reason="V4L2 is Linux's")
    control = Control(value)
    monkeypatch.setattr(fcntl, "ioctl", control.ioctl)
    monkeypatch.setattr("sys.platform", "linux")
    return control


def test_the_frame_rate_is_held_and_the_setting_put_back(
    monkeypatch: pytest.MonkeyPatch, device: str, driver: Driver
) -> None:
    control = with_control(monkeypatch, 1)
    hold = FrameRateHold(device)
    camera = Camera(0, CameraSettings(), hold)
    assert camera.description.endswith(", rate held")
    assert control.value == 0
    # It was unplugged, and has forgotten the setting.
    control.value = 1
    Camera(0, CameraSettings(), hold)
    assert control.value == 0
    hold.restore()
    assert control.value == 1
    hold.restore()
    assert control.written == [0, 0, 1], "once is enough"


def test_a_camera_that_holds_its_rate_already_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    control = with_control(monkeypatch, 0)
    hold = FrameRateHold(device)
    assert hold.apply()
    hold.restore()
    assert control.written == []


def test_a_driver_without_the_setting_is_reported(
    monkeypatch: pytest.MonkeyPatch, device: str, driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    with_control(monkeypatch, None)
    camera = Camera(0, CameraSettings(), FrameRateHold(device))
    assert camera.description.endswith(", rate not held")
    assert caplog.messages == [
        f"{device}: its frame rate cannot be held (its driver has no such setting)"
    ]


def test_holding_the_rate_elsewhere_than_on_linux(
    monkeypatch: pytest.MonkeyPatch, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert not FrameRateHold(device).apply()
    assert "not possible on win32" in caplog.text


def test_the_setting_of_an_unplugged_camera_is_not_restored(
    monkeypatch: pytest.MonkeyPatch, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with_control(monkeypatch, 1)
    hold = FrameRateHold(device)
    assert hold.apply()
    Path(device).unlink()
    hold.restore()
    assert caplog.messages == []


def test_the_device_whose_rate_is_held() -> None:
    assert frame_rate_hold("3").path == "/dev/video3"
    assert frame_rate_hold("/dev/video5").path == "/dev/video5"
    with pytest.raises(ZeroDCEError, match="`keep_fps` is for cameras only"):
        frame_rate_hold("rtsp://host/x")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("0", "camera 0"),
        ("rtsp://host:554/stream", "rtsp://host:554/stream"),
        ("rtsp://me:secret@host:554/stream?a=b", "rtsp://host:554/stream?a=b"),
        ("HTTP://host/x", "HTTP://host/x"),
    ],
)
def test_sources_have_names_without_passwords(source: str, name: str) -> None:
    assert open_feed(source).name == name


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("night.mp4", r"night.mp4: no such file; a camera is a number"),
        ("file:///etc/passwd", r"unknown kind of stream; valid: http, "),
        ("ftp://me:secret@host/x", r"^ftp://host/x: unknown kind"),
        ("photo.JPG", "is not a video; 'zerodce-rt enhance' takes pictures"),
        ("tests", "is not a video; 'zerodce-rt enhance' takes pictures and folders"),
        ("/dev/video99", r"/dev/video99: no such camera; `list_cameras` shows which there are"),
    ],
)
def test_sources_that_cannot_be_opened(
    source: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    with pytest.raises(ZeroDCEError, match=message):
        open_feed(source)
