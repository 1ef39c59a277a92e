"""A window that shows pictures and takes keys and the mouse, through OpenCV's HighGUI.

All of it belongs to one thread, on macOS to the main one.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zerodce_rt.errors import ZeroDCEError

# A first size that fits most screens; people change it as they like.
_WIDEST, _HIGHEST = 1280, 720

Pointer = Callable[[float, float], None]
"""Called with where the mouse drags: 0 to 1 of the picture's width and height."""


class Window:
    """An open window; the picture keeps its aspect when the window is resized.

    Attributes:
        closed: whether a person has closed it.
        on_drag: called while the mouse drags.

    Args:
        title: must be unique among the program's windows.

    Raises:
        ZeroDCEError: if there is no screen to open it on.
    """

    def __init__(self, title: str) -> None:
        _check_display()
        self._title = title
        self.on_drag: Pointer | None = None
        self._size: tuple[int, int] | None = None
        self._keys: list[str] = []
        self._full_screen = False
        self.closed = False
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
        try:
            cv2.namedWindow(title, flags)
            cv2.setMouseCallback(title, self._on_mouse)
        except cv2.error as error:
            raise ZeroDCEError(
                "this OpenCV cannot open windows; 'pip install --force-reinstall opencv-python', "
                "or use --no-window"
            ) from error

    def show(self, image: NDArray[np.uint8]) -> None:
        """Put a picture, ``(H, W, 3)`` uint8 BGR, on the screen; it is there on return."""
        height, width = image.shape[:2]
        if self._size is None:
            scale = min(1.0, _WIDEST / width, _HIGHEST / height)
            cv2.resizeWindow(self._title, round(width * scale), round(height * scale))
        self._size = width, height
        cv2.imshow(self._title, image)
        self._process_events()

    def take_keys(self) -> list[str]:
        """The characters typed since the last call; ``"\\x1b"`` is Escape."""
        self._process_events()
        keys, self._keys = self._keys, []
        return keys

    def _process_events(self) -> None:
        if self.closed:
            return
        key = cv2.pollKey()
        if 0 <= key < 128:
            self._keys.append(chr(key))
        # imshow would open a closed window again.
        self.closed = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1

    @property
    def full_screen(self) -> bool:
        return self._full_screen

    @full_screen.setter
    def full_screen(self, value: bool) -> None:
        self._full_screen = value
        cv2.setWindowProperty(
            self._title, cv2.WND_PROP_FULLSCREEN,
            cv2.WINDOW_FULLSCREEN if value else cv2.WINDOW_NORMAL,
        )  # fmt: skip

    def _on_mouse(self, event: int, x: int, y: int, flags: int, _: Any) -> None:
        held = event == cv2.EVENT_LBUTTONDOWN or flags & cv2.EVENT_FLAG_LBUTTON
        if held and self.on_drag is not None and self._size is not None:
            width, height = self._size
            self.on_drag(min(max(x / width, 0.0), 1.0), min(max(y / height, 0.0), 1.0))

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            cv2.destroyWindow(self._title)


def _check_display() -> None:
    """Fail in words where Qt would abort the whole process, or hang."""
    if sys.platform != "linux" or os.environ.get("QT_QPA_PLATFORM", "xcb") != "xcb":
        return
    display = os.environ.get("DISPLAY", "")
    advice = "run it on a desktop, or use --no-window with --record or --virtual-camera"
    if not display:
        raise ZeroDCEError(f"there is no screen for a window (DISPLAY is not set); {advice}")
    if not _answers(display):
        raise ZeroDCEError(f"the screen DISPLAY={display} does not answer; {advice}")
    modules = list(sys.modules)
    if "av" in modules and modules.index("av") < modules.index("cv2"):
        # Both bring their own libxcb; Qt waits forever inside PyAV's.
        raise ZeroDCEError("cv2 must be imported before av, or no window can be opened")


def _answers(display: str) -> bool:
    """Whether an X server listens, given ``host:number.screen``."""
    host, _, number = display.rpartition(":")
    number = number.partition(".")[0]
    if not number.isdecimal():
        return False
    if host in ("", "unix"):
        name = f"/tmp/.X11-unix/X{number}"
        places: list[Any] = [name, f"\0{name}"]
        family = socket.AF_UNIX
    else:
        places, family = [(host, 6000 + int(number))], socket.AF_INET
    for place in places:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.settimeout(2)
            try:
                trial.connect(place)
            except OSError:
                continue
            return True
    return False
