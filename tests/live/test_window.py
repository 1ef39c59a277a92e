"""The live window on an X server, with keys and mouse sent to it."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.desktop import Program, require_desktop, xdotool
from tests.support.media import Probe, write_video
from tests.support.sender import Sender

pytestmark = [pytest.mark.usefixtures("desktop"), pytest.mark.alone]

SIZE = 640, 360
# A part of the picture without text: below the figures, above the messages.
CALM = slice(130, 270), slice(20, 620)


@pytest.fixture
def desktop() -> None:
    require_desktop()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark, lighter from left to right, with a moving patch."""
    path = tmp_path_factory.mktemp("clip") / "night.mp4"
    write_video(
        path, frames=900, size=SIZE, time_base=Fraction(1, 15), options={"preset": "ultrafast"}
    )
    return path


@pytest.fixture
def program(clip: Path, tmp_path: Path) -> Iterator[Program]:
    with Program(clip, title=clip.name, folder=tmp_path) as program:
        program.wait_for(is_bright, "the enhanced picture")
        yield program


def level(picture: NDArray[np.uint8]) -> float:
    return float(picture[CALM].mean())


def red_mark(picture: NDArray[np.uint8]) -> int:
    """Pixels of the mark of a recording, which is more red than anything in the clip."""
    corner = picture[:60, 480:]
    return int(((corner[..., 0] > 240) & (corner[..., 1] < 100)).sum())


def is_bright(picture: NDArray[np.uint8]) -> bool:
    return level(picture) > 60


def is_dark(picture: NDArray[np.uint8]) -> bool:
    return 5 < level(picture) < 40


def columns(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean level of each column where there is no text."""
    return picture[CALM].mean(axis=(0, 2))


def text_pixels(picture: NDArray[np.uint8]) -> int:
    return int((picture.min(axis=2) > 235).sum())  # whiter than anything in the clip


def test_views_and_the_divider(program: Program) -> None:
    assert program.place()[2:] == SIZE
    program.press("2")
    dark = program.wait_for(is_dark, "the original")
    program.press("3")
    split = program.wait_for(lambda p: columns(p)[310:].mean() > 60, "the split view")
    assert columns(split)[:280].mean() == pytest.approx(columns(dark)[:280].mean(), abs=6)
    line = int(columns(split).argmax()) + 20
    assert abs(line - 320) <= 4

    program.drag((320, 200), (240, 210), (160, 200))
    moved = program.wait_for(lambda p: columns(p)[160:280].mean() > 50, "the dragged divider")
    assert abs(int(columns(moved).argmax()) + 20 - 160) <= 6
    assert columns(moved)[:120].mean() < 40
    # Beyond the edge of the window.
    program.drag((160, 200), (-200, 200))
    program.wait_for(lambda p: columns(p)[10:].mean() > 60 and columns(p)[20] > 40, "all enhanced")

    program.press("4")
    program.wait_for(
        lambda p: p[170:190, 40:280].mean() < 40 and p[170:190, 360:600].mean() > 60, "both"
    )
    program.press("v")
    program.wait_for(is_bright, "enhanced again")


def test_strength_toggle_and_freeze(program: Program) -> None:
    full = level(program.look())
    program.press(*["minus"] * 5)
    half = level(program.wait_for(lambda p: level(p) < 0.85 * full, "less strength"))
    program.press("plus", "equal")
    program.wait_for(lambda p: level(p) > half + 3, "more strength")
    program.press("n", "n")  # noise removal off and on: as bright as before
    program.wait_for(is_bright, "noise removal on")
    program.press("space")
    program.wait_for(is_dark, "enhancement off")
    program.press("space")
    program.wait_for(is_bright, "enhancement on")

    assert not np.array_equal(program.look()[CALM], later(program)[CALM]), "it plays"
    program.press("p")
    time.sleep(0.5)
    assert np.array_equal(program.look()[CALM], later(program)[CALM]), "it is frozen"
    # Keys change a frozen picture.
    program.press("space")
    dark = program.wait_for(is_dark, "frozen and off")
    assert np.array_equal(dark[CALM], later(program)[CALM])
    program.press("space")
    program.wait_for(is_bright, "frozen and on")
    program.press("p")
    time.sleep(0.5)
    assert not np.array_equal(program.look()[CALM], later(program)[CALM]), "it plays again"


def later(program: Program) -> NDArray[np.uint8]:
    time.sleep(0.4)
    return program.look()


def test_mirror_overlay_help_and_full_screen(program: Program) -> None:
    assert columns(program.look())[:200].mean() < columns(program.look())[-200:].mean()
    program.press("m")
    program.wait_for(lambda p: columns(p)[:200].mean() > columns(p)[-200:].mean(), "mirrored")
    program.press("m")

    corner = slice(0, 80), slice(0, 300)
    assert text_pixels(program.look()[corner]) > 100, "figures"
    program.press("o")
    program.wait_for(lambda p: text_pixels(p[corner]) == 0, "no figures")
    program.press("h")
    program.wait_for(lambda p: text_pixels(p) > 2000, "help")
    program.press("question")
    program.wait_for(lambda p: text_pixels(p) < 500, "no help")

    program.press("f")
    screen = tuple(int(n) for n in xdotool("getdisplaygeometry").split())
    program.wait_for(lambda _: program.place()[2:] == screen, "full screen")
    # With black bars rather than a stretched picture.
    height = screen[0] * SIZE[1] // SIZE[0]
    bar = max(0, screen[1] - height) // 2
    program.wait_for(
        lambda p: p[len(p) // 2].mean() > 50 and (bar < 20 or p[bar // 2].max() == 0),
        "the picture, with black above",
    )
    program.press("f")
    program.wait_for(lambda _: program.place()[2:] == SIZE, "a window again")


def test_options_of_the_window(clip: Path, tmp_path: Path) -> None:
    with Program(
        clip, "--full-screen", "--no-overlay", "--mirror", "--view", "side",
        title=clip.name, folder=tmp_path,
    ) as program:  # fmt: skip
        screen = tuple(int(n) for n in xdotool("getdisplaygeometry").split())
        picture = program.wait_for(
            lambda p: p.shape[1::-1] == screen and p[len(p) // 2].mean() > 30, "full screen"
        )
        height, width = picture.shape[:2]
        middle = picture[height // 2 - 20 : height // 2 + 20].mean(axis=(0, 2))
        assert middle[: width // 2].mean() < 40, "before on the left"
        right = middle[width // 2 :]
        assert right.mean() > 60, "after on the right"
        assert right[: width // 8].mean() > right[-width // 8 :].mean(), "both mirrored"
        assert text_pixels(picture) == 0
        program.press("f")
        program.wait_for(lambda _: program.place()[2:] == SIZE, "the clip's own size")


def test_resizing_keeps_the_aspect(program: Program) -> None:
    xdotool("windowsize", "--sync", program.window, 500, 500)
    # At first, the last picture is stretched to the new window.
    picture = program.wait_for(
        lambda p: p.shape[:2] == (500, 500) and p[250].mean() > 40 and p[50, 300:].max() == 0,
        "the new size, with black above",
    )
    lit = np.flatnonzero(picture[:, 300:].max(axis=(1, 2)) > 20)
    assert abs(lit.min() - 109) < 3
    assert abs(lit.max() - 390) < 3


def test_snapshots_and_recording(program: Program, tmp_path: Path) -> None:
    import cv2

    program.press("s")
    program.wait_for(lambda _: len([*tmp_path.glob("zerodce-rt_20*.png")]) == 2, "two pictures")
    program.press("r")
    program.wait_for(lambda p: red_mark(p) > 50, "the red mark of a recording")
    time.sleep(1.5)
    program.press("r")
    program.wait_for(lambda p: red_mark(p) == 0, "stopped")
    program.press("q")
    assert program.ended() == 0
    before, after = sorted(tmp_path.glob("zerodce-rt_20*.png"), reverse=True)
    assert before.name.endswith("_before.png")
    assert after.name.endswith("_after.png")
    dark, bright = cv2.imread(str(before)), cv2.imread(str(after))
    assert dark is not None
    assert bright is not None
    assert dark.shape == bright.shape == (360, 640, 3)
    assert bright.mean() > 2 * dark.mean()
    (recording,) = tmp_path.glob("zerodce-rt_20*.mp4")
    probe = Probe(recording)
    assert len(probe.frames) > 10
    assert probe.level() > 60
    assert text_pixels(probe.rgb(3)[:40]) == 0, "no text in the recording"
    assert not list(tmp_path.glob(".*")), "nothing half-written"


@pytest.mark.parametrize("way", ["q", "Escape", "alt+F4", "SIGINT", "SIGTERM"])
def test_every_way_to_end_a_session_is_quick(program: Program, way: str) -> None:
    started = time.monotonic()
    if way.startswith("SIG"):
        program.process.send_signal(getattr(signal, way))
    else:
        xdotool("key", way)
    assert program.ended() == 0
    assert time.monotonic() - started < 3
    log = program.log.read_text()
    assert "frames in" in log
    assert "Traceback" not in log


def test_escape_leaves_full_screen_first(program: Program) -> None:
    program.press("f")
    program.wait_for(lambda _: program.place()[2:] != SIZE, "full screen")
    program.press("Escape")
    program.wait_for(lambda _: program.place()[2:] == SIZE, "a window again")
    program.press("Escape")
    assert program.ended() == 0


def test_the_wheel_changes_the_strength_and_does_not_zoom(program: Program) -> None:
    full = program.look()
    program.scroll(-5)
    weak = program.wait_for(lambda p: level(p) < 0.85 * level(full), "less strength")
    program.scroll(5)
    program.wait_for(lambda p: level(p) > level(weak) + 10, "more strength")
    program.press("2")
    program.wait_for(is_dark, "the original, which strength does not change")
    program.press("o", "p")
    time.sleep(3)  # until the messages have gone
    before = program.look()
    program.scroll(3)
    time.sleep(0.3)
    assert np.array_equal(program.look()[:270], before[:270]), "nothing has moved"


def test_the_key_of_the_help_is_shown_at_first(program: Program) -> None:
    bottom = slice(300, 360), slice(270, 370)
    program.wait_for(lambda p: text_pixels(p[bottom]) > 20, "H: help")
    program.wait_for(lambda p: text_pixels(p[bottom]) == 0, "it goes")


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """Two seconds, with a patch that moves to the right."""
    path = tmp_path / "short.mp4"
    write_video(path, frames=30, size=SIZE, time_base=Fraction(1, 15))
    return path


def test_a_file_stays_on_its_last_image(short: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with Program(short, "-o", folder, title=short.name, folder=tmp_path) as program:
        bottom = slice(300, 360), slice(150, 490)
        program.wait_for(lambda p: text_pixels(p[bottom]) > 120, "the message at the end")
        last = program.look()
        assert is_bright(last)
        assert np.array_equal(last[CALM], later(program)[CALM]), "it stays"
        program.press("space")
        program.wait_for(is_dark, "its enhancement is off")
        program.press("s", "space")
        program.wait_for(is_bright, "its enhancement is on")
        program.press("Left")
        program.wait_for(lambda p: not np.array_equal(p[CALM], last[CALM]), "it plays again")
        program.wait_for(lambda p: np.abs(level(p) - level(last)) < 3, "to its end", seconds=5)
        program.press("q")
        assert program.ended() == 0
    assert len(list(folder.glob("*.png"))) == 2, "the snapshot, in a new folder"


def test_a_recording_ends_with_the_file(short: Path, tmp_path: Path) -> None:
    output = tmp_path / "live.mp4"
    with Program(short, "--record", output, title=short.name, folder=tmp_path) as program:
        program.wait_for(lambda p: red_mark(p) > 50, "the red mark of a recording")
        program.wait_for(lambda p: red_mark(p) == 0, "stopped")
        assert len(Probe(output).frames) > 10
        program.press("q")
        assert program.ended() == 0


def test_the_arrow_keys_seek(clip: Path, tmp_path: Path) -> None:
    """The clip is a minute long: twelve steps lead to its end."""
    with Program(clip, title=clip.name, folder=tmp_path) as program:
        program.wait_for(is_bright, "the picture")
        program.press(*["Right"] * 13)
        last = program.wait_for(
            lambda p: np.array_equal(p[CALM], later(program)[CALM]), "the last image", seconds=20
        )
        program.press("Left")
        program.wait_for(lambda p: not np.array_equal(p[CALM], last[CALM]), "it plays")
        program.press("q")
        assert program.ended() == 0


BROKEN = """
from zerodce_rt.enhancer import Enhancer
calls, enhance = [], Enhancer.enhance
def broken(self, *arguments, **options):
    calls.append(0)
    if len(calls) > 20:
        raise RuntimeError("the network has gone")
    enhance(self, *arguments, **options)
Enhancer.enhance = broken
"""


def test_an_exception_inside_the_enhancer(clip: Path, tmp_path: Path) -> None:
    with Program(clip, title=clip.name, folder=tmp_path, code=BROKEN) as program:
        assert program.ended() == 1
        log = program.log.read_text()
    assert "unexpected RuntimeError: the network has gone" in log
    assert "Traceback" not in log


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_shown_in_the_picture(clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "live.mp4"
    output.symlink_to("/dev/full")
    with Program(
        clip, "--record", output, "--overwrite", "--no-overlay", title=clip.name, folder=tmp_path
    ) as program:
        bottom = slice(280, 360), slice(100, 540)
        program.wait_for(lambda p: text_pixels(p[bottom]) > 100, "the message", seconds=20)
        program.wait_for(is_bright, "the picture goes on")
        program.press("q")
        assert program.ended() == 1
        log = program.log.read_text()
    assert "No space left" in log
    assert "Traceback" not in log


CAMERA = """
import time
import cv2, numpy as np
class Camera:
    opened = 0
    def __init__(self, *_):
        Camera.opened += 1
        self.number, self.pictures = Camera.opened, 0
    def isOpened(self):
        return self.number == 1 or self.number > 5
    def set(self, *_):
        return False
    def get(self, key):
        return 640.0 if key == cv2.CAP_PROP_FRAME_WIDTH else 360.0
    def grab(self):
        self.pictures += 1
        time.sleep(1 / 30)
        if self.number == 1 and self.pictures > 60:
            {unplugged}
        return True
    def retrieve(self):
        return True, np.full((360, 640, 3), 20, np.uint8)
    def release(self):
        pass
cv2.VideoCapture = Camera
"""


def test_an_unplugged_camera_comes_back(tmp_path: Path) -> None:
    code = CAMERA.format(unplugged="return False")
    with Program("0", title="camera 0", folder=tmp_path, code=code) as program:
        program.wait_for(is_bright, "the camera")
        centre = slice(140, 220), slice(100, 540)
        program.wait_for(lambda p: text_pixels(p[centre]) > 100, "the message")
        program.wait_for(lambda p: is_bright(p) and text_pixels(p[centre]) == 0, "it is back")
        program.press("q")
        assert program.ended() == 0
        log = program.log.read_text()
    assert "camera 0 gives no picture; check that it is plugged in; trying again in 0.5 s" in log
    assert "trying again in 1 s" in log, "the pauses grow"
    assert "camera 0 is back" in log


def test_a_camera_that_hangs_does_not_hang_the_window(tmp_path: Path) -> None:
    code = CAMERA.format(unplugged="time.sleep(1000)")
    with Program("0", title="camera 0", folder=tmp_path, code=code) as program:
        program.wait_for(is_bright, "the camera")
        centre = slice(140, 220), slice(100, 540)
        program.wait_for(lambda p: text_pixels(p[centre]) > 100, "the message")
        started = time.monotonic()
        xdotool("key", "alt+F4")
        assert program.ended() == 0
        assert time.monotonic() - started < 4


def test_a_network_stream_whose_sender_is_killed(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"tcp://127.0.0.1:{port}"
    with Sender(url) as sender:
        time.sleep(1.5)  # until it listens
        with Program(url, "--no-overlay", title=url, folder=tmp_path) as program:
            program.wait_for(is_bright, "the stream")
            sender.kill()
            program.wait_for(lambda p: not is_bright(p), "the dimmed picture")
            assert "trying again" in program.log.read_text()
            with Sender(url):
                program.wait_for(is_bright, "the stream is back", seconds=20)
                program.press("q")
                assert program.ended() == 0
        assert "is back" in program.log.read_text()
