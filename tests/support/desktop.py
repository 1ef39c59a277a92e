"""Driving a program on an X server: keys and mouse by xdotool, its picture by FFmpeg's x11grab."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

REQUIRED = "ZERODCE_RT_REQUIRE_DISPLAY"
"""If this environment variable is set, missing programs fail the tests instead of skipping."""


PROGRAMS = ("Xvfb", "openbox", "xdotool", "xprop", "xwininfo")


def require_desktop() -> None:
    """Give the tests of this process a screen of their own.

    Skips the test, or fails it if ``REQUIRED`` is set, where there can be none.
    """
    reason = _missing()
    if reason is None:
        _start_screen()
    elif os.environ.get(REQUIRED):
        pytest.fail(reason)
    else:
        pytest.skip(reason)


def _missing() -> str | None:
    if not sys.platform.startswith("linux"):
        return "driving windows needs X11"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


@cache
def _start_screen() -> None:
    """Start an X server with a window manager, which both end with this process.

    Windows of tests that run side by side must not cover each other, nor take the keys of whoever
    sits at the machine.
    """
    number, told = os.pipe()
    screen = subprocess.Popen(
        # Without -noreset, it would throw the manager out when the first program ends.
        ["Xvfb", "-displayfd", str(told), "-noreset", "-screen", "0", "1920x1200x24"],
        pass_fds=[told], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(told)
    with os.fdopen(number) as answer:
        os.environ["DISPLAY"] = f":{answer.readline().strip()}"
    manager = subprocess.Popen(["openbox"], stderr=subprocess.DEVNULL)
    for process in (screen, manager):
        atexit.register(process.kill)
    until = time.monotonic() + 20
    look = ["xprop", "-root", "_NET_SUPPORTING_WM_CHECK"]
    while b"window id" not in subprocess.run(look, capture_output=True, check=False).stdout:
        assert time.monotonic() < until, "openbox does not start"
        time.sleep(0.05)


def xdotool(*arguments: object) -> str:
    command = ["xdotool", *(str(a) for a in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


class Program:
    """``zerodce-rt live`` in a process of its own, with the keyboard focus; a context manager.

    Args:
        arguments: of the command line.
        title: of the window, after ``zerodce-rt: ``.
        folder: to run in, and for the log.
        code: Python to run first, such as a fake camera.
    """

    def __init__(self, *arguments: object, title: str, folder: Path, code: str = "") -> None:
        run = f"{code}\nimport sys\nfrom zerodce_rt.cli import main\nsys.exit(main(sys.argv[1:]))"
        self.log = folder / "program.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", run, "live", *(str(a) for a in arguments)],
                cwd=folder, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            self.window = self._find(title)
        except BaseException:
            self.process.kill()
            raise

    def _find(self, title: str) -> str:
        until = time.monotonic() + 120  # in a new environment, kernels are compiled first
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()
            found = subprocess.run(
                ["xdotool", "search", "--onlyvisible", "--name", f"^zerodce-rt: {title}$"],
                capture_output=True, text=True, check=False,
            ).stdout.split()  # fmt: skip
            if found:
                xdotool("windowfocus", "--sync", found[-1])
                return found[-1]
            time.sleep(0.1)
        raise AssertionError(f"no window: {self.log.read_text()}")

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def press(self, *keys: str) -> None:
        for key in keys:
            xdotool("key", key)
            time.sleep(0.15)  # HighGUI keeps the last key only

    def place(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the window without its frame, in pixels."""
        # Not by xdotool: its getwindowgeometry counts the frame's border twice.
        shown = subprocess.run(
            ["xwininfo", "-id", self.window], capture_output=True, text=True, check=True
        ).stdout
        names = ("Absolute upper-left X", "Absolute upper-left Y", "Width", "Height")
        left, top, width, height = (int(shown.split(f"{n}:")[1].split()[0]) for n in names)
        return left, top, width, height

    def drag(self, *points: tuple[int, int]) -> None:
        """Press the mouse button at the first of some points in the window, release at the last."""
        left, top, _, _ = self.place()
        for number, (x, y) in enumerate(points):
            xdotool("mousemove", "--sync", left + x, top + y)
            if number == 0:
                xdotool("mousedown", 1)
            time.sleep(0.1)
        xdotool("mouseup", 1)
        time.sleep(0.1)

    def scroll(self, notches: int) -> None:
        """Turn the mouse wheel over the middle of the window, away from the user if positive."""
        left, top, width, height = self.place()
        xdotool("mousemove", left + width // 2, top + height // 2)  # it may be there already
        for _ in range(abs(notches)):
            xdotool("click", 4 if notches > 0 else 5)
            time.sleep(0.05)

    def look(self) -> NDArray[np.uint8]:
        """What the screen shows inside the window, ``(H, W, 3)`` uint8 RGB."""
        left, top, width, height = self.place()
        options = {
            "video_size": f"{width}x{height}", "grab_x": str(left), "grab_y": str(top),
            "draw_mouse": "0",
        }  # fmt: skip
        with av.open(os.environ["DISPLAY"], format="x11grab", options=options) as screen:
            frame = next(screen.decode(video=0))
            return frame.to_ndarray(format="rgb24").astype(np.uint8)

    def wait_for(
        self, condition: Callable[[NDArray[np.uint8]], object], what: str, seconds: float = 10
    ) -> NDArray[np.uint8]:
        """Look until the picture meets a condition; fail with ``what`` was expected."""
        until = time.monotonic() + seconds
        while True:
            picture = self.look()
            if condition(picture):
                return picture
            assert time.monotonic() < until, f"{what}; the program said: {self.log.read_text()}"
            time.sleep(0.1)

    def ended(self, seconds: float = 15) -> int:
        """Wait for the program to end; its exit code."""
        return self.process.wait(seconds)
