"""A window that shows images and takes keys and the mouse, by OpenCV's HighGUI.

Everything here must be called in one thread, on macOS in the main one.
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
from zerodce_rt.live.keys import LEFT, RIGHT
from zerodce_rt.live.wheel import keep_from_zooming

# Bounds of a new window's size: it fits most screens, and its text can be read.
_WIDEST, _HIGHEST = 1280, 720
_NARROWEST, _LOWEST = 320, 180
# The arrow keys as HighGUI gives them: with Qt and GTK, on Windows, on macOS.
_ARROWS = {
    0xFF51: LEFT, 0x250000: LEFT, 0xF702: LEFT,
    0xFF53: RIGHT, 0x270000: RIGHT, 0xF703: RIGHT,
}  # fmt: skip
# What the wheel gives for a notch away from the user, other than 120; by HighGUI's source.
_NOTCHES = {"GTK": -1, "COC": 1}

Draw = Callable[[NDArray[np.uint8]], None]
"""Draws on an image of the window's size, ``(H, W, 3)`` uint8 BGR, in place."""


class Window:
    """An open window of any size; the image in it keeps its aspect ratio, with black around it.

    Attributes:
        closed: whether somebody has closed it.
        on_drag: called while the mouse drags, with its position: 0 to 1 of the image's width.

    Args:
        title: must be unique among the program's windows.

    Raises:
        ZeroDCEError: if no window can be opened here.
    """

    def __init__(self, title: str) -> None:
        check_display()
        _check_import_order()
        self._title = title
        self.on_drag: Callable[[float], None] | None = None
        self._turned = 0
        self._place = 0, 0, 1, 1
        self._fitting = _WIDEST, _HIGHEST
        self._keys: list[str] = []
        self._full_screen = False
        self.closed = False
        # ``show`` fits images into the window: HighGUI would scale them worse, with white around.
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO | cv2.WINDOW_GUI_NORMAL
        try:
            cv2.namedWindow(title, flags)
            cv2.setMouseCallback(title, self._on_mouse)
        except cv2.error as error:
            raise ZeroDCEError(
                "this OpenCV cannot open windows; 'pip install --force-reinstall opencv-python', "
                "or use `window=False`"
            ) from error
        keep_from_zooming()
        self._notch = _NOTCHES.get(cv2.currentUIFramework()[:3], 120)

    def show(self, image: NDArray[np.uint8], draw: Draw | None = None) -> None:
        """Put an image on the screen; it is there on return.

        Args:
            image: ``(H, W, 3)`` uint8 BGR.
            draw: draws on the image after it was scaled to the window, for sharp text.
        """
        width, height = cv2.getWindowImageRect(self._title)[2:]
        if width < 1 or height < 1:  # HighGUI does not know
            height, width = image.shape[:2]
        canvas, self._place = fitted(image, width, height)
        if draw is not None:
            draw(canvas)
        cv2.imshow(self._title, canvas)
        self._process_events()

    def fit(self, width: int, height: int) -> None:
        """Give the window the size of an image, within the bounds of a new window's size.

        In full screen, the size is that of the window afterwards.
        """
        scale = min(1.0, _WIDEST / width, _HIGHEST / height)
        scale = max(scale, min(_NARROWEST / width, _LOWEST / height))
        self._fitting = round(width * scale), round(height * scale)
        if not self._full_screen:
            cv2.resizeWindow(self._title, *self._fitting)

    def take_keys(self) -> list[str]:
        """The characters typed since the last call; some keys have names in ``keys``."""
        self._process_events()
        keys, self._keys = self._keys, []
        return keys

    def take_notches(self) -> int:
        """By how many notches the wheel was turned since the last call, away from the user."""
        notches = int(self._turned / self._notch)
        # Fine wheels and touchpads give parts of a notch.
        self._turned -= notches * self._notch
        return notches

    def _process_events(self) -> None:
        if self.closed:
            return
        key = cv2.pollKey()
        character = key & 0xFFFF  # GTK has Num Lock and the like in the other bits
        if (arrow := _ARROWS.get(key) or _ARROWS.get(character)) is not None:
            self._keys.append(arrow)
        elif key >= 0 and 0 < character < 128:
            self._keys.append(chr(character))
        try:
            # Must be noticed here: imshow would open a closed window again.
            self.closed = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:  # with its last window, Qt has forgotten the name
            self.closed = True

    @property
    def full_screen(self) -> bool:
        """Whether the window fills the screen; may be set."""
        return self._full_screen

    @full_screen.setter
    def full_screen(self, value: bool) -> None:
        self._full_screen = value
        cv2.setWindowProperty(
            self._title, cv2.WND_PROP_FULLSCREEN,
            cv2.WINDOW_FULLSCREEN if value else cv2.WINDOW_NORMAL,
        )  # fmt: skip
        if not value:
            cv2.resizeWindow(self._title, *self._fitting)

    def _on_mouse(self, event: int, x: int, y: int, flags: int, _: Any) -> None:
        held = event == cv2.EVENT_LBUTTONDOWN or flags & cv2.EVENT_FLAG_LBUTTON
        if held and self.on_drag is not None:
            left, _, width, _ = self._place
            self.on_drag(min(max((x - left) / width, 0.0), 1.0))
        if event == cv2.EVENT_MOUSEWHEEL:
            self._turned += flags >> 16

    def close(self) -> None:
        """Close the window, if nobody has."""
        if not self.closed:
            self.closed = True
            cv2.destroyWindow(self._title)


def fitted(
    image: NDArray[np.uint8], width: int, height: int
) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
    """Scale an image to fit into a size, in the middle, with black around it.

    Args:
        image: ``(H, W, 3)`` uint8.

    Returns:
        A new image, ``(height, width, 3)``, and where the old one is in it: left, top, width,
        height.
    """
    rows, columns = image.shape[:2]
    scale = min(width / columns, height / rows)
    inner = max(1, round(columns * scale)), max(1, round(rows * scale))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas = np.empty((height, width, 3), np.uint8)
    area = canvas[top : top + inner[1], left : left + inner[0]]
    if scale == 1:
        area[:] = image
    else:
        # Averaging takes longer, and pays off only where many pixels become one.
        method = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
        cv2.resize(image, inner, dst=area, interpolation=method)
    canvas[:top] = canvas[top + inner[1] :] = 0
    canvas[:, :left] = canvas[:, left + inner[0] :] = 0
    return canvas, (left, top, *inner)


def check_display() -> None:
    """Raise where Qt would abort the whole process.

    Raises:
        ZeroDCEError: if there is no X server that answers.
    """
    if not _is_x11():
        return
    display = os.environ.get("DISPLAY", "")
    advice = "run it on a desktop, or use `window=False` with `record` or `virtual_camera`"
    if not display:
        raise ZeroDCEError(f"there is no screen for a window (DISPLAY is not set); {advice}")
    if not _answers(display):
        raise ZeroDCEError(f"the screen DISPLAY={display} does not answer; {advice}")


def _check_import_order() -> None:
    """Raise where a window would hang; see ``zerodce_rt.live``.

    Raises:
        ZeroDCEError: if PyAV was loaded before OpenCV.
    """
    modules = list(sys.modules)
    if _is_x11() and "av" in modules and modules.index("av") < modules.index("cv2"):
        raise ZeroDCEError(
            "PyAV was imported before OpenCV, and a window would hang; import cv2 before av, or "
            "zerodce_rt.live before all else"
        )


def _is_x11() -> bool:
    return sys.platform == "linux" and os.environ.get("QT_QPA_PLATFORM", "xcb") == "xcb"


def _answers(display: str) -> bool:
    """Whether an X server listens at a display, ``host:number.screen``."""
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
